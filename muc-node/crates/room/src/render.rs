//! How rows and occupants look on the wire, to users. One place for live delivery, join sequences and
//! replays, so that they cannot differ.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use jid::Jid;
use smallvec::SmallVec;
use warren_model::{Affiliation, Anonymity, LogKind, Role, Seq, UnixMs};
use warren_xmpp::cast::{SessionId, Variants};
use warren_xmpp::{Content, El, Kind, StanzaWriter, Template, ns};

use crate::feature::join::HistoryLimits;
use crate::log::Logged;
use crate::payload::{Leave, Message, NickChange, Payload};
use crate::room::Room;
use crate::state::{Home, Occupant};

/// A message shown later than this after it was sent says so (XEP-0203).
const LATE: Duration = Duration::from_secs(10);

/// Everything that `<item/>` can say (XEP-0045 7.2.2 ff.).
#[derive(Clone, Copy, Default)]
pub(crate) struct Item<'a> {
    pub affiliation: Affiliation,
    pub role: Role,
    pub jid: Option<&'a Jid>,
    pub nick: Option<&'a str>,
    pub actor: Option<&'a str>,
    pub reason: Option<&'a str>,
}

impl Item<'_> {
    pub(crate) fn el(&self, show_jid: bool) -> El {
        let mut item = El::new("item")
            .attr("affiliation", self.affiliation.as_str())
            .attr("role", self.role.as_str())
            .attr_opt("jid", self.jid.filter(|_| show_jid).map(Jid::as_str))
            .attr_opt("nick", self.nick);
        if let Some(actor) = self.actor {
            item = item.child(El::new("actor").attr("nick", actor));
        }
        if let Some(reason) = self.reason {
            item = item.child(El::new("reason").text(reason));
        }
        item
    }
}

/// One presence, before it is known who looks at it.
pub(crate) struct Presence<'a> {
    pub nick: &'a str,
    pub unavailable: bool,
    /// Canonical bytes of what the user said.
    pub content: &'a [u8],
    pub occupant_id: &'a str,
    pub item: Item<'a>,
    pub statuses: SmallVec<[u16; 4]>,
    pub destroy: Option<&'a [u8]>,
}

impl Room {
    /// A presence as seen by a session that may (`full`) or may not see the real JID; `extra` status
    /// codes are for the session it is about.
    pub(crate) fn presence_text(&self, p: &Presence<'_>, full: bool, extra: &[u16], id: Option<&str>) -> Template {
        let mut x = El::ns("x", ns::MUC_USER).child(p.item.el(full));
        for code in extra.iter().chain(&p.statuses) {
            x = x.child(El::new("status").attr("code", code.to_string()));
        }
        if let Some(destroy) = p.destroy {
            x = x.raw(destroy);
        }
        let mut writer = StanzaWriter::new(Kind::Presence)
            .from(self.occupant_jid(p.nick))
            .type_(p.unavailable.then_some("unavailable"))
            .id(id)
            .raw(p.content);
        if !p.unavailable || !p.occupant_id.is_empty() {
            writer = writer.el(El::ns("occupant-id", ns::OCCUPANT_ID).attr("id", p.occupant_id));
        }
        writer.el(x).finish()
    }

    /// All texts of a presence.
    pub(crate) fn presence_variants(&self, p: &Presence<'_>, own: SmallVec<[SessionId; 2]>) -> Variants {
        let full = self.presence_text(p, true, &[], None);
        let everybody = self.config.anonymity == Anonymity::NonAnonymous;
        Variants {
            plain: if everybody { full.clone() } else { self.presence_text(p, false, &[], None) },
            full: (!everybody).then_some(full),
            own: (!own.is_empty()).then(|| (own, self.presence_text(p, true, &[110], None))),
        }
    }

    /// Affiliation as shown in presence: ours for those who joined here, the peer's for its users.
    pub(crate) fn shown_affiliation(&self, occupant: &Occupant) -> Affiliation {
        match &occupant.home {
            Home::Here => self.affiliation(&occupant.bare()),
            Home::Peer { affiliation, .. } => *affiliation,
        }
    }

