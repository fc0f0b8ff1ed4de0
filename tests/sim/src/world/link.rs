//! The component link (XEP-0114) between a pod and its server (`servers.md` 6).

use warren_pod::Input;
use warren_xmpp::{Decoder, Event as Read, Kind, Limits, ns};

use super::queue::{Channel, Event, Line};
use super::{Parcel, World};
use crate::fault::Step;
use crate::history::Arrival;
use crate::names::{Domain, MS, Micros, SEC};
use crate::stanza::{is_path_ping, is_type, token};

/// Header of the stream that the pod's output is read with.
const HEADER: &[u8] = b"<stream:stream xmlns='jabber:component:accept' \
    xmlns:stream='http://etherx.jabber.org/streams' from='site' id='1'>";
/// What the sockets hold: the pod writes no more before something of it was read.
const BUFFER: usize = 24 << 10;

/// One component link.
pub(crate) struct Link {
    /// Rises with each connection.
    pub connection: u64,
    /// The server regards the component as connected.
    pub up: bool,
    /// Everything vanishes.
    pub hole: bool,
    /// The server does not read until then; the pod is not sent anything until then.
    pub stalled: (Micros, Micros),
    pub out: Channel,
    pub into: Channel,
    /// Bytes written and not read yet.
    pub under_way: usize,
    wire: Decoder,
}

impl Link {
    pub(crate) fn new(_site: usize) -> Self {
        Self {
            connection: 0,
            up: false,
            hole: false,
            stalled: (0, 0),
            out: Channel::default(),
            into: Channel::default(),
            under_way: 0,
            wire: decoder(),
        }
    }
}

fn decoder() -> Decoder {
    let mut wire = Decoder::new(ns::COMPONENT, Limits::default());
    wire.feed(HEADER);
    while let Ok(Some(_)) = wire.next() {}
    wire
}

impl World {
    /// The handshake is done.
    pub(super) fn connect(&mut self, site: usize, number: u64) {
        let here = &mut self.sites[site];
        if here.running(number).is_none() || here.link.up {
            return;
        }
        here.link = Link { connection: here.link.connection + 1, up: true, ..Link::new(site) };
        let connection = here.link.connection;
        self.trace.line(self.now, || format!("site {site}: link {connection} is up"));
        self.component_back(site);
        self.input(site, Input::LinkUp);
    }

    /// The server's end is gone. What it has received it still processes, or not (RST).
    pub(super) fn drop_link(&mut self, site: usize) {
        let here = &mut self.sites[site];
        if !here.link.up {
            return;
        }
        let gone = here.link.hole || self.rng.percent(50);
        let here = &mut self.sites[site];
        here.link.up = false;
        here.link.into.clear();
        let under_way = here.link.out.clear();
        self.trace.line(self.now, || format!("site {site}: link is GONE, {} stanzas under way", under_way.len()));
        if !gone {
            for parcel in under_way {
                self.route(site, parcel);
            }
        }
    }

    /// A cut: the pod hears of it, and connects again after a while.
    pub(super) fn cut(&mut self, site: usize) {
        self.drop_link(site);
        self.disturb(site, None);
        self.sites[site].troubles.push(self.now);
        let (hear, connection) = (self.rng.range(0, 50) * MS, self.sites[site].link.connection);
        if let Some(process) = &self.sites[site].process {
            let number = process.number;
            self.after(hear, Event::LinkDown(site, number, connection));
        }
    }

    pub(super) fn cut_connection(&mut self, site: usize, connection: u64) {
        if self.sites[site].link.connection == connection && self.sites[site].link.up {
            self.cut(site);
        }
    }

    pub(super) fn link_down(&mut self, site: usize, number: u64, connection: u64) {
        let here = &mut self.sites[site];
        if here.running(number).is_none() || here.link.connection != connection {
            return;
        }
        if here.paused > self.now {
            return self.queue.push(here.paused, Event::LinkDown(site, number, connection));
        }
        self.input(site, Input::LinkDown);
        let wait = self.rng.range(100, [1000, 15_000][self.rng.clone().index(2)]) * MS;
        self.after(wait, Event::Connect(site, number));
    }

    /// The pod writes.
    pub(super) fn pump(&mut self, site: usize, number: u64) {
        let now = self.clock(site);
        let here = &mut self.sites[site];
        let paused = here.paused;
        let full = here.link.up && here.link.under_way >= BUFFER;
        let Some(process) = here.running(number) else { return };
        if paused > self.now {
            return self.queue.push(paused, Event::Pump(site, number));
        }
        process.pumping = false;
        if full || !process.pod.ready() {
            // What is read next makes room.
            return;
        }
        let mut bytes = Vec::new();
        let max = usize::try_from(self.rng.range(500, 8000)).unwrap_or(4096);
        process.pod.write(&mut bytes, max, now);
        self.trace.bytes(&bytes);
        let alive = self.written(site, &bytes);
        if alive {
            self.settle(site);
        }
    }

    fn written(&mut self, site: usize, bytes: &[u8]) -> bool {
        let here = &mut self.sites[site];
        if !here.link.up {
            // Into a socket whose other end is gone.
            return self.step(site, Step::Send);
        }
        here.link.wire.feed(bytes);
        loop {
            match self.sites[site].link.wire.next() {
                Ok(Some(Read::Stanza(stanza))) => {
                    let place = self.wrote(site, &stanza);
                    let stalled = self.sites[site].link.stalled.0;
                    let at = (self.now + self.rng.range(100, 1000)).max(stalled);
                    self.trace.line(self.now, || format!("site {site} writes {}", show(&stanza)));
                    let link = &mut self.sites[site].link;
                    link.under_way += 100 + stanza.content.bytes().len();
                    let at = link.out.push(at, Parcel { stanza, place });
                    self.queue.push(at, Event::Wake(Line::Out(site)));
                }
                Ok(Some(other)) => self.history.broken.push(format!("site {site} wrote {other:?}")),
                Ok(None) => break,
                Err(fault) => {
                    self.history.broken.push(format!("site {site} wrote what nobody can read: {fault:?}"));
                    break;
                }
            }
        }
        self.step(site, Step::Send)
    }

