//! The audit: who left while the link was away?
//!
//! Leaves are lost then, for no server queues them. So everybody who was a member before the link
//! came up is once sent a groupchat message without body from the room itself: a live client takes no
//! notice, the server of a dead session bounces it as an error to the room, which removes the occupant
//! (`servers.md` 1). The path's next ping is the fence behind them. Whoever is counted as alive by a
//! server in between (a hibernating session of XEP-0198) stays.
//!
//! Members are marked in their groups; this module says whose turn it is. Rooms are taken in turn
//! over all paths, a room's members in one go, at a limited rate.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::group::Group;
use crate::link::Egress;
use crate::path::Phase;
use crate::queue::Item;

/// Bytes of an audit stanza, about.
const LEN: usize = 128;

/// Paths with rooms to audit, and when the next may be.
#[derive(Debug, Default)]
pub(crate) struct Audits {
    /// Places of paths in the table.
    ring: VecDeque<usize>,
    next: Duration,
    /// Rooms loaded until then were there before the link came up.
    window: Duration,
}

impl Audits {
    /// The link came up.
    pub(crate) fn link_up(&mut self, now: Duration, window: Duration) {
        self.window = now.saturating_add(window);
    }

    /// Whether members that a room has from the start were there before the link came up.
    pub(crate) fn covers(&self, now: Duration, link: bool) -> bool {
        !link || now <= self.window
    }

    pub(crate) fn push(&mut self, place: usize) {
        self.ring.push_back(place);
    }

    /// The next path, if it is time.
    pub(crate) fn pop(&mut self, now: Duration) -> Option<usize> {
        if now < self.next { None } else { self.ring.pop_front() }
    }

    /// So many stanzas were spent.
    pub(crate) fn spend(&mut self, stanzas: usize, per_second: u32, now: Duration) {
        let stanzas = u32::try_from(stanzas).unwrap_or(u32::MAX);
        let pause = Duration::from_secs(1).saturating_mul(stanzas) / per_second.max(1);
        self.next = self.next.max(now).saturating_add(pause);
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        (!self.ring.is_empty()).then_some(self.next)
    }
}

impl Egress {
    /// Audits rooms as far as the rate allows.
    pub(crate) fn audit(&mut self, now: Duration) {
        let per_second = self.table.cx.settings.audit_per_second;
        while self.table.cx.link
            && let Some(place) = self.audits.pop(now)
        {
            let Some((route, cx)) = self.table.both(place) else { continue };
            route.in_audit = false;
            match route.phase {
                Phase::Cold => {
                    route.open(cx, now);
                    self.audits.spend(1, per_second, now);
                }
                Phase::Open => {
                    let Some(room) = route.audits.pop_first() else { continue };
                    let marked = route.groups.get(&room).map_or(0, Group::marked);
                    // A room whose last members are about to leave has no entry any more.
                    if let Some(entry) = self.rooms.get(&room) {
                        let item = Item::Audit { room, jid: Arc::clone(&entry.jid) };
                        self.table.push(place, item, marked * LEN, now);
                    } else if let Some(group) = route.groups.get_mut(&room) {
                        // Their leaves are queued: there is nobody to ask for.
                        group.unmark_all();
                    }
                    self.audits.spend(marked, per_second, now);
                }
                // Its turn comes again when it is open.
                Phase::Opening { .. } | Phase::Suspect { .. } | Phase::Down => {}
            }
            self.table.settle(place, now);
            self.enlist(place);
        }
    }

    /// Puts a path in the ring of audits if it is its turn to be there.
    pub(crate) fn enlist(&mut self, place: usize) {
        if let Some(route) = self.table.route(place)
            && !route.in_audit
            && !route.audits.is_empty()
            && matches!(route.phase, Phase::Cold | Phase::Open)
        {
            route.in_audit = true;
            self.audits.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_holds() {
        let mut audits = Audits::default();
        assert_eq!(audits.deadline(), None);
        for place in 0..3 {
            audits.push(place);
        }
        let second = Duration::from_secs(1);
        assert_eq!(audits.pop(second), Some(0));
        audits.spend(500, 1000, second);
        assert_eq!((audits.pop(second), audits.deadline()), (None, Some(second * 3 / 2)));
        assert_eq!(audits.pop(second * 2), Some(1));
        assert_eq!(audits.pop(second * 2), Some(2));
    }
}
