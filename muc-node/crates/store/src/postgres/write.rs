//! Group commits, take-over and trimming.

use tokio_postgres::Row;
use warren_model::{Batch, Lane, Path, RoomId, Seq, UnixMs};

use super::group::Group;
use super::read::{Columns, int, size};
use super::rows;
use super::session::{Call, Param, Trouble, Wire};
use crate::types::{Spans, lane_mark, spans_to_text};
use crate::{Incarnation, Ownership, Resolved, Work};

const BEGIN: &str = "BEGIN";
pub const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";

/// The fence: locks the lane's row until the end of the transaction, so that whoever closes the lane waits for it. It
/// fails (by a division by zero, since there is no portable `ASSERT`) if the last batch is not the one that is known.
const FENCE: &str = "UPDATE lane SET batch = batch + 1 / (CASE WHEN batch = coalesce($2::int8, batch) THEN 1 ELSE 0 END) \
                     WHERE id = $1 AND open RETURNING batch, epoch";

/// Fails if [`FENCE`] found nothing or if the lane is newer than what was decided.
const FENCED: &str = "SELECT 1 / count(*) FROM lane WHERE id = $1 AND open AND epoch <= $2";

/// Fails if a shard has moved on since, or if a pod of several does not have it under this epoch. It is a statement after [`FENCE`], so it sees every move that was made
/// before; and a move locks the lanes of the owner that it takes a shard from, so none is made while this
/// transaction lasts.
const SHARDS: &str = "SELECT 1 / (CASE WHEN EXISTS (SELECT 1 FROM unnest($2::int8[], $3::int8[]) AS w(id, epoch) \
                      JOIN lane ON lane.id = $1 LEFT JOIN shard ON shard.id = w.id WHERE shard.epoch > w.epoch \
                      OR lane.epoch = 0 AND (shard.epoch IS DISTINCT FROM w.epoch \
                      OR shard.incarnation IS DISTINCT FROM lane.incarnation)) THEN 0 ELSE 1 END)";

/// Finds a shard that a pod of several does not have under this epoch although nobody has it under a later one.
const AHEAD: &str = "SELECT w.id FROM unnest($2::int8[], $3::int8[]) AS w(id, epoch) JOIN lane ON lane.id = $1 \
                     LEFT JOIN shard ON shard.id = w.id WHERE lane.epoch = 0 AND (coalesce(shard.epoch, 0) < w.epoch \
                     OR shard.epoch = w.epoch AND shard.incarnation IS DISTINCT FROM lane.incarnation)";

const TOUCHED: &str = "INSERT INTO batch (lane, batch, touched) SELECT id, batch, $2 FROM lane WHERE id = $1";

fn number<'a>(n: u64) -> Param<'a> {
    Box::new(int(n))
}

fn fence(lane: Lane, known: Option<Batch>) -> Call<'static> {
    Call::new(FENCE, [number(lane.0), Box::new(known.map(|known| int(known.0)))])
}

fn guards(lane: Lane, group: &Group<'_>, out: &mut Vec<Call<'_>>) {
    let epoch = group.epoch.map_or(i64::MAX, |epoch| i64::from(epoch.0));
    out.push(Call::new(FENCED, [number(lane.0), Box::new(epoch)]));
    if !group.shards.is_empty() {
        out.push(on_shards(SHARDS, lane, group));
    }
}

fn on_shards<'a>(sql: &'static str, lane: Lane, group: &Group<'_>) -> Call<'a> {
    let shards: Vec<i64> = group.shards.iter().map(|(shard, _)| i64::from(shard.0)).collect();
    let epochs: Vec<i64> = group.shards.iter().map(|(_, epoch)| i64::from(epoch.0)).collect();
    Call::new(sql, [number(lane.0), Box::new(shards), Box::new(epochs)])
}

fn touched<'a>(lane: Lane, spans: &Spans) -> Option<Call<'a>> {
    let text = (!spans.list().is_empty()).then(|| spans_to_text(spans.list()))?;
    Some(Call::new(TOUCHED, [number(lane.0), Box::new(text)]))
}

/// One group commit, in two round trips: BEGIN, and all statements together with COMMIT.
///
/// What must stop it is an error of a statement before, which turns COMMIT into a rollback. Only if there is one, the
/// works are done again one by one, to tell which of them it was. BEGIN goes alone, since without it each statement
/// would commit by itself.
pub async fn commit(wire: &mut Wire, lane: Lane, known: Option<Batch>, work: &[Work]) -> Result<Batch, Trouble> {
    if work.iter().any(|w| w.check().is_err()) {
        return one_by_one(wire, lane, known, work).await;
    }
    match together(wire, lane, known, work).await {
        Err(Trouble::Rule(_)) => one_by_one(wire, lane, known, work).await,
        answer => answer,
    }
}

