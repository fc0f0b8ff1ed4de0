//! The simulator: two sites, one seed, faults everywhere, a history checker.
//!
//! The first site has three pods on one store, with sessions between them: rooms and link are usually with different
//! ones. The second one has a pod alone.
//!
//! [`run`] draws a world from a seed (who is there, how the three servers behave, what goes wrong at which
//! step), lets it happen in virtual time with the very pod that runs in production, over a store model that
//! stalls, fails and forgets to answer, ends all faults, gives everything time to settle, and hands what
//! happened to [`check`](mod@check). The same seed does the same, always.
//!
//! - `plan`: what a seed means; `fault`: what goes wrong where; `breakage`: rules switched off on purpose
//! - `world`: processes, how they share a store, sessions between them, stores, component links, servers, S2S, clients
//! - `history`: what could be seen from outside, as plain data
//! - `check`: the rules; pure, with tests on histories that must fail

pub mod breakage;
pub mod check;
pub mod fault;
pub mod history;
mod names;
pub mod plan;
mod rng;
mod run;
mod stanza;
pub mod trace;
mod world;

pub use breakage::Breakage;
pub use run::{Outcome, run};
