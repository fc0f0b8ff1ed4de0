//! Group commits, take-over and trimming, inside a transaction that the caller begins and ends.

use jid::Jid;
use rusqlite::{Connection, OptionalExtension, Params, params};
use warren_model::{
    AffiliationRow, Batch, Epoch, FmucKeyRow, Lane, LogRow, OccupantRow, Path, PeeringRow, RoomId, RoomRow, Routed,
    Row, Seq, Shard, UnixMs,
};

use super::read::{int, unsigned};
use crate::code::Code;
use crate::types::{Spans, lane_after, spans_to_text};
use crate::{CommitError, Incarnation, Ownership, Work};

/// What stopped a transaction before its end.
pub enum Stop {
    /// The lane is closed.
    Fenced,
    /// This work must not happen.
    Rejected(usize, String),
    /// A statement outside of any work failed.
    Sql(rusqlite::Error),
    /// A statement of this work failed.
    SqlOf(usize, String, rusqlite::Error),
}

impl From<rusqlite::Error> for Stop {
    fn from(e: rusqlite::Error) -> Self {
        Self::Sql(e)
    }
}

impl Stop {
    /// As the caller of a commit sees it.
    pub fn into_commit_error(self) -> CommitError {
        use rusqlite::ErrorCode::{ConstraintViolation, TooBig};
        match self {
            Self::Fenced => CommitError::Fenced,
            Self::Rejected(index, why) => CommitError::Rejected { index: Some(index), why },
            Self::Sql(e) => CommitError::Failed(describe(&e)),
            Self::SqlOf(index, of, e) => match e.sqlite_error_code() {
                Some(ConstraintViolation | TooBig) => {
                    CommitError::Rejected { index: Some(index), why: format!("{of}: {e}") }
                }
                _ => CommitError::Failed(describe(&e)),
            },
        }
    }
}

/// One sentence on what SQLite said.
pub fn describe(e: &rusqlite::Error) -> String {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, ReadOnly, SystemIoFailure};
    match e.sqlite_error_code() {
        Some(DiskFull) => "the store is full: make room on its disk, or raise its size limit".to_owned(),
        Some(DatabaseBusy | DatabaseLocked) => {
            "the database is locked by another program (an open sqlite3 shell?)".to_owned()
        }
        Some(ReadOnly) => "the database is read-only".to_owned(),
        Some(SystemIoFailure) => format!("the disk failed: {e}"),
        _ => e.to_string(),
    }
}

fn run(conn: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
    conn.prepare_cached(sql)?.execute(params)
}

/// Closes all lanes, opens one, raises the epoch.
pub fn take_over(conn: &Connection, incarnation: Incarnation, now: UnixMs) -> rusqlite::Result<Ownership> {
    run(conn, "UPDATE lane SET open = 0 WHERE open = 1", [])?;
    let old: u32 = conn.query_row("SELECT epoch FROM meta", [], |r| r.get(0))?;
    let seconds = u32::try_from(now.0 / 1000).unwrap_or(u32::MAX);
    let epoch = Epoch(old.saturating_add(1).max(seconds));
    // Counted by the take-overs that the store has seen: a trimmed one must not come back.
    let last: i64 = conn.query_row("SELECT last_lane FROM meta", [], |r| r.get(0))?;
    let lane = lane_after(unsigned(last), incarnation);
    run(conn, "UPDATE meta SET epoch = ?1, last_lane = ?2", params![epoch.0, int(lane.0)])?;
    run(
        conn,
        "INSERT INTO lane (id, incarnation, epoch, batch, open) VALUES (?1, ?2, ?3, 0, 1)",
        params![int(lane.0), incarnation.to_string(), epoch.0],
    )?;
    Ok(Ownership { epoch, lane, batch: Batch(0) })
}

