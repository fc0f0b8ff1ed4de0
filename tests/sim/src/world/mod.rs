//! The world: two sites, three servers, users; one queue of events in virtual time, one source of chance.

mod act;
mod client;
mod declare;
mod end;
mod ending;
mod fire;
mod ledger;
mod link;
mod member;
mod mesh;
mod moves;
mod process;
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
use crate::names::{Domain, MS, Micros, Place, SEC, SITES};
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
            // Beats go on when nothing happens.
            self.events += u64::from(!event.is_beat());
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
            for at in Place::of(site) {
                // Not all at once, and any of them first.
                let wait = if site == 0 { self.rng.range(0, 1500) * MS } else { 0 };
                self.after(wait, Event::Start(at));
            }
            if self.sites[site].is_shared() {
                self.dial(site);
            }
        }
        for user in 0..self.plan.users.len() {
            let at = self.rng.range(500_000, 6_000_000);
            self.after(at, Event::Respawn(user));
        }
        if let Some((site, at)) = self.plan.tail {
            self.queue.push(at, Event::LoseTail(site));
            self.after(1_000_000, Event::Snapshot(site));
        }
        if let Some(begin) = self.plan.rolling {
            let mut at = begin;
            for place in Place::of(0) {
                self.queue.push(at, Event::Terminate(place));
                at += self.rng.range(4, 12) * SEC;
            }
        }
        self.queue.push(self.plan.end, Event::EndOfFaults);
        self.plan_the_end();
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake(line) => self.wake(line),
            Event::Tick(pid) => self.tick(pid),
            Event::Pump(pid) => self.pump(pid),
            Event::Store(pid, what) => self.store_event(pid, what),
            Event::Orphan(site, tx, done) => self.orphan(site, tx, done),
            Event::Read(pid, what) => self.read(pid, what),
            Event::Input(pid, input) => self.late_input(pid, *input),
            Event::Start(at) => self.start(at),
            Event::Connect(pid) => self.connect(pid),
            Event::LinkDown(pid, connection) => self.link_down(pid, connection),
            Event::Cut(at, connection) => self.cut_connection(at, connection),
            Event::Member(pid) => self.wake_member(pid),
            Event::Drain(pid) => self.drain(pid),
            Event::Terminate(at) => self.terminate(at),
            Event::Kill(pid) => self.kill(pid),
            Event::Leave(pid, patience) => self.leave(pid, patience),
            Event::Dial(site) => self.dial(site),
            Event::Session(site, number, end) => self.session_event(site, number, end),
            Event::EndSession(site, number) => self.cut_session(site, number, false),
            Event::Call(pid, other, incarnation) => self.call(pid, other, incarnation),
            Event::Ask(pid, me, ask) => self.asked(pid, me, ask),
            Event::Told(pid, told) => self.told(pid, told),
            Event::Handshake(from, to, life) => self.handshake(from, to, life),
            Event::ResetWire(a, b, resend) => self.reset_streams(a, b, resend),
            Event::Crash(at) => self.crash_if_up(at),
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
            Line::Out(at) => self.arrive_at_server(at),
            Line::In(at) => self.arrive_at_pod(at),
            Line::S2s(from, to) => self.arrive_over_s2s(from, to),
            Line::Up(client) => self.arrive_from_client(client),
            Line::Down(client) => self.arrive_at_client(client),
        }
    }

    fn after(&mut self, wait: Micros, event: Event) {
        self.queue.push(self.now + wait, event);
    }

    /// Time as the processes of a pod know it.
    fn clock(&self, at: Place) -> Now {
        let off = self.sites[at.site].pods[at.pod].wall;
        let wall = BEGIN.saturating_add(self.now / 1000).saturating_add_signed(off);
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