    /// The current presence of an occupant.
    pub(crate) fn current_presence<'a>(&self, occupant: &'a Occupant) -> Presence<'a> {
        Presence {
            nick: &occupant.nick,
            unavailable: false,
            content: occupant.presence.bytes(),
            occupant_id: &occupant.occupant_id,
            item: Item {
                affiliation: self.shown_affiliation(occupant),
                role: occupant.role,
                jid: Some(&occupant.sessions[0].jid),
                ..Item::default()
            },
            statuses: SmallVec::new(),
            destroy: None,
        }
    }

    /// Who an occupant-id is made for.
    pub(crate) fn row_occupant_id(&self, logged: &Logged) -> Cow<'_, str> {
        let row = &logged.row;
        let present = self.occupants.get(&row.nick).filter(|occupant| {
            occupant.peer() == row.ingress.as_ref()
                && row.jid.as_ref().is_some_and(|jid| occupant.sessions.iter().any(|s| &s.jid == jid))
        });
        match (present, &row.jid) {
            (Some(occupant), _) => Cow::Borrowed(&*occupant.occupant_id),
            (None, Some(jid)) => Cow::Owned(self.keys.occupant_id(&jid.to_bare(), row.ingress.as_ref()).into()),
            (None, None) => Cow::Borrowed(""),
        }
    }

    /// A message or subject of the log. `history`: it is shown to a newcomer (XEP-0045 7.2.13).
    pub(crate) fn message_text(&self, logged: &Logged, message: &Message, history: bool) -> Template {
        let row = &logged.row;
        let mut writer = StanzaWriter::new(Kind::Message)
            .from_parts(self.jid.as_str(), Some(&*row.nick).filter(|nick| !nick.is_empty()))
            .type_(Some("groupchat"))
            .id(message.id.as_deref())
            .lang(message.lang.as_deref());
        let from_afar = row.ingress.is_some() && contains(&message.content, ns::DELAY.as_bytes());
        if history || from_afar || self.now.wall.since(row.eff) > LATE {
            // Ours comes first and the origin's stays: clients differ in which one they believe (`fmuc.md` 6.8).
            writer = writer.el(delay(self.jid.as_str(), row.eff));
        }
        writer = writer.raw(&message.content).leaf(
            "stanza-id",
            ns::SID,
            &[("by", self.jid.as_str()), ("id", &self.id_of(row))],
        );
        let occupant_id = self.row_occupant_id(logged);
        if !occupant_id.is_empty() {
            writer = writer.leaf("occupant-id", ns::OCCUPANT_ID, &[("id", &occupant_id)]);
        }
        writer.finish()
    }

    /// What a newcomer is sent, in the order of XEP-0045 7.1: the others, itself, history, subject.
    pub(crate) fn join_sequence(
        &self,
        occupant: &Occupant,
        jid: &Jid,
        join_seq: Seq,
        limits: &HistoryLimits,
        id: Option<&str>,
    ) -> Bytes {
        let to = warren_xmpp::addresses::escaped(jid);
        let mut out = Vec::with_capacity(1024 + 300 * self.occupants.len());
        let full = self.sees_real(occupant.role);
        for other in self.occupants.iter().filter(|other| other.nick != occupant.nick) {
            self.presence_text(&self.current_presence(other), full, &[], None).splice(&to, &mut out);
        }
        let mut own: SmallVec<[u16; 4]> = SmallVec::from_slice(&[110]);
        if self.config.anonymity == Anonymity::NonAnonymous {
            own.push(100);
        }
        // With its own address, which is not that of the occupant's other clients.
        let mut myself = self.current_presence(occupant);
        myself.item.jid = Some(jid);
        self.presence_text(&myself, true, &own, id).splice(&to, &mut out);
        for message in self.history_for(join_seq, limits) {
            message.splice(&to, &mut out);
        }
        self.subject_text().splice(&to, &mut out);
        out.into()
    }

    /// The messages that a newcomer may see, oldest first, within its own limits and ours.
    fn history_for(&self, before: Seq, limits: &HistoryLimits) -> Vec<Template> {
        let oldest = self
            .config
            .history
            .max_age
            .map(|age| UnixMs(self.now.wall.0.saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX))));
        let since = limits.since(self.now.wall).max(oldest.unwrap_or_default());
        let mut chars = 0;
        let mut chosen: Vec<_> = self
            .history
            .iter()
            .rev()
            .filter(|logged| logged.row.seq < before && logged.row.at >= since)
            .take(limits.max_stanzas())
            .filter_map(|logged| match &logged.payload {
                Payload::Message(message) => Some(self.message_text(logged, message, true)),
                _ => None,
            })
            .take_while(|text| {
                chars += text.len();
                chars <= limits.max_chars()
            })
            .collect();
        chosen.reverse();
        chosen
    }

    /// The subject, always sent, empty when none was ever set (XEP-0045 7.2.15).
    pub(crate) fn subject_text(&self) -> Template {
        match self.subject.as_ref().map(|logged| (logged, &logged.payload)) {
            Some((logged, Payload::Message(message))) => self.message_text(logged, message, true),
            _ => StanzaWriter::new(Kind::Message)
                .from(self.jid.as_str())
                .type_(Some("groupchat"))
                .el(El::new("subject"))
                .finish(),
        }
    }

    /// The text of a row as everybody sees it live, for replays. Rows that show nothing give nothing.
    pub(crate) fn row_variants(&self, logged: &Logged) -> SmallVec<[Variants; 2]> {
        let row = &logged.row;
        let occupant_id = self.row_occupant_id(logged);
        let one = |text| SmallVec::from_iter([Variants { plain: text, full: None, own: None }]);
        match (&logged.payload, &row.jid) {
            (Payload::Message(message), _) => one(self.message_text(logged, message, false)),
            (Payload::Config(change), _) => one(self.config_text(&change.codes)),
            (Payload::Join(join), Some(jid)) if !join.again => {
                let p = Presence {
                    nick: &row.nick,
                    unavailable: false,
                    content: join.presence.as_ref(),
                    occupant_id: &occupant_id,
                    item: Item { affiliation: join.affiliation, role: join.role, jid: Some(jid), ..Item::default() },
                    statuses: SmallVec::new(),
                    destroy: None,
                };
                SmallVec::from_iter([self.presence_variants(&p, SmallVec::new())])
            }
            (Payload::Leave(leave), Some(jid)) if !leave.others_stay => {
                let content = status_bytes(leave.status.as_deref());
                let p = leave_presence(&row.nick, jid, &occupant_id, leave, &content);
                SmallVec::from_iter([self.presence_variants(&p, SmallVec::new())])
            }
            (Payload::Nick(change), Some(jid)) => {
                let own = self.own_sessions(&change.new, jid);
                let [gone, here] = nick_presences(&row.nick, jid, &occupant_id, change);
                SmallVec::from_iter([self.presence_variants(&gone, own.clone()), self.presence_variants(&here, own)])
            }
            (Payload::Role(change), Some(jid)) => {
                let presence = self.occupants.get(&row.nick).map(|o| o.presence.clone()).unwrap_or_default();
                let p = Presence {
                    nick: &row.nick,
                    unavailable: false,
                    content: presence.bytes(),
                    occupant_id: &occupant_id,
                    item: Item {
                        affiliation: change.affiliation,
                        role: change.role,
                        jid: Some(jid),
                        nick: None,
                        actor: change.actor.as_deref(),
                        reason: change.reason.as_deref(),
                    },
                    statuses: SmallVec::new(),
                    destroy: None,
                };
                SmallVec::from_iter([self.presence_variants(&p, self.own_sessions(&row.nick, jid))])
            }
            _ => SmallVec::new(),
        }
    }

    fn own_sessions(&self, nick: &str, jid: &Jid) -> SmallVec<[SessionId; 2]> {
        self.occupants
            .get(nick)
            .filter(|occupant| occupant.is_local() && occupant.sessions.iter().any(|s| &s.jid == jid))
            .map(Occupant::session_ids)
            .unwrap_or_default()
    }

    /// The notice of a changed configuration (XEP-0045 10.2.1).
    pub(crate) fn config_text(&self, codes: &[u16]) -> Template {
        let mut x = El::ns("x", ns::MUC_USER);
        for code in codes {
            x = x.child(El::new("status").attr("code", code.to_string()));
        }
        StanzaWriter::new(Kind::Message).from(self.jid.as_str()).type_(Some("groupchat")).el(x).finish()
    }

    /// What a leaver itself is told.
    pub(crate) fn farewell(&self, logged: &Logged) -> Option<Bytes> {
        let (Payload::Leave(leave), Some(jid)) = (&logged.payload, &logged.row.jid) else { return None };
        if logged.row.kind != LogKind::Leave {
            return None;
        }
        let occupant_id = self.row_occupant_id(logged);
        let content = status_bytes(leave.status.as_deref());
        let p = leave_presence(&logged.row.nick, jid, &occupant_id, leave, &content);
        Some(self.presence_text(&p, true, &[110], None).to(jid))
    }
}

