//! What all rooms of a shard share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jid::BareJid;
use warren_model::{Shard, Ticket};
use warren_room::{ReadId, Site};
use warren_xmpp::cast::PathState;

use crate::io::{Epochs, Settings};
use crate::owned::Freeze;
use crate::slot::SlotKey;

#[derive(Debug)]
pub(crate) struct Shared {
    pub settings: Settings,
    pub epochs: Epochs,
    pub site: Arc<Site>,
    /// Paths that are not Up.
    pub paths: BTreeMap<Box<str>, PathState>,
    /// Whose ticket it is, of those that are not answered.
    pub tickets: BTreeMap<Ticket, SlotKey>,
    /// Whose read it is, of those whose answer still matters.
    pub reads: BTreeMap<ReadId, SlotKey>,
    /// Rooms that were taken away while they were loaded: the answer is too old for whoever comes next.
    pub stale_loads: BTreeSet<BareJid>,
    pub frozen: BTreeMap<Shard, Freeze>,
    last_ticket: u64,
    last_read: u64,
}

impl Shared {
    pub(crate) fn new(settings: Settings, epochs: Epochs, site: Arc<Site>) -> Self {
        Self {
            settings,
            epochs,
            site,
            paths: BTreeMap::new(),
            tickets: BTreeMap::new(),
            reads: BTreeMap::new(),
            stale_loads: BTreeSet::new(),
            frozen: BTreeMap::new(),
            last_ticket: 0,
            last_read: 0,
        }
    }

    /// A path has this state now.
    pub(crate) fn path(&mut self, remote: &str, state: PathState) {
        if state == PathState::Up {
            self.paths.remove(remote);
        } else {
            self.paths.insert(remote.into(), state);
        }
    }

    /// What is new when these are all the paths that are not Up.
    pub(crate) fn paths_changed(&self, all: Vec<(Box<str>, PathState)>) -> BTreeMap<Box<str>, PathState> {
        let mut now: BTreeMap<Box<str>, PathState> = all.into_iter().collect();
        for remote in self.paths.keys() {
            now.entry(remote.clone()).or_insert(PathState::Up);
        }
        now.retain(|remote, state| self.paths.get(remote).copied().unwrap_or(PathState::Up) != *state);
        now
    }

    /// A new ticket.
    pub(crate) fn ticket(&mut self, slot: SlotKey) -> Ticket {
        self.last_ticket += 1;
        self.tickets.insert(Ticket(self.last_ticket), slot);
        Ticket(self.last_ticket)
    }

    /// A new number for a read. Rooms count from 1 in each life, so theirs are no good outside.
    pub(crate) fn read(&mut self, slot: SlotKey) -> ReadId {
        self.last_read += 1;
        self.reads.insert(ReadId(self.last_read), slot);
        ReadId(self.last_read)
    }
}
