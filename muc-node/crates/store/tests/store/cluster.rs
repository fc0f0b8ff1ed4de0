//! Several pods on one store: the suite, the model against PostgreSQL, and what happens at the same moment.
#![expect(clippy::disallowed_methods, reason = "real servers take real time")]

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use warren_model::{Batch, Epoch, Lane, Path, RoomId, Row, Seq, Shard, Ticket, UnixMs};
use warren_store::conformance::cluster::{Fixture, suite};
use warren_store::conformance::rows::{EPOCH, NOW, message, room};
use warren_store::{
    Assignment, Backend, Claim, Cluster, CommitError, Incarnation, Join, Memory, PodState, Postgres, PostgresCluster,
    PostgresOptions, Reader, TakeOver, Thing, Work,
};
use warren_test_postgres::{Cut, Cutter, Server};

struct Memories;

impl Fixture for Memories {
    type B = Memory;
    type C = Memory;
    fn open(&mut self) -> (Memory, Memory) {
        let store = Memory::new();
        (store.clone(), store)
    }
}

struct Databases;

impl Fixture for Databases {
    type B = Postgres;
    type C = PostgresCluster;
    fn open(&mut self) -> (Postgres, PostgresCluster) {
        let store = open(&Server::shared().database().unwrap());
        let cluster = store.cluster(options());
        (store, cluster)
    }
}

pub fn options() -> PostgresOptions {
    PostgresOptions { idle: Duration::from_millis(500), ..PostgresOptions::default() }
}

pub fn open(dsn: &str) -> Postgres {
    Postgres::open(dsn, options()).unwrap()
}

#[test]
fn memory_conforms() {
    suite(&mut Memories);
}

#[test]
fn postgres_conforms() {
    suite(&mut Databases);
}

#[derive(Clone, Debug)]
enum Op {
    Join(u128, u8),
    Beat(u128),
    TakeOver(u128, u128, Vec<(u8, u128)>, u64),
    Claim(u128, Vec<(u8, u128, bool)>, u64),
    Move(u128, Vec<(u8, u128, bool)>, u64),
    HandOver(u128, Vec<(u8, u128)>, u64),
    Goodbye(u128),
    Forget(u128),
    Trim(usize),
    Alone(u64),
    Write(usize, u32, bool),
}

fn op() -> impl Strategy<Value = Op> {
    let pod = || 0..6u128;
    let thing = || 0..5u8;
    let ahead = || 0..9u64;
    prop_oneof![
        6 => (pod(), 0..4u8).prop_map(|(pod, lanes)| Op::Join(pod, lanes)),
        2 => pod().prop_map(Op::Beat),
        4 => (pod(), pod(), prop::collection::vec((thing(), pod()), 0..5), ahead())
            .prop_map(|(dead, by, assign, ahead)| Op::TakeOver(dead, by, once(assign, |a| a.0), ahead)),
        6 => (pod(), prop::collection::vec((thing(), pod(), prop::bool::weighted(0.9)), 0..5), ahead())
            .prop_map(|(by, claims, ahead)| Op::Claim(by, once(claims, |c| c.0), ahead)),
        6 => (pod(), prop::collection::vec((thing(), pod(), prop::bool::weighted(0.9)), 0..5), ahead())
            .prop_map(|(from, moves, ahead)| Op::Move(from, once(moves, |m| m.0), ahead)),
        1 => (pod(), prop::collection::vec((thing(), pod()), 0..5), ahead())
            .prop_map(|(pod, assign, ahead)| Op::HandOver(pod, once(assign, |a| a.0), ahead)),
        1 => pod().prop_map(Op::Goodbye),
        2 => pod().prop_map(Op::Forget),
        2 => (0..4usize).prop_map(Op::Trim),
        1 => ahead().prop_map(Op::Alone),
        4 => (0..4usize, 0..3u32, any::<bool>()).prop_map(|(lane, shard, right)| Op::Write(lane, shard, right)),
    ]
}

/// Each key once.
fn once<T>(list: Vec<T>, key: impl Fn(&T) -> u8) -> Vec<T> {
    let mut seen = BTreeSet::new();
    list.into_iter().filter(|one| seen.insert(key(one))).collect()
}

