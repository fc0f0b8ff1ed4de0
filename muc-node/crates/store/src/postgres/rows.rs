//! Statements of a segment of a group.

use std::collections::BTreeMap;

use jid::Jid;
use warren_model::{Batch, FmucKeyRow, Lane, LogRow, Object, ObjectName, OccupantRow, Path, RoomId, RoomRow, Shard};

use super::group::{Change, Key, RoomChange, Segment, session_key};
use super::read::{int, small};
use super::session::{Call, Param};
use crate::Incarnation;
use crate::code::Code;

/// Fails (by a division by zero, since there is no portable `ASSERT`) unless all these rooms are there.
pub const NEEDED: &str = "SELECT 1 / (CASE WHEN EXISTS (SELECT 1 FROM unnest($1::int8[]) AS w(id) \
                      WHERE NOT EXISTS (SELECT 1 FROM room WHERE room.id = w.id)) THEN 0 ELSE 1 END)";

// Domain and localpart may be taken by another room: that fails. An upsert, since what belongs to the room stays.
const ROOM: &str = "INSERT INTO room (id, shard, domain, localpart, birth, secret, object_uid, generation, config, \
    subject_seq, low, head) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
    ON CONFLICT (id) DO UPDATE SET shard = excluded.shard, domain = excluded.domain, \
    localpart = excluded.localpart, birth = excluded.birth, secret = excluded.secret, \
    object_uid = excluded.object_uid, generation = excluded.generation, config = excluded.config, \
    subject_seq = excluded.subject_seq, head = excluded.head, low = greatest(room.low, excluded.low)";

const ROOM_GONE: [&str; 7] = [
    "DELETE FROM occupant WHERE room = $1",
    "DELETE FROM affiliation WHERE room = $1",
    "DELETE FROM peering WHERE room = $1",
    "DELETE FROM log WHERE room = $1",
    "DELETE FROM fmuc_key WHERE room = $1",
    "DELETE FROM routed WHERE room = $1",
    "DELETE FROM room WHERE id = $1",
];

const OCCUPANT: &str = "INSERT INTO occupant (room, key, jid, nick, domain, role, peering, peer_nick, \
    peer_affiliation, join_seq, seq, presence) \
    SELECT * FROM unnest($1::int8[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::int2[], $7::text[], \
    $8::text[], $9::int2[], $10::int8[], $11::int8[], $12::bytea[]) \
    ON CONFLICT (room, key) DO UPDATE SET role = excluded.role, peering = excluded.peering, \
    peer_nick = excluded.peer_nick, peer_affiliation = excluded.peer_affiliation, join_seq = excluded.join_seq, \
    seq = excluded.seq, presence = excluded.presence";

const OCCUPANT_GONE: &str = "DELETE FROM occupant USING unnest($1::int8[], $2::bytea[]) AS w(room, key) \
    WHERE occupant.room = w.room AND occupant.key = w.key";

const PRESENCE: &str = "UPDATE occupant SET presence = w.presence \
    FROM unnest($1::int8[], $2::bytea[], $3::bytea[]) AS w(room, key, presence) \
    WHERE occupant.room = w.room AND occupant.key = w.key";

const AFFILIATION: &str = "INSERT INTO affiliation (room, jid, value, reason, managed) \
    SELECT * FROM unnest($1::int8[], $2::text[], $3::int2[], $4::text[], $5::bool[]) \
    ON CONFLICT (room, jid) DO UPDATE SET value = excluded.value, reason = excluded.reason, \
    managed = excluded.managed";

const AFFILIATION_GONE: &str = "DELETE FROM affiliation USING unnest($1::int8[], $2::text[]) AS w(room, jid) \
    WHERE affiliation.room = w.room AND affiliation.jid = w.jid";

const PEERING: &str = "INSERT INTO peering (room, peer, direction, flavour, state, peer_session, rx_last, tx_acked, \
    since) SELECT * FROM unnest($1::int8[], $2::text[], $3::int2[], $4::int2[], $5::int2[], $6::text[], $7::text[], \
    $8::int8[], $9::int8[]) \
    ON CONFLICT (room, peer) DO UPDATE SET direction = excluded.direction, flavour = excluded.flavour, \
    state = excluded.state, peer_session = excluded.peer_session, rx_last = excluded.rx_last, \
    tx_acked = excluded.tx_acked, since = excluded.since";