    pub(super) fn arrive_at_server(&mut self, site: usize) {
        let (now, link) = (self.now, &mut self.sites[site].link);
        if link.stalled.0 > now {
            return self.queue.push(link.stalled.0, Event::Wake(Line::Out(site)));
        }
        let Some(parcel) = link.out.pop(now) else { return };
        let was_full = link.under_way >= BUFFER;
        link.under_way = link.under_way.saturating_sub(100 + parcel.stanza.content.bytes().len());
        if !link.hole {
            self.route(site, parcel);
        }
        if was_full {
            self.settle(site);
        }
    }

    /// A stanza for the component, at its server.
    pub(super) fn for_component(&mut self, site: usize, parcel: Parcel) {
        if !self.sites[site].link.up {
            return self.component_away(site, &parcel);
        }
        let stalled = self.sites[site].link.stalled.1;
        let at = (self.now + self.rng.range(100, 1000)).max(stalled);
        let at = self.sites[site].link.into.push(at, parcel);
        self.queue.push(at, Event::Wake(Line::In(site)));
    }

    pub(super) fn arrive_at_pod(&mut self, site: usize) {
        let now = self.now;
        let here = &mut self.sites[site];
        let blocked = here.link.stalled.1.max(here.paused);
        if blocked > now && here.link.up {
            return self.queue.push(blocked, Event::Wake(Line::In(site)));
        }
        let Some(Parcel { stanza, .. }) = here.link.into.pop(now) else { return };
        if here.link.hole || here.process.is_none() {
            return;
        }
        self.trace.line(now, || format!("site {site} reads  {}", show(&stanza)));
        let head = &stanza.head;
        if head.kind == Kind::Iq
            && (is_type(&stanza, "result") || is_type(&stanza, "error"))
            && head.id.as_deref().is_some_and(|id| id.starts_with("ping"))
        {
            if !self.step(site, Step::Evidence) {
                return;
            }
            if self.sites[site].paused > now {
                // It stands still with this in its hands.
                let number = self.sites[site].process.as_ref().map_or(0, |process| process.number);
                let at = self.sites[site].paused;
                return self.queue.push(at, Event::Input(site, number, Box::new(Input::Stanza(stanza))));
            }
            self.answered_ping(site, &stanza);
        } else if head.kind == Kind::Message && is_type(&stanza, "groupchat") {
            self.arrived(site, &stanza);
        }
        self.input(site, Input::Stanza(stanza));
    }

    /// A user's message reached the pod.
    fn arrived(&mut self, site: usize, stanza: &warren_xmpp::Stanza) {
        let from_room = stanza.head.from.as_ref().and_then(Domain::of).is_some_and(Domain::is_component);
        let Some(token) = stanza.head.id.as_deref().and_then(token).filter(|_| !from_room) else { return };
        self.arrivals += 1;
        let arrival = Arrival { order: self.arrivals, at: self.now, settled: false };
        if let Some(said) = self.said(token).filter(|said| said.site == site) {
            said.arrivals.push(arrival);
        }
    }

    /// Looks at what the pod wrote: pings are counted, refusals noted. Returns its place on its path.
    fn wrote(&mut self, site: usize, stanza: &warren_xmpp::Stanza) -> u64 {
        let head = &stanza.head;
        let to_user = head.to.as_ref().and_then(Domain::of).is_some_and(|to| !to.is_component());
        if head.kind == Kind::Message
            && is_type(stanza, "error")
            && to_user
            && let Some(token) = head.id.as_deref().and_then(token)
            && let Some(said) = self.said(token)
        {
            said.refused += 1;
        }
        let Some(to) = head.to.as_ref().and_then(Domain::of) else {
            self.history.broken.push(format!("site {site} wrote to nobody: {}", show(stanza)));
            return 0;
        };
        let (connection, ping) = (self.sites[site].link.connection, is_path_ping(stanza));
        let ledger = self.ledgers.entry((site, to)).or_default();
        ledger.wrote(ping.then(|| head.id.clone()).flatten(), connection)
    }

    /// The link stands still in one direction.
    pub(super) fn stall_link(&mut self, site: usize, out: bool) {
        let until = self.now + self.rng.range(1, 15) * SEC;
        let stalled = &mut self.sites[site].link.stalled;
        if out {
            stalled.0 = until;
        } else {
            stalled.1 = until;
        }
        self.disturb(site, None);
    }
}

/// A stanza in one line.
pub(super) fn show(stanza: &warren_xmpp::Stanza) -> String {
    let head = &stanza.head;
    let part = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let children = String::from_utf8_lossy(stanza.content.bytes()).into_owned();
    let children: String = children.replace("http://jabber.org/protocol/", "").chars().take(260).collect();
    format!(
        "{} {} {} -> {} id={} {children}",
        head.kind.as_str(),
        part(head.type_.as_deref()),
        part(head.from.as_ref().map(jid::Jid::as_str)),
        part(head.to.as_ref().map(jid::Jid::as_str)),
        part(head.id.as_deref()),
    )
}