fn thing(n: u8) -> Thing {
    match n {
        0..3 => Thing::Shard(Shard(u32::from(n))),
        3 => Thing::Link(Path::new("rooms.example", "")),
        _ => Thing::Link(Path::new("rooms.example", "é.example")),
    }
}

fn now(ahead: u64) -> UnixMs {
    UnixMs(NOW.0 + ahead * 1000)
}

fn seen(cluster: &mut dyn Cluster, what: u8) -> Epoch {
    let view = cluster.view().unwrap();
    match thing(what) {
        Thing::Shard(shard) => view.shards[shard.0 as usize].epoch,
        Thing::Link(path) => view.links.iter().find(|row| row.link == path).map(|row| row.epoch).unwrap_or_default(),
    }
}

fn sight(cluster: &mut dyn Cluster, what: u8, right: bool) -> Epoch {
    let epoch = seen(cluster, what);
    if right { epoch } else { Epoch(epoch.0 + 1) }
}

fn assignments(list: &[(u8, u128)]) -> Vec<Assignment> {
    list.iter().map(|(t, to)| Assignment { thing: thing(*t), to: Incarnation(*to) }).collect()
}

fn sights(cluster: &mut dyn Cluster, list: &[(u8, u128, bool)]) -> Vec<Claim> {
    let claim = |(t, to, right): &(u8, u128, bool)| {
        let assignment = Assignment { thing: thing(*t), to: Incarnation(*to) };
        Claim { assignment, seen: sight(cluster, *t, *right) }
    };
    list.iter().map(claim).collect()
}

/// What everything answers, and what is there in the end.
fn apply(store: &mut dyn Backend, cluster: &mut dyn Cluster, ops: &[Op]) -> Vec<String> {
    let mut answers = Vec::new();
    for op in ops {
        answers.push(match op {
            Op::Join(pod, lanes) => {
                // Two incarnations share a name.
                let name = format!("pod-{}", pod / 2).into();
                let incarnation = Incarnation(*pod);
                let join = Join { name, incarnation, address: format!("{pod}").into(), lanes: u16::from(*lanes) };
                format!("{:?}", cluster.join(&join).map_err(drop))
            }
            Op::Beat(pod) => format!("{:?}", cluster.beat(Incarnation(*pod)).unwrap()),
            Op::TakeOver(dead, by, assign, ahead) => {
                let assign = assignments(assign);
                let taken = cluster.take_over_pod(Incarnation(*dead), None, Incarnation(*by), &assign, now(*ahead));
                format!("{:?}", taken.unwrap())
            }
            Op::Claim(by, claims, ahead) => {
                let claims = sights(cluster, claims);
                format!("{:?}", cluster.claim(Incarnation(*by), &claims, now(*ahead)).unwrap())
            }
            Op::Move(from, moves, ahead) => {
                let moves = sights(cluster, moves);
                format!("{:?}", cluster.move_things(Incarnation(*from), &moves, now(*ahead)).unwrap())
            }
            Op::HandOver(pod, assign, ahead) => {
                format!("{:?}", cluster.hand_over(Incarnation(*pod), &assignments(assign), now(*ahead)).unwrap())
            }
            Op::Goodbye(pod) => format!("{:?}", cluster.goodbye(Incarnation(*pod)).unwrap()),
            Op::Forget(pod) => format!("{:?}", cluster.forget(Incarnation(*pod)).unwrap()),
            Op::Trim(lane) => {
                let lanes = store.lanes().unwrap();
                let Some(row) = lanes.get(lanes.len().wrapping_sub(1 + lane)) else { continue };
                format!("{:?}", store.trim_batches(row.lane, &[]).map_err(drop))
            }
            Op::Alone(ahead) => format!("{:?}", store.take_over(Incarnation(99), now(*ahead)).unwrap()),
            Op::Write(lane, shard, right) => {
                let lanes = store.lanes().unwrap();
                let Some(row) = lanes.get(lanes.len().wrapping_sub(1 + lane)) else { continue };
                let epoch = sight(cluster, u8::try_from(*shard).unwrap(), true).max(row.epoch);
                let epoch = if *right { epoch } else { Epoch(epoch.0.saturating_sub(1)) };
                let rows = vec![Row::Room(room(u64::from(*shard) + 1, &format!("{shard}@rooms.example")))];
                let answer = write(store, row.lane, *shard, epoch, rows);
                format!("{:?}", answer.map_err(|e| matches!(e, CommitError::Fenced)))
            }
        });
    }
    answers.push(format!("{:?}", cluster.view().unwrap().pods));
    let view = cluster.view().unwrap();
    answers.push(format!("{:?} {:?} {:?}", &view.shards[..4], view.links, store.lanes().unwrap()));
    answers
}

