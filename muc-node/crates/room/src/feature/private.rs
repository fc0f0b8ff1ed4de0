//! Private messages (XEP-0045 7.5): transient, at most once, never in the log.

use jid::Jid;
use warren_xmpp::{Content, El, ErrorType, Kind, StanzaWriter, ns};

use super::message::cleaned_message;
use super::{Feature, Incoming};
use crate::room::{Room, SentPrivate};
use crate::state::{Home, Nick};

pub(super) const FEATURE: Feature = Feature { vars: &[], handle };

/// Private messages whose bounce can still be told from that of a reflected message.
const REMEMBERED: usize = 256;

fn handle(room: &mut Room, incoming: &Incoming<'_>) -> bool {
    if incoming.kind() != Kind::Message || incoming.type_() == Some("error") {
        return false;
    }
    let Some(to) = &incoming.nick else { return false };
    let head = &incoming.stanza.head;
    let Some(sender) = &incoming.sender else {
        room.refuse(head, ErrorType::Modify, "not-acceptable", "only occupants may send private messages: join first");
        return true;
    };
    if incoming.type_() == Some("groupchat") {
        room.refuse(head, ErrorType::Modify, "bad-request", "a private message must not have type='groupchat'");
        return true;
    }
    let Some(target) = room.occupants.get(to) else {
        room.refuse(head, ErrorType::Cancel, "item-not-found", "nobody of this nick is here");
        return true;
    };
    let content = cleaned_message(&incoming.stanza.content);
    if let Home::Peer { room: peer, nick, .. } = &target.home {
        let (peer, nick) = (peer.clone(), nick.clone());
        room.fmuc_private(&peer, &nick, sender, incoming, &content);
        return true;
    }
    let unreachable = target.sessions.iter().any(|s| !room.path_is_up(s.jid.domain().as_str()));
    if unreachable {
        // Nothing repeats a private message, so it is refused rather than thrown away.
        room.refuse(head, ErrorType::Wait, "recipient-unavailable", "this occupant's server cannot be reached now");
        return true;
    }
    room.whisper(sender, &incoming.from, to, head.type_.as_deref(), head.id.as_deref(), head.lang.as_deref(), &content);
    true
}

impl Room {
    /// Delivers a private message to all sessions of a local occupant.
    #[expect(clippy::too_many_arguments, reason = "they are the parts of one stanza")]
    pub(crate) fn whisper(
        &mut self,
        author_nick: &Nick,
        author: &Jid,
        to: &str,
        type_: Option<&str>,
        id: Option<&str>,
        lang: Option<&str>,
        content: &Content,
    ) {
        let Some(target) = self.occupants.get(to) else { return };
        let sessions: Vec<_> = target.sessions.iter().map(|session| session.jid.clone()).collect();
        let text = StanzaWriter::new(Kind::Message)
            .from(self.occupant_jid(author_nick))
            .type_(type_)
            .id(id)
            .lang(lang)
            .raw(content.bytes())
            .el(El::ns("x", ns::MUC_USER))
            .finish();
        for jid in sessions {
            let bytes = text.to(&jid);
            self.send(&jid, bytes);
            if let Some(id) = id {
                self.private.push_back(SentPrivate {
                    to: jid,
                    id: id.into(),
                    author: author.clone(),
                    author_nick: author_nick.clone(),
                });
            }
        }
        while self.private.len() > REMEMBERED {
            self.private.pop_front();
        }
    }
}
