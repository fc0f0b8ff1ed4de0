//! What is particular to PostgreSQL: how it opens, what it says when it cannot, and TLS.

use std::thread;
use std::time::Duration;

use warren_model::{RoomId, Row, Seq};
use warren_store::conformance::rows::{ALL, NOW, bare, jid, key, message, occupant, room, work};
use warren_store::{
    Backend, Cluster, CommitError, Incarnation, Join, Postgres, PostgresOptions, Reader, Routed, StoreError, Window,
    Work,
};
use warren_test_postgres::Server;

fn options() -> PostgresOptions {
    PostgresOptions { connect: Duration::from_secs(1), ..PostgresOptions::default() }
}

fn open(dsn: &str) -> Result<Postgres, StoreError> {
    Postgres::open(dsn, options())
}

/// A database with its name.
fn database() -> (String, String) {
    let dsn = Server::shared().database().unwrap();
    let name = dsn.split_whitespace().find_map(|word| word.strip_prefix("dbname=")).unwrap().to_owned();
    (dsn, name)
}

fn sql(database: &str, sql: &str) -> String {
    Server::shared().sql(database, sql).unwrap()
}

fn refused(dsn: &str) -> (StoreError, String) {
    let error = open(dsn).expect_err("it must not open");
    let text = error.to_string();
    assert!(text.contains(": ") && !text.contains('\n'), "one sentence with a remedy: {text}");
    (error, text)
}

#[test]
fn the_writer_does_not_commit_asynchronously() {
    let (dsn, name) = database();
    assert_eq!(sql(&name, "SHOW synchronous_commit"), "off", "the server is set so");
    let mut store = open(&dsn).unwrap();
    assert_eq!(store.synchronous_commit().unwrap(), "on");
    let lane = store.take_over(Incarnation(1), NOW).unwrap();
    store.resolve(lane.lane, lane.batch).unwrap();
    assert_eq!(store.synchronous_commit().unwrap(), "on", "and still after the connection was replaced");
    sql(&name, &format!("ALTER DATABASE {name} SET synchronous_commit = remote_apply"));
    assert_eq!(open(&dsn).unwrap().synchronous_commit().unwrap(), "remote_apply", "more is left as it is");
}

#[test]
fn a_later_schema_is_refused_unless_it_says_that_we_may() {
    let (dsn, name) = database();
    drop(open(&dsn).unwrap());
    sql(&name, "UPDATE meta SET schema = 99, oldest = 98");
    let (error, text) = refused(&dsn);
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{text}");
    assert!(text.contains("127.0.0.1") && text.contains(&name), "names server and database: {text}");
    // The version after ours has expanded the schema and not contracted it: a rolling update goes on.
    sql(&name, "UPDATE meta SET schema = 99, oldest = 1");
    open(&dsn).unwrap();
    sql(&name, "UPDATE meta SET schema = 1, shard_scheme = 2");
    assert!(matches!(refused(&dsn).0, StoreError::ShardScheme { found: 2, known: 1, .. }));
    assert_eq!(sql(&name, "SELECT schema, shard_scheme FROM meta"), "1|2", "and left alone");
    sql(&name, "UPDATE meta SET shard_scheme = 1");
    open(&dsn).unwrap();
}

#[test]
fn a_source_is_forgotten_in_lots() {
    let (dsn, name) = database();
    let store = open(&dsn).unwrap();
    let mut cluster = store.cluster(options());
    let pods = [Incarnation(7), Incarnation(8)];
    for pod in pods {
        let join = Join { name: pod.to_string().into(), incarnation: pod, address: "here".into(), lanes: 0 };
        cluster.join(&join).unwrap();
        let insert =
            format!("INSERT INTO routed SELECT n, '{pod}', n FROM generate_series(1, 25000) AS all_of_them(n)");
        sql(&name, &insert);
    }
    assert!(cluster.goodbye(pods[0]).unwrap());
    assert!(!cluster.forget(pods[1]).unwrap() && cluster.forget(pods[0]).unwrap());
    assert_eq!(sql(&name, "SELECT count(*), min(source) FROM routed"), format!("25000|{}", pods[1]));
    let plan = sql(&name, "ANALYZE routed; EXPLAIN SELECT room FROM routed WHERE source = 'x' ORDER BY room LIMIT 9");
    assert!(plan.contains("routed_source"), "{plan}");
    assert_eq!(sql(&name, "SELECT count(*) FROM pod"), "1");
}

