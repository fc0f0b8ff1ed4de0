//! Owners that give things away, on PostgreSQL: what happens at the same moment.
#![expect(clippy::disallowed_methods, reason = "real servers take real time")]

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use warren_model::{Batch, Epoch, RoomId, Row, Seq, Shard};
use warren_store::conformance::rows::{EPOCH, NOW, message, room};
use warren_store::{Assignment, Backend, Claim, Cluster, CommitError, Incarnation, Reader, Resolved, Thing};
use warren_test_postgres::{Cut, Cutter, Server};

use super::cluster::{Over, claim, join, open, options, write};

fn move_one(cluster: &mut dyn Cluster, thing: &Thing, (from, to): (u128, u128), seen: Epoch) -> Option<Epoch> {
    let claim = Claim { assignment: Assignment { thing: thing.clone(), to: Incarnation(to) }, seen };
    cluster.move_things(Incarnation(from), &[claim], NOW).unwrap().first().map(|moved| moved.epoch)
}

#[test]
fn a_move_waits_for_a_commit_in_flight() {
    let server = Server::shared();
    let cutter = Cutter::start(server.addr()).unwrap();
    let dsn = server.database().unwrap();
    let mut owner = open(&dsn.replace(&format!("port={}", server.addr().port()), &format!("port={}", cutter.port())));
    let mut cluster = open(&dsn).cluster(options());
    let lane = join(&mut cluster, 0);
    join(&mut cluster, 1);
    claim(&mut cluster, 0, 0..1);
    write(&mut owner, lane, 0, EPOCH, vec![Row::Room(room(1, "r@rooms.example"))]).unwrap();
    // It has passed its fences, and nobody knows how it will end: whoever loads the room now would not see it.
    cutter.cut("COMMIT", Cut::Silently);
    thread::scope(|scope| {
        let commit = scope.spawn(|| write(&mut owner, lane, 0, EPOCH, vec![Row::Log(message(1))]));
        while cutter.cuts() == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        let begun = Instant::now();
        let shard = Thing::Shard(Shard(0));
        let epoch = move_one(&mut cluster, &shard, (0, 1), EPOCH);
        assert!(epoch.is_some() && begun.elapsed() > Duration::from_millis(200), "{:?}", begun.elapsed());
        assert!(matches!(commit.join().unwrap(), Err(CommitError::Unknown(_))));
    });
    let again = write(&mut owner, lane, 0, EPOCH, vec![Row::Log(message(1))]);
    assert_eq!(again, Err(CommitError::Disowned { index: 0 }));
}

#[test]
fn a_hand_over_waits_for_a_commit_in_flight() {
    let server = Server::shared();
    let cutter = Cutter::start(server.addr()).unwrap();
    let dsn = server.database().unwrap();
    let mut owner = open(&dsn.replace(&format!("port={}", server.addr().port()), &format!("port={}", cutter.port())));
    let mut cluster = open(&dsn).cluster(options());
    let lane = join(&mut cluster, 0);
    join(&mut cluster, 1);
    claim(&mut cluster, 0, 0..1);
    write(&mut owner, lane, 0, EPOCH, vec![Row::Room(room(1, "r@rooms.example"))]).unwrap();
    cutter.cut("COMMIT", Cut::Silently);
    thread::scope(|scope| {
        let commit = scope.spawn(|| write(&mut owner, lane, 0, EPOCH, vec![Row::Log(message(1))]));
        while cutter.cuts() == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        let begun = Instant::now();
        let assign = [Assignment { thing: Thing::Shard(Shard(0)), to: Incarnation(1) }];
        let moved = cluster.hand_over(Incarnation(0), &assign, NOW).unwrap().unwrap();
        assert!(moved.len() == 1 && begun.elapsed() > Duration::from_millis(200), "{:?}", begun.elapsed());
        assert!(matches!(commit.join().unwrap(), Err(CommitError::Unknown(_))));
    });
    assert_eq!(owner.commit(lane, &[]), Err(CommitError::Fenced));
    assert_eq!(owner.resolve(lane, Batch(1)).unwrap(), Resolved::Fenced);
}

