//! The store in memory: the contract in its simplest form, and the yardstick for the others.

mod cluster;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jid::{BareJid, Jid};
use warren_model::{
    AffiliationRow, Batch, Epoch, FmucKeyRow, Lane, LogRow, Object, ObjectName, OccupantRow, Path, PeeringRow, RoomId,
    RoomRow, Routed, Row, Seq, UnixMs,
};

use crate::types::{Spans, lane_after};
use crate::{
    Backend, CommitError, Incarnation, LaneRow, Ownership, PodRow, PodState, Reader, Resolved, Span, StoreError, Thing,
    Work,
};

/// A store in memory. A clone is a snapshot: it shares what is equal and costs little.
///
/// Its reads cannot fail and take `&self`; as a [`Backend`] it has one owner, and [`Backend::reader`] gives a copy
/// of the moment. For a store that threads share, see [`crate::Memory`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    epoch: Epoch,
    last_lane: Lane,
    lanes: BTreeMap<Lane, LaneRow>,
    batches: BTreeMap<(Lane, Batch), Vec<Span>>,
    watermarks: BTreeMap<(Lane, Path), Batch>,
    objects: BTreeMap<ObjectName, Object>,
    rooms: BTreeMap<RoomId, Arc<Room>>,
    addresses: BTreeMap<Address, RoomId>,
    pods: BTreeMap<Incarnation, PodRow>,
    /// Shards and links that ever had an owner.
    owned: BTreeMap<Thing, (Option<Incarnation>, Epoch)>,
    breakage: Breakage,
}

/// Guards that are left out on purpose. Only the simulator sets them, to show that it would notice if one were missing;
/// no other store has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breakage {
    /// Commits on closed lanes are taken, and resolved, as on open ones. (A lane that was trimmed away stays closed.)
    pub lane_fence_off: bool,
    /// Works that were decided under an old epoch of their shard are taken.
    pub epoch_check_off: bool,
}

/// Domain and localpart, in the order of lists.
type Address = (String, String);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Room {
    row: RoomRow,
    occupants: BTreeMap<(String, Box<str>), OccupantRow>,
    affiliations: BTreeMap<String, AffiliationRow>,
    peerings: BTreeMap<String, PeeringRow>,
    log: BTreeMap<Seq, Arc<LogRow>>,
    /// The digest as signed as SQL has it, so that ties are in the same order everywhere.
    keys: BTreeMap<(String, Box<str>, i64), FmucKeyRow>,
    routed: BTreeMap<Incarnation, u64>,
}

impl Room {
    fn new(row: RoomRow) -> Self {
        Self {
            row,
            occupants: BTreeMap::new(),
            affiliations: BTreeMap::new(),
            peerings: BTreeMap::new(),
            log: BTreeMap::new(),
            keys: BTreeMap::new(),
            routed: BTreeMap::new(),
        }
    }
}

/// The epoch after one: Unix seconds, so that a restored backup does not repeat one, and higher in any case.
fn raised(epoch: Epoch, now: UnixMs) -> Epoch {
    let seconds = u32::try_from(now.0 / 1000).unwrap_or(u32::MAX);
    Epoch(epoch.0.saturating_add(1).max(seconds))
}

fn address(jid: &BareJid) -> Address {
    (jid.domain().as_str().to_owned(), jid.node().map_or_else(String::new, |n| n.as_str().to_owned()))
}

fn session(jid: &Jid, nick: &str) -> (String, Box<str>) {
    (jid.as_str().to_owned(), nick.into())
}

/// What the works before this one have changed, as far as the rules look at it.
#[derive(Default)]
struct Overlay {
    /// Address of a room that was written, or `None`: it was removed.
    rooms: BTreeMap<RoomId, Option<Address>>,
    addresses: BTreeMap<Address, Option<RoomId>>,
    /// Rooms whose stored log is gone.
    emptied: BTreeSet<RoomId>,
    positions: BTreeSet<(RoomId, Seq)>,
}

