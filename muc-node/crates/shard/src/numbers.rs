//! Which routed stanzas a room has had: sources send again what they do not know to be handled.
//!
//! What came since the slot is in memory is told apart from what the store says. The first is decided when a stanza
//! comes, so an input that is kept and handled again is not a repeat of itself. The second is decided when it is handled,
//! since only then the rows are there.

use std::collections::BTreeMap;

use warren_model::{Incarnation, Routed};

/// The highest number of each source. Sources number in order, and whoever sends again begins with the oldest.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// Those that came, whatever became of them.
    came: BTreeMap<Incarnation, u64>,
    /// Those that had left something when the room was loaded.
    stored: BTreeMap<Incarnation, u64>,
}

impl Numbers {
    /// A stanza has come: whether it is new, as far as is known yet.
    pub(crate) fn come(&mut self, routed: Routed) -> bool {
        let new = self.came.get(&routed.source).is_none_or(|highest| routed.n > *highest);
        if new {
            self.came.insert(routed.source, routed.n);
        }
        new && !self.is_stored(routed)
    }

    /// Whether the room's rows have it.
    pub(crate) fn is_stored(&self, routed: Routed) -> bool {
        self.stored.get(&routed.source).is_some_and(|highest| routed.n <= *highest)
    }

    /// The room was loaded.
    pub(crate) fn loaded(&mut self, rows: &[Routed]) {
        self.stored = rows.iter().map(|row| (row.source, row.n)).collect();
    }
}