/// `<status/>` of an unavailable presence, as canonical bytes.
pub(crate) fn status_bytes(status: Option<&str>) -> Bytes {
    status.map(|text| Content::empty().with(El::new("status").text(text)).bytes().clone()).unwrap_or_default()
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// XEP-0203.
pub(crate) fn delay(from: &str, stamp: UnixMs) -> El {
    El::ns("delay", ns::DELAY).attr("from", from).attr("stamp", stamp.to_string())
}

/// The unavailable presence that a `Leave` row shows.
pub(crate) fn leave_presence<'a>(
    nick: &'a str,
    jid: &'a Jid,
    occupant_id: &'a str,
    leave: &'a Leave,
    content: &'a [u8],
) -> Presence<'a> {
    Presence {
        nick,
        unavailable: true,
        content,
        occupant_id,
        item: Item {
            affiliation: leave.affiliation,
            role: Role::None,
            jid: Some(jid),
            nick: None,
            actor: leave.actor.as_deref(),
            reason: leave.reason.as_deref(),
        },
        statuses: leave.cause.status().into_iter().collect(),
        destroy: leave.destroy.as_ref().map(AsRef::as_ref),
    }
}

/// The two presences of a nick change (XEP-0045 7.6).
pub(crate) fn nick_presences<'a>(
    old: &'a str,
    jid: &'a Jid,
    occupant_id: &'a str,
    change: &'a NickChange,
) -> [Presence<'a>; 2] {
    let item = Item { affiliation: change.affiliation, role: change.role, jid: Some(jid), ..Item::default() };
    let gone = Presence {
        nick: old,
        unavailable: true,
        content: &[],
        occupant_id,
        item: Item { nick: Some(&change.new), ..item },
        statuses: SmallVec::from_slice(&[303]),
        destroy: None,
    };
    let here = Presence {
        nick: &change.new,
        unavailable: false,
        content: change.presence.as_ref(),
        occupant_id,
        item,
        statuses: SmallVec::new(),
        destroy: None,
    };
    [gone, here]
}
