//! Sessions between the nodes of a site: gRPC (`proto/mesh.proto`), with mTLS or, on loopback, in the clear.
//!
//! - There is at most one session per pair; the node with the lower incarnation calls.
//! - [`Event::Connected`] and [`Event::Disconnected`] of a peer alternate, and what it says lies between them.
//! - What is sent goes into the session whose beginning [`Events`] has handed out last, or nowhere: nobody speaks into
//!   a session that he does not know of yet.
//! - A session ends at the first error of either direction, and then its connection is cut.
//! - What nobody has taken yet is bounded on both sides: a receiver that does not come along makes the sender's queue
//!   grow, and at its bound the session ends.

mod client;
mod hello;
mod hub;
mod parts;
mod peers;
mod server;
mod session;

use std::time::Duration;

pub use hello::VERSION;
pub use hub::{Event, Events};
pub use peers::{PeerOptions, Peers};

/// The generated types.
#[allow(clippy::pedantic, clippy::unwrap_used, unused_qualifications)]
pub mod proto {
    tonic::include_proto!("warren.mesh.v1");
}

/// Bytes of one frame at most: all members of a large group, each with the longest address, fit well. A longer one cannot
/// be said, and ends the session.
pub const MAX_FRAME: usize = 32 << 20;
/// Bytes of one message of gRPC at most.
const MAX_MESSAGE: usize = 4 << 20;
/// A frame that is longer goes in parts of so many bytes.
const PART: usize = 1 << 20;
/// Bytes of frames that may wait for one peer. Beyond it the session is ended: what waits is given up, and when the next
/// session begins both sides attach again, which costs less than to hold back everybody else.
pub const MAX_QUEUED: usize = 64 << 20;
/// Bytes of frames of one peer that may have been read and not taken from [`Events`]; then its connection is not read.
const MAX_UNREAD: usize = 4 << 20;
/// Bytes in flight on one connection: enough for the bandwidth and delay between zones.
const WINDOW: u32 = 1 << 20;
/// Longest wait between two attempts to connect.
const BACKOFF: Duration = Duration::from_secs(1);
/// How long a caller waits until the other side has been told of it by its table.
const UNKNOWN: Duration = Duration::from_secs(2);
/// How long a connection, or the first word on it, may take.
const PATIENCE: Duration = Duration::from_secs(5);
