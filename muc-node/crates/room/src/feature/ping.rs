//! Ping of the room itself (XEP-0199).

use warren_xmpp::ns;

use super::{Feature, Incoming};
use crate::room::Room;

pub(super) const FEATURE: Feature = Feature { vars: &[ns::PING], handle };

fn handle(room: &mut Room, incoming: &Incoming<'_>) -> bool {
    if incoming.nick.is_some() || !incoming.is_iq("get", "ping", ns::PING) {
        return false;
    }
    room.result(&incoming.stanza.head, None);
    true
}
