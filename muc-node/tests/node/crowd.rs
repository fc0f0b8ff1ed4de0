//! Many rooms with two people in each, who talk all the time, and the server between them and the nodes. What everybody
//! hears is kept, so that afterwards it can be held against what was said and what is in the logs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream;
use minidom::Element;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, sleep};
use warren_test_postgres::{Durability, Server};
use warren_testkit::acceptor::{Acceptor, Link};

use crate::common::{ALICE, BOB, Node, PATIENCE, SECRET, Site, get, groupchat, run};

/// A node that has not been heard of for so long is taken over.
pub const TTL: Duration = Duration::from_secs(1);
/// Crowds come one after the other: what takes how long counts.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
/// All shards there are.
const SHARDS: usize = 4096;
/// A move that waits for anything longer than this is stuck.
const EVEN: Duration = Duration::from_secs(40);

/// The address of a room.
pub fn room(n: usize) -> String {
    format!("r{n}@rooms.wonderland.lit")
}

/// One room's talk, as Alice hears it.
#[derive(Debug, Default)]
pub struct RoomTalk {
    /// So many messages were said.
    pub said: usize,
    /// When each number was heard, and which: every time.
    pub heard: Vec<(Instant, usize)>,
    /// So many times Bob heard something.
    pub bob: usize,
}

/// What has happened so far.
#[derive(Debug, Default)]
pub struct Record {
    /// By number of the room.
    pub rooms: Vec<RoomTalk>,
    /// Presences since the talk began: nobody comes or goes, so there must be none.
    pub presences: Vec<String>,
    /// Errors that came to people.
    pub errors: Vec<String>,
    /// When a link ended, and when there was one again.
    pub links: Vec<(Instant, Instant)>,
}

impl Record {
    /// Takes a stanza that came to somebody.
    fn hear(&mut self, stanza: &Element) {
        if stanza.attr("type") == Some("error") {
            self.errors.push(String::from(stanza));
        } else if stanza.name() == "presence" {
            self.presences.push(String::from(stanza));
        } else if stanza.name() == "message" {
            let number = stanza.attr("id").and_then(|id| id.split_once('-'));
            let Some((room, n)) = number.and_then(|(room, n)| Some((room.parse::<usize>().ok()?, n.parse().ok()?)))
            else {
                return;
            };
            match stanza.attr("to") {
                Some(ALICE) => self.rooms[room].heard.push((Instant::now(), n)),
                Some(BOB) => self.rooms[room].bob += 1,
                other => self.errors.push(format!("a message to {other:?}: {}", String::from(stanza))),
            }
        }
    }

    /// Numbers of messages that were said by then, which is so many in each room, and that somebody has not heard.
    fn missing(&self, said: &[usize]) -> Vec<String> {
        let mut missing = Vec::new();
        for (n, (room, said)) in self.rooms.iter().zip(said).enumerate() {
            let heard: BTreeSet<usize> = room.heard.iter().map(|(_, n)| *n).collect();
            missing.extend((0..*said).filter(|number| !heard.contains(number)).map(|number| format!("{n}-{number}")));
            if room.bob < *said {
                missing.push(format!("{} of room {n} by Bob", said - room.bob));
            }
        }
        missing
    }
}

/// How the people talk.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// They are silent.
    Silent,
    /// One room after the other says something, one in each of these.
    Every(Duration),
    /// This many more messages at once, over the rooms in turn; then silence.
    Burst(usize),
}

impl Pace {
    fn burst_is_over(&mut self) {
        if let Self::Burst(_) = self {
            *self = Self::Silent;
        }
    }
}

