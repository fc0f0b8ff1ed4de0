//! The features of a room, one file each, joined by one ordered list.
//!
//! A stanza is offered to each feature in the order of [`ALL`]; the first that takes it ends the
//! matter. The order is part of the meaning: who asks to enter is first told of a ban, then of
//! membership, then of the password, then of the nick (all in `join`); a subject is looked at before
//! an ordinary message.

mod admin;
mod affiliation;
mod bounce;
mod config;
mod destroy;
mod disco;
mod grace;
pub(crate) mod invite;
mod iq;
pub(crate) mod join;
pub(crate) mod leave;
mod message;
mod nick;
mod ping;
mod presence;
mod private;
mod role;
mod self_ping;
mod subject;
mod voice_request;

use jid::Jid;
use warren_xmpp::{Content, ErrorType, Kind, Stanza, ns};

pub(crate) use message::cleaned_message;
pub(crate) use subject::is_subject as subject_only;

use crate::room::Room;
use crate::state::Nick;

/// A stanza from a user, with what every feature wants to know of it.
pub(crate) struct Incoming<'a> {
    pub stanza: &'a Stanza,
    /// Who sent it; the transport vouches for it.
    pub from: Jid,
    /// The nick it is addressed to; `None`: the room.
    pub nick: Option<Nick>,
    /// The sender's own nick; `None`: not an occupant.
    pub sender: Option<Nick>,
}

impl Incoming<'_> {
    pub(crate) fn kind(&self) -> Kind {
        self.stanza.head.kind
    }

    pub(crate) fn type_(&self) -> Option<&str> {
        self.stanza.head.type_.as_deref()
    }

    /// A message of that type; a message without type is `normal` (RFC 6121 5.2.2).
    pub(crate) fn is_message(&self, type_: &str) -> bool {
        self.kind() == Kind::Message && self.type_().unwrap_or("normal") == type_
    }

    /// A request with that payload.
    pub(crate) fn is_iq(&self, type_: &str, name: &str, ns: &str) -> bool {
        self.kind() == Kind::Iq && self.type_() == Some(type_) && self.stanza.content.has(name, ns)
    }

    /// A request.
    pub(crate) fn is_request(&self) -> bool {
        self.kind() == Kind::Iq && matches!(self.type_(), Some("get" | "set"))
    }
}

/// Hats are the room's to give (XEP-0317 3).
pub(crate) const HATS: &str = "urn:xmpp:hats:0";

/// One feature.
pub(crate) struct Feature {
    /// What disco#info of a room lists for it.
    pub vars: &'static [&'static str],
    /// Takes the stanza (true), or leaves it to the next.
    pub handle: fn(&mut Room, &Incoming<'_>) -> bool,
}

/// All features, in order.
pub(crate) const ALL: &[Feature] = &[
    bounce::FEATURE,
    subject::FEATURE,
    message::FEATURE,
    private::FEATURE,
    invite::FEATURE,
    voice_request::FEATURE,
    leave::FEATURE,
    nick::FEATURE,
    presence::FEATURE,
    join::FEATURE,
    self_ping::FEATURE,
    iq::FEATURE,
    admin::FEATURE,
    destroy::FEATURE,
    ping::FEATURE,
    disco::FEATURE,
];

/// Offers the stanza to each feature; what none takes is refused if it may be.
pub(crate) fn dispatch(room: &mut Room, incoming: &Incoming<'_>) {
    if ALL.iter().any(|feature| (feature.handle)(room, incoming)) {
        return;
    }
    let head = &incoming.stanza.head;
    match head.kind {
        Kind::Iq if incoming.is_request() => {
            room.refuse(head, ErrorType::Cancel, "service-unavailable", "the room does not know this request");
        }
        Kind::Message if incoming.type_() != Some("headline") && !incoming.stanza.content.is_empty() => {
            room.refuse(head, ErrorType::Modify, "bad-request", "to speak in the room, send type='groupchat'");
        }
        _ => {}
    }
}

/// What a user's presence keeps on its way to others: everything but what is the room's to say
/// (XEP-0045 17.3, XEP-0421 4, XEP-0317) and what is between the user and the room.
pub(crate) fn cleaned_presence(content: &Content) -> Content {
    content.filter(|child| {
        !child.ns.starts_with("http://jabber.org/protocol/muc")
            && ![ns::FMUC, ns::WARREN_FMUC, ns::OCCUPANT_ID, ns::PRESENCE_SESSION, ns::DELAY, ns::SID, HATS]
                .contains(&child.ns)
            && !child.is("error", ns::CLIENT)
    })
}
