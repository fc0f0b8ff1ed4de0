//! Inputs of a room that cannot take them yet, in order.

use std::collections::VecDeque;
use std::time::Duration;

use crate::item::Item;

/// A queue of inputs that no room has decided on: what is taken out of it has not happened.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    items: VecDeque<Item>,
    bytes: usize,
    stanzas: usize,
    /// Arrival of the oldest request.
    oldest: Option<Duration>,
}

impl Parked {
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn stanzas(&self) -> usize {
        self.stanzas
    }

    /// When the first request will have waited for `limit`.
    pub(crate) fn deadline(&self, limit: Duration) -> Option<Duration> {
        self.oldest.map(|oldest| oldest.saturating_add(limit))
    }

    pub(crate) fn push(&mut self, item: Item) {
        self.count(&item);
        self.items.push_back(item);
    }

    /// Puts inputs that were handled once before all others.
    pub(crate) fn put_back(&mut self, items: impl DoubleEndedIterator<Item = Item>) {
        for item in items.rev() {
            self.count(&item);
            self.items.push_front(item);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.bytes -= item.weight();
        self.stanzas -= usize::from(item.is_stanza());
        if self.oldest == Some(item.arrived) {
            self.look_for_oldest();
        }
        Some(item)
    }

    /// Takes out the requests that have waited for `limit`.
    pub(crate) fn expire(&mut self, now: Duration, limit: Duration) -> Vec<Item> {
        if self.deadline(limit).is_none_or(|at| at > now) {
            return Vec::new();
        }
        let mut expired = Vec::new();
        for item in std::mem::take(&mut self.items) {
            if item.is_request() && item.arrived.saturating_add(limit) <= now {
                self.bytes -= item.weight();
                self.stanzas -= 1;
                expired.push(item);
            } else {
                self.items.push_back(item);
            }
        }
        self.look_for_oldest();
        expired
    }

    fn count(&mut self, item: &Item) {
        self.bytes += item.weight();
        self.stanzas += usize::from(item.is_stanza());
        if item.is_request() {
            self.oldest = Some(self.oldest.map_or(item.arrived, |oldest| oldest.min(item.arrived)));
        }
    }

    fn look_for_oldest(&mut self) {
        // They are in order of arrival.
        self.oldest = self.items.iter().find(|item| item.is_request()).map(|item| item.arrived);
    }
}
