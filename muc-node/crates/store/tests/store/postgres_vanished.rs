//! A pod whose host vanishes in the middle of a commit, so that the server hears neither the rest nor an end: whoever
//! takes over waits until the server lets go of the lane.

#![expect(clippy::disallowed_methods, reason = "real networks take real time")]

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use warren_model::{Batch, RoomId, Row, Seq};
use warren_store::conformance::rows::{NOW, message, room, work};
use warren_store::{
    Backend, Cluster, CommitError, Incarnation, Join, Postgres, PostgresOptions, Reader, Resolved, TakeOver,
};
use warren_test_netns::Lan;
use warren_test_postgres::{Cut, Cutter, Durability, Server};

use super::cluster::claim;

/// Pods that are not heard of for so long are taken over.
const TTL: Duration = Duration::from_secs(1);
const GONE: Incarnation = Incarnation(1);
const HEIR: Incarnation = Incarnation(2);

/// A whole commit: what is locked, and by what it is cut.
const CUTS: [(&str, Cut); 5] = [
    // Nothing is on its way: the server counts the session as idle in a transaction.
    ("COMMIT", Cut::Silently),
    ("COMMIT", Cut::Halfway),
    // No statement runs and none is waited for, as far as the server knows.
    ("UPDATE lane SET batch", Cut::Unfinished),
    ("SELECT 1 / count(*) FROM lane", Cut::Halfway),
    ("INSERT INTO log", Cut::Unfinished),
];

/// As a node has them.
fn writes() -> PostgresOptions {
    PostgresOptions { idle: TTL / 2, ..PostgresOptions::default() }
}

fn beats() -> PostgresOptions {
    PostgresOptions { connect: TTL / 3, answer: TTL / 3, idle: TTL / 3 }
}

fn join(incarnation: Incarnation) -> Join {
    Join { name: format!("pod-{incarnation}").into(), incarnation, address: Box::default(), lanes: 1 }
}

#[test]
fn a_host_that_vanishes_inside_a_commit_holds_nobody_up() {
    let lan = Lan::new().unwrap();
    let server = Server::start_also_at(Durability::Memory, lan.addr()).unwrap();
    // All at once: the one that vanished waits long for its answer.
    let times = thread::scope(|scope| {
        let (lan, server) = (&lan, &server);
        let all = CUTS.map(|(statement, how)| scope.spawn(move || vanish(lan, server, statement, how)));
        all.map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    for ((statement, how), time) in CUTS.iter().zip(times) {
        println!("{statement}, {how:?}: taken over {time:.2?} after the host was gone");
        assert!(time < TTL + Duration::from_millis(1800), "{time:?}; the new owner needs some time after that");
    }
}

/// How long after the end of its host a pod is taken over.
fn vanish(lan: &Lan, server: &Server, statement: &str, how: Cut) -> Duration {
    let host = lan.host().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = (lan.addr(), server.addr().port()).into();
    // The connections to the server are that host's.
    let cutter = host.run(|| Cutter::relay_from(listener, upstream).unwrap()).unwrap();
    let dsn = server.database().unwrap();
    let through = dsn.replace(&format!("port={}", server.addr().port()), &format!("port={}", cutter.port()));
    let mut old = Postgres::open(&through, writes()).unwrap();
    let mut owner = old.cluster(writes());
    let lane = owner.join(&join(GONE)).unwrap().lanes[0].lane;
    claim(&mut owner, GONE.0, 1..2); // what `work` is of
    old.commit(lane, &[work(1, vec![Row::Room(room(1, "r@rooms.example"))])]).unwrap();
    old.commit(lane, &[work(1, vec![Row::Log(message(1))])]).unwrap();
    let mut new = Postgres::open(&dsn, writes()).unwrap();
    let mut heir = new.cluster(beats());
    heir.join(&join(HEIR)).unwrap();

    cutter.cut(statement, how);
    let taken = thread::scope(|scope| {
        let vanished = scope.spawn(|| old.commit(lane, &[work(1, vec![Row::Log(message(2))])]));
        let begun = Instant::now();
        while cutter.cuts() == 0 {
            assert!(begun.elapsed() < Duration::from_secs(10), "{statement} is not seen");
            thread::sleep(Duration::from_millis(1));
        }
        host.unplug().unwrap();
        let gone = Instant::now();
        // Until then nobody thinks of it. Then as a node does it: again and again.
        thread::sleep(TTL);
        while !matches!(heir.take_over_pod(GONE, None, HEIR, &[], NOW), Ok(Ok(TakeOver::Done(_)))) {
            assert!(gone.elapsed() < Duration::from_secs(20), "{statement}, {how:?}: never taken over");
            thread::sleep(TTL / 6);
        }
        let taken = gone.elapsed();
        let answer = vanished.join().unwrap();
        assert!(matches!(answer, Err(CommitError::Unknown(_))), "{answer:?}");
        taken
    });
    let log: Vec<u64> = new.page(RoomId(1), Seq(0), usize::MAX).unwrap().iter().map(|row| row.seq.0).collect();
    assert_eq!(log, [1], "what was cut has not happened");
    host.plug().unwrap();
    assert_eq!(old.resolve(lane, Batch(2)).unwrap(), Resolved::Fenced);
    assert_eq!(old.commit(lane, &[]), Err(CommitError::Fenced));
    taken
}
