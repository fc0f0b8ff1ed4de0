//! SQLite: the embedded default of one pod.
//!
//! WAL with `synchronous=FULL`: a commit is on the disk when it returns. One connection writes, and each reader
//! has its own. A lock file beside the database keeps a second process out. Every start is a take-over.

mod lock;
mod read;
mod schema;
mod write;

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jid::BareJid;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use warren_model::{Batch, FmucKeyRow, Lane, LogRow, Object, Path, RoomId, RoomRows, Seq, UnixMs};

use self::lock::Lock;
use self::write::{Stop, describe};
use crate::{
    Backend, Backlog, CommitError, Incarnation, LaneRow, Ownership, Reader, Resolved, RoomSummary, StoreError, Touched,
    Window, Work,
};

/// `PRAGMA synchronous`: FULL.
const FULL: i64 = 2;

/// How a store is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The file grows to so many pages of 4 KiB at most; `None`: as the disk allows. For tests of a full disk.
    pub max_pages: Option<u32>,
    /// How long a statement waits for another program that has the database locked.
    pub busy: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_pages: None, busy: Duration::from_secs(2) }
    }
}

/// Where a store is, and the lock on it, which lasts as long as any handle.
#[derive(Clone, Debug)]
struct Home {
    path: PathBuf,
    options: Options,
    _lock: Arc<Lock>,
}

impl Home {
    fn connect(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&self.path, flags)
            .map_err(|e| StoreError::Unreadable { path: self.path.clone(), why: e.to_string() })?;
        conn.busy_timeout(self.options.busy)?;
        conn.set_prepared_statement_cache_capacity(64);
        Ok(conn)
    }

    fn writer(&self) -> Result<Connection, StoreError> {
        let conn = self.connect()?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update(None, "foreign_keys", true)?;
        // 16 MB: fewer and longer stops than with the default of 4 MB.
        conn.pragma_update(None, "wal_autocheckpoint", 4000)?;
        // KiB, when negative. Every room writes to a page of its own, so the default of 2 MB is read anew with each
        // commit once a few hundred rooms talk.
        conn.pragma_update(None, "cache_size", -32_768)?;
        if let Some(pages) = self.options.max_pages {
            conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
        }
        let found = synchronous(&conn)?;
        if found != FULL {
            return Err(StoreError::Failed(format!("SQLite is at synchronous={found} and does not change to FULL")));
        }
        Ok(conn)
    }

    fn reader(&self) -> Result<SqliteReader, StoreError> {
        let conn = self.connect()?;
        conn.pragma_update(None, "query_only", true)?;
        Ok(SqliteReader { conn, _home: self.clone() })
    }
}

fn synchronous(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("PRAGMA synchronous", [], |r| r.get(0))
}

/// A store in a file, with its writing connection.
#[derive(Debug)]
pub struct Sqlite {
    home: Home,
    /// `None` after an error that leaves a connection in doubt: the next use makes a new one.
    writer: Option<Connection>,
    reads: SqliteReader,
}

/// A connection that only reads.
#[derive(Debug)]
pub struct SqliteReader {
    conn: Connection,
    _home: Home,
}

impl Sqlite {
    /// Opens a store and brings its schema up to date; makes it if there is no such file.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`], [`StoreError::Newer`], [`StoreError::ShardScheme`], [`StoreError::NotAStore`],
    /// [`StoreError::Unreadable`], [`StoreError::Failed`].
    pub fn open(path: impl Into<PathBuf>, options: Options) -> Result<Self, StoreError> {
        let path = path.into();
        let lock = Arc::new(Lock::take(&path)?);
        let home = Home { path, options, _lock: lock };
        // Checked before the journal mode is set, which would write into a file that is not ours.
        let mut conn = home.connect()?;
        schema::prepare(&mut conn, &home.path)?;
        let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |r| r.get(0))?;
        if mode != "wal" {
            let why = format!("its file system does not carry a write-ahead log (journal mode {mode})");
            return Err(StoreError::Unreadable { path: home.path.clone(), why });
        }
        drop(conn);
        let (writer, reads) = (Some(home.writer()?), home.reader()?);
        Ok(Self { home, writer, reads })
    }

    /// The file.
    pub fn path(&self) -> &FilePath {
        &self.home.path
    }

    /// `PRAGMA synchronous` of the writing connection: 2 is FULL.
    pub fn synchronous(&mut self) -> Result<i64, StoreError> {
        Ok(synchronous(self.writer()?)?)
    }

    fn writer(&mut self) -> Result<&Connection, StoreError> {
        let conn = match self.writer.take() {
            Some(conn) => conn,
            None => self.home.writer()?,
        };
        Ok(self.writer.insert(conn))
    }

    /// Runs `body` in a transaction that takes the write lock at once. Unless it is done, nothing of it happened,
    /// except after [`CommitError::Unknown`].
    fn transaction<T>(&mut self, body: impl FnOnce(&Connection) -> Result<T, Stop>) -> Result<T, CommitError> {
        let conn = self.writer().map_err(|e| CommitError::Failed(e.to_string()))?;
        statement(conn, "BEGIN IMMEDIATE").map_err(|e| CommitError::Failed(describe(&e)))?;
        let result = match body(conn) {
            Err(stop) => Err(stop.into_commit_error()),
            Ok(value) => match statement(conn, "COMMIT") {
                Ok(()) => return Ok(value),
                Err(e) if e.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) => {
                    // The frames may be in the log, whatever a sync said about them.
                    self.writer = None;
                    return Err(CommitError::Unknown(describe(&e)));
                }
                Err(e) => Err(CommitError::Failed(describe(&e))),
            },
        };
        // Some errors have ended the transaction already.
        if !conn.is_autocommit() && statement(conn, "ROLLBACK").is_err() {
            self.writer = None;
        }
        result
    }
}

