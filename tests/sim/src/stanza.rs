//! The stanzas that users and servers make, and what they read in those that they get.

use jid::{BareJid, Jid};
use warren_xmpp::stanza::{Content, Head};
use warren_xmpp::writer::El;
use warren_xmpp::{ErrorType, Kind, Stanza, error_reply, ns};

use crate::history::Token;

fn make(kind: Kind, from: &Jid, to: &Jid, type_: Option<&str>, id: Option<&str>, content: Content) -> Stanza {
    let head = Head {
        from: Some(from.clone()),
        to: Some(to.clone()),
        type_: type_.map(Into::into),
        id: id.map(Into::into),
        ..Head::new(kind)
    };
    Stanza { head, content }
}

/// Address of a nick.
pub fn occupant(room: &BareJid, nick: &str) -> Jid {
    room.with_resource_str(nick).map_or_else(|_| Jid::from(room.clone()), Jid::from)
}

/// Enters.
pub fn join(from: &Jid, room: &BareJid, nick: &str) -> Stanza {
    let content = Content::from_iter([El::ns("x", ns::MUC)]);
    make(Kind::Presence, from, &occupant(room, nick), None, None, content)
}

/// Takes another nick.
pub fn rename(from: &Jid, room: &BareJid, nick: &str) -> Stanza {
    make(Kind::Presence, from, &occupant(room, nick), None, None, Content::empty())
}

/// Leaves.
pub fn leave(from: &Jid, room: &BareJid, nick: &str) -> Stanza {
    make(Kind::Presence, from, &occupant(room, nick), Some("unavailable"), None, Content::empty())
}

/// Speaks.
pub fn speak(from: &Jid, room: &BareJid, token: Token) -> Stanza {
    let text = format!("m{token}");
    let content = Content::from_iter([El::new("body").text(&text)]);
    make(Kind::Message, from, &Jid::from(room.clone()), Some("groupchat"), Some(&text), content)
}

/// Asks whether it is still in the room (XEP-0410).
pub fn self_ping(from: &Jid, room: &BareJid, nick: &str, id: &str) -> Stanza {
    let content = Content::from_iter([El::ns("ping", ns::PING)]);
    make(Kind::Iq, from, &occupant(room, nick), Some("get"), Some(id), content)
}

/// Answers a ping.
pub fn pong(ping: &Stanza) -> Option<Stanza> {
    let (from, to) = (ping.head.to.as_ref()?, ping.head.from.as_ref()?);
    Some(make(Kind::Iq, from, to, Some("result"), ping.head.id.as_deref(), Content::empty()))
}

/// The error that a server sends back, if it may.
pub fn bounce(stanza: &Stanza, by: Option<&str>, kind: ErrorType, condition: &str) -> Option<Stanza> {
    Stanza::parse(&error_reply(&stanza.head, by, kind, condition, None)?).ok()
}

/// Whether it has that type.
pub fn is_type(stanza: &Stanza, type_: &str) -> bool {
    stanza.head.type_.as_deref() == Some(type_)
}

/// Whether it is a groupchat message.
pub fn is_groupchat(stanza: &Stanza) -> bool {
    stanza.head.kind == Kind::Message && is_type(stanza, "groupchat")
}

/// Whether it is a ping of a path, from a component to a bare domain.
pub fn is_path_ping(stanza: &Stanza) -> bool {
    stanza.head.kind == Kind::Iq
        && is_type(stanza, "get")
        && stanza.head.id.as_deref().is_some_and(|id| id.starts_with("ping"))
        && stanza.head.from.as_ref().is_some_and(|from| from.node().is_none())
}

/// The number in `m17`.
pub fn token(text: &str) -> Option<Token> {
    text.strip_prefix('m')?.parse().ok()
}

/// The message that a groupchat stanza shows.
pub fn body_token(content: &Content) -> Option<Token> {
    token(&content.find("body", ns::CLIENT)?.text())
}

/// The id that a room gave it.
pub fn stanza_id(stanza: &Stanza, by: &BareJid) -> Option<Box<str>> {
    let children = stanza.content.iter().filter(|child| child.is("stanza-id", ns::SID));
    let ours = |child: &warren_xmpp::stanza::ChildRef<'_>| child.attr("by").is_some_and(|of| *of == *by.as_str());
    children.filter(ours).find_map(|child| child.attr("id").map(|id| Box::from(&*id)))
}

/// Status codes of a presence, and the nick in its item.
pub fn codes(content: &Content) -> (Vec<u16>, Option<String>) {
    let Some(x) = content.find("x", ns::MUC_USER) else { return (Vec::new(), None) };
    let children = x.children();
    let codes = children.iter().filter(|c| c.name == "status").filter_map(|c| c.attr("code")?.parse().ok()).collect();
    let nick = children.find("item", ns::MUC_USER).and_then(|item| item.attr("nick").map(Into::into));
    (codes, nick)
}
