//! Who should be connected, who is, and what the owner of the peers has been told of it. The one place where sessions
//! begin and end, so that their order is the order of this lock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prost::Message as _;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{Notify, watch};
use warren_model::Incarnation;
use warren_tls::Cut;

use super::{MAX_FRAME, MAX_UNREAD, proto};

/// What happens to sessions.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A session with it has begun.
    Connected(Incarnation),
    /// It has ended, and what was under way is lost.
    Disconnected(Incarnation),
    /// After a session that was established, nobody listens at its address. Once per session, whichever side called; it
    /// may come after several attempts that ended otherwise.
    Refused(Incarnation),
    /// It said this.
    Frame(Incarnation, proto::Frame),
}

/// How much is under way in one session. Bytes of frames as they are encoded.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Waits to be written.
    queued: AtomicUsize,
    /// Was read, and nobody has taken it.
    unread: AtomicUsize,
    ended: AtomicBool,
    /// Something of the above has changed for the reader.
    moved: Notify,
}

impl Flow {
    /// So much was taken to be written.
    pub fn written(&self, size: usize) {
        self.queued.fetch_sub(size, Ordering::AcqRel);
    }

    /// Waits until more may be read; false: the session has ended.
    pub async fn readable(&self) -> bool {
        loop {
            if self.ended.load(Ordering::Acquire) {
                return false;
            }
            if self.unread.load(Ordering::Acquire) < MAX_UNREAD {
                return true;
            }
            self.moved.notified().await;
        }
    }