const PEERING_GONE: &str = "DELETE FROM peering USING unnest($1::int8[], $2::text[]) AS w(room, peer) \
    WHERE peering.room = w.room AND peering.peer = w.peer";

// The number of the batch is the one that the first statement of this transaction has counted up to.
const LOG: &str = "INSERT INTO log (room, seq, epoch, lane, batch, kind, at, eff, jid, nick, ingress, id, payload) \
    SELECT w.room, w.seq, w.epoch, lane.id, lane.batch, w.kind, w.at, w.eff, w.jid, w.nick, w.ingress, w.id, \
    w.payload FROM lane, unnest($2::int8[], $3::int8[], $4::int8[], $5::int2[], $6::int8[], $7::int8[], $8::text[], \
    $9::text[], $10::text[], $11::text[], $12::bytea[]) \
    AS w(room, seq, epoch, kind, at, eff, jid, nick, ingress, id, payload) WHERE lane.id = $1";

const FMUC_KEY: &str = "INSERT INTO fmuc_key (room, key, digest, origin, id, seq, at) \
    SELECT * FROM unnest($1::int8[], $2::bytea[], $3::int8[], $4::text[], $5::text[], $6::int8[], $7::int8[]) \
    ON CONFLICT (room, key, digest) DO NOTHING";

const WATERMARK: &str = "INSERT INTO watermark (lane, local, remote, batch) \
    SELECT lane.id, w.local, w.remote, w.batch \
    FROM unnest($1::int8[], $2::text[], $3::text[], $4::int8[]) AS w(lane, local, remote, batch) \
    JOIN lane ON lane.id = w.lane \
    ON CONFLICT (lane, local, remote) DO UPDATE SET batch = greatest(watermark.batch, excluded.batch)";

const ROUTED: &str = "INSERT INTO routed (room, source, n) \
    SELECT * FROM unnest($1::int8[], $2::text[], $3::int8[]) \
    ON CONFLICT (room, source) DO UPDATE SET n = greatest(routed.n, excluded.n)";

const OBJECT: &str = "INSERT INTO object (kind, namespace, name, uid, generation, digest, body) \
    VALUES ($1, $2, $3, $4, $5, $6, $7) \
    ON CONFLICT (kind, namespace, name) DO UPDATE SET uid = excluded.uid, generation = excluded.generation, \
    digest = excluded.digest, body = excluded.body";

const OBJECT_GONE: &str = "DELETE FROM object WHERE kind = $1 AND namespace = $2 AND name = $3";

/// Arrays, one for each column.
fn column<'a, S, T>(rows: &[S], value: impl Fn(&S) -> T) -> Param<'a>
where
    T: tokio_postgres::types::ToSql + Send + Sync + 'a,
{
    Box::new(rows.iter().map(value).collect::<Vec<T>>())
}

