//! Reads, on a connection of their own.

use jid::{BareJid, Jid};
use rusqlite::types::{FromSql, Type};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use warren_model::{
    AffiliationRow, Batch, Birth, Epoch, FmucKeyRow, Generation, Lane, LogRow, Object, ObjectName, OccupantRow, Path,
    PeeringRow, RoomId, RoomRow, RoomRows, Routed, Secret, Seq, UnixMs,
};

use crate::code::Code;
use crate::types::spans_from_text;
use crate::{Backlog, HISTORY_REACH, Incarnation, LaneRow, RoomSummary, Span, StoreError, Touched, Window};

type Sql<T> = rusqlite::Result<T>;

/// A number for SQL. What is too large is larger than all that is stored (`Work::check`).
pub fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A number from SQL; none is negative.
pub fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or_default()
}

fn size(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn corrupt(column: usize, why: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, why.into())
}

impl From<rusqlite::Error> for StoreError {
    fn from(e: rusqlite::Error) -> Self {
        use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
        match e {
            FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) => {
                Self::Corrupt(e.to_string())
            }
            e => Self::Failed(super::write::describe(&e)),
        }
    }
}

/// Reads one row, column after column, in the order of the SELECT.
struct Columns<'a, 'b> {
    row: &'a Row<'b>,
    next: usize,
}

impl Columns<'_, '_> {
    fn get<T: FromSql>(&mut self) -> Sql<T> {
        self.next += 1;
        self.row.get(self.next - 1)
    }
    fn num(&mut self) -> Sql<u64> {
        self.get::<i64>().map(unsigned)
    }
    fn seq(&mut self) -> Sql<Seq> {
        self.num().map(Seq)
    }
    fn time(&mut self) -> Sql<UnixMs> {
        self.num().map(UnixMs)
    }
    fn code<T: Code>(&mut self) -> Sql<T> {
        let n: u8 = self.get()?;
        T::from_code(n).ok_or_else(|| corrupt(self.next - 1, format!("unknown value {n}")))
    }
    /// Text that has a form.
    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self) -> Sql<T> {
        let text = self.row.get_ref(self.next)?.as_str()?;
        self.next += 1;
        text.parse().map_err(|e| corrupt(self.next - 1, format!("{text:?}: {e}")))
    }
    fn maybe_parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self) -> Sql<Option<T>> {
        if self.row.get_ref(self.next)? == rusqlite::types::ValueRef::Null {
            self.next += 1;
            return Ok(None);
        }
        self.parsed().map(Some)
    }
}

fn all<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    mut map: impl FnMut(&mut Columns<'_, '_>) -> Sql<T>,
) -> Sql<Vec<T>> {
    let mut statement = conn.prepare_cached(sql)?;
    statement.query_map(params, |row| map(&mut Columns { row, next: 0 }))?.collect()
}

fn one<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    map: impl FnOnce(&mut Columns<'_, '_>) -> Sql<T>,
) -> Sql<Option<T>> {
    let mut statement = conn.prepare_cached(sql)?;
    statement.query_row(params, |row| map(&mut Columns { row, next: 0 })).optional()
}

/// What [`log_row`] reads.
macro_rules! log {
    ($rest:literal) => {
        concat!("SELECT seq, epoch, kind, at, eff, jid, nick, ingress, id, payload FROM log WHERE room = ?1 ", $rest)
    };
}

fn log_row(c: &mut Columns<'_, '_>) -> Sql<LogRow> {
    Ok(LogRow {
        seq: c.seq()?,
        epoch: Epoch(c.get()?),
        kind: c.code()?,
        at: c.time()?,
        eff: c.time()?,
        jid: c.maybe_parsed::<Jid>()?,
        nick: c.get()?,
        ingress: c.maybe_parsed::<BareJid>()?,
        id: c.get()?,
        payload: c.get()?,
    })
}

/// Domain and localpart.
fn address(c: &mut Columns<'_, '_>) -> Sql<BareJid> {
    let (domain, local): (String, String) = (c.get()?, c.get()?);
    let text = if local.is_empty() { domain } else { format!("{local}@{domain}") };
    BareJid::new(&text).map_err(|e| corrupt(c.next - 1, format!("{text:?}: {e}")))
}

fn room_row(c: &mut Columns<'_, '_>) -> Sql<RoomRow> {
    Ok(RoomRow {
        id: RoomId(c.num()?),
        jid: address(c)?,
        birth: c.parsed::<Birth>()?,
        secret: Secret(c.get()?),
        object_uid: c.get()?,
        generation: c.get()?,
        config: c.get()?,
        subject_seq: c.seq()?,
        low: c.seq()?,
        head: c.seq()?,
    })
}

fn occupant(c: &mut Columns<'_, '_>) -> Sql<OccupantRow> {
    Ok(OccupantRow {
        jid: c.parsed()?,
        nick: c.get()?,
        role: c.code()?,
        peering: c.maybe_parsed()?,
        peer_nick: c.get()?,
        peer_affiliation: c.code()?,
        join_seq: c.seq()?,
        seq: c.seq()?,
        presence: c.get()?,
    })
}

