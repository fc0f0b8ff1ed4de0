//! What waits to be written to one path, first in, first out.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use jid::BareJid;
use warren_model::{RoomId, Seq};
use warren_xmpp::cast::{Cast, GroupChange};

use crate::evidence::Row;

/// One thing in a path's queue.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// One stanza for the members that the group has when this is dequeued.
    Cast {
        room: RoomId,
        cast: Arc<Cast>,
        /// What it shows; `None`: transient.
        row: Option<Row>,
    },
    /// Whole stanzas.
    Send { bytes: Bytes, row: Option<Row> },
    /// One stanza to a federated room.
    Peer(Bytes),
    /// The group changes here, between the casts before and after.
    Group {
        room: RoomId,
        version: Seq,
        change: GroupChange,
        /// The members that the group has then are to be audited once.
        audit: bool,
    },
    /// The last row of a room's replay was before this.
    ReplayEnd(RoomId),
    /// The members of the group that are marked are audited.
    Audit { room: RoomId, jid: Arc<BareJid> },
    /// The room has ended.
    Close(RoomId),
}

impl Item {
    /// The row it shows.
    pub(crate) fn row(&self) -> Option<&Row> {
        match self {
            Self::Cast { row, .. } | Self::Send { row, .. } => row.as_ref(),
            _ => None,
        }
    }

    /// At most once: it may be dropped.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Cast { row, .. } | Self::Send { row, .. } => row.is_none(),
            Self::Peer(_) => true,
            _ => false,
        }
    }
}

/// Memory of an item beside its bytes, counted with them: so the byte budget bounds the number of
/// items too.
pub(crate) const OVERHEAD: usize = 128;

#[derive(Clone, Debug)]
struct Entry {
    item: Item,
    cost: usize,
}

/// The queue of one path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    items: VecDeque<Entry>,
    bytes: usize,
    /// Members of the first item's group that have been served.
    cursor: usize,
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Bytes that the items become when they are written, and [`OVERHEAD`] each.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends an item that becomes `bytes` bytes.
    pub(crate) fn push(&mut self, item: Item, bytes: usize) {
        let cost = bytes.saturating_add(OVERHEAD);
        self.bytes = self.bytes.saturating_add(cost);
        self.items.push_back(Entry { item, cost });
    }

    pub(crate) fn pop(&mut self) -> Option<Item> {
        let entry = self.items.pop_front()?;
        self.bytes = self.bytes.saturating_sub(entry.cost);
        self.cursor = 0;
        Some(entry.item)
    }

    pub(crate) fn front(&self) -> Option<&Item> {
        self.items.front().map(|entry| &entry.item)
    }

    pub(crate) fn cursor(&self) -> usize {
        self.cursor
    }

    pub(crate) fn set_cursor(&mut self, cursor: usize) {
        self.cursor = cursor;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().map(|entry| &entry.item)
    }

    /// Takes out, in order, what `take` wants. What is left keeps its order.
    pub(crate) fn extract(&mut self, mut take: impl FnMut(&Item) -> bool) -> Vec<Item> {
        // Most calls find nothing; then nothing is moved.
        let Some(first) = self.items.iter().position(|entry| take(&entry.item)) else {
            return Vec::new();
        };
        if first == 0 {
            self.cursor = 0;
        }
        let mut taken = Vec::new();
        for (at, entry) in self.items.split_off(first).into_iter().enumerate() {
            if at == 0 || take(&entry.item) {
                self.bytes = self.bytes.saturating_sub(entry.cost);
                taken.push(entry.item);
            } else {
                self.items.push_back(entry);
            }
        }
        taken
    }

    /// Members whose coming is queued are to be audited too.
    pub(crate) fn audit_changes(&mut self) {
        for entry in &mut self.items {
            if let Item::Group { audit, .. } = &mut entry.item {
                *audit = true;
            }
        }
    }

    /// The sum that [`Queue::bytes`] must equal.
    pub(crate) fn counted(&self) -> usize {
        self.items.iter().map(|entry| entry.cost).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_bytes_are_kept() {
        let mut queue = Queue::default();
        for n in 0..4 {
            queue.push(Item::ReplayEnd(RoomId(n)), 10);
        }
        queue.set_cursor(1);
        assert_eq!(queue.bytes(), 4 * (10 + OVERHEAD));
        assert!(queue.extract(|_| false).is_empty());
        let even = queue.extract(|item| matches!(item, Item::ReplayEnd(room) if room.0 % 2 == 1));
        assert!(matches!(even[..], [Item::ReplayEnd(RoomId(1)), Item::ReplayEnd(RoomId(3))]));
        assert_eq!((queue.cursor(), queue.bytes()), (1, queue.counted()));
        queue.extract(|item| matches!(item, Item::ReplayEnd(RoomId(0))));
        assert_eq!(queue.cursor(), 0, "the item that was begun is gone");
        assert!(matches!(queue.pop(), Some(Item::ReplayEnd(RoomId(2)))));
        assert!(queue.pop().is_none() && queue.bytes() == 0);
    }
}
