//! What is particular to SQLite: how it opens, what it says when it cannot, and a full disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;
use warren_model::{Batch, RoomId, Row, Seq};
use warren_store::conformance::rows::{NOW, bare, message, room, work};
use warren_store::{Backend, CommitError, Incarnation, Options, Reader, Routed, Sqlite, StoreError, Window, Work};

fn place() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("warren.db");
    (dir, path)
}

fn open(path: &Path) -> Result<Sqlite, StoreError> {
    Sqlite::open(path, Options::default())
}

fn refused(path: &Path) -> (StoreError, String) {
    let error = open(path).expect_err("it must not open");
    let text = error.to_string();
    assert!(text.contains(path.to_str().unwrap()), "names the file: {text}");
    assert!(text.contains(": ") && !text.contains('\n'), "one sentence with a remedy: {text}");
    (error, text)
}

#[test]
fn the_writer_is_at_synchronous_full_in_wal() {
    let (_dir, path) = place();
    let mut store = open(&path).unwrap();
    assert_eq!(store.synchronous().unwrap(), 2);
    // And still after the connection was replaced.
    let lane = store.take_over(Incarnation(1), NOW).unwrap().lane;
    store.resolve(lane, Batch(0)).unwrap();
    assert_eq!(store.synchronous().unwrap(), 2);
    let other = Connection::open(&path).unwrap();
    let mode: String = other.query_row("PRAGMA journal_mode", [], |r| r.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn a_second_process_is_kept_out() {
    let (_dir, path) = place();
    let store = open(&path).unwrap();
    let reader = store.reader().unwrap();
    let (error, text) = refused(&path);
    assert!(matches!(error, StoreError::Locked { .. }));
    assert!(text.contains(&format!("(pid {})", std::process::id())), "{text}");
    drop(store);
    assert!(matches!(refused(&path).0, StoreError::Locked { .. }), "a reader holds it too");
    drop(reader);
    open(&path).unwrap();
}

#[test]
fn a_later_schema_is_refused_and_left_alone() {
    let (_dir, path) = place();
    drop(open(&path).unwrap());
    let raw = Connection::open(&path).unwrap();
    raw.execute("UPDATE meta SET schema = 99", []).unwrap();
    let (error, _) = refused(&path);
    assert!(matches!(error, StoreError::Newer { found: 99, .. }));
    raw.execute("UPDATE meta SET schema = 3, shard_scheme = 2", []).unwrap();
    let (error, _) = refused(&path);
    assert!(matches!(error, StoreError::ShardScheme { found: 2, known: 1, .. }));
    raw.execute("UPDATE meta SET shard_scheme = 1", []).unwrap();
    open(&path).unwrap();
}

#[test]
fn numbers_by_shard_become_numbers_by_room() {
    let (_dir, path) = place();
    let mut store = open(&path).unwrap();
    let lane = store.take_over(Incarnation(1), NOW).unwrap().lane;
    store.commit(lane, &[work(1, vec![Row::Room(room(1, "r@rooms.example"))])]).unwrap();
    drop(store);
    let raw = Connection::open(&path).unwrap();
    let before = "DROP TABLE routed; UPDATE meta SET schema = 2; \
                  CREATE TABLE routed (shard INTEGER NOT NULL, source TEXT NOT NULL, n INTEGER NOT NULL, \
                  PRIMARY KEY (shard, source)) WITHOUT ROWID;";
    raw.execute_batch(before).unwrap();
    drop(raw);
    let mut store = open(&path).unwrap();
    let rows = store.load_room(&bare("r@rooms.example"), Window { messages: 1, keys: 1 }).unwrap().unwrap();
    assert_eq!(rows.routed, []);
    let mut routed = work(1, vec![]);
    let n = Routed { source: Incarnation(7), n: 3 };
    if let Work::Room { routed, .. } = &mut routed {
        *routed = Some(n);
    }
    store.commit(lane, &[routed]).unwrap();
    let rows = store.load_room(&bare("r@rooms.example"), Window { messages: 1, keys: 1 }).unwrap().unwrap();
    assert_eq!(rows.routed, [n]);
}

#[test]
fn what_is_not_a_store_is_refused_and_left_alone() {
    let (dir, path) = place();
    let text =
        "This is a letter, and quite a long one, since SQLite looks at the first hundred bytes of a file.".repeat(9);
    std::fs::write(&path, &text).unwrap();
    assert!(matches!(refused(&path).0, StoreError::NotAStore { .. }));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);

    let foreign = dir.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE mail (id)").unwrap();
    let before = std::fs::read(&foreign).unwrap();
    assert!(matches!(refused(&foreign).0, StoreError::NotAStore { .. }));
    assert_eq!(std::fs::read(&foreign).unwrap(), before);

    let (_, text) = refused(&dir.path().join("no such directory/warren.db"));
    assert!(text.contains("No such file or directory"), "{text}");
    let directory = dir.path().join("directory");
    std::fs::create_dir(&directory).unwrap();
    assert!(matches!(refused(&directory).0, StoreError::Unreadable { .. }));
}

#[test]
fn a_damaged_row_is_named() {
    let (_dir, path) = place();
    let mut store = open(&path).unwrap();
    let lane = store.take_over(Incarnation(1), NOW).unwrap().lane;
    let rows = vec![Row::Room(room(1, "r@rooms.example")), Row::Log(message(1))];
    store.commit(lane, &[work(1, rows)]).unwrap();
    Connection::open(&path).unwrap().execute("UPDATE log SET kind = 200", []).unwrap();
    let error = store.page(RoomId(1), Seq(0), 1).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
    assert!(error.to_string().contains("unknown value 200"), "{error}");
}

#[test]
fn a_full_store_says_so_and_loses_nothing() {
    let (_dir, path) = place();
    let options = Options { max_pages: Some(120), ..Options::default() };
    let mut store = Sqlite::open(&path, options).unwrap();
    let lane = store.take_over(Incarnation(1), NOW).unwrap().lane;
    store.commit(lane, &[work(1, vec![Row::Room(room(1, "r@rooms.example"))])]).unwrap();
    let mut seq = 0;
    let why = loop {
        let mut row = message(seq + 1);
        row.payload = vec![b'x'; 2000];
        match store.commit(lane, &[work(1, vec![Row::Log(row)])]) {
            Ok(_) => seq += 1,
            Err(CommitError::Failed(why)) => break why,
            Err(other) => panic!("{other}"),
        }
    };
    assert!(seq > 50, "{seq}");
    assert_eq!(why, "the store is full: make room on its disk, or raise its size limit");
    assert_eq!(store.page(RoomId(1), Seq(0), usize::MAX).unwrap().len() as u64, seq);
    assert_eq!(store.lanes().unwrap()[0].batch, Batch(seq + 1), "the failed commit took no number");
    // Room is made, and it goes on.
    store.trim_log(lane, RoomId(1), Seq(40), 100).unwrap();
    let mut row = message(seq + 1);
    row.payload = vec![b'x'; 2000];
    store.commit(lane, &[work(1, vec![Row::Log(row)])]).unwrap();
}

#[test]
fn another_program_that_locks_the_database_delays_it_at_most() {
    let (_dir, path) = place();
    let options = Options { busy: Duration::from_millis(50), ..Options::default() };
    let mut store = Sqlite::open(&path, options).unwrap();
    let lane = store.take_over(Incarnation(1), NOW).unwrap().lane;
    let shell = Connection::open(&path).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = store.commit(lane, &[]);
    assert!(matches!(&answer, Err(CommitError::Failed(why)) if why.contains("locked")), "{answer:?}");
    shell.execute_batch("ROLLBACK").unwrap();
    store.commit(lane, &[]).unwrap();
}

#[test]
fn readers_do_not_wait_for_the_writer() {
    let (_dir, path) = place();
    let mut store = open(&path).unwrap();
    let lane = store.take_over(Incarnation(1), NOW).unwrap().lane;
    let mut reader = store.reader().unwrap();
    let shell = Connection::open(&path).unwrap();
    store.commit(lane, &[work(1, vec![Row::Room(room(1, "r@rooms.example"))])]).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE; UPDATE room SET low = 5").unwrap();
    let window = Window { messages: 1, keys: 1 };
    let rows = reader.load_room(&bare("r@rooms.example"), window).unwrap().unwrap();
    assert_eq!(rows.room.low, Seq(1), "only what is committed");
    shell.execute_batch("COMMIT").unwrap();
    let rows = reader.load_room(&bare("r@rooms.example"), window).unwrap().unwrap();
    assert_eq!(rows.room.low, Seq(5), "and all of that");
}
