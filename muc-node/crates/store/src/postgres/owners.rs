//! Who owns what: take-over, claims and moves.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row;
use warren_model::{Epoch, UnixMs};

use super::cluster::{name, state};
use super::read::each;
use super::session::{Call, Param, Trouble, Wire};
use super::write::{all, begin, end};
use crate::{Assignment, Claim, Closed, Incarnation, Moved, PodState, TakeOver, Thing};

/// The epoch after `epoch`: above all that a single pod decided under when it had the whole store, too. `$1` are Unix
/// seconds.
macro_rules! raised {
    ($epoch:literal) => {
        concat!("least(4294967295, greatest(", $epoch, " + 1, $1, (SELECT epoch + 1 FROM meta)))")
    };
}

fn seconds<'a>(now: UnixMs) -> Param<'a> {
    Box::new(i64::from(u32::try_from(now.0 / 1000).unwrap_or(u32::MAX)))
}

/// Locks pods and says which of them are open.
async fn lock(
    wire: &mut Wire,
    pods: impl IntoIterator<Item = Incarnation>,
) -> Result<BTreeMap<Incarnation, (PodState, u64)>, Trouble> {
    let names: BTreeSet<String> = pods.into_iter().map(|pod| pod.to_string()).collect();
    let names: Vec<String> = names.into_iter().collect();
    let sql = "SELECT incarnation, gone, closed_by, beat FROM pod WHERE incarnation = ANY($1::text[]) \
               ORDER BY incarnation FOR UPDATE";
    let rows = wire.call(Call::new(sql, [Box::new(names)])).await?;
    Ok(each(&rows, |c| Ok((c.some_incarnation()?, (state(c)?, c.num()?))))?.into_iter().collect())
}

fn is_open(pods: &BTreeMap<Incarnation, (PodState, u64)>, pod: Incarnation) -> bool {
    pods.get(&pod).is_some_and(|(state, _)| *state == PodState::Open)
}

/// Shards and links, as columns.
#[derive(Default)]
struct Table {
    shards: Vec<i64>,
    shards_to: Vec<String>,
    shards_seen: Vec<i64>,
    locals: Vec<String>,
    remotes: Vec<String>,
    links_to: Vec<String>,
    links_seen: Vec<i64>,
}

impl Table {
    fn add(&mut self, assignment: &Assignment, seen: Epoch) {
        match &assignment.thing {
            Thing::Shard(shard) => {
                self.shards.push(i64::from(shard.0));
                self.shards_to.push(assignment.to.to_string());
                self.shards_seen.push(i64::from(seen.0));
            }
            Thing::Link(path) => {
                self.locals.push(path.local.to_string());
                self.remotes.push(path.remote.to_string());
                self.links_to.push(assignment.to.to_string());
                self.links_seen.push(i64::from(seen.0));
            }
        }
    }
}

/// What the answers of two updates say, in the order in which it was asked for.
fn moved<'a>(
    asked: impl Iterator<Item = &'a Assignment>,
    shards: &[Row],
    links: &[Row],
) -> Result<Vec<Moved>, Trouble> {
    let mut epochs: BTreeMap<Thing, Epoch> =
        each(shards, |c| Ok((Thing::Shard(c.shard()?), c.epoch()?)))?.into_iter().collect();
    epochs.extend(each(links, |c| Ok((Thing::Link(c.link()?), c.epoch()?)))?);
    Ok(asked
        .filter_map(|assignment| {
            let epoch = epochs.remove(&assignment.thing)?;
            Some(Moved { assignment: assignment.clone(), epoch })
        })
        .collect())
}

pub async fn take_over_pod(
    wire: &mut Wire,
    (dead, seen): (Incarnation, Option<u64>),
    by: Incarnation,
    assign: &[Assignment],
    now: UnixMs,
) -> Result<Result<TakeOver, Closed>, Trouble> {
    begin(wire).await?;
    let result = pod_taken(wire, (dead, seen), by, assign, now).await;
    match end(wire, result).await {
        Err(Trouble::Fenced) => Ok(Err(Closed)),
        Err(Trouble::Overtaken) => Ok(Ok(TakeOver::Alive)),
        answer => Ok(Ok(answer?)),
    }
}

