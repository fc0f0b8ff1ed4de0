//! What a path writes: its items in order, and pings between them.

use std::time::Duration;

use bytes::Bytes;
use warren_model::RoomId;
use warren_xmpp::cast::GroupChange;

use crate::context::Context;
use crate::path::{Phase, Route};
use crate::queue::Item;
use crate::splice;

impl Route {
    /// Whether [`Route::write`] would write.
    pub(crate) fn ready(&self, cx: &Context) -> bool {
        cx.link && (self.ping_due || (!self.queue.is_empty() && self.flows()))
    }

    /// Whether the queue is written.
    fn flows(&self) -> bool {
        !matches!(self.phase, Phase::Cold | Phase::Opening { .. })
    }

    /// Appends to `out` until it is `stop` bytes long or nothing is left. Returns what did not fit of
    /// the last thing; it must come next.
    pub(crate) fn write(&mut self, cx: &mut Context, out: &mut Vec<u8>, stop: usize, now: Duration) -> Option<Bytes> {
        while out.len() < stop {
            // Not within a cast: the interval that a ping closes holds whole rows.
            if self.ping_due && self.queue.cursor() == 0 {
                self.write_ping(cx, out, now);
            } else if !self.flows() || self.queue.is_empty() {
                break;
            } else if let Some(rest) = self.write_item(cx, out, stop, now) {
                return Some(rest);
            }
        }
        None
    }

    fn write_item(&mut self, cx: &mut Context, out: &mut Vec<u8>, stop: usize, now: Duration) -> Option<Bytes> {
        let mut cursor = self.queue.cursor();
        let (mut rest, mut proof) = (None, false);
        let done = match self.queue.front()? {
            Item::Cast { room, cast, row } => match self.groups.get(room) {
                Some(group) => {
                    let served = splice::cast(group, cast, &mut cursor, out, stop);
                    cx.stats.deliveries += served as u64;
                    if let Some(row) = row.as_ref().filter(|_| served > 0) {
                        proof = !self.chain.wants_ping();
                        self.chain.wrote(row);
                        self.wanted.1 = now;
                    }
                    cursor >= group.slots().len()
                }
                None => true,
            },
            Item::Send { bytes, row } => {
                cx.stats.deliveries += 1;
                rest = fill(bytes, out, stop);
                if let Some(row) = row {
                    proof = !self.chain.wants_ping();
                    self.chain.wrote(row);
                    self.wanted.1 = now;
                }
                true
            }
            Item::Peer(bytes) => {
                cx.stats.deliveries += 1;
                rest = fill(bytes, out, stop);
                true
            }
            Item::ReplayEnd(room) => {
                if self.gaps.ended(*room) {
                    proof = !self.chain.wants_ping();
                    self.chain.replay_ended(*room);
                    self.wanted.1 = now;
                }
                true
            }
            Item::Audit { room, jid } => match self.groups.get_mut(room) {
                Some(group) => {
                    let id = cx.audit_id();
                    let template = splice::audit(jid, &id);
                    while let Some(slot) = group.slots().get(cursor).copied() {
                        if out.len() >= stop {
                            break;
                        }
                        if slot.is_marked() {
                            template.splice(group.address(&slot), out);
                            group.unmark(cursor);
                            cx.stats.audited += 1;
                            proof |= !self.chain.wants_ping();
                            self.chain.audited(*room);
                            self.wanted.1 = now;
                        }
                        cursor += 1;
                    }
                    cursor >= group.slots().len()
                }
                None => true,
            },
            Item::Group { .. } | Item::Close(_) => true,
        };
        if proof {
            self.wanted.0 = now;
        }
        if !done {
            self.queue.set_cursor(cursor);
            return None;
        }
        if let Some(item) = self.queue.pop() {
            self.apply(item);
        }
        // Under load the next ping does not wait for silence.
        let interval = cx.settings.timers.ping_interval;
        if self.phase == Phase::Open
            && self.chain.wants_ping()
            && now >= self.wanted.0 + interval
            && self.last_ping.is_none_or(|last| now >= last + interval)
        {
            self.ping_due = true;
        }
        rest
    }

    fn write_ping(&mut self, cx: &mut Context, out: &mut Vec<u8>, now: Duration) {
        let (n, id) = cx.ping_id();
        out.extend_from_slice(&splice::ping(&self.path, &id));
        cx.stats.pings += 1;
        self.ping_due = false;
        self.last_ping = Some(now);
        if let Some(lost) = self.chain.ping(n, now) {
            self.lose(lost);
        }
        if let Phase::Suspect { probed } = &mut self.phase {
            probed.get_or_insert(now);
        }
        if self.phase.in_trouble() {
            self.next_probe = now + self.probe_wait;
            self.probe_wait = (self.probe_wait * 2).min(cx.settings.probe_max);
        }
    }

    /// Does what an item does to the members when its turn has come.
    pub(crate) fn apply(&mut self, item: Item) {
        match item {
            Item::Group { room, version, change, audit } => {
                let group = self.groups.entry(room).or_default();
                // Members that were not audited yet come again under other numbers.
                let audit = audit || (matches!(change, GroupChange::Reset(_)) && group.marked() > 0);
                group.apply(version, &change);
                if group.is_empty() {
                    self.groups.remove(&room);
                    self.audits.remove(&room);
                } else if audit {
                    group.mark_all();
                    self.audits.insert(room);
                }
            }
            Item::Close(room) => {
                self.groups.remove(&room);
                self.audits.remove(&room);
                // Its log is gone with it: there is nothing that could be sent again.
                self.gaps.remove(room);
                self.chain.forget(room);
            }
            _ => {}
        }
    }

    /// Marks everybody behind this path for an audit, also those whose coming is still queued.
    pub(crate) fn audit_all(&mut self) {
        self.queue.audit_changes();
        for (room, group) in &mut self.groups {
            group.mark_all();
            self.audits.insert(*room);
        }
    }

    /// Whether anything of this room is here.
    pub(crate) fn knows(&self, room: RoomId) -> bool {
        self.groups.contains_key(&room) || self.gaps.contains(room) || self.chain.knows(room)
    }
}

/// Appends what fits; returns the rest.
fn fill(bytes: &Bytes, out: &mut Vec<u8>, stop: usize) -> Option<Bytes> {
    let fits = stop.saturating_sub(out.len()).min(bytes.len());
    out.extend_from_slice(&bytes[..fits]);
    (fits < bytes.len()).then(|| bytes.slice(fits..))
}
