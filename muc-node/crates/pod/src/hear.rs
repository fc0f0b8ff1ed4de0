//! The link's side: takes what the owners of rooms say, and knows what of it was never said.
//!
//! A row is missing if it is in the store and nobody has handed it over: it stands in the batches of a lane behind the
//! last mark that was heard of that lane. The store is looked into when a rooms' side attaches, when a pod is closed, and
//! when somebody speaks under an ownership that is not known here; what was missing then comes before what is said next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jid::BareJid;
use warren_egress::{Event, Outward};
use warren_model::{Batch, Epoch, Incarnation, Lane, Now, RoomId, Seq, Shard};
use warren_store::LaneRow;
use warren_xmpp::cast::{GroupChange, PathState};

use crate::missed::Before;
use crate::table::Owner;
use crate::{Entry, Frame, Moved, Pod, Released};

/// An owner says that it has moved a shard right when it has; but its word may be lost with its session.
const PATIENCE: Duration = Duration::from_millis(200);

/// What one rooms' side says.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(super) lane: Lane,
    /// The batch that it has attached behind.
    pub(super) batch: Batch,
    pub(super) stage: Stage,
    /// Frames that wait, in order.
    pub(super) held: VecDeque<Frame>,
}

/// Whether a feed is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It has attached, and the store was not looked into since.
    New,
    /// The store is being looked into for it.
    Covered,
    /// It is.
    Live,
}

/// A look into the store.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// The owners as they were known when it began; `None`: there is none under way.
    pub(super) owners: Option<Vec<Owner>>,
    /// Another one is wanted.
    pub(super) again: bool,
}

/// What the owner of a link knows.
#[derive(Debug, Default)]
pub(crate) struct Ear {
    pub(super) feeds: BTreeMap<Incarnation, Feed>,
    /// Under which ownership each shard is heard.
    pub(super) heard: Vec<Owner>,
    /// Up to which batch each lane was heard.
    pub(super) marks: BTreeMap<Lane, Batch>,
    pub(super) look: Look,
    /// Pods that were heard and whose end was not looked behind.
    pub(super) known: BTreeSet<Incarnation>,
    /// Somebody speaks for a shard whose last owner has not said yet that it has moved it: until then.
    pub(super) patience: Option<Duration>,
    pub(super) before: Before,
}

impl Ear {
    /// All lanes that are heard, and how far.
    pub(crate) fn marks(&self) -> Vec<(Lane, Batch)> {
        let live = self.feeds.values().filter(|feed| feed.stage == Stage::Live);
        live.map(|feed| (feed.lane, self.mark(feed.lane))).collect()
    }

    pub(super) fn mark(&self, lane: Lane) -> Batch {
        self.marks.get(&lane).copied().unwrap_or_default()
    }

    fn heard(&self, shard: Shard) -> Owner {
        usize::try_from(shard.0).ok().and_then(|at| self.heard.get(at)).copied().unwrap_or_default()
    }

    /// When it is not waited any longer for an owner to say that it has moved something.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.patience
    }

    fn is_live(&self, pod: Incarnation) -> bool {
        self.feeds.get(&pod).is_some_and(|feed| feed.stage == Stage::Live)
    }

    /// Up to which batch a look that is over has covered a lane; `None`: not at all.
    pub(super) fn covered(&self, lane: &LaneRow) -> Option<Batch> {
        match self.feeds.values().find(|feed| feed.lane == lane.lane) {
            None => Some(lane.batch),
            Some(feed) if feed.stage == Stage::Covered => Some(feed.batch.min(lane.batch)),
            // What it has said is known, and what it will say comes.
            Some(_) => None,
        }
    }
}

impl Pod {
    /// The link is ours from now on; nothing is known of what was said before.
    pub(super) fn listen(&mut self) {
        self.ear = Some(Ear { heard: vec![Owner::default(); self.table.shards().len()], ..Ear::default() });
        self.look();
    }

    /// Alone: everything that may be missing is known from the start, and is handed to egress by `start`.
    pub(super) fn listen_alone(&mut self, before: Before) {
        self.ear = Some(Ear { before, ..Ear::default() });
    }

