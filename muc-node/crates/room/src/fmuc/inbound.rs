//! A peer's stanzas into our log: in the order of its chain, each once, and only about users it may
//! speak for (`fmuc.md` 6.4, 6.6, 6.8, 6.11).

use std::collections::{HashMap, VecDeque};

use jid::{BareJid, Jid};
use serde_bytes::ByteBuf;
use smallvec::smallvec;
use warren_model::{Affiliation, FmucKeyRow, LogKind, Row};
use warren_xmpp::cast::Who;
use warren_xmpp::{ChildRef, Content, El, Stanza, ns};

use super::peering::Phase;
use super::wire::{self, Fmuc, Standing};
use crate::feature::cleaned_presence;
use crate::feature::subject_only;
use crate::log::Entry;
use crate::payload::{Cause, Join, Leave, Message, Payload};
use crate::room::Room;
use crate::state::{Home, Nick, Occupant};

/// Foreign ids that a loaded room knows without asking the store; the newest of them.
const WINDOW: usize = 10_000;

/// Foreign ids that are in the log. A peering's chain keeps repeats out by itself; this keeps out what
/// comes by another way: history at a first join, another life of the peer, a changed uplink.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    ids: HashMap<(BareJid, Box<str>), u64>,
    order: VecDeque<(BareJid, Box<str>)>,
}

impl Seen {
    /// Adds one.
    pub(crate) fn remember(&mut self, row: &FmucKeyRow) {
        let key = (row.origin.clone(), row.id.clone());
        if self.ids.insert(key.clone(), row.digest).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > WINDOW
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }

    fn knows(&self, origin: &BareJid, id: &str, digest: u64) -> bool {
        self.ids.get(&(origin.clone(), Box::from(id))) == Some(&digest)
    }
}

impl Room {
    /// Takes a stanza of the peer's chain: false if it is a repeat or comes behind a gap.
    fn chain(&mut self, peer: &BareJid, fmuc: &Fmuc) -> bool {
        let Some(id) = &fmuc.id else { return true };
        let Some(peering) = self.peerings.get_mut(peer) else { return false };
        if peering.row.rx_last.as_ref() == Some(id) && peering.phase == Phase::Up {
            return false;
        }
        if fmuc.p != peering.row.rx_last {
            self.lose(peer);
            return false;
        }
        peering.row.rx_last = Some(id.clone());
        self.persist_peering(peer);
        self.taken(peer);
        true
    }

    /// A presence about a user of the peer.
    pub(super) fn occupant_from(&mut self, peer: &BareJid, user: &Jid, nick: &str, stanza: &Stanza, fmuc: &Fmuc) {
        match self.peerings.get(peer).map(|peering| (peering.phase, peering.is_warren())) {
            // A plain node answers a join with its occupants at once. A Warren node begins with `resumed`: what comes
            // before that belongs to the answer to an earlier join, which was lost.
            Some((Phase::Joining, false)) if !self.expects_warren(peer) => self.sync_begins(peer),
            Some((Phase::Syncing | Phase::Up | Phase::Leaving, _)) => {}
            _ => return,
        }
        if !self.chain(peer, fmuc)
            || fmuc.echo
            || self.occupants.by_jid(user).is_some()
            || self.is_at_home_elsewhere(peer, user)
        {
            // Our own user's echo (listing 4) says nothing new, and of another node's users only that node may speak.
            return;
        }
        if stanza.head.type_.as_deref() == Some("unavailable") {
            return self.departure_from(peer, user, stanza);
        }
        if stanza.head.type_.is_some() {
            return;
        }
        if !self.may_vouch(peer, user) {
            return self.refuse_user(peer, user, nick);
        }
        if self.affiliation(&user.to_bare()) == Affiliation::Outcast {
            return self.ban_afar(peer, user, nick);
        }
        self.show_from(peer, user, nick, stanza);
    }

    fn show_from(&mut self, peer: &BareJid, user: &Jid, there: &str, stanza: &Stanza) {
        let presence = cleaned_presence(&stanza.content);
        let standing = wire::standing(&stanza.content);
        let Some(known) = self.occupants.vouched(peer, user).map(|occupant| occupant.nick.clone()) else {
            return self.admit_from(peer, user, there, &presence, standing);
        };
        if let Some(peering) = self.peerings.get_mut(peer) {
            peering.stale.remove(&known);
        }
        let Some(occupant) = self.occupants.get(&known) else { return };
        let Home::Peer { nick, affiliation, .. } = occupant.home.clone() else { return };
        let changed = affiliation != standing.affiliation || occupant.role != standing.role;
        let mut shown = known.clone();
        if &*nick != there {
            shown = self.rename_from(peer, user, &known, there);
        }
        self.update_presence(&shown, presence, None);
        if changed {
            if let Some(occupant) = self.occupants.get_mut(&shown)
                && let Home::Peer { affiliation, .. } = &mut occupant.home
            {
                *affiliation = standing.affiliation;
            }
            let (_, reason, actor) = wire::item_words(&stanza.content);
            self.show_role(&shown, standing.role, reason, actor.map(Into::into));
        }
    }

