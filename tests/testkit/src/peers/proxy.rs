//! A TCP proxy that can fail in the ways networks do.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep_until},
};

use super::ports::Port;

/// What the proxy does with connections, old and new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything on.
    Pass,
    /// A black hole: reads and discards, also what is under way. New connections are accepted and never
    /// answered. The end of one side is not told to the other.
    Hole,
    /// Reads nothing, so that the senders' buffers fill. New connections are accepted and never answered.
    Stall,
    /// Resets all connections and refuses new ones.
    Refuse,
}

/// What went through, since the start. Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Written towards the server.
    pub passed_up: u64,
    /// Written towards whoever connected.
    pub passed_down: u64,
    /// Discarded on the way to the server.
    pub swallowed_up: u64,
    /// Discarded on the way back.
    pub swallowed_down: u64,
    /// Connections accepted, ever.
    pub accepted: u64,
    /// Connections that live now.
    pub live: u64,
}

impl Counters {
    /// The sum of two proxies.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            passed_up: self.passed_up + other.passed_up,
            passed_down: self.passed_down + other.passed_down,
            swallowed_up: self.swallowed_up + other.swallowed_up,
            swallowed_down: self.swallowed_down + other.swallowed_down,
            accepted: self.accepted + other.accepted,
            live: self.live + other.live,
        }
    }
}

/// A proxy in front of one address. Everything can be changed while it runs.
#[derive(Debug)]
pub struct Proxy {
    port: Arc<Port>,
    shared: Arc<Shared>,
    acceptor: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    state: watch::Sender<State>,
    lanes: [Lane; 2],
    accepted: AtomicU64,
    live: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct State {
    mode: Mode,
    /// Connections of an older generation are reset.
    generation: u64,
    latency: [Duration; 2],
}

#[derive(Debug, Default)]
struct Lane {
    passed: AtomicU64,
    swallowed: AtomicU64,
}

const UP: usize = 0;
const DOWN: usize = 1;

impl Proxy {
    /// Starts a proxy that passes everything to `upstream`, which need not listen yet.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start(upstream: SocketAddr) -> Result<Self> {
        let port = Arc::new(Port::draw()?);
        let state = State { mode: Mode::Pass, generation: 0, latency: [Duration::ZERO; 2] };
        let shared = Arc::new(Shared {
            state: watch::Sender::new(state),
            lanes: Default::default(),
            accepted: AtomicU64::new(0),
            live: AtomicU64::new(0),
        });
        let listener = port.listen()?;
        let acceptor = tokio::spawn(accept(port.clone(), listener, upstream, shared.clone())).abort_handle();
        Ok(Self { port, shared, acceptor })
    }

    /// Where to connect.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// The port of [`Proxy::addr`].
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Changes what happens, from now on. Leaving a fault for [`Mode::Pass`] resets every connection that lived
    /// in it, as both ends would notice sooner or later when a real network comes back.
    pub fn set(&self, mode: Mode) {
        self.shared.state.send_modify(|state| {
            let healed = mode == Mode::Pass && state.mode != Mode::Pass;
            if healed || mode == Mode::Refuse {
                state.generation += 1;
            }
            state.mode = mode;
        });
    }

    /// The same as `set(Mode::Pass)`.
    pub fn heal(&self) {
        self.set(Mode::Pass);
    }

    /// Resets (RST) every connection that lives now. The mode stays.
    pub fn reset_all(&self) {
        self.shared.state.send_modify(|state| state.generation += 1);
    }

    /// Delays bytes, towards the server and back. Holds for bytes that arrive from now on.
    pub fn latency(&self, up: Duration, down: Duration) {
        self.shared.state.send_modify(|state| state.latency = [up, down]);
    }

    /// The mode it is in.
    pub fn mode(&self) -> Mode {
        self.shared.state.borrow().mode
    }

    /// What went through so far.
    pub fn counters(&self) -> Counters {
        let [up, down] = &self.shared.lanes;
        Counters {
            passed_up: up.passed.load(Relaxed),
            passed_down: down.passed.load(Relaxed),
            swallowed_up: up.swallowed.load(Relaxed),
            swallowed_down: down.swallowed.load(Relaxed),
            accepted: self.shared.accepted.load(Relaxed),
            live: self.shared.live.load(Relaxed),
        }
    }
}

