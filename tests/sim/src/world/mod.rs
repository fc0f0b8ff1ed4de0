//! The world: two sites, three servers, users; one queue of events in virtual time, one source of chance.

mod act;
mod client;
mod end;
mod fire;
mod ledger;
mod link;
mod queue;
mod s2s;
mod server;
mod site;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use warren_model::{Now, UnixMs};
use warren_pod::Request;
use warren_xmpp::Stanza;

use crate::breakage::Breakage;
use crate::fault::{Armed, Tally};
use crate::history::{History, Token};
use crate::names::{Domain, Micros, SITES};
use crate::plan::Plan;
use crate::rng::Rng;
use crate::trace::Trace;
use client::Client;
use ledger::Ledger;
use queue::{Event, Line, Queue};
use s2s::{Stream, Wires};
use site::Site;

/// The first moment: 2026-11-20T12:00:00Z, in milliseconds.
const BEGIN: u64 = 1_795_176_000_000;
/// More events than any run needs: it would not end.
const MANY: u64 = 2_000_000;

/// A stanza on its way.
#[derive(Clone, Debug)]
struct Parcel {
    stanza: Stanza,
    /// Its place among what its component wrote to that domain.
    place: u64,
}

impl Parcel {
    fn of(stanza: Stanza) -> Self {
        Self { stanza, place: 0 }
    }
}

/// Everything.
pub struct World {
    plan: Plan,
    breakage: Option<Breakage>,
    now: Micros,
    rng: Rng,
    queue: Queue,
    sites: [Site; SITES],
    wires: Wires,
    streams: BTreeMap<(Domain, Domain), Stream>,
    ledgers: BTreeMap<(usize, Domain), Ledger>,
    clients: Vec<Client>,
    /// What could be seen.
    pub history: History,
    arrivals: u64,
    armed: Vec<Armed>,
    faults_on: bool,
    /// Paths from a site to users to which something has happened.
    disturbed: BTreeSet<(usize, Domain)>,
    /// Paths on which a server has overtaken its own queue.
    reordered: BTreeSet<(usize, Domain)>,
    requests: Vec<Request>,
    /// What happened.
    pub trace: Trace,
    /// Which faults came.
    pub tally: Tally,
    /// How many events there were.
    pub events: u64,
}

impl World {
    /// At its first moment.
    pub fn new(plan: Plan, breakage: Option<Breakage>, trace: Trace) -> Self {
        let rng = Rng::new(plan.seed);
        let armed = plan.faults.clone();
        Self {
            breakage,
            now: 0,
            rng,
            queue: Queue::default(),
            sites: [Site::new(0), Site::new(1)],
            wires: Wires::default(),
            streams: BTreeMap::new(),
            ledgers: BTreeMap::new(),
            clients: Vec::new(),
            history: History::default(),
            arrivals: 0,
            armed,
            faults_on: true,
            disturbed: BTreeSet::new(),
            reordered: BTreeSet::new(),
            requests: Vec::new(),
            trace,
            tally: Tally::default(),
            events: 0,
            plan,
        }
    }

    /// Lets everything happen; afterwards the history says what did.
    pub fn run(&mut self) {
        self.begin();
        let end = self.end_of_time();
        while let Some((at, event)) = self.queue.pop() {
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            self.events += 1;
            if self.events > MANY {
                self.history.broken.push("it does not end".to_owned());
                break;
            }
            self.trace.mix(at);
            self.happen(event);
            if !self.history.broken.is_empty() {
                break;
            }
        }
        self.conclude();
    }

    fn begin(&mut self) {
        for site in 0..SITES {
            self.declare(site);
            self.start(site);
        }
        for user in 0..self.plan.users.len() {
            let at = self.rng.range(500_000, 6_000_000);
            self.after(at, Event::Respawn(user));
        }
        if let Some((site, at)) = self.plan.tail {
            self.queue.push(at, Event::LoseTail(site));
            self.after(1_000_000, Event::Snapshot(site));
        }
        self.queue.push(self.plan.end, Event::EndOfFaults);
        self.plan_the_end();
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake(line) => self.wake(line),
            Event::Tick(site, process) => self.tick(site, process),
            Event::Pump(site, process) => self.pump(site, process),
            Event::Store(site, process, what) => self.store_event(site, process, what),
            Event::Read(site, process, what) => self.read(site, process, what),
            Event::Input(site, process, input) => self.late_input(site, process, *input),
            Event::Start(site) => self.start(site),
            Event::Connect(site, process) => self.connect(site, process),
            Event::LinkDown(site, process, connection) => self.link_down(site, process, connection),
            Event::Cut(site, connection) => self.cut_connection(site, connection),
            Event::Handshake(from, to, life) => self.handshake(from, to, life),
            Event::ResetWire(a, b, resend) => self.reset_streams(a, b, resend),
            Event::Crash(site) => self.crash_if_up(site),
            Event::Snapshot(site) => self.snapshot(site),
            Event::LoseTail(site) => self.lose_tail(site),
            Event::Act(client) => self.act(client),
            Event::Respawn(user) => self.respawn(user),
            Event::Awake(client) => self.awake(client),
            Event::EndOfFaults => self.end_of_faults(),
            Event::Gather => self.gather(),
            Event::LastWords => self.last_words(),
        }
    }

    fn wake(&mut self, line: Line) {
        match line {
            Line::Out(site) => self.arrive_at_server(site),
            Line::In(site) => self.arrive_at_pod(site),
            Line::S2s(from, to) => self.arrive_over_s2s(from, to),
            Line::Up(client) => self.arrive_from_client(client),
            Line::Down(client) => self.arrive_at_client(client),
        }
    }

    fn after(&mut self, wait: Micros, event: Event) {
        self.queue.push(self.now + wait, event);
    }

    /// Time as the processes of a site know it.
    fn clock(&self, site: usize) -> Now {
        let wall = BEGIN.saturating_add(self.now / 1000).saturating_add_signed(self.sites[site].wall);
        Now { mono: Duration::from_micros(self.now), wall: UnixMs(wall) }
    }

    /// Something happened to the way between a site and users.
    fn disturb(&mut self, site: usize, domain: Option<Domain>) {
        for users in [Domain::Wonderland, Domain::Denmark, Domain::Glass] {
            if domain.is_none_or(|domain| domain == users) {
                self.disturbed.insert((site, users));
            }
        }
    }

    fn client_of(&self, jid: &jid::Jid) -> Option<usize> {
        self.clients.iter().rposition(|client| client.jid == *jid)
    }

    fn said(&mut self, token: Token) -> Option<&mut crate::history::Said> {
        self.history.said.get_mut(token)
    }
}
