//! What a server does with a stanza (`servers.md` 1).

use warren_xmpp::{ErrorType, Kind};

use super::queue::{Event, Line};
use super::{Parcel, World};
use crate::names::{Domain, MS};
use crate::stanza::{bounce, is_groupchat, is_type, pong};

impl World {
    /// A stanza is at a server.
    pub(super) fn route(&mut self, server: usize, parcel: Parcel) {
        let Some(domain) = parcel.stanza.head.to.as_ref().and_then(Domain::of) else { return };
        if domain.server() != server {
            self.over_s2s(parcel);
        } else if domain.is_component() {
            self.for_component(server, parcel);
        } else {
            self.for_user(server, parcel);
        }
    }

    fn for_user(&mut self, server: usize, parcel: Parcel) {
        let stanza = &parcel.stanza;
        let Some(to) = &stanza.head.to else { return };
        let request = stanza.head.kind == Kind::Iq && is_type(stanza, "get");
        if to.node().is_none() {
            // It answers pings of its own domain itself.
            if let Some(answer) = pong(stanza).filter(|_| request) {
                self.route(server, Parcel::of(answer));
            }
            return;
        }
        let live = self.client_of(to).filter(|client| self.clients[*client].alive);
        if let Some(client) = live {
            let at = self.now + self.rng.range(MS / 2, 10 * MS);
            let at = self.clients[client].down.push(at, parcel);
            self.queue.push(at, Event::Wake(Line::Down(client)));
        } else if request || is_groupchat(stanza) {
            self.refuse_gone(server, stanza);
        }
    }

    /// There is no such session.
    pub(super) fn refuse_gone(&mut self, server: usize, stanza: &warren_xmpp::Stanza) {
        if let Some(error) = bounce(stanza, None, ErrorType::Cancel, "service-unavailable") {
            self.route(server, Parcel::of(error));
        }
    }
}
