//! A component connected to its server (XEP-0114, the accepting side is the server).

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use jid::Jid;
use sha1::{Digest, Sha1};
use warren_xmpp::{
    El, Event as Wired, Head, Kind, Limits, Nonza, Refusal, Stanza, StanzaWriter, StreamCondition, StreamError,
    StreamFault, StreamHeader, error_reply, escape_into, ns,
};

use crate::close::CloseReason;
use crate::wire::Wire;

/// How long the peer has to answer the end of our stream (RFC 6120 section 4.4).
const CLOSING: Duration = Duration::from_secs(5);
/// What the ids of our own pings begin with.
const PING_ID: &str = "warren-live-";

/// What a component needs to know.
#[derive(Clone)]
pub struct ComponentConfig {
    /// The component's domain, as the server knows it.
    pub domain: String,
    /// The secret shared with the server.
    pub secret: String,
    /// Limits of what the server may send.
    pub limits: Limits,
    /// Time from the proof that the connection works to the next ping.
    pub liveness: Duration,
    /// Time that a ping, and the opening of the stream, may take. It must leave room for what lies
    /// queued before the ping.
    pub liveness_timeout: Duration,
}

impl fmt::Debug for ComponentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the secret.
        f.debug_struct("ComponentConfig").field("domain", &self.domain).finish_non_exhaustive()
    }
}

/// What a component stream brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// These bytes must be written.
    Send(Bytes),
    /// The server has accepted us: stanzas may be written.
    Online,
    /// A stanza.
    Stanza(Stanza),
    /// A stanza that was not taken; the stream goes on.
    Refused {
        /// What was known of it.
        head: Head,
        /// What was wrong.
        why: Refusal,
        /// The error to its sender, to be written if there is one.
        reply: Option<Bytes>,
    },
    /// The stream is over: the connection is to be closed. Nothing follows.
    Closed(CloseReason),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// The server's header has not come.
    Opening { until: Duration },
    /// The server has not answered the handshake.
    Handshake { until: Duration },
    /// Stanzas flow; the next ping is due.
    Online { ping_at: Duration },
    /// Stanzas flow; a ping is under way.
    Pinged { id: String, until: Duration },
    /// We have ended our stream; the server's goes on.
    Closing { until: Duration },
    /// It is over.
    Closed,
}

/// One connection of a component.
///
/// Liveness: a ping from our domain to our own domain comes back to us as a request, routed by the
/// server. It proves both directions and the server's routing in between, where an answer of the server
/// itself would prove less. A connection that is black-holed gives no other sign (`servers.md` 6).
pub struct Component {
    config: ComponentConfig,
    /// The domain in the form in which it comes back.
    domain: Option<Jid>,
    wire: Wire,
    state: State,
    events: VecDeque<Event>,
    seed: u64,
    pings: u64,
    now: Duration,
    /// Bytes were fed that [`Self::poll`] has not looked at: an answer may be among them.
    unseen: bool,
}

impl Component {
    /// A stream that was not started. `seed` differs between connections, so that late pings of an
    /// earlier one are not taken for those of this one.
    pub fn new(config: ComponentConfig, seed: u64) -> Self {
        Self {
            domain: Jid::new(&config.domain).ok(),
            wire: Wire::new(ns::COMPONENT, config.limits),
            state: State::Opening { until: Duration::MAX },
            events: VecDeque::new(),
            seed,
            pings: 0,
            now: Duration::ZERO,
            unseen: false,
            config,
        }
    }

    /// Starts on a new connection. Returns the bytes to write first.
    pub fn start(&mut self, now: Duration) -> Bytes {
        self.now = now;
        self.state = State::Opening { until: now + self.config.liveness_timeout };
        let mut to = b" to='".to_vec();
        escape_into(&mut to, &self.config.domain);
        to.push(b'\'');
        Wire::header(ns::COMPONENT, &to)
    }

    /// Takes bytes from the server. What they amount to comes from [`Self::poll`], which the caller
    /// leaves waiting when it has no room; then it should not feed either.
    pub fn feed(&mut self, bytes: &[u8], now: Duration) {
        self.now = now;
        if self.state != State::Closed {
            self.wire.feed(bytes);
            self.unseen = true;
        }
    }

