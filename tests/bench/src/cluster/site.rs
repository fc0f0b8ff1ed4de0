//! A site of real `muc-node` processes: one alone on SQLite, or three on one PostgreSQL.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use warren_testkit::node::binary;
use warren_testkit::peers::Port;

use crate::node::{DOMAIN, cpu, joins};
use crate::server::Link;

/// In each room: one speaks and all hear.
pub const OCCUPANTS: u32 = 3;

const SECRET: &str = "secret";
/// For everything that waits for a node.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(20);
/// Of 4096 shards each of three nodes has so many when they have settled.
const SHARE: u32 = 1200;
const BODY: &str = "Curiouser and curiouser! cried Alice, who was so much surprised that for the moment she quite \
                    forgot how to speak good English.";

/// A message that a room has said to one of its occupants.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// Number of the room.
    pub room: u32,
    /// Number of the message.
    pub n: u64,
    /// When it was read from the link.
    pub at: Instant,
}

/// One process.
pub struct Node {
    args: Vec<String>,
    admin: Port,
    process: Option<Child>,
}

impl Node {
    fn start(args: Vec<String>, first: &[String]) -> Result<Self> {
        let mut node = Self { args, admin: Port::draw()?, process: None };
        node.spawn(first)?;
        Ok(node)
    }

    fn spawn(&mut self, more: &[String]) -> Result<()> {
        // Whatever becomes of this process, none of those may be left behind.
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", binary()?, "--log", "error", "serve"])
            .args(["--admin", &self.admin.addr().to_string()])
            .args(&self.args)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start muc-node (package util-linux brings setpriv)")?;
        self.process = Some(process);
        Ok(())
    }

    /// Starts it again, under its name, on what is stored.
    pub fn start_again(&mut self) -> Result<()> {
        self.spawn(&[])
    }

    /// Ends it as a crash does.
    pub fn kill9(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the node does not run")?;
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    /// CPU time of all its threads.
    pub fn cpu(&self) -> Result<Duration> {
        cpu(self.process.as_ref().context("the node does not run")?.id())
    }

    fn answers(&self, path: &str) -> Option<String> {
        get(self.admin.addr(), path).ok()
    }

    /// Whether it decides for this room.
    pub fn owns(&self, room: u32) -> bool {
        self.answers(&format!("/owner?room=r{room}@{DOMAIN}")).is_some()
    }

    fn metric(&self, name: &str) -> Option<u32> {
        let text = self.answers("/metrics")?;
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// Whether it has the stream to the server. The metric lags by up to a second.
    fn has_link(&self) -> bool {
        self.metric("warren_link_online ") == Some(1)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill9().ok();
        }
    }
}

/// The nodes of a site and our end of its link.
pub struct Site {
    /// All that there are.
    pub nodes: Vec<Node>,
    /// To the site.
    pub link: Link,
    /// From the site.
    pub heard: Receiver<Vec<Heard>>,
    tell: Sender<Vec<Heard>>,
    listener: TcpListener,
    _dir: TempDir,
}

impl Site {
    /// A node on SQLite.
    pub fn alone(rooms: u32) -> Result<Self> {
        Self::start(rooms, |dir| vec![vec!["--store".to_owned(), format!("sqlite:{}", dir.join("bench.db").display())]])
    }

    /// Three nodes on this database. The first one gets the link.
    pub fn of_three(rooms: u32, database: &str) -> Result<Self> {
        let node = |pod: &str| {
            ["--store", database, "--pod", pod, "--mesh", "127.0.0.1:0", "--mesh-plaintext"].map(str::to_owned).to_vec()
        };
        Self::start(rooms, |_| ["hatter", "hare", "dormouse"].map(node).to_vec())
    }

    /// Starts the nodes and waits until everybody has joined all rooms.
    fn start(rooms: u32, nodes: impl FnOnce(&Path) -> Vec<Vec<String>>) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let manifests = manifests(dir.path(), rooms, listener.local_addr()?.port())?;
        let (tell, heard) = mpsc::channel();
        let mut running = Vec::new();
        let mut link = None;
        for args in nodes(dir.path()) {
            // The others find everything in the store.
            let first = ["--manifests".to_owned(), manifests.display().to_string()];
            let node = Node::start(args, if link.is_none() { &first } else { &[] })?;
            if link.is_none() {
                link = Some(accept(&listener, &tell)?);
            }
            await_it("a node serves", || node.answers("/ready").is_some())?;
            running.push(node);
        }
        let link = link.context("a site needs a node")?;
        let site = Self { nodes: running, link, heard, tell, listener, _dir: dir };
        site.settle()?;
        site.send(joins(rooms, OCCUPANTS)?)?;
        let joined = || site.link.seen.subjects.load(std::sync::atomic::Ordering::Relaxed);
        await_it("everybody joins", || joined() >= u64::from(rooms * OCCUPANTS))?;
        Ok(site)
    }