/// Nodes on one store, the server that they connect to, and its people.
pub struct Crowd {
    site: Site,
    url: String,
    record: Arc<Mutex<Record>>,
    pace: Arc<Mutex<Pace>>,
    server: JoinHandle<()>,
    _postgres: Server,
    _alone: tokio::sync::MutexGuard<'static, ()>,
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Crowd {
    /// A store, a server, and a first node, which has the link. In each of so many rooms Alice and Bob are.
    pub async fn gather(rooms: usize, first: &str) -> (Self, Node) {
        let alone = ALONE.lock().await;
        let postgres = spawn_blocking(|| Server::start(Durability::Memory)).await.unwrap();
        let postgres = postgres.unwrap_or_else(|error| panic!("{error:#}"));
        let acceptor = Acceptor::bind(SECRET).await.unwrap();
        let site = Site::of(&acceptor);
        site.declare_rooms(rooms, "");
        let url = postgres.database_url().unwrap();
        let first = serve(&site, &url, first);
        let mut link = acceptor.accept(PATIENCE).await.unwrap();
        for (user, nick) in [(ALICE, "Alice"), (BOB, "Bob")] {
            for n in 0..rooms {
                let seat = format!("{}/{nick}", room(n));
                let join = format!(
                    "<presence from='{user}' to='{seat}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
                );
                link.send(join).await.unwrap();
            }
            for n in 0..rooms {
                let subject = |s: &Element| {
                    s.attr("to") == Some(user)
                        && s.attr("from").is_some_and(|from| from.starts_with(&room(n)))
                        && s.children().any(|child| child.name() == "subject")
                };
                link.expect(&format!("subject of {}", room(n)), PATIENCE, subject).await.unwrap();
            }
        }
        // The rest of Bob's coming.
        link.inbox().collect(Duration::from_millis(500)).await;
        let record = Record { rooms: (0..rooms).map(|_| RoomTalk::default()).collect(), ..Record::default() };
        let (record, pace) = (Arc::new(Mutex::new(record)), Arc::new(Mutex::new(Pace::Silent)));
        let server = tokio::spawn(play(acceptor, link, record.clone(), pace.clone()));
        (Self { site, url, record, pace, server, _postgres: postgres, _alone: alone }, first)
    }

    /// Another node.
    pub fn serve(&self, name: &str) -> Node {
        serve(&self.site, &self.url, name)
    }

    /// From now on people talk like this.
    pub fn talk(&self, pace: Pace) {
        *self.pace.lock().unwrap() = pace;
    }

    /// What was heard so far.
    pub fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().unwrap()
    }

    /// So many messages were heard by Alice.
    pub fn heard(&self) -> usize {
        self.record().rooms.iter().map(|room| room.heard.len()).sum()
    }

    /// Silence, and everything that was said has been heard. Fails when something never is.
    pub async fn hush(&self) {
        self.talk(Pace::Silent);
        self.all_heard().await;
    }

