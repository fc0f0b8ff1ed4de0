//! Sessions over real sockets: their order, their end, and who is let in.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[path = "../../../tls/tests/authority/mod.rs"]
mod authority;
mod common;
mod ends;
mod hello;
mod order;
mod security;
mod speed;
