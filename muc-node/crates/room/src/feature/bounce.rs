//! Errors that come back: who is gone, and who only cannot be reached now (XEP-0045 11.1 and 17.4,
//! `servers.md` 1–7).

use warren_xmpp::{ErrorType, Kind, StanzaError, StanzaWriter};

use super::{Feature, Incoming};
use crate::payload::{Cause, Leave};
use crate::room::Room;

pub(super) const FEATURE: Feature = Feature { vars: &[], handle };

/// Conditions by which an occupant's own server says that this session is no more.
/// Not `recipient-unavailable`: Prosody makes it itself for live users when a stream dies.
const GONE: &[&str] = &["service-unavailable", "gone", "item-not-found", "redirect", "jid-malformed"];

fn handle(room: &mut Room, incoming: &Incoming<'_>) -> bool {
    if incoming.type_() != Some("error") || incoming.kind() == Kind::Iq {
        return false;
    }
    // From here on the stanza is taken: an error is never answered (RFC 6120 8.3.1).
    let Some(error) = StanzaError::read(&incoming.stanza.content) else { return true };
    if incoming.kind() == Kind::Message && room.private_bounced(incoming, &error) {
        return true;
    }
    let Some(nick) = &incoming.sender else { return true };
    let by_us = error.by.as_ref().is_some_and(|by| by.domain().as_str() == &*room.site.domain);
    // Only an answer to a groupchat message proves anything: presence is never bounced by a server
    // that lives, and private messages and IQs bounce for other reasons.
    if Room::is_message(incoming.stanza) && !by_us && GONE.contains(&error.condition.as_str()) {
        let why = Leave { cause: Cause::Technical, ..Leave::default() };
        room.remove_session(nick, &incoming.from, &why);
    }
    true
}

impl Room {
    /// Whether this is the bounce of a private message: then it goes to the author.
    fn private_bounced(&mut self, incoming: &Incoming<'_>, error: &StanzaError) -> bool {
        let (Some(id), Some(nick)) = (&incoming.stanza.head.id, &incoming.nick) else { return false };
        let Some(at) = self
            .private
            .iter()
            .position(|sent| sent.to == incoming.from && sent.id == *id && sent.author_nick == *nick)
        else {
            return false;
        };
        let Some(sent) = self.private.remove(at) else { return true };
        let from = incoming.sender.as_ref().map_or_else(|| self.jid.to_string(), |nick| self.occupant_jid(nick));
        let kind = error.type_.unwrap_or(ErrorType::Cancel);
        // The text is the server's and may name the real address; it is not passed on.
        let bytes = StanzaWriter::new(Kind::Message)
            .from(from)
            .type_(Some("error"))
            .id(Some(id))
            .el(warren_xmpp::error::error_element(None, kind, &error.condition, None))
            .finish()
            .to(&sent.author);
        if self.occupants.nick_of(&sent.author).is_some() {
            self.send(&sent.author, bytes);
        }
        true
    }
}