/// [`Trouble::Fenced`]: we are closed ourselves, so nothing of this must happen; [`Trouble::Overtaken`]: it lives.
async fn pod_taken(
    wire: &mut Wire,
    (dead, seen): (Incarnation, Option<u64>),
    by: Incarnation,
    assign: &[Assignment],
    now: UnixMs,
) -> Result<TakeOver, Trouble> {
    // This waits for its commits in flight.
    wire.call(Call::new(CLOSE_LANES, [name(dead)])).await?;
    let pods = lock(wire, assign.iter().map(|a| a.to).chain([dead, by])).await?;
    if !is_open(&pods, by) {
        return Err(Trouble::Fenced);
    }
    let (state, beat) = pods.get(&dead).copied().unwrap_or((PodState::Gone, 0));
    if state == PodState::Open && seen.is_some_and(|seen| seen != beat) {
        return Err(Trouble::Overtaken);
    }
    let close = Call::new(
        "UPDATE pod SET gone = true, closed_by = $2 WHERE incarnation = $1 AND NOT gone",
        [name(dead), name(by)],
    );
    let (moved, owned) = given_away(wire, dead, close, &pods, assign, now).await?;
    match state {
        PodState::Closed { by } if !owned => Ok(TakeOver::Already { by: Some(by) }),
        PodState::Gone if !owned => Ok(TakeOver::Already { by: None }),
        _ => Ok(TakeOver::Done(moved)),
    }
}

pub async fn hand_over(
    wire: &mut Wire,
    me: Incarnation,
    assign: &[Assignment],
    now: UnixMs,
) -> Result<Result<Vec<Moved>, Closed>, Trouble> {
    begin(wire).await?;
    let result = handed_over(wire, me, assign, now).await;
    match end(wire, result).await {
        Err(Trouble::Fenced) => Ok(Err(Closed)),
        answer => Ok(Ok(answer?)),
    }
}

async fn handed_over(
    wire: &mut Wire,
    me: Incarnation,
    assign: &[Assignment],
    now: UnixMs,
) -> Result<Vec<Moved>, Trouble> {
    wire.call(Call::new(CLOSE_LANES, [name(me)])).await?;
    let pods = lock(wire, assign.iter().map(|a| a.to).chain([me])).await?;
    if !is_open(&pods, me) {
        return Err(Trouble::Fenced);
    }
    let close = Call::new("UPDATE pod SET gone = true WHERE incarnation = $1 AND NOT gone", [name(me)]);
    let (moved, _) = given_away(wire, me, close, &pods, assign, now).await?;
    Ok(moved)
}

/// Closes a pod, gives what it owned to others that are open, and the rest to nobody. Says what others have now, and
/// whether it owned anything.
async fn given_away(
    wire: &mut Wire,
    from: Incarnation,
    close: Call<'_>,
    pods: &BTreeMap<Incarnation, (PodState, u64)>,
    assign: &[Assignment],
    now: UnixMs,
) -> Result<(Vec<Moved>, bool), Trouble> {
    let mut table = Table::default();
    // It was open when the pods were locked, and is not any more.
    for assignment in assign.iter().filter(|assignment| assignment.to != from && is_open(pods, assignment.to)) {
        table.add(assignment, Epoch(0));
    }
    let calls = [
        close,
        Call::new(LOCK_SHARDS, [name(from)]),
        Call::new(LOCK_LINKS, [name(from)]),
        Call::new(
            concat!(
                "UPDATE shard SET incarnation = w.owner, epoch = ",
                raised!("shard.epoch"),
                " FROM unnest($3::int8[], $4::text[]) AS w(id, owner) \
                 WHERE shard.id = w.id AND shard.incarnation = $2 RETURNING shard.id, shard.epoch"
            ),
            [seconds(now), name(from), Box::new(table.shards), Box::new(table.shards_to)],
        ),
        Call::new(
            concat!(
                "UPDATE link SET incarnation = w.owner, epoch = ",
                raised!("link.epoch"),
                " FROM unnest($3::text[], $4::text[], $5::text[]) AS w(local, remote, owner) \
                 WHERE link.local = w.local AND link.remote = w.remote AND link.incarnation = $2 \
                 RETURNING link.local, link.remote, link.epoch"
            ),
            [seconds(now), name(from), Box::new(table.locals), Box::new(table.remotes), Box::new(table.links_to)],
        ),
        Call::new(RELEASE_SHARDS, [name(from)]),
        Call::new(RELEASE_LINKS, [name(from)]),
    ];
    let answers = all(wire, &calls).await?;
    let [_, _, _, shards, links, left_shards, left_links]: [Vec<Row>; 7] =
        answers.try_into().map_err(|_| Trouble::Corrupt("an answer is missing".to_owned()))?;
    let owned = [&shards, &links, &left_shards, &left_links].iter().any(|rows| !rows.is_empty());
    Ok((moved(assign.iter(), &shards, &links)?, owned))
}

