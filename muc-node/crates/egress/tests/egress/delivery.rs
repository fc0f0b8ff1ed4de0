//! Random histories of rows, losses, answers, reconnects and crashes against a simple reference: what
//! each client has really read.
//!
//! The network loses everything for a while, or only what comes back, or bounces all. It keeps to
//! what a chain of pings can see: whoever swallows rows also swallows a ping (`servers.md` 5: what is
//! lost with every ping answered stays lost).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jid::BareJid;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use warren_egress::{Breakage, Egress, Event, Outward, Settings};
use warren_model::{Batch, Lane, Path, RoomId, Seq};
use warren_xmpp::cast::{Cast, GroupChange, Member, PathState, ReplayMark, SessionId};

use crate::world::{OURS, World, broken, cast, member, room, settings};

const DOMAINS: [&str; 2] = ["x.lit", "y.lit"];
const ROOMS: u64 = 2;

#[derive(Clone, Debug)]
enum Op {
    Row(u64),
    Join(u64, usize),
    Write(usize),
    Carry,
    Inbound(usize),
    Step,
    Wait(u64),
    Net(usize, Net),
    Link(bool),
    Beat,
    Crash,
    Reload(u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Net {
    Pass,
    /// Nothing arrives.
    Hole,
    /// No answer arrives.
    HoleBack,
    /// Everything is bounced.
    Refuse,
}

fn op() -> impl Strategy<Value = Op> {
    let domain = 0..DOMAINS.len();
    let net = prop_oneof![5 => Just(Net::Pass), 2 => Just(Net::Hole), 1 => Just(Net::HoleBack), 1 => Just(Net::Refuse)];
    prop_oneof![
        16 => (1..=ROOMS).prop_map(Op::Row),
        2 => (1..=ROOMS, domain.clone()).prop_map(|(n, domain)| Op::Join(n, domain)),
        16 => (1..2000_usize).prop_map(Op::Write),
        16 => Just(Op::Carry),
        16 => domain.clone().prop_map(Op::Inbound),
        12 => Just(Op::Step),
        12 => (1..3_000_u64).prop_map(Op::Wait),
        1 => (20_000..90_000_u64).prop_map(Op::Wait),
        5 => (domain, net).prop_map(|(domain, net)| Op::Net(domain, net)),
        2 => prop::bool::weighted(0.8).prop_map(Op::Link),
        6 => Just(Op::Beat),
        1 => Just(Op::Crash),
        1 => (1..=ROOMS).prop_map(Op::Reload),
    ]
}

/// A far end.
#[derive(Debug)]
struct End {
    net: Net,
    /// Rows were swallowed and no ping yet: it cannot pass again before it has swallowed one.
    owes_ping: bool,
    wants: Option<Net>,
    /// What comes back, in order.
    inbound: VecDeque<String>,
}

struct Sim {
    world: World,
    settings: Settings,
    link: bool,
    lane: u64,
    batch: u64,
    /// (room, seq) in order of release, with lane and batch.
    log: Vec<(u64, u64, Lane, Batch)>,
    heads: BTreeMap<u64, u64>,
    members: BTreeMap<u64, Vec<Member>>,
    /// Running replays: next row; `None` before `Start`.
    jobs: BTreeMap<(u64, usize), (u64, bool)>,
    starts: BTreeMap<(u64, String), usize>,
    wire: Vec<u8>,
    ends: Vec<End>,
    read: BTreeSet<(String, u64, u64)>,
    last_written: BTreeMap<(String, u64), u64>,
    steps_back: BTreeMap<(u64, String), BTreeMap<String, usize>>,
    stored: BTreeMap<(Lane, String), Batch>,
    sessions: u32,
}

impl Sim {
    fn new(settings: Settings) -> Self {
        let end = || End { net: Net::Pass, owes_ping: false, wants: None, inbound: VecDeque::new() };
        let mut sim = Self {
            world: World::new(settings.clone()),
            settings,
            link: true,
            lane: 1,
            batch: 0,
            log: Vec::new(),
            heads: BTreeMap::new(),
            members: BTreeMap::new(),
            jobs: BTreeMap::new(),
            starts: BTreeMap::new(),
            wire: Vec::new(),
            ends: DOMAINS.iter().map(|_| end()).collect(),
            read: BTreeSet::new(),
            last_written: BTreeMap::new(),
            steps_back: BTreeMap::new(),
            stored: BTreeMap::new(),
            sessions: 0,
        };
        sim.world.egress.link_up(sim.world.now);
        for n in 1..=ROOMS {
            for domain in 0..DOMAINS.len() {
                sim.join(n, domain);
            }
        }
        sim
    }

    fn release(&mut self, n: u64, out: Outward) {
        let at = Some((Lane(self.lane), Batch(self.batch)));
        self.world.egress.release(RoomId(n), &room(n), at, out, self.world.now);
    }

    /// A new row; paths with a running replay get it from that.
    fn row(&mut self, n: u64) -> u64 {
        let head = self.heads.entry(n).or_default();
        *head += 1;
        let seq = *head;
        self.batch += 1;
        self.log.push((n, seq, Lane(self.lane), Batch(self.batch)));
        let running = self.jobs.iter().filter(|((room, _), (_, started))| *room == n && *started);
        let except = running.map(|((_, domain), _)| DOMAINS[*domain].into()).collect();
        self.release(n, Outward::Cast(Cast { except, ..cast(n, Some(seq)) }.into()));
        seq
    }

    fn join(&mut self, n: u64, domain: usize) {
        let seq = self.row(n);
        self.sessions += 1;
        let member = member(self.sessions, DOMAINS[domain], seq);
        self.members.entry(n).or_default().push(member.clone());
        let change = GroupChange::Put(member);
        self.release(n, Outward::Group { remote: DOMAINS[domain].into(), version: Seq(seq), change });
        if !self.jobs.get(&(n, domain)).is_some_and(|(_, started)| *started) {
            self.welcome(n, domain, seq);
        }
    }

    /// What the one gets who joined with this row, if it was somebody from there.
    fn welcome(&mut self, n: u64, domain: usize, seq: u64) {
        let joined = |member: &&Member| member.join_seq.0 == seq && member.jid.domain().as_str() == DOMAINS[domain];
        if let Some(to) = self.members.get(&n).and_then(|all| all.iter().find(joined)).map(|member| member.jid.clone())
        {
            let bytes = format!("<presence from='{}' to='{to}' id='{n}/{seq}'/>", room(n)).into();
            self.release(n, Outward::Send { to, bytes, seq: Some(Seq(seq)) });
        }
    }

    /// Rooms go on with their replays, a row at a time, all that have one.
    fn step(&mut self) {
        for ((n, domain), (next, started)) in std::mem::take(&mut self.jobs) {
            let remote = DOMAINS[domain];
            let mark = |mark| Outward::Replay { remote: remote.into(), mark };
            if !started {
                *self.starts.entry((n, remote.into())).or_default() += 1;
                self.release(n, mark(ReplayMark::Start));
            }
            if next > self.heads[&n] {
                self.release(n, mark(ReplayMark::End));
                continue;
            }
            self.release(n, Outward::Cast(Cast { only: Some(remote.into()), ..cast(n, Some(next)) }.into()));
            self.welcome(n, domain, next);
            self.jobs.insert((n, domain), (next + 1, true));
        }
    }

    fn events(&mut self) {
        while let Some(event) = self.world.egress.poll() {
            if let Event::Replay { path, rooms } = event {
                let domain = DOMAINS.iter().position(|domain| **domain == *path.remote).unwrap();
                for (id, _, after) in rooms {
                    self.jobs.insert((id.0, domain), (after.0 + 1, false));
                }
            }
        }
    }

    /// The wire reaches the network.
    fn carry(&mut self) -> Result<(), String> {
        let bytes = std::mem::take(&mut self.wire);
        let lines = self.world.read(&bytes);
        let mut pings: VecDeque<_> = std::mem::take(&mut self.world.pings).into();
        for line in lines {
            let (to, id) = line.split_once(' ').unwrap();
            if to == "ping" {
                let (ping, _) = pings.pop_front().unwrap();
                self.pinged(id, &ping);
                continue;
            }
            let (local, domain) = to.split_once('@').unwrap();
            let domain = domain.trim_end_matches("/r");
            let Some((n, seq)) = id.split_once('/').and_then(|(n, seq)| Some((n.parse().ok()?, seq.parse().ok()?)))
            else {
                continue;
            };
            self.in_order(local, domain, n, seq)?;
            let end = self.end(domain);
            match end.net {
                Net::Pass | Net::HoleBack => {
                    self.read.insert((local.into(), n, seq));
                }
                Net::Hole => end.owes_ping = true,
                Net::Refuse => end.inbound.push_back(format!(
                    "<message type='error' from='{to}' to='{}' id='{id}'><error type='wait'>\
                     <remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
                    room(n)
                )),
            }
        }
        Ok(())
    }

    fn end(&mut self, domain: &str) -> &mut End {
        let at = DOMAINS.iter().position(|other| *other == domain).unwrap();
        &mut self.ends[at]
    }

    fn pinged(&mut self, domain: &str, id: &str) {
        let end = self.end(domain);
        match end.net {
            Net::Pass => {
                end.inbound.push_back(format!("<iq type='result' from='{domain}' to='{OURS}' id='{id}'/>"));
            }
            Net::Refuse => end.inbound.push_back(format!(
                "<iq type='error' from='{domain}' to='{OURS}' id='{id}'><error type='wait'>\
                 <remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
            )),
            Net::Hole | Net::HoleBack => {
                end.owes_ping = false;
                if let Some(net) = end.wants.take() {
                    end.net = net;
                }
            }
        }
    }

    /// What is written for one member goes back only where a replay began.
    fn in_order(&mut self, local: &str, domain: &str, n: u64, seq: u64) -> Result<(), String> {
        let last = self.last_written.entry((local.into(), n)).or_default();
        if seq <= *last {
            let key = (n, domain.to_owned());
            let back = self.steps_back.entry(key.clone()).or_default().entry(local.into()).or_default();
            *back += 1;
            if *back > self.starts.get(&key).copied().unwrap_or_default() {
                return Err(format!("{local} gets row {n}/{seq} after {last} without a replay"));
            }
        }
        *last = seq;
        Ok(())
    }

    fn net(&mut self, domain: usize, net: Net) {
        let end = &mut self.ends[domain];
        if end.owes_ping {
            end.wants = Some(net);
        } else {
            end.wants = None;
            end.net = net;
        }
    }

    fn inbound(&mut self, domain: usize) {
        if !self.link {
            return;
        }
        if let Some(xml) = self.ends[domain].inbound.pop_front() {
            let stanza = warren_xmpp::Stanza::parse(xml.as_bytes()).unwrap();
            let _ = self.world.egress.stanza(&stanza, self.world.now);
        }
    }

    fn link(&mut self, up: bool) {
        if up == self.link {
            return;
        }
        self.link = up;
        if up {
            self.world.egress.link_up(self.world.now);
        } else {
            self.wire.clear();
            self.world.egress.link_down(self.world.now);
        }
    }

    fn write(&mut self, max: usize) {
        self.world.egress.write(&mut self.wire, max, self.world.now);
    }

    /// Watermarks may only speak of rows that were read.
    fn beat(&mut self) -> Result<(), String> {
        for (lane, path, batch) in self.world.egress.watermarks(&[(Lane(self.lane), Batch(self.batch))]) {
            let stored = self.stored.entry((lane, path.remote.to_string())).or_default();
            if *stored >= batch {
                return Err(format!("the watermark of lane {lane}, {path} goes from {stored} to {batch}"));
            }
            *stored = batch;
            for (n, seq, _, _) in self.log.iter().filter(|(_, _, other, at)| *other == lane && *at <= batch) {
                self.has_read(&path.remote, *n, *seq).map_err(|who| {
                    format!("lane {lane}, {path}: watermark {batch} covers row {n}/{seq}, {who} has not read it")
                })?;
            }
        }
        Ok(())
    }

    fn has_read(&self, domain: &str, n: u64, seq: u64) -> Result<(), String> {
        for member in &self.members[&n] {
            let local = member.jid.node().unwrap().as_str();
            if member.jid.domain().as_str() == domain
                && member.join_seq.0 <= seq
                && !self.read.contains(&(local.into(), n, seq))
            {
                return Err(local.into());
            }
        }
        Ok(())
    }

    /// The process dies and another one reads the store.
    fn crash(&mut self) {
        self.wire.clear();
        let old: BTreeMap<Lane, Batch> = self.log.iter().map(|(_, _, lane, batch)| (*lane, *batch)).collect();
        self.lane += 1;
        self.batch = 0;
        self.jobs.clear();
        self.settings.incarnation = self.lane;
        let now = self.world.now;
        self.world.egress = Egress::new([OURS.into()], self.settings.clone());
        for domain in DOMAINS {
            let mut missing: BTreeMap<u64, u64> = BTreeMap::new();
            for (n, seq, lane, batch) in &self.log {
                let watermark = self.stored.get(&(*lane, domain.to_owned())).copied().unwrap_or_default();
                if *batch > watermark {
                    let first = missing.entry(*n).or_insert(*seq);
                    *first = (*first).min(*seq);
                }
            }
            let missing: Vec<(RoomId, BareJid, Seq)> =
                missing.into_iter().map(|(n, seq)| (RoomId(n), room(n), Seq(seq))).collect();
            // Lanes that are done are not in the store any more.
            let open = |lane: &Lane, last: &Batch| {
                self.stored.get(&(*lane, domain.to_owned())).copied().unwrap_or_default() < *last
            };
            let old = old.iter().filter(|(lane, last)| open(lane, last)).map(|(lane, last)| (*lane, *last)).collect();
            self.world.egress.restore(&Path::new(OURS, domain), missing, old, now);
        }
        for n in 1..=ROOMS {
            self.load(n);
        }
        if self.link {
            self.world.egress.link_up(now);
        }
    }

    /// A room is dropped and loaded again: replays that have begun are forgotten.
    fn reload(&mut self, n: u64) {
        self.jobs.retain(|(room, _), (_, started)| *room != n || !*started);
        self.load(n);
    }

    fn load(&mut self, n: u64) {
        for domain in DOMAINS {
            let mut of_domain = Vec::new();
            for member in self.members.entry(n).or_default() {
                if member.jid.domain().as_str() == domain {
                    self.sessions += 1;
                    // The number within the room changes, the address does not.
                    member.session = SessionId(self.sessions);
                    of_domain.push(member.clone());
                }
            }
            let (version, change) = (Seq(self.heads[&n]), GroupChange::Reset(of_domain));
            self.release(n, Outward::Group { remote: domain.into(), version, change });
        }
    }

    fn run(&mut self, op: &Op) -> Result<(), String> {
        match op {
            Op::Row(n) => {
                self.row(*n);
            }
            Op::Join(n, domain) => self.join(*n, *domain),
            Op::Write(max) => self.write(*max),
            Op::Carry => self.carry_whole()?,
            Op::Inbound(domain) => self.inbound(*domain),
            Op::Step => self.step(),
            Op::Wait(ms) => self.world.wait(*ms),
            Op::Net(domain, net) => self.net(*domain, *net),
            Op::Link(up) => self.link(*up),
            Op::Beat => self.beat()?,
            Op::Crash => self.crash(),
            Op::Reload(n) => self.reload(*n),
        }
        self.events();
        Ok(())
    }

    /// A send may be cut: only whole stanzas are carried.
    fn carry_whole(&mut self) -> Result<(), String> {
        while !self.world.egress.at_boundary() {
            self.write(100);
        }
        self.carry()
    }

    /// Everything works again: everybody must get everything, soon.
    fn heal(&mut self) -> Result<(), String> {
        self.link(true);
        for domain in 0..DOMAINS.len() {
            self.net(domain, Net::Pass);
        }
        for n in 1..=ROOMS {
            self.row(n);
        }
        for _ in 0..300 {
            self.world.wait(1_000);
            while self.world.egress.ready() {
                self.write(10_000);
            }
            self.carry_whole()?;
            for domain in 0..DOMAINS.len() {
                while !self.ends[domain].inbound.is_empty() {
                    self.inbound(domain);
                }
            }
            self.events();
            for _ in 0..3 {
                self.step();
            }
            self.beat()?;
        }
        for (n, seq, lane, batch) in &self.log {
            for domain in DOMAINS {
                self.has_read(domain, *n, *seq).map_err(|who| format!("{who} has never read row {n}/{seq}"))?;
                let told = self.stored.get(&(*lane, domain.to_owned())).copied().unwrap_or_default();
                if told < *batch {
                    return Err(format!("the watermark of lane {lane} stays at {told} for {domain}"));
                }
            }
        }
        for domain in DOMAINS {
            if self.world.state(domain) != PathState::Up {
                return Err(format!("{domain} is not Up"));
            }
        }
        Ok(())
    }
}

fn history(ops: &[Op], settings: Settings) -> Result<(), String> {
    let mut sim = Sim::new(settings);
    for op in ops {
        sim.run(op)?;
    }
    sim.heal()
}

/// Small budgets, so that they are met.
fn tight() -> Settings {
    Settings { path_budget: 5_000, link_budget: 8_000, quantum: 200, ..settings() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_with_a_row_is_lost(ops in prop::collection::vec(op(), 1..200)) {
        prop_assert_eq!(history(&ops, settings()), Ok(()));
    }

    #[test]
    fn nothing_is_lost_under_tight_budgets(ops in prop::collection::vec(op(), 1..200)) {
        prop_assert_eq!(history(&ops, tight()), Ok(()));
    }
}

/// How many histories it takes to find a breakage; `None` if 100 are not enough.
fn found(breakage: Breakage) -> Option<usize> {
    let mut runner = TestRunner::deterministic();
    let histories = prop::collection::vec(op(), 200);
    (1..=100).find(|_| {
        let ops = histories.new_tree(&mut runner).unwrap().current();
        // Without the invariants, which would see some of it too: the history alone must tell.
        history(&ops, Settings { check: false, ..broken(breakage) }).is_err()
    })
}

#[test]
fn breakages_are_found() {
    assert!(found(Breakage { watermark_moved_on_write: true, ..Breakage::default() }).is_some());
    assert!(found(Breakage { chain_ignored: true, ..Breakage::default() }).is_some());
    assert_eq!(found(Breakage::default()), None);
}
