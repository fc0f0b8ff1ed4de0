//! What rooms release, on its way into the queues.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jid::{BareJid, Jid};
use smallvec::SmallVec;
use warren_model::{Batch, Lane, Now, RoomId, Seq};
use warren_xmpp::cast::{Cast, GroupChange};

use crate::evidence::Row;
use crate::link::{Egress, RoomEntry, Tail};
use crate::queue::Item;
use crate::{Outward, splice};

impl Egress {
    /// Takes one thing that a room released. `at`: the batch that made it durable; a row without one
    /// does not hold back watermarks by itself, as the rows of a replay, whose gap does.
    pub fn release(&mut self, room: RoomId, jid: &BareJid, at: Option<(Lane, Batch)>, out: Outward, now: Now) {
        self.begin(now);
        match out {
            Outward::Cast(cast) => self.cast(room, at, &cast, now.mono),
            Outward::Send { to, bytes, seq } => self.send(room, jid, at, &to, bytes, seq, now.mono),
            Outward::Group { remote, version, change } => self.group(room, jid, &remote, version, change, now.mono),
            Outward::Peer { peer, bytes } => {
                if let Some(place) = self.table.transient_place(jid, peer.domain().as_str(), now.mono) {
                    let len = bytes.len();
                    self.table.push(place, Item::Peer(bytes), len, now.mono);
                }
            }
            Outward::Replay { remote, mark } => {
                if let Some(place) = self.table.find(jid.domain().as_str(), &remote) {
                    if let Some((route, cx)) = self.table.both(place) {
                        route.replay(cx, room, mark, now.mono);
                    }
                    self.table.settle(place, now.mono);
                }
            }
            Outward::Regroup => self.regroup(room, now.mono),
            Outward::Missed { remote, seq } => self.missed(room, jid, at, remote.as_deref(), seq, now.mono),
            Outward::Close => self.close(room, now.mono),
        }
        self.after();
    }

    fn cast(&mut self, room: RoomId, at: Option<(Lane, Batch)>, cast: &Arc<Cast>, now: Duration) {
        let Some(entry) = self.rooms.get(&room) else { return };
        let row = cast.seq.map(|seq| Row { room, jid: Arc::clone(&entry.jid), seq, at });
        for tail in &entry.tails {
            let Some((route, cx)) = self.table.both(tail.place) else { continue };
            let remote = &*route.path.remote;
            if cast.only.as_deref().is_some_and(|only| only != remote) {
                continue;
            }
            if splice::lists(&cast.except, remote) {
                if let Some(row) = &row {
                    route.defer(cx, row);
                    self.table.settle(tail.place, now);
                }
                continue;
            }
            let row = match &row {
                None => None,
                Some(row) => match route.admit(cx, row) {
                    None => {
                        self.table.settle(tail.place, now);
                        continue;
                    }
                    admitted => admitted,
                },
            };
            let item = Item::Cast { room, cast: Arc::clone(cast), row };
            self.table.push(tail.place, item, splice::spliced_len(cast, tail.sessions.len()), now);
        }
    }

    #[allow(clippy::too_many_arguments)] // what a row and a send consist of
    fn send(
        &mut self,
        room: RoomId,
        jid: &BareJid,
        at: Option<(Lane, Batch)>,
        to: &Jid,
        bytes: Bytes,
        seq: Option<Seq>,
        now: Duration,
    ) {
        let (local, remote, len) = (jid.domain().as_str(), to.domain().as_str(), bytes.len());
        let Some(seq) = seq else {
            if let Some(place) = self.table.transient_place(jid, remote, now) {
                self.table.push(place, Item::Send { bytes, row: None }, len, now);
            }
            return;
        };
        let known = self.rooms.get(&room).map(|entry| Arc::clone(&entry.jid));
        let row = Row { room, jid: known.unwrap_or_else(|| Arc::new(jid.clone())), seq, at };
        let place = self.table.place(local, remote, now);
        let admitted = self.table.both(place).and_then(|(route, cx)| route.admit(cx, &row));
        if let Some(row) = admitted {
            self.table.push(place, Item::Send { bytes, row: Some(row) }, len, now);
        } else {
            self.table.settle(place, now);
        }
    }