    /// Everything that was said so far has been heard, and a burst that was wanted was said.
    pub async fn all_heard(&self) {
        let until = Instant::now() + PATIENCE;
        while matches!(*self.pace.lock().unwrap(), Pace::Burst(_)) {
            sleep(Duration::from_millis(1)).await;
        }
        let said: Vec<usize> = self.record().rooms.iter().map(|room| room.said).collect();
        loop {
            let missing = self.record().missing(&said);
            if missing.is_empty() {
                return;
            }
            assert!(Instant::now() < until, "never heard: {missing:?}; errors: {:?}", self.record().errors);
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until each of these nodes has its part of all shards.
    pub async fn even(&self, nodes: &[&Node]) {
        let until = Instant::now() + EVEN;
        loop {
            let mut owned = Vec::new();
            for node in nodes {
                owned.push(shards(node).await);
            }
            let part = SHARDS / nodes.len();
            // Placement gives no node more than a tenth above its part.
            if owned.iter().sum::<usize>() == SHARDS && owned.iter().all(|n| n.abs_diff(part) <= part / 5) {
                return;
            }
            let logs = || nodes.iter().map(|node| node.log()).collect::<Vec<_>>().join("\n---\n");
            assert!(Instant::now() < until, "shards are not shared out: {owned:?}\n{}", logs());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Rooms that a node decides for.
    pub async fn rooms_of(&self, node: &Node) -> Vec<usize> {
        let admin = node.admin().await;
        let mut owned = Vec::new();
        let rooms = self.record().rooms.len();
        for n in 0..rooms {
            if get(admin, &format!("/owner?room={}", room(n))).await.0 == 200 {
                owned.push(n);
            }
        }
        owned
    }

    /// The numbers in a room's log, in order.
    pub async fn log(&self, n: usize) -> Vec<usize> {
        let said = run(&["log", &room(n), "--store", &self.url, "--format", "json"], self.site.dir.path()).await;
        assert_eq!(said.code, 0, "{}", said.err);
        let entries = said.out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let ids = entries.filter(|entry| entry["kind"] == "message").map(|entry| {
            let id = entry["client_id"].as_str().unwrap_or_else(|| panic!("{entry}"));
            let (room, number) = id.split_once('-').unwrap();
            assert_eq!(room.parse::<usize>().unwrap(), n, "a message of another room: {entry}");
            number.parse().unwrap()
        });
        ids.collect()
    }

    /// The logs of all rooms.
    pub async fn logs(&self) -> Vec<Vec<usize>> {
        let rooms = self.record().rooms.len();
        stream::iter(0..rooms).map(|n| self.log(n)).buffered(4).collect().await
    }

    /// Nobody came or went or got an error; all that was said is in the log once and in order, and was heard in that order.
    pub async fn check(&self) {
        let logs = self.logs().await;
        let record = self.record();
        assert_eq!(record.presences, [""; 0], "nobody came or went");
        assert_eq!(record.errors, [""; 0], "nobody did anything wrong");
        for (n, (room, log)) in record.rooms.iter().zip(&logs).enumerate() {
            let said: Vec<usize> = (0..room.said).collect();
            assert_eq!(*log, said, "room {n}: each message once in the log, in order");
            let mut first = BTreeMap::new();
            for (at, number) in room.heard.iter().map(|(_, number)| *number).enumerate() {
                first.entry(number).or_insert(at);
            }
            assert!(first.values().is_sorted(), "room {n} was heard in another order: {:?}", room.heard);
            assert_eq!(first.len(), room.said, "room {n}: all that was said was heard");
        }
    }
}

/// Shards that a node says it owns.
async fn shards(node: &Node) -> usize {
    let (_, metrics) = get(node.admin().await, "/metrics").await;
    let line = metrics.lines().find_map(|line| line.strip_prefix("warren_shards_owned "));
    line.expect("warren_shards_owned").trim().parse().unwrap()
}

fn serve(site: &Site, url: &str, name: &str) -> Node {
    let mut args = site.args();
    let store = args.iter().position(|arg| arg == "--store").unwrap();
    url.clone_into(&mut args[store + 1]);
    args.extend(["--pod", name, "--ttl", "1s", "--reconnect-max", "100ms"].map(str::to_owned));
    args.extend(["--mesh", "127.0.0.1:0", "--mesh-plaintext"].map(str::to_owned));
    if let Ok(filter) = std::env::var("NODE_LOG") {
        // Before the command: at the desk.
        args.splice(0..0, ["--log".to_owned(), filter]);
    }
    Node::start(&args)
}

/// The server: one link after the other, and people who say something as long as there is one.
async fn play(acceptor: Acceptor, mut link: Link, record: Arc<Mutex<Record>>, pace: Arc<Mutex<Pace>>) {
    let mut next = 0;
    loop {
        let ended = serve_link(&mut link, &record, &pace, &mut next).await;
        // As a server does: until it has ended the stream too, what it has sent is taken.
        link.send("</stream:stream>").await.ok();
        drop(link);
        link = acceptor.accept(PATIENCE).await.expect("another node takes the link");
        record.lock().unwrap().links.push((ended, Instant::now()));
    }
}

/// Until the link ends.
async fn serve_link(link: &mut Link, record: &Mutex<Record>, pace: &Mutex<Pace>, next: &mut usize) -> Instant {
    let rooms = record.lock().unwrap().rooms.len();
    let step = Duration::from_millis(1);
    let mut tick = interval(step);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut due = Instant::now();
    loop {
        tokio::select! {
            stanza = link.recv(Duration::from_hours(1)) => match stanza {
                Ok(Some(stanza)) => record.lock().unwrap().hear(&stanza),
                _ => return Instant::now(),
            },
            _ = tick.tick() => {
                let now = Instant::now();
                let now_pace = *pace.lock().unwrap();
                let wanted = match now_pace {
                    Pace::Silent => {
                        due = now;
                        0
                    }
                    Pace::Burst(n) => n,
                    Pace::Every(each) => {
                        // Who was kept waiting does not make up for all of it.
                        due = due.max(now.checked_sub(20 * each).unwrap_or(now));
                        let mut wanted = 0;
                        while due + each <= now {
                            due += each;
                            wanted += 1;
                        }
                        wanted
                    }
                };
                let mut xml = String::new();
                for _ in 0..wanted {
                    let n = *next % rooms;
                    *next += 1;
                    let number = {
                        let room = &mut record.lock().unwrap().rooms[n];
                        room.said += 1;
                        room.said - 1
                    };
                    xml.push_str(&groupchat(ALICE, &room(n), &format!("{n}-{number}"), "tea"));
                }
                // Only now: who sees the end of a burst may count on all of it having been said.
                pace.lock().unwrap().burst_is_over();
                if !xml.is_empty() && link.send(xml).await.is_err() {
                    return Instant::now();
                }
            }
        }
    }
}
