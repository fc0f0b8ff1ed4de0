//! Prints figures; checks nothing. Name an optimised node, for example
//!
//! ```text
//! cargo build --profile ci -p warren-muc-node
//! WARREN_NODE=target/ci/muc-node cargo test -p warren-muc-node --test node -- --ignored --nocapture speed
//! ```

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use warren_testkit::acceptor::Acceptor;

use crate::common::{Node, PATIENCE, SECRET, Site, get};

/// User and system time of a process.
fn cpu(node: &Node) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", node.pid())).unwrap();
    let after = stat.rsplit(')').next().unwrap();
    let ticks: u64 = after.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// The same by thread.
fn threads(node: &Node) -> String {
    let mut all = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{}/task", node.pid())).unwrap().flatten() {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap();
        let (head, after) = stat.rsplit_once(')').unwrap();
        let ticks: Vec<&str> = after.split_whitespace().skip(11).take(2).collect();
        all.push(format!("{} {}+{}", head.split('(').nth(1).unwrap(), ticks[0], ticks[1]));
    }
    all.join(", ")
}

/// Reads all, answers pings, counts bytes.
fn reader(mut socket: TcpStream, writer: &Mutex<TcpStream>, read: &AtomicU64) {
    let mut buffer = vec![0; 256 << 10];
    let mut tail = String::new();
    while let Ok(n @ 1..) = socket.read(&mut buffer) {
        let chunk = std::str::from_utf8(&buffer[..n]).unwrap();
        let mut at = 0;
        if !tail.is_empty() {
            tail.push_str(chunk);
        }
        let joined = std::mem::take(&mut tail);
        let text = if joined.is_empty() { chunk } else { &joined };
        while let Some(start) = text[at..].find("<iq ").map(|i| at + i) {
            let Some(end) = text[start..].find("</iq>").map(|i| start + i) else {
                text[start..].clone_into(&mut tail);
                break;
            };
            let iq = &text[start..end];
            let attr = |name: &str| iq.split(&format!(" {name}='")).nth(1).unwrap().split('\'').next().unwrap();
            let (from, to, id) = (attr("from"), attr("to"), attr("id"));
            let kind = if from == to { "get" } else { "result" };
            let payload = if from == to { "<ping xmlns='urn:xmpp:ping'/>" } else { "" };
            let answer = format!("<iq type='{kind}' from='{to}' to='{from}' id='{id}'>{payload}</iq>");
            writer.lock().unwrap().write_all(answer.as_bytes()).unwrap();
            at = end;
        }
        read.fetch_add(n as u64, Ordering::Relaxed);
    }
}

struct Run {
    node: Node,
    socket: Arc<Mutex<TcpStream>>,
    read: Arc<AtomicU64>,
    _site: Site,
    _acceptor: Acceptor,
}

impl Run {
    async fn start(rooms: usize) -> Self {
        let acceptor = Acceptor::bind(SECRET).await.unwrap();
        let site = Site::of(&acceptor);
        site.declare_rooms(rooms, "  config: {history: {maxMessages: 5}}\n");
        let since = Instant::now();
        let node = site.serve();
        let (socket, _) = acceptor.accept_socket(PATIENCE * 5).await.unwrap();
        println!("{rooms} rooms: up after {:?}, {:?} CPU, {} KiB", since.elapsed(), cpu(&node), node.resident() >> 10);
        let socket = socket.into_std().unwrap();
        socket.set_nonblocking(false).unwrap();
        let read = Arc::new(AtomicU64::new(0));
        let (theirs, count) = (socket.try_clone().unwrap(), read.clone());
        let socket = Arc::new(Mutex::new(socket));
        let writer = socket.clone();
        thread::spawn(move || reader(theirs, &writer, &count));
        Self { node, socket, read, _site: site, _acceptor: acceptor }
    }

    /// Waits until nothing comes any more.
    fn quiet(&self) -> u64 {
        let mut last = self.read.load(Ordering::Relaxed);
        loop {
            thread::sleep(Duration::from_secs(2));
            let now = self.read.load(Ordering::Relaxed);
            if now > 0 && now < last + 1000 {
                return now;
            }
            last = now;
        }
    }

    async fn deliveries(&self) -> u64 {
        // The counters are brought up to date once a second.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let (_, metrics) = get(self.node.admin().await, "/metrics").await;
        for name in ["warren_path_breaks_total", "warren_path_overflows_total"] {
            let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
            if !line.ends_with(" 0") {
                println!("  {line}");
            }
        }
        let line = metrics.lines().find(|line| line.starts_with("warren_deliveries_total")).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    async fn measure(&self, rooms: usize, members: usize, messages: usize, in_flight: u64) {
        let (before, since) = (cpu(&self.node), Instant::now());
        for member in 0..members {
            if member == 1 {
                // The first one has opened the path.
                self.quiet();
            }
            let mut joins = String::new();
            for room in 0..rooms {
                let _ = write!(
                    joins,
                    "<presence from='u{member}@wonderland.lit/r' to='r{room}@rooms.wonderland.lit/nick{member}'>\
                     <x xmlns='http://jabber.org/protocol/muc'/></presence>"
                );
            }
            self.socket.lock().unwrap().write_all(joins.as_bytes()).unwrap();
        }
        self.quiet();
        let count = self.deliveries().await;
        println!(
            "{rooms} rooms x {members}: filled in {:?} CPU ({:?} wall), {count} deliveries, {} KiB",
            cpu(&self.node).saturating_sub(before),
            since.elapsed(),
            self.node.resident() >> 10
        );
        // How many bytes one message makes.
        let start = self.quiet();
        let body = "x".repeat(120);
        let message = |n: usize| {
            format!(
                "<message type='groupchat' from='u{}@wonderland.lit/r' to='r{}@rooms.wonderland.lit' id='m{n:08}'>\
                 <body>{body}</body></message>",
                (n / rooms) % members,
                n % rooms
            )
        };
        for n in 0..10 {
            self.socket.lock().unwrap().write_all(message(n).as_bytes()).unwrap();
        }
        let each = (self.quiet() - start) / 10;
        assert!(each > 0, "nothing comes: {}", self.node.log());
        let (start, first) = (self.quiet(), self.deliveries().await);
        let (before, since) = (cpu(&self.node), Instant::now());
        for n in 0..messages {
            while n as u64 > (self.read.load(Ordering::Relaxed) - start) / each + in_flight {
                thread::sleep(Duration::from_micros(200));
            }
            self.socket.lock().unwrap().write_all(message(n).as_bytes()).unwrap();
        }
        while self.read.load(Ordering::Relaxed) < start + each * (messages as u64 - 1) {
            thread::sleep(Duration::from_millis(1));
        }
        let (wall, spent) = (since.elapsed(), cpu(&self.node).saturating_sub(before));
        let deliveries = self.deliveries().await - first;
        println!(
            "{rooms} rooms x {members}: {messages} messages, {deliveries} deliveries of {each} bytes a message: \
             {:.0} per CPU second ({spent:?} CPU, {wall:?} wall), {} KiB",
            f64::from(u32::try_from(deliveries).unwrap()) / spent.as_secs_f64(),
            self.node.resident() >> 10
        );
        println!("  ticks of user and system time by thread: {}", threads(&self.node));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures"]
async fn speed_of_one_large_room() {
    Run::start(1).await.measure(1, 1000, 5000, 40).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures"]
async fn speed_of_many_small_rooms() {
    Run::start(1000).await.measure(1000, 5, 200_000, 2000).await;
}
