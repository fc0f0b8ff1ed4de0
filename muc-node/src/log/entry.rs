//! One row of a log, for people and for programs.

use std::fmt;

use serde::Serialize;
use warren_model::{LogKind, LogRow};
use warren_room::ids::Keys;
use warren_room::payload::{Cause, Payload};
use warren_xmpp::{Content, ns};

/// One row. The names of the fields are an interface: checkers read them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Position.
    seq: u64,
    /// Ownership under which it was decided.
    epoch: u32,
    /// Time of decision (XEP-0082), monotone in `seq`.
    at: String,
    /// When it happened at its origin; what people are shown.
    origin: String,
    /// message, subject, join, leave, nick, role or config.
    kind: &'static str,
    nick: Box<str>,
    /// The stanza-id on the wire.
    id: Box<str>,
    /// Real JID of whom it is about.
    jid: Option<String>,
    /// Peer room that it came through.
    ingress: Option<String>,
    /// Text of a message or subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The sender's own id of a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<Box<str>>,
    /// The new nick.
    #[serde(skip_serializing_if = "Option::is_none")]
    new_nick: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    affiliation: Option<&'static str>,
    /// Why somebody left.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Status codes of a change of configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    codes: Vec<u16>,
    /// A later version wrote it: this one cannot read the rest.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unreadable: bool,
}

impl Entry {
    /// Reads a row. `keys`: of its room.
    pub fn of(row: &LogRow, keys: &Keys) -> Self {
        let mut entry = Self {
            seq: row.seq.0,
            epoch: row.epoch.0,
            at: row.at.to_string(),
            origin: row.eff.to_string(),
            kind: kind(row.kind),
            nick: row.nick.clone(),
            id: row.id.clone().unwrap_or_else(|| keys.encode(row.epoch, row.seq)),
            jid: row.jid.as_ref().map(ToString::to_string),
            ingress: row.ingress.as_ref().map(ToString::to_string),
            ..Self::default()
        };
        match Payload::decode(&row.payload) {
            Some(payload) => entry.add(payload),
            None => entry.unreadable = true,
        }
        entry
    }

    fn add(&mut self, payload: Payload) {
        match payload {
            Payload::Message(message) => {
                let content = Content::parse(&message.content).unwrap_or_default();
                let name = if self.kind == "subject" { "subject" } else { "body" };
                self.body = content.find(name, ns::CLIENT).map(|child| child.text());
                self.client_id = message.id;
            }
            Payload::Join(join) => {
                self.role = Some(join.role.as_str());
                self.affiliation = Some(join.affiliation.as_str());
            }
            Payload::Leave(leave) => {
                self.cause = Some(cause(leave.cause));
                self.affiliation = Some(leave.affiliation.as_str());
                self.reason = leave.reason;
            }
            Payload::Nick(change) => self.new_nick = Some(change.new),
            Payload::Role(change) => {
                self.role = Some(change.role.as_str());
                self.affiliation = Some(change.affiliation.as_str());
                self.reason = change.reason;
            }
            Payload::Config(change) => self.codes = change.codes,
        }
    }
}

fn kind(kind: LogKind) -> &'static str {
    match kind {
        LogKind::Message => "message",
        LogKind::Subject => "subject",
        LogKind::Join => "join",
        LogKind::Leave => "leave",
        LogKind::Nick => "nick",
        LogKind::Role => "role",
        LogKind::Config => "config",
    }
}

fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Left => "left",
        Cause::Kicked => "kicked",
        Cause::Banned => "banned",
        Cause::Affiliation => "affiliation",
        Cause::MembersOnly => "members-only",
        Cause::Technical => "technical",
        Cause::Destroyed => "destroyed",
    }
}

impl fmt::Display for Entry {
    /// One line: position, time, kind, nick, text, then the rest as `name=value`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6}  {}  {:<7}  {}", self.seq, self.at, self.kind, Shown(&self.nick))?;
        if let Some(new) = &self.new_nick {
            write!(f, " is now {}", Shown(new))?;
        }
        if let Some(body) = &self.body {
            write!(f, ": {}", Shown(body))?;
        }
        f.write_str(" ")?;
        for (name, value) in [("role", self.role), ("affiliation", self.affiliation), ("cause", self.cause)] {
            if let Some(value) = value {
                write!(f, " {name}={value}")?;
            }
        }
        if let Some(reason) = &self.reason {
            write!(f, " reason={:?}", Shown(reason).to_string())?;
        }
        if !self.codes.is_empty() {
            write!(f, " codes={:?}", self.codes)?;
        }
        if let Some(jid) = &self.jid {
            write!(f, " jid={}", Shown(jid))?;
        }
        if let Some(ingress) = &self.ingress {
            write!(f, " ingress={}", Shown(ingress))?;
        }
        if self.origin != self.at {
            write!(f, " origin={}", self.origin)?;
        }
        write!(f, " id={}", Shown(&self.id))?;
        if self.unreadable {
            f.write_str(" (a later version wrote it)")?;
        }
        Ok(())
    }
}

/// What people wrote, on one line of a terminal: line breaks and other control characters are escaped.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            c if c.is_control() => write!(f, "{}", c.escape_default()),
            c => write!(f, "{c}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use warren_model::{Epoch, Secret, Seq, UnixMs};
    use warren_room::payload::Message;

    fn row(kind: LogKind, payload: &Payload) -> LogRow {
        LogRow {
            seq: Seq(7),
            epoch: Epoch(1_800_000_000),
            kind,
            at: UnixMs(1_800_000_000_500),
            eff: UnixMs(1_800_000_000_000),
            jid: Some("alice@wonderland.lit/phone".parse().unwrap()),
            nick: "Alice".into(),
            ingress: None,
            id: Some("from-afar".into()),
            payload: payload.encode(),
        }
    }

    #[test]
    fn a_message_is_one_line_whatever_is_in_it() {
        let content = b"<body>one\ntwo \x1b[31m&lt;red&gt;</body>".to_vec().into();
        let payload = Payload::Message(Message { id: Some("m1".into()), content, ..Message::default() });
        let mut entry = Entry::of(&row(LogKind::Message, &payload), &Keys::new(&Secret([7; 32])));
        // An escape is no character of XML; it could come from a store only.
        entry.body = Some("one\ntwo \u{1b}[31m<red>".to_owned());
        assert_eq!(
            entry.to_string(),
            "     7  2027-01-15T08:00:00.500Z  message  Alice: one\\ntwo \\u{1b}[31m<red>  \
             jid=alice@wonderland.lit/phone origin=2027-01-15T08:00:00Z id=from-afar"
        );
        let json = serde_json::to_value(&entry).unwrap();
        assert_eq!(json["client_id"], "m1");
        assert_eq!(json["id"], "from-afar");
        assert!(json.get("cause").is_none());
    }

    #[test]
    fn what_a_later_version_wrote_is_still_listed() {
        let mut row = row(LogKind::Leave, &Payload::Leave(warren_room::payload::Leave::default()));
        row.id = None;
        let keys = Keys::new(&Secret([7; 32]));
        assert_eq!(Entry::of(&row, &keys).cause, Some("left"));
        row.payload = vec![0xff];
        let entry = Entry::of(&row, &keys);
        assert!(entry.unreadable);
        assert_eq!(entry.id.len(), 26, "its own id, computed");
    }
}
