//! Identifiers. Each is its own type, so that a batch cannot be passed for a sequence number.

use std::fmt;

use jid::{BareJid, Jid};
use serde::{Deserialize, Serialize};

/// How many shards all rooms of a site are spread over. Part of the stored state: never changes for a store.
pub const SHARDS: u32 = 4096;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A room in the store. Positive 63 bits taken from its birth, so that no counter is needed.
    RoomId(u64)
}
number! {
    /// Position in a room's log. The first row is 1; 0 means "before everything".
    Seq(u64)
}
number! {
    /// Number of an ownership of a shard or a link; only rises: max(old + 1, Unix seconds).
    Epoch(u32)
}
number! {
    /// A 1/4096th of all rooms.
    Shard(u32)
}
number! {
    /// A row of the `lane` table: one ordered stream of group commits of one incarnation.
    Lane(u64)
}
number! {
    /// Number of a group commit on its lane; the first is 1.
    Batch(u64)
}
number! {
    /// One submission of a shard to its lane. Never reused within an incarnation.
    Ticket(u64)
}
number! {
    /// Generation of a configuration object, as Kubernetes counts it.
    Generation(i64)
}

/// 128 random bits of one start of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u128);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Seq {
    /// The next position.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Shard {
    /// The shard of a room (`shard_scheme` 1): FNV-1a over the room's address, then the remainder.
    /// Stable for ever: it is part of the stored state.
    pub fn of(room: &BareJid) -> Self {
        let hash = room
            .as_str()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        // The low bits of FNV mix well; the remainder of a power of two keeps just those.
        Self(u32::try_from(hash % u64::from(SHARDS)).unwrap_or_default())
    }
}

/// 128 random bits of a room's life: a room that is destroyed and made again is another one
/// (`session` of XEP-0311).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Birth(pub u128);

impl Birth {
    /// The key of the room in the store.
    pub fn room_id(self) -> RoomId {
        RoomId((self.0 >> 65) as u64)
    }
}

impl fmt::Display for Birth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl std::str::FromStr for Birth {
    type Err = std::num::ParseIntError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(s, 16).map(Self)
    }
}

/// 256 secret bits of a room, from which the keys of its ids are derived. Never printed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(pub [u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// (local domain, remote domain): the unit of order, state, evidence and watermark.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Path {
    /// A domain that this site serves.
    pub local: Box<str>,
    /// The domain at the other end.
    pub remote: Box<str>,
}

impl Path {
    /// The path from `local` to `remote`.
    pub fn new(local: impl Into<Box<str>>, remote: impl Into<Box<str>>) -> Self {
        Self { local: local.into(), remote: remote.into() }
    }

    /// The path that a stanza from `from` to `to` takes.
    pub fn between(from: &Jid, to: &Jid) -> Self {
        Self::new(from.domain().as_str(), to.domain().as_str())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.local, self.remote)
    }
}

/// What has an owner: a pod that decides for it, under an [`Epoch`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Thing {
    /// All rooms of a shard.
    Shard(Shard),
    /// A transport, by local and remote domain; the remote domain of a component is empty.
    Link(Path),
}
