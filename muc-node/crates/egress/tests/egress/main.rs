//! Stories and properties of egress, told through its public interface.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used)]

mod delivery;
mod replays;
mod states;
mod world;
mod writing;
