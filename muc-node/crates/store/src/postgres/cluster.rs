//! Several pods on one database.
//!
//! Locks are taken in one order, so that no two transactions wait for each other: the row of `meta`, lanes, pods (by
//! incarnation), shards and links. A lane's lock may have to be waited for as long as its commit takes; while a
//! transaction waits for it, it holds nothing that delays a beat.

use tokio_postgres::Row;
use warren_model::{Batch, Epoch, Lane, Path, Shard, UnixMs};

use super::owners::{LOCK_LINKS, LOCK_SHARDS, claim, hand_over, move_things, take_over_pod};
use super::read::{Columns, SNAPSHOT, each, int};
use super::session::{Call, Connection, Param, Trouble, Wire, on};
use super::write::{COMMIT, all, begin, end};
use crate::types::lane_after;
use crate::{
    Assignment, Claim, Closed, Cluster, Incarnation, Join, Joined, LinkRow, Moved, Ownership, PodRow, PodState,
    ShardRow, StoreError, TakeOver, View,
};

/// A connection for the verbs of a cluster: a thread of its own has one, so that no commit delays a beat.
#[derive(Debug)]
pub struct PostgresCluster {
    pub(super) connection: Connection,
}

const PODS: &str = "SELECT incarnation, name, address, beat, gone, closed_by FROM pod ORDER BY incarnation";

fn pod_row(c: &mut Columns<'_>) -> Result<PodRow, Trouble> {
    Ok(PodRow {
        incarnation: c.some_incarnation()?,
        name: c.get::<&str>()?.into(),
        address: c.get::<&str>()?.into(),
        beat: c.num()?,
        state: state(c)?,
    })
}

/// Whether a pod acts.
pub fn state(c: &mut Columns<'_>) -> Result<PodState, Trouble> {
    let (gone, by): (bool, Option<Incarnation>) = (c.get()?, c.incarnation()?);
    Ok(match by {
        _ if !gone => PodState::Open,
        Some(by) => PodState::Closed { by },
        None => PodState::Gone,
    })
}

/// An incarnation as a parameter.
pub fn name<'a>(incarnation: Incarnation) -> Param<'a> {
    Box::new(incarnation.to_string())
}

async fn join(wire: &mut Wire, join: &Join) -> Result<Joined, Trouble> {
    begin(wire).await?;
    let result = joined(wire, join).await;
    end(wire, result).await
}

async fn joined(wire: &mut Wire, join: &Join) -> Result<Joined, Trouble> {
    let own = || name(join.incarnation);
    // First of all, so that no pod enters while this one does: both would overlook each other.
    let calls = [
        Call::plain("SELECT last_lane FROM meta FOR UPDATE"),
        Call::new("SELECT incarnation, gone, closed_by FROM pod WHERE incarnation = $1", [own()]),
        Call::new("SELECT id, epoch, batch FROM lane WHERE incarnation = $1 AND open ORDER BY id", [own()]),
        Call::new(
            "UPDATE lane SET open = false WHERE open AND incarnation <> $2 AND (incarnation IN \
             (SELECT incarnation FROM pod WHERE name = $1 AND NOT gone) OR incarnation NOT IN \
             (SELECT incarnation FROM pod))",
            [Box::new(&*join.name) as _, own()],
        ),
        Call::new(
            "SELECT incarnation FROM pod WHERE name = $1 AND incarnation <> $2 AND NOT gone ORDER BY incarnation \
             FOR UPDATE",
            [Box::new(&*join.name) as _, own()],
        ),
        Call::new(
            "UPDATE pod SET gone = true, closed_by = $2 WHERE name = $1 AND incarnation <> $2 AND NOT gone \
             RETURNING incarnation",
            [Box::new(&*join.name) as _, own()],
        ),
    ];
    let answers = all(wire, &calls).await?;
    let [last, known, lanes, _, _, closed]: [Vec<Row>; 6] =
        answers.try_into().map_err(|_| Trouble::Corrupt("an answer is missing".to_owned()))?;
    if let Some(row) = known.first() {
        let mut columns = Columns::of(row);
        columns.incarnation()?;
        if state(&mut columns)? != PodState::Open {
            return Err(Trouble::Refused(format!("incarnation {} has been closed", join.incarnation)));
        }
        // It was entered in a transaction whose answer was lost.
        let lanes = each(&lanes, |c| {
            let (lane, epoch, batch) = (Lane(c.num()?), c.epoch()?, Batch(c.num()?));
            Ok(Ownership { epoch, lane, batch })
        })?;
        return Ok(Joined { lanes, closed: Vec::new() });
    }
    let last = Columns::of(last.first().ok_or_else(|| Trouble::Corrupt("meta is empty".to_owned()))?).num()?;
    let mut last = Lane(last);
    let next = |_| {
        last = lane_after(last.0, join.incarnation);
        last
    };
    let lanes: Vec<Lane> = (0..join.lanes).map(next).collect();
    let ids: Vec<i64> = lanes.iter().map(|lane| int(lane.0)).collect();
    let numbers: Vec<i32> = (0..i32::from(join.lanes)).collect();
    let calls = [
        Call::new("UPDATE meta SET last_lane = $1", [Box::new(int(last.0)) as _]),
        Call::new(
            "INSERT INTO pod (incarnation, name, address, beat, gone) VALUES ($1, $2, $3, 0, false)",
            [own(), Box::new(&*join.name), Box::new(&*join.address)],
        ),
        Call::new(
            "INSERT INTO lane (id, incarnation, n, epoch, batch, open) \
             SELECT w.id, $1, w.n, 0, 0, true FROM unnest($2::int8[], $3::int4[]) AS w(id, n)",
            [own(), Box::new(ids), Box::new(numbers)],
        ),
    ];
    all(wire, &calls).await?;
    let own = |lane| Ownership { epoch: Epoch(0), lane, batch: Batch(0) };
    let lanes = lanes.into_iter().map(own).collect();
    let mut closed = each(&closed, Columns::some_incarnation)?;
    closed.sort();
    Ok(Joined { lanes, closed })
}

