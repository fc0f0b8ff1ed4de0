//! The pod: the one crate that knows all others and owns all IO.
//!
//! [`warren_pod`] joins the pure parts and is itself pure, so that the stories and the simulator run exactly what
//! runs in production; everything else here is the shell around it:
//!
//! - [`cli`]: commands, with one file each: [`serve`], [`check`], [`log`].
//! - [`driver`]: the loop that owns the pod; around it what it talks to: [`link`] (the socket), [`store`] (threads),
//!   [`control`] (calls, of the operator by [`listener`]), [`stop`] (signals).
//! - [`mesh`] is what nodes of a site say to one another.
//! - [`cluster`]: the other nodes of the same store: [`member`] (who lives and who owns what), [`mesh`] (sessions).
//! - [`admin`] shows [`health`] and [`metrics`] from a thread of its own.

pub mod admin;
pub mod apply;
pub mod check;
pub mod cli;
mod clock;
pub mod cluster;
pub mod control;
pub mod driver;
mod entropy;
mod flow;
pub mod health;
pub mod link;
pub mod listener;
pub mod log;
pub mod logging;
pub mod member;
pub mod mesh;
mod metrics;
pub mod serve;
pub mod stop;
pub mod store;
