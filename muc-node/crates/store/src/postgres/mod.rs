//! PostgreSQL: the store of a cluster.
//!
//! # What guards what
//!
//! - The row of a **lane** is the first fence. Every group commit counts it up, if the lane is open, and so holds its
//!   lock until its end; whoever closes the lane waits for that commit and shuts out the next one. A lane that is not
//!   at the batch that its owner knows shuts it out as well: the database has lost its tail.
//! - The row of a **shard** guards moves between two pods that both live and whose lanes stay open: a commit looks,
//!   after it has the lane's lock, whether a shard of its works has a higher epoch than they were decided under
//!   (then the work is rejected); a move locks the lanes of the owner that loses the shard. So a commit is either
//!   seen by whoever loads the shard's rooms after the move, or does not happen. A pod of several must have the shard,
//!   under just this epoch: in a database that has lost its tail a higher one is of a move that never was, and the pod is
//!   fenced. One pod that has the whole store works under an epoch above those of all shards.
//! - The key `(room, seq)` of the log is the second fence, whatever else went wrong.
//!
//! # What is asked of the server
//!
//! A primary (`target_session_attrs=read-write` is implied), UTF-8, `synchronous_commit` not `off` (asserted on every
//! connection that writes). A commit that the server reports with a warning, which is how it says that it did not
//! wait for its standbys, counts as unknown until a later write was replicated. Decisions never use its clock.
//! Connections keep settings and prepared statements, so a proxy that pools them by transaction does not do.

mod cluster;
mod dsn;
mod group;
mod owners;
mod read;
mod rows;
mod schema;
mod session;
mod tls;
mod trouble;
mod write;

use std::time::Duration;

use jid::BareJid;
use warren_model::{Batch, FmucKeyRow, Lane, LogRow, Object, Path, RoomId, RoomRows, Seq, UnixMs};

pub use self::cluster::PostgresCluster;
use self::schema::Found;
use self::session::{Connection, Target, Trouble, on};
use crate::{
    Backend, Backlog, CommitError, Incarnation, LaneRow, Ownership, Reader, Resolved, RoomSummary, StoreError, Touched,
    Window, Work,
};

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostgresOptions {
    /// Attempts to connect go on for so long, so that a server that restarts is a pause and no error.
    pub connect: Duration,
    /// A statement that takes longer is an error.
    pub answer: Duration,
    /// The server ends a transaction whose client does nothing for so long: its lanes are locked until then. A pod
    /// that takes over from one that vanished inside a commit waits for it, or for the server's TCP to give up a host
    /// that is not heard of for twice that time, to the next second and two at least.
    pub idle: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { connect: Duration::from_secs(3), answer: Duration::from_secs(4), idle: Duration::from_secs(1) }
    }
}

/// A store in a PostgreSQL database, with its writing connection.
#[derive(Debug)]
pub struct Postgres {
    target: Target,
    writer: Connection,
    reads: PostgresReader,
}

/// A connection that only reads.
#[derive(Debug)]
pub struct PostgresReader {
    connection: Connection,
}

impl Postgres {
    /// Opens a store and brings its schema up to date; makes it if the database has no tables.
    ///
    /// `dsn` is a libpq connection string or URL; of TLS it may hold `sslmode` (`disable`, `prefer`, `require`,
    /// `verify-ca`, `verify-full`), `sslrootcert`, `sslcert` and `sslkey`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Newer`], [`StoreError::ShardScheme`], [`StoreError::NotAStore`], [`StoreError::Unreachable`].
    pub fn open(dsn: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        let unreachable = |name: &str, why: String| StoreError::Unreachable { name: name.to_owned(), why };
        let target = Target::parse(dsn, options).map_err(|why| unreachable("connection string", why))?;
        let mut writer = Connection::new(target.clone(), true);
        let found = on!(writer, |wire| schema::prepare(wire, target.name()));
        match found.map_err(|trouble| unreachable(target.name(), trouble.why()))? {
            Found::Ready => {}
            Found::Refused(error) => return Err(error),
        }
        let reads = PostgresReader { connection: Connection::new(target.clone(), false) };
        Ok(Self { target, writer, reads })
    }

    /// The verbs of a cluster, on a connection of their own. What beats wants shorter times than what writes.
    pub fn cluster(&self, options: PostgresOptions) -> PostgresCluster {
        PostgresCluster { connection: Connection::new(self.target.with(options), true) }
    }

