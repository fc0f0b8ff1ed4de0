//! How a room comes into memory, is dropped when a ticket fails, and goes.

use warren_model::{RoomRows, Ticket};
use warren_room::{Input, Room};

use crate::barrier::Entry;
use crate::io::Out;
use crate::item::What;
use crate::refuse;
use crate::slot::{Cx, RETRY, Slot, State};

impl Slot {
    /// Asks the store for the room.
    pub(crate) fn load(&mut self, cx: &mut Cx<'_>) {
        self.state = State::Loading;
        self.ask_for_room(cx);
    }

    /// Asks, unless an answer is on its way that is to be ignored: two could not be told apart.
    pub(crate) fn ask_for_room(&self, cx: &mut Cx<'_>) {
        if matches!(self.state, State::Loading) && !cx.shared.stale_loads.contains(&self.jid) {
            cx.out.push(Out::Load { room: self.jid.clone() });
        }
    }

    /// The store has answered.
    pub(crate) fn loaded(&mut self, rows: Option<RoomRows>, cx: &mut Cx<'_>) {
        if !matches!(self.state, State::Loading) {
            return;
        }
        // Who has waited for too long has been promised an answer by now, and must not get two.
        self.expire(cx);
        match rows {
            // It is there to write what may wait, or it is not needed now.
            Some(rows) if !self.frozen || !self.lazy.is_empty() => self.revive(rows, cx),
            _ if self.frozen => {
                self.lazy.take();
                self.state = State::Waiting;
            }
            _ => self.absent(cx),
        }
        self.run_parked(cx);
    }

    fn revive(&mut self, mut rows: RoomRows, cx: &mut Cx<'_>) {
        self.lazy.overlay(&mut rows);
        self.numbers.loaded(&rows.routed);
        let peers = !rows.peerings.is_empty();
        let mut effects = Vec::new();
        let room = Room::load(rows, self.epoch, cx.shared.site.clone(), cx.now, &mut effects);
        self.live(room, cx);
        self.settle(effects, Entry::default(), cx);
        self.replays.values_mut().for_each(|replay| replay.begun = false);
        if self.frozen {
            return;
        }
        if peers {
            // What the allow-list said while the room was not in memory.
            self.act(Input::Site(cx.shared.site.clone()), None, cx);
        }
        self.tell_all(cx);
        self.begin_replays(cx);
    }

    /// There is no such room, unless a declaration waits for it.
    fn absent(&mut self, cx: &mut Cx<'_>) {
        self.lazy.take();
        self.replays.clear();
        self.numbers.loaded(&[]);
        while let Some(item) = self.parked.pop() {
            if let What::Declare(declared) = &item.what {
                let declared = declared.clone();
                return self.create(&declared, item, cx);
            }
            refuse::refuse(&self.jid, &item, refuse::absent, cx.out);
        }
        self.state = State::Gone;
    }

    pub(crate) fn live(&mut self, mut room: Room, cx: &Cx<'_>) {
        if cx.shared.settings.check_invariants {
            room.check_invariants();
        }
        room.break_on_purpose(cx.shared.settings.breakage.room);
        self.fresh = true;
        self.told.clear();
        self.state = State::Live(Box::new(room));
    }

    /// The store could not say.
    pub(crate) fn load_failed(&mut self, cx: &Cx<'_>) {
        if !matches!(self.state, State::Loading) {
            return;
        }
        self.state = if self.frozen && self.lazy.is_empty() {
            State::Waiting
        } else if self.is_wanted() {
            State::Resting(cx.now.mono + RETRY)
        } else {
            State::Gone
        };
    }

    /// Whether a room that is not in memory has to be.
    pub(crate) fn is_wanted(&self) -> bool {
        self.woken || !self.parked.is_empty() || !self.replays.is_empty() || !self.lazy.is_empty()
    }

    /// A ticket will never be durable. The room has decided things that are not so, and is dropped with all that it
    /// decided since.
    pub(crate) fn failed(&mut self, ticket: Ticket, why: &str, cx: &mut Cx<'_>) {
        let mut lazy = self.answered(ticket).unwrap_or_default();
        if matches!(self.state, State::Live(_) | State::Closing(_)) {
            // The first one is the culprit: all later ones fail because it did.
            lazy.retain_mut(|lazy| !std::mem::replace(&mut lazy.again, true));
            self.troubles += 1;
            // It may have occupants, deadlines, peers: it has to come back although nobody asks it anything.
            self.woken = true;
            let rest = self.strike(ticket, why, cx);
            self.state = State::Failing { rest };
            for read in std::mem::take(&mut self.reads).into_keys() {
                cx.shared.reads.remove(&read);
            }
        }
        self.barrier.failed(ticket);
        self.unwritten.append(&mut lazy);
        self.reload_if_answered(cx);
    }

    /// Counts against the input of the ticket; refuses it if that was too often. True: what failed will be tried
    /// again all the same, so it had better rest.
    fn strike(&mut self, ticket: Ticket, why: &str, cx: &mut Cx<'_>) -> bool {
        let Some(item) = self.barrier.owner(ticket).and_then(|entry| entry.item.as_mut()) else {
            return self.troubles > 1;
        };
        item.strikes += 1;
        if item.strikes < item.patience() {
            return item.strikes > 1;
        }
        if let What::Declare(declared) = &item.what {
            cx.out.push(Out::Refused {
                room: self.jid.clone(),
                uid: declared.uid.clone(),
                generation: declared.generation,
                why: why.to_owned(),
            });
        }
        refuse::refuse(&self.jid, item, refuse::not_stored, cx.out);
        false
    }

    /// Loads the room again once it is known what the store holds; what has not happened is to be handled again.
    pub(crate) fn reload_if_answered(&mut self, cx: &mut Cx<'_>) {
        let State::Failing { rest } = self.state else { return };
        if !self.sent.is_empty() {
            return;
        }
        self.lazy.put_back(std::mem::take(&mut self.unwritten), cx.now.mono);
        // An entry with a place in the store has happened, whatever came before it.
        let (happened, kept): (Vec<_>, Vec<_>) =
            self.barrier.abandon().into_iter().partition(|entry| entry.at.is_some());
        for entry in happened {
            refuse::handled(entry.handled, cx.out);
        }
        let items = kept.into_iter().filter_map(|entry| entry.item);
        let again: Vec<_> = items.filter(|item| item.strikes < item.patience()).collect();
        self.parked.put_back(again.into_iter());
        if self.frozen && self.lazy.is_empty() {
            self.state = State::Waiting;
        } else if rest {
            self.state = State::Resting(cx.now.mono + RETRY);
        } else {
            self.load(cx);
        }
    }

    /// The room has ended for good. What came since is for another room of the same address, if there is one.
    pub(crate) fn ended(&mut self, cx: &mut Cx<'_>) {
        self.lazy.take();
        self.replays.clear();
        self.told.clear();
        for read in std::mem::take(&mut self.reads).into_keys() {
            cx.shared.reads.remove(&read);
        }
        if self.parked.is_empty() {
            self.state = State::Gone;
        } else if self.frozen {
            self.state = State::Waiting;
        } else {
            self.load(cx);
        }
    }
}
