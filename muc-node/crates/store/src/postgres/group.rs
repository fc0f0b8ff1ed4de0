//! From the works of a group commit to few statements, without IO.
//!
//! A statement for each row would cost a server more than the rows themselves, so rows of a kind travel as arrays
//! (`unnest`). What may be brought together is limited by what the works mean in their order:
//!
//! - a [`Segment`] first writes and removes rooms, one after the other, and then everything that belongs to rooms;
//! - within a segment each key (a session, an affiliation, …) is changed once, the last change being the one that
//!   counts;
//! - where that would change the meaning (a room is written after what belongs to it, a session is removed that was
//!   written before, which must fail if there is no such room), the next segment begins.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use warren_model::{
    AffiliationRow, Batch, Epoch, FmucKeyRow, Lane, LogRow, Object, ObjectName, OccupantRow, Path, PeeringRow, RoomId,
    RoomRow, Routed, Row, Shard,
};

use crate::types::Spans;
use crate::{Incarnation, Work};

/// What is written in one step.
#[derive(Default)]
pub struct Segment<'a> {
    /// In order.
    pub rooms: Vec<RoomChange<'a>>,
    /// Rooms that must be there after that.
    pub needed: BTreeSet<RoomId>,
    /// By room, JID and nick.
    pub occupants: BTreeMap<(RoomId, &'a str, &'a str), Change<&'a OccupantRow>>,
    /// Presences of sessions that are not written in this segment.
    pub presences: BTreeMap<(RoomId, &'a str, &'a str), &'a [u8]>,
    /// By room and JID.
    pub affiliations: BTreeMap<(RoomId, &'a str), Change<&'a AffiliationRow>>,
    /// By room and peer.
    pub peerings: BTreeMap<(RoomId, &'a str), Change<&'a PeeringRow>>,
    /// In order.
    pub log: Vec<(RoomId, &'a LogRow)>,
    /// By room, [`fmuc_key`] and digest; the first one counts.
    pub keys: BTreeMap<(RoomId, Key, u64), &'a FmucKeyRow>,
    /// The highest number of each source.
    pub routed: BTreeMap<(RoomId, Incarnation), u64>,
    /// The highest ones.
    pub watermarks: BTreeMap<(Lane, &'a Path), Batch>,
    /// By name.
    pub objects: BTreeMap<&'a ObjectName, Change<&'a Object>>,
    touched: BTreeSet<RoomId>,
}

/// What happens to a room.
pub enum RoomChange<'a> {
    /// It is inserted or replaced.
    Write(Shard, &'a RoomRow),
    /// It goes, with all that belongs to it.
    Gone(RoomId),
}

/// What happens to a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Change<T> {
    /// It is inserted or replaced.
    Write(T),
    /// It goes.
    Gone,
}

/// 128 bits that stand for texts of any length in a key, since an index does not take rows beyond 2.7 kB.
pub type Key = [u8; 16];

fn digest(parts: [&str; 2]) -> Key {
    let mut hash = Sha256::new();
    // No part can hold the separator: it is not UTF-8.
    for part in parts {
        hash.update(part);
        hash.update([0xff]);
    }
    let mut key = Key::default();
    key.copy_from_slice(&hash.finalize()[..16]);
    key
}

/// Key of a session.
pub fn session_key(jid: &str, nick: &str) -> Key {
    digest([jid, nick])
}

/// Key of a foreign id, without its digest.
pub fn fmuc_key(origin: &str, id: &str) -> Key {
    digest([origin, id])
}

/// All of a group.
#[derive(Default)]
pub struct Group<'a> {
    /// In order.
    pub segments: Vec<Segment<'a>>,
    /// What is written of each log.
    pub spans: Spans,
    /// Shards, with the epochs under which their works were decided.
    pub shards: BTreeSet<(Shard, Epoch)>,
    /// The lowest of all.
    pub epoch: Option<Epoch>,
}

impl<'a> Group<'a> {
    /// What works mean that have passed [`Work::check`].
    pub fn of(works: &'a [Work]) -> Self {
        let mut group = Self::default();
        for work in works {
            group.add(work);
        }
        group
    }

    fn segment(&mut self) -> &mut Segment<'a> {
        if self.segments.is_empty() {
            self.segments.push(Segment::default());
        }
        let last = self.segments.len() - 1;
        &mut self.segments[last]
    }

    fn add(&mut self, work: &'a Work) {
        match work {
            Work::Room { room, shard, epoch, rows, .. } => {
                self.shards.insert((*shard, *epoch));
                self.epoch = Some(self.epoch.map_or(*epoch, |least| least.min(*epoch)));
                for row in rows {
                    if self.segment().must_end_before(*room, row) {
                        self.segments.push(Segment::default());
                    }
                    if let Row::Log(l) = row {
                        self.spans.extend(*room, l.seq);
                    }
                    self.segment().add(*room, *shard, row);
                }
                if let Some(routed) = work.kept() {
                    self.segment().route(*room, routed);
                }
            }
            Work::Watermark { lane, path, batch } => {
                let mark = self.segment().watermarks.entry((*lane, path)).or_default();
                *mark = (*mark).max(*batch);
            }
            Work::Object { object, .. } => {
                self.segment().objects.insert(&object.name, Change::Write(object));
            }
            Work::ObjectGone { name, .. } => {
                self.segment().objects.insert(name, Change::Gone);
            }
        }
    }
}