fn statement(conn: &Connection, sql: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(sql)?.execute([]).map(drop)
}

impl Backend for Sqlite {
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(self.home.reader()?))
    }

    fn take_over(&mut self, incarnation: Incarnation, now: UnixMs) -> Result<Ownership, StoreError> {
        self.transaction(|conn| Ok(write::take_over(conn, incarnation, now)?))
            .map_err(|e| StoreError::Failed(e.to_string()))
    }

    fn commit_after(&mut self, lane: Lane, known: Option<Batch>, work: &[Work]) -> Result<Batch, CommitError> {
        self.transaction(|conn| write::group(conn, lane, known, work))
    }

    fn resolve(&mut self, lane: Lane, known: Batch) -> Result<Resolved, StoreError> {
        self.writer = None;
        // Reading is not enough: frames of a commit whose sync failed lie where the next commit writes, and until
        // one has, a crash could still bring them back. So the answer is read in a transaction that writes (and
        // counts, since SQLite does not write what it finds unchanged).
        let row = self
            .transaction(|conn| {
                conn.execute("UPDATE meta SET questions = questions + 1", [])?;
                let row = read::lanes(conn)?.into_iter().find(|row| row.lane == lane);
                Ok(row)
            })
            .map_err(|e| StoreError::Failed(e.to_string()))?;
        Ok(match row {
            Some(row) if row.open && row.batch.0 == known.0 + 1 => Resolved::Done(row.batch),
            Some(row) if row.open && row.batch == known => Resolved::NotDone,
            _ => Resolved::Fenced,
        })
    }

    fn trim_batches(&mut self, lane: Lane, awaited: &[Path]) -> Result<u64, CommitError> {
        self.transaction(|conn| write::trim_batches(conn, lane, awaited))
    }

    fn trim_log(&mut self, lane: Lane, room: RoomId, through: Seq, max: usize) -> Result<u64, CommitError> {
        self.transaction(|conn| write::trim_log(conn, lane, room, through, max))
    }
}

impl Reader for SqliteReader {
    fn load_room(&mut self, room: &BareJid, window: Window) -> Result<Option<RoomRows>, StoreError> {
        Ok(read::load_room(&self.conn, room, window)?)
    }
    fn room_jid(&mut self, room: RoomId) -> Result<Option<BareJid>, StoreError> {
        Ok(read::room_jid(&self.conn, room)?)
    }
    fn page(&mut self, room: RoomId, after: Seq, max: usize) -> Result<Vec<LogRow>, StoreError> {
        Ok(read::page(&self.conn, room, after, max)?)
    }
    fn page_back(&mut self, room: RoomId, before: Seq, max: usize) -> Result<Vec<LogRow>, StoreError> {
        Ok(read::page_back(&self.conn, room, before, max)?)
    }
    fn fmuc_keys(&mut self, room: RoomId, origin: &BareJid, id: &str) -> Result<Vec<FmucKeyRow>, StoreError> {
        Ok(read::fmuc_keys(&self.conn, room, origin, id)?)
    }
    fn touched(&mut self, lane: Lane, after: Batch) -> Result<Vec<Touched>, StoreError> {
        Ok(read::touched(&self.conn, lane, after)?)
    }
    fn lanes(&mut self) -> Result<Vec<LaneRow>, StoreError> {
        Ok(read::lanes(&self.conn)?)
    }
    fn watermarks(&mut self) -> Result<Vec<(Lane, Path, Batch)>, StoreError> {
        Ok(read::watermarks(&self.conn)?)
    }
    fn backlog(&mut self) -> Result<Backlog, StoreError> {
        Ok(read::backlog(&self.conn)?)
    }
    fn rooms_with_occupants(&mut self, path: Option<&Path>) -> Result<Vec<BareJid>, StoreError> {
        Ok(read::rooms_with_occupants(&self.conn, path)?)
    }
    fn rooms(&mut self, domain: &str, after: Option<&BareJid>, max: usize) -> Result<Vec<RoomSummary>, StoreError> {
        Ok(read::rooms(&self.conn, domain, after, max)?)
    }
    fn objects(&mut self) -> Result<Vec<Object>, StoreError> {
        Ok(read::objects(&self.conn)?)
    }
}

reads_through!(Sqlite, reads);
