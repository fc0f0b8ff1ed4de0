//! What goes into the shard and what comes out of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jid::{BareJid, Jid};
use warren_model::ids::SHARDS;
use warren_model::{
    Batch, Epoch, Generation, Incarnation, Lane, LogRow, RoomId, RoomRows, Routed, Row, Seq, Shard, Ticket,
};
use warren_room::{Declared, Effect, ReadId, Site};
use warren_xmpp::Stanza;
use warren_xmpp::cast::PathState;

/// Bounds and waiting times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A request to a room that is not loaded is answered `remote-server-timeout` after so long.
    pub parked: Duration,
    /// Stanzas of one room that wait for a commit or for the room to be loaded; the next one is answered
    /// `resource-constraint`. A presence that leaves is worth more than the bound: it may use as much again.
    pub room_queue: usize,
    /// Lazy rows are submitted at most so long after they came.
    pub lazy: Duration,
    /// A room in which nothing happens and nobody is leaves the memory after so long.
    pub idle: Duration,
    /// Rooms check their invariants after every input, and panic when one does not hold.
    pub check_invariants: bool,
    /// For the simulator only.
    pub breakage: Breakage,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            parked: Duration::from_secs(12),
            room_queue: 1000,
            lazy: Duration::from_secs(1),
            idle: Duration::from_mins(5),
            check_invariants: false,
            breakage: Breakage::default(),
        }
    }
}

/// Rules that the simulator switches off to prove that it would notice. Never set elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breakage {
    /// Effects do not wait for anything.
    pub barrier_off: bool,
    /// An input whose ticket fails is forgotten.
    pub inputs_not_kept: bool,
    /// What goes to peer rooms does not wait for anything.
    pub h_before_commit: bool,
    /// Those of the rooms.
    pub room: warren_room::Breakage,
}

/// Which shards are ours, and under which ownership decisions about their rooms are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs(BTreeMap<Shard, Epoch>);

impl Epochs {
    /// All shards, under the same: one pod has the whole store.
    pub fn all(epoch: Epoch) -> Self {
        Self((0..SHARDS).map(|n| (Shard(n), epoch)).collect())
    }

    /// No shard.
    pub fn none() -> Self {
        Self::default()
    }

    /// One for each shard, by number; those behind the last one are not ours.
    pub fn each(epochs: impl IntoIterator<Item = Epoch>) -> Self {
        Self((0..SHARDS).map(Shard).zip(epochs).collect())
    }

    /// That of a shard, if it is ours.
    pub fn of(&self, shard: Shard) -> Option<Epoch> {
        self.0.get(&shard).copied()
    }

    pub(crate) fn insert(&mut self, shard: Shard, epoch: Epoch) {
        self.0.insert(shard, epoch);
    }

    pub(crate) fn remove(&mut self, shard: Shard) {
        self.0.remove(&shard);
    }
}

/// One thing that happens to the shard.
#[expect(clippy::large_enum_variant, reason = "made, handed over and gone: no collection holds them")]
#[derive(Clone, Debug)]
pub enum In {
    /// A stanza for a room or one of its occupants; the transport vouches for `from`.
    Stanza {
        /// Bare form of its `to`.
        room: BareJid,
        /// The stanza.
        stanza: Stanza,
        /// Who routed it here, and its number of it: rising over all that it routes, the same when it sends it again.
        /// Answered by [`Out::Handled`].
        source: Option<(Incarnation, u64)>,
    },
    /// A room's declaration. Makes the room if the store has none. Answered by [`Out::Applied`] or [`Out::Refused`].
    Declare(Declared),
    /// The declaration is gone.
    Withdraw {
        /// Which room.
        room: BareJid,
        /// The room ends with it (XEP-0045 10.9); otherwise it goes on undeclared.
        destroy: bool,
        /// Shown to the occupants.
        reason: Option<String>,
    },
    /// The site's configuration or its allow-list changed.
    Site(Arc<Site>),
    /// Load this room, if it is not: it has occupants.
    Wake {
        /// Which room.
        room: BareJid,
    },
    /// The path to a remote domain changed its state.
    Path {
        /// The domain.
        remote: Box<str>,
        /// Its state.
        state: PathState,
    },
    /// The states of all paths that are not Up, in place of what was known: all others are Up.
    Paths(Vec<(Box<str>, PathState)>),
    /// Whoever holds the groups is new: replays that were asked for are forgotten, and all rooms state their groups anew. Those
    /// that are not in memory do so when they are loaded.
    Regroup,
    /// Rows of a room after `after` may not have reached a domain.
    Replay {
        /// Which room.
        room: BareJid,
        /// The domain.
        remote: Box<str>,
        /// Position of the last row that is known to have arrived.
        after: Seq,
    },
    /// Answer to [`Out::Load`].
    Loaded {
        /// Which room.
        room: BareJid,
        /// All of it; `None`: the store knows no room of this address.
        rows: Option<RoomRows>,
    },
    /// The other answer to [`Out::Load`]: it is tried again.
    LoadFailed {
        /// Which room.
        room: BareJid,
        /// For people.
        why: String,
    },
    /// Answer to [`Out::Read`].
    Page {
        /// Which room.
        room: RoomId,
        /// Which read.
        read: ReadId,
        /// Rows in order; fewer than asked for only at the end of what is durable.
        rows: Vec<LogRow>,
    },
    /// The other answer to [`Out::Read`]: it is tried again.
    PageFailed {
        /// Which room.
        room: RoomId,
        /// Which read.
        read: ReadId,
        /// For people.
        why: String,
    },
    /// A ticket is durable.
    Done {
        /// Which one.
        ticket: Ticket,
        /// Lane of the commit.
        lane: Lane,
        /// Number of the commit.
        batch: Batch,
    },
    /// A ticket is not in the store and never will be. All later ones of the same room fail too, until one that
    /// is `fresh`.
    Failed {
        /// Which one.
        ticket: Ticket,
        /// For people.
        why: String,
    },
    /// A ticket is not in the store, for its shard is somebody else's since: as [`In::Disown`] of that shard, which is
    /// named by [`Out::Disowned`]; but nothing of it has happened that was not answered, so that all stanzas without a source
    /// come back.
    Disowned {
        /// Which one.
        ticket: Ticket,
    },
    /// Somebody else owns the rooms.
    Fenced,
    /// [`crate::Shard::next_deadline`] has passed.
    Tick,
    /// The pod is about to end: rows that may wait do not any more.
    Flush,
    /// These are ours from now on. A shard that is ours under a lower epoch is taken away first; one that is ours under this or a
    /// higher one stays as it is. Whatever comes for a room of a shard that is not ours is ignored, but a stanza without a source
    /// comes back as [`Out::Unhandled`].
    Own(Vec<(Shard, Epoch)>),
    /// These are not ours any more: their rooms are gone at once, with all that waits. Nothing of them is released and no source
    /// hears of it. Stanzas without a source that no room has taken come back as [`Out::Unhandled`].
    Disown(Vec<Shard>),
    /// These are about to go: their rooms decide nothing any more, and what they have decided is written and released. Inputs wait.
    /// Answered by [`Out::Frozen`], once for each shard that is ours and not frozen yet.
    Freeze(Vec<Shard>),
    /// These stay: their rooms handle what has waited.
    Thaw(Vec<Shard>),
}

