//! What of a path is proven to have arrived: pings in a chain, and the intervals between them.
//!
//! "Written to a socket is not delivered." Each ping closes an interval of the rows that were written
//! since the ping before it; the answer proves the interval only if the ping before was answered
//! too. A black hole between two foreign servers ends without any error, and the first ping after
//! it is answered with thousands of stanzas lost before it; therefore the chain.
//!
//! An interval remembers the lowest row of each room, not the rows: it is as large as the number of
//! rooms that spoke, whatever they said.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jid::BareJid;
use smallvec::SmallVec;
use warren_model::{Batch, Lane, RoomId, Seq};

/// The lowest batch of some rows, per lane. Nearly always one lane: a room lives on one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Floor(SmallVec<[(Lane, Batch); 1]>);

impl Floor {
    pub(crate) fn note(&mut self, lane: Lane, batch: Batch) {
        match self.0.iter_mut().find(|(known, _)| *known == lane) {
            Some((_, lowest)) => *lowest = batch.min(*lowest),
            None => self.0.push((lane, batch)),
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for &(lane, batch) in &other.0 {
            self.note(lane, batch);
        }
    }

    pub(crate) fn get(&self, lane: Lane) -> Option<Batch> {
        self.0.iter().find(|(known, _)| *known == lane).map(|&(_, batch)| batch)
    }
}

/// One row on its way: which room's, its position, the batch that made it durable.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub room: RoomId,
    pub jid: Arc<BareJid>,
    pub seq: Seq,
    pub at: Option<(Lane, Batch)>,
}

/// Rows of one room that are not proven: everything from `low` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unproven {
    pub jid: Arc<BareJid>,
    pub low: Seq,
    pub floor: Floor,
}

impl Unproven {
    pub(crate) fn of(row: &Row) -> Self {
        let mut new = Self { jid: Arc::clone(&row.jid), low: row.seq, floor: Floor::default() };
        new.note(row.seq, row.at);
        new
    }

    pub(crate) fn note(&mut self, seq: Seq, at: Option<(Lane, Batch)>) {
        self.low = self.low.min(seq);
        if let Some((lane, batch)) = at {
            self.floor.note(lane, batch);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.low = self.low.min(other.low);
        self.floor.merge(&other.floor);
    }
}

/// What was written between two pings, as far as anybody wants proof of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interval {
    pub rows: BTreeMap<RoomId, Unproven>,
    /// Rooms whose replay ended here.
    pub ended: BTreeSet<RoomId>,
    /// Rooms whose members were audited here.
    pub audited: BTreeSet<RoomId>,
}

impl Interval {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.ended.is_empty() && self.audited.is_empty()
    }

    fn merge(&mut self, other: Self) {
        for (room, rows) in other.rows {
            self.rows.entry(room).and_modify(|known| known.merge(&rows)).or_insert(rows);
        }
        self.ended.extend(other.ended);
        self.audited.extend(other.audited);
    }

    fn forget(&mut self, room: RoomId) {
        self.rows.remove(&room);
        self.ended.remove(&room);
        self.audited.remove(&room);
    }
}

/// A ping that is not answered yet, with the interval it closed.
#[derive(Clone, Debug)]
struct Ping {
    id: u64,
    sent: Duration,
    covers: Interval,
}

/// What an answer says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Has arrived.
    pub proven: Interval,
    /// Lies between an unanswered ping and this one: to be sent again.
    pub lost: Interval,
}

/// The pings of one path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chain {
    pings: VecDeque<Ping>,
    open: Interval,
    /// The ping before `pings[0]` was answered; only then does an answer to that one prove anything.
    anchored: bool,
}

impl Chain {
    /// Unanswered pings remembered per path. One more, and the oldest counts as lost: its
    /// interval is sent again, an answer to it is no evidence any more.
    pub(crate) const MAX_PINGS: usize = 64;

    /// A row was written, at least in part.
    pub(crate) fn wrote(&mut self, row: &Row) {
        match self.open.rows.get_mut(&row.room) {
            Some(rows) => rows.note(row.seq, row.at),
            None => {
                self.open.rows.insert(row.room, Unproven::of(row));
            }
        }
    }

    /// The last row of a replay was written before this.
    pub(crate) fn replay_ended(&mut self, room: RoomId) {
        self.open.ended.insert(room);
    }

    /// Audit stanzas for members of this room were written.
    pub(crate) fn audited(&mut self, room: RoomId) {
        self.open.audited.insert(room);
    }

    /// Whether something was written since the last ping that wants proof.
    pub(crate) fn wants_ping(&self) -> bool {
        !self.open.is_empty()
    }

