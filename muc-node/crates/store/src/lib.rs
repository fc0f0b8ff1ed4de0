//! The store: its contract, a model that can fail on purpose, SQLite, PostgreSQL, one conformance suite.
//!
//! # What is kept
//!
//! Rows are the state: rooms, sessions, affiliations, peerings and one log per room, plus what delivery needs
//! (lanes, batches, watermarks) and the declared objects. The store carries plain data; it never looks inside a
//! payload and knows no XML.
//!
//! # How it is written
//!
//! A writer owns a **lane**. It gets one from [`Backend::take_over`], which closes every lane before it, and
//! hands group commits to [`Backend::commit`]. A commit is one transaction that begins by counting up the lane's
//! row, *if the lane is still open*. That row does three things at once:
//!
//! - it is the **fence**: a stale owner's commit finds its lane closed and changes nothing;
//! - its number, the [`Batch`], stamps what was written, so that delivery can resume from a watermark;
//! - it answers "did my last commit happen?" after a lost connection ([`Backend::resolve`]).
//!
//! The key `(room, seq)` of the log is the **second fence**: a position that is taken fails the transaction.
//! A commit happens whole or not at all. [`LaneQueue`] turns single works into such groups and keeps the order of
//! a room when something fails; [`Writer`] runs it on a thread, the simulator runs it over [`Faulty`].
//!
//! # Several pods
//!
//! A store that several pods write on has a lane or more for each of them, and owners for each shard and link:
//! [`Cluster`]. There no take-over of the whole store happens; a commit is fenced by the pod's own lane and by the
//! epoch of each work's shard.
//!
//! # Threads
//!
//! All verbs block. A backend runs on threads of its own ([`Writer`], [`Readers`]) and answers through callbacks.
//! [`Postgres`] drives its asynchronous client to completion inside these threads; nothing above this crate notices,
//! and the suite (feature `conformance`) runs on all of them as it is.

use jid::BareJid;
use warren_model::{Batch, FmucKeyRow, Lane, LogRow, Object, Path, RoomId, RoomRows, Seq, UnixMs};

#[macro_use]
mod reads_through;

mod cluster;
pub mod code;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod faulty;
mod memory;
mod model;
mod postgres;
mod queue;
mod reader;

mod sqlite;
mod types;
mod work;
mod writer;

pub use warren_model::{Incarnation, Routed, Thing};

pub use cluster::{
    Assignment, Claim, Closed, Cluster, Join, Joined, LinkRow, Moved, PodRow, PodState, ShardRow, TakeOver, View,
};
pub use error::{CommitError, StoreError};
pub use faulty::{Faulty, TxId};
pub use memory::Memory;
pub use model::{Breakage, Model};
pub use postgres::{Postgres, PostgresCluster, PostgresOptions, PostgresReader};
pub use queue::{Completion, LaneQueue, Limits, Step};
pub use reader::{ReadRequest, Readers};

pub use sqlite::{Options, Sqlite, SqliteReader};
pub use types::{Backlog, LaneRow, Ownership, Resolved, RoomSummary, Span, Touched, Window};
pub use work::Work;
pub use writer::{OnCompletion, Refused, Submitter, Task, Writer};

/// [`Reader::load_room`] looks for messages no further back than so many positions before the head, so that a
/// room of a million joins and no message loads as fast as any other.
pub const HISTORY_REACH: u64 = 65_536;

/// Reads. They see what is committed, never a commit in flight, and each one sees a single moment.
///
/// Every verb fails only with [`StoreError::Failed`] (try again) or [`StoreError::Corrupt`] (a row that this
/// version cannot read).
pub trait Reader: Send {
    /// Everything a room is made from; `None`: there is no room at this address.
    ///
    /// - `history`: the newest `window.messages` rows of kind `Message` within [`HISTORY_REACH`], oldest first.
    /// - `subject`: the row at `room.subject_seq`.
    /// - `fmuc_keys`: the newest `window.keys`, oldest first.
    /// - `routed`: the highest number of each source whose stanzas left something in this room.
    /// - `room.head`: the higher one of the stored head and the last position in the log, so that a head need not
    ///   be written with every message.
    fn load_room(&mut self, room: &BareJid, window: Window) -> Result<Option<RoomRows>, StoreError>;

    /// Address of a room; `None`: it is gone.
    fn room_jid(&mut self, room: RoomId) -> Result<Option<BareJid>, StoreError>;

    /// At most `max` log rows of a room after `after`, in order; none for a room that is gone.
    fn page(&mut self, room: RoomId, after: Seq, max: usize) -> Result<Vec<LogRow>, StoreError>;