impl Model {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// For the simulator, see [`Breakage`]. Copies of the store are broken alike.
    pub fn break_on_purpose(&mut self, breakage: Breakage) {
        self.breakage = breakage;
    }

    /// As [`Backend::take_over`].
    pub fn take_over(&mut self, incarnation: Incarnation, now: UnixMs) -> Ownership {
        for lane in self.lanes.values_mut() {
            lane.open = false;
        }
        for pod in self.pods.values_mut().filter(|pod| pod.state == PodState::Open) {
            pod.state = PodState::Gone;
        }
        let mut highest = self.epoch;
        for (owner, epoch) in self.owned.values_mut() {
            *owner = None;
            highest = highest.max(*epoch);
        }
        self.epoch = raised(highest, now);
        self.last_lane = lane_after(self.last_lane.0, incarnation);
        let (lane, epoch, batch) = (self.last_lane, self.epoch, Batch(0));
        self.lanes.insert(lane, LaneRow { lane, incarnation, epoch, batch, open: true });
        Ownership { epoch, lane, batch }
    }

    /// As [`Backend::commit`]; never `Failed` or `Unknown`.
    pub fn commit(&mut self, lane: Lane, work: &[Work]) -> Result<Batch, CommitError> {
        self.commit_after(lane, None, work)
    }

    /// As [`Backend::commit_after`]; never `Failed` or `Unknown`.
    pub fn commit_after(&mut self, lane: Lane, known: Option<Batch>, work: &[Work]) -> Result<Batch, CommitError> {
        self.fence(lane)?;
        let opened = *self.lanes.get(&lane).ok_or(CommitError::Fenced)?;
        if known.is_some_and(|known| known != opened.batch) {
            return Err(CommitError::Fenced);
        }
        let mut overlay = Overlay::default();
        for (index, w) in work.iter().enumerate() {
            let rejected = |why| CommitError::Rejected { index: Some(index), why };
            w.check().map_err(rejected)?;
            if self.is_ahead(&opened, w) {
                return Err(CommitError::Fenced);
            }
            if self.has_moved(opened.epoch, w) {
                return Err(CommitError::Disowned { index });
            }
            self.check(opened.epoch, &mut overlay, w).map_err(rejected)?;
        }
        // From here on nothing fails.
        let row = self.lanes.get_mut(&lane).ok_or(CommitError::Fenced)?;
        row.batch.0 += 1;
        let batch = row.batch;
        let mut spans = Spans::default();
        for w in work {
            self.apply(w, &mut spans);
        }
        if !spans.list().is_empty() {
            self.batches.insert((lane, batch), spans.list().to_vec());
        }
        Ok(batch)
    }

    /// As [`Backend::resolve`].
    pub fn resolve(&self, lane: Lane, known: Batch) -> Resolved {
        match self.lanes.get(&lane) {
            Some(row) if self.takes(row) && row.batch.0 == known.0 + 1 => Resolved::Done(row.batch),
            Some(row) if self.takes(row) && row.batch == known => Resolved::NotDone,
            _ => Resolved::Fenced,
        }
    }

    fn fence(&self, lane: Lane) -> Result<(), CommitError> {
        if self.lanes.get(&lane).is_some_and(|l| self.takes(l)) { Ok(()) } else { Err(CommitError::Fenced) }
    }

    fn takes(&self, lane: &LaneRow) -> bool {
        lane.open || self.breakage.lane_fence_off
    }

    /// Whether a pod of several has decided under an ownership that is not known here. Which one it is is asked no more
    /// when closed lanes are taken on purpose, since their owners have nothing.
    fn is_ahead(&self, lane: &LaneRow, work: &Work) -> bool {
        let Work::Room { shard, epoch, .. } = work else { return false };
        let (owner, now) = self.owned.get(&Thing::Shard(*shard)).copied().unwrap_or_default();
        let unknown = now < *epoch || (now == *epoch && owner != Some(lane.incarnation));
        lane.epoch == Epoch(0) && unknown && self.breakage == Breakage::default()
    }

