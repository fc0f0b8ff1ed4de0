//! What the service's own address answers (XEP-0045 6.2, 6.3), from committed state.

use bytes::Bytes;
use jid::BareJid;
use warren_xmpp::{El, ErrorType, Kind, Stanza, StanzaWriter, error_reply, ns};

/// Features of the service.
const FEATURES: &[&str] =
    &[ns::DISCO_INFO, ns::DISCO_ITEMS, ns::MUC, ns::PING, ns::SID, ns::STABLE_ID, ns::OCCUPANT_ID, ns::VERSION];

/// What the answer needs beyond the stanza.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This one, or none.
    Now(Option<Bytes>),
    /// The list of rooms; [`rooms`] makes the answer of it.
    NeedsRooms,
}

/// Answers a stanza to the service itself.
pub fn answer(stanza: &Stanza) -> Answer {
    let head = &stanza.head;
    if head.kind != Kind::Iq || !matches!(head.type_.as_deref(), Some("get" | "set")) {
        return Answer::Now(match head.kind {
            Kind::Message if head.type_.as_deref() != Some("error") => {
                error_reply(head, None, ErrorType::Cancel, "service-unavailable", Some("nobody reads messages here"))
            }
            _ => None,
        });
    }
    let get = |name: &str, ns: &str| head.type_.as_deref() == Some("get") && stanza.content.find(name, ns).is_some();
    let node = stanza.content.iter().next().and_then(|child| child.attr("node"));
    if node.is_some() && (get("query", ns::DISCO_INFO) || get("query", ns::DISCO_ITEMS)) {
        return Answer::Now(error_reply(
            head,
            None,
            ErrorType::Cancel,
            "item-not-found",
            Some("there is no such node"),
        ));
    }
    if get("query", ns::DISCO_ITEMS) {
        return Answer::NeedsRooms;
    }
    let payload = if get("ping", ns::PING) {
        None
    } else if get("query", ns::DISCO_INFO) {
        let mut query = El::ns("query", ns::DISCO_INFO)
            .child(El::new("identity").attr("category", "conference").attr("type", "text").attr("name", "Chatrooms"));
        for var in FEATURES {
            query = query.child(El::new("feature").attr("var", var));
        }
        Some(query)
    } else if get("query", ns::VERSION) {
        Some(
            El::ns("query", ns::VERSION)
                .child(El::new("name").text("Warren"))
                .child(El::new("version").text(env!("CARGO_PKG_VERSION"))),
        )
    } else {
        return Answer::Now(error_reply(head, None, ErrorType::Cancel, "service-unavailable", None));
    };
    Answer::Now(result(stanza, payload))
}

/// The list of rooms (XEP-0045 6.3): address and name of each.
pub fn rooms(stanza: &Stanza, rooms: impl IntoIterator<Item = (BareJid, String)>) -> Option<Bytes> {
    let mut query = El::ns("query", ns::DISCO_ITEMS);
    for (jid, name) in rooms {
        query = query.child(El::new("item").attr("jid", jid.as_str()).attr("name", name));
    }
    result(stanza, Some(query))
}

fn result(stanza: &Stanza, payload: Option<El>) -> Option<Bytes> {
    let (from, to) = (stanza.head.to.as_ref()?, stanza.head.from.as_ref()?);
    let mut writer =
        StanzaWriter::new(Kind::Iq).from(from.as_str()).type_(Some("result")).id(stanza.head.id.as_deref());
    if let Some(payload) = payload {
        writer = writer.el(payload);
    }
    Some(writer.finish().to(to))
}
