//! The commit barrier of one room: what it has decided waits, in order, for what that depends on.

use std::collections::VecDeque;

use warren_model::{Batch, Generation, Lane, Routed, Seq, Ticket};
use warren_room::{Effect, ReadId};

use crate::item::Item;

/// A read that the room wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// The room's own number of it.
    pub read: ReadId,
    pub after: Seq,
    pub max: usize,
}

/// What came of one input.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// The ticket of the input's own rows.
    pub own: Option<Ticket>,
    /// Where those rows are, once they are durable.
    pub at: Option<(Lane, Batch)>,
    /// The input, to be handled again if a ticket fails.
    pub item: Option<Item>,
    /// Outward effects.
    pub effects: Vec<Effect>,
    pub reads: Vec<Wanted>,
    /// Says that a declaration is in force.
    pub applied: Option<(String, Generation)>,
    /// Tells a source that its stanza is handled.
    pub handled: Option<Routed>,
    /// Replays that end with these effects: the domain, and which of its replays.
    pub ended: Vec<(Box<str>, u64)>,
    /// The room ends.
    pub close: bool,
    /// Highest ticket of the room when this was decided; [`Barrier::push`] fills it in.
    pub after: Option<Ticket>,
}

/// The entries of one room.
#[derive(Debug, Default)]
pub(crate) struct Barrier {
    /// Tickets that effects wait for, in order.
    open: VecDeque<Ticket>,
    entries: VecDeque<Entry>,
    bytes: usize,
    stanzas: usize,
}

impl Barrier {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.open.is_empty()
    }

    /// Bytes of the inputs that are kept.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many stanzas are kept.
    pub(crate) fn stanzas(&self) -> usize {
        self.stanzas
    }

    /// Effects from now on wait for this ticket, which is the highest so far.
    pub(crate) fn open(&mut self, ticket: Ticket) {
        debug_assert!(self.open.back().is_none_or(|last| *last < ticket), "tickets rise");
        self.open.push_back(ticket);
    }

    /// Takes a ticket from those that are open. They are answered in order, so it is nearly always the first.
    fn close(&mut self, ticket: Ticket) -> bool {
        let Ok(at) = self.open.binary_search(&ticket) else { return false };
        self.open.remove(at).is_some()
    }

    /// Puts an entry behind all others and all open tickets.
    pub(crate) fn push(&mut self, mut entry: Entry) {
        entry.after = self.open.back().copied();
        if let Some(item) = &entry.item {
            self.bytes += item.weight();
            self.stanzas += usize::from(item.is_stanza());
        }
        self.entries.push_back(entry);
    }

    /// A ticket is durable.
    pub(crate) fn done(&mut self, ticket: Ticket, at: (Lane, Batch)) {
        if self.close(ticket)
            && let Some(entry) = self.owner(ticket)
        {
            entry.at = Some(at);
        }
    }

    /// Nobody waits any more for the replays that are being made: their marks would be taken for those of later ones.
    pub(crate) fn forget_replays(&mut self) {
        let of_a_replay = |effect: &Effect| match effect {
            Effect::Replay { .. } => true,
            Effect::Cast(cast) => cast.only.is_some(),
            _ => false,
        };
        for entry in &mut self.entries {
            entry.effects.retain(|effect| !of_a_replay(effect));
        }
    }

    /// A ticket will never be durable.
    pub(crate) fn failed(&mut self, ticket: Ticket) {
        self.close(ticket);
    }

    /// The entry whose rows are in that ticket.
    pub(crate) fn owner(&mut self, ticket: Ticket) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.own == Some(ticket))
    }

    /// The next entry that nothing holds back any more.
    pub(crate) fn ready(&mut self) -> Option<Entry> {
        let front = self.entries.front()?;
        if let (Some(after), Some(first)) = (front.after, self.open.front())
            && *first <= after
        {
            return None;
        }
        let entry = self.entries.pop_front()?;
        self.forget(entry.item.as_ref());
        Some(entry)
    }

    /// Takes everything that was not released: the room that decided it is no more.
    pub(crate) fn abandon(&mut self) -> VecDeque<Entry> {
        self.bytes = 0;
        self.stanzas = 0;
        std::mem::take(&mut self.entries)
    }

    fn forget(&mut self, item: Option<&Item>) {
        if let Some(item) = item {
            self.bytes -= item.weight();
            self.stanzas -= usize::from(item.is_stanza());
        }
    }
}
