//! The joining node (XEP-0289 5.1, 5.4): we join the node of our configuration as long as somebody is
//! here, and rejoin after a loss with what we had, so that only the difference comes.

use jid::{BareJid, Jid};
use warren_model::{Direction, Flavour, Row, Seq};
use warren_xmpp::{El, Kind, StanzaWriter, ns};

use super::peering::{Peering, Phase};
use super::wire::{self, Fmuc, Resumed};
use crate::catchup::Target;
use crate::io::Effect;
use crate::payload::{Cause, Leave};
use crate::render::Item;
use crate::room::Room;
use crate::state::Nick;

impl Room {
    /// The node we join, if we join one.
    pub(super) fn uplink(&self) -> Option<BareJid> {
        self.config.federation.as_ref()?.uplink.as_ref().map(|uplink| uplink.room.clone())
    }

    pub(super) fn is_uplink(&self, peer: &BareJid) -> bool {
        self.peerings.get(peer).is_some_and(|peering| peering.row.direction == Direction::Uplink)
            || self.uplink().as_ref() == Some(peer)
    }

    /// Joins the configured node if somebody is here and it is not joined yet.
    pub(super) fn follow_uplink(&mut self) {
        let Some(peer) = self.uplink() else { return };
        if !self.occupants.any_local() || !self.peer_is_trusted(&peer) {
            return;
        }
        let (head, now) = (self.head, self.now);
        if let Some(peering) = self.peerings.get_mut(&peer) {
            if peering.row.direction == Direction::Downlink {
                // It has joined us: one peering between two rooms is enough.
                return;
            }
            if matches!(peering.phase, Phase::Idle | Phase::Leaving) && peering.retry_at.is_none() {
                self.schedule_retry(&peer);
                self.start_join(&peer);
            }
            return;
        }
        let peering = Peering::new(&peer, Direction::Uplink, before_join(head), now);
        self.peerings.insert(peer.clone(), peering);
        self.schedule_retry(&peer);
        self.start_join(&peer);
    }

    /// Listing 2, with what lets a Warren node continue instead of starting over.
    pub(super) fn start_join(&mut self, peer: &BareJid) {
        self.enter_phase(peer, Phase::Joining);
        let Some(first) = self.occupants.local().next() else {
            return self.peer_is_gone(peer);
        };
        let Some(peering) = self.peerings.get(peer) else { return };
        let user = first.sessions[0].jid.clone();
        let nick = first.nick.clone();
        let state = El::ns("s", ns::WARREN_FMUC)
            .attr("session", self.birth.to_string())
            .attr_opt("h", peering.row.rx_last.as_deref())
            .attr("head", self.keys.encode(self.epoch, self.head));
        let fmuc = wire::about(&user)
            .child(wire::session(self.birth, None))
            .child(El::ns("peering", ns::WARREN_FMUC).attr("mode", "primary").attr("node", self.birth.to_string()))
            .child(state);
        let content = self.occupants.get(&nick).map(|o| o.presence.clone()).unwrap_or_default();
        let standing = self.standing_of(&nick);
        if let Some(peering) = self.peerings.get_mut(peer) {
            peering.announced = Some((user.clone(), nick.clone()));
            peering.joins += 1;
        }
        let bytes = StanzaWriter::new(Kind::Presence)
            .from(self.occupant_jid(&nick))
            .raw(content.bytes())
            .el(fmuc)
            .el(El::ns("x", ns::MUC))
            .el(standing)
            .finish()
            .to(&at_peer(peer, &nick));
        self.fx.push(Effect::Peer { peer: peer.clone(), bytes });
    }

    /// The node answers: what follows up to the subject is its state.
    pub(super) fn resumed_by(&mut self, peer: &BareJid, resumed: &Resumed) {
        let stale = self.occupants.of_peer(peer).map(|occupant| occupant.nick.clone()).collect();
        let known = resumed.h.as_deref().and_then(|h| self.position_of(h));
        let Some(peering) = self.peerings.get_mut(peer) else { return };
        if peering.row.direction != Direction::Uplink || !matches!(peering.phase, Phase::Joining | Phase::Syncing) {
            return;
        }
        // The answer to a second join, sent because the first one's was late: it begins the sync again, since the
        // first one has ended in the middle.
        if peering.phase == Phase::Syncing && resumed.p != peering.row.rx_last {
            return self.lose(peer);
        }
        if resumed.p != peering.row.rx_last {
            // It starts over: another room stands at that address now, or it does not know what we had.
            peering.row.rx_last = None;
        }
        peering.chained = peering.row.rx_last.is_some();
        peering.row.flavour = Flavour::Warren;
        peering.row.peer_session = resumed.session;
        peering.stale = stale;
        peering.tx_prev.clone_from(&resumed.h);
        // What was sent in an earlier sync counts for nothing unless it was acknowledged.
        peering.owed_after = known.unwrap_or(peering.row.tx_acked);
        self.enter_phase(peer, Phase::Syncing);
    }