    /// A rooms' side wants to be heard.
    pub(super) fn attach_of(&mut self, from: Incarnation, link: Epoch, lane: Lane, batch: Batch) {
        let owner = self.table.link(&self.link_name);
        if link > owner.epoch {
            // It knows that the link is ours before we do.
            self.attaching.insert(from, (link, lane, batch));
            return self.want_view();
        }
        let Some(ear) = self.ear.as_mut().filter(|_| link == owner.epoch && owner.who == Some(self.me)) else {
            let entry = Entry { thing: self.link_name.clone(), owner: owner.who, epoch: owner.epoch };
            return self.say(from, Frame::Links(vec![entry]));
        };
        ear.feeds.insert(from, Feed { lane, batch, stage: Stage::New, held: VecDeque::new() });
        self.look();
    }

    /// The link may be ours since: those who knew it first are heard.
    pub(super) fn attach_waiting(&mut self) {
        for (from, (link, lane, batch)) in std::mem::take(&mut self.attaching) {
            self.attach_of(from, link, lane, batch);
        }
    }

    /// Nothing comes from that pod any more, on this session.
    pub(super) fn deaf_to(&mut self, pod: Incarnation) {
        self.attaching.remove(&pod);
        if let Some(ear) = &mut self.ear {
            ear.feeds.remove(&pod);
        }
    }

    /// Pods have ended, or shards have other owners: what they have left behind is looked for.
    pub(super) fn look_behind(&mut self) {
        let Some(ear) = &mut self.ear else { return };
        let table = &self.table;
        let closed: Vec<Incarnation> = ear.known.iter().copied().filter(|pod| !table.is_open(*pod)).collect();
        for pod in &closed {
            ear.known.remove(pod);
            ear.feeds.remove(pod);
        }
        // An owner that is heard says itself where its shards have gone.
        let orphaned = table.shards().iter().zip(&ear.heard).any(|(owner, heard)| {
            owner.epoch > heard.epoch && !heard.who.is_some_and(|who| ear.feeds.contains_key(&who))
        });
        if !closed.is_empty() || orphaned {
            self.look();
        }
    }

    /// The owner that was waited for has said nothing.
    pub(super) fn hear_tick(&mut self, now: Now) {
        let Some(ear) = &mut self.ear else { return };
        if ear.patience.is_some_and(|until| until <= now.mono) {
            ear.patience = None;
            self.look();
        }
    }

    /// What a rooms' side says.
    pub(super) fn hear(&mut self, from: Incarnation, frame: Frame, now: Now) {
        let Some(feed) = self.ear.as_mut().and_then(|ear| ear.feeds.get_mut(&from)) else { return };
        if feed.stage == Stage::Live && feed.held.is_empty() {
            if let Some(frame) = self.take(from, frame, now) {
                self.hold(from, frame);
            }
        } else {
            feed.held.push_back(frame);
        }
    }

    fn hold(&mut self, from: Incarnation, frame: Frame) {
        if let Some(feed) = self.ear.as_mut().and_then(|ear| ear.feeds.get_mut(&from)) {
            feed.held.push_front(frame);
        }
    }

    /// Takes a frame, or gives it back if something has to be known first.
    fn take(&mut self, from: Incarnation, frame: Frame, now: Now) -> Option<Frame> {
        match frame {
            Frame::Released(released) => {
                let ear = self.ear.as_mut()?;
                let heard = ear.heard(released.shard);
                if released.epoch > heard.epoch {
                    if released.epoch > self.table.shard(released.shard).epoch {
                        self.want_view();
                    } else if heard.who.is_some_and(|who| who != from && ear.is_live(who)) {
                        ear.patience.get_or_insert(now.mono + PATIENCE);
                    } else {
                        self.look();
                    }
                    return Some(Frame::Released(released));
                }
                // What an earlier owner says late was looked for in the store when the later one was heard of.
                if released.epoch == heard.epoch {
                    let Released { room, jid, at, says, .. } = *released;
                    self.deliver(room, &jid, at, says, now);
                }
            }
            Frame::Reply(bytes) => self.egress.answer(bytes),
            Frame::Mark { lane, batch } => {
                let ear = self.ear.as_mut()?;
                if ear.feeds.get(&from).is_some_and(|feed| feed.lane == lane) {
                    let mark = ear.marks.entry(lane).or_default();
                    *mark = batch.max(*mark);
                }
            }
            Frame::Moved(moved) => self.moved_on(&moved, now),
            _ => {}
        }
        None
    }