#[test]
fn many_shards_move_in_one_short_transaction() {
    let dsn = Server::shared().database().unwrap();
    let mut cluster = open(&dsn).cluster(options());
    let lane = join(&mut cluster, 0);
    join(&mut cluster, 1);
    claim(&mut cluster, 0, 0..4096);
    let moves = |shards: std::ops::Range<u32>, to: u128, seen: Epoch| -> Vec<Claim> {
        let assignment = |shard| Assignment { thing: Thing::Shard(Shard(shard)), to: Incarnation(to) };
        shards.map(|shard| Claim { assignment: assignment(shard), seen }).collect()
    };
    let mut times = Vec::new();
    for step in 0..15 {
        let wishes = moves(step * 256..(step + 1) * 256, 1, EPOCH);
        let begun = Instant::now();
        assert_eq!(cluster.move_things(Incarnation(0), &wishes, NOW).unwrap().len(), 256);
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    println!("256 shards moved: {:?} in the middle, {:?} at most", times[7], times[14]);
    // Machines differ: this finds what takes a statement for each shard.
    assert!(times[7] < Duration::from_millis(100), "{times:?}");
    let assign: Vec<_> = moves(0..4096, 0, EPOCH).into_iter().map(|claim| claim.assignment).collect();
    let begun = Instant::now();
    let moved = cluster.hand_over(Incarnation(1), &assign, NOW).unwrap().unwrap();
    println!("{} shards handed over in {:?}", moved.len(), begun.elapsed());
    assert_eq!(moved.len(), 15 * 256);
    assert!(cluster.view().unwrap().shards.iter().all(|row| row.owner == Some(Incarnation(0))));
    assert_eq!(open(&dsn).commit(lane, &[]), Ok(Batch(1)));
}

#[test]
fn moves_and_claims_of_the_same_things_do_not_wait_for_each_other_for_ever() {
    let dsn = Server::shared().database().unwrap();
    let store = open(&dsn);
    let mut cluster = store.cluster(options());
    for pod in 0..4 {
        join(&mut cluster, pod);
    }
    claim(&mut cluster, 0, 0..64);
    let start = Barrier::new(4);
    thread::scope(|scope| {
        for pod in 0..4_u128 {
            let (start, mut cluster) = (&start, store.cluster(options()));
            scope.spawn(move || {
                cluster.view().unwrap();
                start.wait();
                for round in 0..40_usize {
                    let rows = cluster.view().unwrap().shards;
                    let to = Incarnation((pod + round as u128) % 4);
                    let mut claims: Vec<_> = rows[..64]
                        .iter()
                        .map(|row| Claim {
                            assignment: Assignment { thing: Thing::Shard(row.shard), to },
                            seen: row.epoch,
                        })
                        .collect();
                    // In an order of each one's own.
                    claims.rotate_left(round * 7 % 64);
                    if pod % 2 == 0 {
                        claims.reverse();
                    }
                    cluster.move_things(Incarnation(pod), &claims, NOW).unwrap();
                    cluster.claim(Incarnation(pod), &claims, NOW).unwrap().unwrap();
                }
            });
        }
    });
    assert!(cluster.view().unwrap().shards[..64].iter().all(|row| row.owner.is_some()), "nothing is lost on the way");
}

#[test]
fn a_shard_that_moves_to_and_fro_while_both_write_loses_and_doubles_nothing() {
    let dsn = Server::shared().database().unwrap();
    let mut first = open(&dsn);
    let mut cluster = first.cluster(options());
    let lanes = [join(&mut cluster, 0), join(&mut cluster, 1)];
    claim(&mut cluster, 0, 0..1);
    write(&mut first, lanes[0], 0, EPOCH, vec![Row::Room(room(1, "r@rooms.example"))]).unwrap();
    let (over, written, refused) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let thing = Thing::Shard(Shard(0));
    let accepted: Vec<Vec<(u64, Epoch)>> = thread::scope(|scope| {
        // Each pod believes that it owns the shard as long as its commits are taken, without being told of moves: the
        // worst of owners.
        let _over = Over(&over);
        let pods: Vec<_> = (0..2)
            .map(|pod| {
                let (mut store, lane) = (open(&dsn), lanes[pod]);
                let (over, written, refused) = (&over, &written, &refused);
                scope.spawn(move || {
                    let _over = Over(over);
                    let (mut cluster, mut accepted) = (store.cluster(options()), Vec::new());
                    while !over.load(Ordering::Relaxed) {
                        let row = cluster.view().unwrap().shards[0];
                        if row.owner != Some(Incarnation(pod as u128)) {
                            continue;
                        }
                        let log = store.page(RoomId(1), Seq(0), usize::MAX).unwrap();
                        let mut seq = log.last().map_or(0, |row| row.seq.0);
                        loop {
                            seq += 1;
                            let mut entry = message(seq);
                            entry.epoch = row.epoch;
                            match write(&mut store, lane, 0, row.epoch, vec![Row::Log(entry)]) {
                                Ok(_) => {
                                    accepted.push((seq, row.epoch));
                                    written.fetch_add(1, Ordering::Relaxed);
                                }
                                // The epoch stops it, not the key.
                                Err(CommitError::Disowned { .. }) => {
                                    refused.fetch_add(1, Ordering::Relaxed);
                                    break;
                                }
                                Err(other) => panic!("{other}"),
                            }
                            if over.load(Ordering::Relaxed) {
                                break;
                            }
                        }
                    }
                    accepted
                })
            })
            .collect();
        let mut epoch = EPOCH;
        // Machines differ in what they get done.
        for n in 0_u128.. {
            assert!(!over.load(Ordering::Relaxed), "a pod has ended");
            if n >= 40 && written.load(Ordering::Relaxed) >= 200 && refused.load(Ordering::Relaxed) >= 10 {
                break;
            }
            assert!(n < 2000, "{written:?} written, {refused:?} refused");
            thread::sleep(Duration::from_millis(25));
            epoch = move_one(&mut cluster, &thing, (n % 2, (n + 1) % 2), epoch).expect("it moves");
        }
        over.store(true, Ordering::Relaxed);
        pods.into_iter().map(|pod| pod.join().unwrap()).collect()
    });
    let log = first.page(RoomId(1), Seq(0), usize::MAX).unwrap();
    assert!(log.iter().map(|row| row.seq.0).eq(1..=log.len() as u64), "no gap");
    assert!(log.is_sorted_by_key(|row| row.epoch), "and no row of an old owner after one of a new one");
    let mut all: Vec<_> = accepted.into_iter().flatten().collect();
    all.sort_unstable();
    assert_eq!(all, log.iter().map(|row| (row.seq.0, row.epoch)).collect::<Vec<_>>(), "what was acknowledged is there");
}
