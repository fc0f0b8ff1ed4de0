//! The joined node (XEP-0289 5.1, 5.4): somebody's room joins ours.

use std::time::Duration;

use jid::{BareJid, Jid};
use warren_model::{Direction, Flavour, Seq};
use warren_xmpp::{El, Kind, Stanza, StanzaWriter, ns};

use super::peering::{Peering, Phase};
use super::wire::{self, Fmuc};
use crate::catchup::Target;
use crate::feature::join::HistoryLimits;
use crate::io::Effect;
use crate::payload::{Leave, Payload};
use crate::room::Room;

/// An answer to a join is waited for so long when the other side asks for one.
const CROSSED: Duration = Duration::from_secs(1);

impl Room {
    /// A join of a node, for its first user or after a loss.
    pub(super) fn join_from(&mut self, peer: &BareJid, user: &Jid, nick: &str, stanza: &Stanza, fmuc: &Fmuc) {
        if self.uplink().as_ref() == Some(peer) && !self.yields_to(peer) {
            return self.reject(peer, "this room is joining yours already (circular federation)");
        }
        if !self.admits(peer) && self.uplink().as_ref() != Some(peer) {
            return self.reject(peer, "this room does not admit yours");
        }
        // A Warren node joins for everybody who is there: that its first user may not be introduced here is no
        // reason to keep the others out. `occupant_from` below leaves that user out.
        if !fmuc.peering && !self.may_vouch(peer, user) {
            return self.refuse_user(peer, user, nick);
        }
        // What it has of ours.
        let has = fmuc.h.as_deref().and_then(|h| Some((self.position_of(h)?, Box::<str>::from(h))));
        let (head, now) = (self.head, self.now);
        let peering =
            self.peerings.entry(peer.clone()).or_insert_with(|| Peering::new(peer, Direction::Downlink, head, now));
        peering.row.direction = Direction::Downlink;
        peering.row.flavour = if fmuc.peering { Flavour::Warren } else { Flavour::Xep };
        if peering.row.peer_session != fmuc.session {
            // Another room stands at that address now, or it is the first time.
            peering.row.peer_session = fmuc.session;
            peering.row.rx_last = None;
        }
        peering.unacked.clear();
        let rx_last = peering.row.rx_last.clone();
        let warren = peering.is_warren();
        peering.chained = rx_last.is_some();
        peering.tx_prev = has.as_ref().map(|(_, h)| h.clone());
        peering.row.tx_acked = has.as_ref().map_or(Seq(0), |(seq, _)| *seq);
        let stale = self.occupants.of_peer(peer).map(|occupant| occupant.nick.clone()).collect();
        if let Some(peering) = self.peerings.get_mut(peer) {
            peering.stale = stale;
        }
        self.catchups.stop(&Target::Peer(peer.clone()));
        self.enter_phase(peer, Phase::Up);
        self.persist_peering(peer);
        if warren {
            let resumed = El::ns("resumed", ns::WARREN_FMUC)
                .attr("session", self.birth.to_string())
                .attr_opt("h", rx_last.as_deref())
                .attr_opt("p", has.as_ref().map(|(_, h)| h.clone()));
            self.send_control(peer, wire::control().child(resumed));
        }
        // Listing 4: first those who are here, last the joining user itself, as a local join would see it.
        let here: Vec<_> = self
            .occupants
            .iter()
            .filter(|occupant| occupant.peer() != Some(peer))
            .map(|occupant| occupant.nick.clone())
            .collect();
        for nick in here {
            self.announce(peer, &nick, false);
        }
        self.occupant_from(peer, user, nick, stanza, &Fmuc { id: None, p: None, ..fmuc.clone() });
        // A Warren node confirms its user when it is done, unless it has left since the join was sent.
        if warren
            && let Some(local) = self.occupants.vouched(peer, user).map(|occupant| occupant.nick.clone())
            && let Some(peering) = self.peerings.get_mut(peer)
        {
            peering.stale.insert(local);
        }
        if let Some(local) = self.occupants.vouched(peer, user).map(|occupant| occupant.nick.clone()) {
            self.announce_as(peer, &local, false, warren);
        }
        if let Some((seq, _)) = has {
            return self.catch_up(Target::Peer(peer.clone()), seq);
        }
        self.send_history(peer, stanza);
        self.send_subject(peer);
    }

