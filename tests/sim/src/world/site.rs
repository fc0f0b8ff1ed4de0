//! A site's process: how it starts, what it is told, what it asks for.

use std::collections::VecDeque;

use warren_model::config::ComponentConfig;
use warren_model::{
    Batch, Body, Epoch, FederationConfig, FlavourHint, Generation, History, Object, ObjectKind, ObjectName, Path,
    PeerConfig, PeerRooms, PeerTimers, RoomConfig, ServiceConfig, ServiceTimers, Ticket, Uplink, Vouch,
};
use warren_pod::{Input, Pod, Request, Settings, Stored};
use warren_shard::Epochs;
use warren_store::{Faulty, Incarnation, LaneQueue, Limits, Model, Ownership, Work};

use super::World;
use super::link::Link;
use super::queue::{Event, Wanted};
use super::store::Fate;
use crate::breakage::Breakage;
use crate::names::{Domain, MS, Micros, room};

/// One running process.
pub(crate) struct Process {
    pub number: u64,
    pub pod: Pod,
    pub own: Ownership,
    pub queue: LaneQueue,
    /// Last batch known to have happened.
    pub known: Batch,
    /// A commit is under way.
    pub busy: bool,
    pub trim: Option<Vec<Path>>,
    pub tick_at: Option<Micros>,
    pub pumping: bool,
}

/// One site with its store and its link.
pub(crate) struct Site {
    pub process: Option<Process>,
    pub store: Faulty,
    pub starts: u64,
    pub link: Link,
    /// What the wall clock is off, in milliseconds.
    pub wall: i64,
    /// The process stands still until then.
    pub paused: Micros,
    /// What happens to the next commits.
    pub fates: VecDeque<Fate>,
    /// The next commit takes so much longer to be decided, and to be answered.
    pub slow: (Micros, Micros),
    /// Epoch of the first start.
    pub first_epoch: Option<Epoch>,
    /// Earlier states of the store.
    pub snapshots: VecDeque<Model>,
    /// When something happened to process or link.
    pub troubles: Vec<Micros>,
}

impl Site {
    pub(crate) fn new(site: usize) -> Self {
        Self {
            process: None,
            store: Faulty::default(),
            starts: 0,
            link: Link::new(site),
            wall: 0,
            paused: 0,
            fates: VecDeque::new(),
            slow: (0, 0),
            first_epoch: None,
            snapshots: VecDeque::new(),
            troubles: Vec::new(),
        }
    }

    /// The process, if it is still that one.
    pub(crate) fn running(&mut self, number: u64) -> Option<&mut Process> {
        self.process.as_mut().filter(|process| process.number == number)
    }
}

fn object(kind: ObjectKind, name: &str, body: Body) -> Work {
    let object = Object {
        name: ObjectName { kind, namespace: "sim".to_owned(), name: name.to_owned() },
        uid: format!("{}/{name}", kind.as_str()),
        generation: Generation(1),
        digest: String::new(),
        body,
    };
    Work::Object { ticket: Ticket(0), object: Box::new(object) }
}

impl World {
    /// Puts the declarations of a site into its store, as an earlier process would have.
    pub(super) fn declare(&mut self, site: usize) {
        let peer = Domain::rooms(1 - site);
        let service = ServiceConfig {
            domain: Domain::rooms(site).name().into(),
            home_domains: [Domain::users(site).name().into()].into(),
            component: ComponentConfig { host: String::new(), port: 0, secret: String::new() },
            timers: ServiceTimers::default(),
        };
        let peer = PeerConfig {
            domain: peer.name().into(),
            vouch: Vouch::Any,
            rooms: PeerRooms::All,
            flavour: FlavourHint::Warren,
            timers: PeerTimers::default(),
            suspended: false,
        };
        let uplink = (site == 1).then(|| Uplink { room: room(0) });
        let config = RoomConfig {
            history: History { max_messages: 500, max_age: None },
            federation: Some(FederationConfig { uplink, ..FederationConfig::default() }),
            ..RoomConfig::default()
        };
        let objects = [
            object(ObjectKind::MucService, "service", Body::Service(service)),
            object(ObjectKind::FederationPeer, "peer", Body::Peer(peer)),
            object(ObjectKind::FederatedRoom, "room", Body::Room { jid: room(site), config, destroy_on_delete: false }),
        ];
        let mut model = Model::new();
        let own = model.take_over(Incarnation(0), self.clock(site).wall);
        if let Err(error) = model.commit(own.lane, &objects) {
            self.history.broken.push(format!("the declarations are not taken: {error}"));
        }
        self.sites[site].store = Faulty::new(model);
    }