    /// Whether the session has ended here; what waits is not written any more.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// The end of a queue at which frames are put in, each with its size.
pub(super) type Pipe = UnboundedSender<(proto::Frame, usize)>;

struct Live {
    id: u64,
    /// `None`: nothing more is said, and the session ends when all has been.
    pipe: Option<Pipe>,
    flow: Arc<Flow>,
    cut: Cut,
    pod: String,
}

struct Item {
    session: u64,
    event: Event,
    /// Of a frame: its session's, and its size.
    flow: Option<(Arc<Flow>, usize)>,
}

struct State {
    wanted: BTreeMap<Incarnation, String>,
    live: BTreeMap<Incarnation, Live>,
    /// The sessions that the owner knows of.
    told: BTreeMap<Incarnation, u64>,
    next: u64,
    /// `None`: it is over.
    events: Option<UnboundedSender<Item>>,
    stopping: bool,
}

/// Shared by all parts.
pub(super) struct Hub {
    state: Mutex<State>,
    /// Counts changes of who is wanted.
    pub changed: watch::Sender<u64>,
    /// Sessions that have ended.
    ended: UnboundedSender<Incarnation>,
    /// Bytes that may wait for one peer.
    max_queued: usize,
}

/// What [`super::Peers`] has to say, in order.
pub struct Events {
    items: UnboundedReceiver<Item>,
    hub: Arc<Hub>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Events {
    /// The next one. `None`: the peers were shut down.
    ///
    /// Cancel safe.
    pub async fn recv(&mut self) -> Option<Event> {
        let item = self.items.recv().await?;
        Some(self.take(item))
    }

    /// The next one, if there is one now.
    pub fn try_recv(&mut self) -> Option<Event> {
        let item = self.items.try_recv().ok()?;
        Some(self.take(item))
    }

    fn take(&self, item: Item) -> Event {
        if let Some((flow, size)) = item.flow {
            let before = flow.unread.fetch_sub(size, Ordering::AcqRel);
            if before >= MAX_UNREAD && before - size < MAX_UNREAD {
                flow.moved.notify_one();
            }
        }
        match &item.event {
            Event::Connected(peer) => drop(self.hub.lock().told.insert(*peer, item.session)),
            Event::Disconnected(peer) => drop(self.hub.lock().told.remove(peer)),
            _ => {}
        }
        item.event
    }
}

impl State {
    fn say(&self, session: u64, event: Event, flow: Option<(Arc<Flow>, usize)>) {
        if let Some(events) = &self.events {
            // Nobody listens any more: we are about to end.
            drop(events.send(Item { session, event, flow }));
        }
    }
}

impl Hub {
    /// A hub, what comes out of it, and the peers whose sessions have ended.
    pub fn new(max_queued: usize) -> (Arc<Self>, Events, UnboundedReceiver<Incarnation>) {
        let (events, items) = mpsc::unbounded_channel();
        let (ended, endings) = mpsc::unbounded_channel();
        let state = State {
            wanted: BTreeMap::new(),
            live: BTreeMap::new(),
            told: BTreeMap::new(),
            next: 1,
            events: Some(events),
            stopping: false,
        };
        let hub = Arc::new(Self { state: Mutex::new(state), changed: watch::Sender::new(0), ended, max_queued });
        (hub.clone(), Events { items, hub }, endings)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who should be connected. Sessions with others end.
    pub fn set(&self, wanted: BTreeMap<Incarnation, String>) {
        let mut state = self.lock();
        if state.wanted == wanted {
            return;
        }
        state.wanted = wanted;
        let State { wanted, live, .. } = &mut *state;
        let gone: Vec<_> = live.keys().filter(|peer| !wanted.contains_key(peer)).copied().collect();
        for peer in gone {
            self.finish(&mut state, peer, "it is not in the table any more");
        }
        drop(state);
        self.changed.send_modify(|n| *n += 1);
    }

    /// All who should be connected.
    pub fn wanted(&self) -> BTreeMap<Incarnation, String> {
        self.lock().wanted.clone()
    }

    /// Where it is reached, if it should be connected.
    pub fn address(&self, peer: Incarnation) -> Option<String> {
        self.lock().wanted.get(&peer).cloned()
    }

    /// Whether there is a session.
    pub fn is_live(&self, peer: Incarnation) -> bool {
        self.lock().live.contains_key(&peer)
    }

    /// Number of sessions.
    pub fn count(&self) -> usize {
        self.lock().live.len()
    }

    /// A session begins and takes the place of the one that there may be. `None`: it is not wanted.
    pub fn begin(&self, peer: Incarnation, pod: String, pipe: Pipe, flow: Arc<Flow>, cut: Cut) -> Option<u64> {
        let mut state = self.lock();
        if state.stopping || !state.wanted.contains_key(&peer) {
            return None;
        }
        self.finish(&mut state, peer, "a new one takes its place");
        let id = state.next;
        state.next += 1;
        tracing::info!(%peer, pod, "a session has begun");
        state.live.insert(peer, Live { id, pipe: Some(pipe), flow, cut, pod });
        state.say(id, Event::Connected(peer), None);
        Some(id)
    }

    /// That session ends, if it has not yet.
    pub fn end(&self, peer: Incarnation, id: u64, why: &str) {
        let mut state = self.lock();
        if state.live.get(&peer).is_some_and(|live| live.id == id) {
            self.finish(&mut state, peer, why);
        }
    }

    /// The session that the owner knows of ends.
    pub fn end_known(&self, peer: Incarnation, why: &str) {
        let mut state = self.lock();
        if state.told.get(&peer).is_some_and(|told| state.live.get(&peer).is_some_and(|live| live.id == *told)) {
            self.finish(&mut state, peer, why);
        }
    }

    fn finish(&self, state: &mut State, peer: Incarnation, why: &str) {
        let Some(live) = state.live.remove(&peer) else { return };
        tracing::info!(%peer, pod = live.pod, why, "a session has ended");
        live.flow.ended.store(true, Ordering::Release);
        live.flow.moved.notify_one();
        live.cut.cut();
        state.say(live.id, Event::Disconnected(peer), None);
        let _ = self.ended.send(peer);
    }

    /// A frame came; false: its session is over.
    pub fn frame(&self, peer: Incarnation, id: u64, frame: proto::Frame) -> bool {
        let size = frame.encoded_len();
        let state = self.lock();
        let Some(live) = state.live.get(&peer).filter(|live| live.id == id) else { return false };
        live.flow.unread.fetch_add(size, Ordering::AcqRel);
        let flow = Some((live.flow.clone(), size));
        state.say(id, Event::Frame(peer, frame), flow);
        true
    }

    /// Nobody listens at its address, after a session that was established.
    pub fn refused(&self, peer: Incarnation) {
        let state = self.lock();
        if state.wanted.contains_key(&peer) && !state.live.contains_key(&peer) {
            tracing::info!(%peer, "its address refuses");
            state.say(0, Event::Refused(peer), None);
        }
    }

    /// Puts frames into the session that the owner knows of.
    pub fn send(&self, to: Incarnation, frames: Vec<proto::Frame>) {
        // What takes long is done before the lock.
        let frames: Vec<_> = frames.into_iter().map(|frame| (frame.encoded_len(), frame)).collect();
        let mut state = self.lock();
        let State { live, told, .. } = &mut *state;
        let Some(live) = live.get(&to).filter(|live| told.get(&to) == Some(&live.id)) else { return };
        let Some(pipe) = &live.pipe else { return };
        let mut why = None;
        for (size, frame) in frames {
            if size > MAX_FRAME {
                tracing::error!(peer = %to, size, max = MAX_FRAME, "a frame is too long to be said");
                why = Some("a frame is too long to be said");
                break;
            }
            let queued = live.flow.queued.fetch_add(size, Ordering::AcqRel) + size;
            drop(pipe.send((frame, size)));
            if queued > self.max_queued {
                tracing::warn!(peer = %to, queued, max = self.max_queued, "a peer does not take what it is told");
                why = Some("too much waits for it");
                break;
            }
        }
        if let Some(why) = why {
            self.finish(&mut state, to, why);
        }
    }

    /// What waits for it.
    pub fn queued_bytes(&self, to: Incarnation) -> usize {
        self.lock().live.get(&to).map_or(0, |live| live.flow.queued.load(Ordering::Acquire))
    }

    /// No session begins any more, and those that there are end when all has been said.
    pub fn drain(&self) {
        let mut state = self.lock();
        state.stopping = true;
        for live in state.live.values_mut() {
            live.pipe = None;
        }
    }

    /// All sessions end now.
    pub fn end_all(&self) {
        let mut state = self.lock();
        state.stopping = true;
        while let Some(peer) = state.live.keys().next().copied() {
            self.finish(&mut state, peer, "this node stops");
        }
        state.events = None;
    }
}
