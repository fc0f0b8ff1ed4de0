//! The link's side: takes what the owners of rooms say, and knows what of it was never said.
//!
//! A row is missing if it is in the store and nobody has handed it over: it stands in the batches of a lane behind the
//! last mark that was heard of that lane. The store is looked into when a rooms' side attaches, when a pod is closed, and
//! when somebody speaks under an ownership that is not known here; what was missing then comes before what is said next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jid::BareJid;
use warren_egress::{Event, Outward};
use warren_model::{Batch, Epoch, Incarnation, Lane, Now, Path, RoomId, Seq, Shard};
use warren_store::{Backlog, LaneRow, Touched};
use warren_xmpp::cast::{GroupChange, PathState};

use crate::table::Owner;
use crate::{Entry, Frame, Moved, Pod, Released, Request};

/// An owner says that it has moved a shard right when it has; but its word may be lost with its session.
const PATIENCE: Duration = Duration::from_millis(200);

/// What one rooms' side says.
#[derive(Debug)]
struct Feed {
    lane: Lane,
    /// The batch that it has attached behind.
    batch: Batch,
    stage: Stage,
    /// Frames that wait, in order.
    held: VecDeque<Frame>,
}

/// Whether a feed is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has attached, and the store was not looked into since.
    New,
    /// The store is being looked into for it.
    Covered,
    /// It is.
    Live,
}

/// A look into the store.
#[derive(Debug, Default)]
struct Look {
    /// The owners as they were known when it began; `None`: there is none under way.
    owners: Option<Vec<Owner>>,
    /// Another one is wanted.
    again: bool,
}

/// What the owner of a link knows.
#[derive(Debug, Default)]
pub(crate) struct Ear {
    feeds: BTreeMap<Incarnation, Feed>,
    /// Under which ownership each shard is heard.
    heard: Vec<Owner>,
    /// Up to which batch each lane was heard.
    marks: BTreeMap<Lane, Batch>,
    look: Look,
    /// Pods that were heard and whose end was not looked behind.
    known: BTreeSet<Incarnation>,
    /// Somebody speaks for a shard whose last owner has not said yet that it has moved it: until then.
    patience: Option<Duration>,
    before: Before,
}

impl Ear {
    /// All lanes that are heard, and how far.
    pub(crate) fn marks(&self) -> Vec<(Lane, Batch)> {
        let live = self.feeds.values().filter(|feed| feed.stage == Stage::Live);
        live.map(|feed| (feed.lane, self.mark(feed.lane))).collect()
    }

    fn mark(&self, lane: Lane) -> Batch {
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
    fn covered(&self, lane: &LaneRow) -> Option<Batch> {
        match self.feeds.values().find(|feed| feed.lane == lane.lane) {
            None => Some(lane.batch),
            Some(feed) if feed.stage == Stage::Covered => Some(feed.batch.min(lane.batch)),
            // What it has said is known, and what it will say comes.
            Some(_) => None,
        }
    }
}

/// Log rows, by the batches that wrote them.
type Rows = Vec<(Lane, Touched)>;

/// What may be missing on a path that is not known yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Before {
    pub lanes: Vec<(Lane, Batch)>,
    pub touched: Rows,
    /// Paths that egress has been told of.
    pub told: BTreeSet<Path>,
}