async fn beat(wire: &mut Wire, incarnation: Incarnation) -> Result<bool, Trouble> {
    wire.warned();
    // One statement is a transaction.
    let sql = "UPDATE pod SET beat = beat + 1 WHERE incarnation = $1 AND NOT gone RETURNING beat";
    let rows = wire.call(Call::new(sql, [name(incarnation)])).await?;
    // Not replicated: a standby that is promoted would not have it.
    wire.warned().map_or(Ok(!rows.is_empty()), |warning| Err(Trouble::Unknown(warning)))
}

async fn pods(wire: &mut Wire) -> Result<Vec<PodRow>, Trouble> {
    each(&wire.call(Call::plain(PODS)).await?, pod_row)
}

async fn view(wire: &mut Wire) -> Result<View, Trouble> {
    let calls = [
        Call::plain(SNAPSHOT),
        Call::plain(PODS),
        Call::plain("SELECT id, incarnation, epoch FROM shard ORDER BY id"),
        Call::plain("SELECT local, remote, incarnation, epoch FROM link ORDER BY local, remote"),
        Call::plain(COMMIT),
    ];
    let answers = all(wire, &calls).await?;
    let [_, pods, shards, links, _]: [Vec<Row>; 5] =
        answers.try_into().map_err(|_| Trouble::Corrupt("an answer is missing".to_owned()))?;
    Ok(View {
        pods: each(&pods, pod_row)?,
        shards: each(&shards, |c| Ok(ShardRow { shard: c.shard()?, owner: c.incarnation()?, epoch: c.epoch()? }))?,
        links: each(&links, |c| Ok(LinkRow { link: c.link()?, owner: c.incarnation()?, epoch: c.epoch()? }))?,
    })
}

impl Columns<'_> {
    /// A shard.
    pub fn shard(&mut self) -> Result<Shard, Trouble> {
        let n = self.num()?;
        u32::try_from(n).map(Shard).map_err(|_| Trouble::Corrupt(format!("{n} is no shard")))
    }
    /// A link.
    pub fn link(&mut self) -> Result<Path, Trouble> {
        Ok(Path { local: self.get::<&str>()?.into(), remote: self.get::<&str>()?.into() })
    }
}

async fn goodbye(wire: &mut Wire, incarnation: Incarnation) -> Result<bool, Trouble> {
    begin(wire).await?;
    let calls = [
        Call::new("UPDATE lane SET open = false WHERE incarnation = $1 AND open", [name(incarnation)]),
        Call::new("UPDATE pod SET gone = true WHERE incarnation = $1 AND NOT gone RETURNING beat", [name(incarnation)]),
        Call::new(LOCK_SHARDS, [name(incarnation)]),
        Call::new(LOCK_LINKS, [name(incarnation)]),
        Call::new(
            "UPDATE shard SET incarnation = NULL WHERE incarnation = $1 \
             AND EXISTS (SELECT 1 FROM pod WHERE incarnation = $1 AND closed_by IS NULL)",
            [name(incarnation)],
        ),
        Call::new(
            "UPDATE link SET incarnation = NULL WHERE incarnation = $1 \
             AND EXISTS (SELECT 1 FROM pod WHERE incarnation = $1 AND closed_by IS NULL)",
            [name(incarnation)],
        ),
    ];
    let result = all(wire, &calls).await;
    let answers = end(wire, result).await?;
    Ok(answers.get(1).is_some_and(|rows| !rows.is_empty()))
}

