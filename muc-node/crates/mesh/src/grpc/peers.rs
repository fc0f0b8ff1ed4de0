//! The sessions of one node, on a thread of their own: the loop that decides does no TLS.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep};
use warren_model::Incarnation;
use warren_tls::{ClientSide, ServerSide};

use super::hello::Identity;
use super::hub::{Events, Hub};
use super::{MAX_QUEUED, client, proto, server};

/// What was said last has so long to arrive when the node stops.
const FAREWELL: Duration = Duration::from_secs(1);

/// What sessions are made with.
#[derive(Debug)]
pub struct PeerOptions {
    /// Who we are.
    pub me: Incarnation,
    /// Name of our pod, for people.
    pub pod: String,
    /// What all nodes of the site have in common, such as its domain. A peer of another one is refused.
    pub site: String,
    /// Where others call.
    pub listener: std::net::TcpListener,
    /// What they must prove.
    pub server: ServerSide,
    /// What we prove when we call.
    pub client: ClientSide,
    /// A silent peer is asked for a sign of life after so long, and its session ends twice as long after that.
    pub keepalive: Duration,
    /// Bytes that may wait for one peer before its session is ended.
    pub max_queued: usize,
}

impl PeerOptions {
    /// With a keepalive of 1 s and [`MAX_QUEUED`].
    pub fn new(
        me: Incarnation,
        (pod, site): (&str, &str),
        listener: std::net::TcpListener,
        (server, client): (ServerSide, ClientSide),
    ) -> Self {
        Self {
            me,
            pod: pod.to_owned(),
            site: site.to_owned(),
            listener,
            server,
            client,
            keepalive: Duration::from_secs(1),
            max_queued: MAX_QUEUED,
        }
    }
}

/// The sessions with all others. Dropped, it ends them at once.
pub struct Peers {
    hub: Arc<Hub>,
    stop: Option<oneshot::Sender<()>>,
    stopped: Option<oneshot::Receiver<()>>,
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peers").finish_non_exhaustive()
    }
}

impl Peers {
    /// Listens from now on, on a thread named "mesh"; nobody is let in before [`Peers::set`].
    ///
    /// # Errors
    /// When there is no thread, or the listener is none.
    pub fn start(options: PeerOptions) -> io::Result<(Self, Events)> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (peers, events, main) = Self::make(options, runtime.handle())?;
        // When it ends so do all tasks of it, with their connections.
        thread::Builder::new().name("mesh".to_owned()).spawn(move || runtime.block_on(main))?;
        Ok((peers, events))
    }

    /// The same on a runtime that there is.
    ///
    /// # Errors
    /// When the listener is none.
    pub fn start_on(runtime: &Handle, options: PeerOptions) -> io::Result<(Self, Events)> {
        let (peers, events, main) = Self::make(options, runtime)?;
        runtime.spawn(main);
        Ok((peers, events))
    }

    fn make(
        options: PeerOptions,
        runtime: &Handle,
    ) -> io::Result<(Self, Events, impl Future<Output = ()> + Send + use<>)> {
        options.listener.set_nonblocking(true)?;
        let entered = runtime.enter();
        let listener = TcpListener::from_std(options.listener)?;
        drop(entered);
        let identity = Identity { me: options.me, pod: options.pod, site: options.site };
        let (hub, events, endings) = Hub::new(options.max_queued);
        let (stop, stopping) = oneshot::channel();
        let (ended, stopped) = oneshot::channel();
        let main = Main {
            hub: hub.clone(),
            identity: Arc::new(identity),
            client: options.client,
            keepalive: options.keepalive,
            tasks: JoinSet::new(),
            calls: BTreeMap::new(),
            looks: BTreeMap::new(),
        };
        let main = async move {
            main.run(listener, options.server, endings, stopping).await;
            drop(ended);
        };
        Ok((Self { hub, stop: Some(stop), stopped: Some(stopped) }, events, main))
    }

    /// Who should be connected, each with where it is reached (`HOST:PORT`): the open pods of the table without ourselves.
    /// Sessions with others end; sessions with these are begun again whenever they end.
    pub fn set(&self, peers: BTreeMap<Incarnation, String>) {
        self.hub.set(peers);
    }

    /// Says these in order, in the session of which [`Events`] has handed out the beginning and not the end. Without one
    /// they are dropped.
    pub fn send(&self, to: Incarnation, frames: Vec<proto::Frame>) {
        self.hub.send(to, frames);
    }

    /// Ends the session with a peer that says what cannot be understood; it begins anew.
    pub fn end(&self, peer: Incarnation, why: &str) {
        self.hub.end_known(peer, why);
    }

    /// Bytes that wait to be written to it. What is in the sockets is not counted.
    pub fn queued_bytes(&self, to: Incarnation) -> usize {
        self.hub.queued_bytes(to)
    }

    /// Says what waits to be said, for a second at most, and ends all sessions.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(stopped) = self.stopped.take() {
            drop(stopped.await);
        }
    }
}

struct Main {
    hub: Arc<Hub>,
    identity: Arc<Identity>,
    client: ClientSide,
    keepalive: Duration,
    tasks: JoinSet<()>,
    /// Those whom we call.
    calls: BTreeMap<Incarnation, AbortHandle>,
    /// Those who call us and have not come back.
    looks: BTreeMap<Incarnation, AbortHandle>,
}

impl Main {
    async fn run(
        mut self,
        listener: TcpListener,
        security: ServerSide,
        mut endings: UnboundedReceiver<Incarnation>,
        mut stopping: oneshot::Receiver<()>,
    ) {
        let (deaf, deafened) = oneshot::channel::<()>();
        let (hub, identity, keepalive) = (self.hub.clone(), self.identity.clone(), self.keepalive);
        self.tasks.spawn(async move {
            let stop = async { drop(deafened.await) };
            if let Err(error) = server::serve(listener, security, hub, identity, keepalive, stop).await {
                tracing::error!(%error, "the listener of the mesh has ended");
            }
        });
        let mut changed = self.hub.changed.subscribe();
        self.follow();
        let orderly = loop {
            tokio::select! {
                biased;
                stop = &mut stopping => break stop.is_ok(),
                _ = changed.changed() => self.follow(),
                Some(peer) = endings.recv() => self.ended(peer),
                Some(_) = self.tasks.join_next() => {}
            }
        };
        drop(deaf);
        self.hub.drain();
        let until = Instant::now() + FAREWELL;
        while orderly && self.hub.count() > 0 && Instant::now() < until {
            sleep(Duration::from_millis(5)).await;
        }
        self.hub.end_all();
        self.tasks.shutdown().await;
    }

    /// Calls those who are wanted, and nobody else.
    fn follow(&mut self) {
        let wanted = self.hub.wanted();
        for tasks in [&mut self.calls, &mut self.looks] {
            tasks.retain(|peer, task| {
                let keep = wanted.contains_key(peer);
                if !keep {
                    task.abort();
                }
                keep
            });
        }
        for peer in wanted.into_keys().filter(|peer| *peer > self.identity.me) {
            self.calls.entry(peer).or_insert_with(|| {
                let (hub, identity, client) = (self.hub.clone(), self.identity.clone(), self.client.clone());
                self.tasks.spawn(client::call(hub, identity, client, self.keepalive, peer))
            });
        }
    }

    /// Those whom we call refuse a call; of those who call us we want to know it as well.
    fn ended(&mut self, peer: Incarnation) {
        if peer > self.identity.me {
            return;
        }
        if let Some(before) = self.looks.insert(peer, self.tasks.spawn(client::look(self.hub.clone(), peer))) {
            before.abort();
        }
    }
}