    /// A user of the peer comes.
    fn admit_from(&mut self, peer: &BareJid, user: &Jid, there: &str, presence: &Content, standing: Standing) {
        let nick = self.nick_for(peer, user, there);
        let again = self.occupants.get(&nick).is_some();
        let logged = self.append(Entry {
            kind: LogKind::Join,
            jid: Some(user),
            nick: &nick,
            ingress: Some(peer),
            id: None,
            eff: None,
            payload: Payload::Join(Join {
                affiliation: standing.affiliation,
                role: standing.role,
                presence: ByteBuf::from(presence.bytes().to_vec()),
                again,
            }),
        });
        let seq = logged.row.seq;
        let occupant_id = self.keys.occupant_id(&user.to_bare(), Some(peer));
        let home = Home::Peer { room: peer.clone(), nick: there.into(), affiliation: standing.affiliation };
        self.occupants.add(&nick, user, seq, || Occupant {
            nick: nick.clone(),
            role: standing.role,
            sessions: smallvec![],
            home,
            occupant_id,
            presence: presence.clone(),
            seq,
            came: seq,
        });
        self.persist_session(&nick, user);
        if !again && let Some(occupant) = self.occupants.get(&nick) {
            let variants = self.presence_variants(&self.current_presence(occupant), smallvec![]);
            self.cast(Some(seq), variants, Who::All);
        }
        self.fmuc_out(&logged);
    }

    /// A user of the peer goes, or is only renamed.
    fn departure_from(&mut self, peer: &BareJid, user: &Jid, stanza: &Stanza) {
        let Some(known) = self.occupants.vouched(peer, user).map(|occupant| occupant.nick.clone()) else { return };
        let codes = wire::codes(&stanza.content);
        let (new, reason, actor) = wire::item_words(&stanza.content);
        if codes.contains(&303)
            && let Some(new) = new.filter(|new| !new.trim().is_empty())
        {
            self.rename_from(peer, user, &known, &new);
            return;
        }
        // It leaves as what its node says it is.
        let standing = wire::standing(&stanza.content);
        if let Some(occupant) = self.occupants.get_mut(&known)
            && let Home::Peer { affiliation, .. } = &mut occupant.home
        {
            *affiliation = standing.affiliation;
        }
        let cause = match () {
            () if codes.contains(&307) => Cause::Kicked,
            () if codes.contains(&301) => Cause::Banned,
            () if codes.contains(&321) => Cause::Affiliation,
            () if codes.contains(&322) => Cause::MembersOnly,
            () if codes.contains(&333) => Cause::Technical,
            () => Cause::Left,
        };
        let status = stanza.content.find("status", ns::CLIENT).map(|child| child.text());
        let why = Leave { cause, status, reason, actor: actor.map(Into::into), ..Leave::default() };
        self.remove_session(&known, user, &why);
    }

    fn rename_from(&mut self, peer: &BareJid, user: &Jid, known: &Nick, there: &str) -> Nick {
        let shown = self.nick_for(peer, user, there);
        if let Some(occupant) = self.occupants.get_mut(known)
            && let Home::Peer { nick, .. } = &mut occupant.home
        {
            *nick = there.into();
        }
        if shown != *known {
            self.change_nick(known, &shown);
        }
        shown
    }

    /// A message between nodes.
    pub(super) fn peer_message(&mut self, peer: &BareJid, from: &Jid, stanza: &Stanza, fmuc: &Fmuc) {
        if stanza.head.type_.as_deref() != Some("groupchat") {
            return self.private_from(peer, from, stanza, fmuc);
        }
        if let Some(h) = &fmuc.h {
            self.acknowledged(peer, h);
        }
        if !matches!(
            self.peerings.get(peer).map(|peering| peering.phase),
            Some(Phase::Syncing | Phase::Up | Phase::Leaving)
        ) || !self.chain(peer, fmuc)
        {
            return;
        }
        let syncing = self.peerings.get(peer).is_some_and(|peering| peering.phase == Phase::Syncing);
        if subject_only(&stanza.content) {
            self.subject_from(peer, from, stanza, fmuc, syncing);
            if syncing {
                self.sync_ends(peer, fmuc);
            }
            return;
        }
        self.ingest(peer, from, stanza, fmuc, LogKind::Message, syncing);
    }

    /// Last writer wins, by the origin's time and then by room; at a first join the joined node's
    /// subject replaces ours (XEP-0289 5.1, `fmuc.md` 6.9).
    fn subject_from(&mut self, peer: &BareJid, from: &Jid, stanza: &Stanza, fmuc: &Fmuc, syncing: bool) {
        let text = stanza.content.find("subject", ns::CLIENT).map(|child| child.text()).unwrap_or_default();
        let never_set = text.is_empty() && from.is_bare() && wire::stanza_id(&stanza.content, peer).is_none();
        if never_set && syncing {
            return;
        }
        let first = syncing && self.peerings.get(peer).is_some_and(|peering| !peering.chained);
        if let Some(ours) = &self.subject {
            let eff = self.effective(fmuc.t, wire::delayed(&stanza.content));
            let Payload::Message(message) = &ours.payload else { return };
            let by = |origin: Option<&BareJid>| origin.unwrap_or(&self.jid).to_string();
            let theirs = wire::stanza_id(&stanza.content, peer).map(|(origin, _)| origin);
            let newer = (eff, by(theirs.as_ref().or(Some(peer)))) > (ours.row.eff, by(message.origin.as_ref()));
            if !newer && !first {
                return;
            }
        }
        self.ingest(peer, from, stanza, fmuc, LogKind::Subject, syncing);
    }

