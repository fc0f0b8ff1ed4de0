//! Entering (XEP-0045 7.2).

use std::time::Duration;

use smallvec::smallvec;
use warren_model::{Affiliation, LogKind, Role, UnixMs};
use warren_xmpp::cast::Variants;
use warren_xmpp::{Content, El, ErrorType, Kind, StanzaWriter, ns};

use super::{Feature, Incoming, cleaned_presence};
use crate::io::Effect;
use crate::log::Entry;
use crate::payload::{Join, Leave, Payload};
use crate::room::Room;
use crate::state::{Home, Nick, Occupant};

pub(super) const FEATURE: Feature = Feature { vars: &[ns::MUC], handle };

/// What a newcomer wants of the history (XEP-0045 7.2.14).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryLimits {
    chars: Option<usize>,
    stanzas: Option<usize>,
    seconds: Option<u64>,
    since: Option<UnixMs>,
}

impl HistoryLimits {
    /// Reads `<history/>`; what cannot be read counts as absent.
    pub(crate) fn read(x: &Content) -> Self {
        let Some(history) = x.find("history", ns::MUC) else { return Self::default() };
        let number = |name: &str| history.attr(name).and_then(|value| value.trim().parse::<u64>().ok());
        let size = |name: &str| number(name).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        Self {
            chars: size("maxchars"),
            stanzas: size("maxstanzas"),
            seconds: number("seconds"),
            since: history.attr("since").and_then(|value| value.trim().parse().ok()),
        }
    }

    /// The earliest moment of interest.
    pub(crate) fn since(&self, now: UnixMs) -> UnixMs {
        let by_seconds =
            self.seconds.map(|seconds| UnixMs(now.0.saturating_sub(seconds.saturating_mul(1000)))).unwrap_or_default();
        by_seconds.max(self.since.unwrap_or_default())
    }

    /// Messages at most.
    pub(crate) fn max_stanzas(&self) -> usize {
        self.stanzas.unwrap_or(usize::MAX)
    }

    /// Bytes of whole stanzas at most.
    pub(crate) fn max_chars(&self) -> usize {
        self.chars.unwrap_or(usize::MAX)
    }
}

fn handle(room: &mut Room, incoming: &Incoming<'_>) -> bool {
    if incoming.kind() != Kind::Presence || incoming.type_().is_some() {
        return false;
    }
    match incoming.stanza.content.find("x", ns::MUC) {
        Some(x) => room.enter(incoming, &x.children()),
        // Presence to a room one is not in: the client believes it is (XEP-0045 7.2.18).
        None => room.desync(incoming),
    }
    true
}

impl Room {
    fn enter(&mut self, incoming: &Incoming<'_>, x: &Content) {
        let head = &incoming.stanza.head;
        let user = incoming.from.to_bare();
        if incoming.from.is_bare() {
            return self.refuse(head, ErrorType::Modify, "jid-malformed", "join from a full JID");
        }
        let Some(nick) = incoming.nick.clone() else {
            return self.refuse(head, ErrorType::Modify, "jid-malformed", "a nick is missing: join room@service/nick");
        };
        if nick.trim().is_empty() {
            return self.refuse(head, ErrorType::Modify, "not-acceptable", "a nick needs a visible character");
        }
        let affiliation = self.affiliation(&user);
        let privileged = affiliation >= Affiliation::Admin;
        if affiliation == Affiliation::Outcast {
            return self.refuse(head, ErrorType::Auth, "forbidden", "you are banned from this room");
        }
        if self.config.members_only && affiliation < Affiliation::Member {
            return self.refuse(head, ErrorType::Auth, "registration-required", "this room is for members only");
        }
        if let Some(password) = &self.config.password {
            let given = x.find("password", ns::MUC).map(|child| child.text());
            // Compared in full length, so that the time taken says nothing about how much was right.
            if !given.is_some_and(|given| same(given.as_bytes(), password.as_bytes())) {
                return self.refuse(head, ErrorType::Auth, "not-authorized", "this room needs a password");
            }
        }
        let already = incoming.sender.clone();
        if let Some(holder) = self.occupants.get(&nick)
            && (!holder.is_local() || holder.bare() != user)
        {
            return self.refuse(head, ErrorType::Cancel, "conflict", "this nick is in use");
        }
        // Admins and owners always find a seat, and take none (7.2.9).
        let seated = |occupant: &&Occupant| self.affiliation(&occupant.bare()) < Affiliation::Admin;
        let locals = self.occupants.local().filter(seated).count();
        if already.is_none()
            && !privileged
            && self.occupants.get(&nick).is_none()
            && self.config.max_occupants.is_some_and(|max| locals >= usize::try_from(max).unwrap_or(usize::MAX))
        {
            return self.refuse(head, ErrorType::Wait, "service-unavailable", "this room is full");
        }
        let limits = HistoryLimits::read(x);
        if let Some(old) = already {
            let alone = self.occupants.get(&old).is_some_and(|occupant| occupant.sessions.len() == 1);
            if old == nick {
                return self.rejoin(incoming, &nick, &limits);
            }
            if alone && self.occupants.get(&nick).is_none() {
                // A change of nick, then a fresh look at everything.
                self.change_nick(&old, &nick);
                return self.rejoin(incoming, &nick, &limits);
            }
            // It moves from one nick of this user to another; other clients of the user stay where they are.
            self.remove_session(&old, &incoming.from, &Leave::default());
        }
        self.admit(incoming, &nick, affiliation, &limits);
    }

