//! Tests of the store: one crate, so that SQLite is linked once.
#![allow(clippy::unwrap_used)]

mod cluster;
mod conformance;
mod durability;
mod equivalence;
mod faulty;
mod faulty_pods;
mod moves;
mod postgres;
mod postgres_faults;
mod postgres_vanished;
mod queue;
mod sqlite;
mod tail;
mod writer;
