//! The store that several nodes share, read by the same verbs as theirs.

use jid::BareJid;
use warren_model::{LogRow, RoomId, Secret, Seq};
use warren_store::{Postgres, PostgresOptions, Reader, Window};

use super::Log;

/// A database that is only read.
pub struct LogDatabase(Postgres);

impl LogDatabase {
    /// Opens it.
    ///
    /// # Errors
    /// One sentence.
    pub fn open(dsn: &str) -> anyhow::Result<Self> {
        Ok(Self(Postgres::open(dsn, PostgresOptions::default())?))
    }
}

impl Log for LogDatabase {
    fn room(&mut self, jid: &BareJid) -> anyhow::Result<Option<(RoomId, Secret)>> {
        let rows = self.0.load_room(jid, Window { messages: 0, keys: 0 })?;
        Ok(rows.map(|rows| (rows.room.id, rows.room.secret)))
    }

    fn page(&mut self, room: RoomId, after: Seq, max: usize) -> anyhow::Result<Vec<LogRow>> {
        Ok(self.0.page(room, after, max)?)
    }
}
