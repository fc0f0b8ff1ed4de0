//! Reads, each one of a single moment.

use std::collections::{BTreeSet, HashMap};

use jid::{BareJid, Jid};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use warren_model::{
    AffiliationRow, Batch, Birth, Epoch, FmucKeyRow, Generation, Lane, LogRow, Object, ObjectName, OccupantRow, Path,
    PeeringRow, RoomId, RoomRow, RoomRows, Routed, Secret, Seq, UnixMs,
};

use super::group::fmuc_key;
use super::session::{Call, Param, Trouble, Wire};
use super::write::{COMMIT, all};
use crate::code::Code;
use crate::types::spans_from_text;
use crate::{Backlog, HISTORY_REACH, Incarnation, LaneRow, RoomSummary, Touched, Window};

/// A number for SQL. What is too large is larger than all that is stored (`Work::check`).
pub fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A number of elements.
pub fn size(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The number of an enum.
pub fn small(n: u8) -> i16 {
    i16::from(n)
}

/// Reads one row, column after column, in the order of the SELECT.
pub struct Columns<'a> {
    row: &'a Row,
    next: usize,
}

impl<'a> Columns<'a> {
    /// From its first column.
    pub fn of(row: &'a Row) -> Self {
        Self { row, next: 0 }
    }
    fn corrupt(&self, why: impl std::fmt::Display) -> Trouble {
        let name = self.row.columns().get(self.next - 1).map_or("", |column| column.name());
        Trouble::Corrupt(format!("column {name}: {why}"))
    }
    /// The next column.
    pub fn get<T: FromSql<'a>>(&mut self) -> Result<T, Trouble> {
        self.next += 1;
        self.row.try_get(self.next - 1).map_err(|e| self.corrupt(e))
    }
    /// A number; none is negative.
    pub fn num(&mut self) -> Result<u64, Trouble> {
        let n: i64 = self.get()?;
        u64::try_from(n).map_err(|_| self.corrupt(format!("{n} is negative")))
    }
    /// An epoch.
    pub fn epoch(&mut self) -> Result<Epoch, Trouble> {
        let n: i64 = self.get()?;
        u32::try_from(n).map(Epoch).map_err(|_| self.corrupt(format!("{n} is no epoch")))
    }
    /// A start of a pod.
    pub fn incarnation(&mut self) -> Result<Option<Incarnation>, Trouble> {
        let Some(text) = self.get::<Option<&str>>()? else { return Ok(None) };
        let n = u128::from_str_radix(text, 16).map_err(|e| self.corrupt(format!("{text:?}: {e}")))?;
        Ok(Some(Incarnation(n)))
    }
    /// A start of a pod that must be there.
    pub fn some_incarnation(&mut self) -> Result<Incarnation, Trouble> {
        self.incarnation()?.ok_or_else(|| self.corrupt("it is missing"))
    }
    fn seq(&mut self) -> Result<Seq, Trouble> {
        self.num().map(Seq)
    }
    fn time(&mut self) -> Result<UnixMs, Trouble> {
        self.num().map(UnixMs)
    }
    fn text<T: From<&'a str>>(&mut self) -> Result<T, Trouble> {
        self.get::<&str>().map(T::from)
    }
    fn maybe_text(&mut self) -> Result<Option<Box<str>>, Trouble> {
        Ok(self.get::<Option<&str>>()?.map(Box::from))
    }
    fn code<T: Code>(&mut self) -> Result<T, Trouble> {
        let n: i16 = self.get()?;
        let value = u8::try_from(n).ok().and_then(T::from_code);
        value.ok_or_else(|| self.corrupt(format!("unknown value {n}")))
    }
    /// Text that has a form.
    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self) -> Result<T, Trouble> {
        self.maybe_parsed()?.ok_or_else(|| self.corrupt("it is missing"))
    }
    fn maybe_parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self) -> Result<Option<T>, Trouble> {
        let Some(text) = self.get::<Option<&str>>()? else { return Ok(None) };
        text.parse().map(Some).map_err(|e| self.corrupt(format!("{text:?}: {e}")))
    }
    /// Domain and localpart.
    fn address(&mut self) -> Result<BareJid, Trouble> {
        let (domain, local): (&str, &str) = (self.get()?, self.get()?);
        let text = if local.is_empty() { domain.to_owned() } else { format!("{local}@{domain}") };
        BareJid::new(&text).map_err(|e| self.corrupt(format!("{text:?}: {e}")))
    }
}