async fn together(wire: &mut Wire, lane: Lane, known: Option<Batch>, work: &[Work]) -> Result<Batch, Trouble> {
    let group = Group::of(work);
    let mut calls = vec![fence(lane, known)];
    guards(lane, &group, &mut calls);
    for segment in &group.segments {
        rows::calls(lane, segment, &mut calls).map_err(Trouble::Rule)?;
    }
    calls.extend(touched(lane, &group.spans));
    calls.push(Call::plain(COMMIT));
    begin(wire).await?;
    let mut answers = match wire.calls(&calls).await {
        Ok(answers) => answers,
        Err(trouble) => return undone(wire, trouble).await,
    };
    let last = answers.pop();
    let mut batch = None;
    for (n, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(rows) if n == 0 => match rows.first() {
                Some(row) => batch = Some(Batch(Columns::of(row).num()?)),
                // The next statement fails for this reason.
                None => return Err(Trouble::Fenced),
            },
            Ok(_) => {}
            // COMMIT is on its way.
            Err(Trouble::Lost(why)) => return Err(Trouble::Unknown(why)),
            Err(trouble) => return Err(trouble),
        }
    }
    committed(wire, last)?;
    batch.ok_or_else(|| Trouble::Unknown("the lane's row was not answered".to_owned()))
}

/// Begins a transaction. It is confirmed before anything else is sent.
pub async fn begin(wire: &mut Wire) -> Result<(), Trouble> {
    wire.call(Call::plain(BEGIN)).await?;
    wire.warned();
    Ok(())
}

/// Ends a transaction that must not happen.
async fn undone<T>(wire: &mut Wire, trouble: Trouble) -> Result<T, Trouble> {
    if !matches!(trouble, Trouble::Lost(_) | Trouble::Unknown(_)) {
        wire.call(Call::plain(ROLLBACK)).await?;
    }
    Err(trouble)
}

/// Whether COMMIT did what it should. An error of COMMIT itself says nothing for sure, and a warning says that it
/// happened here and not on the standbys that it waits for: the lane's row tells.
fn committed<T>(wire: &mut Wire, answer: Option<Result<T, Trouble>>) -> Result<(), Trouble> {
    match (answer, wire.warned()) {
        (Some(Ok(_)), None) => Ok(()),
        (_, Some(warning)) => Err(Trouble::Unknown(warning)),
        (Some(Err(trouble)), _) => Err(Trouble::Unknown(trouble.why())),
        (None, _) => Err(Trouble::Unknown("no answer".to_owned())),
    }
}

/// Ends a transaction: COMMIT if all went well so far.
pub async fn end<T>(wire: &mut Wire, result: Result<T, Trouble>) -> Result<T, Trouble> {
    match result {
        Ok(value) => {
            let answer = wire.call(Call::plain(COMMIT)).await;
            committed(wire, Some(answer))?;
            Ok(value)
        }
        Err(trouble) => undone(wire, trouble).await,
    }
}

