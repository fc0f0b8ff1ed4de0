//! The pure parts, joined: what comes from the link goes to the rooms, what rooms release goes to egress,
//! what must be durable goes to the store. No IO, no clock, no randomness.
//!
//! The caller hands inputs to [`Pod::handle`], carries out the [`Request`]s that come back, in order, and
//! writes to the link what [`Pod::write`] gives.

mod apply;
mod frame;
mod hear;
mod io;
mod missed;
mod own;
mod report;
mod source;
mod speak;
mod start;
mod table;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jid::BareJid;
use warren_control::Registry;
use warren_egress::{Consumed, Egress};
use warren_model::{Batch, Epoch, Incarnation, Lane, Now, Path, Shard as ShardId, Ticket};
use warren_room::service::{self, Answer};
use warren_room::{Room, Site};
use warren_shard::{In, Out, Shard};
use warren_store::{Completion, Work};
use warren_xmpp::Stanza;

pub use apply::Outcome;
pub use frame::{Entry, Frame, Moved, Released};
pub use io::{Input, Request, Settings};
pub use start::Stored;

/// Tickets of the pod itself; those of the shard count up from 1.
const OWN_TICKETS: u64 = 1 << 62;
/// How often watermarks are written and batches trimmed.
const BEAT: Duration = Duration::from_secs(1);

