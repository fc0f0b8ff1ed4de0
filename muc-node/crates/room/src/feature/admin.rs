//! Requests of moderators, admins and owners about others (XEP-0045 8, 9 and 10.3–10.8): one IQ with
//! one or more items, done as a whole or not at all.

use jid::BareJid;
use warren_model::{Affiliation, Role};
use warren_xmpp::{Content, El, ErrorType, ns};

use super::{Feature, Incoming};
use crate::room::Room;
use crate::state::Nick;

pub(super) const FEATURE: Feature = Feature { vars: &[ns::MUC_ADMIN], handle };

/// Items of one request at most.
const MAX_ITEMS: usize = 256;

/// What one item asks for.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// A role for an occupant.
    Role { nick: Nick, role: Role, reason: Option<String> },
    /// An affiliation for a user or a domain.
    Affiliation { user: BareJid, value: Affiliation, reason: Option<String> },
}

/// Who asks.
pub(super) struct Asker {
    pub user: BareJid,
    pub affiliation: Affiliation,
    pub role: Role,
    /// Empty when not in the room.
    pub nick: Option<Nick>,
}

/// Why a request is refused: type, condition, text.
pub(super) type Refusal = (ErrorType, &'static str, &'static str);

pub(super) const FORBIDDEN: Refusal = (ErrorType::Auth, "forbidden", "you may not do this in this room");
pub(super) const NOT_ALLOWED: Refusal =
    (ErrorType::Cancel, "not-allowed", "you may not do this to somebody of that affiliation");
const BAD_REQUEST: Refusal =
    (ErrorType::Modify, "bad-request", "an item names one nick or JID and one role or affiliation");

fn handle(room: &mut Room, incoming: &Incoming<'_>) -> bool {
    if incoming.nick.is_some() {
        return false;
    }
    let head = &incoming.stanza.head;
    let outcome = if incoming.is_iq("set", "query", ns::MUC_ADMIN) {
        room.change_many(incoming).map(|()| None)
    } else if incoming.is_iq("get", "query", ns::MUC_ADMIN) {
        room.list(incoming).map(Some)
    } else {
        return false;
    };
    match outcome {
        Err((kind, condition, text)) => room.refuse(head, kind, condition, text),
        Ok(Some(list)) => room.result(head, Some(list)),
        // The changes have answered: the result comes before what the others see.
        Ok(None) => {}
    }
    true
}

fn items(content: &Content) -> Vec<Content> {
    content.find("query", ns::MUC_ADMIN).map(|query| vec![query.children()]).unwrap_or_default()
}

impl Room {
    fn asker(&self, incoming: &Incoming<'_>) -> Asker {
        let user = incoming.from.to_bare();
        let occupant = incoming.sender.as_ref().and_then(|nick| self.occupants.get(nick));
        Asker {
            affiliation: self.affiliation(&user),
            role: occupant.map_or(Role::None, |occupant| occupant.role),
            nick: occupant.map(|occupant| occupant.nick.clone()),
            user,
        }
    }

    fn change_many(&mut self, incoming: &Incoming<'_>) -> Result<(), Refusal> {
        let asker = self.asker(incoming);
        if asker.role < Role::Moderator && asker.affiliation < Affiliation::Admin {
            return Err(FORBIDDEN);
        }
        let mut changes = Vec::new();
        for query in items(&incoming.stanza.content) {
            for item in query.iter().filter(|child| child.is("item", ns::MUC_ADMIN)) {
                changes.push(self.read_item(&item)?);
            }
        }
        if changes.is_empty() || changes.len() > MAX_ITEMS {
            return Err(BAD_REQUEST);
        }
        for change in &changes {
            match change {
                Change::Role { nick, role, .. } => self.may_set_role(&asker, nick, *role)?,
                Change::Affiliation { user, value, .. } => self.may_set_affiliation(&asker, user, *value)?,
            }
        }
        // XEP-0045 8.2: the one it is about first, then the result, then the others. Each of them sees
        // its own order; the asker must see the result before the presence.
        self.result(&incoming.stanza.head, None);
        for change in changes {
            match change {
                Change::Role { nick, role, reason } => self.set_role(&nick, role, reason, asker.nick.as_ref()),
                Change::Affiliation { user, value, reason } => {
                    self.set_affiliation(&user, value, reason.as_deref(), asker.nick.as_ref(), false);
                }
            }
        }
        Ok(())
    }