    /// A new process on what is durable.
    pub(super) fn start(&mut self, site: usize) {
        if self.sites[site].process.is_some() {
            return;
        }
        let now = self.clock(site);
        let incarnation = (u128::from(self.rng.bits()) << 64) | u128::from(self.rng.bits());
        let here = &mut self.sites[site];
        here.starts += 1;
        here.paused = 0;
        let number = here.starts;
        let own = here.store.take_over(Incarnation(incarnation), now.wall);
        let first = *here.first_epoch.get_or_insert(own.epoch);
        let stored = match Stored::read(&mut here.store.durable().clone()) {
            Ok(stored) => stored,
            Err(error) => return self.history.broken.push(format!("the store cannot be read: {error}")),
        };
        let settings = Settings {
            epochs: Epochs::all(if self.breakage == Some(Breakage::EpochNotRaised) { first } else { own.epoch }),
            lane: own.lane,
            shard: warren_shard::Settings {
                check_invariants: true,
                breakage: Breakage::shard(self.breakage),
                ..warren_shard::Settings::default()
            },
            egress: warren_egress::Settings {
                incarnation: number,
                // Egress would notice this one itself, and the history checker is what is tried.
                check: self.breakage != Some(Breakage::WatermarkMovedOnWrite),
                breakage: Breakage::egress(self.breakage),
                ..warren_egress::Settings::default()
            },
        };
        let mut requests = Vec::new();
        let rng = &mut self.rng;
        let entropy = || {
            let mut bytes = [0; 48];
            bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&rng.bits().to_be_bytes()));
            bytes
        };
        let pod = Pod::new(Domain::rooms(site).name(), settings, stored, entropy, now, &mut requests);
        self.sites[site].process = Some(Process {
            number,
            pod,
            queue: LaneQueue::new(own.lane, own.batch, Limits::default()),
            known: own.batch,
            own,
            busy: false,
            trim: None,
            tick_at: None,
            pumping: false,
        });
        self.trace.line(self.now, || format!("site {site}: process {number} starts, epoch {}", own.epoch));
        self.carry_out(site, requests);
        self.settle(site);
        let wait = self.rng.range(20, 500) * MS;
        self.after(wait, Event::Connect(site, number));
    }

    /// One input of the running process.
    pub(super) fn input(&mut self, site: usize, input: Input) {
        let now = self.clock(site);
        let mut requests = std::mem::take(&mut self.requests);
        if let Some(process) = &mut self.sites[site].process {
            process.pod.handle(input, now, &mut requests);
        }
        self.carry_out(site, requests);
        self.settle(site);
    }

    fn carry_out(&mut self, site: usize, mut requests: Vec<Request>) {
        for request in requests.drain(..) {
            let Some(process) = &mut self.sites[site].process else { break };
            let number = process.number;
            match request {
                Request::Load(jid) => self.later_read(site, number, Wanted::Room(jid)),
                Request::Page { room, read, after, max } => {
                    self.later_read(site, number, Wanted::Page { room, read, after, max });
                }
                Request::Write(mut work) => {
                    if let Work::Room { epoch, .. } = &mut work {
                        // With `EpochNotRaised` the pod believes in an old one, which the store would refuse.
                        *epoch = process.own.epoch;
                    }
                    process.queue.push(work);
                }
                Request::Trim(paths) => process.trim = Some(paths),
                Request::Answer { .. } => {}
                Request::Dead => self.history.broken.push(format!("site {site} says that it was taken over")),
            }
        }
        self.requests = requests;
    }

    fn later_read(&mut self, site: usize, number: u64, wanted: Wanted) {
        let wait = self.rng.range(200, 3000);
        self.after(wait, Event::Read(site, number, wanted));
    }

    /// After anything that the process did: the store, the link and its timer.
    pub(super) fn settle(&mut self, site: usize) {
        self.drive_store(site);
        let now = self.now;
        let Some(process) = &mut self.sites[site].process else { return };
        let number = process.number;
        let due = process.pod.next_deadline().map(|at| u64::try_from(at.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX));
        let pump = process.pod.ready() && !process.pumping;
        process.pumping |= pump;
        let tick = due.map(|due| due.max(now)).filter(|due| process.tick_at.is_none_or(|at| *due < at));
        if let Some(due) = tick {
            process.tick_at = Some(due);
        }
        if pump {
            let wait = self.rng.range(20, 800);
            self.after(wait, Event::Pump(site, number));
        }
        if let Some(due) = tick {
            self.queue.push(due, Event::Tick(site, number));
        }
    }

    pub(super) fn tick(&mut self, site: usize, number: u64) {
        let (now, paused) = (self.now, self.sites[site].paused);
        let Some(process) = self.sites[site].running(number) else { return };
        if process.tick_at.is_none_or(|at| at > now) {
            // An earlier one has taken its place.
            return;
        }
        if paused > now {
            process.tick_at = Some(paused);
            return self.queue.push(paused, Event::Tick(site, number));
        }
        process.tick_at = None;
        self.input(site, Input::Tick);
    }

    /// An answer of the store to a read.
    pub(super) fn late_input(&mut self, site: usize, number: u64, input: Input) {
        if self.sites[site].running(number).is_none() {
            return;
        }
        if self.sites[site].paused > self.now {
            return self.queue.push(self.sites[site].paused, Event::Input(site, number, Box::new(input)));
        }
        if let Input::Stanza(stanza) = &input {
            self.answered_ping(site, stanza);
        }
        self.input(site, input);
    }

    /// The process dies.
    pub(super) fn crash(&mut self, site: usize) {
        let fates = self.rng.bits();
        let here = &mut self.sites[site];
        let Some(process) = here.process.take() else { return };
        here.store.crash(fates);
        here.troubles.push(self.now);
        let number = process.number;
        self.trace.line(self.now, || format!("site {site}: process {number} DIES"));
        self.drop_link(site);
        self.disturb(site, None);
        let wait = self.rng.range(100, [3000, 20_000][self.rng.clone().index(2)]) * MS;
        self.after(wait, Event::Start(site));
    }

    pub(super) fn crash_if_up(&mut self, site: usize) {
        if self.faults_on {
            self.crash(site);
        }
    }
}