    /// Whether another node has introduced that user (`fmuc.md` 6.6).
    fn is_at_home_elsewhere(&self, peer: &BareJid, user: &Jid) -> bool {
        self.peerings.keys().any(|other| other != peer && self.occupants.vouched(other, user).is_some())
    }

    /// One message or subject into the log, unless it is there.
    fn ingest(&mut self, peer: &BareJid, from: &Jid, stanza: &Stanza, fmuc: &Fmuc, kind: LogKind, syncing: bool) {
        let named = wire::stanza_id(&stanza.content, peer);
        if named.as_ref().is_some_and(|(by, _)| *by == self.jid) {
            // One of ours, come back.
            return;
        }
        let content = with_plain_delay(&stanza.content).filter(|child| {
            !matches!(child.ns, ns::FMUC | ns::OCCUPANT_ID | ns::MUC | ns::MUC_USER | ns::ADDRESSES)
                && !child.is("stanza-id", ns::SID)
        });
        let digest = digest(stanza, &content);
        if let Some((by, id)) = &named
            && self.seen.knows(by, id, digest)
            && !self.breakage.dedup_off
        {
            return;
        }
        let Some(about) = &fmuc.from else { return };
        let user = Some(about).filter(|user| user.to_bare() != *peer);
        if user.is_some_and(|user| self.is_at_home_elsewhere(peer, user)) {
            return;
        }
        let resource = from.resource().map(jid::ResourceRef::as_str).unwrap_or_default();
        if user.is_some_and(|user| !self.may_vouch(peer, user)) {
            return;
        }
        if user.is_some_and(|user| self.affiliation(&user.to_bare()) == Affiliation::Outcast) {
            return;
        }
        let known = user.and_then(|user| self.occupants.vouched(peer, user)).map(|occupant| occupant.nick.clone());
        let nick: Nick = match (known, user) {
            (Some(nick), _) => nick,
            // Live, and its join was never told: it is here, for it speaks (`fmuc.md` 6.4).
            (None, Some(user)) if !syncing && !resource.is_empty() && wire::delayed(&stanza.content).is_none() => {
                self.admit_from(peer, user, resource, &Content::empty(), Standing::default());
                self.nick_for(peer, user, resource)
            }
            (None, Some(user)) if !resource.is_empty() => self.nick_for(peer, user, resource),
            _ => resource.into(),
        };
        let eff = self.effective(fmuc.t, wire::delayed(&stanza.content));
        let (origin, id) = named.map_or((None, None), |(by, id)| (Some(by), Some(id)));
        let logged = self.append(Entry {
            kind,
            jid: user,
            nick: &nick,
            ingress: Some(peer),
            id: id.clone(),
            eff: Some(eff),
            payload: Payload::Message(Message {
                id: stanza.head.id.clone(),
                lang: stanza.head.lang.clone(),
                origin: origin.clone(),
                content: ByteBuf::from(content.bytes().to_vec()),
            }),
        });
        if let (Some(origin), Some(id)) = (origin, id) {
            let row = FmucKeyRow { origin, id, digest, seq: logged.row.seq, at: logged.row.at };
            self.seen.remember(&row);
            self.persist(Row::FmucKey(row));
        }
        self.show_message(kind, &logged);
    }
}

/// The delay that XEP-0289's listings write (element of XEP-0203 with the name and stamp of XEP-0091) as clients
/// know it.
fn with_plain_delay(content: &Content) -> Content {
    let old = |child: &ChildRef<'_>| child.is("x", ns::DELAY) || child.is("x", ns::LEGACY_DELAY);
    let Some(stamp) = content.iter().find(old).and_then(|x| x.attr("stamp")?.parse::<warren_model::UnixMs>().ok())
    else {
        return content.clone();
    };
    let from = content.iter().find(old).and_then(|x| x.attr("from").map(String::from));
    let rest = content.filter(|child| !old(child));
    rest.with(El::ns("delay", ns::DELAY).attr_opt("from", from).attr("stamp", stamp.to_string()))
}

/// What two copies of one message have in common, however many hops they took: FNV-1a over id, language
/// and children, without what hops add.
fn digest(stanza: &Stanza, content: &Content) -> u64 {
    let parts = content
        .iter()
        .filter(|child| !matches!(child.ns, ns::DELAY | ns::LEGACY_DELAY))
        .flat_map(|child| child.bytes.iter().copied());
    let id = stanza.head.id.as_deref().unwrap_or_default().bytes();
    id.chain([0])
        .chain(parts)
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
