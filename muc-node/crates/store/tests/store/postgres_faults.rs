//! PostgreSQL that dies, hangs, or is cut off at the worst moment: what was acknowledged is there once, and what was
//! not is either there or not, and the store says which.

#![expect(clippy::disallowed_methods, reason = "real servers take real time")]

use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use warren_model::{Batch, RoomId, Row, Seq};
use warren_store::conformance::rows::{ALL, NOW, bare, message, room, ticketed, work};
use warren_store::{
    Backend, CommitError, Completion, Incarnation, Limits, Ownership, Postgres, PostgresOptions, Reader, Resolved,
    Writer,
};
use warren_test_postgres::{Cut, Cutter, Durability, Server};

fn quick() -> PostgresOptions {
    PostgresOptions {
        connect: Duration::from_secs(2),
        answer: Duration::from_millis(1500),
        idle: Duration::from_millis(500),
    }
}

/// A store with one room, and its lane at batch 1.
fn with_room(dsn: &str) -> (Postgres, Ownership) {
    let mut store = Postgres::open(dsn, quick()).unwrap();
    let own = store.take_over(Incarnation(1), NOW).unwrap();
    store.commit(own.lane, &[work(1, vec![Row::Room(room(1, "r@rooms.example"))])]).unwrap();
    (store, own)
}

fn log(reader: &mut dyn Reader) -> Vec<u64> {
    reader.page(RoomId(1), Seq(0), usize::MAX).unwrap().iter().map(|row| row.seq.0).collect()
}

/// The connection string of a new database, through a proxy.
fn through(cutter: &Cutter, server: &Server) -> String {
    let dsn = server.database().unwrap();
    dsn.replace(&format!("port={}", server.addr().port()), &format!("port={}", cutter.port()))
}

#[test]
fn killed_in_the_middle_of_commits() {
    let server = Server::start(Durability::Disk).unwrap();
    let mut store =
        Postgres::open(&server.database().unwrap(), PostgresOptions { connect: Duration::from_secs(10), ..quick() })
            .unwrap();
    let own = store.take_over(Incarnation(1), NOW).unwrap();
    let batch = store.commit(own.lane, &[work(1, vec![Row::Room(room(1, "r@rooms.example"))])]).unwrap();
    let mut reader = store.reader().unwrap();
    let known = Ownership { batch, ..own };
    let (send, completions) = channel();
    let on = Box::new(move |answers: Vec<_>| answers.into_iter().for_each(|answer| drop(send.send(answer))));
    // Small groups: many commits, so that a kill finds one under way.
    let limits = Limits { works: 3, ..Limits::default() };
    let writer = Writer::start(Box::new(store), known, limits, on).unwrap();
    let submitter = writer.submitter();
    let (mut submitted, mut done) = (0, 0);
    let mut next = |n: u64| {
        for _ in 0..n {
            submitted += 1;
            submitter.submit(ticketed(submitted, 1, vec![Row::Log(message(submitted))])).unwrap();
        }
        submitted
    };
    let mut take = |until: u64| {
        while done < until {
            match completions.recv_timeout(Duration::from_secs(20)).expect("an answer for each work") {
                Completion::Done { ticket, .. } => {
                    done += 1;
                    assert_eq!(ticket.0, done, "in order, each one once");
                }
                other => panic!("{other:?}"),
            }
        }
    };
    for round in 1..=5_u64 {
        let last = next(400);
        // Not always at the same point.
        take(last - 400 + 37 * round);
        server.kill().unwrap();
        thread::sleep(Duration::from_millis(50 * round));
        server.restart().unwrap();
        take(last);
        assert_eq!(log(&mut *reader), (1..=last).collect::<Vec<_>>(), "no gap, and nothing twice");
    }
    let store = writer.stop().unwrap();
    drop(store);
}

#[test]
fn an_answer_that_is_lost_after_the_commit_is_found_again() {
    let server = Server::shared();
    let cutter = Cutter::start(server.addr()).unwrap();
    let (mut store, own) = with_room(&through(&cutter, server));
    for seq in 1..=3 {
        let known = Batch(seq);
        cutter.cut("COMMIT", Cut::After);
        let answer = store.commit(own.lane, &[work(1, vec![Row::Log(message(seq))])]);
        assert!(matches!(answer, Err(CommitError::Unknown(_))), "{answer:?}");
        assert_eq!(store.resolve(own.lane, known).unwrap(), Resolved::Done(Batch(known.0 + 1)));
        assert_eq!(cutter.cuts() as u64, seq, "the cut was made");
    }
    assert_eq!(log(&mut store), [1, 2, 3]);
    assert_eq!(store.commit(own.lane, &[]).unwrap(), Batch(5), "and it goes on");
}

#[test]
fn a_commit_that_never_arrived_is_known_not_to_have_happened() {
    let server = Server::shared();
    let cutter = Cutter::start(server.addr()).unwrap();
    let (mut store, own) = with_room(&through(&cutter, server));
    for how in [Cut::Before, Cut::Silently] {
        cutter.cut("COMMIT", how);
        let begun = Instant::now();
        let answer = store.commit(own.lane, &[work(1, vec![Row::Log(message(1))])]);
        assert!(matches!(answer, Err(CommitError::Unknown(_))), "{answer:?}");
        assert_eq!(store.resolve(own.lane, Batch(1)).unwrap(), Resolved::NotDone);
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        assert_eq!(log(&mut store), [0; 0]);
    }
    assert_eq!(cutter.cuts(), 2);
    assert_eq!(store.commit(own.lane, &[work(1, vec![Row::Log(message(1))])]).unwrap(), Batch(2));
    assert_eq!(log(&mut store), [1]);
}

