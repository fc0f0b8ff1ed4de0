//! The link to the server whose component we are: connect, handshake, write, reconnect.
//!
//! The protocol is [`Component`]'s; this file owns the socket. It never waits except in [`Link::wait`], which may be
//! dropped at any time.

use std::future::{Future, pending};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::timeout;
use warren_model::{Now, ServiceConfig};
use warren_stream::{Backoff, CloseReason, Component, ComponentConfig, Event};
use warren_xmpp::{Limits, Stanza};

use warren_pod::Pod;

/// How long one attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(10);
/// The first wait between attempts.
const RETRY: Duration = Duration::from_millis(500);
/// So long until a pod that may not act looks again whether it may.
const IDLE: Duration = Duration::from_millis(50);
/// A link that was up for so long has proved to work. A shorter one does not shorten the waiting: two pods that take
/// the component from one another must not do so many times a second.
const PROVED: Duration = Duration::from_secs(10);
/// What is read at once.
const READ: usize = 64 << 10;
/// What is written at once.
const WRITE: usize = 64 << 10;
/// Writes of one turn, so that one that never ends does not keep the loop from its other duties.
const WRITES: usize = 16;
/// Bytes of our own (errors for refused stanzas) that may wait; beyond that errors are dropped, which a server that
/// does not read deserves.
const OWN: usize = 256 << 10;
/// How long the last words of a stream that went wrong may take to arrive.
const PARTING: Duration = Duration::from_secs(2);