    fn group(&mut self, room: RoomId, jid: &BareJid, remote: &str, version: Seq, change: GroupChange, now: Duration) {
        let place = self.table.place(jid.domain().as_str(), remote, now);
        let entry =
            self.rooms.entry(room).or_insert_with(|| RoomEntry { jid: Arc::new(jid.clone()), tails: SmallVec::new() });
        let tail = entry.tails.iter().position(|tail| tail.place == place).unwrap_or_else(|| {
            entry.tails.push(Tail { place, sessions: Vec::new() });
            entry.tails.len() - 1
        });
        let sessions = &mut entry.tails[tail].sessions;
        let bytes = match &change {
            GroupChange::Reset(members) => {
                *sessions = members.iter().map(|member| member.session).collect();
                sessions.sort_unstable();
                sessions.dedup();
                members.iter().map(|member| member.jid.as_str().len()).sum()
            }
            GroupChange::Put(member) => {
                if let Err(at) = sessions.binary_search(&member.session) {
                    sessions.insert(at, member.session);
                }
                member.jid.as_str().len()
            }
            GroupChange::Remove(session) => {
                if let Ok(at) = sessions.binary_search(session) {
                    sessions.remove(at);
                }
                0
            }
        };
        if sessions.is_empty() {
            entry.tails.swap_remove(tail);
            if entry.tails.is_empty() {
                self.rooms.remove(&room);
            }
        }
        if matches!(change, GroupChange::Reset(_)) {
            for place in self.rooms.get(&room).iter().flat_map(|entry| &entry.tails).map(|tail| tail.place) {
                if let Some((route, cx)) = self.table.both(place) {
                    route.reloaded(cx, room);
                    self.table.settle(place, now);
                }
            }
        }
        let audit = matches!(change, GroupChange::Reset(_)) && self.audits.covers(now, self.table.cx.link);
        self.table.push(place, Item::Group { room, version, change, audit }, bytes, now);
    }

    /// Whoever owns the room now states its groups anew.
    fn regroup(&mut self, room: RoomId, now: Duration) {
        let tails = self.rooms.remove(&room).map(|entry| entry.tails).unwrap_or_default();
        for Tail { place, .. } in tails {
            if let Some((route, cx)) = self.table.both(place) {
                route.reloaded(cx, room);
            }
            let gone = GroupChange::Reset(Vec::new());
            self.table.push(place, Item::Group { room, version: Seq(0), change: gone, audit: false }, 0, now);
        }
    }

    /// A row that was left out is missing like one that was written and is not proven.
    fn missed(
        &mut self,
        room: RoomId,
        jid: &BareJid,
        at: Option<(Lane, Batch)>,
        remote: Option<&str>,
        seq: Seq,
        now: Duration,
    ) {
        let places: SmallVec<[usize; 4]> = match remote {
            Some(remote) => SmallVec::from_iter([self.table.place(jid.domain().as_str(), remote, now)]),
            None => self.rooms.get(&room).into_iter().flat_map(|entry| &entry.tails).map(|tail| tail.place).collect(),
        };
        let row = Row { room, jid: Arc::new(jid.clone()), seq, at };
        for place in places {
            if let Some((route, cx)) = self.table.both(place) {
                route.miss(cx, &row);
            }
            self.table.settle(place, now);
        }
    }

    fn close(&mut self, room: RoomId, now: Duration) {
        let tails = self.rooms.remove(&room).map(|entry| entry.tails).unwrap_or_default();
        // Rooms end seldom, so a walk over all paths is better than an index of who knows whom.
        for place in 0..self.table.routes.len() {
            let known = tails.iter().any(|tail| tail.place == place);
            if known || self.table.route(place).is_some_and(|route| route.knows(room)) {
                self.table.push(place, Item::Close(room), 0, now);
            }
        }
    }
}