    /// At most `max` log rows of a room before `before`, the nearest ones, in ascending order.
    fn page_back(&mut self, room: RoomId, before: Seq, max: usize) -> Result<Vec<LogRow>, StoreError>;

    /// What is remembered of a foreign id: one row for each digest that it came with, by digest.
    fn fmuc_keys(&mut self, room: RoomId, origin: &BareJid, id: &str) -> Result<Vec<FmucKeyRow>, StoreError>;

    /// Which log rows the batches of a lane after `after` wrote: by batch, in a batch in order of first writing.
    /// Rooms that are gone since are left out.
    fn touched(&mut self, lane: Lane, after: Batch) -> Result<Vec<Touched>, StoreError>;

    /// All lanes that are open or still have something to deliver, by number.
    fn lanes(&mut self) -> Result<Vec<LaneRow>, StoreError>;

    /// All watermarks, by lane and path.
    fn watermarks(&mut self) -> Result<Vec<(Lane, Path, Batch)>, StoreError>;

    /// Lanes, what their batches wrote, and watermarks, all of one moment: no lane in it is behind its batches.
    fn backlog(&mut self) -> Result<Backlog, StoreError>;

    /// Rooms with sessions, by address (domain, then localpart).
    ///
    /// With a path: only rooms of its local domain with a session of its remote domain *that joined here*
    /// (sessions behind a peering are not on that path).
    fn rooms_with_occupants(&mut self, path: Option<&Path>) -> Result<Vec<BareJid>, StoreError>;

    /// At most `max` rooms of a domain after `after`, by localpart (bytewise).
    fn rooms(&mut self, domain: &str, after: Option<&BareJid>, max: usize) -> Result<Vec<RoomSummary>, StoreError>;

    /// All declared objects, by kind, namespace and name.
    fn objects(&mut self) -> Result<Vec<Object>, StoreError>;
}

/// The whole store: reads, and writes by the owner of a lane.
pub trait Backend: Reader {
    /// Another reader, on a connection of its own.
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError>;

    /// Takes the store over for a new incarnation. One transaction: closes every open lane (and so waits for a
    /// commit in flight on it), opens a new lane, raises the epoch to max(old + 1, Unix seconds of `now`), so that
    /// a restored backup cannot repeat one.
    ///
    /// May be repeated after an error; each success makes the lanes before it stale.
    fn take_over(&mut self, incarnation: Incarnation, now: UnixMs) -> Result<Ownership, StoreError>;

    /// One group commit: durable as a whole once it returns the batch, or nothing of it happened (unless
    /// [`CommitError::Unknown`]).
    ///
    /// Works are applied in order; see [`Work`] for what each one does and when it is rejected.
    ///
    /// `known` is the last batch of the lane that the caller knows to have happened. If the store knows another one, it
    /// has lost its tail (or is another store), and what the caller decided is built on what is not there:
    /// [`CommitError::Fenced`]. So it is if a work was decided under an ownership of its shard that the store does not
    /// know. `None` takes any: for whoever has decided nothing before.
    fn commit_after(&mut self, lane: Lane, known: Option<Batch>, work: &[Work]) -> Result<Batch, CommitError>;

    /// [`Self::commit_after`] any batch.
    fn commit(&mut self, lane: Lane, work: &[Work]) -> Result<Batch, CommitError> {
        self.commit_after(lane, None, work)
    }

    /// After [`CommitError::Unknown`]: waits for whatever is left of that transaction, on a new connection, and
    /// says for good whether it happened. `known` is the last batch that is known to have happened.
    ///
    /// An error says nothing: ask again.
    fn resolve(&mut self, lane: Lane, known: Batch) -> Result<Resolved, StoreError>;

    /// Deletes the batch rows that every path in `awaited` has passed (a path without a watermark on a lane has
    /// passed nothing of it), then the closed lanes that have none left, with their watermarks. Returns how many
    /// batch rows went. After `Unknown`, as after any error, it may simply be repeated.
    ///
    /// `awaited` are the paths that may still want a replay; for all others nothing is kept.
    fn trim_batches(&mut self, lane: Lane, awaited: &[Path]) -> Result<u64, CommitError>;

    /// Deletes log rows of a room up to and including `through`, at most `max` of them, lowest first, and raises
    /// the room's `low` to the first position behind them. The subject's row stays. Returns how many went; fewer
    /// than `max`: there are no more. After `Unknown`, as after any error, it may simply be repeated.
    fn trim_log(&mut self, lane: Lane, room: RoomId, through: Seq, max: usize) -> Result<u64, CommitError>;
}
