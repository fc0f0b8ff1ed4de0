//! One room as a state machine: XEP-0045 with XEP-0289 federation.
//!
//! [`Room::handle`] takes an [`Input`] and the time and appends [`Effect`]s; it does no IO, asks no
//! clock and draws no random numbers, so the same inputs give the same room, in production, in the
//! stories and in the simulator. What must be durable before it is shown is said by the order of the
//! effects; the shard keeps to it.
//!
//! A newcomer finds things by name: one file per feature in `feature`, what passes between rooms
//! in `fmuc`, how a log row looks on the wire in `render`.

mod catchup;
mod feature;
mod fmuc;
pub mod ids;
pub mod invariants;
mod io;
mod load;
mod log;
mod out;
pub mod payload;
mod render;
mod room;
pub mod service;
mod state;

pub use io::{Effect, Input, ReadId, Site};
pub use load::{Declared, WINDOW};
pub use room::{Breakage, Room};
