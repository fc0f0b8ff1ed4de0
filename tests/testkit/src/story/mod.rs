//! Stories: text scripts of what users and rooms say to each other, grouped by XEP.
//!
//! The format is described in `tests/stories/README.md`. A story is read by [`parse`], played by
//! [`runner`] on a [`Stage`], and what arrives is compared by [`matcher`].

pub mod matcher;
pub mod parse;
pub mod runner;
pub mod script;
pub mod stage;

#[cfg(test)]
mod tests;

pub use parse::load;
pub use runner::{Failure, Report, run, run_all, run_all_at_once};
pub use script::{Do, Grant, ParseError, PeerDecl, RoomDecl, Scene, SiteDecl, Step, Story, UserDecl};
pub use stage::{Fault, Level, Place, Seen, Stage, Until};