    /// Of two rooms that join each other, the one with the smaller address is joined (`fmuc.md` 6.2).
    fn yields_to(&self, peer: &BareJid) -> bool {
        self.jid.as_str() < peer.as_str()
    }

    /// The history as a newcomer would get it, within its limits.
    fn send_history(&mut self, peer: &BareJid, stanza: &Stanza) {
        let limits = stanza.content.find("x", ns::MUC).map(|x| HistoryLimits::read(&x.children())).unwrap_or_default();
        let since = limits.since(self.now.wall);
        let rows: Vec<_> = self
            .history
            .iter()
            .rev()
            .filter(|logged| logged.row.at >= since && logged.row.ingress.as_ref() != Some(peer))
            .take(limits.max_stanzas())
            .cloned()
            .collect();
        for logged in rows.iter().rev() {
            if let Payload::Message(message) = &logged.payload {
                self.send_message(peer, logged, message, true);
            }
        }
    }

    /// The joining side has announced everybody: who was not named is gone.
    pub(super) fn synced_by(&mut self, peer: &BareJid, fmuc: &Fmuc) {
        let Some(peering) = self.peerings.get_mut(peer) else { return };
        if peering.phase != Phase::Up {
            return;
        }
        if let Some(p) = &fmuc.p
            && peering.row.rx_last.as_ref() != Some(p)
        {
            return self.lose(peer);
        }
        let mut stale = std::mem::take(&mut peering.stale);
        if let Some(with) = &fmuc.with
            && let Some(confirmed) = self.occupants.vouched(peer, with)
        {
            stale.remove(&confirmed.nick);
        }
        for nick in stale {
            self.remove_occupant(&nick, &Leave::default());
        }
        self.fmuc_left(Some(peer));
    }

    /// Nobody is on the joining side.
    pub(super) fn gone_by(&mut self, peer: &BareJid) {
        if self.peerings.get(peer).is_some_and(|peering| peering.row.direction == Direction::Downlink) {
            self.peer_is_gone(peer);
        }
    }

    /// We are asked to join again.
    pub(super) fn resync_wanted(&mut self, peer: &BareJid) {
        if !self.is_uplink(peer) {
            return;
        }
        if !self.occupants.any_local() {
            // Nobody here: the peer may forget our users. What they said comes with the next join.
            return self.send_control(peer, wire::control().child(El::ns("gone", ns::WARREN_FMUC)));
        }
        let now = self.now.mono;
        match self.peerings.get(peer).map(|peering| peering.phase) {
            None => {}
            // Our join may have crossed this on its way and be answered, or have been lost with whoever took it.
            Some(Phase::Joining) => {
                if let Some(peering) = self.peerings.get_mut(peer) {
                    peering.tries = 0;
                    peering.retry_at = Some(peering.retry_at.map_or(now + CROSSED, |at| at.min(now + CROSSED)));
                }
            }
            // Also in the middle of a sync: who asks has forgotten it, and the rest of it will not come.
            Some(_) => {
                if let Some(peering) = self.peerings.get_mut(peer) {
                    peering.tries = 0;
                    peering.unacked.clear();
                }
                self.catchups.stop(&Target::Peer(peer.clone()));
                self.schedule_retry(peer);
                self.start_join(peer);
            }
        }
    }

    /// Asks the joining side to join again: only it can.
    pub(super) fn send_resync(&mut self, peer: &BareJid) {
        let fmuc = wire::control().child(
            El::ns("resync", ns::WARREN_FMUC)
                .attr("session", self.birth.to_string())
                .attr_opt("id", self.peerings.get(peer).and_then(|peering| peering.row.rx_last.clone())),
        );
        self.send_control(peer, fmuc);
    }

    /// Listing 10.
    pub(super) fn send_left(&mut self, peer: &BareJid) {
        self.send_control(peer, wire::control().child(El::ns("left", ns::FMUC)));
    }

    /// A control stanza: an available presence from bare to bare, which is no occupant's.
    pub(super) fn send_control(&mut self, peer: &BareJid, fmuc: El) {
        let bytes =
            StanzaWriter::new(Kind::Presence).from(self.jid.as_str()).el(fmuc).finish().to(&Jid::from(peer.clone()));
        self.fx.push(Effect::Peer { peer: peer.clone(), bytes });
    }
}
