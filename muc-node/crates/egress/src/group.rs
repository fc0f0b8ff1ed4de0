//! The members of one room on one path: what casts are spliced for.

use jid::Jid;
use warren_model::Seq;
use warren_xmpp::cast::{GroupChange, Member, SessionId};
use warren_xmpp::writer::escape_into;

/// One member, 24 bytes; its address lies in the arena.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub session: SessionId,
    flags: u8,
    at: u32,
    len: u32,
    pub joined: Seq,
}

const SEES_REAL: u8 = 1;
const MODERATOR: u8 = 2;
/// Is to be audited.
const AUDIT: u8 = 4;

impl Slot {
    pub(crate) fn sees_real(&self) -> bool {
        self.flags & SEES_REAL != 0
    }

    pub(crate) fn moderator(&self) -> bool {
        self.flags & MODERATOR != 0
    }

    pub(crate) fn is_marked(&self) -> bool {
        self.flags & AUDIT != 0
    }
}

/// An egress group. Slots are in order of session, addresses escaped in one arena, so that a cast
/// reads memory from front to back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    slots: Vec<Slot>,
    arena: Vec<u8>,
    /// Bytes of the arena that belong to nobody; compacted when they are more than half.
    garbage: usize,
    /// Position of the last row that changed the group.
    pub version: Seq,
}

impl Group {
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The escaped address.
    pub(crate) fn address(&self, slot: &Slot) -> &[u8] {
        let at = slot.at as usize;
        self.arena.get(at..at + slot.len as usize).unwrap_or_default()
    }

    pub(crate) fn apply(&mut self, version: Seq, change: &GroupChange) {
        self.version = self.version.max(version);
        match change {
            GroupChange::Reset(members) => {
                *self = Self { version, ..Self::default() };
                self.slots.reserve_exact(members.len());
                for member in members {
                    self.put(member);
                }
            }
            GroupChange::Put(member) => self.put(member),
            GroupChange::Remove(session) => self.remove(*session),
        }
    }

    fn put(&mut self, member: &Member) {
        let mut flags = 0;
        if member.sees_real {
            flags |= SEES_REAL;
        }
        if member.moderator {
            flags |= MODERATOR;
        }
        match self.find(member.session) {
            Ok(known) => {
                let slot = self.slots[known];
                // Usually only the flags differ.
                let (at, len) = if self.address(&slot) == escaped(&member.jid) {
                    (slot.at, slot.len)
                } else {
                    self.garbage += slot.len as usize;
                    self.store(&member.jid)
                };
                self.slots[known] =
                    Slot { flags: flags | slot.flags & AUDIT, at, len, joined: member.join_seq, ..slot };
            }
            Err(place) => {
                let (at, len) = self.store(&member.jid);
                self.slots.insert(place, Slot { session: member.session, flags, at, len, joined: member.join_seq });
            }
        }
        self.compact();
    }

    fn remove(&mut self, session: SessionId) {
        if let Ok(known) = self.find(session) {
            self.garbage += self.slots[known].len as usize;
            self.slots.remove(known);
            self.compact();
        }
    }

    fn find(&self, session: SessionId) -> Result<usize, usize> {
        // Sessions are numbered as they come, so a new one nearly always goes to the end.
        if self.slots.last().is_none_or(|last| last.session < session) {
            return Err(self.slots.len());
        }
        self.slots.binary_search_by_key(&session, |slot| slot.session)
    }

    /// Appends an address. The arena of a group ends at 4 GiB: an address beyond it is stored empty.
    /// At 3,071 bytes an address (RFC 7622 section 3.1) that is a million occupants of one domain.
    fn store(&mut self, jid: &Jid) -> (u32, u32) {
        let start = self.arena.len();
        escape_into(&mut self.arena, jid.as_str());
        if let (Ok(at), Ok(len)) = (u32::try_from(start), u32::try_from(self.arena.len() - start)) {
            return (at, len);
        }
        self.arena.truncate(start);
        (0, 0)
    }

