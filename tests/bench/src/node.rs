//! The real `muc-node` with SQLite, from component socket to component socket; its CPU time only.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use jid::BareJid;
use tempfile::TempDir;
use warren_model::config::{ComponentConfig, RoomConfig};
use warren_model::{Birth, LogKind, LogRow, RoomId, RoomRow, Row, Secret, Seq, Shard, Ticket, UnixMs};
use warren_store::{Backend, Incarnation, Options, Sqlite, Work};
use warren_testkit::loopback::fill;
use warren_testkit::node::binary;
use warren_testkit::story::{RoomDecl, SiteDecl};

use crate::codec;
use crate::server::{self, Link};
use crate::time;
use crate::{Bound, Limit};

pub const DOMAIN: &str = "rooms.wonderland.lit";
const SECRET: &str = "secret";
/// For everything that waits for the node.
const PATIENCE: Duration = Duration::from_mins(1);
const BODY: &str = "Curiouser and curiouser! cried Alice, who was so much surprised that for the moment she quite \
                    forgot how to speak good English.";

/// Rounds in which things are compared in turn: what they cost, and what the kernel charges for them, changes from one
/// moment to the next.
const ROUNDS: usize = 5;

pub fn bounds() -> Result<Vec<Bound>> {
    let mut one = FanOut::start(1, 1000)?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let (limit, delivery) = (server::loopback_limit()?, one.send(400)? / 1000.0);
        rounds.push((limit / delivery, delivery, limit));
    }
    let (ratio, delivery, limit) = median(rounds);
    drop(one);
    let mut many = FanOut::start(1000, 5)?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let (message, row) = (many.send(30)?, sqlite_row()?);
        rounds.push((message / (4.0 * codec::pass() + row), message, row));
    }
    let (per_message, message, row) = median(rounds);
    Ok(vec![
        Bound {
            what: "1 room x 1,000: deliveries/CPU s : batched loopback",
            ratio,
            limit: Limit::AtLeast(0.28),
            figures: format!("{delivery:.0} ns a delivery, loopback {limit:.0} ns"),
        },
        Bound {
            what: "1,000 rooms x 5: a message : 4 codec passes + 1 SQLite row",
            ratio: per_message,
            limit: Limit::AtMost(1.0),
            figures: format!("{message:.0} ns : {:.0} ns (row {row:.0} ns)", message / per_message),
        },
    ])
}

/// The round in the middle.
fn median(mut rounds: Vec<(f64, f64, f64)>) -> (f64, f64, f64) {
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    rounds[rounds.len() / 2]
}

/// A running node and our end of its link.
struct Node {
    process: Child,
    link: Link,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Rooms in which one speaks and all hear.
struct FanOut {
    node: Node,
    rooms: u32,
    occupants: u32,
    sent: u32,
    _dir: TempDir,
}

/// So many users join each room.
pub fn joins(rooms: u32, occupants: u32) -> Result<String> {
    let mut out = String::new();
    for room in 0..rooms {
        for user in 0..occupants {
            write!(
                out,
                "<presence from='user{user}@wonderland.lit/r{room}' to='r{room}@{DOMAIN}/n{user}'><x \
                 xmlns='http://jabber.org/protocol/muc'/></presence>"
            )?;
        }
    }
    Ok(out)
}

impl FanOut {
    /// A node with rooms that everybody has joined.
    fn start(rooms: u32, occupants: u32) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let node = start(dir.path(), rooms)?;
        let out = joins(rooms, occupants)?;
        node.link.write.send(out.into_bytes())?;
        wait("everybody joins", &node.link.seen.subjects, u64::from(rooms * occupants))?;
        // What the joins have left to do is not the messages' business.
        thread::sleep(Duration::from_secs(2));
        Ok(Self { node, rooms, occupants, sent: 0, _dir: dir })
    }

    /// So many messages to each room, in turn. CPU nanoseconds of the node for one of them.
    fn send(&mut self, messages: u32) -> Result<f64> {
        let link = &self.node.link;
        let before = cpu(self.node.process.id())?;
        let deliveries = u64::from(self.rooms * self.occupants * messages);
        let expected = link.seen.messages.load(Ordering::Relaxed) + deliveries;
        for n in self.sent..self.sent + messages {
            let mut out = String::new();
            for room in 0..self.rooms {
                write!(
                    out,
                    "<message type='groupchat' from='user0@wonderland.lit/r{room}' to='r{room}@{DOMAIN}' \
                     id='5f0c0f2e-6b1e-4d7a-9a3f-{n:012}'><body>{BODY}</body></message>"
                )?;
            }
            link.write.send(out.into_bytes())?;
        }
        self.sent += messages;
        wait("every message arrives everywhere", &link.seen.messages, expected)?;
        let spent = cpu(self.node.process.id())?.saturating_sub(before);
        Ok(spent.as_secs_f64() * 1e9 / f64::from(self.rooms * messages))
    }
}

