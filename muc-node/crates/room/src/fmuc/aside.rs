//! What passes between nodes outside the log: private messages (XEP-0289 5.6) and kicks (5.5).

use jid::{BareJid, Jid};

use warren_xmpp::{Content, ErrorType, Kind, Stanza, StanzaError, StanzaWriter};

use super::joining::at_peer;
use super::peering::Phase;
use super::wire::{self, Fmuc};
use crate::feature::{Incoming, cleaned_message};
use crate::io::Effect;
use crate::payload::{Cause, Leave};
use crate::room::Room;
use crate::state::Nick;

impl Room {
    /// Listing 11: to an occupant of another node.
    pub(crate) fn fmuc_private(
        &mut self,
        peer: &BareJid,
        nick: &str,
        sender: &Nick,
        incoming: &Incoming<'_>,
        content: &Content,
    ) {
        let head = &incoming.stanza.head;
        if !self.is_linked(peer) {
            return self.refuse(
                head,
                ErrorType::Wait,
                "recipient-unavailable",
                "the site of this occupant cannot be reached now",
            );
        }
        let bytes = StanzaWriter::new(Kind::Message)
            .from(self.occupant_jid(sender))
            .type_(head.type_.as_deref())
            .id(head.id.as_deref())
            .lang(head.lang.as_deref())
            .raw(content.bytes())
            .el(wire::about(&incoming.from))
            .finish()
            .to(&at_peer(peer, nick));
        self.fx.push(Effect::Peer { peer: peer.clone(), bytes });
    }

    /// A private message from a user of another node.
    pub(super) fn private_from(&mut self, peer: &BareJid, from: &Jid, stanza: &Stanza, fmuc: &Fmuc) {
        let Some(user) = &fmuc.from else { return };
        let Some(to) = stanza.head.to.as_ref().and_then(|to| to.resource()) else { return };
        if !self.is_linked(peer) {
            return;
        }
        let Some(sender) = self.occupants.vouched(peer, user).map(|occupant| occupant.nick.clone()) else { return };
        let content = cleaned_message(&stanza.content);
        let head = &stanza.head;
        match self.occupants.get(to.as_str()) {
            Some(target) if target.is_local() => {
                let type_ = head.type_.as_deref();
                self.whisper(&sender, user, to.as_str(), type_, head.id.as_deref(), head.lang.as_deref(), &content);
            }
            // XEP-0289 5.6: each node passes it on towards its occupant.
            Some(target) => {
                let Some(next) = target.peer().filter(|next| *next != peer).cloned() else { return };
                let crate::state::Home::Peer { nick, .. } = target.home.clone() else { return };
                let bytes = StanzaWriter::like(head)
                    .from(self.occupant_jid(&sender))
                    .raw(content.bytes())
                    .el(wire::about(user))
                    .finish()
                    .to(&at_peer(&next, &nick));
                self.fx.push(Effect::Peer { peer: next, bytes });
            }
            None => {
                let text = "nobody of this nick is here";
                let bytes = StanzaWriter::new(Kind::Message)
                    .from(self.occupant_jid(to.as_str()))
                    .type_(Some("error"))
                    .id(head.id.as_deref())
                    .el(wire::about(user))
                    .el(warren_xmpp::error::error_element(None, ErrorType::Cancel, "item-not-found", Some(text)))
                    .finish()
                    .to(from);
                self.fx.push(Effect::Peer { peer: peer.clone(), bytes });
            }
        }
    }

    /// A peer could not deliver a private message: its author is told.
    pub(super) fn private_refused(&mut self, peer: &BareJid, stanza: &Stanza, error: &StanzaError) -> bool {
        let Some(author) = Fmuc::read(&stanza.content).and_then(|fmuc| fmuc.from) else { return false };
        let there = stanza.head.from.as_ref().and_then(|from| from.resource());
        let (Kind::Message, Some(there)) = (stanza.head.kind, there) else { return false };
        let nick = self
            .occupants
            .by_peer_nick(peer, there.as_str())
            .map_or_else(|| there.as_str().to_owned(), |occupant| occupant.nick.to_string());
        if self.occupants.nick_of(&author).is_some() {
            let kind = error.type_.unwrap_or(ErrorType::Cancel);
            let bytes = StanzaWriter::new(Kind::Message)
                .from(self.occupant_jid(&nick))
                .type_(Some("error"))
                .id(stanza.head.id.as_deref())
                .el(warren_xmpp::error::error_element(None, kind, &error.condition, None))
                .finish()
                .to(&author);
            self.send(&author, bytes);
        }
        true
    }

    /// A moderator here removes a peer's user: hidden here at once, asked for there.
    pub(crate) fn fmuc_kick(&mut self, nick: &Nick, why: &Leave) {
        let Some(occupant) = self.occupants.get(nick) else { return };
        let Some(peer) = occupant.peer().cloned() else { return };
        let crate::state::Home::Peer { nick: there, .. } = occupant.home.clone() else { return };
        let user = occupant.sessions[0].jid.clone();
        if self.peerings.get(&peer).is_some_and(|peering| peering.phase == Phase::Up) {
            let bytes = self.leave_text(&peer, &there, &user, why, wire::about(&user));
            self.fx.push(Effect::Peer { peer, bytes });
        }
    }

    /// A user of a peer who is banned here is not shown; its node is told so.
    pub(super) fn ban_afar(&mut self, peer: &BareJid, user: &Jid, nick: &str) {
        let why = Leave { cause: Cause::Banned, ..Leave::default() };
        let bytes = self.leave_text(peer, nick, user, &why, wire::about(user));
        self.fx.push(Effect::Peer { peer: peer.clone(), bytes });
    }

    /// XEP-0289 5.5: our own user was kicked elsewhere, and so leaves here. A ban there is a kick here: our
    /// lists are ours. True: the stanza is dealt with.
    pub(super) fn kicked_from_afar(&mut self, peer: &BareJid, user: &Jid, stanza: &Stanza) -> bool {
        let codes = wire::codes(&stanza.content);
        let removal = stanza.head.type_.as_deref() == Some("unavailable")
            && codes.iter().any(|code| matches!(code, 307 | 301 | 321 | 322));
        let Some(nick) = self.occupants.by_jid(user).map(|occupant| occupant.nick.clone()) else { return false };
        if !removal || !self.is_linked(peer) {
            return false;
        }
        let (_, reason, actor) = wire::item_words(&stanza.content);
        let why = Leave { cause: Cause::Kicked, reason, actor: actor.map(Into::into), ..Leave::default() };
        self.remove_occupant(&nick, &why);
        true
    }
}
