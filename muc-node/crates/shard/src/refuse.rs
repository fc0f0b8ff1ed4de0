//! What senders are told when no room answers them.

use jid::BareJid;
use warren_model::Routed;
use warren_xmpp::{ErrorType, Kind, Stanza, error_reply, ns};

use crate::io::Out;
use crate::item::{Item, What};

/// One of the answers below.
type Answer = fn(&BareJid, &Stanza, &mut Vec<Out>);

/// Answers whoever sent this, and whoever routed it.
pub(crate) fn refuse(room: &BareJid, item: &Item, answer: Answer, out: &mut Vec<Out>) {
    if let What::Stanza(stanza) = &item.what {
        answer(room, stanza, out);
    }
    handled(item.routed, out);
}

/// Tells a source that nothing of its stanza is left to do.
pub(crate) fn handled(routed: Option<Routed>, out: &mut Vec<Out>) {
    out.extend(routed.map(|Routed { source, n }| Out::Handled { source, n }));
}

fn reply(room: &BareJid, stanza: &Stanza, kind: ErrorType, condition: &str, text: &str, out: &mut Vec<Out>) {
    if let Some(bytes) = error_reply(&stanza.head, Some(room.as_str()), kind, condition, Some(text))
        && let Some(to) = &stanza.head.from
    {
        out.push(Out::Reply { to: to.clone(), bytes });
    }
}

/// The room could not be loaded in time. Clients stay in a room that answers so (XEP-0410), and no peer
/// concludes anything but that the path is bad.
pub(crate) fn parked_too_long(room: &BareJid, stanza: &Stanza, out: &mut Vec<Out>) {
    reply(room, stanza, ErrorType::Wait, "remote-server-timeout", "the room is not reachable at the moment", out);
}

/// Too much waits for this room.
pub(crate) fn queue_full(room: &BareJid, stanza: &Stanza, out: &mut Vec<Out>) {
    // A leave that does not fit is not answered: there is nothing that its sender could do.
    if stanza.head.type_.as_deref() != Some("unavailable") {
        reply(room, stanza, ErrorType::Wait, "resource-constraint", "too much is waiting in this room: try later", out);
    }
}

/// The store did not take it, twice; so it is known that it did not happen.
pub(crate) fn not_stored(room: &BareJid, stanza: &Stanza, out: &mut Vec<Out>) {
    if stanza.head.type_.as_deref() != Some("unavailable") {
        reply(room, stanza, ErrorType::Wait, "resource-constraint", "this could not be stored: try again later", out);
    }
}

/// There is no such room. Rooms are declared, never made by entering them (XEP-0045 7.2.11, 10.1.1).
pub(crate) fn absent(room: &BareJid, stanza: &Stanza, out: &mut Vec<Out>) {
    let join = stanza.content.has("x", ns::MUC);
    match (stanza.head.kind, stanza.head.type_.as_deref()) {
        (Kind::Presence, None) if join => {
            let text = "rooms are declared, not created by joining";
            reply(room, stanza, ErrorType::Cancel, "not-allowed", text, out);
        }
        // Whoever believes to be in the room learns that it is not there.
        (Kind::Presence, None) | (Kind::Message | Kind::Iq, _) => {
            reply(room, stanza, ErrorType::Cancel, "item-not-found", "there is no such room", out);
        }
        (Kind::Presence, Some(_)) => {}
    }
}