fn start(dir: &Path, rooms: u32) -> Result<Node> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let store = dir.join("bench.db");
    let room = |n: u32| -> Result<RoomDecl> {
        let mut config = RoomConfig::default();
        // Newcomers are shown nothing, so that every message that is counted is a delivery.
        config.history.max_messages = 0;
        Ok(RoomDecl { jid: BareJid::new(&format!("r{n}@{DOMAIN}"))?, config })
    };
    let decl = SiteDecl {
        name: "bench".to_owned(),
        domain: DOMAIN.into(),
        home: BTreeSet::from(["wonderland.lit".into()]),
        rooms: (0..rooms).map(room).collect::<Result<_>>()?,
        allows: Vec::new(),
    };
    let port = listener.local_addr()?.port();
    fill(&store, &decl, &ComponentConfig { host: "127.0.0.1".to_owned(), port, secret: SECRET.to_owned() })?;
    let mut process = Command::new(binary()?)
        .args(["--log", "warn", "serve", "--admin", "off", "--store", &format!("sqlite:{}", store.display())])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("muc-node")?;
    match Link::accept(&listener, DOMAIN, SECRET) {
        Ok(link) => Ok(Node { process, link }),
        Err(error) => {
            process.kill().ok();
            Err(error)
        }
    }
}

fn wait(what: &str, counter: &AtomicU64, expected: u64) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while counter.load(Ordering::Relaxed) < expected {
        let got = counter.load(Ordering::Relaxed);
        ensure!(Instant::now() < end, "{what}: {got} of {expected} within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// CPU time of all threads of a process.
pub fn cpu(pid: u32) -> Result<Duration> {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = std::fs::read_to_string(task?.path().join("schedstat"))?;
        sum += stat.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok()).context("schedstat")?;
    }
    Ok(Duration::from_nanos(sum))
}

/// CPU nanoseconds of one message row, durable, as that run writes them: in turn to 1,000 rooms, in groups of 100.
fn sqlite_row() -> Result<f64> {
    const GROUP: u64 = 100;
    const ROOMS: u64 = 1000;
    let dir = tempfile::tempdir()?;
    let mut store = Sqlite::open(dir.path().join("row.db"), Options::default())?;
    let ownership = store.take_over(Incarnation(1), UnixMs(1))?;
    let work = |ticket: u64, room: RoomId, rows: Vec<Row>| Work::Room {
        ticket: Ticket(ticket),
        room,
        shard: Shard(0),
        epoch: ownership.epoch,
        fresh: false,
        routed: None,
        rows,
    };
    let room = |n: u64| -> Result<Work> {
        let row = RoomRow {
            id: RoomId(n << 40),
            jid: BareJid::new(&format!("r{n}@{DOMAIN}"))?,
            birth: Birth::default(),
            secret: Secret::default(),
            object_uid: String::new(),
            generation: 1,
            config: Vec::new(),
            subject_seq: Seq(0),
            low: Seq(0),
            head: Seq(0),
        };
        Ok(work(n, row.id, vec![Row::Room(row)]))
    };
    let rooms = (1..=ROOMS).map(room).collect::<Result<Vec<_>>>()?;
    store.commit(ownership.lane, &rooms).map_err(|error| anyhow!("{error}"))?;
    let mut written = 0;
    let mut group = || {
        let works: Vec<_> = (0..GROUP)
            .map(|_| {
                written += 1;
                let row = LogRow {
                    seq: Seq(written / ROOMS + 1),
                    epoch: ownership.epoch,
                    kind: LogKind::Message,
                    at: UnixMs(written),
                    eff: UnixMs(written),
                    jid: "alice@wonderland.lit/rabbit".parse().ok(),
                    nick: "Alice".into(),
                    ingress: None,
                    id: None,
                    payload: vec![b'x'; 300],
                };
                work(written + ROOMS, RoomId((written % ROOMS + 1) << 40), vec![Row::Log(row)])
            })
            .collect();
        assert!(store.commit(ownership.lane, &works).is_ok(), "the store takes what it is measured with");
    };
    Ok(time::per_op(40, &mut group) / 100.0)
}
