//! Nicks are each node's own (XEP-0289 3): of two users with one nick the one who comes later to *this*
//! node is shown under an alias here. No protocol, nobody is thrown out (`fmuc.md` 6.5).

use jid::{BareJid, Jid};

use crate::room::Room;
use crate::state::Nick;

impl Room {
    /// The nick under which a peer's user is shown here.
    pub(super) fn nick_for(&self, peer: &BareJid, user: &Jid, there: &str) -> Nick {
        let free = |nick: &str| {
            self.occupants.get(nick).is_none_or(|holder| {
                holder.peer() == Some(peer) && holder.sessions.iter().any(|session| &session.jid == user)
            })
        };
        if free(there) {
            return there.into();
        }
        let domain = peer.domain();
        let first = format!("{there} ({domain})");
        if free(&first) {
            return first.into();
        }
        // One more number than there are occupants: one of them is free.
        let numbers = 2..=self.occupants.len() + 2;
        numbers.map(|n| format!("{there} ({domain}) {n}")).find(|nick| free(nick)).unwrap_or(first).into()
    }
}
