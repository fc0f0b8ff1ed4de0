//! Federation of this room with rooms elsewhere (XEP-0289, primary-primary), and what makes it
//! exactly once per site's log: everything that a peer is owed is in our log, everything we took is in
//! the same transaction as the id of the last thing taken, and a gap starts a resync.
//!
//! - `wire`: the `fmuc` element and what we add inside it
//! - `peering`: what is known of one peer, its timers, loss
//! - `policy`: who may join, who may vouch for whom
//! - `joining`: our side when we join a node (uplink)
//! - `joined`: our side when a node joins us (downlink)
//! - `outbound`: our log towards a peer; `inbound`: a peer's stanzas into our log
//! - `nicks`: clashes; `aside`: private messages and kicks, which are in no log

mod aside;
mod inbound;
mod joined;
mod joining;
mod nicks;
mod outbound;
mod peering;
mod policy;
mod wire;

use jid::{BareJid, Jid};
use warren_model::{Direction, PeeringState};
use warren_xmpp::cast::PathState;
use warren_xmpp::{Kind, Stanza, ns};

pub(crate) use inbound::Seen;
pub(crate) use peering::{Peering, Phase};

use crate::room::Room;
use wire::Fmuc;

impl Room {
    /// Whether a stanza is between nodes: it carries `fmuc` and does not come from one of our users, or
    /// it is an error from a peer. A client that sends `fmuc` is treated as any other client.
    pub(crate) fn is_federation(&self, stanza: &Stanza, from: &Jid) -> bool {
        if self.peerings.contains_key(&from.to_bare()) {
            return stanza.head.kind != Kind::Iq;
        }
        stanza.content.has("fmuc", ns::FMUC)
            && stanza.head.kind != Kind::Iq
            && self.occupants.nick_of(from).is_none()
            && !self.site.home_domains.contains(from.domain().as_str())
            && (stanza.head.kind == Kind::Presence || self.site.peers.contains_key(from.domain().as_str()))
    }

    /// A stanza from another node.
    pub(crate) fn federation(&mut self, stanza: &Stanza, from: &Jid) {
        let peer = from.to_bare();
        if stanza.head.type_.as_deref() == Some("error") {
            return self.peer_error(&peer, stanza);
        }
        let Some(fmuc) = Fmuc::read(&stanza.content) else { return self.not_fmuc(&peer, stanza) };
        if !self.peer_is_trusted(&peer) {
            if is_join(stanza) {
                self.reject(&peer, "this site does not federate with yours");
            }
            return;
        }
        match stanza.head.kind {
            Kind::Presence => self.peer_presence(&peer, from, stanza, &fmuc),
            Kind::Message => self.peer_message(&peer, from, stanza, &fmuc),
            Kind::Iq => {}
        }
    }

    fn peer_presence(&mut self, peer: &BareJid, from: &Jid, stanza: &Stanza, fmuc: &Fmuc) {
        if self.peer_control(peer, fmuc) {
            return;
        }
        let Some(user) = fmuc.from.clone() else { return };
        let Some(nick) = from.resource().map(|r| r.as_str().to_owned()) else { return };
        if self.kicked_from_afar(peer, &user, stanza) {
            return;
        }
        if is_join(stanza) && fmuc.peering {
            return self.join_from(peer, &user, &nick, stanza, fmuc);
        }
        // A Warren node says `peering` when it joins. What else of it looks like a join is the roster of its sync,
        // and counts only in that sync: taken for the join of a plain node, it would make us forget what we have.
        let in_use = self.peerings.get(peer).is_some_and(|peering| peering.is_warren() && peering.phase != Phase::Idle);
        if is_join(stanza) && !self.is_linked(peer) && !self.is_uplink(peer) && !in_use {
            return self.join_from(peer, &user, &nick, stanza, fmuc);
        }
        self.occupant_from(peer, &user, &nick, stanza, fmuc);
    }

    /// `reject`, `left` and our own control elements. True: the stanza is dealt with.
    fn peer_control(&mut self, peer: &BareJid, fmuc: &Fmuc) -> bool {
        if let Some(h) = &fmuc.h {
            self.acknowledged(peer, h);
        }
        if fmuc.reject {
            self.rejected(peer);
        } else if fmuc.left {
            self.left_by(peer);
        } else if fmuc.resync {
            self.resync_wanted(peer);
        } else if let Some(resumed) = &fmuc.resumed {
            self.resumed_by(peer, resumed);
        } else if fmuc.synced {
            self.synced_by(peer, fmuc);
        } else if fmuc.gone {
            self.gone_by(peer);
        } else {
            return fmuc.from.is_none();
        }
        true
    }

    /// After the room was loaded: every peering that was in use is resumed.
    pub(crate) fn fmuc_wake(&mut self) {
        let peers: Vec<_> = self
            .peerings
            .iter()
            .filter(|(_, peering)| peering.row.state != PeeringState::Idle)
            .map(|(peer, _)| peer.clone())
            .collect();
        for peer in peers {
            self.lose(&peer);
        }
        self.follow_uplink();
    }

    /// The configuration or the allow-list changed.
    pub(crate) fn fmuc_policy_changed(&mut self) {
        let uplink = self.config.federation.as_ref().and_then(|f| f.uplink.as_ref()).map(|u| u.room.clone());
        let lapsed: Vec<_> = self
            .peerings
            .iter()
            .filter(|(peer, peering)| match peering.row.direction {
                Direction::Uplink => uplink.as_ref() != Some(peer) || !self.peer_is_trusted(peer),
                Direction::Downlink => !self.admits(peer),
            })
            .filter(|(_, peering)| peering.phase != Phase::Idle)
            .map(|(peer, _)| peer.clone())
            .collect();
        for peer in lapsed {
            self.close_peering(&peer);
        }
        self.follow_uplink();
    }

    /// The room ends: peers are told in the XEP's words.
    pub(crate) fn fmuc_close_all(&mut self) {
        let peers: Vec<_> = self.peerings.keys().cloned().collect();
        for peer in peers {
            self.close_peering(&peer);
        }
    }

    /// What was said to peers lately may never have been sent: whoever carries it out has changed. What they have is
    /// found by a resync at once, not when nobody has answered for long.
    pub(crate) fn fmuc_regrouped(&mut self) {
        let peers: Vec<_> = self.peerings.iter().map(|(peer, peering)| (peer.clone(), peering.phase)).collect();
        for (peer, phase) in peers {
            let owes = self.peerings.get(&peer).is_some_and(|peering| !peering.unacked.is_empty());
            match phase {
                Phase::Up if owes => self.lose(&peer),
                Phase::Joining | Phase::Down => self.retry_now(&peer),
                _ => {}
            }
        }
    }

    /// A path changed its state.
    pub(crate) fn fmuc_path(&mut self, remote: &str, state: PathState) {
        let peers: Vec<_> = self.peerings.keys().filter(|peer| peer.domain().as_str() == remote).cloned().collect();
        for peer in peers {
            match state {
                PathState::Up => self.retry_now(&peer),
                PathState::Suspect => {}
                PathState::Down => self.lose(&peer),
            }
        }
    }
}

/// A presence that asks to join: available, with the element of XEP-0045 7.2.
fn is_join(stanza: &Stanza) -> bool {
    stanza.head.kind == Kind::Presence && stanza.head.type_.is_none() && stanza.content.has("x", ns::MUC)
}
