//! What goes into a room and what comes out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use jid::{BareJid, Jid};
use warren_model::config::ServiceTimers;
use warren_model::{Generation, LogRow, PeerConfig, RoomConfig, Row, Seq};
use warren_xmpp::Stanza;
use warren_xmpp::cast::{Cast, GroupChange, PathState, ReplayMark};

/// What rooms know about the site they live on. Shared by all rooms, replaced as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Site {
    /// The domain of the rooms.
    pub domain: Box<str>,
    /// Our users' domains: nobody else may vouch for them.
    pub home_domains: BTreeSet<Box<str>>,
    /// The allow-list, by the remote room service's domain.
    pub peers: BTreeMap<Box<str>, PeerConfig>,
    /// Waiting times.
    pub timers: ServiceTimers,
}

/// One thing that happens to a room.
#[derive(Clone, Debug)]
pub enum Input {
    /// A stanza addressed to the room or to one of its occupants; the transport vouches for `from`. Shared with whoever
    /// keeps it until what it causes is durable.
    Stanza(Arc<Stanza>),
    /// The room's declaration. A lower generation than the stored one has been refused before.
    Config {
        /// Identity of the declaring object.
        uid: String,
        /// Its generation.
        generation: Generation,
        /// What it says.
        config: Arc<RoomConfig>,
    },
    /// The site's configuration or its allow-list changed.
    Site(Arc<Site>),
    /// The path to a remote domain changed its state (`egress` decides).
    Path {
        /// The domain.
        remote: Box<str>,
        /// Its state.
        state: PathState,
    },
    /// Rows after `after` may not have reached that domain: send them again, then go on live.
    Replay {
        /// The domain.
        remote: Box<str>,
        /// Position of the last row that is known to have arrived.
        after: Seq,
    },
    /// Whoever holds the groups holds none of this room any more: replays to paths stop, since they are asked for again
    /// where something is missing, and all groups are stated anew ([`Effect::Regroup`]). What was on its way to peers may be
    /// lost as well: those are asked to join again.
    Regroup,
    /// Answer to [`Effect::Read`].
    Page {
        /// Which read.
        read: ReadId,
        /// Rows in order; fewer than asked for only at the end of what was durable.
        rows: Vec<LogRow>,
    },
    /// A deadline has passed.
    Tick,
    /// The declaration is gone and asked for the room to be destroyed (XEP-0045 10.9).
    Destroy {
        /// Shown to the occupants.
        reason: Option<String>,
    },
}

/// One outstanding read of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReadId(pub u64);

/// What a room wants done. Everything but [`Effect::Persist`] is outward and waits for the rows of
/// this room that were persisted before it.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Write this, in one transaction with the other rows of the same input.
    Persist(Row),
    /// Write this within a second; nothing waits for it.
    Lazy(Row),
    /// One stanza to many sessions.
    Cast(Arc<Cast>),
    /// Whole stanzas, ready to be written, to one address, in order with casts.
    Send {
        /// Whose domain decides the path.
        to: Jid,
        /// One or more whole stanzas.
        bytes: Bytes,
        /// Position of the log row that these bytes show, if any: then they can be replayed.
        seq: Option<Seq>,
    },
    /// The sessions that casts reach changed.
    Group {
        /// Domain of the sessions.
        remote: Box<str>,
        /// Position of the last row that changed this group.
        version: Seq,
        /// How.
        change: GroupChange,
    },
    /// All groups of this room are void; the resets that follow in the same input are all that there are.
    Regroup,
    /// One stanza to a federated room; never replayed from a watermark.
    Peer {
        /// Address of that room.
        peer: BareJid,
        /// The whole stanza.
        bytes: Bytes,
    },
    /// Read rows of the log after `after`; the answer is [`Input::Page`].
    Read {
        /// Comes back with the answer.
        read: ReadId,
        /// Position before the first row wanted.
        after: Seq,
        /// Rows at most.
        max: usize,
    },
    /// Order mark of a replay in this room's stream of effects towards one domain: between the break of
    /// a path and `Start`, `egress` drops this room's frames for that path (the replay brings them);
    /// after `End` everything of the gap has been handed over.
    Replay {
        /// The domain.
        remote: Box<str>,
        /// Which mark.
        mark: ReplayMark,
    },
    /// The room has ended; nothing comes after this.
    Close,
}