/// All of a group commit between BEGIN and COMMIT.
pub fn group(conn: &Connection, lane: Lane, known: Option<Batch>, work: &[Work]) -> Result<Batch, Stop> {
    let fence = conn
        .prepare_cached(
            "UPDATE lane SET batch = batch + 1 WHERE id = ?1 AND open = 1 AND (?2 IS NULL OR batch = ?2) \
             RETURNING batch, epoch",
        )?
        .query_row(params![int(lane.0), known.map(|known| int(known.0))], |r| {
            Ok((r.get::<_, i64>(0)?, r.get::<_, u32>(1)?))
        })
        .optional()?;
    let Some((batch, epoch)) = fence else { return Err(Stop::Fenced) };
    let mut writer = Group { conn, lane: int(lane.0), batch, epoch: Epoch(epoch), spans: Spans::default() };
    for (index, w) in work.iter().enumerate() {
        w.check().map_err(|why| Stop::Rejected(index, why))?;
        writer.work(index, w)?;
    }
    if !writer.spans.list().is_empty() {
        run(
            conn,
            "INSERT INTO batch (lane, batch, touched) VALUES (?1, ?2, ?3)",
            params![writer.lane, batch, spans_to_text(writer.spans.list())],
        )?;
    }
    Ok(Batch(unsigned(batch)))
}

struct Group<'a> {
    conn: &'a Connection,
    lane: i64,
    batch: i64,
    epoch: Epoch,
    spans: Spans,
}

