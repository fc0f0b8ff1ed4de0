//! The pure parts, joined: what comes from the link goes to the rooms, what rooms release goes to egress,
//! what must be durable goes to the store. No IO, no clock, no randomness.
//!
//! The caller hands inputs to [`Pod::handle`], carries out the [`Request`]s that come back, in order, and
//! writes to the link what [`Pod::write`] gives.

mod apply;
mod frame;
mod start;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jid::BareJid;
use warren_control::Registry;
use warren_egress::{Consumed, Egress, Event, Outward};
use warren_model::{Batch, Lane, LogRow, Now, Object, ObjectName, Path, RoomId, RoomRows, Seq, Ticket};
use warren_room::service::{self, Answer};
use warren_room::{Effect, ReadId, Room, Site};
use warren_shard::{Epochs, In, Out, Shard};
use warren_store::{Completion, Work};
use warren_xmpp::Stanza;
use warren_xmpp::cast::{GroupChange, ReplayMark};

pub use apply::Outcome;
pub use frame::{Entry, Frame, Released};
pub use start::Stored;

/// Tickets of the pod itself; those of the shard count up from 1.
const OWN_TICKETS: u64 = 1 << 62;
/// How often watermarks are written and batches trimmed.
const BEAT: Duration = Duration::from_secs(1);

/// What a pod is made with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Ownership of the rooms.
    pub epochs: Epochs,
    /// The lane that is written.
    pub lane: Lane,
    /// Rooms.
    pub shard: warren_shard::Settings,
    /// The link.
    pub egress: warren_egress::Settings,
}

/// One thing that happens to a pod.
#[expect(clippy::large_enum_variant, reason = "the large ones are the frequent ones; none is kept")]
#[derive(Debug)]
pub enum Input {
    /// The component stream is established.
    LinkUp,
    /// It is gone.
    LinkDown,
    /// A stanza came over it; the server vouches for `from`.
    Stanza(Stanza),
    /// An answer to [`Request::Load`].
    Loaded(BareJid, Result<Option<RoomRows>, String>),
    /// An answer to [`Request::Page`].
    Page(RoomId, ReadId, Result<Vec<LogRow>, String>),
    /// What became of a [`Request::Write`].
    Store(Completion),
    /// Apply this object; the answer is [`Request::Answer`] with the same number.
    Apply {
        /// Comes back with the answer.
        call: u64,
        /// What to apply.
        object: Box<Object>,
        /// Fresh random bits, used if a room must be made.
        entropy: [u8; 48],
    },
    /// Take this object away.
    Remove {
        /// Comes back with the answer.
        call: u64,
        /// Which one.
        name: ObjectName,
        /// Its identity.
        uid: String,
    },
    /// The pod is about to end: what may wait is written now.
    Flush,
    /// A deadline has passed.
    Tick,
}

/// What the caller is to do.
#[derive(Debug)]
pub enum Request {
    /// Read everything of a room.
    Load(BareJid),
    /// Read a page of a log.
    Page {
        /// Which room.
        room: RoomId,
        /// Comes back with the answer.
        read: ReadId,
        /// Position before the first row.
        after: Seq,
        /// Rows at most.
        max: usize,
    },
    /// Write this.
    Write(Work),
    /// Delete what no path waits for any more, once the works before are written.
    Trim(Vec<Path>),
    /// The answer to a call.
    Answer {
        /// Which call.
        call: u64,
        /// What became of it.
        outcome: Outcome,
    },
    /// Another owner has taken over: stop at once.
    Dead,
}

/// One pod.
pub struct Pod {
    lane: Lane,
    /// Newest batch whose effects have been released.
    batch: Batch,
    shard: Shard,
    egress: Egress,
    registry: Registry,
    site: Arc<Site>,
    before: start::Before,
    /// Rooms that egress wants replayed and that have not begun.
    replays: BTreeMap<BareJid, RoomId>,
    applying: BTreeMap<Ticket, apply::Pending>,
    next_ticket: u64,
    beat_at: Duration,
    link: bool,
    requests: Vec<Request>,
    out: Vec<Out>,
}

