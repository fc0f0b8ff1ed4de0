//! Why a stream has ended.

use std::fmt;

use warren_xmpp::{StreamCondition, StreamFault};

/// Why a stream has ended. Its text explains itself to who reads the log or the status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// We ended it, and the peer has answered or had time to.
    Requested,
    /// The peer ended it in order.
    ByPeer,
    /// The connection ended, the stream did not.
    Lost,
    /// The peer said what was wrong (RFC 6120 section 4.9).
    Error {
        /// The condition.
        condition: StreamCondition,
        /// What it means here, with the peer's own words.
        explanation: String,
    },
    /// The peer sent what cannot be read or is not allowed; it was told.
    Fault(StreamFault),
    /// The peer did not complete the opening of the stream in time.
    HandshakeTimeout,
    /// Our own pings do not come back: the connection looks alive and carries nothing.
    Silent,
}

impl CloseReason {
    /// A short name for metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::ByPeer => "by-peer",
            Self::Lost => "lost",
            Self::Error { condition, .. } => condition.as_str(),
            Self::Fault(_) => "fault",
            Self::HandshakeTimeout => "handshake-timeout",
            Self::Silent => "silent",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => f.write_str("ended by us"),
            Self::ByPeer => f.write_str("ended by the peer"),
            Self::Lost => f.write_str("the connection was lost"),
            Self::Error { condition, explanation } => write!(f, "{}: {explanation}", condition.as_str()),
            Self::Fault(fault) => write!(f, "the peer sent what cannot be read: {fault}"),
            Self::HandshakeTimeout => f.write_str("the peer did not open the stream in time"),
            Self::Silent => f.write_str("the peer does not answer any more"),
        }
    }
}
