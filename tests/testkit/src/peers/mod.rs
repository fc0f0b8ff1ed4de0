//! Real XMPP servers on loopback: Prosody and ejabberd from Debian's packages, with their own DNS, CA,
//! users, components and a border between them that can be cut.
//!
//! [`World`] starts everything in one call; the parts can be used alone. Nothing needs privileges, fixed
//! ports or a changed `/etc`. Tests and the demo use the same code, so failures are values
//! ([`anyhow::Error`]) that name what is missing, and how it behaved until then.
//!
//! All of it runs on any tokio runtime with IO and time enabled, of one thread or many.

pub mod ca;
pub mod child;
pub mod component;
pub mod dir;
pub mod dns;
pub mod ejabberd;
pub mod inbox;
pub mod ports;
pub mod prosody;
pub mod proxy;
pub mod user;
pub mod world;
pub mod xml;

pub use ca::Ca;
pub use child::Child;
pub use component::Component;
pub use dir::RunDir;
pub use dns::Dns;
pub use ejabberd::Ejabberd;
pub use inbox::Arrival;
pub use ports::Port;
pub use prosody::Prosody;
pub use proxy::{Counters, Mode, Proxy};
pub use user::User;
pub use world::{Border, ComponentAccess, Site, World, WorldBuilder};
pub use xml::{StanzaError, body_of, element, error_of};

#[cfg(test)]
mod tests;
