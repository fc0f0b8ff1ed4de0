//! What tests share: stories, real servers on loopback, users, proxies.

pub mod acceptor;
pub mod node;
pub mod loopback;
pub mod memory;
pub mod peers;
pub mod story;
