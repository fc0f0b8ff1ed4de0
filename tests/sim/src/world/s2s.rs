//! Between servers: one stream per pair of domains and direction, with all the ways in which they lose,
//! repeat, refuse and reorder (`servers.md` 3, 4, 9).

use std::collections::VecDeque;

use warren_xmpp::ErrorType;

use super::queue::{Channel, Event, Line};
use super::{Parcel, World};
use crate::names::{Domain, MS, Micros, Place, SEC, SERVERS, SITES};
use crate::plan::Flavour;
use crate::stanza::{body_token, bounce, is_groupchat, token};

/// ejabberd does not try again for up to so long after a failed connect (300 s really: a run must end).
const PENALTY: Micros = 120 * SEC;

/// State of the way from one server to another.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wire {
    /// Everything is read and discarded until then.
    pub blackout: Micros,
    /// Connections are refused until then.
    pub refused: Micros,
    /// Connections are accepted and never answered until then.
    pub mute: Micros,
    /// So much slower, until then.
    pub slow: (Micros, Micros),
}

/// All ways.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wires([[Wire; SERVERS]; SERVERS]);

impl Wires {
    pub(crate) fn between(&mut self, from: usize, to: usize) -> &mut Wire {
        &mut self.0[from][to]
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    /// Since then.
    Connecting(Micros),
    Open,
}

/// One stream.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    life: u64,
    state: State,
    channel: Channel,
    waiting: Vec<(Micros, Parcel)>,
    /// When it arrives: written lately and perhaps not acknowledged.
    recent: VecDeque<(Micros, Parcel)>,
    penalty: Micros,
    /// The other server has said that there is no such component.
    pub unknown: bool,
}

impl World {
    /// A server has a stanza for another one.
    pub(super) fn over_s2s(&mut self, parcel: Parcel) {
        let head = &parcel.stanza.head;
        let (Some(from), Some(to)) = (head.from.as_ref().and_then(Domain::of), head.to.as_ref().and_then(Domain::of))
        else {
            return;
        };
        let now = self.now;
        let refused = self.wires.between(from.server(), to.server()).refused > now;
        let handshake = self.handshake_time();
        let stream = self.streams.entry((from, to)).or_default();
        if stream.unknown || stream.penalty > now {
            return self.bounce_here(from, &parcel);
        }
        match stream.state {
            State::Closed if refused => {
                self.punish(from, to);
                self.bounce_here(from, &parcel);
            }
            State::Closed => {
                stream.life += 1;
                stream.state = State::Connecting(now);
                stream.waiting.push((now, parcel));
                let life = stream.life;
                self.after(handshake, Event::Handshake(from, to, life));
            }
            State::Connecting(_) => stream.waiting.push((now, parcel)),
            State::Open => self.transmit(from, to, parcel),
        }
    }

    /// TLS, EXTERNAL and dialback take about so many round trips.
    fn handshake_time(&mut self) -> Micros {
        self.rng.range(50, 150) * MS + 12 * 2 * self.plan.latency
    }

    fn transmit(&mut self, from: Domain, to: Domain, parcel: Parcel) {
        let now = self.now;
        let wire = *self.wires.between(from.server(), to.server());
        let slow = if wire.slow.1 > now { wire.slow.0 } else { 0 };
        let at = now + self.plan.latency + self.rng.range(0, 2 * MS) + slow;
        let patience = self.plan.latency + 300 * MS;
        let Some(stream) = self.streams.get_mut(&(from, to)) else { return };
        while stream.recent.pop_front_if(|(arrives, _)| arrives.saturating_add(patience) < now).is_some() {}
        if wire.blackout > now {
            stream.recent.push_back((Micros::MAX, parcel.clone()));
            return self.lost(parcel);
        }
        let at = stream.channel.push(at, parcel.clone());
        stream.recent.push_back((at, parcel));
        self.queue.push(at, Event::Wake(Line::S2s(from, to)));
    }