#[test]
fn numbers_by_shard_become_numbers_by_room_while_pods_work() {
    let (dsn, name) = database();
    let mut old = open(&dsn).unwrap();
    let lane = old.take_over(Incarnation(1), NOW).unwrap().lane;
    old.commit(lane, &[work(1, vec![Row::Room(room(1, "r@rooms.example"))])]).unwrap();
    sql(
        &name,
        "DROP TABLE routed; UPDATE meta SET schema = 1; CREATE TABLE routed (shard int8 NOT NULL, \
         source text COLLATE \"C\" NOT NULL, n int8 NOT NULL, PRIMARY KEY (shard, source))",
    );
    // Of the version before: it has seen the old table.
    let mut cluster = old.cluster(options());
    assert!(!cluster.forget(Incarnation(7)).unwrap());
    let mut new = open(&dsn).unwrap();
    assert_eq!(sql(&name, "SELECT schema, oldest FROM meta"), "3|1");
    assert!(!cluster.forget(Incarnation(7)).unwrap(), "and goes on with the new one");
    old.commit(lane, &[work(1, vec![Row::Log(message(1))])]).unwrap();
    let mut routed = work(1, vec![]);
    let n = Routed { source: Incarnation(7), n: 3 };
    if let Work::Room { routed, .. } = &mut routed {
        *routed = Some(n);
    }
    new.commit(lane, &[routed]).unwrap();
    assert_eq!(new.load_room(&bare("r@rooms.example"), ALL).unwrap().unwrap().routed, [n]);
}