/// What every row of an answer says.
pub fn each<'a, T>(rows: &'a [Row], read: impl Fn(&mut Columns<'a>) -> Result<T, Trouble>) -> Result<Vec<T>, Trouble> {
    rows.iter().map(|row| read(&mut Columns::of(row))).collect()
}

fn first<'a, T>(rows: &'a [Row], read: impl Fn(&mut Columns<'a>) -> Result<T, Trouble>) -> Result<Option<T>, Trouble> {
    rows.first().map(|row| read(&mut Columns::of(row))).transpose()
}

/// What [`log_row`] reads.
macro_rules! log {
    ($rest:literal) => {
        concat!("SELECT seq, epoch, kind, at, eff, jid, nick, ingress, id, payload FROM log WHERE room = $1 ", $rest)
    };
}

fn log_row(c: &mut Columns<'_>) -> Result<LogRow, Trouble> {
    Ok(LogRow {
        seq: c.seq()?,
        epoch: c.epoch()?,
        kind: c.code()?,
        at: c.time()?,
        eff: c.time()?,
        jid: c.maybe_parsed::<Jid>()?,
        nick: c.text()?,
        ingress: c.maybe_parsed::<BareJid>()?,
        id: c.maybe_text()?,
        payload: c.get()?,
    })
}

fn room_row(c: &mut Columns<'_>) -> Result<RoomRow, Trouble> {
    Ok(RoomRow {
        id: RoomId(c.num()?),
        jid: c.address()?,
        birth: c.parsed::<Birth>()?,
        secret: {
            let secret: &[u8] = c.get()?;
            Secret(secret.try_into().map_err(|e| c.corrupt(e))?)
        },
        object_uid: c.get()?,
        generation: c.get()?,
        config: c.get()?,
        subject_seq: c.seq()?,
        low: c.seq()?,
        head: c.seq()?,
    })
}

fn occupant(c: &mut Columns<'_>) -> Result<OccupantRow, Trouble> {
    Ok(OccupantRow {
        jid: c.parsed()?,
        nick: c.text()?,
        role: c.code()?,
        peering: c.maybe_parsed()?,
        peer_nick: c.maybe_text()?,
        peer_affiliation: c.code()?,
        join_seq: c.seq()?,
        seq: c.seq()?,
        presence: c.get()?,
    })
}

fn affiliation(c: &mut Columns<'_>) -> Result<AffiliationRow, Trouble> {
    Ok(AffiliationRow { jid: c.parsed()?, value: c.code()?, reason: c.get()?, managed: c.get()? })
}

fn peering(c: &mut Columns<'_>) -> Result<PeeringRow, Trouble> {
    Ok(PeeringRow {
        peer: c.parsed()?,
        direction: c.code()?,
        flavour: c.code()?,
        state: c.code()?,
        peer_session: c.maybe_parsed()?,
        rx_last: c.maybe_text()?,
        tx_acked: c.seq()?,
        since: c.time()?,
    })
}

fn foreign_id(c: &mut Columns<'_>) -> Result<FmucKeyRow, Trouble> {
    Ok(FmucKeyRow {
        origin: c.parsed()?,
        id: c.text()?,
        digest: c.get::<i64>()?.cast_unsigned(),
        seq: c.seq()?,
        at: c.time()?,
    })
}

/// Begins a transaction that reads one moment.
pub const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// A statement that was refused leaves a transaction that nobody ends: then the connection goes.
fn in_snapshot(trouble: Trouble) -> Trouble {
    if let Trouble::Rule(why) = trouble { Trouble::Refused(why) } else { trouble }
}

