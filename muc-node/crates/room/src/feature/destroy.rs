//! The end of a room (XEP-0045 10.9).

use jid::BareJid;
use warren_model::{Affiliation, Row};
use warren_xmpp::{Content, El, ErrorType, ns};

use super::{Feature, Incoming};
use crate::io::Effect;
use crate::payload::{Cause, Leave};
use crate::render::leave_presence;
use crate::room::Room;

pub(super) const FEATURE: Feature = Feature { vars: &[], handle };

fn handle(room: &mut Room, incoming: &Incoming<'_>) -> bool {
    if incoming.nick.is_some() || !incoming.is_request() {
        return false;
    }
    let Some(query) = incoming.stanza.content.find("query", ns::MUC_OWNER) else { return false };
    let head = &incoming.stanza.head;
    if room.affiliation(&incoming.from.to_bare()) < Affiliation::Owner {
        room.refuse(head, ErrorType::Auth, "forbidden", "only owners may do this");
        return true;
    }
    let children = query.children();
    let Some(destroy) = children.find("destroy", ns::MUC_OWNER) else {
        let text = "this room is configured by its FederatedRoom resource";
        room.refuse(head, ErrorType::Cancel, "feature-not-implemented", text);
        return true;
    };
    let alternate = destroy.attr("jid").and_then(|jid| BareJid::new(&jid).ok());
    let reason = destroy.children().iter().find(|child| child.name == "reason").map(|child| child.text());
    room.destroy(reason.as_deref(), alternate.as_ref(), Some(incoming));
    true
}

impl Room {
    /// Tells everybody, answers the one who asked, and ends. The declaration, if it stays, makes a new
    /// room of the same address when it is applied again.
    pub(crate) fn destroy(&mut self, reason: Option<&str>, alternate: Option<&BareJid>, asked: Option<&Incoming<'_>>) {
        let mut destroy = El::ns("destroy", ns::MUC_USER).attr_opt("jid", alternate.map(|jid| jid.as_str()));
        if let Some(reason) = reason {
            destroy = destroy.child(El::new("reason").text(reason));
        }
        let destroy = Content::empty().with(destroy).bytes().to_vec();
        let why = Leave { cause: Cause::Destroyed, destroy: Some(destroy.into()), ..Leave::default() };
        self.fmuc_close_all();
        let nicks: Vec<_> = self.occupants.local().map(|occupant| occupant.nick.clone()).collect();
        let gone: Vec<_> = nicks
            .iter()
            .filter_map(|nick| self.occupants.get(nick))
            .flat_map(|o| o.sessions.iter().map(|s| (o.nick.clone(), s.clone())))
            .collect();
        // Each is told once, about itself alone: the room is not there any more to say who else left.
        for (nick, session) in gone {
            let leave = Leave { affiliation: Affiliation::None, ..why.clone() };
            let shown = leave_presence(&nick, &session.jid, "", &leave, &[]);
            let bytes = self.presence_text(&shown, true, &[110], None).to(&session.jid);
            self.send(&session.jid, bytes);
            self.leave_group(&session, self.head);
        }
        if let Some(incoming) = asked {
            self.result(&incoming.stanza.head, None);
        }
        self.persist(Row::RoomGone);
        self.fx.push(Effect::Close);
        self.closed = true;
    }
}