    /// The nick of the user whom our only join has named, if it is still here.
    pub(super) fn confirmed(&self, peer: &BareJid) -> Option<Nick> {
        let (user, nick) = self.peerings.get(peer)?.announced.as_ref()?;
        let occupant = self.occupants.get(nick).filter(|occupant| occupant.is_local())?;
        (occupant.sessions[0].jid == *user).then(|| nick.clone())
    }

    /// A plain node begins its answer without `resumed`: its first occupant presence.
    pub(super) fn sync_begins(&mut self, peer: &BareJid) {
        let stale = self.occupants.of_peer(peer).map(|occupant| occupant.nick.clone()).collect();
        if let Some(peering) = self.peerings.get_mut(peer) {
            peering.stale = stale;
            peering.chained = false;
            self.enter_phase(peer, Phase::Syncing);
        }
    }

    /// The subject has come: the node's state is ours. Now ours becomes the node's.
    pub(super) fn sync_ends(&mut self, peer: &BareJid, fmuc: &Fmuc) {
        let Some(peering) = self.peerings.get_mut(peer) else { return };
        let stale = std::mem::take(&mut peering.stale);
        let owed_after = peering.owed_after;
        let warren = peering.is_warren();
        if let Some(id) = &fmuc.id {
            peering.row.rx_last = Some(id.clone());
        }
        for nick in stale {
            self.remove_occupant(&nick, &Leave::default());
        }
        self.enter_phase(peer, Phase::Up);
        self.persist_peering(peer);
        self.taken(peer);
        // Whom the join has named need not be named again. After several joins nobody knows which one is answered, so
        // everybody is named, and whom nobody names or confirms the peer forgets.
        if let Some(peering) = self.peerings.get_mut(peer)
            && peering.joins > 1
        {
            peering.announced = None;
        }
        let told = self.confirmed(peer);
        let locals: Vec<_> = self
            .occupants
            .iter()
            .filter(|occupant| occupant.peer() != Some(peer) && Some(&occupant.nick) != told.as_ref())
            .map(|occupant| occupant.nick.clone())
            .collect();
        for nick in locals {
            self.announce(peer, &nick, true);
        }
        if warren {
            self.catch_up(Target::Peer(peer.clone()), owed_after);
        }
    }

    /// Listing 3: we are refused. People here talk on among themselves.
    pub(super) fn rejected(&mut self, peer: &BareJid) {
        if !self.is_uplink(peer) || !self.peerings.contains_key(peer) {
            return;
        }
        self.catchups.stop(&Target::Peer(peer.clone()));
        let now = self.now.mono;
        if let Some(peering) = self.peerings.get_mut(peer) {
            peering.forget_traffic();
            peering.lost_since.get_or_insert(now);
        }
        self.enter_phase(peer, Phase::Rejected);
        // Whoever runs the other site may change their mind; that is not a matter of seconds.
        if let Some(peering) = self.peerings.get_mut(peer) {
            peering.tries = peering.tries.max(4);
        }
        self.schedule_retry(peer);
    }

    /// The node answers as a room that knows nothing of federation and took us for a user: out again.
    pub(super) fn not_fmuc(&mut self, peer: &BareJid, stanza: &warren_xmpp::Stanza) {
        let joining = self.peerings.get(peer).is_some_and(|peering| peering.phase == Phase::Joining);
        let nick = stanza.head.to.as_ref().and_then(|to| to.resource()).map(|nick| nick.as_str().to_owned());
        let from = stanza.head.from.as_ref().and_then(|from| from.resource()).map(|nick| nick.as_str().to_owned());
        if stanza.head.kind != Kind::Presence || stanza.head.type_.is_some() || !joining {
            return;
        }
        if let Some(nick) = nick.or(from).filter(|nick| self.occupants.get(nick).is_some()) {
            self.announce_leave(peer, &nick);
        }
        self.rejected(peer);
    }

