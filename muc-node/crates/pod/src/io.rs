//! What happens to a pod, and what it asks its caller to do.

use std::sync::Arc;

use jid::BareJid;
use warren_control::{Change, ObjectReport};
use warren_mesh::View;
use warren_model::{Incarnation, Lane, LogRow, Object, ObjectName, Path, RoomId, RoomRows, Seq, Shard as ShardId};
use warren_room::ReadId;
use warren_shard::Epochs;
use warren_store::{Backlog, Completion, Work};
use warren_xmpp::Stanza;

use crate::{Frame, Outcome};

/// What a pod is made with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This start of the pod.
    pub me: Incarnation,
    /// No other pod works on the store: everything is ours, from the start.
    pub alone: bool,
    /// Ownership of the rooms, if we are alone.
    pub epochs: Epochs,
    /// Random bits, fresh at each start: what rooms that are made need is drawn from them.
    pub seed: [u8; 32],
    /// The lane that is written.
    pub lane: Lane,
    /// Rooms.
    pub shard: warren_shard::Settings,
    /// The link.
    pub egress: warren_egress::Settings,
}

/// One thing that happens to a pod.
#[expect(clippy::large_enum_variant, reason = "the large ones are the frequent ones; none is kept")]
#[derive(Debug)]
pub enum Input {
    /// The component stream is established.
    LinkUp,
    /// It is gone.
    LinkDown,
    /// A stanza came over it; the server vouches for `from`.
    Stanza(Stanza),
    /// An answer to [`Request::Load`].
    Loaded(BareJid, Result<Option<RoomRows>, String>),
    /// An answer to [`Request::Page`].
    Page(RoomId, ReadId, Result<Vec<LogRow>, String>),
    /// What became of [`Request::Write`]s: all that one commit answers comes at once, since what it led to has been said
    /// when the last of it has.
    Store(Vec<Completion>),
    /// Apply an object or take it away; the answer is [`Request::Answer`] with the same number.
    Change {
        /// Comes back with the answer.
        call: u64,
        /// What is wanted.
        change: Change,
    },
    /// How do these objects stand? The answer is [`Request::Reports`] with the same number.
    Ask {
        /// Comes back with the answer.
        call: u64,
        /// Which ones.
        objects: Vec<ObjectName>,
    },
    /// The table of owners was read.
    View(Arc<View>),
    /// There is a session with that pod.
    Connected(Incarnation),
    /// It is gone, with everything that was on its way.
    Disconnected(Incarnation),
    /// That pod says something.
    Frame(Incarnation, Frame),
    /// A session with that pod was lost, and its address refuses.
    Refused(Incarnation),
    /// An answer to [`Request::Backlog`].
    Backlog(Result<Backlog, String>),
    /// An answer to [`Request::Objects`].
    Objects(Result<Vec<Object>, String>),
    /// An answer to [`Request::Occupied`].
    Occupied(Result<Vec<BareJid>, String>),
    /// These shards are to be moved: they come to rest, then [`Request::Frozen`].
    Freeze(Vec<ShardId>),
    /// These were moved, or given away with all that we had.
    Moved(Vec<warren_store::Moved>),
    /// These stay after all.
    Thaw(Vec<ShardId>),
    /// Everything is to be moved, then [`Request::Drained`].
    Drain,
    /// The pod is about to end: what may wait is written now.
    Flush,
    /// A deadline has passed.
    Tick,
}

/// What the caller is to do.
#[derive(Debug)]
pub enum Request {
    /// Read everything of a room.
    Load(BareJid),
    /// Read a page of a log.
    Page {
        /// Which room.
        room: RoomId,
        /// Comes back with the answer.
        read: ReadId,
        /// Position before the first row.
        after: Seq,
        /// Rows at most.
        max: usize,
    },
    /// Write this.
    Write(Work),
    /// Delete what no path waits for any more, once the works before are written.
    Trim(Vec<Path>),
    /// The answer to a call.
    Answer {
        /// Which call.
        call: u64,
        /// What became of it.
        outcome: Outcome,
    },
    /// How objects stand.
    Reports {
        /// Which question.
        call: u64,
        /// Those that are known.
        reports: Vec<ObjectReport>,
    },
    /// Say this to that pod.
    Frame(Incarnation, Frame),
    /// Read the table of owners now.
    View,
    /// Read what was written and may not have been said.
    Backlog,
    /// Read all objects.
    Objects,
    /// Read which rooms have somebody in them.
    Occupied,
    /// These shards are at rest: everything of them is durable and said. Move them.
    Frozen(Vec<ShardId>),
    /// All are.
    Drained,
    /// Whether the link is ours now: connect, or end the stream. Never said when we are alone.
    Link(bool),
    /// That pod may be dead: `by` has lost its session, and its address refuses.
    Suspect {
        /// Who may be dead.
        pod: Incarnation,
        /// Who says so.
        by: Incarnation,
    },
    /// Another owner has taken over: stop at once.
    Dead,
}