    /// Server and database, without a password.
    pub fn name(&self) -> &str {
        self.target.name()
    }

    /// `synchronous_commit` of the writing connection.
    pub fn synchronous_commit(&mut self) -> Result<String, StoreError> {
        Ok(on!(self.writer, |wire| wire.synchronous_commit())?)
    }
}

/// As [`on!`], and once more on a new connection if the old one broke before it could have done anything for good:
/// that is nobody else's business.
macro_rules! again {
    ($connection:expr, |$wire:ident| $work:expr) => {
        match on!($connection, |$wire| $work) {
            Err(Trouble::Lost(_)) => Ok(on!($connection, |$wire| $work)?),
            answer => Ok(answer?),
        }
    };
}

impl Backend for Postgres {
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(PostgresReader { connection: Connection::new(self.target.clone(), false) }))
    }

    fn take_over(&mut self, incarnation: Incarnation, now: UnixMs) -> Result<Ownership, StoreError> {
        again!(self.writer, |wire| write::take_over(wire, incarnation, now))
    }

    fn commit_after(&mut self, lane: Lane, known: Option<Batch>, work: &[Work]) -> Result<Batch, CommitError> {
        again!(self.writer, |wire| write::commit(wire, lane, known, work))
    }

    fn resolve(&mut self, lane: Lane, known: Batch) -> Result<Resolved, StoreError> {
        self.writer.forget();
        Ok(on!(self.writer, |wire| write::resolve(wire, lane, known))?)
    }

    fn trim_batches(&mut self, lane: Lane, awaited: &[Path]) -> Result<u64, CommitError> {
        again!(self.writer, |wire| write::trim_batches(wire, lane, awaited))
    }

    fn trim_log(&mut self, lane: Lane, room: RoomId, through: Seq, max: usize) -> Result<u64, CommitError> {
        again!(self.writer, |wire| write::trim_log(wire, lane, room, through, max))
    }
}

impl Reader for PostgresReader {
    fn load_room(&mut self, room: &BareJid, window: Window) -> Result<Option<RoomRows>, StoreError> {
        again!(self.connection, |wire| read::load_room(wire, room, window))
    }
    fn room_jid(&mut self, room: RoomId) -> Result<Option<BareJid>, StoreError> {
        again!(self.connection, |wire| read::room_jid(wire, room))
    }
    fn page(&mut self, room: RoomId, after: Seq, max: usize) -> Result<Vec<LogRow>, StoreError> {
        again!(self.connection, |wire| read::page(wire, room, after, max))
    }
    fn page_back(&mut self, room: RoomId, before: Seq, max: usize) -> Result<Vec<LogRow>, StoreError> {
        again!(self.connection, |wire| read::page_back(wire, room, before, max))
    }
    fn fmuc_keys(&mut self, room: RoomId, origin: &BareJid, id: &str) -> Result<Vec<FmucKeyRow>, StoreError> {
        again!(self.connection, |wire| read::fmuc_keys(wire, room, origin, id))
    }
    fn touched(&mut self, lane: Lane, after: Batch) -> Result<Vec<Touched>, StoreError> {
        again!(self.connection, |wire| read::touched(wire, lane, after))
    }
    fn lanes(&mut self) -> Result<Vec<LaneRow>, StoreError> {
        again!(self.connection, |wire| read::lanes(wire))
    }
    fn watermarks(&mut self) -> Result<Vec<(Lane, Path, Batch)>, StoreError> {
        again!(self.connection, |wire| read::watermarks(wire))
    }
    fn backlog(&mut self) -> Result<Backlog, StoreError> {
        again!(self.connection, |wire| read::backlog(wire))
    }
    fn rooms_with_occupants(&mut self, path: Option<&Path>) -> Result<Vec<BareJid>, StoreError> {
        again!(self.connection, |wire| read::rooms_with_occupants(wire, path))
    }
    fn rooms(&mut self, domain: &str, after: Option<&BareJid>, max: usize) -> Result<Vec<RoomSummary>, StoreError> {
        again!(self.connection, |wire| read::rooms(wire, domain, after, max))
    }
    fn objects(&mut self) -> Result<Vec<Object>, StoreError> {
        again!(self.connection, |wire| read::objects(wire))
    }
}

reads_through!(Postgres, reads);