    /// Listing 10: the peering is closed by the other side.
    pub(super) fn left_by(&mut self, peer: &BareJid) {
        let Some(peering) = self.peerings.get(peer) else { return };
        // Only the joined side closes in this way.
        if peering.phase == Phase::Idle || peering.row.direction == Direction::Downlink {
            return;
        }
        let wanted = peering.row.direction == Direction::Uplink && self.occupants.any_local();
        let was = peering.phase;
        self.peer_is_gone(peer);
        if wanted {
            match was {
                // Somebody came between our last leave and this confirmation of it.
                Phase::Leaving | Phase::Joining => self.follow_uplink(),
                _ => self.schedule_retry(peer),
            }
        }
    }

    /// The peering is at rest: nobody of the peer is here any more.
    pub(super) fn peer_is_gone(&mut self, peer: &BareJid) {
        self.catchups.stop(&Target::Peer(peer.clone()));
        if let Some(peering) = self.peerings.get_mut(peer) {
            peering.forget_traffic();
        }
        self.enter_phase(peer, Phase::Idle);
        let nicks: Vec<_> = self.occupants.of_peer(peer).map(|occupant| occupant.nick.clone()).collect();
        for nick in nicks {
            self.remove_occupant(&nick, &Leave { cause: Cause::Left, ..Leave::default() });
        }
    }

    /// Ends a peering in the XEP's words: leaves of our users upwards, `left` downwards.
    pub(super) fn close_peering(&mut self, peer: &BareJid) {
        let Some(peering) = self.peerings.get(peer) else { return };
        match peering.row.direction {
            Direction::Downlink => self.send_left(peer),
            Direction::Uplink => {
                let nicks: Vec<_> = self.occupants.local().map(|occupant| occupant.nick.clone()).collect();
                for nick in nicks {
                    self.announce_leave(peer, &nick);
                }
            }
        }
        self.peer_is_gone(peer);
        self.peerings.remove(peer);
        self.persist(Row::PeeringGone(peer.clone()));
    }

    /// A session left; with the last one of the joining side the peering rests (listing 10).
    pub(crate) fn fmuc_left(&mut self, ingress: Option<&BareJid>) {
        match ingress {
            None if !self.occupants.any_local() => {
                let Some(peer) = self.uplink().filter(|peer| self.peerings.contains_key(peer)) else { return };
                match self.peerings.get(&peer).map(|peering| peering.phase) {
                    Some(Phase::Up) => self.enter_phase(&peer, Phase::Leaving),
                    Some(Phase::Idle | Phase::Leaving) | None => {}
                    Some(_) => self.peer_is_gone(&peer),
                }
            }
            Some(peer) if self.occupants.of_peer(peer).next().is_none() => {
                let peer = peer.clone();
                let joined = self.peerings.get(&peer).is_some_and(|peering| {
                    peering.row.direction == Direction::Downlink
                        && peering.phase == Phase::Up
                        && peering.stale.is_empty()
                });
                if joined {
                    self.send_left(&peer);
                    self.peer_is_gone(&peer);
                }
            }
            _ => {}
        }
    }

    /// Whether everybody may see real JIDs: then peers' `<item/>` has them too. `fmuc/@from` always has.
    pub(super) fn is_open(&self) -> bool {
        self.config.anonymity == warren_model::Anonymity::NonAnonymous
    }

    /// The `<x/>` with role and affiliation of an occupant as peers are shown it.
    pub(super) fn standing_of(&self, nick: &str) -> El {
        self.standing_because(nick, None, None)
    }

    /// The same with the words of who changed it.
    pub(super) fn standing_because(&self, nick: &str, actor: Option<&str>, reason: Option<&str>) -> El {
        let Some(occupant) = self.occupants.get(nick) else { return El::ns("x", ns::MUC_USER) };
        let item = Item {
            affiliation: self.shown_affiliation(occupant),
            role: occupant.role,
            jid: Some(&occupant.sessions[0].jid),
            nick: None,
            actor,
            reason,
        };
        El::ns("x", ns::MUC_USER).child(item.el(self.is_open()))
    }
}

/// The address of a nick at the peer.
pub(super) fn at_peer(peer: &BareJid, nick: &str) -> Jid {
    peer.with_resource_str(nick).map_or_else(|_| Jid::from(peer.clone()), Jid::from)
}

/// The row that brings the first user is what we owe from: what was said here before is ours alone.
fn before_join(head: Seq) -> Seq {
    Seq(head.0.saturating_sub(1))
}