/// What the link has to say, in order.
#[derive(Debug)]
pub enum Said {
    /// Stanzas may be written.
    Up,
    /// The connection is over. What was not proven to arrive may be lost.
    Down,
    /// A stanza.
    Stanza(Stanza),
    /// A stanza was not taken; the name of the limit.
    Refused(&'static str),
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

enum State {
    /// Not wanted, or no longer.
    Off,
    /// The next attempt comes then.
    Waiting { until: Duration },
    /// An attempt is being made.
    Connecting(Connecting),
    /// What the attempt came to, not looked at yet.
    Connected(io::Result<TcpStream>),
    /// There is a connection.
    Open(Box<Open>),
}

struct Open {
    socket: TcpStream,
    stream: Component,
    /// Since when stanzas flow.
    online: Option<Duration>,
    /// The stream's own bytes, which wait for the end of a stanza.
    own: Vec<u8>,
    /// What is being written, and how much of it has been.
    out: Vec<u8>,
    at: usize,
    /// When something was last written.
    written: Duration,
    /// The end of our stream is wanted, as soon as the stanza under way is whole.
    ending: bool,
    /// Nothing can be written any more; what the server has sent before is still read.
    deaf: bool,
}

/// The link.
pub struct Link {
    host: String,
    port: u16,
    config: ComponentConfig,
    backoff: Backoff,
    /// Differs between connections and pods.
    seed: u64,
    state: State,
    buffer: Vec<u8>,
    /// Connections that were accepted so far.
    connects: u64,
}

impl Link {
    /// A link for a service; [`Link::start`] makes it connect. `retry_max`: longest wait between attempts; `seed`
    /// differs between pods and starts.
    pub fn new(service: &ServiceConfig, retry_max: Duration, seed: u64) -> Self {
        let liveness = service.timers.liveness;
        Self {
            host: service.component.host.clone(),
            port: service.component.port,
            config: ComponentConfig {
                domain: service.domain.to_string(),
                secret: service.component.secret.clone(),
                limits: Limits::default(),
                liveness,
                liveness_timeout: liveness,
            },
            backoff: Backoff::new(RETRY.min(retry_max), retry_max),
            seed,
            state: State::Off,
            buffer: vec![0; READ],
            connects: 0,
        }
    }

    /// Connects as soon as [`Link::tick`] is called, and again whenever the connection is lost.
    pub fn start(&mut self, now: Now) {
        self.state = State::Waiting { until: now.mono };
    }

    /// Ends the stream in order. What the server still sends comes; then the link stays off.
    pub fn end(&mut self) {
        match &mut self.state {
            State::Open(open) if open.stream.is_online() => open.ending = true,
            state => *state = State::Off,
        }
    }

    /// Whether there is no connection and none is tried.
    pub fn is_off(&self) -> bool {
        matches!(self.state, State::Off)
    }

    /// Whether stanzas flow.
    pub fn is_online(&self) -> bool {
        matches!(&self.state, State::Open(open) if open.stream.is_online())
    }

    /// Connections that the server has accepted.
    pub fn connects(&self) -> u64 {
        self.connects
    }

    /// Whether something waits to be written that the pod does not know of any more.
    pub fn has_output(&self) -> bool {
        matches!(&self.state, State::Open(open) if open.at < open.out.len() || !open.own.is_empty())
    }

    /// Whether what the pod has to write would be taken at once.
    pub fn takes_output(&self) -> bool {
        matches!(&self.state, State::Open(open) if open.stream.is_online() && !open.deaf && open.at == open.out.len())
    }

    /// When something was last written, while something waits to be.
    pub fn blocked_since(&self) -> Option<Duration> {
        match &self.state {
            State::Open(open) if open.at < open.out.len() => Some(open.written),
            _ => None,
        }
    }

    /// When [`Link::tick`] is due. A stream that is not read is not asked: it would take our pause for the server's.
    pub fn next_deadline(&self, reading: bool) -> Option<Duration> {
        match &self.state {
            State::Waiting { until } => Some(*until),
            State::Open(open) if reading => open.stream.next_deadline(),
            State::Off | State::Open(_) | State::Connecting(_) | State::Connected(_) => None,
        }
    }

    /// Waits until there is something to do: read (only if `reading`), write, or look at a new connection.
    pub async fn wait(&mut self, reading: bool) {
        match &mut self.state {
            State::Off | State::Waiting { .. } => pending().await,
            State::Connecting(attempt) => {
                let result = attempt.await;
                self.state = State::Connected(result);
            }
            State::Connected(_) => {}
            State::Open(open) => {
                let writing = open.at < open.out.len();
                let interest = match (reading, writing) {
                    (true, true) => Interest::READABLE | Interest::WRITABLE,
                    (true, false) => Interest::READABLE,
                    (false, true) => Interest::WRITABLE,
                    (false, false) => return pending().await,
                };
                // An error shows again, and in more detail, at the read or write that follows.
                drop(open.socket.ready(interest).await);
            }
        }
    }

    /// Does what is due: attempts, handshakes, pings. Follow it with [`Link::poll`].
    /// `acts`: without it no attempt is begun.
    pub fn tick(&mut self, now: Now, reading: bool, acts: bool) {
        match std::mem::replace(&mut self.state, State::Off) {
            State::Waiting { until } if now.mono >= until && !acts => {
                self.state = State::Waiting { until: now.mono + IDLE };
            }
            State::Waiting { until } if now.mono >= until => {
                let (host, port) = (self.host.clone(), self.port);
                let attempt = async move {
                    let connect = TcpStream::connect((host.as_str(), port));
                    timeout(CONNECT, connect).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
                };
                self.state = State::Connecting(Box::pin(attempt));
            }
            State::Connected(Ok(socket)) => self.open(socket, now),
            State::Connected(Err(error)) => {
                let wait = self.retry(now);
                tracing::warn!(server = self.server(), %error, retry_ms = wait.as_millis(), "cannot connect to the server");
            }
            State::Open(mut open) => {
                if reading && open.stream.next_deadline().is_some_and(|at| now.mono >= at) {
                    open.stream.tick(now.mono);
                }
                self.state = State::Open(open);
            }
            state => self.state = state,
        }
    }

    fn open(&mut self, socket: TcpStream, now: Now) {
        // Batching is ours; it only fails on a socket that is gone, which shows at once.
        drop(socket.set_nodelay(true));
        self.seed = self.seed.wrapping_add(1);
        let mut stream = Component::new(self.config.clone(), self.seed);
        let own = stream.start(now.mono).to_vec();
        let (out, written) = (Vec::with_capacity(WRITE), now.mono);
        let open = Open { socket, stream, online: None, own, out, at: 0, written, ending: false, deaf: false };
        self.state = State::Open(Box::new(open));
    }

    /// Schedules the next attempt. Returns the time until then.
    fn retry(&mut self, now: Now) -> Duration {
        self.seed = self.seed.wrapping_add(1);
        let wait = self.backoff.next(self.seed);
        self.state = State::Waiting { until: now.mono + wait };
        wait
    }

    /// Reads once what is there, at most so many bytes; `None` if there was nothing. What came is said by
    /// [`Link::poll`].
    pub fn read(&mut self, most: usize, now: Now) -> Option<usize> {
        let State::Open(open) = &mut self.state else { return None };
        let most = most.min(self.buffer.len());
        match open.socket.try_read(&mut self.buffer[..most]) {
            Ok(0) => open.stream.eof(),
            Ok(n) => {
                open.stream.feed(&self.buffer[..n], now.mono);
                return Some(n);
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => return None,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                tracing::debug!(%error, "reading from the link");
                open.stream.eof();
            }
        }
        Some(0)
    }

    /// The next thing that the link has to say. `boundary`: [`Pod::at_boundary`].
    pub fn poll(&mut self, now: Now, boundary: bool) -> Option<Said> {
        loop {
            let State::Open(open) = &mut self.state else { return None };
            match open.stream.poll()? {
                Event::Send(bytes) => open.own.extend_from_slice(&bytes),
                Event::Stanza(stanza) => return Some(Said::Stanza(stanza)),
                Event::Refused { why, reply, .. } => {
                    if let Some(reply) = reply.filter(|_| open.own.len() < OWN) {
                        open.own.extend_from_slice(&reply);
                    }
                    return Some(Said::Refused(why.name()));
                }
                Event::Online => {
                    open.online = Some(now.mono);
                    self.connects += 1;
                    tracing::info!(server = self.server(), component = self.config.domain, "the link is up");
                    return Some(Said::Up);
                }
                Event::Closed(reason) => {
                    if self.closed(&reason, now, boundary) {
                        return Some(Said::Down);
                    }
                }
            }
        }
    }

    /// Ends the connection and plans the next one. Returns whether the link had been up.
    fn closed(&mut self, reason: &CloseReason, now: Now, boundary: bool) -> bool {
        let State::Open(open) = std::mem::replace(&mut self.state, State::Off) else { return false };
        let Open { socket, online, own, mut out, at, ending, .. } = *open;
        // What the stream says last must not come in the middle of a stanza.
        if boundary && !own.is_empty() {
            out.drain(..at);
            out.extend_from_slice(&own);
            tokio::spawn(part(socket, out));
        }
        if online.is_some_and(|since| now.mono >= since + PROVED) {
            self.backoff.reset();
        }
        let (server, why, was_up) = (self.server(), reason.name(), online.is_some());
        if ending {
            tracing::info!(server, why, "the link has ended: {reason}");
        } else {
            let retry_ms = self.retry(now).as_millis();
            tracing::warn!(server, why, was_up, retry_ms, "the link is down: {reason}");
        }
        was_up
    }

    /// Writes what there is, as far as the socket takes it: first what was begun, then what the stream itself has to
    /// say, then what the pod has. Returns how much it took from the pod.
    pub fn flush(&mut self, pod: &mut Pod, now: Now) -> usize {
        let State::Open(open) = &mut self.state else { return 0 };
        let mut taken = 0;
        for _ in 0..WRITES {
            if open.at == open.out.len() {
                open.out.clear();
                open.at = 0;
                taken += open.fill(pod, now);
                if open.out.is_empty() {
                    break;
                }
            }
            match open.socket.try_write(&open.out[open.at..]) {
                Ok(n) => {
                    open.at += n;
                    open.written = now.mono;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::debug!(%error, "writing to the link");
                    open.deaf = true;
                    open.out.clear();
                    open.own.clear();
                    open.at = 0;
                    break;
                }
            }
        }
        taken
    }

    fn server(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl Open {
    /// Takes what is to be written next. Returns how much of it is the pod's.
    fn fill(&mut self, pod: &mut Pod, now: Now) -> usize {
        let mut taken = 0;
        if self.deaf {
            self.own.clear();
            return taken;
        }
        if self.ending && self.stream.is_online() {
            while !pod.at_boundary() {
                taken += pod.write(&mut self.out, WRITE, now);
            }
            // So that the server's time to answer counts from now.
            self.stream.tick(now.mono);
            self.stream.close();
            // Everything was polled before, so this is our own and the end of it.
            while let Some(Event::Send(bytes)) = self.stream.poll() {
                self.own.extend_from_slice(&bytes);
            }
            self.out.append(&mut self.own);
            return taken;
        }
        if pod.at_boundary() {
            self.out.append(&mut self.own);
        }
        if self.stream.is_online() {
            let room = WRITE.saturating_sub(self.out.len());
            taken += pod.write(&mut self.out, room, now);
        }
        taken
    }
}

/// Sends the last words of a stream and waits until the server has had time to read them: a socket that is closed
/// with something unread in it takes back what was sent.
async fn part(mut socket: TcpStream, words: Vec<u8>) {
    let parting = async {
        socket.write_all(&words).await?;
        socket.shutdown().await?;
        let mut rest = vec![0; 8 << 10];
        while socket.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    // Whether it arrives is up to the server.
    drop(timeout(PARTING, parting).await);
}
