//! What an occupant says of itself (XEP-0045 7.7), and probes (17.3).

use warren_xmpp::{Kind, ns};

use super::{Feature, Incoming, cleaned_presence};
use crate::room::Room;

pub(super) const FEATURE: Feature = Feature { vars: &[], handle };

fn handle(room: &mut Room, incoming: &Incoming<'_>) -> bool {
    if incoming.kind() != Kind::Presence {
        return false;
    }
    match (incoming.type_(), &incoming.sender) {
        (None, Some(nick)) if !incoming.stanza.content.has("x", ns::MUC) => {
            room.update_presence(nick, cleaned_presence(&incoming.stanza.content), Some(&incoming.from));
            true
        }
        // Subscriptions and probes of strangers: rooms have no roster, and who is not here learns nothing.
        (Some("subscribe" | "subscribed" | "unsubscribe" | "unsubscribed"), _) | (Some("probe"), None) => true,
        (Some("probe"), Some(_)) => {
            room.answer_probe(incoming);
            true
        }
        _ => false,
    }
}

impl Room {
    fn answer_probe(&mut self, incoming: &Incoming<'_>) {
        let (Some(asked), Some(sender)) = (&incoming.nick, &incoming.sender) else { return };
        let (Some(occupant), Some(asker)) = (self.occupants.get(asked), self.occupants.get(sender)) else { return };
        let text = self.presence_text(&self.current_presence(occupant), self.sees_real(asker.role), &[], None);
        let bytes = text.to(&incoming.from);
        self.send(&incoming.from, bytes);
    }
}
