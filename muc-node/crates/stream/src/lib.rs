//! Streams as state machines without IO, clock or randomness: bytes and time go in, bytes and
//! stanzas come out.
//!
//! The owner of the socket does always the same: what was read goes into `feed`, then `poll` until
//! it is empty, then `tick` at `next_deadline`. One file per kind of stream; what they share is in
//! `wire`.

#![forbid(unsafe_code)]

pub mod backoff;
pub mod close;
pub mod component;
mod wire;

pub use backoff::Backoff;
pub use close::CloseReason;
pub use component::{Component, ComponentConfig, Event};