impl Group<'_> {
    fn work(&mut self, index: usize, work: &Work) -> Result<(), Stop> {
        match work {
            Work::Room { room, shard, epoch, rows, .. } => {
                if *epoch < self.epoch {
                    let why = format!("room {room}: decided under epoch {epoch}, the store is at {}", self.epoch);
                    return Err(Stop::Rejected(index, why));
                }
                rows.iter()
                    .try_for_each(|row| self.row(*room, *shard, row))
                    .and_then(|()| work.kept().map_or(Ok(()), |routed| self.routed(*room, routed)))
                    .map_err(|e| Stop::SqlOf(index, format!("room {room}"), e))
            }
            Work::Watermark { lane, path, batch } => run(
                self.conn,
                "INSERT INTO watermark (lane, local, remote, batch) \
                 SELECT id, ?2, ?3, ?4 FROM lane WHERE id = ?1 \
                 ON CONFLICT (lane, local, remote) DO UPDATE SET batch = excluded.batch \
                 WHERE excluded.batch > watermark.batch",
                params![int(lane.0), path.local, path.remote, int(batch.0)],
            )
            .map(drop)
            .map_err(|e| Stop::SqlOf(index, format!("watermark of {path}"), e)),
            Work::Object { object, .. } => {
                let body = serde_json::to_string(&object.body)
                    .map_err(|e| Stop::Rejected(index, format!("{}: {e}", object.name)))?;
                run(
                    self.conn,
                    "INSERT INTO object (kind, namespace, name, uid, generation, digest, body) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                     ON CONFLICT (kind, namespace, name) DO UPDATE SET uid = excluded.uid, \
                     generation = excluded.generation, digest = excluded.digest, body = excluded.body",
                    params![
                        object.name.kind.code(),
                        object.name.namespace,
                        object.name.name,
                        object.uid,
                        object.generation.0,
                        object.digest,
                        body
                    ],
                )
                .map(drop)
                .map_err(|e| Stop::SqlOf(index, object.name.to_string(), e))
            }
            Work::ObjectGone { name, .. } => run(
                self.conn,
                "DELETE FROM object WHERE kind = ?1 AND namespace = ?2 AND name = ?3",
                params![name.kind.code(), name.namespace, name.name],
            )
            .map(drop)
            .map_err(|e| Stop::SqlOf(index, name.to_string(), e)),
        }
    }

    fn routed(&self, room: RoomId, routed: Routed) -> rusqlite::Result<()> {
        self.run(
            "INSERT INTO routed (room, source, n) VALUES (?1, ?2, ?3) \
             ON CONFLICT (room, source) DO UPDATE SET n = excluded.n WHERE excluded.n > routed.n",
            params![int(room.0), routed.source.to_string(), int(routed.n)],
        )
    }

    fn row(&mut self, room: RoomId, shard: Shard, row: &Row) -> rusqlite::Result<()> {
        let id = int(room.0);
        match row {
            Row::Room(r) => self.room(shard, r),
            Row::RoomGone => self.run("DELETE FROM room WHERE id = ?1", [id]),
            Row::Occupant(o) => self.occupant(id, o),
            Row::OccupantGone { jid, nick } => self.run(
                "DELETE FROM occupant WHERE room = ?1 AND jid = ?2 AND nick = ?3",
                params![id, jid.as_str(), nick],
            ),
            Row::Presence { jid, nick, presence } => self.run(
                "UPDATE occupant SET presence = ?4 WHERE room = ?1 AND jid = ?2 AND nick = ?3",
                params![id, jid.as_str(), nick, presence],
            ),
            Row::Affiliation(a) => self.affiliation(id, a),
            Row::AffiliationGone(jid) => {
                self.run("DELETE FROM affiliation WHERE room = ?1 AND jid = ?2", params![id, jid.as_str()])
            }
            Row::Peering(p) => self.peering(id, p),
            Row::PeeringGone(peer) => {
                self.run("DELETE FROM peering WHERE room = ?1 AND peer = ?2", params![id, peer.as_str()])
            }
            Row::Log(l) => {
                self.log(id, l)?;
                self.spans.extend(room, l.seq);
                Ok(())
            }
            Row::FmucKey(k) => self.fmuc_key(id, k),
        }
    }

    fn run(&self, sql: &str, params: impl Params) -> rusqlite::Result<()> {
        run(self.conn, sql, params).map(drop)
    }

    fn room(&self, shard: Shard, r: &RoomRow) -> rusqlite::Result<()> {
        // An upsert, never REPLACE: that would delete the room first, with all that belongs to it.
        self.run(
            "INSERT INTO room (id, shard, domain, localpart, birth, secret, object_uid, generation, config, \
             subject_seq, low, head) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
             ON CONFLICT (id) DO UPDATE SET shard = excluded.shard, domain = excluded.domain, \
             localpart = excluded.localpart, birth = excluded.birth, secret = excluded.secret, \
             object_uid = excluded.object_uid, generation = excluded.generation, config = excluded.config, \
             subject_seq = excluded.subject_seq, head = excluded.head, \
             low = CASE WHEN excluded.low > room.low THEN excluded.low ELSE room.low END",
            params![
                int(r.id.0),
                shard.0,
                r.jid.domain().as_str(),
                r.jid.node().map_or("", |n| n.as_str()),
                r.birth.to_string(),
                &r.secret.0[..],
                r.object_uid,
                r.generation,
                r.config,
                int(r.subject_seq.0),
                int(r.low.0),
                int(r.head.0),
            ],
        )
    }

    fn occupant(&self, room: i64, o: &OccupantRow) -> rusqlite::Result<()> {
        self.run(
            "INSERT INTO occupant (room, jid, nick, domain, role, peering, peer_nick, peer_affiliation, join_seq, \
             seq, presence) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
             ON CONFLICT (room, jid, nick) DO UPDATE SET role = excluded.role, peering = excluded.peering, \
             peer_nick = excluded.peer_nick, peer_affiliation = excluded.peer_affiliation, \
             join_seq = excluded.join_seq, seq = excluded.seq, presence = excluded.presence",
            params![
                room,
                o.jid.as_str(),
                o.nick,
                o.jid.domain().as_str(),
                o.role.code(),
                o.peering.as_ref().map(|p| p.as_str()),
                o.peer_nick,
                o.peer_affiliation.code(),
                int(o.join_seq.0),
                int(o.seq.0),
                o.presence,
            ],
        )
    }

    fn affiliation(&self, room: i64, a: &AffiliationRow) -> rusqlite::Result<()> {
        self.run(
            "INSERT INTO affiliation (room, jid, value, reason, managed) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (room, jid) DO UPDATE SET value = excluded.value, reason = excluded.reason, \
             managed = excluded.managed",
            params![room, a.jid.as_str(), a.value.code(), a.reason, a.managed],
        )
    }

    fn peering(&self, room: i64, p: &PeeringRow) -> rusqlite::Result<()> {
        self.run(
            "INSERT INTO peering (room, peer, direction, flavour, state, peer_session, rx_last, tx_acked, since) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
             ON CONFLICT (room, peer) DO UPDATE SET direction = excluded.direction, flavour = excluded.flavour, \
             state = excluded.state, peer_session = excluded.peer_session, rx_last = excluded.rx_last, \
             tx_acked = excluded.tx_acked, since = excluded.since",
            params![
                room,
                p.peer.as_str(),
                p.direction.code(),
                p.flavour.code(),
                p.state.code(),
                p.peer_session.map(|b| b.to_string()),
                p.rx_last,
                int(p.tx_acked.0),
                int(p.since.0),
            ],
        )
    }

    fn log(&self, room: i64, l: &LogRow) -> rusqlite::Result<()> {
        self.run(
            "INSERT INTO log (room, seq, epoch, lane, batch, kind, at, eff, jid, nick, ingress, id, payload) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            params![
                room,
                int(l.seq.0),
                l.epoch.0,
                self.lane,
                self.batch,
                l.kind.code(),
                int(l.at.0),
                int(l.eff.0),
                l.jid.as_ref().map(Jid::as_str),
                l.nick,
                l.ingress.as_ref().map(|j| j.as_str()),
                l.id,
                l.payload,
            ],
        )
    }

    fn fmuc_key(&self, room: i64, k: &FmucKeyRow) -> rusqlite::Result<()> {
        self.run(
            "INSERT INTO fmuc_key (room, origin, id, digest, seq, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (room, origin, id, digest) DO NOTHING",
            params![room, k.origin.as_str(), k.id, k.digest.cast_signed(), int(k.seq.0), int(k.at.0)],
        )
    }
}

