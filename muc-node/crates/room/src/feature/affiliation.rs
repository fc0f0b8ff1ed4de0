//! Affiliations: bans (XEP-0045 9.1), members (9.3, 9.4), admins and owners (10.3–10.8).

use jid::BareJid;
use warren_model::{Affiliation, AffiliationRow, Role, Row};
use warren_xmpp::ErrorType;

use super::admin::{Asker, FORBIDDEN, NOT_ALLOWED, Refusal};
use crate::payload::{Cause, Leave};
use crate::room::Room;
use crate::state::Nick;

impl Room {
    /// Whether `asker` may give that affiliation to that user.
    pub(super) fn may_set_affiliation(&self, asker: &Asker, user: &BareJid, value: Affiliation) -> Result<(), Refusal> {
        if asker.affiliation < Affiliation::Admin {
            return Err(FORBIDDEN);
        }
        let current = self.affiliation(user);
        if asker.user == *user {
            if value == Affiliation::Outcast {
                return Err((ErrorType::Cancel, "conflict", "you cannot ban yourself"));
            }
            if current == Affiliation::Owner && value < Affiliation::Owner && self.owners() < 2 {
                return Err((ErrorType::Cancel, "conflict", "the last owner cannot resign"));
            }
        }
        // Admins deal with members and outcasts; owners with everybody.
        let high = current >= Affiliation::Admin || value >= Affiliation::Admin;
        if high && asker.affiliation < Affiliation::Owner {
            return Err(if current > asker.affiliation { NOT_ALLOWED } else { FORBIDDEN });
        }
        if current == Affiliation::Owner && value < Affiliation::Owner && self.owners() < 2 {
            return Err((ErrorType::Cancel, "conflict", "a room needs an owner"));
        }
        Ok(())
    }

    fn owners(&self) -> usize {
        self.affiliations.values().filter(|row| row.value == Affiliation::Owner).count()
    }

    /// Gives an affiliation and draws the consequences for those who are here.
    pub(crate) fn set_affiliation(
        &mut self,
        user: &BareJid,
        value: Affiliation,
        reason: Option<&str>,
        actor: Option<&Nick>,
        managed: bool,
    ) {
        let before: Vec<(Nick, Affiliation)> = self
            .occupants
            .local()
            .filter(|occupant| concerns(user, &occupant.bare()))
            .map(|occupant| (occupant.nick.clone(), self.affiliation(&occupant.bare())))
            .collect();
        if value == Affiliation::None {
            self.affiliations.remove(user);
            self.persist(Row::AffiliationGone(user.clone()));
        } else {
            let row = AffiliationRow { jid: user.clone(), value, reason: reason.map(Into::into), managed };
            self.affiliations.insert(user.clone(), row.clone());
            self.persist(Row::Affiliation(row));
        }
        let actor: Option<Box<str>> = actor.map(|nick| Box::from(&**nick));
        for (nick, old) in before {
            let Some(occupant) = self.occupants.get(&nick) else { continue };
            let new = self.affiliation(&occupant.bare());
            if new == old {
                continue;
            }
            let cause = match new {
                Affiliation::Outcast => Some(Cause::Banned),
                Affiliation::None if self.config.members_only => Some(Cause::Affiliation),
                _ => None,
            };
            if let Some(cause) = cause {
                let why = Leave { cause, reason: reason.map(Into::into), actor: actor.clone(), ..Leave::default() };
                self.remove_occupant(&nick, &why);
                continue;
            }
            let role = match (occupant.role, self.first_role(new)) {
                (_, Role::Moderator) => Role::Moderator,
                // A moderator by affiliation is one no longer.
                (Role::Moderator, first) if old >= Affiliation::Admin => first,
                (Role::Visitor, first) => first,
                (role, _) => role,
            };
            self.show_role(&nick, role, reason.map(Into::into), actor.clone());
        }
    }
}

/// Whether an entry for `entry` (a user or a domain) is about `user`.
fn concerns(entry: &BareJid, user: &BareJid) -> bool {
    entry == user || (entry.node().is_none() && entry.domain() == user.domain())
}