    fn read_item(&self, item: &warren_xmpp::ChildRef<'_>) -> Result<Change, Refusal> {
        let reason = item.children().iter().find(|child| child.name == "reason").map(|child| child.text());
        let reason = reason.filter(|text| !text.is_empty());
        let nick: Option<Nick> = item.attr("nick").map(|nick| nick.as_ref().into());
        match (item.attr("role"), item.attr("affiliation")) {
            (Some(role), None) => {
                let role = Role::parse(&role).ok_or(BAD_REQUEST)?;
                let nick = match (nick, item.attr("jid")) {
                    (Some(nick), _) => nick,
                    (None, Some(jid)) => {
                        let jid = jid::Jid::new(&jid).map_err(|_| BAD_REQUEST)?;
                        let found = self.occupants.by_jid(&jid).map(|occupant| occupant.nick.clone());
                        found.ok_or((ErrorType::Cancel, "item-not-found", "nobody of this address is here"))?
                    }
                    (None, None) => return Err(BAD_REQUEST),
                };
                Ok(Change::Role { nick, role, reason })
            }
            (None, Some(value)) => {
                let value = Affiliation::parse(&value).ok_or(BAD_REQUEST)?;
                let user = match (item.attr("jid"), nick) {
                    (Some(jid), _) => jid::Jid::new(&jid)
                        .map_err(|_| (ErrorType::Modify, "jid-malformed", "this is not an address"))?
                        .into_bare(),
                    (None, Some(nick)) => {
                        let found = self.occupants.get(&nick).filter(|occupant| occupant.is_local());
                        found.map(crate::state::Occupant::bare).ok_or((
                            ErrorType::Cancel,
                            "item-not-found",
                            "nobody of this nick is here",
                        ))?
                    }
                    (None, None) => return Err(BAD_REQUEST),
                };
                Ok(Change::Affiliation { user, value, reason })
            }
            _ => Err(BAD_REQUEST),
        }
    }

    /// Lists by affiliation (9.2, 9.5, 10.5, 10.8) or by role (8.5, 9.8).
    fn list(&self, incoming: &Incoming<'_>) -> Result<El, Refusal> {
        let asker = self.asker(incoming);
        let query = items(&incoming.stanza.content).pop().unwrap_or_default();
        let item = query.iter().find(|child| child.is("item", ns::MUC_ADMIN)).ok_or(BAD_REQUEST)?;
        let mut list = El::ns("query", ns::MUC_ADMIN);
        match (item.attr("affiliation"), item.attr("role")) {
            (Some(wanted), None) => {
                let wanted = Affiliation::parse(&wanted).filter(|a| *a != Affiliation::None).ok_or(BAD_REQUEST)?;
                let open_to_members = wanted == Affiliation::Member
                    && self.config.anonymity == warren_model::Anonymity::NonAnonymous
                    && (asker.role > Role::None || asker.affiliation >= Affiliation::Member);
                if asker.affiliation < Affiliation::Admin && !open_to_members {
                    return Err(FORBIDDEN);
                }
                for row in self.affiliations.values().filter(|row| row.value == wanted) {
                    let mut item = El::new("item").attr("affiliation", wanted.as_str()).attr("jid", row.jid.as_str());
                    if let Some(reason) = &row.reason {
                        item = item.child(El::new("reason").text(reason));
                    }
                    list = list.child(item);
                }
            }
            (None, Some(wanted)) => {
                let wanted = Role::parse(&wanted).filter(|role| *role != Role::None).ok_or(BAD_REQUEST)?;
                if asker.role < Role::Moderator && asker.affiliation < Affiliation::Admin {
                    return Err(FORBIDDEN);
                }
                for occupant in self.occupants.iter().filter(|occupant| occupant.role == wanted) {
                    list = list.child(
                        El::new("item")
                            .attr("nick", &*occupant.nick)
                            .attr("role", wanted.as_str())
                            .attr("affiliation", self.shown_affiliation(occupant).as_str())
                            .attr("jid", occupant.sessions[0].jid.as_str()),
                    );
                }
            }
            _ => return Err(BAD_REQUEST),
        }
        Ok(list)
    }
}
