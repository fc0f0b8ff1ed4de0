//! The operator as a process, on a real API server, with real nodes on loopback.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod mesh;
mod stories;
mod thousand;
mod world;