/// The rooms with rows above what a path has, each with the first of those rows.
pub(crate) fn missing<'a>(
    touched: impl Iterator<Item = &'a (Lane, Touched)>,
    passed: &BTreeMap<Lane, Batch>,
) -> Vec<(RoomId, BareJid, Seq)> {
    let mut rooms: BTreeMap<RoomId, (BareJid, Seq)> = BTreeMap::new();
    for (lane, row) in touched {
        if row.batch > passed.get(lane).copied().unwrap_or_default() {
            let entry = rooms.entry(row.id).or_insert_with(|| (row.room.clone(), row.first));
            entry.1 = entry.1.min(row.first);
        }
    }
    rooms.into_iter().map(|(id, (jid, first))| (id, jid, first)).collect()
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

    /// Looks into the store, or again if that is being done already: it may have begun too early.
    fn look(&mut self) {
        let Some(ear) = &mut self.ear else { return };
        if ear.look.owners.is_some() {
            ear.look.again = true;
            return;
        }
        ear.look = Look { owners: Some(self.table.shards().to_vec()), again: false };
        for feed in ear.feeds.values_mut().filter(|feed| feed.stage == Stage::New) {
            feed.stage = Stage::Covered;
        }
        self.requests.push(Request::Backlog);
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

    /// Looks again after a look that failed.
    pub(super) fn look_again(&mut self) {
        if self.ear.as_ref().is_some_and(|ear| ear.look.again && ear.look.owners.is_none()) {
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

    /// The store has been looked into.
    pub(super) fn backlog(&mut self, backlog: Result<Backlog, String>, now: Now) {
        let Some(ear) = &mut self.ear else { return };
        let Some(owners) = ear.look.owners.take() else { return };
        let backlog = match backlog {
            Ok(backlog) => backlog,
            Err(error) => {
                tracing::warn!(error, "it cannot be looked up what was said before: tried again");
                ear.look.again = true;
                return;
            }
        };
        // Shards under a later ownership than was heard: all their rows that were not heard, whoever wrote them.
        let changed: BTreeSet<Shard> = (0_u32..)
            .zip(owners.iter().zip(&ear.heard))
            .filter(|(_, (owner, heard))| owner.epoch > heard.epoch)
            .map(|(shard, _)| Shard(shard))
            .collect();
        let covered: BTreeMap<Lane, Batch> =
            backlog.lanes.iter().filter_map(|lane| Some((lane.lane, ear.covered(lane)?))).collect();
        let lost = |(lane, row): &&(Lane, Touched)| {
            row.batch > ear.mark(*lane)
                && (covered.get(lane).is_some_and(|upto| row.batch <= *upto) || changed.contains(&Shard::of(&row.room)))
        };
        let (behind, beside): (Vec<_>, Vec<_>) =
            backlog.touched.iter().filter(lost).cloned().partition(|(lane, _)| covered.contains_key(lane));
        for (lane, upto) in &covered {
            let mark = ear.marks.entry(*lane).or_default();
            *mark = (*upto).max(*mark);
        }
        for shard in &changed {
            let at = usize::try_from(shard.0).unwrap_or(usize::MAX);
            if let (Some(heard), Some(owner)) = (ear.heard.get_mut(at), owners.get(at)) {
                *heard = *owner;
            }
        }
        let covered: Vec<(Lane, Batch)> = covered.into_iter().collect();
        self.restore(&backlog, (behind, beside), covered, now);
        self.welcome(changed, now);
        self.hear_held(now);
        if self.ear.as_ref().is_some_and(|ear| ear.look.again) {
            self.look();
        }
    }

    /// Tells egress what is missing on each path: rows `behind` on lanes that are covered, and rows `beside` those, which
    /// others than their writers answer for now.
    fn restore(&mut self, backlog: &Backlog, (behind, beside): (Rows, Rows), covered: Vec<(Lane, Batch)>, now: Now) {
        let local = self.site.domain.clone();
        let mut paths: BTreeMap<Path, BTreeMap<Lane, Batch>> =
            self.egress.paths().map(|path| (path.clone(), BTreeMap::new())).collect();
        for (lane, path, batch) in backlog.watermarks.iter().filter(|(_, path, _)| *path.local == *local) {
            paths.entry(path.clone()).or_default().insert(*lane, *batch);
        }
        let Some(ear) = &mut self.ear else { return };
        for (path, passed) in paths {
            let rows = missing(behind.iter(), &passed);
            if !rows.is_empty() || !covered.is_empty() {
                self.egress.restore(&path, rows, covered.clone(), now);
            }
            for (lane, row) in beside.iter().filter(|(lane, row)| passed.get(lane).is_none_or(|at| row.batch > *at)) {
                let missed = Outward::Missed { remote: Some(path.remote.clone()), seq: row.first };
                self.egress.release(row.id, &row.room, Some((*lane, row.batch)), missed, now);
            }
            ear.before.told.insert(path);
        }
        // What every path has passed is not in the store any more, and need not be remembered here.
        let kept: BTreeSet<(Lane, Batch, RoomId)> =
            backlog.touched.iter().map(|(lane, row)| (*lane, row.batch, row.id)).collect();
        ear.before.touched.retain(|(lane, row)| kept.contains(&(*lane, row.batch, row.id)));
        ear.before.touched.extend(behind);
        ear.before.touched.extend(beside);
        ear.before.lanes = covered;
    }

    /// Those for whom the store was looked into are heard from now on, and asked for what is missing.
    fn welcome(&mut self, mut asked: BTreeSet<Shard>, now: Now) {
        let Some(ear) = &mut self.ear else { return };
        let mut new = Vec::new();
        for (pod, feed) in ear.feeds.iter_mut().filter(|(_, feed)| feed.stage == Stage::Covered) {
            feed.stage = Stage::Live;
            new.push(*pod);
        }
        ear.known.extend(&new);
        let theirs =
            (0_u32..).zip(self.table.shards()).filter(|(_, owner)| owner.who.is_some_and(|who| new.contains(&who)));
        asked.extend(theirs.map(|(shard, _)| Shard(shard)));
        let troubled: Vec<_> = self.egress.troubled().map(|(path, state)| (path.remote.clone(), state)).collect();
        for pod in new {
            self.say(pod, Frame::Attached { paths: troubled.clone() });
        }
        self.ask_again(&asked, now);
    }

    fn ask_again(&mut self, shards: &BTreeSet<Shard>, now: Now) {
        if !shards.is_empty() {
            self.egress.ask_again(|room| shards.contains(&Shard::of(room)), now);
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

    /// A room that was loaded names a path. One that has no watermark yet (its first users came in the last
    /// moments before the crash) is owed everything that is kept.
    fn path_appears(&mut self, remote: &str, now: Now) {
        let Some(ear) = &mut self.ear else { return };
        if ear.before.touched.is_empty() {
            return;
        }
        let path = Path::new(&*self.site.domain, remote);
        if ear.before.told.insert(path.clone()) {
            let missing = missing(ear.before.touched.iter(), &BTreeMap::new());
            self.egress.restore(&path, missing, ear.before.lanes.clone(), now);
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