/// The statements of a segment, in their order.
pub fn calls<'a>(lane: Lane, segment: &Segment<'a>, out: &mut Vec<Call<'a>>) -> Result<(), String> {
    for change in &segment.rooms {
        match change {
            RoomChange::Write(shard, r) => out.push(room(*shard, r)),
            RoomChange::Gone(id) => {
                out.extend(ROOM_GONE.iter().map(|sql| Call::new(sql, [Box::new(int(id.0)) as _])));
            }
        }
    }
    if !segment.needed.is_empty() {
        let ids: Vec<i64> = segment.needed.iter().map(|id| int(id.0)).collect();
        out.push(Call::new(NEEDED, [Box::new(ids)]));
    }
    let mut written = Vec::new();
    let mut gone = Vec::new();
    for ((room, jid, nick), change) in &segment.occupants {
        match change {
            Change::Write(o) => written.push((int(room.0), session_key(jid, nick), *o)),
            Change::Gone => gone.push((int(room.0), session_key(jid, nick))),
        }
    }
    occupants(&written, &gone, out);
    let presences: Vec<(i64, Key, &[u8])> =
        segment.presences.iter().map(|((room, jid, nick), p)| (int(room.0), session_key(jid, nick), *p)).collect();
    if !presences.is_empty() {
        let columns = [column(&presences, |r| r.0), column(&presences, |r| r.1.to_vec()), column(&presences, |r| r.2)];
        out.push(Call::new(PRESENCE, columns));
    }
    affiliations(segment, out);
    peerings(segment, out);
    if !segment.log.is_empty() {
        out.push(log(lane, &segment.log));
    }
    if !segment.keys.is_empty() {
        out.push(keys(&segment.keys));
    }
    if !segment.routed.is_empty() {
        out.push(routed(&segment.routed));
    }
    if !segment.watermarks.is_empty() {
        out.push(watermarks(&segment.watermarks));
    }
    for (name, change) in &segment.objects {
        out.push(object(name, *change)?);
    }
    Ok(())
}

fn room(shard: Shard, r: &RoomRow) -> Call<'_> {
    Call::new(
        ROOM,
        [
            Box::new(int(r.id.0)),
            Box::new(i64::from(shard.0)),
            Box::new(r.jid.domain().as_str()),
            Box::new(r.jid.node().map_or("", |n| n.as_str())),
            Box::new(r.birth.to_string()),
            Box::new(&r.secret.0[..]),
            Box::new(&*r.object_uid),
            Box::new(r.generation),
            Box::new(&*r.config),
            Box::new(int(r.subject_seq.0)),
            Box::new(int(r.low.0)),
            Box::new(int(r.head.0)),
        ],
    )
}

fn occupants<'a>(written: &[(i64, Key, &'a OccupantRow)], gone: &[(i64, Key)], out: &mut Vec<Call<'a>>) {
    if !gone.is_empty() {
        out.push(Call::new(OCCUPANT_GONE, [column(gone, |r| r.0), column(gone, |r| r.1.to_vec())]));
    }
    if written.is_empty() {
        return;
    }
    let columns = [
        column(written, |r| r.0),
        column(written, |r| r.1.to_vec()),
        column(written, |r| r.2.jid.as_str()),
        column(written, |r| &*r.2.nick),
        column(written, |r| r.2.jid.domain().as_str()),
        column(written, |r| small(r.2.role.code())),
        column(written, |r| r.2.peering.as_ref().map(|p| p.as_str())),
        column(written, |r| r.2.peer_nick.as_deref()),
        column(written, |r| small(r.2.peer_affiliation.code())),
        column(written, |r| int(r.2.join_seq.0)),
        column(written, |r| int(r.2.seq.0)),
        column(written, |r| &*r.2.presence),
    ];
    out.push(Call::new(OCCUPANT, columns));
}

fn affiliations<'a>(segment: &Segment<'a>, out: &mut Vec<Call<'a>>) {
    let (mut written, mut gone) = (Vec::new(), Vec::new());
    for ((room, jid), change) in &segment.affiliations {
        match change {
            Change::Write(a) => written.push((int(room.0), *jid, *a)),
            Change::Gone => gone.push((int(room.0), *jid)),
        }
    }
    if !gone.is_empty() {
        out.push(Call::new(AFFILIATION_GONE, [column(&gone, |r| r.0), column(&gone, |r| r.1)]));
    }
    if !written.is_empty() {
        let columns = [
            column(&written, |r| r.0),
            column(&written, |r| r.1),
            column(&written, |r| small(r.2.value.code())),
            column(&written, |r| r.2.reason.as_deref()),
            column(&written, |r| r.2.managed),
        ];
        out.push(Call::new(AFFILIATION, columns));
    }
}