const CLOSE_LANES: &str = "UPDATE lane SET open = false WHERE incarnation = $1 AND open";
pub const LOCK_SHARDS: &str = "SELECT id FROM shard WHERE incarnation = $1 ORDER BY id FOR UPDATE";
pub const LOCK_LINKS: &str = "SELECT local FROM link WHERE incarnation = $1 ORDER BY local, remote FOR UPDATE";
// What is changed is locked in one order first, since two that change the same would wait for each other.
const SHARDS_IN_ORDER: &str = "SELECT id FROM shard WHERE id = ANY($1::int8[]) ORDER BY id FOR UPDATE";
const LINKS_IN_ORDER: &str = "SELECT link.epoch FROM link JOIN unnest($1::text[], $2::text[]) AS w(local, remote) \
    ON link.local = w.local AND link.remote = w.remote ORDER BY link.local, link.remote FOR UPDATE OF link";
const RELEASE_SHARDS: &str = "UPDATE shard SET incarnation = NULL WHERE incarnation = $1 RETURNING id";
const RELEASE_LINKS: &str = "UPDATE link SET incarnation = NULL WHERE incarnation = $1 RETURNING local";

pub async fn claim(
    wire: &mut Wire,
    by: Incarnation,
    claims: &[Claim],
    now: UnixMs,
) -> Result<Result<Vec<Moved>, Closed>, Trouble> {
    begin(wire).await?;
    let result = claimed(wire, by, claims, now).await;
    match end(wire, result).await {
        Err(Trouble::Fenced) => Ok(Err(Closed)),
        answer => Ok(Ok(answer?)),
    }
}

async fn claimed(wire: &mut Wire, by: Incarnation, claims: &[Claim], now: UnixMs) -> Result<Vec<Moved>, Trouble> {
    let pods = lock(wire, claims.iter().map(|claim| claim.assignment.to).chain([by])).await?;
    if !is_open(&pods, by) {
        return Err(Trouble::Fenced);
    }
    let mut table = Table::default();
    for claim in claims.iter().filter(|claim| is_open(&pods, claim.assignment.to)) {
        table.add(&claim.assignment, claim.seen);
    }
    let calls = [
        Call::new(SHARDS_IN_ORDER, [Box::new(table.shards.clone()) as _]),
        Call::new(
            concat!(
                "UPDATE shard SET incarnation = w.owner, epoch = ",
                raised!("shard.epoch"),
                " FROM unnest($2::int8[], $3::text[], $4::int8[]) AS w(id, owner, seen) \
                 WHERE shard.id = w.id AND shard.epoch = w.seen AND NOT EXISTS \
                 (SELECT 1 FROM pod WHERE pod.incarnation = shard.incarnation AND NOT pod.gone) \
                 RETURNING shard.id, shard.epoch"
            ),
            [seconds(now), Box::new(table.shards), Box::new(table.shards_to), Box::new(table.shards_seen)],
        ),
        Call::new(
            concat!(
                "INSERT INTO link (local, remote, incarnation, epoch) SELECT w.local, w.remote, w.owner, ",
                raised!("0"),
                " FROM unnest($2::text[], $3::text[], $4::text[], $5::int8[]) AS w(local, remote, owner, seen) \
                 WHERE w.seen = 0 ORDER BY w.local COLLATE \"C\", w.remote COLLATE \"C\" \
                 ON CONFLICT (local, remote) DO NOTHING RETURNING local, remote, epoch"
            ),
            [
                seconds(now),
                Box::new(table.locals.clone()),
                Box::new(table.remotes.clone()),
                Box::new(table.links_to.clone()),
                Box::new(table.links_seen.clone()),
            ],
        ),
        Call::new(LINKS_IN_ORDER, [Box::new(table.locals.clone()) as _, Box::new(table.remotes.clone())]),
        Call::new(
            concat!(
                "UPDATE link SET incarnation = w.owner, epoch = ",
                raised!("link.epoch"),
                " FROM unnest($2::text[], $3::text[], $4::text[], $5::int8[]) AS w(local, remote, owner, seen) \
                 WHERE link.local = w.local AND link.remote = w.remote AND link.epoch = w.seen AND w.seen > 0 \
                 AND NOT EXISTS \
                 (SELECT 1 FROM pod WHERE pod.incarnation = link.incarnation AND NOT pod.gone) \
                 RETURNING link.local, link.remote, link.epoch"
            ),
            [
                seconds(now),
                Box::new(table.locals),
                Box::new(table.remotes),
                Box::new(table.links_to),
                Box::new(table.links_seen),
            ],
        ),
    ];
    let answers = all(wire, &calls).await?;
    let [_, shards, mut links, _, more]: [Vec<Row>; 5] =
        answers.try_into().map_err(|_| Trouble::Corrupt("an answer is missing".to_owned()))?;
    links.extend(more);
    moved(claims.iter().map(|claim| &claim.assignment), &shards, &links)
}

