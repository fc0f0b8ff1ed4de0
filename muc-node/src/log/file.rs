//! The store, read only, beside a node that may be running on it.
//!
//! `warren_store` opens a store for its owner: with the lock, and ready to bring its schema up to date. This is the
//! other way in; it takes no lock, and SQLite's log of writes shows it one committed moment at a time.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use jid::{BareJid, Jid};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use warren_model::{Epoch, LogKind, LogRow, RoomId, Secret, Seq, UnixMs};
use warren_store::code::Code;

use super::Log;

/// The schemas that are read here: the tables of rooms and logs are the same in them.
const SCHEMAS: RangeInclusive<u32> = 1..=3;

/// A store that is only read.
pub struct LogFile {
    conn: Connection,
    path: PathBuf,
}

impl LogFile {
    /// Opens it.
    ///
    /// # Errors
    /// One sentence.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        if !path.is_file() {
            bail!("there is no store {}: name the file that the node has in --store", path.display());
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || -> rusqlite::Result<_> {
            let conn = Connection::open_with_flags(path, flags)?;
            let schema: u32 = conn.query_row("SELECT schema FROM meta", [], |r| r.get(0))?;
            Ok((conn, schema))
        };
        let (conn, schema) = open().with_context(|| {
            format!(
                "{} cannot be read as a store (its directory must be writable when no node runs on it)",
                path.display()
            )
        })?;
        if !SCHEMAS.contains(&schema) {
            bail!("the store {} has schema {schema}, and this version reads up to {}", path.display(), SCHEMAS.end());
        }
        Ok(Self { conn, path: path.to_owned() })
    }

    fn broken(&self) -> String {
        format!("the store {} cannot be read", self.path.display())
    }
}

impl Log for LogFile {
    fn room(&mut self, jid: &BareJid) -> anyhow::Result<Option<(RoomId, Secret)>> {
        let sql = "SELECT id, secret FROM room WHERE domain = ?1 AND localpart = ?2";
        let address = params![jid.domain().as_str(), jid.node().map_or("", |node| node.as_str())];
        let row = |r: &Row<'_>| Ok((RoomId(unsigned(r.get(0)?)), Secret(r.get(1)?)));
        self.conn.query_row(sql, address, row).optional().with_context(|| self.broken())
    }

    fn page(&mut self, room: RoomId, after: Seq, max: usize) -> anyhow::Result<Vec<LogRow>> {
        let rows = || -> rusqlite::Result<_> {
            let sql = "SELECT seq, epoch, kind, at, eff, jid, nick, ingress, id, payload FROM log \
                       WHERE room = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
            let bounds = params![signed(room.0), signed(after.0), i64::try_from(max).unwrap_or(i64::MAX)];
            self.conn.prepare_cached(sql)?.query_map(bounds, log_row)?.collect()
        };
        rows().with_context(|| self.broken())
    }
}

fn log_row(r: &Row<'_>) -> rusqlite::Result<LogRow> {
    let address = |column: usize| -> rusqlite::Result<Option<Jid>> {
        Ok(r.get::<_, Option<String>>(column)?.and_then(|jid| Jid::new(&jid).ok()))
    };
    let kind: u8 = r.get(2)?;
    let kind = LogKind::from_code(kind).ok_or(rusqlite::Error::IntegralValueOutOfRange(2, i64::from(kind)))?;
    Ok(LogRow {
        seq: Seq(unsigned(r.get(0)?)),
        epoch: Epoch(r.get(1)?),
        kind,
        at: UnixMs(unsigned(r.get(3)?)),
        eff: UnixMs(unsigned(r.get(4)?)),
        jid: address(5)?,
        nick: r.get::<_, String>(6)?.into(),
        ingress: address(7)?.map(|jid| jid.to_bare()),
        id: r.get::<_, Option<String>>(8)?.map(Into::into),
        payload: r.get(9)?,
    })
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or_default()
}