fn affiliation(c: &mut Columns<'_, '_>) -> Sql<AffiliationRow> {
    Ok(AffiliationRow { jid: c.parsed()?, value: c.code()?, reason: c.get()?, managed: c.get()? })
}

fn peering(c: &mut Columns<'_, '_>) -> Sql<PeeringRow> {
    Ok(PeeringRow {
        peer: c.parsed()?,
        direction: c.code()?,
        flavour: c.code()?,
        state: c.code()?,
        peer_session: c.maybe_parsed()?,
        rx_last: c.get()?,
        tx_acked: c.seq()?,
        since: c.time()?,
    })
}

fn fmuc_key(c: &mut Columns<'_, '_>) -> Sql<FmucKeyRow> {
    Ok(FmucKeyRow {
        origin: c.parsed()?,
        id: c.get()?,
        digest: c.get::<i64>()?.cast_unsigned(),
        seq: c.seq()?,
        at: c.time()?,
    })
}

pub fn load_room(conn: &Connection, jid: &BareJid, window: Window) -> Sql<Option<RoomRows>> {
    // One transaction, so that all parts are of one moment.
    let tx = conn.unchecked_transaction()?;
    let room = one(
        conn,
        "SELECT id, domain, localpart, birth, secret, object_uid, generation, config, subject_seq, low, head \
         FROM room WHERE domain = ?1 AND localpart = ?2",
        [jid.domain().as_str(), jid.node().map_or("", |n| n.as_str())],
        room_row,
    )?;
    let Some(mut room) = room else { return Ok(None) };
    let id = int(room.id.0);
    let last = one(conn, "SELECT coalesce(max(seq), 0) FROM log WHERE room = ?1", [id], |c| Ok(Seq(c.num()?)))?;
    room.head = room.head.max(last.unwrap_or_default());
    let within = room.head.0.saturating_sub(HISTORY_REACH);
    let mut history = all(
        conn,
        log!("AND seq > ?2 AND kind = 1 ORDER BY seq DESC LIMIT ?3"),
        params![id, int(within), size(window.messages)],
        log_row,
    )?;
    history.reverse();
    let mut fmuc_keys = all(
        conn,
        "SELECT origin, id, digest, seq, at FROM fmuc_key WHERE room = ?1 \
         ORDER BY seq DESC, origin DESC, id DESC, digest DESC LIMIT ?2",
        params![id, size(window.keys)],
        fmuc_key,
    )?;
    fmuc_keys.reverse();
    let rows = RoomRows {
        occupants: all(
            conn,
            "SELECT jid, nick, role, peering, peer_nick, peer_affiliation, join_seq, seq, presence FROM occupant \
             WHERE room = ?1 ORDER BY join_seq, jid, nick",
            [id],
            occupant,
        )?,
        affiliations: all(
            conn,
            "SELECT jid, value, reason, managed FROM affiliation WHERE room = ?1 ORDER BY jid",
            [id],
            affiliation,
        )?,
        peerings: all(
            conn,
            "SELECT peer, direction, flavour, state, peer_session, rx_last, tx_acked, since FROM peering \
             WHERE room = ?1 ORDER BY peer",
            [id],
            peering,
        )?,
        history,
        subject: one(conn, log!("AND seq = ?2"), [id, int(room.subject_seq.0)], log_row)?,
        fmuc_keys,
        routed: all(conn, "SELECT source, n FROM routed WHERE room = ?1 ORDER BY source", [id], |c| {
            Ok(Routed { source: incarnation(c)?, n: c.num()? })
        })?,
        room,
    };
    tx.commit()?;
    Ok(Some(rows))
}

pub fn room_jid(conn: &Connection, room: RoomId) -> Sql<Option<BareJid>> {
    one(conn, "SELECT domain, localpart FROM room WHERE id = ?1", [int(room.0)], address)
}

pub fn page(conn: &Connection, room: RoomId, after: Seq, max: usize) -> Sql<Vec<LogRow>> {
    let params = params![int(room.0), int(after.0), size(max)];
    all(conn, log!("AND seq > ?2 ORDER BY seq LIMIT ?3"), params, log_row)
}

pub fn page_back(conn: &Connection, room: RoomId, before: Seq, max: usize) -> Sql<Vec<LogRow>> {
    let params = params![int(room.0), int(before.0), size(max)];
    let mut rows = all(conn, log!("AND seq < ?2 ORDER BY seq DESC LIMIT ?3"), params, log_row)?;
    rows.reverse();
    Ok(rows)
}

pub fn fmuc_keys(conn: &Connection, room: RoomId, origin: &BareJid, id: &str) -> Sql<Vec<FmucKeyRow>> {
    let mut rows = all(
        conn,
        "SELECT origin, id, digest, seq, at FROM fmuc_key WHERE room = ?1 AND origin = ?2 AND id = ?3",
        params![int(room.0), origin.as_str(), id],
        fmuc_key,
    )?;
    // Here, since SQL would compare digests as signed.
    rows.sort_by_key(|k| k.digest);
    Ok(rows)
}

