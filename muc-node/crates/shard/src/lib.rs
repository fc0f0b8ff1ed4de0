//! The pure shell of many rooms: commit barrier, deadlines, parking. No IO, no clock, no randomness.
//!
//! - **A room runs ahead; its effects wait.** What a room decides is shown when everything of this room that it may
//!   depend on is durable, in the room's order. Lazy rows are written soon, and nothing waits for them.
//! - **Inputs are kept until they are durable.** When a ticket fails, the room is dropped and loaded, and the kept
//!   inputs are handled again in order. One whose own ticket fails again is refused; the rest goes on.
//! - **A routed stanza happens once.** Its number is written with what it leaves; who routed it is told when it is handled, and a
//!   repeat changes nothing.
//! - **Which shards are ours changes.** One that goes as planned is frozen first: its rooms decide nothing any more, and
//!   what they have decided is released. One that is taken away goes with all that waits.
//! - **A room that is not in memory is loaded at the first input.** Inputs are parked meanwhile; a request that waits
//!   for too long is answered `remote-server-timeout`, never anything that makes a client leave.
//!
//! How it is driven: [`Shard::handle`] with everything that happens, in order, and [`In::Tick`] at
//! [`Shard::next_deadline`]. Answers to [`Out::Submit`] keep the order of `warren_store::LaneQueue`: tickets of a room
//! complete in order, and after one that failed all later ones fail, up to one that is `fresh`.
//!
//! One input at a time: `slot` has what comes in and what is due, `act` what the room does, `life` how it is loaded,
//! dropped and ends, `owned` which shards are ours, `barrier` what waits, `parked` what was not handled yet.

mod act;
mod barrier;
mod deadlines;
mod io;
mod item;
mod lazy;
mod life;
mod numbers;
mod owned;
mod parked;
mod refuse;
mod shared;
mod slot;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jid::BareJid;
use warren_model::{Now, Routed};
use warren_room::{Room, Site};

pub use io::{Breakage, Epochs, In, Out, Settings};

use deadlines::Deadlines;
use item::{Item, What};
use shared::Shared;
use slot::{Cx, Slot, SlotKey, State};

/// All rooms that one lane serves.
#[derive(Debug)]
pub struct Shard {
    shared: Shared,
    // Never iterated: its order is not reproducible.
    names: HashMap<BareJid, SlotKey>,
    slots: BTreeMap<SlotKey, Slot>,
    last_slot: u64,
    deadlines: Deadlines,
    bytes: usize,
    dead: bool,
}

impl Shard {
    /// Without any room. Decisions are stamped with the epochs of their shards.
    pub fn new(settings: Settings, epochs: Epochs, site: Arc<Site>) -> Self {
        Self {
            shared: Shared::new(settings, epochs, site),
            names: HashMap::new(),
            slots: BTreeMap::new(),
            last_slot: 0,
            deadlines: Deadlines::default(),
            bytes: 0,
            dead: false,
        }
    }

    /// Takes one input and appends what is to be done about it. After [`Out::Dead`] it does nothing.
    pub fn handle(&mut self, input: In, now: Now, out: &mut Vec<Out>) {
        if self.dead {
            return;
        }
        match input {
            In::Stanza { room, stanza, source } => {
                let routed = source.map(|(source, n)| Routed { source, n });
                if routed.is_none() && !self.is_ours(&room) {
                    return out.push(Out::Unhandled { room, stanza });
                }
                self.at(room, now, out, |slot, cx| slot.stanza(stanza, routed, cx));
            }
            In::Declare(declared) => {
                let item = Item::new(What::Declare(declared.clone()), now.mono);
                self.at(declared.jid, now, out, |slot, cx| slot.take(item, cx));
            }
            In::Withdraw { room, destroy, reason } => {
                let item = Item::new(What::Withdraw { destroy, reason }, now.mono);
                self.at(room, now, out, |slot, cx| slot.take(item, cx));
            }
            In::Site(site) => {
                self.shared.site = site.clone();
                self.each(now, out, |slot, cx| slot.site(site.clone(), cx));
            }
            In::Wake { room } => self.at(room, now, out, |slot, _| slot.woken = true),
            In::Path { remote, state } => {
                self.shared.path(&remote, state);
                self.each(now, out, |slot, cx| slot.path(&remote, state, cx));
            }
            In::Paths(paths) => {
                for (remote, state) in self.shared.paths_changed(paths) {
                    self.shared.path(&remote, state);
                    self.each(now, out, |slot, cx| slot.path(&remote, state, cx));
                }
            }
            In::Regroup => self.each(now, out, Slot::regroup),
            In::Replay { room, remote, after } => {
                self.at(room, now, out, |slot, cx| slot.replay(remote, after, cx));
            }
            In::Loaded { room, .. } | In::LoadFailed { room, .. } if self.shared.stale_loads.remove(&room) => {
                self.known(&room, now, out, |slot, cx| slot.ask_for_room(cx));
            }
            In::Loaded { room, rows } => self.known(&room, now, out, |slot, cx| slot.loaded(rows, cx)),
            In::LoadFailed { room, why: _ } => self.known(&room, now, out, |slot, cx| slot.load_failed(cx)),
            In::Page { room: _, read, rows } => {
                if let Some(key) = self.shared.reads.get(&read).copied() {
                    self.on(key, now, out, |slot, cx| slot.page(read, rows, cx));
                }
            }
            In::PageFailed { room: _, read, why: _ } => {
                if let Some(key) = self.shared.reads.get(&read).copied() {
                    self.on(key, now, out, |slot, cx| slot.page_failed(read, cx));
                }
            }
            In::Done { ticket, lane, batch } => {
                if let Some(key) = self.shared.tickets.remove(&ticket) {
                    self.on(key, now, out, |slot, cx| slot.done(ticket, (lane, batch), cx));
                }
            }
            In::Failed { ticket, why } => {
                if let Some(key) = self.shared.tickets.remove(&ticket) {
                    self.on(key, now, out, |slot, cx| slot.failed(ticket, &why, cx));
                }
            }
            In::Disowned { ticket } => {
                let slot = self.shared.tickets.get(&ticket).and_then(|key| self.slots.get(key));
                if let Some(shard) = slot.map(|slot| slot.shard) {
                    out.push(Out::Disowned(shard));
                    self.disown(&[shard].into(), true, out);
                }
            }
            In::Own(shards) => self.own(shards, out),
            In::Disown(shards) => self.disown(&shards.into_iter().collect(), false, out),
            In::Freeze(shards) => self.freeze(shards, now, out),
            In::Thaw(shards) => self.thaw(shards, now, out),
            In::Flush => self.each(now, out, Slot::flush),
            In::Fenced => {
                self.die();
                out.push(Out::Dead);
            }
            In::Tick => {
                for key in self.deadlines.due(now.mono) {
                    self.visit(key, now, out, |slot, cx| {
                        slot.tick(cx);
                        slot.ticked(cx.now.mono);
                    });
                }
            }
        }
    }