    /// Nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.pings.is_empty() && self.open.is_empty()
    }

    /// When the oldest unanswered ping was written.
    pub(crate) fn oldest(&self) -> Option<Duration> {
        self.pings.front().map(|ping| ping.sent)
    }

    pub(crate) fn waits_for(&self, id: u64) -> bool {
        self.pings.iter().any(|ping| ping.id == id)
    }

    /// A ping was written. Returns what is lost by forgetting the oldest one.
    pub(crate) fn ping(&mut self, id: u64, sent: Duration) -> Option<Interval> {
        let covers = std::mem::take(&mut self.open);
        self.pings.push_back(Ping { id, sent, covers });
        if self.pings.len() <= Self::MAX_PINGS {
            return None;
        }
        self.anchored = false;
        self.pings.pop_front().map(|ping| ping.covers)
    }

    /// A ping was answered; `None` if it is not one of those that count.
    ///
    /// With `any_covers_all` (a deliberate breakage) the chain is ignored.
    pub(crate) fn answer(&mut self, id: u64, any_covers_all: bool) -> Option<Answer> {
        let at = self.pings.iter().position(|ping| ping.id == id)?;
        let intact = any_covers_all || (at == 0 && self.anchored);
        let mut all = Interval::default();
        for ping in self.pings.drain(..=at) {
            all.merge(ping.covers);
        }
        self.anchored = true;
        Some(if intact {
            Answer { proven: all, lost: Interval::default() }
        } else {
            Answer { proven: Interval::default(), lost: all }
        })
    }

    /// Breaks the chain: everything since the last answered ping is lost, all pings are forgotten.
    pub(crate) fn cut(&mut self) -> Interval {
        let mut all = std::mem::take(self);
        let mut lost = Interval::default();
        for ping in all.pings.drain(..) {
            lost.merge(ping.covers);
        }
        lost.merge(all.open);
        lost
    }

    /// The room has ended: nobody wants proof of its rows.
    pub(crate) fn forget(&mut self, room: RoomId) {
        self.open.forget(room);
        for ping in &mut self.pings {
            ping.covers.forget(room);
        }
    }

    /// Whether anything of this room is under way.
    pub(crate) fn knows(&self, room: RoomId) -> bool {
        self.intervals().any(|interval| interval.rows.contains_key(&room) || interval.ended.contains(&room))
    }

    pub(crate) fn intervals(&self) -> impl Iterator<Item = &Interval> {
        self.pings.iter().map(|ping| &ping.covers).chain([&self.open])
    }

    pub(crate) fn pings(&self) -> usize {
        self.pings.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(room: u64, seq: u64) -> Row {
        let jid = Arc::new(BareJid::new("room@rooms.lit").unwrap());
        Row { room: RoomId(room), jid, seq: Seq(seq), at: Some((Lane(1), Batch(seq))) }
    }

    fn rooms(interval: &Interval) -> Vec<(u64, u64)> {
        interval.rows.iter().map(|(room, rows)| (room.0, rows.low.0)).collect()
    }

    fn anchored() -> Chain {
        let mut chain = Chain::default();
        chain.ping(0, Duration::ZERO);
        assert!(chain.answer(0, false).is_some());
        chain
    }

    #[test]
    fn an_answer_proves_its_interval_and_no_more() {
        let mut chain = anchored();
        chain.wrote(&row(1, 5));
        chain.wrote(&row(1, 6));
        chain.ping(1, Duration::ZERO);
        chain.wrote(&row(1, 7));
        let answer = chain.answer(1, false).unwrap();
        assert_eq!(rooms(&answer.proven), [(1, 5)]);
        assert!(answer.lost.is_empty());
        assert!(chain.wants_ping(), "7 is not proven");
        assert_eq!(chain.answer(1, false), None, "once only");
    }

    #[test]
    fn an_unanswered_ping_breaks_the_chain() {
        let mut chain = anchored();
        chain.wrote(&row(1, 5));
        chain.ping(1, Duration::ZERO);
        chain.wrote(&row(2, 9));
        chain.ping(2, Duration::ZERO);
        chain.wrote(&row(3, 1));
        chain.ping(3, Duration::ZERO);
        let answer = chain.answer(2, false).unwrap();
        assert!(answer.proven.is_empty());
        assert_eq!(rooms(&answer.lost), [(1, 5), (2, 9)]);
        assert_eq!(rooms(&chain.answer(3, false).unwrap().proven), [(3, 1)], "ping 2 was answered");
    }

    #[test]
    fn ignoring_the_chain_is_a_breakage() {
        let mut chain = anchored();
        chain.wrote(&row(1, 5));
        chain.ping(1, Duration::ZERO);
        chain.ping(2, Duration::ZERO);
        assert_eq!(rooms(&chain.answer(2, true).unwrap().proven), [(1, 5)]);
    }

    #[test]
    fn forgetting_pings_loses_their_rows() {
        let mut chain = anchored();
        chain.wrote(&row(1, 5));
        let mut lost = Vec::new();
        for id in 0..=Chain::MAX_PINGS {
            lost.extend(chain.ping(100 + id as u64, Duration::ZERO));
        }
        assert_eq!(lost.len(), 1);
        assert_eq!(rooms(&lost[0]), [(1, 5)]);
        assert_eq!(chain.answer(100, false), None);
        assert_eq!(chain.answer(101, false).unwrap().proven, Interval::default());
    }
}