fn number<'a>(n: u64) -> Param<'a> {
    Box::new(int(n))
}

pub async fn load_room(wire: &mut Wire, jid: &BareJid, window: Window) -> Result<Option<RoomRows>, Trouble> {
    loaded(wire, jid, window).await.map_err(in_snapshot)
}

async fn loaded(wire: &mut Wire, jid: &BareJid, window: Window) -> Result<Option<RoomRows>, Trouble> {
    let sql = "SELECT id, domain, localpart, birth, secret, object_uid, generation, config, subject_seq, low, \
               greatest(head, (SELECT coalesce(max(seq), 0) FROM log WHERE log.room = room.id)) AS head \
               FROM room WHERE domain = $1 AND localpart = $2";
    let address: [Param<'_>; 2] = [Box::new(jid.domain().as_str()), Box::new(jid.node().map_or("", |n| n.as_str()))];
    // Two round trips: what begins and what ends the transaction goes with what is asked in it.
    let answers = all(wire, &[Call::plain(SNAPSHOT), Call::new(sql, address)]).await?;
    let Some(room) = answers.last().map_or(Ok(None), |rows| first(rows, room_row))? else {
        wire.call(Call::plain(COMMIT)).await?;
        return Ok(None);
    };
    let id = || number(room.id.0);
    let within = number(room.head.0.saturating_sub(HISTORY_REACH));
    let calls = [
        Call::new(
            "SELECT jid, nick, role, peering, peer_nick, peer_affiliation, join_seq, seq, presence FROM occupant \
             WHERE room = $1 ORDER BY join_seq, jid, nick",
            [id()],
        ),
        Call::new("SELECT jid, value, reason, managed FROM affiliation WHERE room = $1 ORDER BY jid", [id()]),
        Call::new(
            "SELECT peer, direction, flavour, state, peer_session, rx_last, tx_acked, since FROM peering \
             WHERE room = $1 ORDER BY peer",
            [id()],
        ),
        Call::new(
            log!("AND seq > $2 AND kind = 1 ORDER BY seq DESC LIMIT $3"),
            [id(), within, Box::new(size(window.messages))],
        ),
        Call::new(log!("AND seq = $2"), [id(), number(room.subject_seq.0)]),
        Call::new(
            "SELECT origin, id, digest, seq, at FROM fmuc_key WHERE room = $1 \
             ORDER BY seq DESC, origin DESC, id DESC, digest DESC LIMIT $2",
            [id(), Box::new(size(window.keys))],
        ),
        Call::new("SELECT source, n FROM routed WHERE room = $1 ORDER BY source", [id()]),
        Call::plain(COMMIT),
    ];
    let answers: [Vec<Row>; 8] =
        all(wire, &calls).await?.try_into().map_err(|_| Trouble::Corrupt("an answer is missing".to_owned()))?;
    let [occupants, affiliations, peerings, history, subject, keys, routed, _] = &answers;
    let mut history = each(history, log_row)?;
    history.reverse();
    let mut fmuc_keys = each(keys, foreign_id)?;
    fmuc_keys.reverse();
    Ok(Some(RoomRows {
        occupants: each(occupants, occupant)?,
        affiliations: each(affiliations, affiliation)?,
        peerings: each(peerings, peering)?,
        history,
        subject: first(subject, log_row)?,
        fmuc_keys,
        routed: each(routed, |c| Ok(Routed { source: c.some_incarnation()?, n: c.num()? }))?,
        room,
    }))
}

pub async fn room_jid(wire: &mut Wire, room: RoomId) -> Result<Option<BareJid>, Trouble> {
    let sql = "SELECT domain, localpart FROM room WHERE id = $1";
    first(&wire.call(Call::new(sql, [number(room.0)])).await?, Columns::address)
}

pub async fn page(wire: &mut Wire, room: RoomId, after: Seq, max: usize) -> Result<Vec<LogRow>, Trouble> {
    let params = [number(room.0), number(after.0), Box::new(size(max))];
    each(&wire.call(Call::new(log!("AND seq > $2 ORDER BY seq LIMIT $3"), params)).await?, log_row)
}

pub async fn page_back(wire: &mut Wire, room: RoomId, before: Seq, max: usize) -> Result<Vec<LogRow>, Trouble> {
    let params = [number(room.0), number(before.0), Box::new(size(max))];
    let rows = wire.call(Call::new(log!("AND seq < $2 ORDER BY seq DESC LIMIT $3"), params)).await?;
    let mut rows = each(&rows, log_row)?;
    rows.reverse();
    Ok(rows)
}

pub async fn fmuc_keys(wire: &mut Wire, room: RoomId, origin: &BareJid, id: &str) -> Result<Vec<FmucKeyRow>, Trouble> {
    let sql = "SELECT origin, id, digest, seq, at FROM fmuc_key WHERE room = $1 AND key = $2";
    let key = fmuc_key(origin.as_str(), id).to_vec();
    let mut rows = each(&wire.call(Call::new(sql, [number(room.0), Box::new(key)])).await?, foreign_id)?;
    // Here, since SQL would compare digests as signed.
    rows.sort_by_key(|k| k.digest);
    Ok(rows)
}

pub async fn touched(wire: &mut Wire, lane: Lane, after: Batch) -> Result<Vec<Touched>, Trouble> {
    written(wire, lane, after).await.map_err(in_snapshot)
}

async fn written(wire: &mut Wire, lane: Lane, after: Batch) -> Result<Vec<Touched>, Trouble> {
    let sql = "SELECT lane, batch, touched FROM batch WHERE lane = $1 AND batch > $2 ORDER BY batch";
    let answers = all(wire, &[Call::plain(SNAPSHOT), Call::new(sql, [number(lane.0), number(after.0)])]).await?;
    let found = spans(wire, answers.last().map_or(&[], Vec::as_slice)).await?;
    Ok(found.into_iter().map(|(_, touched)| touched).collect())
}

/// What batches say, with the addresses of their rooms; ends the transaction that has read them.
async fn spans(wire: &mut Wire, batches: &[Row]) -> Result<Vec<(Lane, Touched)>, Trouble> {
    let batches = each(batches, |c| {
        let (lane, batch, text): (_, _, &str) = (Lane(c.num()?), Batch(c.num()?), c.get()?);
        let spans = spans_from_text(text).map_err(|e| c.corrupt(format!("batch {batch}: {e}")))?;
        Ok((lane, batch, spans))
    })?;
    let ids: BTreeSet<i64> = batches.iter().flat_map(|(_, _, spans)| spans).map(|span| int(span.room.0)).collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    let sql = "SELECT id, domain, localpart FROM room WHERE id = ANY($1::int8[])";
    let answers = all(wire, &[Call::new(sql, [Box::new(ids)]), Call::plain(COMMIT)]).await?;
    let rooms = each(answers.first().map_or(&[], Vec::as_slice), |c| Ok((RoomId(c.num()?), c.address()?)))?;
    let rooms: HashMap<RoomId, BareJid> = rooms.into_iter().collect();
    let spans = batches.iter().flat_map(|(lane, batch, spans)| spans.iter().map(|span| (*lane, *batch, *span)));
    Ok(spans
        .filter_map(|(lane, batch, span)| {
            let room = rooms.get(&span.room)?.clone();
            Some((lane, Touched { room, id: span.room, batch, first: span.first, last: span.last }))
        })
        .collect())
}

const LANES: &str = "SELECT id, incarnation, epoch, batch, open FROM lane ORDER BY id";
const WATERMARKS: &str = "SELECT lane, local, remote, batch FROM watermark ORDER BY lane, local, remote";

fn lane_row(c: &mut Columns<'_>) -> Result<LaneRow, Trouble> {
    Ok(LaneRow {
        lane: Lane(c.num()?),
        incarnation: c.some_incarnation()?,
        epoch: c.epoch()?,
        batch: Batch(c.num()?),
        open: c.get()?,
    })
}

fn watermark(c: &mut Columns<'_>) -> Result<(Lane, Path, Batch), Trouble> {
    let lane = Lane(c.num()?);
    let path = Path { local: c.text()?, remote: c.text()? };
    Ok((lane, path, Batch(c.num()?)))
}

pub async fn lanes(wire: &mut Wire) -> Result<Vec<LaneRow>, Trouble> {
    each(&wire.call(Call::plain(LANES)).await?, lane_row)
}

pub async fn watermarks(wire: &mut Wire) -> Result<Vec<(Lane, Path, Batch)>, Trouble> {
    each(&wire.call(Call::plain(WATERMARKS)).await?, watermark)
}

pub async fn backlog(wire: &mut Wire) -> Result<Backlog, Trouble> {
    everything_owed(wire).await.map_err(in_snapshot)
}

async fn everything_owed(wire: &mut Wire) -> Result<Backlog, Trouble> {
    let calls = [
        Call::plain(SNAPSHOT),
        Call::plain(LANES),
        Call::plain("SELECT lane, batch, touched FROM batch ORDER BY lane, batch"),
        Call::plain(WATERMARKS),
    ];
    let answers: [Vec<Row>; 4] =
        all(wire, &calls).await?.try_into().map_err(|_| Trouble::Corrupt("an answer is missing".to_owned()))?;
    let [_, lanes, batches, marks] = &answers;
    Ok(Backlog {
        touched: spans(wire, batches).await?,
        lanes: each(lanes, lane_row)?,
        watermarks: each(marks, watermark)?,
    })
}

pub async fn rooms_with_occupants(wire: &mut Wire, path: Option<&Path>) -> Result<Vec<BareJid>, Trouble> {
    let call = match path {
        None => Call::plain(
            "SELECT domain, localpart FROM room WHERE EXISTS (SELECT 1 FROM occupant WHERE occupant.room = room.id) \
             ORDER BY domain, localpart",
        ),
        Some(path) => Call::new(
            "SELECT domain, localpart FROM room WHERE domain = $1 AND id IN \
             (SELECT room FROM occupant WHERE domain = $2 AND peering IS NULL) ORDER BY domain, localpart",
            [Box::new(&*path.local), Box::new(&*path.remote)],
        ),
    };
    each(&wire.call(call).await?, Columns::address)
}

pub async fn rooms(
    wire: &mut Wire,
    domain: &str,
    after: Option<&BareJid>,
    max: usize,
) -> Result<Vec<RoomSummary>, Trouble> {
    // A room at the bare domain has the localpart '': only "from the beginning" includes it.
    let call = match after {
        None => Call::new(
            "SELECT id, domain, localpart, config FROM room WHERE domain = $1 ORDER BY localpart LIMIT $2",
            [Box::new(domain) as _, Box::new(size(max))],
        ),
        Some(after) => Call::new(
            "SELECT id, domain, localpart, config FROM room WHERE domain = $1 AND localpart > $3 \
             ORDER BY localpart LIMIT $2",
            [Box::new(domain) as _, Box::new(size(max)), Box::new(after.node().map_or("", |n| n.as_str()))],
        ),
    };
    each(&wire.call(call).await?, |c| Ok(RoomSummary { id: RoomId(c.num()?), jid: c.address()?, config: c.get()? }))
}

pub async fn objects(wire: &mut Wire) -> Result<Vec<Object>, Trouble> {
    let sql = "SELECT kind, namespace, name, uid, generation, digest, body FROM object ORDER BY kind, namespace, name";
    each(&wire.call(Call::plain(sql)).await?, |c| {
        let name = ObjectName { kind: c.code()?, namespace: c.get()?, name: c.get()? };
        let (uid, generation, digest) = (c.get()?, Generation(c.get()?), c.get()?);
        let body: &str = c.get()?;
        // The body may hold secrets: it stays out of the error.
        let body = serde_json::from_str(body).map_err(|e| c.corrupt(format!("{name}: {e}")))?;
        Ok(Object { name, uid, generation, digest, body })
    })
}
