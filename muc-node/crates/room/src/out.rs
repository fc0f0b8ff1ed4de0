//! How a room says things: the few ways in which effects come about.

use std::sync::Arc;

use bytes::Bytes;
use jid::{BareJid, Jid};
use smallvec::SmallVec;
use warren_model::{OccupantRow, Role, Row, Seq};
use warren_xmpp::cast::{Cast, GroupChange, Member, Variants, Who};
use warren_xmpp::{El, ErrorType, Head, Kind, StanzaWriter, Template, error_reply};

use crate::io::Effect;
use crate::room::Room;
use crate::state::{Home, Occupant, Session};

impl Room {
    pub(crate) fn persist(&mut self, row: Row) {
        self.fx.push(Effect::Persist(row));
    }

    /// One text for everybody.
    pub(crate) fn cast_plain(&mut self, seq: Option<Seq>, text: Template, who: Who) {
        self.cast(seq, Variants { plain: text, full: None, own: None }, who);
    }

    /// To all paths, but those that get rows by a replay.
    pub(crate) fn cast(&mut self, seq: Option<Seq>, variants: Variants, who: Who) {
        let except = if seq.is_some() { self.catchups.replaying() } else { SmallVec::new() };
        self.fx.push(Effect::Cast(Arc::new(Cast { seq, only: None, except, variants, who })));
    }

    /// A logged text to one session.
    pub(crate) fn send_logged(&mut self, to: &Jid, bytes: Bytes, seq: Seq) {
        // A path that is being replayed gets this row by the replay.
        if !self.catchups.is_replaying(to.domain().as_str()) {
            self.fx.push(Effect::Send { to: to.clone(), bytes, seq: Some(seq) });
        }
    }

    /// A transient text to one address.
    pub(crate) fn send(&mut self, to: &Jid, bytes: Bytes) {
        self.fx.push(Effect::Send { to: to.clone(), bytes, seq: None });
    }

    /// Answers with an error, if the stanza may be answered (RFC 6120 8.3.1).
    pub(crate) fn refuse(&mut self, head: &Head, kind: ErrorType, condition: &str, text: &str) {
        let by = self.jid.to_string();
        if let Some(bytes) = error_reply(head, Some(&by), kind, condition, Some(text))
            && let Some(to) = &head.from
        {
            self.send(&to.clone(), bytes);
        }
    }

    /// Answers an IQ with a result.
    pub(crate) fn result(&mut self, head: &Head, payload: Option<El>) {
        let (Some(to), Some(from)) = (&head.from, &head.to) else { return };
        let mut writer = StanzaWriter::new(Kind::Iq).from(from.as_str()).type_(Some("result")).id(head.id.as_deref());
        if let Some(payload) = payload {
            writer = writer.el(payload);
        }
        let bytes = writer.finish().to(to);
        self.send(&to.clone(), bytes);
    }

    /// The address of an occupant. Nicks come from JIDs, so this is always a valid one.
    pub(crate) fn occupant_jid(&self, nick: &str) -> String {
        let room = self.jid.as_str();
        let mut jid = String::with_capacity(room.len() + 1 + nick.len());
        jid.push_str(room);
        jid.push('/');
        jid.push_str(nick);
        jid
    }

    /// Who sees real JIDs (XEP-0045 4.2).
    pub(crate) fn sees_real(&self, role: Role) -> bool {
        self.config.anonymity == warren_model::Anonymity::NonAnonymous || role == Role::Moderator
    }

    /// A session as egress knows it. Only local occupants are members of groups.
    pub(crate) fn member(&self, role: Role, session: &Session) -> Member {
        Member {
            session: session.id,
            jid: session.jid.clone(),
            sees_real: self.sees_real(role),
            moderator: role == Role::Moderator,
            join_seq: session.join_seq,
        }
    }

    /// Tells egress of a new session, or of changed flags of the sessions of an occupant.
    pub(crate) fn put_in_group(&mut self, nick: &str, version: Seq) {
        let Some(occupant) = self.occupants.get(nick).filter(|occupant| occupant.is_local()) else { return };
        let members: Vec<_> = occupant.sessions.iter().map(|session| self.member(occupant.role, session)).collect();
        for member in members {
            let remote = member.jid.domain().as_str().into();
            self.fx.push(Effect::Group { remote, version, change: GroupChange::Put(member) });
        }
    }

    /// Takes a session out of its group.
    pub(crate) fn leave_group(&mut self, session: &Session, version: Seq) {
        let remote = session.jid.domain().as_str().into();
        self.fx.push(Effect::Group { remote, version, change: GroupChange::Remove(session.id) });
    }

    /// Writes the row of a session.
    pub(crate) fn persist_session(&mut self, nick: &str, jid: &Jid) {
        let Some(occupant) = self.occupants.get(nick) else { return };
        let Some(session) = occupant.sessions.iter().find(|session| &session.jid == jid) else { return };
        let row = occupant_row(occupant, session);
        self.persist(Row::Occupant(row));
    }

    /// Writes the rows of all sessions of an occupant.
    pub(crate) fn persist_occupant(&mut self, nick: &str) {
        let Some(occupant) = self.occupants.get(nick) else { return };
        let rows: Vec<_> = occupant.sessions.iter().map(|session| occupant_row(occupant, session)).collect();
        for row in rows {
            self.persist(Row::Occupant(row));
        }
    }
}

fn occupant_row(occupant: &Occupant, session: &Session) -> OccupantRow {
    let (peering, peer_nick, peer_affiliation): (Option<BareJid>, _, _) = match &occupant.home {
        Home::Here => (None, None, warren_model::Affiliation::None),
        Home::Peer { room, nick, affiliation } => {
            (Some(room.clone()), (**nick != *occupant.nick).then(|| Box::from(&**nick)), *affiliation)
        }
    };
    OccupantRow {
        jid: session.jid.clone(),
        nick: Box::from(&*occupant.nick),
        role: occupant.role,
        peering,
        peer_nick,
        peer_affiliation,
        join_seq: session.join_seq,
        seq: occupant.seq,
        presence: occupant.presence.bytes().to_vec(),
    }
}