pub fn write(
    store: &mut dyn Backend,
    lane: Lane,
    shard: u32,
    epoch: Epoch,
    rows: Vec<Row>,
) -> Result<Batch, CommitError> {
    let (ticket, room, shard) = (Ticket(0), RoomId(u64::from(shard) + 1), Shard(shard));
    store.commit(lane, &[Work::Room { ticket, room, shard, epoch, fresh: false, routed: None, rows }])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn postgres_does_as_the_model_does(ops in prop::collection::vec(op(), 1..40)) {
        let (mut memory, mut pods) = Memories.open();
        let (mut postgres, mut cluster) = Databases.open();
        prop_assert_eq!(apply(&mut memory, &mut pods, &ops), apply(&mut postgres, &mut cluster, &ops));
    }
}

pub fn join(cluster: &mut dyn Cluster, pod: u128) -> Lane {
    let (name, address) = (format!("pod-{pod}").into(), "here".into());
    let join = Join { name, incarnation: Incarnation(pod), address, lanes: 1 };
    cluster.join(&join).unwrap().lanes[0].lane
}

pub fn claim(cluster: &mut dyn Cluster, pod: u128, shards: std::ops::Range<u32>) {
    let claims: Vec<_> = shards
        .map(|shard| {
            let assignment = Assignment { thing: Thing::Shard(Shard(shard)), to: Incarnation(pod) };
            Claim { assignment, seen: Epoch(0) }
        })
        .collect();
    assert_eq!(cluster.claim(Incarnation(pod), &claims, NOW).unwrap().unwrap().len(), claims.len());
}

/// Ends the loops of other threads, also when a test fails.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn of_many_that_take_over_one_does() {
    let dsn = Server::shared().database().unwrap();
    let store = open(&dsn);
    let mut cluster = store.cluster(options());
    for pod in 0..8 {
        join(&mut cluster, pod);
    }
    claim(&mut cluster, 0, 0..4096);
    let start = Barrier::new(7);
    let done: Vec<_> = thread::scope(|scope| {
        let pods: Vec<_> = (1..8)
            .map(|by| {
                let (start, mut cluster) = (&start, store.cluster(options()));
                scope.spawn(move || {
                    let assign: Vec<_> = (0..4096)
                        .map(|n| Assignment { thing: Thing::Shard(Shard(n)), to: Incarnation(1 + u128::from(n) % 7) })
                        .collect();
                    cluster.pods().unwrap();
                    start.wait();
                    let begun = Instant::now();
                    let taken =
                        cluster.take_over_pod(Incarnation(0), None, Incarnation(by), &assign, NOW).unwrap().unwrap();
                    (by, taken, begun.elapsed())
                })
            })
            .collect();
        pods.into_iter().map(|pod| pod.join().unwrap()).collect()
    });
    let winners: Vec<_> = done.iter().filter(|(_, taken, _)| matches!(taken, TakeOver::Done(_))).collect();
    assert_eq!(winners.len(), 1);
    let (winner, taken, took) = winners[0];
    println!("all 4096 shards taken over in {took:?}");
    assert!(matches!(taken, TakeOver::Done(moved) if moved.len() == 4096));
    for (by, taken, _) in &done {
        let already = TakeOver::Already { by: Some(Incarnation(*winner)) };
        assert!(by == winner || *taken == already, "{by}: {taken:?}");
    }
    let view = cluster.view().unwrap();
    assert!(view.shards.iter().all(|row| row.owner == Some(Incarnation(1 + u128::from(row.shard.0) % 7))));
    assert!(view.shards.iter().all(|row| row.epoch == Epoch(EPOCH.0 + 1)), "once");
}

