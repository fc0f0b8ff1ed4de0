//! Roles: kicking (XEP-0045 8.2), voice (8.3, 8.4), moderators (9.6, 9.7).

use warren_model::{Affiliation, LogKind, Role};
use warren_xmpp::ErrorType;
use warren_xmpp::cast::Who;

use super::admin::{Asker, FORBIDDEN, NOT_ALLOWED, Refusal};
use crate::log::Entry;
use crate::payload::{Cause, Leave, Payload, RoleChange};
use crate::room::Room;
use crate::state::Nick;

impl Room {
    /// Whether `asker` may give that role to that occupant.
    pub(super) fn may_set_role(&self, asker: &Asker, nick: &str, role: Role) -> Result<(), Refusal> {
        let Some(target) = self.occupants.get(nick) else {
            return Err((ErrorType::Cancel, "item-not-found", "nobody of this nick is here"));
        };
        // What a peer shows as affiliation of its users is no rank here.
        let rank = if target.is_local() { self.affiliation(&target.bare()) } else { Affiliation::None };
        if role == Role::Moderator || target.role == Role::Moderator {
            // Making and unmaking moderators is for admins; moderators kick each other by affiliation.
            let kick_of_equal = role == Role::None && asker.role == Role::Moderator;
            if asker.affiliation < Affiliation::Admin && !kick_of_equal {
                return Err(if role == Role::Moderator { FORBIDDEN } else { NOT_ALLOWED });
            }
        }
        if !target.is_local() && role != Role::None {
            return Err((
                ErrorType::Cancel,
                "not-allowed",
                "voice of this occupant is decided on its own site; you can only kick it",
            ));
        }
        let lowers = role < target.role;
        if lowers && rank > asker.affiliation.max(Affiliation::None) {
            return Err(NOT_ALLOWED);
        }
        if role != Role::None && lowers && rank >= Affiliation::Admin {
            // Admins and owners are moderators by their affiliation (8.4, 9.7).
            return Err(NOT_ALLOWED);
        }
        Ok(())
    }

    /// Gives a role; `None` removes the occupant.
    pub(super) fn set_role(&mut self, nick: &Nick, role: Role, reason: Option<String>, actor: Option<&Nick>) {
        let actor: Option<Box<str>> = actor.map(|nick| Box::from(&**nick));
        if role == Role::None {
            let why = Leave { cause: Cause::Kicked, reason, actor, ..Leave::default() };
            if self.occupants.get(nick).is_some_and(|occupant| !occupant.is_local()) {
                self.fmuc_kick(nick, &why);
            }
            return self.remove_occupant(nick, &why);
        }
        self.show_role(nick, role, reason, actor);
    }

    /// Logs and shows the current standing of an occupant.
    pub(crate) fn show_role(&mut self, nick: &Nick, role: Role, reason: Option<String>, actor: Option<Box<str>>) {
        let Some(occupant) = self.occupants.get(nick) else { return };
        let jid = occupant.sessions[0].jid.clone();
        let ingress = occupant.peer().cloned();
        let change = RoleChange { affiliation: self.shown_affiliation(occupant), role, reason, actor };
        let logged = self.append(Entry {
            kind: LogKind::Role,
            jid: Some(&jid),
            nick,
            ingress: ingress.as_ref(),
            id: None,
            eff: None,
            payload: Payload::Role(change),
        });
        let seq = logged.row.seq;
        if let Some(occupant) = self.occupants.get_mut(nick) {
            occupant.role = role;
            occupant.seq = seq;
        }
        self.persist_occupant(nick);
        for variants in self.row_variants(&logged) {
            self.cast(Some(seq), variants, Who::All);
        }
        self.put_in_group(nick, seq);
        self.fmuc_out(&logged);
    }
}