    /// XEP-0045 7.2.1: a client that has lost its state joins again and gets everything again; the
    /// others see a change only if there is one.
    fn rejoin(&mut self, incoming: &Incoming<'_>, nick: &Nick, limits: &HistoryLimits) {
        self.update_presence(nick, cleaned_presence(&incoming.stanza.content), Some(&incoming.from));
        let Some(occupant) = self.occupants.get(nick) else { return };
        let everything = self.head.next();
        let bytes =
            self.join_sequence(occupant, &incoming.from, everything, limits, incoming.stanza.head.id.as_deref());
        self.send(&incoming.from, bytes);
    }

    fn admit(&mut self, incoming: &Incoming<'_>, nick: &Nick, affiliation: Affiliation, limits: &HistoryLimits) {
        let presence = cleaned_presence(&incoming.stanza.content);
        let again = self.occupants.get(nick).is_some();
        let role = self.occupants.get(nick).map_or_else(|| self.first_role(affiliation), |holder| holder.role);
        let logged = self.append(Entry {
            kind: LogKind::Join,
            jid: Some(&incoming.from),
            nick,
            ingress: None,
            id: None,
            eff: None,
            payload: Payload::Join(Join { affiliation, role, presence: presence.bytes().to_vec().into(), again }),
        });
        let seq = logged.row.seq;
        let occupant_id = self.keys.occupant_id(&incoming.from.to_bare(), None);
        self.occupants.add(nick, &incoming.from, seq, || Occupant {
            nick: nick.clone(),
            role,
            sessions: smallvec![],
            home: Home::Here,
            occupant_id,
            presence: Content::empty(),
            seq,
            came: seq,
        });
        if let Some(occupant) = self.occupants.get_mut(nick) {
            occupant.presence = presence;
            occupant.seq = seq;
        }
        self.persist_session(nick, &incoming.from);
        let Some(occupant) = self.occupants.get(nick) else { return };
        let id = incoming.stanza.head.id.as_deref();
        let sequence = self.join_sequence(occupant, &incoming.from, seq, limits, id);
        let others: smallvec::SmallVec<[_; 2]> =
            occupant.sessions.iter().filter(|s| s.join_seq != seq).map(|s| s.id).collect();
        let shown = self.current_presence(occupant);
        let variants: Option<Variants> = (!again).then(|| self.presence_variants(&shown, others));
        self.send_logged(&incoming.from, sequence, seq);
        if let Some(variants) = variants {
            self.cast(Some(seq), variants, warren_xmpp::cast::Who::All);
        }
        self.put_in_group(nick, seq);
        self.fmuc_out(&logged);
    }

    /// The role of a newcomer (XEP-0045 5.1.2).
    pub(crate) fn first_role(&self, affiliation: Affiliation) -> Role {
        match affiliation {
            Affiliation::Owner | Affiliation::Admin => Role::Moderator,
            _ if self.config.moderated && affiliation < Affiliation::Member => Role::Visitor,
            _ => Role::Participant,
        }
    }

    /// XEP-0045 7.2.18: told as a removal, so that the client knows that it is not in the room.
    fn desync(&mut self, incoming: &Incoming<'_>) {
        let Some(nick) = &incoming.nick else { return };
        let item = El::new("item").attr("affiliation", self.affiliation(&incoming.from.to_bare()).as_str());
        let mut x = El::ns("x", ns::MUC_USER).child(item.attr("role", "none"));
        for code in ["110", "307", "333"] {
            x = x.child(El::new("status").attr("code", code));
        }
        let bytes = StanzaWriter::new(Kind::Presence)
            .from(self.occupant_jid(nick))
            .type_(Some("unavailable"))
            .id(incoming.stanza.head.id.as_deref())
            .el(x)
            .finish()
            .to(&incoming.from);
        self.send(&incoming.from, bytes);
    }

    /// Shows and remembers what an occupant says of itself. Not logged: written within a second.
    pub(crate) fn update_presence(&mut self, nick: &Nick, presence: Content, session: Option<&jid::Jid>) {
        let Some(occupant) = self.occupants.get_mut(nick) else { return };
        if occupant.presence.bytes() == presence.bytes() {
            return;
        }
        occupant.presence = presence;
        let jid = session.cloned().unwrap_or_else(|| occupant.sessions[0].jid.clone());
        let row =
            warren_model::Row::Presence { jid, nick: Box::from(&**nick), presence: occupant.presence.bytes().to_vec() };
        self.fx.push(Effect::Lazy(row));
        let Some(occupant) = self.occupants.get(nick) else { return };
        let variants = self.presence_variants(&self.current_presence(occupant), occupant.session_ids());
        self.cast(None, variants, warren_xmpp::cast::Who::All);
        self.fmuc_presence(nick);
    }
}

/// Whether a waiting time is over.
pub(crate) fn over(since: Duration, grace: Duration, now: Duration) -> bool {
    now >= since.saturating_add(grace)
}

fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |acc, (x, y)| acc | (x ^ y)) == 0
}
