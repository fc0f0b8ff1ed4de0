//! Control between processes: gRPC (`proto/control.proto`), with mTLS or, on loopback, in the clear.

mod client;
mod convert;
mod server;

pub use client::{Client, PodReport};
pub use convert::Malformed;
pub use server::{Handler, Page, serve};
pub use warren_tls as tls;

/// The generated types.
#[allow(clippy::pedantic, clippy::unwrap_used, unused_qualifications)]
pub mod proto {
    tonic::include_proto!("warren.control.v1");
}

/// Bytes of one request at most: a room with 500 affiliations of the longest JIDs fits twice.
pub const MAX_REQUEST: usize = 2 << 20;
/// Bytes of one answer at most.
pub const MAX_ANSWER: usize = 4 << 20;
/// A piece of a stream is sent when it has grown to so many bytes.
const PIECE: usize = 256 << 10;