    /// Waits until all nodes are there and each has its share.
    pub fn settle(&self) -> Result<()> {
        await_it("each node has its share of the shards", || {
            let has_share = |node: &Node| node.metric("warren_shards_owned ").is_some_and(|shards| shards >= SHARE);
            self.nodes.iter().all(|node| node.answers("/ready").is_some() && has_share(node))
        })
    }

    /// Says this to the site.
    pub fn send(&self, stanzas: String) -> Result<()> {
        self.link.write.send(stanzas.into_bytes()).context("the link is gone")
    }

    /// Takes the connection of whoever has the link now.
    pub fn link_again(&mut self) -> Result<()> {
        self.link = accept(&self.listener, &self.tell)?;
        Ok(())
    }

    /// The node with the link.
    pub fn linked(&self) -> Result<usize> {
        let mut found = None;
        await_it("one node has the link", || {
            let with: Vec<usize> = (0..self.nodes.len()).filter(|at| self.nodes[*at].has_link()).collect();
            found = with.first().copied().filter(|_| with.len() == 1);
            found.is_some()
        })?;
        found.context("no node has the link")
    }

    /// The node that decides for a room.
    pub fn owner(&self, room: u32) -> Option<usize> {
        self.nodes.iter().position(|node| node.owns(room))
    }

    /// CPU time of each node so far.
    pub fn cpu(&self) -> Result<Vec<Duration>> {
        self.nodes.iter().map(Node::cpu).collect()
    }
}

/// One message of the first occupant.
pub fn message(out: &mut String, room: u32, n: u64) {
    // Writing to a string has no way to fail.
    let _ = write!(
        out,
        "<message type='groupchat' from='user0@wonderland.lit/r{room}' to='r{room}@{DOMAIN}' \
         id='{room:06}-6b1e-4d7a-9a3f-{n:012}'><body>{BODY}</body></message>"
    );
}

fn accept(listener: &TcpListener, tell: &Sender<Vec<Heard>>) -> Result<Link> {
    listener.set_nonblocking(true)?;
    let mut taken = None;
    let end = Instant::now() + PATIENCE;
    while taken.is_none() {
        ensure!(Instant::now() < end, "no node has connected within {PATIENCE:?}");
        taken = listener.accept().ok();
        thread::sleep(Duration::from_millis(1));
    }
    let (socket, _) = taken.context("no connection")?;
    socket.set_nonblocking(false)?;
    let tell = tell.clone();
    Link::listen(socket, DOMAIN, SECRET, move |text| {
        let at = Instant::now();
        let all: Vec<Heard> = text.split("<message ").skip(1).filter_map(|message| heard(message, at)).collect();
        if !all.is_empty() {
            // Nobody listens any more when the run is over.
            tell.send(all).ok();
        }
    })
}

/// A message of ours, by its id.
fn heard(message: &str, at: Instant) -> Option<Heard> {
    let head = message.split('>').next()?;
    let id = head.split(" id='").nth(1)?.split('\'').next()?;
    let (room, n) = id.split_once("-6b1e-4d7a-9a3f-")?;
    Some(Heard { room: room.parse().ok()?, n: n.parse().ok()?, at })
}

fn manifests(dir: &Path, rooms: u32, port: u16) -> Result<PathBuf> {
    let mut text = format!(
        "apiVersion: warren.chat/v1alpha1\nkind: MucService\nmetadata: {{name: rooms}}\nspec:\n  domain: {DOMAIN}\n  \
         homeDomains: [wonderland.lit]\n  transport:\n    component:\n      host: 127.0.0.1\n      port: {port}\n      \
         secretRef: {{name: component, key: secret}}\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: component}}\n\
         stringData: {{secret: {SECRET}}}\n"
    );
    for room in 0..rooms {
        write!(
            text,
            "---\napiVersion: warren.chat/v1alpha1\nkind: FederatedRoom\nmetadata: {{name: r{room}}}\nspec:\n  \
             serviceRef: {{name: rooms}}\n"
        )?;
    }
    let file = dir.join("site.yaml");
    std::fs::write(&file, text)?;
    Ok(file)
}

fn await_it(what: &str, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        ensure!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        thread::sleep(LOOK);
    }
    Ok(())
}

/// The body of an answer that is 200.
fn get(addr: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}