/// A pod that may be forgotten: it stays so, since nobody gives anything to a pod that is not open.
macro_rules! over {
    ($verb:literal, $more:literal) => {
        concat!(
            $verb,
            " FROM pod WHERE incarnation = $1 AND gone \
             AND NOT EXISTS (SELECT 1 FROM lane WHERE incarnation = $1) \
             AND NOT EXISTS (SELECT 1 FROM shard WHERE incarnation = $1) \
             AND NOT EXISTS (SELECT 1 FROM link WHERE incarnation = $1)",
            $more
        )
    };
}

/// So many numbers of a source go in one transaction: a site has as many of them as rooms in which somebody spoke.
const LOT: i64 = 10_000;

async fn forget(wire: &mut Wire, incarnation: Incarnation) -> Result<bool, Trouble> {
    if wire.call(Call::new(over!("SELECT beat", ""), [name(incarnation)])).await?.is_empty() {
        return Ok(false);
    }
    // In one order, and without waiting: whoever removes rooms takes them in an order of its own.
    let lot = "WITH lot AS (SELECT room FROM routed WHERE source = $1 ORDER BY room LIMIT $2 FOR UPDATE SKIP LOCKED), \
               went AS (DELETE FROM routed WHERE source = $1 AND room IN (SELECT room FROM lot) RETURNING 1) \
               SELECT count(*) FROM went";
    loop {
        begin(wire).await?;
        let result = wire.call(Call::new(lot, [name(incarnation), Box::new(LOT)])).await;
        if count(end(wire, result).await?.first())? < LOT.unsigned_abs() {
            break;
        }
    }
    begin(wire).await?;
    let gone = over!("DELETE", " AND NOT EXISTS (SELECT 1 FROM routed WHERE source = $1) RETURNING beat");
    let result = wire.call(Call::new(gone, [name(incarnation)])).await;
    Ok(!end(wire, result).await?.is_empty())
}

fn count(row: Option<&Row>) -> Result<u64, Trouble> {
    Columns::of(row.ok_or_else(|| Trouble::Corrupt("no count".to_owned()))?).num()
}

impl Cluster for PostgresCluster {
    fn join(&mut self, pod: &Join) -> Result<Joined, StoreError> {
        Ok(on!(self.connection, |wire| join(wire, pod))?)
    }
    fn beat(&mut self, incarnation: Incarnation) -> Result<bool, StoreError> {
        Ok(on!(self.connection, |wire| beat(wire, incarnation))?)
    }
    fn pods(&mut self) -> Result<Vec<PodRow>, StoreError> {
        Ok(on!(self.connection, |wire| pods(wire))?)
    }
    fn view(&mut self) -> Result<View, StoreError> {
        Ok(on!(self.connection, |wire| view(wire))?)
    }
    fn take_over_pod(
        &mut self,
        dead: Incarnation,
        seen: Option<u64>,
        by: Incarnation,
        assign: &[Assignment],
        now: UnixMs,
    ) -> Result<Result<TakeOver, Closed>, StoreError> {
        Ok(on!(self.connection, |wire| take_over_pod(wire, (dead, seen), by, assign, now))?)
    }
    fn claim(
        &mut self,
        by: Incarnation,
        claims: &[Claim],
        now: UnixMs,
    ) -> Result<Result<Vec<Moved>, Closed>, StoreError> {
        Ok(on!(self.connection, |wire| claim(wire, by, claims, now))?)
    }
    fn move_things(&mut self, from: Incarnation, moves: &[Claim], now: UnixMs) -> Result<Vec<Moved>, StoreError> {
        Ok(on!(self.connection, |wire| move_things(wire, from, moves, now))?)
    }
    fn hand_over(
        &mut self,
        me: Incarnation,
        assign: &[Assignment],
        now: UnixMs,
    ) -> Result<Result<Vec<Moved>, Closed>, StoreError> {
        Ok(on!(self.connection, |wire| hand_over(wire, me, assign, now))?)
    }
    fn goodbye(&mut self, incarnation: Incarnation) -> Result<bool, StoreError> {
        Ok(on!(self.connection, |wire| goodbye(wire, incarnation))?)
    }
    fn forget(&mut self, incarnation: Incarnation) -> Result<bool, StoreError> {
        Ok(on!(self.connection, |wire| forget(wire, incarnation))?)
    }
}