pub fn touched(conn: &Connection, lane: Lane, after: Batch) -> Sql<Vec<Touched>> {
    let tx = conn.unchecked_transaction()?;
    let found = written(conn, lane, after)?;
    tx.commit()?;
    Ok(found)
}

fn written(conn: &Connection, lane: Lane, after: Batch) -> Sql<Vec<Touched>> {
    let batches = all(
        conn,
        "SELECT batch, touched FROM batch WHERE lane = ?1 AND batch > ?2 ORDER BY batch",
        [int(lane.0), int(after.0)],
        |c| {
            let (batch, text): (_, String) = (c.num()?, c.get()?);
            let spans = spans_from_text(&text).map_err(|e| corrupt(1, format!("batch {batch}: {e}")))?;
            Ok((Batch(batch), spans))
        },
    )?;
    let mut found = Vec::new();
    for (batch, spans) in batches {
        for Span { room: id, first, last } in spans {
            if let Some(room) = room_jid(conn, id)? {
                found.push(Touched { room, id, batch, first, last });
            }
        }
    }
    Ok(found)
}

fn incarnation(c: &mut Columns<'_, '_>) -> Sql<Incarnation> {
    let text: String = c.get()?;
    let n = u128::from_str_radix(&text, 16).map_err(|e| corrupt(c.next - 1, format!("{text:?}: {e}")))?;
    Ok(Incarnation(n))
}

pub fn lanes(conn: &Connection) -> Sql<Vec<LaneRow>> {
    all(conn, "SELECT id, incarnation, epoch, batch, open FROM lane ORDER BY id", [], |c| {
        let lane = Lane(c.num()?);
        Ok(LaneRow {
            lane,
            incarnation: incarnation(c)?,
            epoch: Epoch(c.get()?),
            batch: Batch(c.num()?),
            open: c.get()?,
        })
    })
}

pub fn watermarks(conn: &Connection) -> Sql<Vec<(Lane, Path, Batch)>> {
    all(conn, "SELECT lane, local, remote, batch FROM watermark ORDER BY lane, local, remote", [], |c| {
        let lane = Lane(c.num()?);
        let path = Path { local: c.get()?, remote: c.get()? };
        Ok((lane, path, Batch(c.num()?)))
    })
}

pub fn backlog(conn: &Connection) -> Sql<Backlog> {
    let tx = conn.unchecked_transaction()?;
    let mut backlog = Backlog { lanes: lanes(conn)?, touched: Vec::new(), watermarks: watermarks(conn)? };
    for LaneRow { lane, .. } in &backlog.lanes {
        backlog.touched.extend(written(conn, *lane, Batch(0))?.into_iter().map(|touched| (*lane, touched)));
    }
    tx.commit()?;
    Ok(backlog)
}

pub fn rooms_with_occupants(conn: &Connection, path: Option<&Path>) -> Sql<Vec<BareJid>> {
    match path {
        None => all(
            conn,
            "SELECT domain, localpart FROM room WHERE EXISTS (SELECT 1 FROM occupant WHERE room = room.id) \
             ORDER BY domain, localpart",
            [],
            address,
        ),
        Some(path) => all(
            conn,
            "SELECT domain, localpart FROM room WHERE domain = ?1 AND id IN \
             (SELECT room FROM occupant WHERE domain = ?2 AND peering IS NULL) ORDER BY domain, localpart",
            [&path.local, &path.remote],
            address,
        ),
    }
}

pub fn rooms(conn: &Connection, domain: &str, after: Option<&BareJid>, max: usize) -> Sql<Vec<RoomSummary>> {
    // A room at the bare domain has the localpart '': only "from the beginning" includes it.
    let after = after.map(|a| a.node().map_or("", |n| n.as_str()));
    all(
        conn,
        "SELECT id, domain, localpart, config FROM room WHERE domain = ?1 AND (?2 IS NULL OR localpart > ?2) \
         ORDER BY localpart LIMIT ?3",
        params![domain, after, size(max)],
        |c| Ok(RoomSummary { id: RoomId(c.num()?), jid: address(c)?, config: c.get()? }),
    )
}

pub fn objects(conn: &Connection) -> Sql<Vec<Object>> {
    let sql = "SELECT kind, namespace, name, uid, generation, digest, body FROM object ORDER BY kind, namespace, name";
    all(conn, sql, [], |c| {
        let name = ObjectName { kind: c.code()?, namespace: c.get()?, name: c.get()? };
        let (uid, generation, digest) = (c.get()?, Generation(c.get()?), c.get()?);
        let body: String = c.get()?;
        // The body may hold secrets: it stays out of the error.
        let body = serde_json::from_str(&body).map_err(|e| corrupt(6, format!("{name}: {e}")))?;
        Ok(Object { name, uid, generation, digest, body })
    })
}