    /// Whether somebody else owns the shard since; `opened`: what the lane was opened under.
    fn has_moved(&self, opened: Epoch, work: &Work) -> bool {
        let Work::Room { shard, epoch, .. } = work else { return false };
        let moved = self.owned.get(&Thing::Shard(*shard)).is_some_and(|(_, now)| now > epoch);
        moved && *epoch >= opened && !self.breakage.epoch_check_off
    }

    fn check(&self, opened: Epoch, over: &mut Overlay, work: &Work) -> Result<(), String> {
        let Work::Room { room: id, epoch, rows, .. } = work else { return Ok(()) };
        if *epoch < opened {
            return Err(format!("room {id}: decided under epoch {epoch}, the lane is at {opened}"));
        }
        let here = |over: &Overlay| match over.rooms.get(id) {
            Some(address) => address.clone(),
            None => self.rooms.get(id).map(|r| address(&r.row.jid)),
        };
        for row in rows {
            match row {
                Row::Room(r) => {
                    let to = address(&r.jid);
                    let holder = over.addresses.get(&to).copied().unwrap_or_else(|| self.addresses.get(&to).copied());
                    if holder.is_some_and(|h| h != *id) {
                        return Err(format!("room {id}: its address belongs to another room"));
                    }
                    if let Some(from) = here(over) {
                        over.addresses.insert(from, None);
                    }
                    over.addresses.insert(to.clone(), Some(*id));
                    over.rooms.insert(*id, Some(to));
                }
                Row::RoomGone => {
                    if let Some(from) = here(over) {
                        over.addresses.insert(from, None);
                    }
                    over.rooms.insert(*id, None);
                    over.emptied.insert(*id);
                    over.positions.retain(|(room, _)| room != id);
                }
                Row::Occupant(_) | Row::Affiliation(_) | Row::Peering(_) | Row::Log(_) | Row::FmucKey(_)
                    if here(over).is_none() =>
                {
                    return Err(format!("room {id} is not stored"));
                }
                Row::Log(l) => {
                    let stored = !over.emptied.contains(id)
                        && self.rooms.get(id).is_some_and(|room| room.log.contains_key(&l.seq));
                    if stored || !over.positions.insert((*id, l.seq)) {
                        return Err(format!("room {id}: log position {} is taken", l.seq));
                    }
                }
                _ => {}
            }
        }
        if work.kept().is_some() && here(over).is_none() {
            return Err(format!("room {id} is not stored"));
        }
        Ok(())
    }

    fn apply(&mut self, work: &Work, spans: &mut Spans) {
        match work {
            Work::Room { room, rows, .. } => {
                for row in rows {
                    self.apply_row(*room, row, spans);
                }
                if let (Some(Routed { source, n }), Some(room)) = (work.kept(), self.rooms.get_mut(room)) {
                    let highest = Arc::make_mut(room).routed.entry(source).or_default();
                    *highest = (*highest).max(n);
                }
            }
            Work::Watermark { lane, path, batch } => {
                if self.lanes.contains_key(lane) {
                    let mark = self.watermarks.entry((*lane, path.clone())).or_default();
                    *mark = (*mark).max(*batch);
                }
            }
            Work::Object { object, .. } => {
                self.objects.insert(object.name.clone(), (**object).clone());
            }
            Work::ObjectGone { name, .. } => {
                self.objects.remove(name);
            }
        }
    }

