//! Speaking to everybody (XEP-0045 7.4), with ids that hold on every site (XEP-0359).

use std::sync::Arc;

use serde_bytes::ByteBuf;
use warren_model::{LogKind, Role};
use warren_xmpp::cast::Who;
use warren_xmpp::{Content, ErrorType, ns};

use super::{Feature, Incoming};
use crate::log::{Entry, Logged};
use crate::payload::{Message, Payload};
use crate::room::Room;

pub(super) const FEATURE: Feature = Feature { vars: &[ns::SID, ns::STABLE_ID, ns::OCCUPANT_ID], handle };

fn handle(room: &mut Room, incoming: &Incoming<'_>) -> bool {
    if !incoming.is_message("groupchat") || incoming.nick.is_some() {
        return false;
    }
    room.speak(incoming, LogKind::Message);
    true
}

impl Room {
    /// A message or subject of somebody who joined here.
    pub(super) fn speak(&mut self, incoming: &Incoming<'_>, kind: LogKind) {
        let head = &incoming.stanza.head;
        let Some(nick) = &incoming.sender else {
            return self.refuse(head, ErrorType::Modify, "not-acceptable", "only occupants may speak: join first");
        };
        let Some(occupant) = self.occupants.get(nick) else { return };
        if kind == LogKind::Message && occupant.role < Role::Participant {
            return self.refuse(head, ErrorType::Auth, "forbidden", "visitors have no voice in this room");
        }
        let content = cleaned_message(&incoming.stanza.content);
        let logged = self.append(Entry {
            kind,
            jid: Some(&incoming.from),
            nick,
            ingress: None,
            id: None,
            eff: None,
            payload: Payload::Message(Message {
                // Every copy has an id, and the same one (XEP-0045 7.4).
                id: Some(head.id.clone().unwrap_or_else(|| self.fresh_id())),
                lang: head.lang.clone(),
                origin: None,
                content: ByteBuf::from(content.bytes().to_vec()),
            }),
        });
        self.show_message(kind, &logged);
    }

    /// What follows once a message or subject is in the log, whoever sent it: occupants and peers see it.
    pub(crate) fn show_message(&mut self, kind: LogKind, logged: &Arc<Logged>) {
        if kind == LogKind::Subject {
            self.persist_room();
        }
        if let Payload::Message(message) = &logged.payload {
            let text = self.message_text(logged, message, false);
            self.cast_plain(Some(logged.row.seq), text, Who::All);
        }
        self.fmuc_out(logged);
    }

    /// An id for a message that came without one.
    fn fresh_id(&self) -> Box<str> {
        format!("w-{}", self.keys.encode(self.epoch, self.head.next())).into()
    }
}

/// What a client's message keeps: not what is the room's to say, nor any stanza-id
/// (XEP-0359 5, XEP-0045 17.3, `fmuc.md` 6.8).
pub(crate) fn cleaned_message(content: &Content) -> Content {
    content.filter(|child| match child.ns {
        ns::FMUC
        | ns::WARREN_FMUC
        | ns::OCCUPANT_ID
        | ns::MUC
        | ns::MUC_USER
        | ns::MUC_ADMIN
        | ns::MUC_OWNER
        | ns::PRESENCE_SESSION
        | super::HATS => false,
        // Whoever it names: which rooms are or will be nodes of the set is not known here, and what a client
        // says must not become a message's identity elsewhere. An origin-id stays.
        ns::SID if child.name == "stanza-id" => false,
        _ => true,
    })
}
