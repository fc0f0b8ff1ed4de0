//! Who may federate with this room, and who may vouch for whom (`fmuc.md` 6.2, 6.6). Default deny.

use jid::{BareJid, Jid};
use warren_model::{FlavourHint, PeerRooms, Vouch};
use warren_xmpp::{Kind, StanzaWriter, ns};

use super::wire;
use crate::io::Effect;
use crate::room::Room;

impl Room {
    /// Whether that room's domain is allow-listed at all.
    pub(super) fn peer_is_trusted(&self, peer: &BareJid) -> bool {
        peer.node().is_some() && self.site.peers.get(peer.domain().as_str()).is_some_and(|config| !config.suspended)
    }

    /// Whether that room is declared to be a Warren node.
    pub(super) fn expects_warren(&self, peer: &BareJid) -> bool {
        self.site.peers.get(peer.domain().as_str()).is_some_and(|config| config.flavour == FlavourHint::Warren)
    }

    /// Whether that room may join this one.
    pub(super) fn admits(&self, peer: &BareJid) -> bool {
        let Some(config) = self.site.peers.get(peer.domain().as_str()).filter(|config| !config.suspended) else {
            return false;
        };
        let listed = self
            .config
            .federation
            .as_ref()
            .is_some_and(|federation| federation.downlinks.contains(peer.domain().as_str()));
        let admitted = match &config.rooms {
            PeerRooms::Listed => false,
            PeerRooms::Only(rooms) => self.jid.node().is_some_and(|node| rooms.contains(node.as_str())),
            PeerRooms::All => true,
        };
        listed || admitted
    }

    /// Whether a peer may introduce that user: the domains it may vouch for are listed, and our own
    /// users are never among them.
    pub(super) fn may_vouch(&self, peer: &BareJid, user: &Jid) -> bool {
        let domain = user.domain().as_str();
        if self.site.home_domains.contains(domain) || domain == &*self.site.domain || user.is_bare() {
            return false;
        }
        match self.site.peers.get(peer.domain().as_str()).map(|config| &config.vouch) {
            Some(Vouch::Any) => true,
            Some(Vouch::Domains(domains)) => domains.contains(domain),
            None => false,
        }
    }

    /// The peer may not speak for that user: it is told so in the way of a failed join (`fmuc.md` 6.6).
    pub(super) fn refuse_user(&mut self, peer: &BareJid, user: &Jid, nick: &str) {
        let error = warren_xmpp::error::error_element(
            None,
            warren_xmpp::ErrorType::Auth,
            "forbidden",
            Some("your site may not vouch for this user"),
        );
        let bytes = StanzaWriter::new(Kind::Presence)
            .from(self.occupant_jid(nick))
            .type_(Some("error"))
            .el(wire::about(user))
            .el(error)
            .finish()
            .to(&super::joining::at_peer(peer, nick));
        self.fx.push(Effect::Peer { peer: peer.clone(), bytes });
    }

    /// XEP-0289 5.1, listing 3: from bare to bare, with a text for the people who run the other site.
    pub(super) fn reject(&mut self, peer: &BareJid, text: &str) {
        let fmuc = wire::control().child(warren_xmpp::El::ns("reject", ns::FMUC).text(text));
        let bytes =
            StanzaWriter::new(Kind::Presence).from(self.jid.as_str()).el(fmuc).finish().to(&Jid::from(peer.clone()));
        self.fx.push(Effect::Peer { peer: peer.clone(), bytes });
    }
}
