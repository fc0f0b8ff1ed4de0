//! What comes back: answers to our pings, and errors that tell of the way.

use jid::Jid;
use warren_model::Now;
use warren_xmpp::{Kind, Stanza, StanzaError};

use crate::Consumed;
use crate::link::Egress;

impl Egress {
    /// Looks at an inbound stanza. Constant time for all but the answers to our pings.
    pub fn stanza(&mut self, stanza: &Stanza, now: Now) -> Consumed {
        let head = &stanza.head;
        let (Some(from), Some(to)) = (&head.from, &head.to) else { return Consumed::No };
        let error = head.type_.as_deref() == Some("error");
        let result = head.type_.as_deref() == Some("result");
        let ping = if head.kind == Kind::Iq && (result || error) && is_domain(from) && is_domain(to) {
            head.id.as_deref().and_then(|id| self.table.cx.ping_number(id))
        } else {
            None
        };
        if ping.is_none() && !error && self.table.cx.troubled == 0 {
            return Consumed::No;
        }
        self.begin(now);
        let consumed = if ping.is_some() { Consumed::Yes } else { Consumed::No };
        let Some(place) = self.table.find(to.domain().as_str(), from.domain().as_str()) else { return consumed };
        let transport = error && self.is_transport(stanza, to, ping.is_some());
        if let Some((route, cx)) = self.table.both(place) {
            match ping {
                _ if transport => route.refused(cx, ping, now.mono),
                Some(id) => route.answered(cx, id, now.mono),
                None => route.hint(cx, now.mono),
            }
            self.table.settle(place, now.mono);
            self.after();
        }
        consumed
    }

    /// Whether an error tells of the way and not of the other end (`servers.md` 10: 1, 5).
    fn is_transport(&self, stanza: &Stanza, to: &Jid, pong: bool) -> bool {
        let Some(error) = StanzaError::read(&stanza.content) else { return pong };
        let ours = |by: &Jid| by.domain() == to.domain() || self.domains.contains(by.domain().as_str());
        if error.by.as_ref().is_some_and(ours) {
            return true;
        }
        match error.condition.as_str() {
            "remote-server-timeout" | "remote-server-not-found" | "recipient-unavailable" => true,
            // A server that does not know pings has answered all the same.
            "service-unavailable" | "feature-not-implemented" => false,
            _ => pong,
        }
    }
}

/// Whether it is a bare domain.
fn is_domain(jid: &Jid) -> bool {
    jid.node().is_none() && jid.resource().is_none()
}
