//! "Am I still in the room?" (XEP-0410): answered from memory, by the room itself.

use warren_xmpp::{ErrorType, ns};

use super::{Feature, Incoming};
use crate::room::Room;

pub(super) const FEATURE: Feature = Feature { vars: &[ns::SELF_PING_OPT], handle };

fn handle(room: &mut Room, incoming: &Incoming<'_>) -> bool {
    let Some(nick) = &incoming.nick else { return false };
    if !incoming.is_iq("get", "ping", ns::PING) {
        return false;
    }
    match &incoming.sender {
        Some(own) if own == nick => {
            room.result(&incoming.stanza.head, None);
            true
        }
        Some(_) => false,
        None => {
            let text = "you are not in this room";
            room.refuse(&incoming.stanza.head, ErrorType::Cancel, "not-acceptable", text);
            true
        }
    }
}
