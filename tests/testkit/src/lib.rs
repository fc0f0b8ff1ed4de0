//! What tests share: stories, real servers on loopback, users, proxies.

pub mod acceptor;
pub mod figure;
mod log_entry;
pub mod loopback;
pub mod memory;
pub mod node;
pub mod peers;
mod pki;
pub mod real;
pub mod story;
