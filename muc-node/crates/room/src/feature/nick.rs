//! Changing one's nick (XEP-0045 7.6).

use serde_bytes::ByteBuf;
use warren_model::{LogKind, Row};
use warren_xmpp::cast::Who;
use warren_xmpp::{ErrorType, Kind, ns};

use super::{Feature, Incoming};
use crate::log::Entry;
use crate::payload::{NickChange, Payload};
use crate::render::nick_presences;
use crate::room::Room;
use crate::state::Nick;

pub(super) const FEATURE: Feature = Feature { vars: &[], handle };

fn handle(room: &mut Room, incoming: &Incoming<'_>) -> bool {
    let (Some(old), Some(new)) = (&incoming.sender, &incoming.nick) else { return false };
    if incoming.kind() != Kind::Presence
        || incoming.type_().is_some()
        || old == new
        || incoming.stanza.content.has("x", ns::MUC)
    {
        return false;
    }
    let head = &incoming.stanza.head;
    if new.trim().is_empty() {
        room.refuse(head, ErrorType::Modify, "not-acceptable", "a nick needs a visible character");
    } else if room.occupants.get(new).is_some() {
        room.refuse(head, ErrorType::Cancel, "conflict", "this nick is in use");
    } else if room.occupants.get(old).is_some_and(|occupant| occupant.sessions.len() > 1) {
        // The other clients of this user would be renamed without having asked.
        room.refuse(head, ErrorType::Cancel, "not-acceptable", "another of your clients is here under this nick");
    } else {
        let presence = super::cleaned_presence(&incoming.stanza.content);
        if let Some(occupant) = room.occupants.get_mut(old) {
            occupant.presence = presence;
        }
        room.change_nick(old, new);
    }
    true
}

impl Room {
    /// Moves an occupant to a nick that is free.
    pub(crate) fn change_nick(&mut self, old: &Nick, new: &Nick) {
        let Some(occupant) = self.occupants.get(old) else { return };
        let jid = occupant.sessions[0].jid.clone();
        let ingress = occupant.peer().cloned();
        let change = NickChange {
            new: Box::from(&**new),
            affiliation: self.shown_affiliation(occupant),
            role: occupant.role,
            presence: ByteBuf::from(occupant.presence.bytes().to_vec()),
        };
        let logged = self.append(Entry {
            kind: LogKind::Nick,
            jid: Some(&jid),
            nick: old,
            ingress: ingress.as_ref(),
            id: None,
            eff: None,
            payload: Payload::Nick(change.clone()),
        });
        let seq = logged.row.seq;
        let gone: Vec<_> =
            self.occupants.get(old).map(|o| o.sessions.iter().map(|s| s.jid.clone()).collect()).unwrap_or_default();
        for jid in gone {
            self.persist(Row::OccupantGone { jid, nick: Box::from(&**old) });
        }
        self.occupants.rename(old, new);
        if let Some(occupant) = self.occupants.get_mut(new) {
            occupant.seq = seq;
        }
        self.persist_occupant(new);
        let Some(occupant) = self.occupants.get(new) else { return };
        let own = if occupant.is_local() { occupant.session_ids() } else { smallvec::SmallVec::new() };
        let [before, after] = nick_presences(old, &jid, &occupant.occupant_id, &change);
        let before = self.presence_variants(&before, own.clone());
        let after = self.presence_variants(&after, own);
        self.cast(Some(seq), before, Who::All);
        self.cast(Some(seq), after, Who::All);
        self.put_in_group(new, seq);
        self.fmuc_out(&logged);
    }
}