    fn compact(&mut self) {
        if self.garbage <= self.arena.len() / 2 {
            return;
        }
        let mut arena = Vec::with_capacity(self.arena.len() - self.garbage);
        for slot in &mut self.slots {
            let at = slot.at as usize;
            let address = self.arena.get(at..at + slot.len as usize).unwrap_or_default();
            // Never larger than the old arena, so the position fits.
            slot.at = u32::try_from(arena.len()).unwrap_or_default();
            arena.extend_from_slice(address);
        }
        self.arena = arena;
        self.garbage = 0;
    }

    /// Marks all members for the audit; returns how many there are.
    pub(crate) fn mark_all(&mut self) -> usize {
        for slot in &mut self.slots {
            slot.flags |= AUDIT;
        }
        self.slots.len()
    }

    /// How many members are still to be audited.
    pub(crate) fn marked(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_marked()).count()
    }

    /// The member at this place is audited.
    pub(crate) fn unmark(&mut self, place: usize) {
        if let Some(slot) = self.slots.get_mut(place) {
            slot.flags &= !AUDIT;
        }
    }

    /// Nobody is to be audited any more.
    pub(crate) fn unmark_all(&mut self) {
        for slot in &mut self.slots {
            slot.flags &= !AUDIT;
        }
    }

    /// Bytes of the arena in use and altogether.
    pub(crate) fn arena(&self) -> (usize, usize) {
        (self.arena.len().saturating_sub(self.garbage), self.arena.len())
    }
}

fn escaped(jid: &Jid) -> Vec<u8> {
    let mut out = Vec::with_capacity(jid.as_str().len());
    escape_into(&mut out, jid.as_str());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(session: u32, jid: &str) -> Member {
        Member {
            session: SessionId(session),
            jid: Jid::new(jid).unwrap(),
            sees_real: false,
            moderator: false,
            join_seq: Seq(1),
        }
    }

    fn addresses(group: &Group) -> Vec<&str> {
        group.slots().iter().map(|slot| std::str::from_utf8(group.address(slot)).unwrap()).collect()
    }

    #[test]
    fn members_come_change_and_go() {
        let mut group = Group::default();
        group.apply(Seq(1), &GroupChange::Put(member(2, "b@x.lit/b")));
        group.apply(Seq(2), &GroupChange::Put(member(1, "a@x.lit/it's")));
        assert_eq!(addresses(&group), ["a@x.lit/it&apos;s", "b@x.lit/b"]);
        group.mark_all();
        group.apply(Seq(3), &GroupChange::Put(Member { moderator: true, ..member(2, "b@x.lit/b") }));
        assert!(group.slots()[1].moderator() && group.slots()[1].is_marked() && !group.slots()[0].moderator());
        group.apply(Seq(4), &GroupChange::Remove(SessionId(1)));
        group.apply(Seq(4), &GroupChange::Remove(SessionId(7)));
        assert_eq!(addresses(&group), ["b@x.lit/b"]);
        assert_eq!(group.version, Seq(4));
        group.apply(Seq(9), &GroupChange::Reset(vec![member(5, "c@x.lit/c")]));
        assert_eq!(addresses(&group), ["c@x.lit/c"]);
        assert_eq!(group.marked(), 0);
    }

    #[test]
    fn the_arena_is_compacted() {
        let mut group = Group::default();
        for n in 0..100 {
            group.apply(Seq(1), &GroupChange::Put(member(n, &format!("user{n}@x.lit/r"))));
        }
        for n in 0..90 {
            group.apply(Seq(1), &GroupChange::Remove(SessionId(n)));
            let (used, all) = group.arena();
            assert!(all <= 2 * used || all == 0, "{used} of {all}");
        }
        assert_eq!(addresses(&group)[0], "user90@x.lit/r");
        assert_eq!(addresses(&group)[9], "user99@x.lit/r");
    }
}
