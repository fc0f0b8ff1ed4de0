//! Tests of the harness that need no server.

mod harness;
mod proxy;
