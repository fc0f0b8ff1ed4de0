//! Asking for voice, and granting it by form (XEP-0045 7.13, 8.6).

use warren_model::Role;
use warren_xmpp::cast::Who;
use warren_xmpp::{Content, El, ErrorType, Kind, StanzaWriter, ns};

use super::{Feature, Incoming};
use crate::room::Room;
use crate::state::Nick;

pub(super) const FEATURE: Feature = Feature { vars: &[ns::MUC_REQUEST], handle };

fn handle(room: &mut Room, incoming: &Incoming<'_>) -> bool {
    if !incoming.is_message("normal") || incoming.nick.is_some() {
        return false;
    }
    let Some(form) = incoming.stanza.content.find("x", ns::DATA_FORMS) else { return false };
    let fields = form.children();
    if value(&fields, "FORM_TYPE").as_deref() != Some(ns::MUC_REQUEST) {
        return false;
    }
    let head = &incoming.stanza.head;
    let Some(sender) = &incoming.sender else {
        room.refuse(head, ErrorType::Modify, "not-acceptable", "only occupants may ask for voice: join first");
        return true;
    };
    if value(&fields, "muc#request_allow").is_some() {
        room.voice_decided(incoming, sender, &fields);
    } else {
        room.voice_wanted(incoming, sender, &fields);
    }
    true
}

impl Room {
    fn voice_wanted(&mut self, incoming: &Incoming<'_>, nick: &Nick, fields: &Content) {
        let head = &incoming.stanza.head;
        if value(fields, "muc#role").as_deref() != Some("participant") {
            return self.refuse(head, ErrorType::Modify, "bad-request", "only the role participant can be asked for");
        }
        if self.occupants.get(nick).is_none_or(|occupant| occupant.role != Role::Visitor) {
            // It has voice already: nothing to ask anybody for.
            return;
        }
        let field = |var: &str, kind: &str, value: &str| {
            El::new("field").attr("var", var).attr("type", kind).child(El::new("value").text(value))
        };
        let role = El::new("field")
            .attr("var", "muc#role")
            .attr("type", "list-single")
            .attr("label", "Requested role")
            .child(El::new("value").text("participant"))
            .child(El::new("option").attr("label", "Participant").child(El::new("value").text("participant")));
        let form = El::ns("x", ns::DATA_FORMS)
            .attr("type", "form")
            .child(El::new("title").text("Voice request"))
            .child(field("FORM_TYPE", "hidden", ns::MUC_REQUEST))
            .child(role)
            .child(field("muc#jid", "jid-single", incoming.from.as_str()).attr("label", "User"))
            .child(field("muc#roomnick", "text-single", nick).attr("label", "Nick"))
            .child(field("muc#request_allow", "boolean", "false").attr("label", "Grant voice to this person?"));
        let text = StanzaWriter::new(Kind::Message).from(self.jid.as_str()).el(form).finish();
        self.cast_plain(None, text, Who::Moderators);
    }

    fn voice_decided(&mut self, incoming: &Incoming<'_>, moderator: &Nick, fields: &Content) {
        if self.occupants.get(moderator).is_none_or(|occupant| occupant.role < Role::Moderator) {
            return self.refuse(&incoming.stanza.head, ErrorType::Auth, "forbidden", "only moderators grant voice");
        }
        let allowed = matches!(value(fields, "muc#request_allow").as_deref(), Some("true" | "1"));
        let nick = value(fields, "muc#roomnick").unwrap_or_default();
        // Whoever has taken the nick meanwhile did not ask.
        let asked = self.occupants.get(&nick).filter(|occupant| {
            occupant.is_local()
                && occupant.role == Role::Visitor
                && value(fields, "muc#jid").is_some_and(|jid| occupant.sessions.iter().any(|s| s.jid.as_str() == jid))
        });
        if let Some(asked) = asked.map(|occupant| occupant.nick.clone()).filter(|_| allowed) {
            self.show_role(&asked, Role::Participant, None, Some(Box::from(&**moderator)));
        }
    }
}

/// The value of a field.
fn value(fields: &Content, var: &str) -> Option<String> {
    let field = fields.iter().find(|child| child.name == "field" && child.attr("var").as_deref() == Some(var))?;
    field.children().iter().find(|child| child.name == "value").map(|child| child.text())
}
