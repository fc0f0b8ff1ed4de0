//! Our log towards a peer. Every row that others made than the peer itself goes out in order, with its
//! own id, the id of the stanza before it (`p`) and the last id we have taken from the peer (`h`). The
//! effects wait for the rows before them, so `h` never promises what could vanish.

use std::sync::Arc;

use jid::{BareJid, Jid};
use warren_model::{Direction, LogKind, Role};
use warren_xmpp::{El, Kind, StanzaWriter, ns};

use super::joining::at_peer;
use super::peering::Phase;
use super::wire;
use crate::io::Effect;
use crate::log::Logged;
use crate::payload::{Leave, Message, NickChange, Payload};
use crate::render::{Item, delay};
use crate::room::Room;

impl Room {
    /// A row was appended: it goes to every peer that is in step and did not send it.
    pub(crate) fn fmuc_out(&mut self, logged: &Arc<Logged>) {
        let came = logged.row.kind == LogKind::Join && logged.row.ingress.is_none();
        let peers: Vec<_> = self
            .peerings
            .iter()
            .filter(|(peer, peering)| peering.phase == Phase::Up && !self.catchups.is_syncing(peer))
            .map(|(peer, _)| peer.clone())
            .collect();
        for peer in peers {
            self.send_row(&peer, logged);
        }
        if came {
            self.follow_uplink();
        }
    }

    /// One of several clients of a nick has gone. Peers know an occupant by the address of its first client, so they
    /// are told of a leave and a join, two stanzas of one row as in a change of nick. If it was another client, the
    /// leave names nobody whom they know, and the join changes nothing.
    fn send_move(&mut self, peer: &BareJid, logged: &Logged, leave: &Leave) {
        let (row, nick) = (&logged.row, &logged.row.nick);
        let Some(old) = row.jid.clone() else { return };
        let first = self.occupants.get(nick).filter(|occupant| occupant.peer() == row.ingress.as_ref());
        let Some((new, content)) = first.map(|o| (o.sessions[0].jid.clone(), o.presence.clone())) else {
            return self.send_leave(peer, logged, leave);
        };
        let id = self.own_id(row);
        let fmuc = self.annotate(peer, logged, &format!("{id}-"), wire::about(&old));
        let bytes = self.leave_text(peer, nick, &old, leave, fmuc);
        self.fx.push(Effect::Peer { peer: peer.clone(), bytes });
        let fmuc = self.annotate(peer, logged, &id, wire::about(&new));
        let mut writer = StanzaWriter::new(Kind::Presence).from(self.occupant_jid(nick)).raw(content.bytes()).el(fmuc);
        if self.is_uplink(peer) {
            writer = writer.el(El::ns("x", ns::MUC));
        }
        let bytes = writer.el(self.standing_of(nick)).finish().to(&at_peer(peer, nick));
        self.fx.push(Effect::Peer { peer: peer.clone(), bytes });
    }

    /// The address under which peers know who said this: that of the first client of the nick.
    fn known_as(&self, row: &warren_model::LogRow) -> Option<Jid> {
        let jid = row.jid.as_ref()?;
        let occupant = self.occupants.get(&row.nick);
        let first = occupant.filter(|o| o.peer() == row.ingress.as_ref()).map(|o| &o.sessions[0].jid);
        Some(first.filter(|first| first.to_bare() == jid.to_bare()).unwrap_or(jid).clone())
    }

    /// One row to one peer.
    fn send_row(&mut self, peer: &BareJid, logged: &Arc<Logged>) {
        let row = &logged.row;
        if row.ingress.as_ref() == Some(peer) {
            return;
        }
        match &logged.payload {
            Payload::Message(message) => self.send_message(peer, logged, message, false),
            Payload::Join(join) if !join.again => {
                self.send_presence(peer, logged, &row.nick, &join.presence, true, (None, None));
            }
            Payload::Leave(leave) if leave.others_stay => self.send_move(peer, logged, leave),
            Payload::Leave(leave) => self.send_leave(peer, logged, leave),
            Payload::Nick(change) => self.send_nick(peer, logged, change),
            Payload::Role(change) => {
                let presence = self.occupants.get(&row.nick).map(|o| o.presence.bytes().to_vec()).unwrap_or_default();
                let words = (change.actor.as_deref(), change.reason.as_deref());
                self.send_presence(peer, logged, &row.nick, &presence, false, words);
            }
            _ => {}
        }
    }

