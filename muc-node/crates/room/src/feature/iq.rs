//! Requests between occupants (XEP-0045 17.4): forwarded under an id that says nothing to the other
//! side and everything to us, so that no table of open requests exists.

use jid::Jid;
use warren_xmpp::{ErrorType, Kind, StanzaWriter, ns};

use super::{Feature, Incoming};
use crate::room::Room;

pub(super) const FEATURE: Feature = Feature { vars: &[], handle };

fn handle(room: &mut Room, incoming: &Incoming<'_>) -> bool {
    let (Kind::Iq, Some(nick)) = (incoming.kind(), &incoming.nick) else { return false };
    if incoming.is_request() {
        room.forward_request(incoming, nick);
    } else {
        room.forward_answer(incoming, nick);
    }
    true
}

impl Room {
    fn forward_request(&mut self, incoming: &Incoming<'_>, nick: &str) {
        let head = &incoming.stanza.head;
        let Some(asker) = &incoming.sender else {
            return self.refuse(
                head,
                ErrorType::Cancel,
                "not-acceptable",
                "only occupants may ask occupants: join first",
            );
        };
        let Some(target) = self.occupants.get(nick) else {
            return self.refuse(head, ErrorType::Cancel, "item-not-found", "nobody of this nick is here");
        };
        if !target.is_local() {
            // Where the peer's users are connected, only the peer knows; IQs do not travel between nodes.
            let text = "this occupant is on another site: requests to it are not possible";
            return self.refuse(head, ErrorType::Cancel, "feature-not-implemented", text);
        }
        // What the account answers and not the client goes to the account (practice of Prosody and ejabberd).
        let session = target.sessions.last().map(|session| session.jid.clone());
        let Some(session) = session else { return };
        let of_account = incoming
            .stanza
            .content
            .iter()
            .any(|child| child.ns == "vcard-temp" || child.ns == "http://jabber.org/protocol/pubsub");
        let target: Jid = if of_account { session.to_bare().into() } else { session };
        let Some(id) =
            head.id.as_deref().and_then(|id| self.keys.forward_id(incoming.from.as_str(), target.as_str(), id))
        else {
            return self.refuse(head, ErrorType::Modify, "bad-request", "an id is missing or longer than 256 bytes");
        };
        let bytes = StanzaWriter::new(Kind::Iq)
            .from(self.occupant_jid(asker))
            .type_(head.type_.as_deref())
            .id(Some(&id))
            .lang(head.lang.as_deref())
            .raw(incoming.stanza.content.bytes())
            .finish()
            .to(&target);
        self.send(&target, bytes);
    }

    /// An answer goes to the session that asked, whoever else is here under that nick.
    fn forward_answer(&mut self, incoming: &Incoming<'_>, asker_nick: &str) {
        let head = &incoming.stanza.head;
        let (Some(id), Some(asker)) = (&head.id, self.occupants.get(asker_nick)) else { return };
        // From the client, or from its account.
        let Some(answerer) = incoming.sender.clone().or_else(|| {
            let account = incoming.from.to_bare();
            self.occupants
                .local()
                .find(|occupant| incoming.from.is_bare() && occupant.bare() == account)
                .map(|occupant| occupant.nick.clone())
        }) else {
            return;
        };
        let sessions = asker.sessions.iter().map(|session| session.jid.as_str());
        let Some((to, id)) = self.keys.unforward(id, incoming.from.as_str(), sessions) else { return };
        let Ok(to) = Jid::new(to) else { return };
        let content = if head.type_.as_deref() == Some("error") {
            // `by` and `text` of an error may name the real address.
            let error = warren_xmpp::StanzaError::read(&incoming.stanza.content);
            let (condition, kind) = error.map_or(("undefined-condition".to_owned(), None), |e| (e.condition, e.type_));
            let kind = kind.unwrap_or(ErrorType::Cancel);
            warren_xmpp::Content::empty().with(warren_xmpp::error::error_element(None, kind, &condition, None))
        } else {
            incoming.stanza.content.filter(|child| child.ns != ns::FMUC)
        };
        let bytes = StanzaWriter::new(Kind::Iq)
            .from(self.occupant_jid(&answerer))
            .type_(head.type_.as_deref())
            .id(Some(&id))
            .raw(content.bytes())
            .finish()
            .to(&to);
        self.send(&to, bytes);
    }
}