impl Drop for Proxy {
    /// Stops listening and drops all connections.
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn accept(port: Arc<Port>, listener: TcpListener, upstream: SocketAddr, shared: Arc<Shared>) {
    let mut connections = JoinSet::new(); // dropping it ends them all
    let mut state = shared.state.subscribe();
    let mut listener = Some(listener);
    loop {
        let refuse = state.borrow_and_update().mode == Mode::Refuse;
        if refuse {
            listener = None;
        } else if listener.is_none() {
            listener = port.listen().ok();
        }
        let incoming = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None if refuse => std::future::pending().await,
                None => Err(io::ErrorKind::AddrInUse.into()),
            }
        };
        tokio::select! {
            changed = state.changed() => if changed.is_err() { return },
            Some(_) = connections.join_next() => {}
            accepted = incoming => match accepted {
                Ok((client, _)) => {
                    shared.accepted.fetch_add(1, Relaxed);
                    connections.spawn(connection(client, upstream, shared.clone()));
                }
                // Out of descriptors, the peer gone again, the port not free yet: none should make this loop spin.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
        }
    }
}

/// Counts a live connection, however its task ends.
struct Live(Arc<Shared>);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Relaxed);
    }
}

async fn connection(mut client: TcpStream, upstream: SocketAddr, shared: Arc<Shared>) {
    shared.live.fetch_add(1, Relaxed);
    let _live = Live(shared.clone());
    let mut state = shared.state.subscribe();
    let born = state.borrow_and_update().generation;
    let ended = async {
        state.wait_for(|state| state.generation != born).await.ok();
    };

    let relay = async {
        // In a fault nobody answers: not even the connection to the server is made.
        let mut state = shared.state.subscribe();
        state.wait_for(|state| state.mode == Mode::Pass).await.map_err(io::Error::other)?;
        let mut server = TcpStream::connect(upstream).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        // A reset on either side or a reset by us must arrive as one on the other side.
        server.set_zero_linger()?;
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let both =
            tokio::try_join!(pump(from_client, to_server, UP, &shared), pump(from_server, to_client, DOWN, &shared),);
        if both.is_ok() {
            // Both ends have closed in good order.
            disarm(&server);
        }
        both.map(|_| ())
    };
    let orderly = tokio::select! {
        () = ended => false,
        result = relay => result.is_ok(),
    };
    if !orderly {
        client.set_zero_linger().ok();
    }
}

/// Takes back `set_zero_linger`.
fn disarm(stream: &TcpStream) {
    #[expect(deprecated, reason = "deprecated for lingering, which may block; this switches it off")]
    stream.set_linger(None).ok();
}

/// One direction of one connection: reads, lets the bytes age by the latency, writes.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, lane: usize, shared: &Shared) -> io::Result<()> {
    /// More than this under way makes the reader wait, as a real path's window would.
    const WINDOW: usize = 4 << 20;
    let mut state = shared.state.subscribe();
    let mut under_way: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut bytes = 0;
    let mut buffer = vec![0; 64 << 10];
    let mut open = true;
    let count = &shared.lanes[lane];
    loop {
        let State { mode, latency, .. } = *state.borrow_and_update();
        let holed = mode == Mode::Hole;
        if holed {
            count.swallowed.fetch_add(bytes as u64, Relaxed);
            bytes = 0;
            under_way.retain(|(_, chunk)| chunk.is_empty()); // an end under way is remembered, not passed on
        }
        let due = under_way.front().map(|(due, _)| *due);
        let may_write = due.is_some() && mode == Mode::Pass;
        tokio::select! {
            biased;
            changed = state.changed() => if changed.is_err() { return Ok(()) },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if may_write => {
                let Some((_, chunk)) = under_way.pop_front() else { continue };
                if chunk.is_empty() {
                    return to.shutdown().await;
                }
                bytes -= chunk.len();
                to.write_all(&chunk).await?;
                count.passed.fetch_add(chunk.len() as u64, Relaxed);
            }
            read = from.read(&mut buffer), if open && mode != Mode::Stall && bytes < WINDOW => {
                let read = match read {
                    // The end of one side is not seen through a hole; the heal resets both anyway.
                    Err(_) if holed => 0,
                    read => read?,
                };
                open = read > 0;
                if holed && read > 0 {
                    count.swallowed.fetch_add(read as u64, Relaxed);
                } else {
                    bytes += read;
                    under_way.push_back((Instant::now() + latency[lane], buffer[..read].to_vec()));
                }
            }
        }
    }
}
