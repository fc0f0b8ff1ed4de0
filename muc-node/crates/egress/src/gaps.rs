//! What of a path has to be sent again, and how far that is.

use std::collections::BTreeMap;

use jid::BareJid;
use warren_model::{RoomId, Seq};

use crate::evidence::{Interval, Row, Unproven};

/// How far the replay of a room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Rows are missing, and no replay that was asked for will bring all of them.
    Missing,
    /// A replay was asked for; rows are dropped until its `Start`, the replay brings them.
    Held,
    /// Between `Start` and `End`: rows flow.
    Running,
    /// `End` was written; the answer to a later ping proves the whole gap.
    Ended,
}

/// A room's rows that have to be sent to a path again.
#[derive(Clone, Debug)]
pub(crate) struct Gap {
    pub rows: Unproven,
    pub stage: Stage,
    /// A replay was asked for and its `Start` has not come. Only then is another one asked for, so that
    /// it is always known which request a `Start` answers: it may answer one that began too late.
    pub asked: bool,
    /// Known from the store: the watermarks of old lanes wait for it.
    pub restored: bool,
}

impl Gap {
    fn is_due(&self) -> bool {
        self.stage == Stage::Missing && !self.asked
    }
}

/// All gaps of one path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gaps(BTreeMap<RoomId, Gap>);

impl Gaps {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn stage(&self, room: RoomId) -> Option<Stage> {
        self.0.get(&room).map(|gap| gap.stage)
    }

    /// Rows of this room must not be written: a replay that is yet to start brings them.
    pub(crate) fn hold(&self, room: RoomId) -> bool {
        matches!(self.stage(room), Some(Stage::Missing | Stage::Held))
    }

    /// A row will not be written now.
    pub(crate) fn miss(&mut self, row: &Row) {
        self.add(row.room, Unproven::of(row));
    }

    /// A running replay will bring this row in its turn: until then it is missing like the others.
    /// Returns whether there is such a replay, or one to come.
    pub(crate) fn defer(&mut self, row: &Row) -> bool {
        match self.0.get_mut(&row.room) {
            Some(gap) if gap.stage != Stage::Ended => {
                gap.rows.note(row.seq, row.at);
                true
            }
            _ => false,
        }
    }

    /// These rows were written, and nobody knows whether they arrived.
    pub(crate) fn add(&mut self, room: RoomId, rows: Unproven) {
        match self.0.get_mut(&room) {
            Some(gap) => {
                // One that is held has not started: its replay will bring this too, if it lies behind
                // what was asked for.
                if gap.stage != Stage::Held || rows.low < gap.rows.low {
                    gap.stage = Stage::Missing;
                }
                gap.rows.merge(&rows);
            }
            None => {
                self.0.insert(room, Gap { rows, stage: Stage::Missing, asked: false, restored: false });
            }
        }
    }

    /// A gap read from the store.
    pub(crate) fn restore(&mut self, room: RoomId, rows: Unproven) {
        self.add(room, rows);
        if let Some(gap) = self.0.get_mut(&room) {
            gap.restored = true;
        }
    }

    /// An interval is lost.
    pub(crate) fn lose(&mut self, interval: Interval) {
        for (room, rows) in interval.rows {
            self.add(room, rows);
        }
        for room in interval.ended {
            if let Some(gap) = self.0.get_mut(&room).filter(|gap| gap.stage == Stage::Ended) {
                gap.stage = Stage::Missing;
            }
        }
    }

    /// The path is in trouble: replays that run or were asked for must be asked for again.
    pub(crate) fn interrupt(&mut self) {
        for gap in self.0.values_mut().filter(|gap| gap.stage != Stage::Ended) {
            gap.stage = Stage::Missing;
        }
    }

    /// An interval is proven. Rows that were missing before stay so; gaps whose end lies in it close.
    pub(crate) fn prove(&mut self, interval: &Interval) {
        for room in &interval.ended {
            if self.stage(*room) == Some(Stage::Ended) {
                self.0.remove(room);
            }
        }
    }

    /// The room begins the replay that it was asked for.
    pub(crate) fn started(&mut self, room: RoomId) {
        if let Some(gap) = self.0.get_mut(&room).filter(|gap| gap.asked) {
            gap.asked = false;
            if gap.stage == Stage::Held {
                gap.stage = Stage::Running;
            }
        }
    }

    /// The room was loaded again and knows nothing of a replay that was running.
    pub(crate) fn reloaded(&mut self, room: RoomId) {
        self.step(room, Stage::Running, Stage::Missing);
    }

    /// Whoever was asked for replays of these rooms will not answer any more.
    pub(crate) fn unanswered(&mut self, of: impl Fn(&BareJid) -> bool) {
        for gap in self.0.values_mut().filter(|gap| gap.stage != Stage::Ended && of(&gap.rows.jid)) {
            gap.stage = Stage::Missing;
            gap.asked = false;
        }
    }

    /// Whether the room's replay has now ended.
    pub(crate) fn ended(&mut self, room: RoomId) -> bool {
        self.step(room, Stage::Running, Stage::Ended)
    }

    fn step(&mut self, room: RoomId, from: Stage, to: Stage) -> bool {
        self.0.get_mut(&room).filter(|gap| gap.stage == from).map(|gap| gap.stage = to).is_some()
    }

    /// Everything that is missing and can be asked for now: room, address, last row before the gap.
    pub(crate) fn ask(&mut self) -> Vec<(RoomId, BareJid, Seq)> {
        let mut rooms = Vec::new();
        for (room, gap) in self.0.iter_mut().filter(|(_, gap)| gap.is_due()) {
            gap.stage = Stage::Held;
            gap.asked = true;
            rooms.push((*room, BareJid::clone(&gap.rows.jid), Seq(gap.rows.low.0.saturating_sub(1))));
        }
        rooms
    }

    /// Whether there is something to ask for.
    pub(crate) fn any_due(&self) -> bool {
        self.0.values().any(Gap::is_due)
    }

    pub(crate) fn any_restored(&self) -> bool {
        self.0.values().any(|gap| gap.restored)
    }

    pub(crate) fn remove(&mut self, room: RoomId) {
        self.0.remove(&room);
    }

    pub(crate) fn contains(&self, room: RoomId) -> bool {
        self.0.contains_key(&room)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (RoomId, &Gap)> {
        self.0.iter().map(|(room, gap)| (*room, gap))
    }
}
