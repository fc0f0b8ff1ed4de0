//! What was acknowledged is there after the process was killed, and after its disk failed.
//!
//! The child is this test binary, told by its environment which part to play.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;
use warren_model::{Batch, Lane, RoomId, Row, Seq};
use warren_store::conformance::rows::{EPOCH, NOW, message, room, ticketed, work};
use warren_store::{Backend, CommitError, Incarnation, Options, Reader, Resolved, Sqlite};

const PLACE: &str = "WARREN_TEST_STORE";

fn spawn(part: &str, path: &Path) -> Child {
    let test = format!("durability::{part}");
    // A file that grows beyond its limit raises a signal; ignored, it is an error of the write.
    Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &test, "--ignored", "--nocapture"])
        .env(PLACE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The numbers that a child acknowledged.
fn acknowledged(child: &mut Child) -> impl Iterator<Item = u64> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("ack ")?.parse().ok())
}

fn open() -> (Sqlite, Lane) {
    let path = std::env::var_os(PLACE).expect("started by its parent");
    let mut store = Sqlite::open(path, Options::default()).unwrap();
    let lane = store.take_over(Incarnation(1), NOW).unwrap().lane;
    store.commit(lane, &[work(1, vec![Row::Room(room(1, "r@rooms.example"))])]).unwrap();
    (store, lane)
}

fn say(line: &str) {
    // Not `println!`: the test harness may hold that back.
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}

#[test]
#[ignore = "the child of killed_while_committing"]
fn child_that_commits() {
    let (mut store, lane) = open();
    for seq in 1.. {
        store.commit(lane, &[work(1, vec![Row::Log(message(seq))])]).unwrap();
        say(&format!("ack {seq}"));
    }
}

#[test]
fn killed_while_committing() {
    let dir = TempDir::new().unwrap();
    for round in 1..=3_u32 {
        let path = dir.path().join(format!("{round}.db"));
        let mut child = spawn("child_that_commits", &path);
        let mut acks = acknowledged(&mut child);
        let mut last = acks.by_ref().take(150 * round as usize).last().unwrap();
        child.kill().unwrap();
        last = acks.last().unwrap_or(last);
        child.wait().unwrap();
        let mut store = Sqlite::open(&path, Options::default()).expect("the lock went with the process");
        let log = store.page(RoomId(1), Seq(0), usize::MAX).unwrap();
        let found = log.len() as u64;
        assert!(log.iter().map(|row| row.seq.0).eq(1..=found), "no gaps");
        assert!(found == last || found == last + 1, "{last} acknowledged, {found} found");
        let lane = store.lanes().unwrap()[0];
        assert_eq!(lane.batch.0, found + 1, "the lane's row tells of the last commit");
        let next = store.take_over(Incarnation(2), NOW).unwrap();
        assert!(next.epoch > EPOCH && next.lane > lane.lane);
    }
}

#[test]
#[ignore = "the child of a_disk_that_fails_inside_a_commit"]
fn child_whose_disk_fails() {
    let (mut store, lane) = open();
    let unlimited = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(1 << 20), maximum: unlimited.maximum }).unwrap();
    let mut seq = 1;
    let mut known = Batch(1);
    loop {
        match store.commit(lane, &[ticketed(seq, 1, vec![Row::Log(message(seq))])]) {
            Ok(batch) => known = batch,
            Err(CommitError::Unknown(_)) => break,
            Err(other) => panic!("{other}"),
        }
        say(&format!("ack {seq}"));
        seq += 1;
    }
    setrlimit(Resource::Fsize, Rlimit { current: Some(4096), maximum: unlimited.maximum }).unwrap();
    assert!(store.resolve(lane, known).is_err(), "nothing can be promised while the disk fails");
    setrlimit(Resource::Fsize, unlimited).unwrap();
    match store.resolve(lane, known).unwrap() {
        Resolved::Done(_) => {}
        Resolved::NotDone => {
            let batch = store.commit(lane, &[work(1, vec![Row::Log(message(seq))])]).unwrap();
            assert_eq!(batch.0, known.0 + 1);
        }
        Resolved::Fenced => panic!("nobody took over"),
    }
    say(&format!("ack {seq}"));
    // Like a crash: nothing is closed in order.
    std::process::abort();
}

#[test]
fn a_disk_that_fails_inside_a_commit() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("s.db");
    let mut child = spawn("child_whose_disk_fails", &path);
    let last = acknowledged(&mut child).last().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(6), "it came to its end");
    assert!(last > 20, "{last}");
    let mut store = Sqlite::open(&path, Options::default()).unwrap();
    let log = store.page(RoomId(1), Seq(0), usize::MAX).unwrap();
    assert!(log.iter().map(|row| row.seq.0).eq(1..=last), "{last} acknowledged, {} found", log.len());
    assert_eq!(store.lanes().unwrap()[0].batch, Batch(last + 1));
}