    pub(super) fn arrive_over_s2s(&mut self, from: Domain, to: Domain) {
        let now = self.now;
        if let Some(parcel) = self.streams.get_mut(&(from, to)).and_then(|stream| stream.channel.pop(now)) {
            self.route(to.server(), parcel);
        }
    }

    pub(super) fn handshake(&mut self, from: Domain, to: Domain, life: u64) {
        let now = self.now;
        let [there, back] = [(from, to), (to, from)].map(|(from, to)| *self.wires.between(from.server(), to.server()));
        let round_trip = 2 * self.plan.latency;
        let flavour = self.plan.flavours[from.server()];
        let Some(stream) = self.streams.get_mut(&(from, to)).filter(|stream| stream.life == life) else { return };
        let State::Connecting(since) = stream.state else { return };
        let silent = there.blackout > now || back.blackout > now || there.mute > now;
        let patience = if flavour == Flavour::Prosody { 90 * SEC } else { 30 * SEC };
        if there.refused > now || (silent && now >= since + patience) {
            let waiting = std::mem::take(&mut stream.waiting);
            stream.state = State::Closed;
            self.punish(from, to);
            for (_, parcel) in waiting {
                self.bounce_here(from, &parcel);
            }
            return;
        }
        if silent {
            return self.after(SEC, Event::Handshake(from, to, life));
        }
        stream.state = State::Open;
        let mut waiting = std::mem::take(&mut stream.waiting);
        if flavour == Flavour::Prosody {
            // What came in the last round trip of the handshake is written at once, the queue follows.
            let late = now.saturating_sub(round_trip);
            let (queue, mut first): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(at, _)| *at < late);
            if !first.is_empty() && !queue.is_empty() && from.is_component() {
                self.reordered.insert((from.server(), to));
            }
            first.extend(queue);
            waiting = first;
        }
        for (_, parcel) in waiting {
            self.transmit(from, to, parcel);
        }
    }

    fn punish(&mut self, from: Domain, to: Domain) {
        let penalty = self.now + self.rng.below(PENALTY);
        if self.plan.flavours[from.server()] == Flavour::Ejabberd
            && self.faults_on
            && let Some(stream) = self.streams.get_mut(&(from, to))
        {
            stream.penalty = penalty;
        }
    }

    /// The error of the sending server.
    fn bounce_here(&mut self, from: Domain, parcel: &Parcel) {
        let prosody = self.plan.flavours[from.server()] == Flavour::Prosody;
        let wait = !prosody || self.rng.percent(20);
        let (kind, condition) = if wait {
            (ErrorType::Wait, "remote-server-timeout")
        } else {
            (ErrorType::Cancel, "remote-server-not-found")
        };
        let by = prosody.then_some(from.name());
        if let Some(error) = bounce(&parcel.stanza, by, kind, condition) {
            self.route(from.server(), Parcel::of(error));
        }
    }

    /// Resets the streams from one server to another.
    pub(super) fn reset_streams(&mut self, from: usize, to: usize, resend: bool) {
        let keys: Vec<_> =
            self.streams.keys().filter(|(a, b)| a.server() == from && b.server() == to).copied().collect();
        for (a, b) in keys {
            self.reset_stream(a, b, resend);
        }
    }

    /// What is under way is lost; Prosody knows what was not acknowledged, if the other one is a Prosody too.
    pub(super) fn reset_stream(&mut self, from: Domain, to: Domain, resend: bool) {
        let acks = [from, to].iter().all(|domain| self.plan.flavours[domain.server()] == Flavour::Prosody);
        let resend = resend || (acks && self.plan.resend);
        let handshake = self.handshake_time();
        let now = self.now;
        let Some(stream) = self.streams.get_mut(&(from, to)).filter(|stream| stream.state == State::Open) else {
            return;
        };
        stream.life += 1;
        stream.state = State::Closed;
        let under_way = stream.channel.clear();
        let recent = std::mem::take(&mut stream.recent);
        if resend && !recent.is_empty() {
            let life = stream.life;
            stream.state = State::Connecting(now);
            stream.waiting = recent.into_iter().map(|(_, parcel)| (0, parcel)).collect();
            self.after(handshake, Event::Handshake(from, to, life));
            return;
        }
        for parcel in under_way {
            self.lost(parcel);
        }
        if acks {
            // Also for those that have arrived.
            for (_, parcel) in recent {
                let error = bounce(&parcel.stanza, None, ErrorType::Cancel, "recipient-unavailable");
                let presence = parcel.stanza.head.kind == warren_xmpp::Kind::Presence;
                if let Some(error) = error.filter(|_| !presence) {
                    self.route(from.server(), Parcel::of(error));
                }
            }
        }
    }

    /// Two servers have lost a stanza between them.
    fn lost(&mut self, parcel: Parcel) {
        let Parcel { stanza, place } = parcel;
        self.trace.line(self.now, || format!("LOST {}", super::link::show(&stanza)));
        let (Some(from), Some(to)) = (&stanza.head.from, &stanza.head.to) else { return };
        let (Some(domain), Some(client)) = (Domain::of(to), self.client_of(to)) else { return };
        let site = Domain::of(from).filter(|from| from.is_component() && place > 0).map(Domain::server);
        if let Some(ledger) = site.and_then(|site| self.ledgers.get_mut(&(site, domain))) {
            ledger.lost(place, client, is_groupchat(&stanza).then(|| body_token(&stanza.content)).flatten());
        }
    }

    /// An answer to one of a component's pings reached it.
    pub(super) fn answered_ping(&mut self, at: Place, stanza: &warren_xmpp::Stanza) {
        let head = &stanza.head;
        let connection = self.slot(at).link.connection;
        if let (Some("result"), Some(id), Some(domain)) =
            (head.type_.as_deref(), head.id.as_deref(), head.from.as_ref().and_then(Domain::of))
            && let Some(ledger) = self.ledgers.get_mut(&(at.site, domain))
        {
            ledger.answered(id, connection);
        }
    }

    /// The component is not there (`servers.md` 6).
    pub(super) fn component_away(&mut self, site: usize, parcel: &Parcel) {
        let stanza = &parcel.stanza;
        let Some(from) = stanza.head.from.as_ref().and_then(Domain::of) else { return };
        if let Some(said) = stanza.head.id.as_deref().and_then(token).and_then(|token| self.said(token)) {
            said.bounced = true;
        }
        let rooms = Domain::rooms(site);
        let (by, kind, condition) = match self.plan.flavours[site] {
            Flavour::Prosody => (Some(rooms.name()), ErrorType::Wait, "remote-server-timeout"),
            Flavour::Ejabberd if from.server() == site => (None, ErrorType::Cancel, "remote-server-not-found"),
            Flavour::Ejabberd => {
                // It closes the stream; this one is lost, the next ones bounce at their own server.
                self.reset_stream(from, rooms, false);
                if let Some(stream) = self.streams.get_mut(&(from, rooms)) {
                    stream.unknown = true;
                }
                return;
            }
        };
        if let Some(error) = bounce(stanza, by, kind, condition) {
            self.route(site, Parcel::of(error));
        }
    }

    /// The component is there again.
    pub(super) fn component_back(&mut self, site: usize) {
        let rooms = Domain::rooms(site);
        self.streams.iter_mut().filter(|((_, to), _)| *to == rooms).for_each(|(_, stream)| stream.unknown = false);
    }

    /// Everything works again.
    pub(super) fn heal_wires(&mut self) {
        let now = self.now;
        let old = std::mem::take(&mut self.wires);
        for from in 0..SERVERS {
            for to in (0..SERVERS).filter(|to| old.0[from][*to].blackout > now) {
                self.reset_streams(from, to, false);
            }
        }
    }

    /// What happens between two servers is a matter of the sites there.
    pub(super) fn disturb_wire(&mut self, a: usize, b: usize) {
        for (site, users) in [(a, b), (b, a)] {
            if site < SITES {
                self.disturb(site, Some(Domain::users(users)));
            }
        }
    }
}
