//! Mediated invitations (XEP-0045 7.8.2): transient. An invitation into a members-only room makes a member
//! and so is an admin's to give.

use jid::{BareJid, Jid};
use warren_model::Affiliation;
use warren_xmpp::{ChildRef, Content, El, ErrorType, Kind, StanzaWriter, ns};

use super::{Feature, Incoming};
use crate::room::Room;
use crate::state::Nick;

pub(super) const FEATURE: Feature = Feature { vars: &[], handle };

/// Invitations of one message at most.
const MAX_INVITES: usize = 16;
/// Invitations that a decline is still taken for; older ones, and those of before a restart, are forgotten.
const REMEMBERED: usize = 256;

/// An invitation that was passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invited {
    by: Nick,
    who: BareJid,
}

fn handle(room: &mut Room, incoming: &Incoming<'_>) -> bool {
    if !incoming.is_message("normal") || incoming.nick.is_some() {
        return false;
    }
    let Some(x) = incoming.stanza.content.find("x", ns::MUC_USER) else { return false };
    let children = x.children();
    if children.has("invite", ns::MUC_USER) {
        room.invite(incoming, &children);
    } else if let Some(decline) = children.find("decline", ns::MUC_USER) {
        room.decline(incoming, &decline);
    } else {
        return false;
    }
    true
}

impl Room {
    fn invite(&mut self, incoming: &Incoming<'_>, x: &Content) {
        let head = &incoming.stanza.head;
        let Some(by) = &incoming.sender else {
            return self.refuse(head, ErrorType::Modify, "not-acceptable", "only occupants may invite: join first");
        };
        if self.config.members_only && self.affiliation(&incoming.from.to_bare()) < Affiliation::Admin {
            let text = "only admins may invite into a members-only room";
            return self.refuse(head, ErrorType::Auth, "forbidden", text);
        }
        let invites: Vec<_> = x.iter().filter(|child| child.is("invite", ns::MUC_USER)).collect();
        let whom: Option<Vec<Jid>> =
            invites.iter().map(|invite| invite.attr("to").and_then(|to| Jid::new(&to).ok())).collect();
        let Some(whom) = whom.filter(|whom| whom.len() <= MAX_INVITES) else {
            return self.refuse(head, ErrorType::Modify, "jid-malformed", "an invitation names one address");
        };
        for (invite, who) in invites.iter().zip(whom) {
            if self.config.members_only && self.affiliation(&who.to_bare()) < Affiliation::Member {
                self.set_affiliation(&who.to_bare(), Affiliation::Member, None, Some(by), false);
            }
            let mut x = El::ns("x", ns::MUC_USER).child(words(invite, "invite", &self.occupant_jid(by)));
            if let Some(password) = &self.config.password {
                x = x.child(El::new("password").text(password));
            }
            self.pass_on(&who, x);
            self.invited.push_back(Invited { by: by.clone(), who: who.to_bare() });
            if self.invited.len() > REMEMBERED {
                self.invited.pop_front();
            }
        }
    }

    /// Goes back through the room. One that nobody asked for is dropped: strangers must not reach occupants
    /// this way.
    fn decline(&mut self, incoming: &Incoming<'_>, decline: &ChildRef<'_>) {
        let Some(to) = decline.attr("to").and_then(|to| Jid::new(&to).ok()) else { return };
        let Some(nick) = to.resource().filter(|_| to.to_bare() == self.jid) else { return };
        let who = incoming.from.to_bare();
        let Some(at) = self.invited.iter().position(|i| i.who == who && *i.by == *nick.as_str()) else { return };
        self.invited.remove(at);
        let Some(inviter) = self.occupants.get(nick.as_str()).filter(|occupant| occupant.is_local()) else { return };
        let inviter = inviter.sessions[0].jid.clone();
        let x = El::ns("x", ns::MUC_USER).child(words(decline, "decline", who.as_str()));
        self.pass_on(&inviter, x);
    }

    fn pass_on(&mut self, to: &Jid, x: El) {
        let bytes = StanzaWriter::new(Kind::Message).from(self.jid.as_str()).el(x).finish().to(to);
        self.send(to, bytes);
    }
}

/// The element with `from`, and the reason and thread that came with it.
fn words(child: &ChildRef<'_>, name: &str, from: &str) -> El {
    let mut el = El::new(name).attr("from", from);
    for inner in child.children().iter() {
        match inner.name {
            "reason" => el = el.child(El::new("reason").text(&inner.text())),
            "continue" => el = el.child(El::new("continue").attr_opt("thread", inner.attr("thread"))),
            _ => {}
        }
    }
    el
}
