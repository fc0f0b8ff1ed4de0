//! The real `muc-node` with SQLite, from component socket to component socket; its CPU time only.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use data_encoding::HEXLOWER;
use jid::BareJid;
use sha1::{Digest, Sha1};
use warren_model::config::{ComponentConfig, RoomConfig};
use warren_model::{Birth, LogKind, LogRow, RoomId, RoomRow, Row, Secret, Seq, Shard, Ticket, UnixMs};
use warren_store::{Backend, Incarnation, Options, Sqlite, Work};
use warren_testkit::loopback::fill;
use warren_testkit::node::binary;
use warren_testkit::story::{RoomDecl, SiteDecl};

use crate::time;
use crate::{Bound, Limit};

const DOMAIN: &str = "rooms.wonderland.lit";
const SECRET: &str = "secret";
/// For everything that waits for the node.
const PATIENCE: Duration = Duration::from_mins(1);
const BODY: &str = "Curiouser and curiouser! cried Alice, who was so much surprised that for the moment she quite \
                    forgot how to speak good English.";

pub fn bounds(pass: f64) -> Result<Vec<Bound>> {
    let (limit, one) = (loopback_limit()?, fan_out(1, 1000, 400)?);
    let many = fan_out(1000, 5, 20)?;
    let row = sqlite_row()?;
    let budget = 4.0 * pass + row;
    Ok(vec![
        Bound {
            what: "1 room x 1,000: deliveries/CPU s : batched loopback",
            ratio: limit / one.per_delivery,
            limit: Limit::AtLeast(0.28),
            figures: format!("{:.0} ns a delivery, loopback {limit:.0} ns", one.per_delivery),
        },
        Bound {
            what: "1,000 rooms x 5: a message : 4 codec passes + 1 SQLite row",
            ratio: many.per_message / budget,
            limit: Limit::AtMost(1.0),
            figures: format!("{:.0} ns : {budget:.0} ns (row {row:.0} ns)", many.per_message),
        },
    ])
}

/// CPU nanoseconds of copying one delivery of the same size and writing it to a loopback socket, 64 KiB at a time.
fn loopback_limit() -> Result<f64> {
    const SIZE: usize = 560;
    const COUNT: usize = 400_000;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut socket = TcpStream::connect(listener.local_addr()?)?;
    let (mut peer, _) = listener.accept()?;
    let reader = thread::spawn(move || {
        let mut buffer = vec![0; 256 << 10];
        while matches!(peer.read(&mut buffer), Ok(1..)) {}
    });
    let stanza = [b'x'; SIZE];
    let mut buffer = Vec::with_capacity(65 << 10);
    let begin = time::thread();
    for _ in 0..COUNT {
        buffer.extend_from_slice(&stanza);
        if buffer.len() >= 64 << 10 {
            socket.write_all(&buffer)?;
            buffer.clear();
        }
    }
    let spent = time::thread().saturating_sub(begin);
    drop(socket);
    reader.join().ok();
    Ok(spent.as_secs_f64() * 1e9 / 400_000.0)
}

struct Cost {
    per_message: f64,
    per_delivery: f64,
}

/// A running node and our end of its link.
struct Node {
    process: Child,
    write: TcpStream,
    messages: Arc<AtomicU64>,
    subjects: Arc<AtomicU64>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn fan_out(rooms: u32, occupants: u32, messages: u32) -> Result<Cost> {
    let dir = tempfile::tempdir()?;
    let mut node = start(dir.path(), rooms)?;
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
    node.write.write_all(out.as_bytes())?;
    wait("everybody joins", &node.subjects, u64::from(rooms * occupants))?;
    // What the joins have left to do is not the messages' business.
    thread::sleep(Duration::from_secs(2));
    let before = cpu(node.process.id())?;
    let expected = node.messages.load(Ordering::Relaxed) + u64::from(rooms * occupants * messages);
    for n in 0..messages {
        let mut out = String::new();
        for room in 0..rooms {
            write!(
                out,
                "<message type='groupchat' from='user0@wonderland.lit/r{room}' to='r{room}@{DOMAIN}' \
                 id='5f0c0f2e-6b1e-4d7a-9a3f-{n:012}'><body>{BODY}</body></message>"
            )?;
        }
        node.write.write_all(out.as_bytes())?;
    }
    wait("every message arrives everywhere", &node.messages, expected)?;
    let spent = cpu(node.process.id())?.saturating_sub(before).as_secs_f64() * 1e9;
    let sent = f64::from(rooms * messages);
    Ok(Cost { per_message: spent / sent, per_delivery: spent / (sent * f64::from(occupants)) })
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
    match listen(&listener) {
        Ok((write, messages, subjects)) => Ok(Node { process, write, messages, subjects }),
        Err(error) => {
            process.kill().ok();
            Err(error)
        }
    }
}

/// Plays the server: handshake, answers to pings, counting.
fn listen(listener: &TcpListener) -> Result<(TcpStream, Arc<AtomicU64>, Arc<AtomicU64>)> {
    let (mut socket, _) = listener.accept()?;
    socket.set_nodelay(true)?;
    let mut seen = String::new();
    until(&mut socket, &mut seen, ">")?;
    while !seen.contains("jabber:component:accept") {
        until(&mut socket, &mut seen, ">")?;
    }
    socket.write_all(
        format!(
            "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' \
             from='{DOMAIN}' id='1'>"
        )
        .as_bytes(),
    )?;
    until(&mut socket, &mut seen, "</handshake>")?;
    ensure!(seen.contains(&HEXLOWER.encode(&Sha1::digest(format!("1{SECRET}")))), "the node's handshake is wrong");
    socket.write_all(b"<handshake/>")?;
    let (messages, subjects) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (mut read, mut answer) = (socket.try_clone()?, socket.try_clone()?);
    let counters = (messages.clone(), subjects.clone());
    thread::spawn(move || {
        let mut buffer = vec![0; 256 << 10];
        let mut text = String::new();
        while let Ok(n @ 1..) = read.read(&mut buffer) {
            text.push_str(&String::from_utf8_lossy(&buffer[..n]));
            let Some(end) = text.rfind('>') else { continue };
            let rest = text.split_off(end + 1);
            let count = |what: &str| text.matches(what).count() as u64;
            counters.0.fetch_add(count("</body>"), Ordering::Relaxed);
            counters.1.fetch_add(count("<subject/>"), Ordering::Relaxed);
            for ping in text.split("<iq ").skip(1) {
                let attr = |name: &str| {
                    ping.split(&format!("{name}='")).nth(1).and_then(|rest| rest.split('\'').next()).unwrap_or_default()
                };
                let (from, to, id) = (attr("from"), attr("to"), attr("id"));
                let reply = if from == to {
                    format!("<iq type='get' from='{to}' to='{from}' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>")
                } else {
                    format!("<iq type='result' from='{to}' to='{from}' id='{id}'/>")
                };
                answer.write_all(reply.as_bytes()).ok();
            }
            text = rest;
        }
    });
    Ok((socket, messages, subjects))
}

fn until(socket: &mut TcpStream, seen: &mut String, what: &str) -> Result<()> {
    let mut buffer = [0; 4096];
    let from = seen.len();
    while !seen[from..].contains(what) {
        let n = socket.read(&mut buffer)?;
        ensure!(n > 0, "the node has closed the connection");
        seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    Ok(())
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
fn cpu(pid: u32) -> Result<Duration> {
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