    /// The next event, if there is one.
    pub fn poll(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.state == State::Closed {
                return None;
            }
            match self.wire.next() {
                Ok(Some(Wired::Stanza(stanza))) => {
                    if let Some(event) = self.stanza(stanza) {
                        return Some(event);
                    }
                }
                Ok(Some(Wired::Refused { head, why })) => {
                    if self.established() {
                        return Some(self.refused(head, why));
                    }
                }
                Ok(Some(Wired::Nonza(nonza))) => self.nonza(&nonza),
                Ok(Some(Wired::Open(header))) => self.opened(&header),
                Ok(Some(Wired::Close)) => self.peer_ended(),
                Ok(None) => {
                    self.unseen = false;
                    return None;
                }
                Err(fault) => self.fault(fault),
            }
        }
    }

    /// Acts on the time. [`Self::poll`] must be empty before, and a caller that does not read from the
    /// connection must not call this: it would take its own pause for the server's.
    pub fn tick(&mut self, now: Duration) {
        self.now = now;
        match self.state {
            State::Opening { until } | State::Handshake { until } if now >= until => {
                let text = "the handshake took too long";
                self.send_opt(|wire| wire.fail(StreamCondition::ConnectionTimeout, text));
                self.closed(CloseReason::HandshakeTimeout);
            }
            State::Online { ping_at } if now >= ping_at => self.ping(),
            State::Pinged { until, .. } if now >= until && !self.unseen => self.closed(CloseReason::Silent),
            State::Closing { until } if now >= until => self.closed(CloseReason::Requested),
            _ => {}
        }
    }

    /// When [`Self::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<Duration> {
        match self.state {
            State::Opening { until }
            | State::Handshake { until }
            | State::Online { ping_at: until }
            | State::Pinged { until, .. }
            | State::Closing { until } => Some(until),
            State::Closed => None,
        }
        .filter(|until| *until != Duration::MAX)
    }

    /// Ends the stream in order: what the server has sent before it ends its own still comes.
    /// Nothing but the bytes of [`Event::Send`] may be written from here on.
    pub fn close(&mut self) {
        if !matches!(self.state, State::Closing { .. } | State::Closed) {
            self.send_opt(Wire::end);
            self.state = State::Closing { until: self.now + CLOSING };
        }
    }

    /// The connection has ended: nothing more will be read.
    pub fn eof(&mut self) {
        let ours = matches!(self.state, State::Closing { .. });
        self.closed(if ours { CloseReason::Requested } else { CloseReason::Lost });
    }

    /// Whether stanzas may be written.
    pub fn is_online(&self) -> bool {
        matches!(self.state, State::Online { .. } | State::Pinged { .. })
    }

    /// Gives back buffers that may have grown: for a connection that is idle.
    pub fn shrink(&mut self) {
        self.wire.shrink();
    }

    fn opened(&mut self, header: &StreamHeader) {
        if !matches!(self.state, State::Opening { .. }) {
            return;
        }
        if &*header.ns != ns::COMPONENT {
            let text = format!("not a component's port: its streams are of {}", &*header.ns);
            return self.fault(StreamFault::new(StreamCondition::InvalidNamespace, text));
        }
        let Some(id) = &header.id else {
            return self.fault(StreamFault::new(StreamCondition::BadFormat, "the stream header has no id"));
        };
        let mut hash = Sha1::new();
        hash.update(id.as_bytes());
        hash.update(self.config.secret.as_bytes());
        self.events.push_back(Event::Send(El::new("handshake").text(&HEXLOWER.encode(&hash.finalize())).to_bytes()));
        self.state = State::Handshake { until: self.now + self.config.liveness_timeout };
    }

    fn nonza(&mut self, nonza: &Nonza) {
        if nonza.is("error", ns::STREAMS) {
            let error = StreamError::of(&nonza.element());
            let reason = CloseReason::Error { condition: error.condition, explanation: self.explain(&error) };
            self.send_opt(Wire::end);
            self.closed(reason);
        } else if nonza.is("handshake", ns::CLIENT) && matches!(self.state, State::Handshake { .. }) {
            self.state = State::Online { ping_at: self.now + self.config.liveness };
            self.events.push_back(Event::Online);
        }
        // Anything else is an extension that we did not ask for.
    }

    /// What a stream error means for a component.
    fn explain(&self, error: &StreamError) -> String {
        let domain = &self.config.domain;
        let mut explanation = match error.condition {
            StreamCondition::NotAuthorized => format!("the secret of component {domain} was refused by the server"),
            StreamCondition::HostUnknown => format!("the server has no component {domain} configured"),
            StreamCondition::Conflict if self.is_online() => {
                format!("another connection has taken the place of component {domain}")
            }
            StreamCondition::Conflict => format!(
                "component {domain} is already connected, and the server keeps the old connection (Prosody: set \
                 component_conflict_resolve = \"kick_old\")"
            ),
            StreamCondition::SystemShutdown => "the server stops".to_owned(),
            _ => format!("the server has ended the stream of component {domain}"),
        };
        if let Some(text) = &error.text {
            explanation.push_str(": ");
            explanation.push_str(text);
        }
        explanation
    }

    fn stanza(&mut self, stanza: Stanza) -> Option<Event> {
        if !self.established() {
            return None;
        }
        if self.is_own_ping(&stanza.head) {
            let id = stanza.head.id.as_deref();
            if matches!(&self.state, State::Pinged { id: known, .. } if Some(known.as_str()) == id) {
                self.state = State::Online { ping_at: self.now + self.config.liveness };
            }
            return None;
        }
        Some(Event::Stanza(stanza))
    }

    /// Stanzas before the handshake are a fault.
    fn established(&mut self) -> bool {
        let early = matches!(self.state, State::Opening { .. } | State::Handshake { .. });
        if early {
            self.fault(StreamFault::new(StreamCondition::NotAuthorized, "a stanza before the handshake"));
        }
        !early
    }

    /// Our ping as a request, or the server's error about it: both have been there and back.
    fn is_own_ping(&self, head: &Head) -> bool {
        head.kind == Kind::Iq
            && head.id.as_deref().is_some_and(|id| id.starts_with(PING_ID))
            && self.domain.is_some()
            && head.from == self.domain
            && head.to == self.domain
    }

    fn refused(&self, mut head: Head, why: Refusal) -> Event {
        let to = head.to.clone();
        // A component's stanzas must have a `from`.
        head.to = to.clone().or_else(|| self.domain.clone());
        let (type_, condition) = why.condition();
        let reply = error_reply(&head, Some(&self.config.domain), type_, condition, Some(&why.to_string()));
        head.to = to;
        Event::Refused { head, why, reply }
    }

    fn ping(&mut self) {
        let Some(domain) = &self.domain else {
            // What is no address cannot be pinged. The server has accepted it, so it is not our worry.
            self.state = State::Online { ping_at: self.now + self.config.liveness };
            return;
        };
        self.pings += 1;
        let id = format!("{PING_ID}{:016x}-{}", self.seed, self.pings);
        let ping = StanzaWriter::new(Kind::Iq)
            .from(domain.as_str())
            .type_(Some("get"))
            .id(Some(&id))
            .el(El::ns("ping", ns::PING))
            .finish();
        self.events.push_back(Event::Send(ping.to(domain)));
        self.state = State::Pinged { id, until: self.now + self.config.liveness_timeout };
    }

    fn peer_ended(&mut self) {
        let ours = matches!(self.state, State::Closing { .. });
        self.send_opt(Wire::end);
        self.closed(if ours { CloseReason::Requested } else { CloseReason::ByPeer });
    }

    fn fault(&mut self, fault: StreamFault) {
        self.send_opt(|wire| wire.fail(fault.condition, &fault.text));
        self.closed(CloseReason::Fault(fault));
    }

    fn send_opt(&mut self, bytes: impl FnOnce(&mut Wire) -> Option<Bytes>) {
        self.events.extend(bytes(&mut self.wire).map(Event::Send));
    }

    fn closed(&mut self, reason: CloseReason) {
        if self.state != State::Closed {
            self.state = State::Closed;
            self.events.push_back(Event::Closed(reason));
        }
    }
}
