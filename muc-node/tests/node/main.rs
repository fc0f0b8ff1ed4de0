//! The process as a whole: how it starts, stops, survives, and what it prints. Its server is a component acceptor of
//! the test, except in `real`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod commands;
mod common;
mod control;
mod crowd;
mod flow;
mod frozen;
mod hostile;
mod moves;
mod real;
mod restart;
mod sharing;
mod speed;
mod start;
mod stop;
