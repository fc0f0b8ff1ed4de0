//! A real PostgreSQL on loopback for tests, and a proxy that cuts connections at chosen statements.
//!
//! Everything here blocks and needs no runtime. Nothing is left behind, however the process ends: the server dies
//! with the process, and a small shell removes its directory.

mod cutter;
mod server;

pub use cutter::{Cut, Cutter};
pub use server::{Durability, Server, Tls};