    /// One row of a resync. Joins and leaves are not repeated: the roster has told their outcome.
    ///
    /// `later`: it was appended after that roster, so whoever came or went by it is told as usual.
    pub(crate) fn sync_row(&mut self, peer: &BareJid, logged: &Arc<Logged>, later: bool) {
        if logged.row.ingress.as_ref() == Some(peer) {
            return;
        }
        // A joined node's subject ends its sync, so its earlier subjects are left out.
        let joined = self.peerings.get(peer).is_some_and(|peering| peering.row.direction == Direction::Downlink);
        match (&logged.payload, logged.row.kind) {
            (Payload::Message(message), LogKind::Message) => self.send_message(peer, logged, message, true),
            (Payload::Message(message), LogKind::Subject) if !joined => {
                self.send_message(peer, logged, message, true);
            }
            (Payload::Message(_), _) => {}
            _ if later => self.send_row(peer, logged),
            _ => {}
        }
    }

    /// The rows of a resync are out.
    pub(crate) fn sync_complete(&mut self, peer: &BareJid) {
        match self.peerings.get(peer).map(|peering| peering.row.direction) {
            Some(Direction::Downlink) => self.send_subject(peer),
            Some(Direction::Uplink) => {
                let p = self.peerings.get(peer).and_then(|peering| peering.tx_prev.clone());
                let h = self.peerings.get(peer).and_then(|peering| peering.row.rx_last.clone());
                let s = El::ns("s", ns::WARREN_FMUC).attr_opt("p", p).attr_opt("h", h);
                let with = self
                    .confirmed(peer)
                    .and_then(|nick| self.occupants.get(&nick))
                    .map(|o| o.sessions[0].jid.to_string());
                let synced = El::ns("synced", ns::WARREN_FMUC).attr_opt("with", with);
                self.send_control(peer, wire::control().child(synced).child(s));
                if let Some(peering) = self.peerings.get_mut(peer) {
                    peering.announced = None;
                    peering.joins = 0;
                }
            }
            None => {}
        }
    }

    /// The annotation of a row towards a peer that understands it.
    fn annotate(&mut self, peer: &BareJid, logged: &Logged, id: &str, fmuc: El) -> El {
        let Some(peering) = self.peerings.get_mut(peer).filter(|peering| peering.is_warren()) else { return fmuc };
        let p = peering.tx_prev.replace(id.into());
        let mut s = El::ns("s", ns::WARREN_FMUC).attr_opt("p", p).attr_opt("h", peering.row.rx_last.as_deref());
        if matches!(logged.row.kind, LogKind::Message | LogKind::Subject) {
            s = s.attr("t", logged.row.eff.to_string());
        }
        let fmuc = fmuc.child(wire::session(self.birth, Some(id))).child(s);
        self.sent(peer, logged.row.seq);
        fmuc
    }

    /// Listing 6: a message, addressed to the bare room.
    pub(super) fn send_message(&mut self, peer: &BareJid, logged: &Logged, message: &Message, late: bool) {
        let row = &logged.row;
        let user = self.known_as(row);
        let fmuc = match &user {
            Some(user) => wire::about(user),
            None => wire::about(&Jid::from(self.jid.clone())),
        };
        let id = self.own_id(row);
        let fmuc = self.annotate(peer, logged, &id, fmuc);
        let origin = message.origin.clone().unwrap_or_else(|| self.jid.clone());
        let mut writer = StanzaWriter::new(Kind::Message)
            .from(if row.nick.is_empty() { self.jid.to_string() } else { self.occupant_jid(&row.nick) })
            .type_(Some("groupchat"))
            .id(message.id.as_deref())
            .lang(message.lang.as_deref())
            .raw(&message.content)
            .el(fmuc)
            .el(El::ns("stanza-id", ns::SID).attr("by", origin.as_str()).attr("id", self.id_of(row)));
        if late {
            writer = writer.el(delay(self.jid.as_str(), row.eff));
        }
        let bytes = writer.finish().to(&Jid::from(peer.clone()));
        self.fx.push(Effect::Peer { peer: peer.clone(), bytes });
    }