fn peerings<'a>(segment: &Segment<'a>, out: &mut Vec<Call<'a>>) {
    let (mut written, mut gone) = (Vec::new(), Vec::new());
    for ((room, peer), change) in &segment.peerings {
        match change {
            Change::Write(p) => written.push((int(room.0), *peer, *p)),
            Change::Gone => gone.push((int(room.0), *peer)),
        }
    }
    if !gone.is_empty() {
        out.push(Call::new(PEERING_GONE, [column(&gone, |r| r.0), column(&gone, |r| r.1)]));
    }
    if !written.is_empty() {
        let columns = [
            column(&written, |r| r.0),
            column(&written, |r| r.1),
            column(&written, |r| small(r.2.direction.code())),
            column(&written, |r| small(r.2.flavour.code())),
            column(&written, |r| small(r.2.state.code())),
            column(&written, |r| r.2.peer_session.map(|b| b.to_string())),
            column(&written, |r| r.2.rx_last.as_deref()),
            column(&written, |r| int(r.2.tx_acked.0)),
            column(&written, |r| int(r.2.since.0)),
        ];
        out.push(Call::new(PEERING, columns));
    }
}

fn log<'a>(lane: Lane, rows: &[(RoomId, &'a LogRow)]) -> Call<'a> {
    let columns = [
        Box::new(int(lane.0)) as _,
        column(rows, |r| int(r.0.0)),
        column(rows, |r| int(r.1.seq.0)),
        column(rows, |r| i64::from(r.1.epoch.0)),
        column(rows, |r| small(r.1.kind.code())),
        column(rows, |r| int(r.1.at.0)),
        column(rows, |r| int(r.1.eff.0)),
        column(rows, |r| r.1.jid.as_ref().map(Jid::as_str)),
        column(rows, |r| &*r.1.nick),
        column(rows, |r| r.1.ingress.as_ref().map(|j| j.as_str())),
        column(rows, |r| r.1.id.as_deref()),
        column(rows, |r| &*r.1.payload),
    ];
    Call::new(LOG, columns)
}

fn keys<'a>(keys: &BTreeMap<(RoomId, Key, u64), &'a FmucKeyRow>) -> Call<'a> {
    let rows: Vec<_> = keys.iter().map(|((room, key, _), k)| (int(room.0), *key, *k)).collect();
    let columns = [
        column(&rows, |r| r.0),
        column(&rows, |r| r.1.to_vec()),
        column(&rows, |r| r.2.digest.cast_signed()),
        column(&rows, |r| r.2.origin.as_str()),
        column(&rows, |r| &*r.2.id),
        column(&rows, |r| int(r.2.seq.0)),
        column(&rows, |r| int(r.2.at.0)),
    ];
    Call::new(FMUC_KEY, columns)
}

fn routed<'a>(sources: &BTreeMap<(RoomId, Incarnation), u64>) -> Call<'a> {
    let rows: Vec<_> = sources.iter().collect();
    let columns = [column(&rows, |r| int(r.0.0.0)), column(&rows, |r| r.0.1.to_string()), column(&rows, |r| int(*r.1))];
    Call::new(ROUTED, columns)
}

fn watermarks<'a>(marks: &BTreeMap<(Lane, &'a Path), Batch>) -> Call<'a> {
    let rows: Vec<_> = marks.iter().map(|((lane, path), batch)| (int(lane.0), *path, int(batch.0))).collect();
    let columns = [
        column(&rows, |r| r.0),
        column(&rows, |r| &*r.1.local),
        column(&rows, |r| &*r.1.remote),
        column(&rows, |r| r.2),
    ];
    Call::new(WATERMARK, columns)
}

fn object<'a>(name: &'a ObjectName, change: Change<&'a Object>) -> Result<Call<'a>, String> {
    let key =
        || -> [Param<'a>; 3] { [Box::new(small(name.kind.code())), Box::new(&*name.namespace), Box::new(&*name.name)] };
    let Change::Write(object) = change else { return Ok(Call::new(OBJECT_GONE, key())) };
    let body = serde_json::to_string(&object.body).map_err(|e| format!("{name}: {e}"))?;
    let [kind, namespace, name] = key();
    let (uid, generation, digest) = (Box::new(&*object.uid), Box::new(object.generation.0), Box::new(&*object.digest));
    Ok(Call::new(OBJECT, [kind, namespace, name, uid, generation, digest, Box::new(body)]))
}
