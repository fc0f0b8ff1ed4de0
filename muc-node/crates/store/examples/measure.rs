//! Prints what the store takes: rows per second by size of the group, CPU per message row, and the time of reads.
//!
//! `cargo run --release -p warren-store --example measure -- [directory]`

#![expect(clippy::disallowed_methods, reason = "a measurement asks the clock")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use warren_model::{RoomId, Row, Seq};
use warren_store::conformance::rows::{NOW, bare, message, occupant, room, work};
use warren_store::{Backend, Incarnation, Memory, Options, Postgres, PostgresOptions, Reader, Sqlite, Window, Work};
use warren_test_postgres::{Durability, Server};

const ROOMS: u64 = 100;

fn cpu() -> Duration {
    let t = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(t.tv_sec).unwrap_or(0), u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// One message of 400 bytes in the next room.
fn next(n: &mut u64) -> Work {
    let mut row = message(1 + *n / ROOMS);
    row.payload = vec![b'x'; 400];
    *n += 1;
    work(1 + (*n - 1) % ROOMS, vec![Row::Log(row)])
}

fn appends(name: &str, store: &mut dyn Backend) {
    let lane = store.take_over(Incarnation(1), NOW).expect("take_over").lane;
    let rooms = (1..=ROOMS).map(|n| work(n, vec![Row::Room(room(n, &format!("r{n}@rooms.example")))]));
    store.commit(lane, &rooms.collect::<Vec<_>>()).expect("rooms");
    let mut n = 0;
    for size in [1, 10, 100, 1000] {
        let groups = (20_000 / size).min(4000);
        let (mut wall, mut busy, mut slowest) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        for _ in 0..groups {
            let group: Vec<_> = (0..size).map(|_| next(&mut n)).collect();
            let (start, start_cpu) = (Instant::now(), cpu());
            store.commit(lane, &group).expect("commit");
            let took = start.elapsed();
            (wall, busy, slowest) = (wall + took, busy + cpu().saturating_sub(start_cpu), slowest.max(took));
        }
        let rows = u32::try_from(groups * size).unwrap_or(u32::MAX);
        println!(
            "{name}: groups of {size:4}: {:8.0} rows/s, {:6.2} us CPU a row, commit {:6.0} us mean, {:6.0} us slowest",
            f64::from(rows) / wall.as_secs_f64(),
            busy.as_secs_f64() * 1e6 / f64::from(rows),
            wall.as_secs_f64() * 1e6 * f64::from(u32::try_from(size).unwrap_or(1)) / f64::from(rows),
            slowest.as_secs_f64() * 1e6,
        );
    }
}

fn reads(name: &str, store: &mut dyn Backend) {
    let mut reader = store.reader().expect("reader");
    let window = Window { messages: 50, keys: 1000 };
    let timed = |what: &str, reader: &mut dyn Reader, read: &mut dyn FnMut(&mut dyn Reader, u64)| {
        let start = Instant::now();
        for n in 0..200 {
            read(reader, n);
        }
        println!("{name}: {what}: {:.0} us", start.elapsed().as_secs_f64() * 1e6 / 200.0);
    };
    timed("load a room, 50 messages", &mut *reader, &mut |reader, n| {
        let at = bare(&format!("r{}@rooms.example", 1 + n % ROOMS));
        assert_eq!(reader.load_room(&at, window).expect("load").map(|r| r.history.len()), Some(50));
    });
    timed("a page of 100", &mut *reader, &mut |reader, n| {
        assert_eq!(reader.page(RoomId(1 + n % ROOMS), Seq(100), 100).expect("page").len(), 100);
    });
    let lane = store.take_over(Incarnation(2), NOW).expect("take_over");
    let own = |rows| match work(1, rows) {
        Work::Room { ticket, room, shard, fresh, routed, rows, .. } => {
            Work::Room { ticket, room, shard, epoch: lane.epoch, fresh, routed, rows }
        }
        other => other,
    };
    let joins = (0..1000).map(|n| Row::Occupant(occupant(&format!("u{n}@a.example/r"), "N", n)));
    store.commit(lane.lane, &[own(joins.collect())]).expect("joins");
    timed("load a room, 1000 sessions", &mut *store.reader().expect("reader"), &mut |reader, _| {
        reader.load_room(&bare("r1@rooms.example"), window).expect("load");
    });
    for group in 0..100 {
        let rows = (1..=1000).map(|n| {
            let mut row = message(10_000 + group * 1000 + n);
            row.payload = vec![b'x'; 400];
            Row::Log(row)
        });
        store.commit(lane.lane, &[own(rows.collect())]).expect("log");
    }
    let start = Instant::now();
    store.trim_log(lane.lane, RoomId(1), Seq(15_000), 1000).expect("trim");
    println!("{name}: trim 1000 rows: {:.0} us", start.elapsed().as_secs_f64() * 1e6);
    let start = Instant::now();
    store.commit(lane.lane, &[own(vec![Row::RoomGone])]).expect("gone");
    println!("{name}: remove a room of 100 000 rows: {:.0} us", start.elapsed().as_secs_f64() * 1e6);
}

fn main() {
    let base = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(base).expect("a directory");
    let mut sqlite = Sqlite::open(dir.path().join("measure.db"), Options::default()).expect("open");
    appends("SQLite", &mut sqlite);
    reads("SQLite", &mut sqlite);
    let server = Server::start(Durability::Disk).expect("a server");
    let dsn = server.database().expect("a database");
    let mut postgres = Postgres::open(&dsn, PostgresOptions::default()).expect("open");
    appends("PostgreSQL", &mut postgres);
    reads("PostgreSQL", &mut postgres);
    let mut memory = Memory::new();
    appends("memory", &mut memory);
}
