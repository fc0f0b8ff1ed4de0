//! What a room says of itself (XEP-0045 6.4, 6.5; XEP-0030).

use warren_model::Anonymity;
use warren_xmpp::{El, ErrorType, ns};

use super::{ALL, Feature, Incoming};
use crate::room::Room;

pub(super) const FEATURE: Feature = Feature { vars: &[ns::DISCO_INFO, ns::DISCO_ITEMS], handle };

fn handle(room: &mut Room, incoming: &Incoming<'_>) -> bool {
    if incoming.nick.is_some() {
        return false;
    }
    let head = &incoming.stanza.head;
    let info = incoming.is_iq("get", "query", ns::DISCO_INFO);
    if !info && !incoming.is_iq("get", "query", ns::DISCO_ITEMS) {
        return false;
    }
    let name = if info { ns::DISCO_INFO } else { ns::DISCO_ITEMS };
    let node = incoming.stanza.content.find("query", name).and_then(|query| query.attr("node"));
    if let Some(node) = node {
        // The nick one has reserved (7.12): nobody has, for there is no registration yet.
        if info && node == "x-roomuser-item" {
            room.result(head, Some(El::ns("query", ns::DISCO_INFO).attr("node", node)));
        } else {
            room.refuse(head, ErrorType::Cancel, "item-not-found", "the room has no such node");
        }
    } else if info {
        let query = room.info();
        room.result(head, Some(query));
    } else {
        // Who is here is said by presence, to those who are here.
        room.result(head, Some(El::ns("query", ns::DISCO_ITEMS)));
    }
    true
}

impl Room {
    fn info(&self) -> El {
        let config = &self.config;
        let one_of = |flag: bool, yes: &'static str, no: &'static str| if flag { yes } else { no };
        let mut query = El::ns("query", ns::DISCO_INFO).child(
            El::new("identity").attr("category", "conference").attr("type", "text").attr(
                "name",
                if config.title.is_empty() { self.jid.node().map_or("", |n| n.as_str()) } else { &config.title },
            ),
        );
        let own = ALL.iter().flat_map(|feature| feature.vars.iter().copied());
        let state = [
            "muc_public",
            "muc_persistent",
            one_of(config.members_only, "muc_membersonly", "muc_open"),
            one_of(config.moderated, "muc_moderated", "muc_unmoderated"),
            one_of(config.anonymity == Anonymity::NonAnonymous, "muc_nonanonymous", "muc_semianonymous"),
            one_of(config.password.is_some(), "muc_passwordprotected", "muc_unsecured"),
        ];
        for var in own.chain(state) {
            query = query.child(El::new("feature").attr("var", var));
        }
        let field = |var: &str, value: String| El::new("field").attr("var", var).child(El::new("value").text(&value));
        let mut form = El::ns("x", ns::DATA_FORMS).attr("type", "result").child(
            El::new("field")
                .attr("var", "FORM_TYPE")
                .attr("type", "hidden")
                .child(El::new("value").text(ns::MUC_ROOMINFO)),
        );
        form = form
            .child(field("muc#roominfo_description", config.description.clone()))
            .child(field("muc#roominfo_occupants", self.occupants.len().to_string()))
            .child(field("muc#roominfo_changesubject", u8::from(config.participants_may_set_subject).to_string()));
        query.child(form)
    }
}