#[test]
fn what_is_not_a_store_is_refused_and_left_alone() {
    let (dsn, name) = database();
    sql(&name, "CREATE TABLE mail (id int)");
    let (error, text) = refused(&dsn);
    assert!(matches!(error, StoreError::NotAStore { .. }) && text.contains("table mail"), "{text}");
    let (dsn, name) = database();
    sql(&name, "CREATE TABLE meta (id int)");
    assert!(matches!(refused(&dsn).0, StoreError::NotAStore { .. }));
    assert_eq!(sql(&name, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "1");
    sql("postgres", "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0");
    let (error, text) = refused(&Server::shared().dsn("latin"));
    assert!(matches!(error, StoreError::NotAStore { .. }) && text.contains("LATIN1"), "{text}");
}

#[test]
fn who_cannot_connect_is_told_why_and_no_password_is_shown() {
    let (_, text) = refused("host=127.0.0.1 port=1 user=warren password=s3cret sslmode=disable");
    assert!(text.contains("onnection refused") && text.contains("127.0.0.1:1/warren"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    let (error, text) = refused(&Server::shared().dsn("nowhere"));
    assert!(matches!(error, StoreError::Unreachable { .. }), "{text}");
    assert!(text.contains("database \"nowhere\" does not exist"), "{text}");
    assert!(refused("password=s3cret").1.contains("names no host"));
    assert!(refused("host=h sslmode=verify-full").1.contains("add sslrootcert=FILE"));
    let (_, text) = refused("host=h sslmode=verify-full sslrootcert=/nowhere.pem");
    assert!(text.contains("/nowhere.pem"), "{text}");
}

#[test]
fn tls_is_as_strict_as_sslmode_says() {
    let server = Server::shared();
    let (_, name) = database();
    let tls = server.tls().unwrap();
    let dsn = |host: &str, mode: &str, root: Option<&std::path::Path>| {
        let root = root.map(|file| format!("&sslrootcert={}", file.display())).unwrap_or_default();
        format!("postgresql://warren@{host}:{}/{name}?sslmode={mode}{root}", server.addr().port())
    };
    let encrypted = |dsn: &str| {
        let store = open(dsn).unwrap_or_else(|error| panic!("{dsn}: {error}"));
        let uses = sql(
            &name,
            "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'warren' \
             AND datname = current_database()",
        );
        drop(store);
        uses == "t"
    };
    assert!(encrypted(&dsn("localhost", "verify-full", Some(&tls.root))));
    assert!(encrypted(&dsn("127.0.0.1", "verify-ca", Some(&tls.root))));
    assert!(encrypted(&dsn("127.0.0.1", "require", None)));
    assert!(encrypted(&dsn("127.0.0.1", "prefer", None)));
    assert!(!encrypted(&dsn("127.0.0.1", "disable", None)));
    for (host, mode, root) in [
        ("127.0.0.1", "verify-full", &tls.root),
        ("localhost", "verify-full", &tls.stranger),
        ("localhost", "verify-ca", &tls.stranger),
        ("localhost", "require", &tls.stranger),
    ] {
        let (error, text) = refused(&dsn(host, mode, Some(root)));
        assert!(matches!(error, StoreError::Unreachable { .. }) && text.contains("certificate"), "{mode}: {text}");
    }
}

#[test]
fn many_pods_may_start_on_an_empty_database_at_once() {
    let (dsn, _) = database();
    let lanes: Vec<_> = thread::scope(|scope| {
        let pods: Vec<_> = (0..8)
            .map(|n| {
                let dsn = &dsn;
                scope.spawn(move || open(dsn).unwrap().take_over(Incarnation(n), NOW).unwrap().lane)
            })
            .collect();
        pods.into_iter().map(|pod| pod.join().unwrap()).collect()
    });
    let mut store = open(&dsn).unwrap();
    let rows = store.lanes().unwrap();
    assert_eq!(rows.iter().filter(|row| row.open).count(), 1, "one owner");
    assert_eq!(rows.iter().map(|row| row.lane).collect::<std::collections::BTreeSet<_>>(), lanes.into_iter().collect());
}

#[test]
fn keys_may_be_as_long_as_addresses_may_be() {
    let (dsn, _) = database();
    let mut store = open(&dsn).unwrap();
    let lane = store.take_over(Incarnation(1), NOW).unwrap().lane;
    // Nothing that compresses.
    let noise = |n: usize, of: u64| -> String {
        let mut state = of;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'a' + u8::try_from((state >> 33) % 26).unwrap())
        };
        (0..n).map(|_| next()).collect()
    };
    let address = format!("{}@{}/{}", noise(1023, 1), vec![noise(50, 2); 4].join("."), noise(1023, 3));
    let mut long = occupant(&address, &noise(1000, 4), 1);
    let foreign = key(&noise(5000, 5), 1, 1);
    let rows = vec![
        Row::Room(room(1, "r@rooms.example")),
        Row::Occupant(long.clone()),
        Row::FmucKey(foreign.clone()),
        Row::Log(message(1)),
    ];
    store.commit(lane, &[work(1, rows)]).unwrap();
    let presence = b"<show>dnd</show>".to_vec();
    let changed = Row::Presence { jid: jid(&address), nick: long.nick.clone(), presence: presence.clone() };
    store.commit(lane, &[work(1, vec![changed])]).unwrap();
    long.presence = presence;
    let rows = store.load_room(&bare("r@rooms.example"), ALL).unwrap().unwrap();
    assert_eq!((rows.occupants, rows.fmuc_keys), (vec![long], vec![foreign]));
}

#[test]
fn what_the_types_do_not_take_is_rejected() {
    let (dsn, _) = database();
    let mut store = open(&dsn).unwrap();
    let lane = store.take_over(Incarnation(1), NOW).unwrap().lane;
    let mut nul = message(1);
    nul.nick = "a\0b".into();
    let rows = vec![Row::Room(room(2, "s@rooms.example")), Row::Log(nul)];
    let group = [work(1, vec![Row::Room(room(1, "r@rooms.example"))]), work(2, rows)];
    match store.commit(lane, &group) {
        Err(CommitError::Rejected { index: Some(1), why }) => assert!(why.starts_with("room 2: "), "{why}"),
        other => panic!("{other:?}"),
    }
    store.commit(lane, &group[..1]).unwrap();
}

#[test]
fn a_damaged_row_is_named() {
    let (dsn, name) = database();
    let mut store = open(&dsn).unwrap();
    let lane = store.take_over(Incarnation(1), NOW).unwrap().lane;
    store.commit(lane, &[work(1, vec![Row::Room(room(1, "r@rooms.example")), Row::Log(message(1))])]).unwrap();
    sql(&name, "UPDATE log SET kind = 200");
    let error = store.page(RoomId(1), Seq(0), 1).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
    assert!(error.to_string().contains("column kind: unknown value 200"), "{error}");
}

#[test]
fn a_shard_that_moved_takes_nothing_of_its_old_owner() {
    let (dsn, name) = database();
    let mut store = open(&dsn).unwrap();
    let lane = store.take_over(Incarnation(1), NOW).unwrap();
    let rows = [work(1, vec![Row::Room(room(1, "r@rooms.example"))])];
    store.commit(lane.lane, &rows).unwrap();
    // `work` is of shard 1 and of the epoch that the take-over gave.
    sql(&name, &format!("UPDATE shard SET epoch = {} WHERE id = 1", lane.epoch.0));
    store.commit(lane.lane, &rows).unwrap();
    sql(&name, "UPDATE shard SET epoch = epoch + 1");
    assert_eq!(store.commit(lane.lane, &rows), Err(CommitError::Disowned { index: 0 }));
}

#[test]
fn a_page_of_a_long_log_reads_no_more_than_the_page() {
    let (dsn, name) = database();
    let mut store = open(&dsn).unwrap();
    let lane = store.take_over(Incarnation(1), NOW).unwrap().lane;
    let rows = std::iter::once(Row::Room(room(1, "r@rooms.example"))).chain((1..=5000).map(|n| Row::Log(message(n))));
    store.commit(lane, &[work(1, rows.collect())]).unwrap();
    // The statistics of a connection are told when it ends.
    drop(store);
    let read = || {
        sql(
            &name,
            "SELECT (SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes WHERE relname = 'log') + \
             (SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables WHERE relname = 'log')",
        )
        .parse::<u64>()
        .unwrap()
    };
    let settled = || {
        let mut last = read();
        loop {
            #[expect(clippy::disallowed_methods, reason = "the server tells in its own time")]
            thread::sleep(Duration::from_millis(300));
            let now = read();
            if now == last {
                return now;
            }
            last = now;
        }
    };
    let before = settled();
    let mut store = open(&dsn).unwrap();
    // More than five: by then the server has settled on a plan.
    for n in 0..10 {
        assert_eq!(store.page(RoomId(1), Seq(n), 10).unwrap().len(), 10);
        assert_eq!(store.page_back(RoomId(1), Seq(5000 - n), 10).unwrap().len(), 10);
        let window = Window { messages: 10, keys: 10 };
        assert_eq!(store.load_room(&bare("r@rooms.example"), window).unwrap().unwrap().history.len(), 10);
    }
    drop(store);
    let fetched = settled() - before;
    assert!((300..1000).contains(&fetched), "{fetched} rows for 300");
}

#[test]
fn it_works_inside_a_runtime() {
    let (dsn, _) = database();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut store = open(&dsn).unwrap();
        let lane = store.take_over(Incarnation(1), NOW).unwrap().lane;
        store.commit(lane, &[]).unwrap();
        drop(store);
    });
}
