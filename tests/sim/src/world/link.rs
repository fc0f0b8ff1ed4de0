//! The component link (XEP-0114) between the pods of a site and their server (`servers.md` 6). Of two that connect the
//! server keeps the later one, as Prosody does with `kick_old`.

use warren_pod::Input;
use warren_xmpp::{Decoder, Event as Read, Kind, Limits, ns};

use super::queue::{Channel, Event, Line, Pid};
use super::site::{Ending, Process};
use super::{Parcel, World};
use crate::fault::Step;
use crate::history::Arrival;
use crate::names::{Domain, MS, Micros, Place, SEC};
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

impl Default for Link {
    fn default() -> Self {
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
    pub(super) fn connect(&mut self, pid: Pid) {
        let at = pid.at;
        let wanted = |process: &mut Process| process.pod.has_link() && process.ending == Ending::No;
        if !self.running(pid).is_some_and(wanted) || self.slot(at).link.up {
            return;
        }
        if let Some(until) = self.paused(at) {
            return self.queue.push(until, Event::Connect(pid));
        }
        if !self.acts(pid) {
            return self.after(SEC / 4, Event::Connect(pid));
        }
        if !self.owns_link(pid) {
            self.history.broken.push(format!("{at} takes the link, which is another one's"));
        }
        // Whoever is the component already is thrown out.
        if let Some(pod) = self.sites[at.site].component() {
            self.cut(Place { pod, ..at });
        }
        // Also who has ended its stream, if the server has not read that far.
        for pod in 0..self.sites[at.site].pods.len() {
            if !self.sites[at.site].pods[pod].link.out.is_empty() {
                self.throw_out(Place { pod, ..at });
                self.trouble(at.site);
            }
        }
        let here = &mut self.sites[at.site];
        here.connections += 1;
        let connection = here.connections;
        here.pods[at.pod].link = Link { connection, up: true, ..Link::default() };
        self.trace.line(self.now, || format!("{at}: link {connection} is up"));
        self.component_back(at.site);
        self.input(at, Input::LinkUp);
    }

    /// The server's end is gone. What it has received it still processes, or not (RST).
    pub(super) fn drop_link(&mut self, at: Place) {
        if !self.slot(at).link.up {
            return;
        }
        self.slot(at).link.up = false;
        self.throw_out(at);
    }

    /// The server ends what it has of a connection.
    fn throw_out(&mut self, at: Place) {
        let gone = self.slot(at).link.hole || self.rng.percent(50);
        let link = &mut self.slot(at).link;
        link.into.clear();
        let under_way = link.out.clear();
        self.trace.line(self.now, || format!("{at}: link is GONE, {} stanzas under way", under_way.len()));
        if !gone {
            for parcel in under_way {
                self.route(at.site, parcel);
            }
        }
    }

    /// Whether the store says so. A pod that others were sure to be dead has not heard of it yet.
    fn owns_link(&mut self, pid: Pid) -> bool {
        let Some(me) = self.running(pid).filter(|process| process.member.is_some()).map(|p| p.incarnation) else {
            return true;
        };
        let site = pid.at.site;
        let owner = self.view(site).links.get(&super::member::link(site)).and_then(|(owner, _)| *owner);
        owner == Some(me) || self.sites[site].suspected.contains(&me)
    }

    /// The link is another one's.
    pub(super) fn close_link(&mut self, at: Place) {
        if self.end_stream(at) {
            self.input(at, Input::LinkDown);
        }
    }

    /// The pod ends its stream: what was sent before in either direction still arrives. False: there was none.
    pub(super) fn end_stream(&mut self, at: Place) -> bool {
        if !std::mem::replace(&mut self.slot(at).link.up, false) {
            return false;
        }
        self.trace.line(self.now, || format!("{at}: ends its stream"));
        self.trouble(at.site);
        self.disturb(at.site, None);
        true
    }

    /// A cut: the pod hears of it, and connects again after a while.
    pub(super) fn cut(&mut self, at: Place) {
        let was_up = self.slot(at).link.up;
        self.drop_link(at);
        self.disturb(at.site, None);
        self.trouble(at.site);
        let (hear, connection) = (self.rng.range(0, 50) * MS, self.slot(at).link.connection);
        if let Some(pid) = self.process(at).filter(|_| was_up).map(|process| process.pid) {
            self.after(hear, Event::LinkDown(pid, connection));
        }
    }

    pub(super) fn cut_connection(&mut self, at: Place, connection: u64) {
        let link = &self.slot(at).link;
        if link.connection == connection && link.up {
            self.cut(at);
        }
    }

    pub(super) fn link_down(&mut self, pid: Pid, connection: u64) {
        let at = pid.at;
        if self.running(pid).is_none() || self.slot(at).link.connection != connection {
            return;
        }
        if let Some(until) = self.paused(at) {
            return self.queue.push(until, Event::LinkDown(pid, connection));
        }
        self.input(at, Input::LinkDown);
        let wait = self.rng.range(100, [1000, 15_000][self.rng.clone().index(2)]) * MS;
        self.after(wait, Event::Connect(pid));
    }

    /// The pod writes.
    pub(super) fn pump(&mut self, pid: Pid) {
        let (at, now) = (pid.at, self.clock(pid.at));
        let max = usize::try_from(self.rng.range(500, 8000)).unwrap_or(4096);
        let paused = self.paused(at);
        let link = &self.slot(at).link;
        let full = link.up && link.under_way >= BUFFER;
        let Some(process) = self.running(pid) else { return };
        if let Some(until) = paused {
            return self.queue.push(until, Event::Pump(pid));
        }
        process.pumping = false;
        if full || !process.pod.ready() {
            // What is read next makes room.
            return;
        }
        let mut bytes = Vec::new();
        process.pod.write(&mut bytes, max, now);
        self.trace.bytes(&bytes);
        let alive = self.written(at, &bytes);
        if alive {
            self.settle(at);
        }
    }

    fn written(&mut self, at: Place, bytes: &[u8]) -> bool {
        let link = &mut self.slot(at).link;
        if !link.up {
            // Into a socket whose other end is gone.
            return self.step(at, Step::Send);
        }
        link.wire.feed(bytes);
        loop {
            match self.slot(at).link.wire.next() {
                Ok(Some(Read::Stanza(stanza))) => {
                    let place = self.wrote(at, &stanza);
                    let stalled = self.slot(at).link.stalled.0;
                    let due = (self.now + self.rng.range(100, 1000)).max(stalled);
                    self.trace.line(self.now, || format!("{at} writes {}", show(&stanza)));
                    let link = &mut self.slot(at).link;
                    link.under_way += 100 + stanza.content.bytes().len();
                    let due = link.out.push(due, Parcel { stanza, place });
                    self.queue.push(due, Event::Wake(Line::Out(at)));
                }
                Ok(Some(other)) => self.history.broken.push(format!("{at} wrote {other:?}")),
                Ok(None) => break,
                Err(fault) => {
                    self.history.broken.push(format!("{at} wrote what nobody can read: {fault:?}"));
                    break;
                }
            }
        }
        self.step(at, Step::Send)
    }

    pub(super) fn arrive_at_server(&mut self, at: Place) {
        let now = self.now;
        let link = &mut self.slot(at).link;
        if link.stalled.0 > now {
            let until = link.stalled.0;
            return self.queue.push(until, Event::Wake(Line::Out(at)));
        }
        let Some(parcel) = link.out.pop(now) else { return };
        let was_full = link.under_way >= BUFFER;
        link.under_way = link.under_way.saturating_sub(100 + parcel.stanza.content.bytes().len());
        if !link.hole {
            self.route(at.site, parcel);
        }
        if was_full {
            self.settle(at);
        }
    }

    /// A stanza for the component, at its server.
    pub(super) fn for_component(&mut self, site: usize, parcel: Parcel) {
        let Some(pod) = self.sites[site].component() else { return self.component_away(site, &parcel) };
        let at = Place { site, pod };
        let due = self.now + self.rng.range(100, 1000);
        let link = &mut self.slot(at).link;
        let due = link.into.push(due.max(link.stalled.1), parcel);
        self.queue.push(due, Event::Wake(Line::In(at)));
    }

    pub(super) fn arrive_at_pod(&mut self, at: Place) {
        let now = self.now;
        let here = self.slot(at);
        let resting = here.process.as_ref().is_some_and(|process| matches!(process.ending, Ending::Resting(_)));
        let resting = if resting { now + 20 * MS } else { 0 };
        let blocked = here.link.stalled.1.max(here.paused).max(resting);
        if blocked > now && here.link.up {
            return self.queue.push(blocked, Event::Wake(Line::In(at)));
        }
        let Some(Parcel { stanza, .. }) = here.link.into.pop(now) else { return };
        if here.link.hole || here.process.is_none() {
            return;
        }
        self.trace.line(now, || format!("{at} reads  {}", show(&stanza)));
        let head = &stanza.head;
        if head.kind == Kind::Iq
            && (is_type(&stanza, "result") || is_type(&stanza, "error"))
            && head.id.as_deref().is_some_and(|id| id.starts_with("ping"))
        {
            if !self.step(at, Step::Evidence) {
                return;
            }
            if let (Some(until), Some(pid)) = (self.paused(at), self.process(at).map(|process| process.pid)) {
                // It stands still with this in its hands.
                return self.queue.push(until, Event::Input(pid, Box::new(Input::Stanza(stanza))));
            }
            self.answered_ping(at, &stanza);
        } else if head.kind == Kind::Message && is_type(&stanza, "groupchat") {
            self.arrived(at.site, &stanza);
        }
        self.input(at, Input::Stanza(stanza));
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
    fn wrote(&mut self, at: Place, stanza: &warren_xmpp::Stanza) -> u64 {
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
            self.history.broken.push(format!("{at} wrote to nobody: {}", show(stanza)));
            return 0;
        };
        let (connection, ping) = (self.slot(at).link.connection, is_path_ping(stanza));
        let ledger = self.ledgers.entry((at.site, to)).or_default();
        ledger.wrote(ping.then(|| head.id.clone()).flatten(), connection)
    }

    /// The link stands still in one direction.
    pub(super) fn stall_link(&mut self, at: Place, out: bool) {
        let until = self.now + self.rng.range(1, 15) * SEC;
        let stalled = &mut self.slot(at).link.stalled;
        if out {
            stalled.0 = until;
        } else {
            stalled.1 = until;
        }
        self.disturb(at.site, None);
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