impl Pod {
    /// Takes one input and appends what is to be done.
    pub fn handle(&mut self, input: Input, now: Now, requests: &mut Vec<Request>) {
        std::mem::swap(&mut self.requests, requests);
        match input {
            Input::LinkUp => {
                self.link = true;
                self.egress.link_up(now);
            }
            Input::LinkDown => {
                self.link = false;
                self.egress.link_down(now);
            }
            Input::Stanza(stanza) => self.stanza(stanza, now),
            Input::Loaded(room, Ok(rows)) => {
                if rows.is_none()
                    && let Some(id) = self.replays.remove(&room)
                {
                    // Whatever was lost of it, nobody can repeat it.
                    self.egress.release(id, &room, None, Outward::Close, now);
                }
                self.shard(In::Loaded { room, rows }, now);
            }
            Input::Loaded(room, Err(why)) => self.shard(In::LoadFailed { room, why }, now),
            Input::Page(room, read, Ok(rows)) => self.shard(In::Page { room, read, rows }, now),
            Input::Page(room, read, Err(why)) => self.shard(In::PageFailed { room, read, why }, now),
            Input::Store(completion) => self.completed(completion, now),
            Input::Apply { call, object, entropy } => self.apply(call, *object, entropy),
            Input::Remove { call, name, uid } => self.remove(call, name, &uid),
            Input::Flush => {
                self.shard(In::Flush, now);
                self.beat(now);
            }
            Input::Tick => self.tick(now),
        }
        self.settle(now);
        std::mem::swap(&mut self.requests, requests);
    }

