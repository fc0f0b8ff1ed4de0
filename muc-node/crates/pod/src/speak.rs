//! The rooms' side: what rooms release goes to the owner of the link, in order, or is known to be missing there.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use jid::BareJid;
use warren_egress::Outward;
use warren_model::{Batch, Epoch, Incarnation, Lane, Now, RoomId, Seq, Shard};
use warren_room::Effect;
use warren_shard::In;
use warren_xmpp::cast::{PathState, ReplayMark};

use crate::{Frame, Pod, Released};

type At = Option<(Lane, Batch)>;

/// Whether the owner of the link listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// There is none, or no way to it.
    #[default]
    Detached,
    /// It was asked to listen from a certain batch on.
    Asked,
    /// It does.
    Attached,
}

/// What of a room was left out since the owner of the link was asked to listen.
#[derive(Clone, Debug)]
struct Early {
    shard: Shard,
    /// The lowest row that was for members.
    cast: Option<(Seq, At)>,
    /// The lowest row for somebody in that domain.
    sends: BTreeMap<Box<str>, (Seq, At)>,
}

/// What the rooms' side knows of the link's side.
#[derive(Debug, Default)]
pub(crate) struct Speaker {
    /// Whom it speaks to, and since which ownership of the link.
    to: Option<(Incarnation, Epoch)>,
    stage: Stage,
    /// Rooms that have stated their groups since it listens.
    stated: HashSet<RoomId>,
    early: BTreeMap<RoomId, Early>,
    /// Rooms that have ended while nobody listened.
    closed: Vec<(RoomId, BareJid)>,
    /// Rooms that a replay was asked of, and that have not begun.
    replays: BTreeMap<BareJid, RoomId>,
    /// Replays that were asked for, by domain and room, of rooms that are not ours as far as we know.
    early_replays: BTreeMap<(Box<str>, BareJid), (RoomId, Seq)>,
}

impl Speaker {
    pub(crate) fn is_attached(&self) -> bool {
        self.stage == Stage::Attached
    }
}

impl Pod {
    /// Looks for whoever owns the link, and asks it to listen.
    pub(super) fn attach(&mut self) {
        let owner = self.table.link(&self.link_name);
        let reachable = owner.who.filter(|who| *who == self.me || self.sessions.contains(who));
        let wanted = reachable.map(|who| (who, owner.epoch));
        if self.speaker.to == wanted && (wanted.is_none() || self.speaker.stage != Stage::Detached) {
            return;
        }
        self.detach();
        self.speaker.to = wanted;
        if let Some((who, link)) = wanted {
            self.speaker.stage = Stage::Asked;
            let (lane, batch) = (self.lane, self.batch);
            self.say(who, Frame::Attach { link, lane, batch });
        }
    }

    /// What is on its way to the link's side is lost, or may be.
    pub(super) fn detach(&mut self) {
        let closed = std::mem::take(&mut self.speaker.closed);
        self.speaker = Speaker { closed, ..Speaker::default() };
    }

    /// The session with that pod has ended.
    pub(super) fn detach_from(&mut self, pod: Incarnation) {
        if self.speaker.to.is_some_and(|(to, _)| to == pod) {
            self.detach();
        }
    }

    /// The owner of the link knows what it has missed, and listens from now on.
    pub(super) fn attached(&mut self, from: Incarnation, paths: Vec<(Box<str>, PathState)>, now: Now) {
        if self.speaker.stage != Stage::Asked || self.speaker.to.is_none_or(|(to, _)| to != from) {
            return;
        }
        self.speaker.stage = Stage::Attached;
        for (room, jid) in std::mem::take(&mut self.speaker.closed) {
            self.tell(room, jid, None, vec![Outward::Close], now);
        }
        self.shard(In::Paths(paths), now);
        self.shard(In::Regroup, now);
    }

    /// Whether that pod is the link's side, and listens.
    pub(super) fn listens(&self, pod: Incarnation) -> bool {
        self.speaker.is_attached() && self.speaker.to.is_some_and(|(to, _)| to == pod)
    }

    /// Whether the link's side has heard everything that rooms of these shards have released.
    pub(super) fn is_all_said(&self, of: impl Fn(Shard) -> bool) -> bool {
        self.speaker.is_attached() && !self.speaker.early.values().any(|early| of(early.shard))
    }

    /// Others answer for these shards from now on.
    pub(super) fn say_no_more(&mut self, of: impl Fn(Shard) -> bool) {
        self.speaker.early.retain(|_, early| !of(early.shard));
    }

    /// Alone, there is nobody else to listen, and it begins before there is anything to say.
    pub(super) fn attach_alone(&mut self) {
        self.speaker.to = Some((self.me, Epoch(0)));
        self.speaker.stage = Stage::Attached;
    }

    /// The owner of the link misses rows of these rooms.
    pub(super) fn replay(&mut self, remote: &str, rooms: Vec<(RoomId, BareJid, Seq)>, now: Now) {
        for (id, room, after) in rooms {
            if !self.alone && !self.mine.contains_key(&Shard::of(&room)) {
                // It has heard of the move that makes the room ours, and we have not.
                self.speaker.early_replays.insert((remote.into(), room), (id, after));
                self.want_view();
                continue;
            }
            self.speaker.replays.insert(room.clone(), id);
            self.shard(In::Replay { room, remote: remote.into(), after }, now);
        }
    }