/// What the shard wants done.
#[derive(Clone, Debug)]
pub enum Out {
    /// Load this room; exactly one answer: [`In::Loaded`] or [`In::LoadFailed`].
    Load {
        /// Which room.
        room: BareJid,
    },
    /// Commit these rows in one transaction; exactly one answer: [`In::Done`], [`In::Failed`],
    /// [`In::Disowned`] or [`In::Fenced`].
    Submit {
        /// Named in the answer. Rises; the shard's own numbers start at 1 and stay below 2⁶³.
        ticket: Ticket,
        /// Which room.
        room: RoomId,
        /// Where the room lives.
        shard: Shard,
        /// Ownership under which the rows were decided.
        epoch: Epoch,
        /// The first submission of the room since it was loaded or made (`warren_store::Work::Room`).
        fresh: bool,
        /// The routed stanza that led to these rows; its number becomes one of them.
        routed: Option<Routed>,
        /// In order.
        rows: Vec<Row>,
    },
    /// Read rows of the log after `after`; exactly one answer: [`In::Page`] or [`In::PageFailed`].
    Read {
        /// Which room.
        room: RoomId,
        /// Named in the answer; unique in this shard, never repeated.
        read: ReadId,
        /// Position before the first row wanted.
        after: Seq,
        /// Rows at most.
        max: usize,
    },
    /// What the room has to say may leave: everything that it depends on is durable.
    Release {
        /// Which room.
        room: RoomId,
        /// Its address.
        jid: BareJid,
        /// The commit that holds what these effects show; `None`: their input wrote nothing.
        at: Option<(Lane, Batch)>,
        /// Outward effects only ([`Effect::Close`] is the last one of a room), in the room's order.
        effects: Vec<Effect>,
    },
    /// A routed stanza is dealt with: what it led to is durable and released, or it was refused, or it is a repeat and nothing
    /// of the first one waits any more. One for each that was given, in no order between rooms; none for those that are dropped
    /// with a room that is not ours any more.
    Handled {
        /// Who routed it.
        source: Incarnation,
        /// The source's number of it.
        n: u64,
    },
    /// An answer that comes from no room.
    Reply {
        /// Whom.
        to: Jid,
        /// One whole stanza.
        bytes: Bytes,
    },
    /// A declaration is in force and durable.
    Applied {
        /// Which room.
        room: BareJid,
        /// Identity of the declaring object.
        uid: String,
        /// The generation that is in force: a later one than declared if that was known before.
        generation: Generation,
    },
    /// A declaration could not be stored, twice. Declare it again to try again.
    Refused {
        /// Which room.
        room: BareJid,
        /// Identity of the declaring object.
        uid: String,
        /// Its generation.
        generation: Generation,
        /// For people.
        why: String,
    },
    /// A stanza without a source that no room has taken, and none here will.
    Unhandled {
        /// Bare form of its `to`.
        room: BareJid,
        /// The stanza.
        stanza: Stanza,
    },
    /// This shard is not ours any more; the store has said so.
    Disowned(Shard),
    /// Nothing is outstanding in this shard: what its rooms have decided is durable and released.
    Frozen(Shard),
    /// Fenced: nothing comes any more, and the pod must stop.
    Dead,
}