    /// When [`Input::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Duration> {
        [self.shard.next_deadline(), self.egress.next_deadline(), Some(self.beat_at)].into_iter().flatten().min()
    }

    /// Appends what the link is to write next, about `max` bytes; returns how many.
    pub fn write(&mut self, out: &mut Vec<u8>, max: usize, now: Now) -> usize {
        self.egress.write(out, max, now)
    }

    /// Whether [`Pod::write`] would give anything.
    pub fn ready(&self) -> bool {
        self.egress.ready()
    }

    /// Whether what was written so far ends with a whole stanza: only then may the stream write its own.
    pub fn at_boundary(&self) -> bool {
        self.egress.at_boundary()
    }

    /// Bytes of inputs that are not durable yet: beyond a bound the stream should not be read.
    pub fn uncommitted_bytes(&self) -> usize {
        self.shard.queued_bytes()
    }

    /// What is applied.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// A room, if it is loaded.
    pub fn room(&self, jid: &BareJid) -> Option<&Room> {
        self.shard.room(jid)
    }

    /// All loaded rooms.
    pub fn rooms(&self) -> impl Iterator<Item = &Room> {
        self.shard.rooms()
    }

    /// Counters of the link.
    pub fn egress(&self) -> &Egress {
        &self.egress
    }

    /// The domain that is served.
    pub fn domain(&self) -> &str {
        &self.site.domain
    }

    fn stanza(&mut self, stanza: Stanza, now: Now) {
        if self.egress.stanza(&stanza, now) == Consumed::Yes {
            return;
        }
        let Some(to) = stanza.head.to.as_ref().filter(|to| to.domain().as_str() == &*self.site.domain) else {
            tracing::debug!(to = ?stanza.head.to, "a stanza for a domain that is not served here");
            return;
        };
        if to.node().is_some() {
            let room = to.to_bare();
            return self.shard(In::Stanza { room, stanza, source: None }, now);
        }
        let answer = match service::answer(&stanza) {
            Answer::Now(answer) => answer,
            Answer::NeedsRooms => {
                let rooms = self.registry.rooms().map(|room| {
                    let title = &room.config.title;
                    let node = room.jid.node().map_or("", |node| node.as_str());
                    (room.jid.clone(), if title.is_empty() { node.to_owned() } else { title.clone() })
                });
                service::rooms(&stanza, rooms)
            }
        };
        if let Some(bytes) = answer {
            self.egress.answer(bytes);
        }
    }

    fn shard(&mut self, input: In, now: Now) {
        self.shard.handle(input, now, &mut self.out);
    }

    fn completed(&mut self, completion: Completion, now: Now) {
        match completion {
            Completion::Done { ticket, lane, batch } => {
                debug_assert_eq!(lane, self.lane, "one lane is written");
                if ticket.0 >= OWN_TICKETS {
                    self.applied(ticket, now);
                } else {
                    self.shard(In::Done { ticket, lane, batch }, now);
                }
                self.settle(now);
                self.batch = self.batch.max(batch);
            }
            Completion::Failed { ticket, why } if ticket.0 >= OWN_TICKETS => self.not_applied(ticket, &why),
            Completion::Failed { ticket, why } => self.shard(In::Failed { ticket, why }, now),
            Completion::Fenced => self.shard(In::Fenced, now),
        }
    }

    fn tick(&mut self, now: Now) {
        if self.shard.next_deadline().is_some_and(|at| at <= now.mono) {
            self.shard(In::Tick, now);
        }
        if self.egress.next_deadline().is_some_and(|at| at <= now.mono) {
            self.egress.tick(now);
        }
        if self.beat_at <= now.mono {
            self.beat(now);
        }
    }

    /// Writes down what is known to have arrived.
    fn beat(&mut self, now: Now) {
        self.beat_at = now.mono + BEAT;
        // Before the link was up for the first time nothing can have been proven.
        let risen = self.egress.watermarks(&[(self.lane, self.batch)]);
        if !risen.is_empty() {
            for (lane, path, batch) in risen {
                self.requests.push(Request::Write(Work::Watermark { lane, path, batch }));
            }
            self.requests.push(Request::Trim(self.awaited()));
        }
    }

    /// The paths that may want a replay.
    fn awaited(&self) -> Vec<Path> {
        self.egress.paths().cloned().collect()
    }

    /// Passes on what one part says to the other until all is said.
    fn settle(&mut self, now: Now) {
        loop {
            if !self.out.is_empty() {
                let said = std::mem::take(&mut self.out);
                for out in said {
                    self.shard_says(out, now);
                }
            } else if let Some(event) = self.egress.poll() {
                self.egress_says(event, now);
            } else {
                return;
            }
        }
    }

    fn shard_says(&mut self, out: Out, now: Now) {
        match out {
            Out::Load { room } => self.requests.push(Request::Load(room)),
            Out::Submit { ticket, room, shard, epoch, fresh, routed, rows } => {
                let routed = routed.map(|routed| warren_store::Routed { source: routed.source, n: routed.n });
                let work = Work::Room { ticket, room, shard, epoch, fresh, routed, rows };
                self.requests.push(Request::Write(work));
            }
            Out::Read { room, read, after, max } => {
                self.requests.push(Request::Page { room, read, after, max });
            }
            Out::Release { room, jid, at, effects } => {
                for outward in effects.into_iter().filter_map(outward) {
                    if matches!(outward, Outward::Replay { mark: ReplayMark::Start, .. }) {
                        self.replays.remove(&jid);
                    }
                    if let Outward::Group { remote, change: GroupChange::Reset(_), .. } = &outward {
                        let remote = remote.clone();
                        self.path_appears(&remote, now);
                    }
                    self.egress.release(room, &jid, at, outward, now);
                }
            }
            Out::Reply { bytes, .. } => self.egress.answer(bytes),
            // Nothing is routed from elsewhere.
            Out::Applied { .. } | Out::Handled { .. } => {}
            Out::Refused { room, why, .. } => tracing::error!(%room, why, "the declaration of a room was not stored"),
            Out::Dead => self.requests.push(Request::Dead),
        }
    }

    fn egress_says(&mut self, event: Event, now: Now) {
        match event {
            Event::Path { path, state } => {
                tracing::info!(%path, ?state, "path");
                self.shard(In::Path { remote: path.remote, state }, now);
            }
            Event::Replay { path, rooms } => {
                tracing::info!(%path, rooms = rooms.len(), "replay of what may have been lost");
                for (id, room, after) in rooms {
                    self.replays.insert(room.clone(), id);
                    self.shard(In::Replay { room, remote: path.remote.clone(), after }, now);
                }
            }
            Event::Forgotten { .. } => {}
        }
    }
}

/// The outward half of a room's effects; the shard has dealt with the others.
fn outward(effect: Effect) -> Option<Outward> {
    Some(match effect {
        Effect::Cast(cast) => Outward::Cast(cast),
        Effect::Send { to, bytes, seq } => Outward::Send { to, bytes, seq },
        Effect::Group { remote, version, change } => Outward::Group { remote, version, change },
        Effect::Peer { peer, bytes } => Outward::Peer { peer, bytes },
        Effect::Replay { remote, mark } => Outward::Replay { remote, mark },
        Effect::Close => Outward::Close,
        Effect::Regroup | Effect::Persist(_) | Effect::Lazy(_) | Effect::Read { .. } => return None,
    })
}