impl<'a> Segment<'a> {
    fn must_end_before(&self, room: RoomId, row: &Row) -> bool {
        let written = |change: Option<bool>| change == Some(true);
        match row {
            Row::Room(_) | Row::RoomGone => self.touched.contains(&room),
            Row::OccupantGone { jid, nick } => {
                let key = (room, jid.as_str(), &**nick);
                written(self.occupants.get(&key).map(Change::is_write))
            }
            // The bytes of a session that is written here belong into its row.
            Row::Presence { jid, nick, .. } => self.occupants.contains_key(&(room, jid.as_str(), &**nick)),
            Row::Occupant(o) => self.presences.contains_key(&(room, o.jid.as_str(), &*o.nick)),
            Row::AffiliationGone(jid) => written(self.affiliations.get(&(room, jid.as_str())).map(Change::is_write)),
            Row::PeeringGone(peer) => written(self.peerings.get(&(room, peer.as_str())).map(Change::is_write)),
            Row::Affiliation(_) | Row::Peering(_) | Row::Log(_) | Row::FmucKey(_) => false,
        }
    }

    fn add(&mut self, room: RoomId, shard: Shard, row: &'a Row) {
        match row {
            Row::Room(r) => return self.rooms.push(RoomChange::Write(shard, r)),
            Row::RoomGone => return self.rooms.push(RoomChange::Gone(room)),
            Row::Occupant(o) => {
                self.occupants.insert((room, o.jid.as_str(), &o.nick), Change::Write(o));
            }
            Row::OccupantGone { jid, nick } => {
                let key = (room, jid.as_str(), &**nick);
                self.presences.remove(&key);
                self.occupants.insert(key, Change::Gone);
            }
            Row::Presence { jid, nick, presence } => {
                self.presences.insert((room, jid.as_str(), nick), presence);
            }
            Row::Affiliation(a) => {
                self.affiliations.insert((room, a.jid.as_str()), Change::Write(a));
            }
            Row::AffiliationGone(jid) => {
                self.affiliations.insert((room, jid.as_str()), Change::Gone);
            }
            Row::Peering(p) => {
                self.peerings.insert((room, p.peer.as_str()), Change::Write(p));
            }
            Row::PeeringGone(peer) => {
                self.peerings.insert((room, peer.as_str()), Change::Gone);
            }
            Row::Log(l) => self.log.push((room, l)),
            Row::FmucKey(k) => {
                self.keys.entry((room, fmuc_key(k.origin.as_str(), &k.id), k.digest)).or_insert(k);
            }
        }
        self.touched.insert(room);
        if matches!(row, Row::Occupant(_) | Row::Affiliation(_) | Row::Peering(_) | Row::Log(_) | Row::FmucKey(_)) {
            self.needed.insert(room);
        }
    }
}

impl Segment<'_> {
    /// Remembers a stanza that led to what was added last.
    fn route(&mut self, room: RoomId, routed: Routed) {
        let highest = self.routed.entry((room, routed.source)).or_default();
        *highest = (*highest).max(routed.n);
        self.touched.insert(room);
        self.needed.insert(room);
    }
}

impl<T> Change<T> {
    fn is_write(&self) -> bool {
        matches!(self, Self::Write(_))
    }
}