    fn apply_row(&mut self, id: RoomId, row: &Row, spans: &mut Spans) {
        match row {
            Row::Room(new) => {
                self.addresses.insert(address(&new.jid), id);
                match self.rooms.get_mut(&id) {
                    None => {
                        self.rooms.insert(id, Arc::new(Room::new(new.clone())));
                    }
                    Some(room) => {
                        if room.row.jid != new.jid {
                            self.addresses.remove(&address(&room.row.jid));
                        }
                        let low = new.low.max(room.row.low);
                        Arc::make_mut(room).row = RoomRow { low, ..new.clone() };
                    }
                }
                return;
            }
            Row::RoomGone => {
                if let Some(room) = self.rooms.remove(&id) {
                    self.addresses.remove(&address(&room.row.jid));
                }
                return;
            }
            _ => {}
        }
        let Some(room) = self.rooms.get_mut(&id).map(Arc::make_mut) else { return };
        match row {
            Row::Room(_) | Row::RoomGone => {}
            Row::Occupant(o) => {
                room.occupants.insert(session(&o.jid, &o.nick), o.clone());
            }
            Row::OccupantGone { jid, nick } => {
                room.occupants.remove(&session(jid, nick));
            }
            Row::Presence { jid, nick, presence } => {
                if let Some(o) = room.occupants.get_mut(&session(jid, nick)) {
                    o.presence.clone_from(presence);
                }
            }
            Row::Affiliation(a) => {
                room.affiliations.insert(a.jid.as_str().to_owned(), a.clone());
            }
            Row::AffiliationGone(jid) => {
                room.affiliations.remove(jid.as_str());
            }
            Row::Peering(p) => {
                room.peerings.insert(p.peer.as_str().to_owned(), p.clone());
            }
            Row::PeeringGone(peer) => {
                room.peerings.remove(peer.as_str());
            }
            Row::Log(l) => {
                room.log.insert(l.seq, Arc::new(l.clone()));
                spans.extend(id, l.seq);
            }
            Row::FmucKey(k) => {
                let key = (k.origin.as_str().to_owned(), k.id.clone(), k.digest.cast_signed());
                room.keys.entry(key).or_insert_with(|| k.clone());
            }
        }
    }

    /// As [`Backend::trim_batches`].
    pub fn trim_batches(&mut self, lane: Lane, awaited: &[Path]) -> Result<u64, CommitError> {
        self.fence(lane)?;
        let mut gone = 0;
        let lanes: Vec<LaneRow> = self.lanes.values().copied().collect();
        for row in lanes {
            let passed = |path: &Path| self.watermarks.get(&(row.lane, path.clone())).copied().unwrap_or_default();
            let through = awaited.iter().map(passed).min().unwrap_or(Batch(u64::MAX));
            let before = self.batches.len();
            self.batches.retain(|(lane, batch), _| *lane != row.lane || *batch > through);
            gone += before - self.batches.len();
            if !row.open && !self.batches.keys().any(|(lane, _)| *lane == row.lane) {
                self.lanes.remove(&row.lane);
                self.watermarks.retain(|(lane, _), _| *lane != row.lane);
            }
        }
        Ok(gone as u64)
    }

    /// As [`Backend::trim_log`].
    pub fn trim_log(&mut self, lane: Lane, id: RoomId, through: Seq, max: usize) -> Result<u64, CommitError> {
        self.fence(lane)?;
        let Some(room) = self.rooms.get_mut(&id).map(Arc::make_mut) else { return Ok(0) };
        let subject = room.row.subject_seq;
        let old: Vec<Seq> =
            room.log.range(..=through).map(|(seq, _)| *seq).filter(|seq| *seq != subject).take(max).collect();
        for seq in &old {
            room.log.remove(seq);
        }
        if let Some(last) = old.last() {
            room.row.low = room.row.low.max(last.next());
        }
        Ok(old.len() as u64)
    }
}

impl Backend for Model {
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(self.clone()))
    }
    fn take_over(&mut self, incarnation: Incarnation, now: UnixMs) -> Result<Ownership, StoreError> {
        Ok(Model::take_over(self, incarnation, now))
    }
    fn commit_after(&mut self, lane: Lane, known: Option<Batch>, work: &[Work]) -> Result<Batch, CommitError> {
        Model::commit_after(self, lane, known, work)
    }
    fn resolve(&mut self, lane: Lane, known: Batch) -> Result<Resolved, StoreError> {
        Ok(Model::resolve(self, lane, known))
    }
    fn trim_batches(&mut self, lane: Lane, awaited: &[Path]) -> Result<u64, CommitError> {
        Model::trim_batches(self, lane, awaited)
    }
    fn trim_log(&mut self, lane: Lane, room: RoomId, through: Seq, max: usize) -> Result<u64, CommitError> {
        Model::trim_log(self, lane, room, through, max)
    }
}
