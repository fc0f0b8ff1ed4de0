//! Going, and being made to go (XEP-0045 7.14, 8.2, 9.1, 9.4, 11.1).

use jid::Jid;
use warren_model::{LogKind, Row};
use warren_xmpp::{Kind, ns};

use super::{Feature, Incoming};
use crate::log::Entry;
use crate::payload::{Cause, Leave, Payload};
use crate::render::{leave_presence, status_bytes};
use crate::room::Room;
use crate::state::Nick;

pub(super) const FEATURE: Feature = Feature { vars: &[], handle };

fn handle(room: &mut Room, incoming: &Incoming<'_>) -> bool {
    if incoming.kind() != Kind::Presence || incoming.type_() != Some("unavailable") {
        return false;
    }
    // From somebody who is not here: nothing to do, and nobody to answer (XEP-0045 17.3). The nick it
    // is addressed to does not matter: a client that goes offline goes.
    if let Some(nick) = &incoming.sender {
        let status = incoming.stanza.content.find("status", ns::CLIENT).map(|child| child.text());
        room.remove_session(nick, &incoming.from, &Leave { status, ..Leave::default() });
    }
    true
}

impl Room {
    /// Removes one session; with the last one the occupant is gone. `why` says the cause and the words.
    pub(crate) fn remove_session(&mut self, nick: &Nick, jid: &Jid, why: &Leave) {
        let Some(occupant) = self.occupants.get(nick) else { return };
        let ingress = occupant.peer().cloned();
        let others_stay = occupant.sessions.len() > 1;
        let affiliation =
            if occupant.is_local() { self.affiliation(&jid.to_bare()) } else { self.shown_affiliation(occupant) };
        let occupant_id = occupant.occupant_id.clone();
        let leave = Leave { affiliation, others_stay, ..why.clone() };
        let logged = self.append(Entry {
            kind: LogKind::Leave,
            jid: Some(jid),
            nick,
            ingress: ingress.as_ref(),
            id: None,
            eff: None,
            payload: Payload::Leave(leave.clone()),
        });
        let seq = logged.row.seq;
        let Some(session) = self.occupants.remove(nick, jid) else { return };
        self.persist(Row::OccupantGone { jid: jid.clone(), nick: Box::from(&**nick) });
        if ingress.is_none() {
            if let Some(bytes) = self.farewell(&logged) {
                self.send_logged(jid, bytes, seq);
            }
            self.leave_group(&session, seq);
        }
        if !others_stay {
            let content = status_bytes(leave.status.as_deref());
            let shown = leave_presence(nick, jid, &occupant_id, &leave, &content);
            let variants = self.presence_variants(&shown, smallvec::SmallVec::new());
            self.cast(Some(seq), variants, warren_xmpp::cast::Who::All);
        }
        self.fmuc_out(&logged);
        self.fmuc_left(ingress.as_ref());
    }

    /// Removes an occupant with all its sessions.
    pub(crate) fn remove_occupant(&mut self, nick: &Nick, why: &Leave) {
        let Some(occupant) = self.occupants.get(nick) else { return };
        let jids: Vec<_> = occupant.sessions.iter().map(|session| session.jid.clone()).collect();
        for jid in jids {
            self.remove_session(nick, &jid, why);
        }
    }

    /// Removes everybody of a domain who joined here, for technical reasons: they will join again.
    pub(crate) fn remove_domain(&mut self, remote: &str, reason: &str) {
        let gone: Vec<_> = self
            .occupants
            .local()
            .flat_map(|o| o.sessions.iter().map(|s| (o.nick.clone(), s.jid.clone())))
            .filter(|(_, jid)| jid.domain().as_str() == remote)
            .collect();
        for (nick, jid) in gone {
            let why = Leave { cause: Cause::Technical, reason: Some(reason.to_owned()), ..Leave::default() };
            self.remove_session(&nick, &jid, &why);
        }
    }
}