#[test]
fn of_two_that_take_each_other_over_one_does() {
    let dsn = Server::shared().database().unwrap();
    let store = open(&dsn);
    for round in 0..20_u128 {
        let mut cluster = store.cluster(options());
        let pods = [round * 2, round * 2 + 1];
        for pod in pods {
            join(&mut cluster, pod);
        }
        let start = Barrier::new(2);
        let begun = Instant::now();
        let answers: Vec<_> = thread::scope(|scope| {
            let pods = [(pods[0], pods[1]), (pods[1], pods[0])].map(|(by, dead)| {
                let (start, mut cluster) = (&start, store.cluster(options()));
                scope.spawn(move || {
                    cluster.pods().unwrap();
                    start.wait();
                    cluster.take_over_pod(Incarnation(dead), None, Incarnation(by), &[], NOW).unwrap()
                })
            });
            pods.into_iter().map(|pod| pod.join().unwrap()).collect()
        });
        assert!(begun.elapsed() < Duration::from_millis(900), "no deadlock: {:?}", begun.elapsed());
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        let open = cluster.pods().unwrap().iter().filter(|p| p.state == PodState::Open).count();
        assert_eq!(open, 1);
        let left = cluster.pods().unwrap().into_iter().find(|p| p.state == PodState::Open).unwrap();
        cluster.goodbye(left.incarnation).unwrap();
    }
}

#[test]
fn a_take_over_waits_for_a_commit_in_flight_and_delays_no_beat() {
    let server = Server::shared();
    let cutter = Cutter::start(server.addr()).unwrap();
    let dsn = server.database().unwrap();
    let mut old = open(&dsn.replace(&format!("port={}", server.addr().port()), &format!("port={}", cutter.port())));
    let store = open(&dsn);
    let mut cluster = store.cluster(options());
    let lane = join(&mut cluster, 0);
    join(&mut cluster, 1);
    claim(&mut cluster, 0, 0..1);
    write(&mut old, lane, 0, EPOCH, vec![Row::Room(room(1, "r@rooms.example"))]).unwrap();
    cutter.cut("COMMIT", Cut::Silently);
    thread::scope(|scope| {
        let vanished = scope.spawn(|| write(&mut old, lane, 0, EPOCH, vec![Row::Log(message(1))]));
        while cutter.cuts() == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        let over = AtomicBool::new(false);
        let begun = Instant::now();
        let slowest = thread::scope(|scope| {
            let _over = Over(&over);
            let beats = scope.spawn(|| {
                let mut cluster = store.cluster(options());
                let mut slowest = Duration::ZERO;
                cluster.pods().unwrap();
                while !over.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    assert!(cluster.beat(Incarnation(1)).unwrap());
                    slowest = slowest.max(begun.elapsed());
                }
                slowest
            });
            let assign = [Assignment { thing: Thing::Shard(Shard(0)), to: Incarnation(1) }];
            let taken = cluster.take_over_pod(Incarnation(0), None, Incarnation(1), &assign, NOW).unwrap().unwrap();
            assert!(matches!(taken, TakeOver::Done(moved) if moved.len() == 1));
            over.store(true, Ordering::Relaxed);
            beats.join().unwrap()
        });
        let waited = begun.elapsed();
        assert!(waited > Duration::from_millis(200) && waited < Duration::from_millis(1500), "{waited:?}");
        assert!(slowest < Duration::from_millis(200), "a beat took {slowest:?} of {waited:?}");
        assert!(matches!(vanished.join().unwrap(), Err(CommitError::Unknown(_))));
    });
    assert_eq!(old.commit(lane, &[]), Err(CommitError::Fenced));
    assert_eq!(old.page(RoomId(1), Seq(0), 9).unwrap(), []);
}

#[test]
fn a_beat_says_when_it_is_over() {
    let dsn = Server::shared().database().unwrap();
    let store = open(&dsn);
    let (mut cluster, mut other) = (store.cluster(options()), store.cluster(options()));
    join(&mut cluster, 0);
    join(&mut cluster, 1);
    assert!(cluster.beat(Incarnation(0)).unwrap());
    other.take_over_pod(Incarnation(0), None, Incarnation(1), &[], NOW).unwrap().unwrap();
    assert!(!cluster.beat(Incarnation(0)).unwrap());
}
