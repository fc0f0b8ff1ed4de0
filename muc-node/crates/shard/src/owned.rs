//! Which shards are ours: how they come, how they go, and what stands still before they do.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use jid::BareJid;
use warren_model::{Epoch, Now, Shard as Number};
use warren_room::Input;
use warren_xmpp::cast::PathState;

use crate::Shard;
use crate::io::Out;
use crate::item::What;
use crate::slot::{Cx, Slot, SlotKey, State};

/// A shard that is about to go.
#[derive(Debug)]
pub(crate) struct Freeze {
    /// Rooms with something outstanding.
    busy: BTreeSet<SlotKey>,
    /// It was said that there are none.
    said: bool,
}

impl Freeze {
    fn say(&mut self, shard: Number, out: &mut Vec<Out>) {
        if self.busy.is_empty() && !self.said {
            self.said = true;
            out.push(Out::Frozen(shard));
        }
    }
}

impl Shard {
    /// Whether a shard is about to go, as planned.
    pub fn is_frozen(&self, shard: Number) -> bool {
        self.shared.frozen.contains_key(&shard)
    }

    pub(crate) fn is_ours(&self, room: &BareJid) -> bool {
        self.names.contains_key(room) || self.shared.epochs.of(Number::of(room)).is_some()
    }

    /// Takes shards, each under its epoch.
    pub(crate) fn own(&mut self, shards: Vec<(Number, Epoch)>, out: &mut Vec<Out>) {
        let known = |shard: &Number| self.shared.epochs.of(*shard);
        let news: Vec<_> =
            shards.into_iter().filter(|(shard, epoch)| known(shard).is_none_or(|old| old < *epoch)).collect();
        let old = news.iter().map(|(shard, _)| *shard).filter(|shard| known(shard).is_some()).collect();
        self.disown(&old, false, out);
        for (shard, epoch) in news {
            self.shared.epochs.insert(shard, epoch);
        }
    }

    /// Forgets all rooms of these shards. What comes back for them later finds nobody. `undone`: nothing that was not
    /// answered has happened, so what rooms have taken is given back as well.
    pub(crate) fn disown(&mut self, shards: &BTreeSet<Number>, undone: bool, out: &mut Vec<Out>) {
        for shard in shards {
            self.shared.epochs.remove(*shard);
            self.shared.frozen.remove(shard);
        }
        for key in self.slots_of(shards) {
            let Some(mut slot) = self.slots.remove(&key) else { continue };
            self.names.remove(&slot.jid);
            self.deadlines.set(key, slot.timer, None);
            self.bytes -= slot.bytes();
            for (ticket, _) in &slot.sent {
                self.shared.tickets.remove(ticket);
            }
            for read in slot.reads.keys() {
                self.shared.reads.remove(read);
            }
            if matches!(slot.state, State::Loading) {
                self.shared.stale_loads.insert(slot.jid.clone());
            }
            let taken = if undone { slot.barrier.abandon() } else { VecDeque::new() };
            let waiting = std::iter::from_fn(|| slot.parked.pop());
            for item in taken.into_iter().filter_map(|entry| entry.item).chain(waiting) {
                // A source keeps its own.
                if let (What::Stanza(stanza), None) = (item.what, item.routed) {
                    out.push(Out::Unhandled { room: slot.jid.clone(), stanza: Arc::unwrap_or_clone(stanza) });
                }
            }
        }
    }

    /// Lets the rooms of these shards finish what they have begun.
    pub(crate) fn freeze(&mut self, shards: Vec<Number>, now: Now, out: &mut Vec<Out>) {
        let shared = &self.shared;
        let shards: BTreeSet<Number> = shards
            .into_iter()
            .filter(|shard| shared.epochs.of(*shard).is_some() && !shared.frozen.contains_key(shard))
            .collect();
        let slots = self.slots_of(&shards);
        for shard in &shards {
            self.shared.frozen.insert(*shard, Freeze { busy: BTreeSet::new(), said: false });
        }
        for key in &slots {
            if let Some(slot) = self.slots.get(key)
                && let Some(freeze) = self.shared.frozen.get_mut(&slot.shard)
            {
                freeze.busy.insert(*key);
            }
        }
        for key in slots {
            self.visit(key, now, out, |slot, _| slot.freeze());
        }
        for shard in shards {
            if let Some(freeze) = self.shared.frozen.get_mut(&shard) {
                freeze.say(shard, out);
            }
        }
    }

    /// Lets the rooms of these shards go on.
    pub(crate) fn thaw(&mut self, shards: Vec<Number>, now: Now, out: &mut Vec<Out>) {
        let frozen = &mut self.shared.frozen;
        let shards: BTreeSet<Number> = shards.into_iter().filter(|shard| frozen.remove(shard).is_some()).collect();
        for key in self.slots_of(&shards) {
            self.on(key, now, out, Slot::thaw);
        }
    }

    fn slots_of(&self, shards: &BTreeSet<Number>) -> Vec<SlotKey> {
        if shards.is_empty() {
            return Vec::new();
        }
        self.slots.iter().filter(|(_, slot)| shards.contains(&slot.shard)).map(|(key, _)| *key).collect()
    }
}

impl Slot {
    fn freeze(&mut self) {
        self.frozen = true;
        if matches!(self.state, State::Resting(_)) && self.lazy.is_empty() {
            self.state = State::Waiting;
        }
    }

    fn thaw(&mut self, cx: &mut Cx<'_>) {
        self.frozen = false;
        match self.state {
            State::Live(_) => {
                self.catch_up_on_news(cx);
                self.begin_replays(cx);
                self.run_parked(cx);
            }
            State::Waiting if self.is_wanted() => self.load(cx),
            State::Waiting => self.state = State::Gone,
            _ => {}
        }
    }

    /// Tells the room what it would have heard.
    fn catch_up_on_news(&mut self, cx: &mut Cx<'_>) {
        self.act(Input::Site(cx.shared.site.clone()), None, cx);
        for (remote, told) in self.told.clone() {
            let state = cx.shared.paths.get(&remote).copied().unwrap_or(PathState::Up);
            if state != told {
                self.tell(&remote, state, cx);
            }
        }
        self.tell_all(cx);
    }

    /// Says that the shard stands still, if this was the last of its rooms with something outstanding.
    pub(crate) fn say_if_frozen(&self, cx: &mut Cx<'_>) {
        let Some(freeze) = cx.shared.frozen.get_mut(&self.shard) else { return };
        if self.is_busy() {
            freeze.busy.insert(self.key);
        } else if freeze.busy.remove(&self.key) {
            freeze.say(self.shard, cx.out);
        }
    }

    /// Whether something that was decided is not durable and released.
    fn is_busy(&self) -> bool {
        !self.barrier.is_empty() || !self.sent.is_empty() || !self.lazy.is_empty() || !self.unwritten.is_empty()
    }
}