fn fence(conn: &Connection, lane: Lane) -> Result<(), Stop> {
    let open = conn.query_row("SELECT 1 FROM lane WHERE id = ?1 AND open = 1", [int(lane.0)], |_| Ok(())).optional()?;
    open.ok_or(Stop::Fenced)
}

/// See [`crate::Backend::trim_batches`].
pub fn trim_batches(conn: &Connection, lane: Lane, awaited: &[Path]) -> Result<u64, Stop> {
    fence(conn, lane)?;
    let lanes: Vec<(i64, bool)> = conn
        .prepare_cached("SELECT id, open FROM lane")?
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut gone = 0;
    for (lane, open) in lanes {
        let mut through = i64::MAX;
        for path in awaited {
            let passed = conn
                .prepare_cached("SELECT batch FROM watermark WHERE lane = ?1 AND local = ?2 AND remote = ?3")?
                .query_row(params![lane, path.local, path.remote], |r| r.get(0))
                .optional()?;
            through = through.min(passed.unwrap_or(0));
        }
        gone += run(conn, "DELETE FROM batch WHERE lane = ?1 AND batch <= ?2", [lane, through])?;
        let left: bool = conn.query_row("SELECT EXISTS (SELECT 1 FROM batch WHERE lane = ?1)", [lane], |r| r.get(0))?;
        if !open && !left {
            run(conn, "DELETE FROM watermark WHERE lane = ?1", [lane])?;
            run(conn, "DELETE FROM lane WHERE id = ?1", [lane])?;
        }
    }
    Ok(gone as u64)
}

/// See [`crate::Backend::trim_log`].
pub fn trim_log(conn: &Connection, lane: Lane, room: RoomId, through: Seq, max: usize) -> Result<u64, Stop> {
    fence(conn, lane)?;
    let room = int(room.0);
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    // The last of the rows to go; then a range delete, which needs no list.
    let last: Option<i64> = conn.query_row(
        "SELECT max(seq) FROM (SELECT seq FROM log WHERE room = ?1 AND seq <= ?2 \
         AND seq <> (SELECT subject_seq FROM room WHERE id = ?1) ORDER BY seq LIMIT ?3)",
        params![room, int(through.0), max],
        |r| r.get(0),
    )?;
    let Some(last) = last else { return Ok(0) };
    let gone = run(
        conn,
        "DELETE FROM log WHERE room = ?1 AND seq <= ?2 AND seq <> (SELECT subject_seq FROM room WHERE id = ?1)",
        [room, last],
    )?;
    run(conn, "UPDATE room SET low = ?2 WHERE id = ?1 AND low < ?2", [room, last + 1])?;
    Ok(gone as u64)
}
