//! Nodes, and a wire between them that can fail.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use warren_mesh::grpc::proto::{self, frame::What};
use warren_mesh::grpc::{Event, Events, PeerOptions, Peers};
use warren_model::Incarnation;
use warren_tls::{ClientSide, ServerSide};

pub const SITE: &str = "chat.denmark.lit";
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The lower calls the higher.
pub const LOW: Incarnation = Incarnation(7);
pub const HIGH: Incarnation = Incarnation(1 << 100);

pub struct Node {
    pub me: Incarnation,
    pub peers: Peers,
    pub events: Events,
    pub addr: SocketAddr,
}

pub fn plain() -> (ServerSide, ClientSide) {
    let any = "127.0.0.1:1".parse().unwrap();
    (ServerSide::plaintext(any).unwrap(), ClientSide::plaintext(any).unwrap())
}

pub fn start_with(me: Incarnation, sides: (ServerSide, ClientSide), change: impl FnOnce(&mut PeerOptions)) -> Node {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let mut options = PeerOptions::new(me, ("pod", SITE), listener, sides);
    change(&mut options);
    let (peers, events) = Peers::start(options).unwrap();
    Node { me, peers, events, addr }
}

pub fn start(me: Incarnation) -> Node {
    start_with(me, plain(), |_| {})
}

/// Both know the other.
pub fn introduce(a: &Node, b: &Node) {
    a.peers.set(BTreeMap::from([(b.me, b.addr.to_string())]));
    b.peers.set(BTreeMap::from([(a.me, a.addr.to_string())]));
}

impl Node {
    pub async fn next(&mut self) -> Event {
        timeout(PATIENCE, self.events.recv()).await.expect("an event in time").expect("the peers are there")
    }

    /// Nothing happens for so long.
    pub async fn silent(&mut self, time: Duration) {
        if let Ok(event) = timeout(time, self.events.recv()).await {
            panic!("{event:?}");
        }
    }

    pub async fn connected(&mut self, peer: Incarnation) {
        assert_eq!(self.next().await, Event::Connected(peer));
    }

    /// Frames until the session ends; their numbers.
    pub async fn rest(&mut self, peer: Incarnation) -> Vec<u64> {
        let mut numbers = Vec::new();
        loop {
            match self.next().await {
                Event::Frame(from, frame) => {
                    assert_eq!(from, peer);
                    numbers.push(number(&frame));
                }
                Event::Disconnected(from) => {
                    assert_eq!(from, peer);
                    return numbers;
                }
                other => panic!("{other:?} within a session"),
            }
        }
    }
}

/// A frame that can be told from others, of about that many bytes.
pub fn frame(n: u64, size: usize) -> proto::Frame {
    let stanza =
        proto::Stanza { n, shard: 1, epoch: 2, content: Bytes::from(vec![b'x'; size]), ..proto::Stanza::default() };
    proto::Frame { what: Some(What::Stanza(stanza)) }
}

pub fn number(frame: &proto::Frame) -> u64 {
    match &frame.what {
        Some(What::Stanza(stanza)) => stanza.n,
        other => panic!("{other:?}"),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    Whole,
    /// Nothing passes; the ends do not learn of it.
    Frozen,
    /// What passes is cut at each change of the number.
    Cut(u32),
}

/// A proxy in front of a node.
pub struct Proxy {
    pub addr: SocketAddr,
    pub wire: Arc<watch::Sender<Wire>>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    pub async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let wire = Arc::new(watch::Sender::new(Wire::Whole));
        let state = wire.clone();
        let task = tokio::spawn(async move {
            loop {
                let (mut down, _) = listener.accept().await.unwrap();
                let mut state = state.subscribe();
                tokio::spawn(async move {
                    let Ok(mut up) = TcpStream::connect(to).await else { return };
                    loop {
                        if *state.borrow_and_update() == Wire::Frozen {
                            state.changed().await.unwrap();
                            continue;
                        }
                        tokio::select! {
                            _ = copy_bidirectional(&mut down, &mut up) => return,
                            _ = state.changed() => {}
                        }
                        // Not to be gone on with: what was under way is in neither socket.
                        if matches!(*state.borrow(), Wire::Cut(_)) {
                            return;
                        }
                    }
                });
            }
        });
        Self { addr, wire, task }
    }
}