/// Many statements that must all succeed.
pub async fn all(wire: &mut Wire, calls: &[Call<'_>]) -> Result<Vec<Vec<Row>>, Trouble> {
    wire.calls(calls).await?.into_iter().collect()
}

async fn one_by_one(wire: &mut Wire, lane: Lane, known: Option<Batch>, work: &[Work]) -> Result<Batch, Trouble> {
    begin(wire).await?;
    let result = each(wire, lane, known, work).await;
    end(wire, result).await
}

async fn each(wire: &mut Wire, lane: Lane, known: Option<Batch>, work: &[Work]) -> Result<Batch, Trouble> {
    let rows = wire.call(fence(lane, known)).await.map_err(|trouble| match trouble {
        Trouble::Rule(_) => Trouble::Fenced,
        trouble => trouble,
    })?;
    let mut columns = Columns::of(rows.first().ok_or(Trouble::Fenced)?);
    let (batch, opened) = (Batch(columns.num()?), columns.epoch()?);
    let mut spans = Spans::default();
    for (index, one) in work.iter().enumerate() {
        one.check().map_err(|why| Trouble::Rejected(index, why))?;
        let group = Group::of(std::slice::from_ref(one));
        if let Some(epoch) = group.epoch.filter(|epoch| *epoch < opened) {
            let why = format!("{}: decided under epoch {epoch}, the lane is at {opened}", named(one));
            return Err(Trouble::Rejected(index, why));
        }
        if !wire.call(on_shards(AHEAD, lane, &group)).await?.is_empty() {
            return Err(Trouble::Fenced);
        }
        let mut calls = Vec::new();
        guards(lane, &group, &mut calls);
        let guards = calls.len();
        for segment in &group.segments {
            rows::calls(lane, segment, &mut calls).map_err(|why| Trouble::Rejected(index, why))?;
        }
        for (n, answer) in wire.calls(&calls).await?.into_iter().enumerate() {
            match answer {
                Ok(_) => {}
                Err(Trouble::Rule(_)) if n < guards => return Err(Trouble::Disowned(index)),
                Err(Trouble::Rule(why)) => {
                    let why = match calls.get(n).map(|call| call.sql) {
                        Some(rows::NEEDED) => "it is not stored".to_owned(),
                        _ => why,
                    };
                    return Err(Trouble::Rejected(index, format!("{}: {why}", named(one))));
                }
                Err(trouble) => return Err(trouble),
            }
        }
        group.spans.list().iter().for_each(|span| {
            spans.extend(span.room, span.first);
            spans.extend(span.room, span.last);
        });
    }
    if let Some(call) = touched(lane, &spans) {
        wire.call(call).await?;
    }
    Ok(batch)
}

fn named(work: &Work) -> String {
    match work {
        Work::Room { room, .. } => format!("room {room}"),
        Work::Watermark { path, .. } => format!("watermark of {path}"),
        Work::Object { object, .. } => object.name.to_string(),
        Work::ObjectGone { name, .. } => name.to_string(),
    }
}

/// See [`crate::Backend::take_over`].
pub async fn take_over(wire: &mut Wire, incarnation: Incarnation, now: UnixMs) -> Result<Ownership, Trouble> {
    begin(wire).await?;
    let result = taken(wire, incarnation, now).await;
    end(wire, result).await
}

async fn taken(wire: &mut Wire, incarnation: Incarnation, now: UnixMs) -> Result<Ownership, Trouble> {
    let seconds = i64::from(u32::try_from(now.0 / 1000).unwrap_or(u32::MAX));
    // Above the epochs of shards and links, too, and read when nobody can raise those any more: all is one series, so
    // that a store can change from one pod to several and back.
    let raise = "UPDATE meta SET last_lane = (((last_lane >> 32) + 1) << 32) | $2, epoch = least(4294967295, greatest(epoch + 1, $1, \
                 (SELECT coalesce(max(epoch), 0) + 1 FROM shard), (SELECT coalesce(max(epoch), 0) + 1 FROM link))) \
                 RETURNING last_lane, epoch";
    let calls = [
        // Keeps two take-overs apart.
        Call::plain("SELECT last_lane FROM meta FOR UPDATE"),
        Call::plain("UPDATE lane SET open = false WHERE open"),
        Call::plain("UPDATE pod SET gone = true WHERE NOT gone"),
        Call::plain("UPDATE shard SET incarnation = NULL WHERE incarnation IS NOT NULL"),
        Call::plain("UPDATE link SET incarnation = NULL WHERE incarnation IS NOT NULL"),
        Call::new(raise, [Box::new(seconds) as _, number(lane_mark(incarnation))]),
    ];
    let answers = all(wire, &calls).await?;
    let row =
        answers.last().and_then(|rows| rows.first()).ok_or_else(|| Trouble::Corrupt("meta is empty".to_owned()))?;
    let mut columns = Columns::of(row);
    let (lane, epoch) = (Lane(columns.num()?), columns.epoch()?);
    let open = "INSERT INTO lane (id, incarnation, n, epoch, batch, open) VALUES ($1, $2, 0, $3, 0, true)";
    let open = Call::new(open, [number(lane.0), Box::new(incarnation.to_string()), Box::new(i64::from(epoch.0))]);
    wire.call(open).await?;
    Ok(Ownership { epoch, lane, batch: Batch(0) })
}

/// See [`crate::Backend::resolve`]. The connection is a new one.
///
/// The row is written, not only read: that waits for the lock of what is left of the transaction, and its own COMMIT
/// waits for the standbys that the lost one may not have waited for.
pub async fn resolve(wire: &mut Wire, lane: Lane, known: Batch) -> Result<Resolved, Trouble> {
    let ask = Call::new("UPDATE lane SET batch = batch WHERE id = $1 RETURNING batch, open", [number(lane.0)]);
    begin(wire).await?;
    let result = wire.call(ask).await;
    let rows = end(wire, result).await?;
    let Some(row) = rows.first() else { return Ok(Resolved::Fenced) };
    let mut columns = Columns::of(row);
    let (batch, open) = (Batch(columns.num()?), columns.get::<bool>()?);
    Ok(match open {
        true if batch.0 == known.0 + 1 => Resolved::Done(batch),
        true if batch == known => Resolved::NotDone,
        _ => Resolved::Fenced,
    })
}

const HOLD: &str = "SELECT 1 FROM lane WHERE id = $1 AND open FOR UPDATE";

async fn hold(wire: &mut Wire, lane: Lane) -> Result<(), Trouble> {
    let rows = wire.call(Call::new(HOLD, [number(lane.0)])).await?;
    if rows.is_empty() { Err(Trouble::Fenced) } else { Ok(()) }
}

/// See [`crate::Backend::trim_batches`].
pub async fn trim_batches(wire: &mut Wire, lane: Lane, awaited: &[Path]) -> Result<u64, Trouble> {
    begin(wire).await?;
    let result = batches_trimmed(wire, lane, awaited).await;
    end(wire, result).await
}

async fn batches_trimmed(wire: &mut Wire, lane: Lane, awaited: &[Path]) -> Result<u64, Trouble> {
    hold(wire, lane).await?;
    let locals: Vec<&str> = awaited.iter().map(|path| &*path.local).collect();
    let remotes: Vec<&str> = awaited.iter().map(|path| &*path.remote).collect();
    let trim = if awaited.is_empty() {
        Call::plain("WITH gone AS (DELETE FROM batch RETURNING 1) SELECT count(*) FROM gone")
    } else {
        let sql = "WITH passed AS (SELECT lane.id, min(coalesce(w.batch, 0)) AS through \
                   FROM lane CROSS JOIN unnest($1::text[], $2::text[]) AS p(local, remote) \
                   LEFT JOIN watermark w ON w.lane = lane.id AND w.local = p.local AND w.remote = p.remote \
                   GROUP BY lane.id), \
                   gone AS (DELETE FROM batch USING passed WHERE batch.lane = passed.id \
                   AND batch.batch <= passed.through RETURNING 1) SELECT count(*) FROM gone";
        Call::new(sql, [Box::new(locals) as _, Box::new(remotes) as _])
    };
    let calls = [
        trim,
        Call::plain(
            "DELETE FROM watermark WHERE lane IN (SELECT id FROM lane WHERE NOT open \
             AND NOT EXISTS (SELECT 1 FROM batch WHERE batch.lane = lane.id))",
        ),
        Call::plain("DELETE FROM lane WHERE NOT open AND NOT EXISTS (SELECT 1 FROM batch WHERE batch.lane = lane.id)"),
    ];
    let answers = all(wire, &calls).await?;
    count(answers.first())
}

fn count(rows: Option<&Vec<Row>>) -> Result<u64, Trouble> {
    let row = rows.and_then(|rows| rows.first()).ok_or_else(|| Trouble::Corrupt("no count".to_owned()))?;
    Columns::of(row).num()
}

/// See [`crate::Backend::trim_log`].
pub async fn trim_log(wire: &mut Wire, lane: Lane, room: RoomId, through: Seq, max: usize) -> Result<u64, Trouble> {
    begin(wire).await?;
    let result = log_trimmed(wire, lane, room, through, max).await;
    end(wire, result).await
}

async fn log_trimmed(wire: &mut Wire, lane: Lane, room: RoomId, through: Seq, max: usize) -> Result<u64, Trouble> {
    hold(wire, lane).await?;
    // The last of the rows to go; then a range delete, which needs no list.
    let last = "SELECT max(seq) FROM (SELECT seq FROM log WHERE room = $1 AND seq <= $2 \
                AND seq <> (SELECT subject_seq FROM room WHERE id = $1) ORDER BY seq LIMIT $3) AS old";
    let rows = wire.call(Call::new(last, [number(room.0), number(through.0), Box::new(size(max))])).await?;
    let last: Option<i64> = rows.first().map_or(Ok(None), |row| Columns::of(row).get())?;
    let Some(last) = last else { return Ok(0) };
    let gone = "WITH gone AS (DELETE FROM log WHERE room = $1 AND seq <= $2 \
                AND seq <> (SELECT subject_seq FROM room WHERE id = $1) RETURNING 1) SELECT count(*) FROM gone";
    let low = "UPDATE room SET low = $2 WHERE id = $1 AND low < $2";
    let calls = [
        Call::new(gone, [number(room.0), Box::new(last)]),
        Call::new(low, [number(room.0), Box::new(last.saturating_add(1))]),
    ];
    let answers = all(wire, &calls).await?;
    count(answers.first())
}
