//! What is due when, over all rooms: a room that waits for nothing costs nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::slot::SlotKey;

/// At most one entry per room; rooms remember theirs.
#[derive(Debug, Default)]
pub(crate) struct Deadlines(BTreeSet<(Duration, SlotKey)>);

impl Deadlines {
    /// Moves the entry of a room.
    pub(crate) fn set(&mut self, key: SlotKey, old: Option<Duration>, new: Option<Duration>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.0.remove(&(old, key));
        }
        if let Some(new) = new {
            self.0.insert((new, key));
        }
    }

    pub(crate) fn first(&self) -> Option<Duration> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Rooms that are due, the longest overdue first. Their entries stay.
    pub(crate) fn due(&self, now: Duration) -> Vec<SlotKey> {
        self.0.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| *key).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