    /// When [`In::Tick`] is due, in monotonic time.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first()
    }

    /// Bytes of inputs that are not committed, roughly: streams are not read while this is too much.
    pub fn queued_bytes(&self) -> usize {
        self.bytes
    }

    /// A room, if it is in memory. What it says may not be durable yet.
    pub fn room(&self, room: &BareJid) -> Option<&Room> {
        self.slots.get(self.names.get(room)?)?.room()
    }

    /// All rooms in memory, in the order in which they came. What they say may not be durable yet.
    pub fn rooms(&self) -> impl Iterator<Item = &Room> {
        self.slots.values().filter_map(Slot::room)
    }

    fn die(&mut self) {
        self.dead = true;
        self.names.clear();
        self.slots.clear();
        self.deadlines.clear();
        self.bytes = 0;
    }

    /// Something for a room of ours, whether it is in memory or not.
    fn at(&mut self, room: BareJid, now: Now, out: &mut Vec<Out>, f: impl FnOnce(&mut Slot, &mut Cx<'_>)) {
        if let Some(key) = self.names.get(&room) {
            return self.on(*key, now, out, f);
        }
        let shard = warren_model::Shard::of(&room);
        let Some(epoch) = self.shared.epochs.of(shard) else { return };
        self.last_slot += 1;
        let key = SlotKey(self.last_slot);
        let slot = Slot::new(key, room.clone(), (shard, epoch), &mut Cx { shared: &mut self.shared, now, out });
        self.names.insert(room, key);
        self.slots.insert(key, slot);
        self.on(key, now, out, f);
    }

    /// Something for a room, if there is a slot for it.
    fn known(&mut self, room: &BareJid, now: Now, out: &mut Vec<Out>, f: impl FnOnce(&mut Slot, &mut Cx<'_>)) {
        if let Some(key) = self.names.get(room).copied() {
            self.on(key, now, out, f);
        }
    }

    /// Something for all rooms in memory, in the order in which they came. It is about the site, not about them, so it keeps no room
    /// from being forgotten.
    fn each(&mut self, now: Now, out: &mut Vec<Out>, f: impl Fn(&mut Slot, &mut Cx<'_>)) {
        let keys: Vec<SlotKey> = self.slots.keys().copied().collect();
        for key in keys {
            self.visit(key, now, out, |slot, cx| {
                f(slot, cx);
                slot.ticked(cx.now.mono);
            });
        }
    }

    fn on(&mut self, key: SlotKey, now: Now, out: &mut Vec<Out>, f: impl FnOnce(&mut Slot, &mut Cx<'_>)) {
        self.visit(key, now, out, |slot, cx| {
            f(slot, cx);
            slot.touched(cx.now.mono);
        });
    }

    /// Does something with a slot, then brings up to date what the shard knows of it.
    fn visit(&mut self, key: SlotKey, now: Now, out: &mut Vec<Out>, f: impl FnOnce(&mut Slot, &mut Cx<'_>)) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let bytes = slot.bytes();
        let cx = &mut Cx { shared: &mut self.shared, now, out };
        f(slot, cx);
        if slot.frozen {
            slot.flush(cx);
            slot.say_if_frozen(cx);
        }
        self.bytes = self.bytes - bytes + slot.bytes();
        let due = if matches!(slot.state, State::Gone) { None } else { slot.deadline(&self.shared.settings) };
        self.deadlines.set(key, slot.timer, due);
        slot.timer = due;
        if matches!(slot.state, State::Gone) {
            self.names.remove(&slot.jid);
            self.slots.remove(&key);
        }
    }
}