/// One pod.
pub struct Pod {
    me: Incarnation,
    alone: bool,
    lane: Lane,
    /// Newest batch whose effects have been released.
    batch: Batch,
    /// The last one that the owner of the link was told of.
    marked: Batch,
    shard: Shard,
    egress: Egress,
    egress_with: warren_egress::Settings,
    /// The link's side, while the link is ours.
    ear: Option<hear::Ear>,
    registry: Registry,
    site: Arc<Site>,
    link_name: Path,
    /// Since which ownership the link is ours.
    link_since: Option<Epoch>,
    table: table::Table,
    view_wanted: bool,
    /// Our shards, unless we are alone.
    mine: BTreeMap<ShardId, Epoch>,
    leaving: own::Leaving,
    /// Pods that can be spoken to.
    sessions: BTreeSet<Incarnation>,
    /// What we say to ourselves.
    inbox: VecDeque<Frame>,
    source: source::Source,
    ahead: Vec<source::Ahead>,
    acks: own::Acks,
    speaker: speak::Speaker,
    /// Those who want to be heard, and know a later ownership of the link than we do.
    attaching: BTreeMap<Incarnation, (Epoch, Lane, Batch)>,
    applying: BTreeMap<Ticket, apply::Pending>,
    calls: apply::Calls,
    /// When the objects are read again.
    objects_at: Option<Duration>,
    /// When it is read again which rooms are occupied.
    occupied_at: Option<Duration>,
    questions: report::Questions,
    seeds: start::Seeds,
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
                if rows.is_none() {
                    self.room_is_absent(&room, now);
                }
                self.shard(In::Loaded { room, rows }, now);
            }
            Input::Loaded(room, Err(why)) => self.shard(In::LoadFailed { room, why }, now),
            Input::Page(room, read, Ok(rows)) => self.shard(In::Page { room, read, rows }, now),
            Input::Page(room, read, Err(why)) => self.shard(In::PageFailed { room, read, why }, now),
            Input::Store(completions) => self.completed(completions, now),
            Input::Change { call, change } => self.call(call, change, now.mono + apply::PATIENCE),
            Input::Ask { call, objects } => self.ask(call, &objects, now),
            Input::View(view) => self.view(&view, now),
            Input::Connected(pod) => self.connected(pod, now),
            Input::Disconnected(pod) => self.disconnected(pod),
            Input::Frame(from, frame) => self.frame(from, frame, now),
            Input::Refused(pod) => {
                self.tell_all(&Frame::Refused(pod));
                self.requests.push(Request::Suspect { pod, by: self.me });
            }
            Input::Backlog(backlog) => self.backlog(backlog, now),
            Input::Objects(objects) => self.objects(objects, now),
            Input::Occupied(Ok(rooms)) => self.occupied(rooms, now),
            Input::Occupied(Err(error)) => {
                tracing::warn!(error, "it cannot be read which rooms are occupied: tried again");
                self.occupied_at = Some(now.mono + BEAT);
            }
            Input::Freeze(shards) => self.freeze(shards, now),
            Input::Moved(moved) => self.moved(&moved, now),
            Input::Thaw(shards) => self.thaw(shards, now),
            Input::Drain => self.drain(now),
            Input::Flush => {
                self.shard(In::Flush, now);
                self.beat(now);
            }
            Input::Tick => self.tick(now),
        }
        self.settle(now);
        if self.batch > self.marked {
            self.marked = self.batch;
            self.mark();
            self.settle(now);
        }
        if !self.alone {
            self.at_rest();
        }
        std::mem::swap(&mut self.requests, requests);
    }

    /// When [`Input::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Duration> {
        let shell = [self.shard.next_deadline(), self.egress.next_deadline(), Some(self.beat_at)];
        let mesh = [self.source.deadline(), self.ear.as_ref().and_then(hear::Ear::deadline), self.questions.deadline()];
        shell.into_iter().chain(mesh).flatten().min()
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
        self.shard.queued_bytes() + self.source.bytes()
    }

    /// Whether the link is ours.
    pub fn has_link(&self) -> bool {
        self.alone || self.link_since.is_some()
    }

    /// Whether somebody who has the link listens to our rooms.
    pub fn is_attached(&self) -> bool {
        self.speaker.is_attached()
    }

    /// The shards that are ours.
    pub fn shards(&self) -> impl Iterator<Item = ShardId> {
        let all = if self.alone { warren_model::ids::SHARDS } else { 0 };
        (0..all).map(ShardId).chain(self.mine.keys().copied())
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
            return self.route(stanza, now);
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

    fn completed(&mut self, completions: Vec<Completion>, now: Now) {
        let mut done = self.batch;
        for completion in completions {
            match completion {
                Completion::Done { ticket, lane, batch } => {
                    debug_assert_eq!(lane, self.lane, "one lane is written");
                    if ticket.0 >= OWN_TICKETS {
                        self.applied(ticket, now);
                    } else {
                        self.shard(In::Done { ticket, lane, batch }, now);
                    }
                    self.settle(now);
                    done = done.max(batch);
                }
                Completion::Failed { ticket, why } if ticket.0 >= OWN_TICKETS => self.not_applied(ticket, &why),
                Completion::Failed { ticket, why } => self.shard(In::Failed { ticket, why }, now),
                Completion::Disowned { ticket } => self.shard(In::Disowned { ticket }, now),
                Completion::Fenced if self.leaving.has_drained() => {}
                Completion::Fenced => self.shard(In::Fenced, now),
            }
        }
        self.batch = done;
    }

    fn tick(&mut self, now: Now) {
        if self.shard.next_deadline().is_some_and(|at| at <= now.mono) {
            self.shard(In::Tick, now);
        }
        if self.egress.next_deadline().is_some_and(|at| at <= now.mono) {
            self.egress.tick(now);
        }
        self.give_up(now);
        self.hear_tick(now);
        self.answer_questions(now);
        if self.beat_at <= now.mono {
            self.beat(now);
        }
    }

    /// Writes down what is known to have arrived, and does again what has failed.
    fn beat(&mut self, now: Now) {
        self.beat_at = now.mono + BEAT;
        self.look_again();
        self.call_again(now);
        if self.objects_at.take_if(|at| *at <= now.mono).is_some() {
            self.requests.push(Request::Objects);
        }
        if self.occupied_at.take_if(|at| *at <= now.mono).is_some() {
            self.requests.push(Request::Occupied);
        }
        let Some(ear) = &self.ear else { return };
        // Before the link was up for the first time nothing can have been proven.
        let marks = if self.alone { vec![(self.lane, self.batch)] } else { ear.marks() };
        let risen = self.egress.watermarks(&marks);
        if !risen.is_empty() {
            for (lane, path, batch) in risen {
                self.requests.push(Request::Write(Work::Watermark { lane, path, batch }));
            }
            let awaited = self.awaited();
            // Others write too: what nobody waits for here may be what they have not said yet.
            if self.alone || !awaited.is_empty() {
                self.requests.push(Request::Trim(awaited));
            }
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
            } else if let Some(frame) = self.inbox.pop_front() {
                self.frame(self.me, frame, now);
            } else if let Some(event) = self.egress.poll() {
                self.egress_says(event, now);
            } else if !self.acks.is_empty() {
                self.acknowledge();
            } else {
                return;
            }
        }
    }

    /// What a pod says, ourselves among them.
    fn frame(&mut self, from: Incarnation, frame: Frame, now: Now) {
        match frame {
            Frame::Stanza { n, shard, epoch, stanza } => self.routed(from, n, shard, epoch, *stanza, now),
            Frame::Handled(numbers) => self.handled(&numbers),
            Frame::Shards(entries) => self.learn_shards(&entries, now),
            Frame::Links(entries) => self.learn_links(&entries, now),
            Frame::Moved(moved) => {
                let entries: Vec<_> = moved.iter().map(|moved| moved.now.clone()).collect();
                self.hear(from, Frame::Moved(moved), now);
                self.learn_shards(&entries, now);
            }
            Frame::Attach { link, lane, batch } => self.attach_of(from, link, lane, batch),
            Frame::Attached { paths } => self.attached(from, paths, now),
            frame @ (Frame::Released(_) | Frame::Reply(_) | Frame::Mark { .. }) => self.hear(from, frame, now),
            Frame::Path { remote, state } if self.listens(from) => self.shard(In::Path { remote, state }, now),
            Frame::Replay { remote, rooms } if self.listens(from) => self.replay(&remote, rooms, now),
            // Of a link that another one has by now, or that asks again when we are attached.
            Frame::Path { .. } | Frame::Replay { .. } => {}
            Frame::Changed(change) => self.changed(change, now),
            Frame::Call { call, change } => self.called(from, call, change),
            Frame::Answered { call, outcome } => self.answered(call, outcome),
            Frame::Ask { call, objects } => self.asked(from, call, &objects),
            Frame::Reports { call, reports } => self.told(from, call, reports, now),
            Frame::Refused(pod) => self.requests.push(Request::Suspect { pod, by: from }),
        }
    }

    fn shard_says(&mut self, out: Out, now: Now) {
        match out {
            Out::Load { room } => self.requests.push(Request::Load(room)),
            Out::Submit { ticket, room, shard, epoch, fresh, routed, rows } => {
                let work = Work::Room { ticket, room, shard, epoch, fresh, routed, rows };
                self.requests.push(Request::Write(work));
            }
            Out::Read { room, read, after, max } => {
                self.requests.push(Request::Page { room, read, after, max });
            }
            Out::Release { room, jid, at, effects } => self.released(room, &jid, at, effects, now),
            Out::Reply { bytes, .. } => self.reply(bytes),
            Out::Handled { source, n } => self.acks.entry(source).or_default().push(n),
            Out::Unhandled { stanza, .. } => self.route(stanza, now),
            Out::Frozen(shard) => self.frozen(shard),
            Out::Disowned(shard) => self.disowned(shard),
            Out::Applied { .. } => {}
            Out::Refused { room, why, .. } => tracing::error!(%room, why, "the declaration of a room was not stored"),
            Out::Dead => self.requests.push(Request::Dead),
        }
    }
}