    /// Rooms have become ours: what was asked of them before is done.
    pub(super) fn replay_early(&mut self, now: Now) {
        let mine = &self.mine;
        let (ours, rest) = std::mem::take(&mut self.speaker.early_replays)
            .into_iter()
            .partition(|((_, room), _)| mine.contains_key(&Shard::of(room)));
        self.speaker.early_replays = rest;
        let ours: BTreeMap<(Box<str>, BareJid), (RoomId, Seq)> = ours;
        for ((remote, room), (id, after)) in ours {
            self.replay(&remote, vec![(id, room, after)], now);
        }
    }

    /// The store knows no such room: whatever was lost of it, nobody can repeat it.
    pub(super) fn room_is_absent(&mut self, room: &BareJid, now: Now) {
        if let Some(id) = self.speaker.replays.remove(room) {
            self.tell(id, room.clone(), None, vec![Outward::Close], now);
        }
    }

    /// What a room says.
    pub(super) fn released(&mut self, room: RoomId, jid: &BareJid, at: At, effects: Vec<Effect>, now: Now) {
        let attached = self.speaker.is_attached();
        let mut stated = attached && (self.alone || self.speaker.stated.contains(&room));
        let mut says = Vec::with_capacity(effects.len());
        let mut missed = None;
        for outward in effects.into_iter().filter_map(outward) {
            match &outward {
                Outward::Replay { mark: ReplayMark::Start, .. } => {
                    self.speaker.replays.remove(jid);
                }
                Outward::Regroup if attached => {
                    if !self.alone {
                        self.speaker.stated.insert(room);
                    }
                    stated = true;
                    missed = self.speaker.early.remove(&room);
                }
                Outward::Close if !attached => self.speaker.closed.push((room, jid.clone())),
                Outward::Close => {
                    self.speaker.early.remove(&room);
                    self.speaker.stated.remove(&room);
                }
                _ => {}
            }
            let passes = stated || attached && matches!(outward, Outward::Peer { .. } | Outward::Close);
            // What belongs to no row needs no place among rows.
            if passes || attached && matches!(outward, Outward::Send { seq: None, .. }) {
                says.push(outward);
            } else if self.speaker.stage == Stage::Asked || attached {
                self.left_out(room, jid, at, &outward);
            }
        }
        if !says.is_empty() {
            self.tell(room, jid.clone(), at, says, now);
        }
        for (at, outward) in missed.into_iter().flat_map(Early::said) {
            self.tell(room, jid.clone(), at, vec![outward], now);
        }
    }

    /// Remembers the lowest rows of what is not said.
    fn left_out(&mut self, room: RoomId, jid: &BareJid, at: At, outward: &Outward) {
        let lowest = |known: &mut (Seq, At), seq: Seq| {
            if seq < known.0 {
                *known = (seq, at);
            }
        };
        let new = || Early { shard: Shard::of(jid), cast: None, sends: BTreeMap::new() };
        match outward {
            // Rows of a replay have their gap already.
            Outward::Cast(cast) if cast.only.is_none() => {
                if let Some(seq) = cast.seq {
                    lowest(self.speaker.early.entry(room).or_insert_with(new).cast.get_or_insert((seq, at)), seq);
                }
            }
            Outward::Send { to, seq: Some(seq), .. } => {
                let early = self.speaker.early.entry(room).or_insert_with(new);
                lowest(early.sends.entry(to.domain().as_str().into()).or_insert((*seq, at)), *seq);
            }
            _ => {}
        }
    }

    /// Everything up to `self.batch` has been said.
    pub(super) fn mark(&mut self) {
        // What was left out is said behind the statement of its room: until then nobody may believe it was heard.
        if self.alone || !self.speaker.is_attached() || !self.speaker.early.is_empty() {
            return;
        }
        if let Some((to, _)) = self.speaker.to {
            let (lane, batch) = (self.lane, self.batch);
            self.say(to, Frame::Mark { lane, batch });
        }
    }

    /// An answer that no room says.
    pub(super) fn reply(&mut self, bytes: Bytes) {
        match self.speaker.to {
            Some((to, _)) if to == self.me => self.egress.answer(bytes),
            Some((to, _)) => self.say(to, Frame::Reply(bytes)),
            // Whoever asked asks again.
            None => {}
        }
    }

    fn tell(&mut self, room: RoomId, jid: BareJid, at: At, says: Vec<Outward>, now: Now) {
        let Some((to, _)) = self.speaker.to else { return };
        if self.alone {
            return self.deliver(room, &jid, at, says, now);
        }
        let shard = Shard::of(&jid);
        let epoch = self.table.shard(shard).epoch;
        let released = Released { shard, epoch, room, jid, at, says };
        self.say(to, Frame::Released(Box::new(released)));
    }
}

impl Early {
    fn said(self) -> impl Iterator<Item = (At, Outward)> {
        let cast = self.cast.map(|(seq, at)| (at, Outward::Missed { remote: None, seq }));
        let sends = self.sends.into_iter().map(|(remote, (seq, at))| {
            let remote = Some(remote);
            (at, Outward::Missed { remote, seq })
        });
        cast.into_iter().chain(sends)
    }
}

/// The outward half of a room's effects; the shard has dealt with the others.
fn outward(effect: Effect) -> Option<Outward> {
    Some(match effect {
        Effect::Cast(cast) => Outward::Cast(cast),
        Effect::Send { to, bytes, seq } => Outward::Send { to, bytes, seq },
        Effect::Group { remote, version, change } => Outward::Group { remote, version, change },
        Effect::Regroup => Outward::Regroup,
        Effect::Peer { peer, bytes } => Outward::Peer { peer, bytes },
        Effect::Replay { remote, mark } => Outward::Replay { remote, mark },
        Effect::Close => Outward::Close,
        Effect::Persist(_) | Effect::Lazy(_) | Effect::Read { .. } => return None,
    })
}