pub async fn move_things(
    wire: &mut Wire,
    from: Incarnation,
    moves: &[Claim],
    now: UnixMs,
) -> Result<Vec<Moved>, Trouble> {
    begin(wire).await?;
    let result = things_moved(wire, from, moves, now).await;
    end(wire, result).await
}

async fn things_moved(wire: &mut Wire, from: Incarnation, moves: &[Claim], now: UnixMs) -> Result<Vec<Moved>, Trouble> {
    // Commits in flight come before the move, and those that follow see it: this holds their first fence.
    let hold = "SELECT id FROM lane WHERE incarnation = $1 AND open ORDER BY id FOR UPDATE";
    if moves.iter().any(|claim| matches!(claim.assignment.thing, Thing::Shard(_))) {
        wire.call(Call::new(hold, [name(from)])).await?;
    }
    let pods = lock(wire, moves.iter().map(|claim| claim.assignment.to).chain([from])).await?;
    if !is_open(&pods, from) {
        return Ok(Vec::new());
    }
    let mut table = Table::default();
    for claim in moves.iter().filter(|claim| is_open(&pods, claim.assignment.to)) {
        table.add(&claim.assignment, claim.seen);
    }
    let calls = [
        Call::new(SHARDS_IN_ORDER, [Box::new(table.shards.clone()) as _]),
        Call::new(
            concat!(
                "UPDATE shard SET incarnation = w.owner, epoch = ",
                raised!("shard.epoch"),
                " FROM unnest($3::int8[], $4::text[], $5::int8[]) AS w(id, owner, seen) \
                 WHERE shard.id = w.id AND shard.incarnation = $2 AND shard.epoch = w.seen \
                 RETURNING shard.id, shard.epoch"
            ),
            [seconds(now), name(from), Box::new(table.shards), Box::new(table.shards_to), Box::new(table.shards_seen)],
        ),
        Call::new(LINKS_IN_ORDER, [Box::new(table.locals.clone()) as _, Box::new(table.remotes.clone())]),
        Call::new(
            concat!(
                "UPDATE link SET incarnation = w.owner, epoch = ",
                raised!("link.epoch"),
                " FROM unnest($3::text[], $4::text[], $5::text[], $6::int8[]) AS w(local, remote, owner, seen) \
                 WHERE link.local = w.local AND link.remote = w.remote AND link.incarnation = $2 \
                 AND link.epoch = w.seen RETURNING link.local, link.remote, link.epoch"
            ),
            [
                seconds(now),
                name(from),
                Box::new(table.locals),
                Box::new(table.remotes),
                Box::new(table.links_to),
                Box::new(table.links_seen),
            ],
        ),
    ];
    let answers = all(wire, &calls).await?;
    let [_, shards, _, links]: [Vec<Row>; 4] =
        answers.try_into().map_err(|_| Trouble::Corrupt("an answer is missing".to_owned()))?;
    moved(moves.iter().map(|claim| &claim.assignment), &shards, &links)
}