    /// Listing 4, the end of a sync: the subject, always, empty if there is none.
    pub(super) fn send_subject(&mut self, peer: &BareJid) {
        let subject = self.subject.clone();
        let id = self.keys.encode(self.epoch, self.head);
        let user =
            subject.as_ref().and_then(|logged| logged.row.jid.clone()).unwrap_or_else(|| Jid::from(self.jid.clone()));
        let mut fmuc = wire::about(&user);
        let head = self.head;
        if let Some(peering) = self.peerings.get_mut(peer).filter(|peering| peering.is_warren()) {
            let p = peering.tx_prev.replace(id.clone());
            let s = El::ns("s", ns::WARREN_FMUC).attr_opt("p", p).attr_opt("h", peering.row.rx_last.as_deref());
            fmuc = fmuc.child(wire::session(self.birth, Some(&id))).child(s);
            peering.unsaid = 0;
            peering.ack_at = None;
            self.sent(peer, head);
        }
        let mut writer = StanzaWriter::new(Kind::Message).type_(Some("groupchat"));
        writer = match subject.as_ref().map(|logged| (logged, &logged.payload)) {
            Some((logged, Payload::Message(message))) => {
                let origin = message.origin.clone().unwrap_or_else(|| self.jid.clone());
                let from =
                    if logged.row.nick.is_empty() { self.jid.to_string() } else { self.occupant_jid(&logged.row.nick) };
                writer
                    .from(from)
                    .id(message.id.as_deref())
                    .raw(&message.content)
                    .el(fmuc)
                    .el(El::ns("stanza-id", ns::SID).attr("by", origin.as_str()).attr("id", self.id_of(&logged.row)))
                    .el(delay(self.jid.as_str(), logged.row.eff))
            }
            _ => writer.from(self.jid.as_str()).el(El::new("subject")).el(fmuc),
        };
        let bytes = writer.finish().to(&Jid::from(peer.clone()));
        self.fx.push(Effect::Peer { peer: peer.clone(), bytes });
    }

    /// Listing 8: somebody came, or stands otherwise than before.
    fn send_presence(
        &mut self,
        peer: &BareJid,
        logged: &Logged,
        nick: &str,
        content: &[u8],
        join: bool,
        (actor, reason): (Option<&str>, Option<&str>),
    ) {
        let Some(user) = logged.row.jid.clone() else { return };
        let id = self.own_id(&logged.row);
        let fmuc = self.annotate(peer, logged, &id, wire::about(&user));
        let mut writer = StanzaWriter::new(Kind::Presence).from(self.occupant_jid(nick)).raw(content).el(fmuc);
        if join && self.is_uplink(peer) {
            writer = writer.el(El::ns("x", ns::MUC));
        }
        let bytes = writer.el(self.standing_because(nick, actor, reason)).finish().to(&at_peer(peer, nick));
        self.fx.push(Effect::Peer { peer: peer.clone(), bytes });
    }

    /// Listing 9: somebody went, with the reason if somebody else made it.
    fn send_leave(&mut self, peer: &BareJid, logged: &Logged, leave: &Leave) {
        let Some(user) = logged.row.jid.clone() else { return };
        let id = self.own_id(&logged.row);
        let fmuc = self.annotate(peer, logged, &id, wire::about(&user));
        let bytes = self.leave_text(peer, &logged.row.nick, &user, leave, fmuc);
        self.fx.push(Effect::Peer { peer: peer.clone(), bytes });
    }

    /// The text of a leave or kick between nodes.
    pub(super) fn leave_text(&self, peer: &BareJid, nick: &str, user: &Jid, leave: &Leave, fmuc: El) -> bytes::Bytes {
        let item = Item {
            affiliation: leave.affiliation,
            role: Role::None,
            jid: Some(user),
            nick: None,
            actor: leave.actor.as_deref(),
            reason: leave.reason.as_deref(),
        };
        let mut x = El::ns("x", ns::MUC_USER).child(item.el(self.is_open()));
        if let Some(code) = leave.cause.status() {
            x = x.child(El::new("status").attr("code", code.to_string()));
        }
        let status = crate::render::status_bytes(leave.status.as_deref());
        StanzaWriter::new(Kind::Presence)
            .from(self.occupant_jid(nick))
            .type_(Some("unavailable"))
            .raw(&status)
            .el(fmuc)
            .el(x)
            .finish()
            .to(&at_peer(peer, nick))
    }