    /// An owner says to whom it has moved these, behind all that it had to say: nothing of them is missing, if it was
    /// heard for them.
    fn moved_on(&mut self, moved: &[Moved], now: Now) {
        let Some(ear) = &mut self.ear else { return };
        let mut shards = BTreeSet::new();
        for Moved { before, now: entry } in moved {
            let heard = usize::try_from(entry.thing.0).ok().and_then(|at| ear.heard.get_mut(at));
            if let Some(heard) = heard.filter(|heard| heard.epoch == *before) {
                *heard = Owner { who: entry.owner, epoch: entry.epoch };
                shards.insert(entry.thing);
            }
        }
        self.ask_again(&shards, now);
        self.hear_held(now);
    }

    /// Takes what waits, as far as possible.
    pub(super) fn hear_held(&mut self, now: Now) {
        let Some(ear) = &self.ear else { return };
        let live = ear.feeds.iter().filter(|(_, feed)| feed.stage == Stage::Live && !feed.held.is_empty());
        for from in live.map(|(from, _)| *from).collect::<Vec<_>>() {
            loop {
                let feed = self.ear.as_mut().and_then(|ear| ear.feeds.get_mut(&from));
                let Some(frame) = feed.and_then(|feed| feed.held.pop_front()) else { break };
                if let Some(frame) = self.take(from, frame, now) {
                    self.hold(from, frame);
                    break;
                }
            }
        }
    }

    /// Hands to egress what a room says.
    pub(super) fn deliver(
        &mut self,
        room: RoomId,
        jid: &BareJid,
        at: Option<(Lane, Batch)>,
        says: Vec<Outward>,
        now: Now,
    ) {
        for outward in says {
            if let Outward::Group { remote, change: GroupChange::Reset(_), .. } = &outward {
                let remote = remote.clone();
                self.path_appears(&remote, now);
            }
            self.egress.release(room, jid, at, outward, now);
        }
    }

    /// What egress finds out.
    pub(super) fn egress_says(&mut self, event: Event, now: Now) {
        match event {
            Event::Path { path, state } => {
                tracing::info!(%path, ?state, "path");
                self.path_is(path.remote, state, now);
            }
            Event::Replay { path, rooms } => {
                tracing::info!(%path, rooms = rooms.len(), "replay of what may have been lost");
                self.ask_for(&path.remote, rooms, now);
            }
            Event::Forgotten { .. } => {}
        }
    }

    fn path_is(&mut self, remote: Box<str>, state: PathState, now: Now) {
        if self.alone {
            return self.shard(warren_shard::In::Path { remote, state }, now);
        }
        let Some(ear) = &self.ear else { return };
        for pod in ear.feeds.keys().copied().filter(|pod| ear.is_live(*pod)).collect::<Vec<_>>() {
            self.say(pod, Frame::Path { remote: remote.clone(), state });
        }
    }

    /// Asks the owners of rooms for replays. Those who cannot be asked now are asked when they can.
    fn ask_for(&mut self, remote: &str, rooms: Vec<(RoomId, BareJid, Seq)>, now: Now) {
        if self.alone {
            return self.replay(remote, rooms, now);
        }
        let Some(ear) = &self.ear else { return };
        let mut by_owner: BTreeMap<Incarnation, Vec<(RoomId, BareJid, Seq)>> = BTreeMap::new();
        for room in rooms {
            let shard = Shard::of(&room.1);
            let owner = self.table.shard(shard);
            if let Some(who) = owner.who.filter(|who| owner.epoch == ear.heard(shard).epoch && ear.is_live(*who)) {
                by_owner.entry(who).or_default().push(room);
            }
        }
        for (who, rooms) in by_owner {
            self.say(who, Frame::Replay { remote: remote.into(), rooms });
        }
    }
}
