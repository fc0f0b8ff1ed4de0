//! The subject (XEP-0045 8.1): a message with `<subject/>` and neither body nor thread.

use warren_model::{LogKind, Role};
use warren_xmpp::{Content, ErrorType, ns};

use super::{Feature, Incoming};
use crate::room::Room;

pub(super) const FEATURE: Feature = Feature { vars: &[], handle };

fn handle(room: &mut Room, incoming: &Incoming<'_>) -> bool {
    if !incoming.is_message("groupchat") || incoming.nick.is_some() || !is_subject(&incoming.stanza.content) {
        return false;
    }
    let needed = if room.config.participants_may_set_subject { Role::Participant } else { Role::Moderator };
    let role = incoming.sender.as_ref().and_then(|nick| room.occupants.get(nick)).map(|occupant| occupant.role);
    if role.is_some_and(|role| role < needed) {
        room.refuse(&incoming.stanza.head, ErrorType::Auth, "forbidden", "you may not change the subject of this room");
    } else {
        room.speak(incoming, LogKind::Subject);
    }
    true
}

/// Whether a message sets the subject; with a body or a thread it is an ordinary message.
pub(crate) fn is_subject(content: &Content) -> bool {
    content.has("subject", ns::CLIENT) && !content.has("body", ns::CLIENT) && !content.has("thread", ns::CLIENT)
}