#[test]
fn a_connection_lost_before_anything_was_sent_is_no_question() {
    let server = Server::shared();
    let cutter = Cutter::start(server.addr()).unwrap();
    let (mut store, own) = with_room(&through(&cutter, server));
    cutter.cut("BEGIN", Cut::After);
    assert_eq!(store.commit(own.lane, &[work(1, vec![Row::Log(message(1))])]).unwrap(), Batch(2));
    assert_eq!(cutter.cuts(), 1, "it was done again");
    assert_eq!(log(&mut store), [1]);
}

#[test]
fn whoever_takes_over_waits_for_the_commit_in_flight_and_no_longer() {
    let server = Server::shared();
    let cutter = Cutter::start(server.addr()).unwrap();
    let dsn = through(&cutter, server);
    let (mut old, own) = with_room(&dsn);
    let mut new = Postgres::open(&dsn, quick()).unwrap();
    // The old owner vanishes inside its transaction, with the lane's lock.
    cutter.cut("COMMIT", Cut::Silently);
    let vanished = thread::spawn(move || {
        let answer = old.commit(own.lane, &[work(1, vec![Row::Log(message(1))])]);
        (old, answer)
    });
    while cutter.cuts() == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    let begun = Instant::now();
    let next = new.take_over(Incarnation(2), NOW).unwrap();
    assert!(begun.elapsed() < Duration::from_millis(1400), "{:?}", begun.elapsed());
    assert!(begun.elapsed() > Duration::from_millis(200), "it waited: {:?}", begun.elapsed());
    let (mut old, answer) = vanished.join().unwrap();
    assert!(matches!(answer, Err(CommitError::Unknown(_))), "{answer:?}");
    assert_eq!(old.resolve(own.lane, Batch(1)).unwrap(), Resolved::Fenced);
    assert_eq!(old.commit(own.lane, &[]), Err(CommitError::Fenced));
    assert_eq!(log(&mut new), [0; 0]);
    new.commit(next.lane, &[]).unwrap();
}

#[test]
fn a_server_that_hangs_is_an_error_within_seconds() {
    let server = Server::start(Durability::Memory).unwrap();
    let (mut store, own) = with_room(&server.database().unwrap());
    let mut reader = store.reader().unwrap();
    reader.lanes().unwrap();
    server.freeze(true).unwrap();
    let begun = Instant::now();
    let answer = store.commit(own.lane, &[work(1, vec![Row::Log(message(1))])]);
    assert!(matches!(answer, Err(CommitError::Unknown(_) | CommitError::Failed(_))), "{answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let begun = Instant::now();
    assert!(reader.lanes().is_err());
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    let begun = Instant::now();
    assert!(store.resolve(own.lane, Batch(1)).is_err(), "nothing can be promised");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    server.freeze(false).unwrap();
    assert_eq!(store.resolve(own.lane, Batch(1)).unwrap(), Resolved::NotDone);
    store.commit(own.lane, &[work(1, vec![Row::Log(message(1))])]).unwrap();
    assert_eq!(log(&mut *reader), [1]);
}

#[test]
fn a_commit_that_no_standby_has_confirmed_is_not_done() {
    let server = Server::start(Durability::Memory).unwrap();
    let (mut store, own) = with_room(&server.database().unwrap());
    let set = |to: &str| {
        server.sql("postgres", &format!("ALTER SYSTEM SET synchronous_standby_names = '{to}'")).unwrap();
        server.sql("postgres", "SELECT pg_reload_conf()").unwrap();
        thread::sleep(Duration::from_millis(200));
    };
    set("nobody");
    let answer = store.commit(own.lane, &[work(1, vec![Row::Log(message(1))])]);
    assert!(matches!(&answer, Err(CommitError::Unknown(why)) if why.contains("not answered")), "{answer:?}");
    let answer = store.resolve(own.lane, Batch(1));
    assert!(answer.is_err(), "it is there, but only on the primary: {answer:?}");
    set("");
    assert_eq!(store.resolve(own.lane, Batch(1)).unwrap(), Resolved::Done(Batch(2)));
    // An administrator who ends the wait makes the server say that all is well, with a warning.
    set("nobody");
    let answer = thread::scope(|scope| {
        scope.spawn(|| {
            let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
            while server.sql("postgres", cancel).unwrap() == "0" {}
        });
        store.commit(own.lane, &[work(1, vec![Row::Log(message(2))])])
    });
    assert!(matches!(&answer, Err(CommitError::Unknown(why)) if why.contains("canceling wait")), "{answer:?}");
    set("");
    assert_eq!(store.resolve(own.lane, Batch(2)).unwrap(), Resolved::Done(Batch(3)));
    assert_eq!(log(&mut store), [1, 2]);
}

#[test]
fn a_restart_is_a_pause() {
    let server = Server::start(Durability::Memory).unwrap();
    let (mut store, own) = with_room(&server.database().unwrap());
    let mut reader = store.reader().unwrap();
    assert!(reader.load_room(&bare("r@rooms.example"), ALL).unwrap().is_some());
    thread::scope(|scope| {
        server.kill().unwrap();
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(700));
            server.restart().unwrap();
        });
        assert_eq!(store.commit(own.lane, &[work(1, vec![Row::Log(message(1))])]).unwrap(), Batch(2));
        assert_eq!(log(&mut *reader), [1]);
    });
}
