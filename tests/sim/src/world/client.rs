//! A user's client: what it believes, and what it makes of what it gets.

use std::collections::BTreeSet;

use jid::{BareJid, Jid};
use warren_xmpp::{Kind, Stanza, StanzaError};

use super::queue::{Channel, Event, Line};
use super::{Parcel, World};
use crate::history::Receipt;
use crate::names::{Domain, MS, Micros, SEC};
use crate::stanza::{body_token, codes, is_groupchat, is_type, leave, stanza_id, token};

/// What a client believes of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Belief {
    Out,
    /// It has asked to enter, then.
    Joining(Micros),
    In,
}

/// One session of a user.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug)]
pub(crate) struct Client {
    pub user: usize,
    pub jid: Jid,
    pub domain: Domain,
    pub site: usize,
    pub room: BareJid,
    /// The server knows the session.
    pub alive: bool,
    /// The connection is gone, the server keeps what comes.
    pub asleep: Option<Vec<Stanza>>,
    pub belief: Belief,
    pub nick: String,
    pub view: BTreeSet<String>,
    /// A join sequence is coming in, up to its subject.
    pub sequence: bool,
    pub renaming: Option<String>,
    pub ping: Option<(String, Micros)>,
    pub pings: u64,
    /// It asked to enter later than to leave.
    pub wants: bool,
    /// When it left last, or left again.
    pub nudged: Micros,
    pub may_leave: bool,
    pub up: Channel,
    pub down: Channel,
}

impl World {
    /// A client sends something.
    pub(super) fn send(&mut self, client: usize, stanza: Stanza) {
        self.trace.line(self.now, || format!("client {}", super::link::show(&stanza)));
        let at = self.now + self.rng.range(MS / 2, 10 * MS);
        let at = self.clients[client].up.push(at, Parcel::of(stanza));
        self.queue.push(at, Event::Wake(Line::Up(client)));
    }

    pub(super) fn arrive_from_client(&mut self, client: usize) {
        let now = self.now;
        let here = &mut self.clients[client];
        if let Some(parcel) = here.up.pop(now).filter(|_| here.alive) {
            let server = here.domain.server();
            self.route(server, parcel);
        }
    }

    pub(super) fn arrive_at_client(&mut self, client: usize) {
        let now = self.now;
        let here = &mut self.clients[client];
        let Some(Parcel { stanza, .. }) = here.down.pop(now).filter(|_| here.alive) else { return };
        match &mut here.asleep {
            Some(kept) => kept.push(stanza),
            None => self.receive(client, &stanza),
        }
    }

    pub(super) fn receive(&mut self, client: usize, stanza: &Stanza) {
        self.trace.line(self.now, || format!("client {} gets {}", self.clients[client].jid, super::link::show(stanza)));
        let from_room = stanza.head.from.as_ref().is_some_and(|from| from.to_bare() == self.clients[client].room);
        if !from_room {
            return;
        }
        match stanza.head.kind {
            Kind::Presence => self.sees_presence(client, stanza),
            Kind::Message => self.sees_message(client, stanza),
            Kind::Iq => self.sees_answer(client, stanza),
        }
    }

    fn sees_presence(&mut self, client: usize, stanza: &Stanza) {
        let Some(nick) = stanza.head.from.as_ref().and_then(|from| from.resource()).map(|r| r.as_str().to_owned())
        else {
            return;
        };
        let (codes, new) = codes(&stanza.content);
        let own = codes.contains(&110);
        let here = &mut self.clients[client];
        match stanza.head.type_.as_deref() {
            // An answer that comes late, after an error or a leave: only who still wants in believes it.
            None if here.belief == Belief::Out && !here.wants => {}
            None => {
                here.view.insert(nick.clone());
                if own {
                    let renamed = here.renaming.take().as_ref() == Some(&nick);
                    here.nick = nick;
                    // A change of nick that is told again does not answer a join: who is there has not been said.
                    if !renamed {
                        here.sequence = true;
                        here.belief = Belief::In;
                    }
                }
            }
            Some("unavailable") => {
                here.view.remove(&nick);
                if own && codes.contains(&303) {
                    here.renaming = new;
                } else if own {
                    here.belief = Belief::Out;
                    here.view.clear();
                }
            }
            Some("error") => {
                let conflict = StanzaError::read(&stanza.content).is_some_and(|error| error.condition == "conflict");
                if matches!(here.belief, Belief::Joining(_)) {
                    here.belief = Belief::Out;
                    if conflict {
                        here.nick.push('_');
                    }
                }
            }
            Some(_) => {}
        }
    }

    /// A client that has left and still gets the room's traffic leaves again.
    fn nudge(&mut self, client: usize) {
        let here = &mut self.clients[client];
        if self.now < here.nudged + 5 * SEC {
            return;
        }
        here.nudged = self.now;
        here.may_leave = true;
        here.wants = false;
        let stanza = leave(&here.jid, &here.room, &here.nick);
        self.send(client, stanza);
    }

    fn sees_message(&mut self, client: usize, stanza: &Stanza) {
        let here = &mut self.clients[client];
        if is_type(stanza, "error") {
            let id = stanza.head.id.as_deref().and_then(token);
            if let Some(said) = id.and_then(|token| self.said(token)) {
                said.bounced = true;
            }
            return;
        }
        if !is_groupchat(stanza) {
            return;
        }
        if here.belief == Belief::Out {
            return self.nudge(client);
        }
        let Some(said) = body_token(&stanza.content) else {
            if stanza.content.has("subject", warren_xmpp::ns::CLIENT) {
                here.sequence = false;
            }
            return;
        };
        let history = here.sequence;
        let Some(id) = stanza_id(stanza, &here.room) else {
            return self.history.broken.push(format!("m{said} is shown without an id"));
        };
        if stanza.head.id.as_deref().and_then(token) != Some(said) || said >= self.history.said.len() {
            return self.history.broken.push(format!("m{said} is shown with another's id"));
        }
        if self.history.said[said].session == client {
            self.history.said[said].reflected = true;
        }
        self.trace.mix(said as u64);
        self.history.receipts.push(Receipt { session: client, token: said, id, history, at: self.now });
    }

    /// XEP-0410: these conditions say nothing about being in the room.
    fn sees_answer(&mut self, client: usize, stanza: &Stanza) {
        let here = &mut self.clients[client];
        if here.ping.as_ref().is_none_or(|(id, _)| Some(&**id) != stanza.head.id.as_deref()) {
            return;
        }
        here.ping = None;
        let Some(error) = StanzaError::read(&stanza.content).filter(|_| is_type(stanza, "error")) else { return };
        let unknown = [
            "service-unavailable",
            "feature-not-implemented",
            "item-not-found",
            "remote-server-not-found",
            "remote-server-timeout",
            "recipient-unavailable",
        ];
        if !unknown.contains(&error.condition.as_str()) && here.belief == Belief::In {
            here.belief = Belief::Out;
            here.view.clear();
        }
    }
}