    /// A change of nick is two presences of one row; the first half's id has a dash, so that the loss of
    /// either is seen as a gap.
    fn send_nick(&mut self, peer: &BareJid, logged: &Logged, change: &NickChange) {
        let Some(user) = logged.row.jid.clone() else { return };
        let id = self.own_id(&logged.row);
        let fmuc = self.annotate(peer, logged, &format!("{id}-"), wire::about(&user));
        let item = Item {
            affiliation: change.affiliation,
            role: change.role,
            jid: Some(&user),
            nick: Some(&change.new),
            ..Item::default()
        };
        let x = El::ns("x", ns::MUC_USER).child(item.el(self.is_open())).child(El::new("status").attr("code", "303"));
        let old = &logged.row.nick;
        let bytes = StanzaWriter::new(Kind::Presence)
            .from(self.occupant_jid(old))
            .type_(Some("unavailable"))
            .el(fmuc)
            .el(x)
            .finish()
            .to(&at_peer(peer, old));
        self.fx.push(Effect::Peer { peer: peer.clone(), bytes });
        self.send_presence(peer, logged, &change.new, &change.presence, true, (None, None));
    }

    /// Tells a peer of somebody who is here, outside the log: the roster of a sync.
    pub(super) fn announce(&mut self, peer: &BareJid, nick: &str, to_nick: bool) {
        self.announce_as(peer, nick, to_nick, false);
    }

    /// The same; `echo`: it is the peer's own user, told because listing 4 has it. A Warren node is told that it is an
    /// echo: that of a join that has waited may name somebody who has left there since, and would be taken for ours.
    pub(super) fn announce_as(&mut self, peer: &BareJid, nick: &str, to_nick: bool, echo: bool) {
        let Some(occupant) = self.occupants.get(nick) else { return };
        let user = occupant.sessions[0].jid.clone();
        let content = occupant.presence.clone();
        let mut about = wire::about(&user);
        if echo {
            about = about.child(El::ns("echo", ns::WARREN_FMUC));
        }
        let mut writer = StanzaWriter::new(Kind::Presence).from(self.occupant_jid(nick)).raw(content.bytes()).el(about);
        if to_nick {
            writer = writer.el(El::ns("x", ns::MUC));
        }
        let to = if to_nick { at_peer(peer, nick) } else { Jid::from(peer.clone()) };
        let bytes = writer.el(self.standing_of(nick)).finish().to(&to);
        self.fx.push(Effect::Peer { peer: peer.clone(), bytes });
    }

    /// Tells a peer that somebody is not its business any more.
    pub(super) fn announce_leave(&mut self, peer: &BareJid, nick: &str) {
        let Some(user) = self.occupants.get(nick).map(|occupant| occupant.sessions[0].jid.clone()) else { return };
        let bytes = self.leave_text(peer, nick, &user, &Leave::default(), wire::about(&user));
        self.fx.push(Effect::Peer { peer: peer.clone(), bytes });
    }

    /// Show, status and caps of an occupant who joined here: not logged, so outside the chain.
    pub(crate) fn fmuc_presence(&mut self, nick: &str) {
        let Some(occupant) = self.occupants.get(nick) else { return };
        let (from, user, content) =
            (occupant.peer().cloned(), occupant.sessions[0].jid.clone(), occupant.presence.clone());
        let peers: Vec<_> = self
            .peerings
            .iter()
            .filter(|(peer, peering)| {
                peering.phase == Phase::Up && Some(*peer) != from.as_ref() && !self.catchups.is_syncing(peer)
            })
            .map(|(peer, _)| peer.clone())
            .collect();
        for peer in peers {
            let bytes = StanzaWriter::new(Kind::Presence)
                .from(self.occupant_jid(nick))
                .raw(content.bytes())
                .el(wire::about(&user))
                .el(self.standing_of(nick))
                .finish()
                .to(&at_peer(&peer, nick));
            self.fx.push(Effect::Peer { peer, bytes });
        }
    }

    /// Nothing of ours is on its way: an acknowledgement alone.
    pub(super) fn send_ack(&mut self, peer: &BareJid) {
        let Some(peering) = self.peerings.get_mut(peer) else { return };
        peering.ack_at = None;
        peering.unsaid = 0;
        if !peering.is_warren() || peering.phase != Phase::Up {
            return;
        }
        let Some(h) = peering.row.rx_last.clone() else { return };
        let fmuc = wire::control().child(El::ns("s", ns::WARREN_FMUC).attr("h", h));
        self.send_control(peer, fmuc);
    }
}
