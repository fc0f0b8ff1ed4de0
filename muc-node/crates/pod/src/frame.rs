//! What pods of a site say to one another (docs/design/0004). In order within a session; lost with it.

use bytes::Bytes;
use jid::BareJid;
use warren_control::{Change, ObjectReport};
use warren_egress::Outward;
use warren_model::{Batch, Epoch, Incarnation, Lane, ObjectName, Path, RoomId, Seq, Shard};
use warren_xmpp::Stanza;
use warren_xmpp::cast::PathState;

use crate::Outcome;

/// An entry of the table of owners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    /// Of what.
    pub thing: T,
    /// Who has it.
    pub owner: Option<Incarnation>,
    /// Since which ownership.
    pub epoch: Epoch,
}

/// A shard that was moved as planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The ownership under which its owner has spoken.
    pub before: Epoch,
    /// What it is now.
    pub now: Entry<Shard>,
}

/// Something that rooms say, on its way to the link.
#[derive(Clone, Debug)]
pub struct Released {
    /// Where the room lives.
    pub shard: Shard,
    /// Ownership under which it says so.
    pub epoch: Epoch,
    /// The room.
    pub room: RoomId,
    /// Its address.
    pub jid: BareJid,
    /// The commit that holds what this shows.
    pub at: Option<(Lane, Batch)>,
    /// What it says, in order.
    pub says: Vec<Outward>,
}

/// One thing that a pod says to another one.
#[derive(Clone, Debug)]
pub enum Frame {
    /// Source to owner: a stanza for a room.
    Stanza {
        /// The source's number of it.
        n: u64,
        /// Where the room lives.
        shard: Shard,
        /// Ownership of the shard that the source believes in.
        epoch: Epoch,
        /// The stanza; the source vouches for its `from`.
        stanza: Box<Stanza>,
    },
    /// Owner to source: whatever these led to is durable.
    Handled(Vec<u64>),
    /// These entries are newer than what the other one believes in.
    Shards(Vec<Entry<Shard>>),
    /// The same of links.
    Links(Vec<Entry<Path>>),
    /// The owner of these has moved them, and has said before this all that it had to say of them.
    Moved(Vec<Moved>),
    /// Rooms' side to link's side: what is said from now on, or since that batch, should be heard.
    Attach {
        /// Ownership of the link that is believed in.
        link: Epoch,
        /// The lane that the rooms are written on.
        lane: Lane,
        /// The last batch whose effects were released.
        batch: Batch,
    },
    /// The answer, when the link's side knows what is missing.
    Attached {
        /// Paths that are not Up.
        paths: Vec<(Box<str>, PathState)>,
    },
    /// What a room says.
    Released(Box<Released>),
    /// A stanza that no room says: an answer, or a refusal.
    Reply(Bytes),
    /// Everything up to this batch has been said.
    Mark {
        /// The lane.
        lane: Lane,
        /// The batch.
        batch: Batch,
    },
    /// Link's side to rooms' side: a path changed its state.
    Path {
        /// The remote domain.
        remote: Box<str>,
        /// Its state.
        state: PathState,
    },
    /// Rows of these rooms behind that position may not have reached a domain.
    Replay {
        /// The domain.
        remote: Box<str>,
        /// The rooms; all of them live with whom this is said to.
        rooms: Vec<(RoomId, BareJid, Seq)>,
    },
    /// An object was applied or removed, durably.
    Changed(Change),
    /// A call of the operator for whoever decides about objects.
    Call {
        /// Comes back with the answer.
        call: u64,
        /// What is wanted.
        change: Change,
    },
    /// Its answer.
    Answered {
        /// Which call.
        call: u64,
        /// What became of it.
        outcome: Outcome,
    },
    /// How do these objects stand?
    Ask {
        /// Comes back with the answer.
        call: u64,
        /// Which ones.
        objects: Vec<ObjectName>,
    },
    /// The answer, of those that are known.
    Reports {
        /// Which question.
        call: u64,
        /// How they stand.
        reports: Vec<ObjectReport>,
    },
    /// A session with that pod was lost, and its address refuses.
    Refused(Incarnation),
}
