//! A process: how it starts, what it is told, what it asks for, how it ends.

use warren_model::{Batch, Epoch, Lane};
use warren_pod::{Input, Pod, Request, Settings, Stored};
use warren_shard::Epochs;
use warren_store::{Incarnation, LaneQueue, Limits, Work};

use super::World;
use super::member::Member;
use super::queue::{Event, Pid, Wanted};
use super::site::Process;
use crate::breakage::Breakage;
use crate::names::{Domain, MS, Place, SEC, room};

impl World {
    /// A new process on what is durable.
    pub(super) fn start(&mut self, at: Place) {
        if self.process(at).is_some() {
            return;
        }
        if let Some(until) = self.cut_off(at) {
            return self.queue.push(until, Event::Start(at));
        }
        let now = self.clock(at);
        let incarnation = Incarnation((u128::from(self.rng.bits()) << 64) | u128::from(self.rng.bits()));
        let here = &mut self.sites[at.site];
        here.starts += 1;
        here.pods[at.pod].paused = 0;
        let pid = Pid { at, number: here.starts };
        if here.is_shared() {
            let Some(lane) = self.join(at, incarnation) else { return };
            self.enter_process(pid, incarnation, lane, Batch(0), Epochs::all(Epoch(0)), Some(Member::new(incarnation)));
            self.trace.line(self.now, || format!("{at}: process {} stands by, {incarnation}", pid.number));
            self.beat(pid);
        } else {
            let own = here.store.take_over(incarnation, now.wall);
            self.enter_process(pid, incarnation, own.lane, own.batch, Epochs::all(own.epoch), None);
            self.serve(pid);
        }
    }

    fn enter_process(
        &mut self,
        pid: Pid,
        incarnation: Incarnation,
        lane: Lane,
        known: Batch,
        epochs: Epochs,
        member: Option<Member>,
    ) {
        self.slot(pid.at).process = Some(Process {
            pid,
            incarnation,
            pod: None,
            queue: LaneQueue::new(lane, known, Limits::default()),
            lane,
            epochs,
            known,
            tx: None,
            busy: false,
            trim: None,
            tick_at: None,
            pumping: false,
            member,
        });
    }

    /// From now on it has the rooms and the link.
    pub(super) fn serve(&mut self, pid: Pid) {
        let (at, now) = (pid.at, self.clock(pid.at));
        let here = &mut self.sites[at.site];
        let Some(process) = here.pods[at.pod].process.as_mut().filter(|process| process.pid == pid) else { return };
        let epoch = process.epochs.of(warren_model::Shard::of(&room(at.site)));
        let first = *here.first_epoch.get_or_insert(epoch);
        let stored = match Stored::read(&mut here.store.durable().clone()) {
            Ok(stored) => stored,
            Err(error) => return self.history.broken.push(format!("the store cannot be read: {error}")),
        };
        let not_raised = self.breakage == Some(Breakage::EpochNotRaised);
        let settings = Settings {
            epochs: if not_raised { Epochs::all(first) } else { process.epochs.clone() },
            lane: process.lane,
            shard: warren_shard::Settings {
                check_invariants: true,
                breakage: Breakage::shard(self.breakage),
                ..warren_shard::Settings::default()
            },
            egress: warren_egress::Settings {
                incarnation: pid.number,
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
        process.pod = Some(Pod::new(Domain::rooms(at.site).name(), settings, stored, entropy, now, &mut requests));
        self.trace.line(self.now, || format!("{at}: process {} has the rooms, epoch {epoch}", pid.number));
        self.carry_out(at, requests);
        self.settle(at);
        let wait = self.rng.range(20, 500) * MS;
        self.after(wait, Event::Connect(pid));
    }

    /// One input of the running process.
    pub(super) fn input(&mut self, at: Place, input: Input) {
        let now = self.clock(at);
        let mut requests = std::mem::take(&mut self.requests);
        if let Some(pod) = self.process(at).and_then(|process| process.pod.as_mut()) {
            pod.handle(input, now, &mut requests);
        }
        self.carry_out(at, requests);
        self.settle(at);
    }

    fn carry_out(&mut self, at: Place, mut requests: Vec<Request>) {
        for request in requests.drain(..) {
            let Some(process) = self.process(at) else { break };
            let pid = process.pid;
            match request {
                Request::Load(jid) => self.later_read(pid, Wanted::Room(jid)),
                Request::Page { room, read, after, max } => {
                    self.later_read(pid, Wanted::Page { room, read, after, max });
                }
                Request::Write(mut work) => {
                    if let Work::Room { epoch, shard, .. } = &mut work {
                        // With `EpochNotRaised` the pod believes in an old one, which the store would refuse.
                        *epoch = process.epochs.of(*shard);
                    }
                    process.queue.push(work);
                }
                Request::Trim(paths) => process.trim = Some(paths),
                Request::Answer { .. } => {}
                Request::Dead if process.member.is_some() => self.end(at),
                Request::Dead => self.history.broken.push(format!("{at} says that it was taken over")),
            }
        }
        self.requests = requests;
    }

    fn later_read(&mut self, pid: Pid, wanted: Wanted) {
        let wait = self.rng.range(200, 3000);
        self.after(wait, Event::Read(pid, wanted));
    }

    /// After anything that the process did: the store, the link and its timer.
    pub(super) fn settle(&mut self, at: Place) {
        self.drive_store(at);
        let now = self.now;
        let Some(process) = self.process(at) else { return };
        let pid = process.pid;
        let Some(pod) = &process.pod else { return };
        let due = pod.next_deadline().map(|at| u64::try_from(at.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX));
        let pump = pod.ready() && !process.pumping;
        process.pumping |= pump;
        let tick = due.map(|due| due.max(now)).filter(|due| process.tick_at.is_none_or(|at| *due < at));
        if let Some(due) = tick {
            process.tick_at = Some(due);
        }
        if pump {
            let wait = self.rng.range(20, 800);
            self.after(wait, Event::Pump(pid));
        }
        if let Some(due) = tick {
            self.queue.push(due, Event::Tick(pid));
        }
    }

    pub(super) fn tick(&mut self, pid: Pid) {
        let (now, paused) = (self.now, self.paused(pid.at));
        let Some(process) = self.running(pid) else { return };
        if process.tick_at.is_none_or(|at| at > now) {
            // An earlier one has taken its place.
            return;
        }
        process.tick_at = paused;
        if let Some(until) = paused {
            return self.queue.push(until, Event::Tick(pid));
        }
        self.input(pid.at, Input::Tick);
    }

    /// An answer of the store to a read.
    pub(super) fn late_input(&mut self, pid: Pid, input: Input) {
        if self.running(pid).is_none() {
            return;
        }
        if let Some(until) = self.paused(pid.at) {
            return self.queue.push(until, Event::Input(pid, Box::new(input)));
        }
        if let Input::Stanza(stanza) = &input {
            self.answered_ping(pid.at, stanza);
        }
        self.input(pid.at, input);
    }

    /// The process dies.
    pub(super) fn crash(&mut self, at: Place) {
        let Some(number) = self.process(at).map(|process| process.pid.number) else { return };
        self.trace.line(self.now, || format!("{at}: process {number} DIES"));
        let wait = self.rng.range(100, [3000, 20_000][self.rng.clone().index(2)]) * MS;
        self.stop(at, wait);
    }

    /// The process finds that it was replaced, and ends; its supervisor starts it again.
    pub(super) fn end(&mut self, at: Place) {
        let Some(number) = self.process(at).map(|process| process.pid.number) else { return };
        self.trace.line(self.now, || format!("{at}: process {number} was taken over and ends"));
        let wait = self.rng.range(100, 3000) * MS;
        self.stop(at, wait);
    }

    fn stop(&mut self, at: Place, wait: u64) {
        let Some(process) = self.slot(at).process.take() else { return };
        if let Some(tx) = process.tx {
            // A store that has got a commit goes on with it for a while, whoever has sent it.
            let (done, late) = (self.rng.percent(50), self.rng.percent(30));
            let wait = if late { self.rng.below(2 * SEC) } else { 0 };
            match wait {
                0 => self.orphan(at.site, tx, done),
                _ => self.after(wait, Event::Orphan(at.site, tx, done)),
            }
        }
        self.slot(at).paused = 0;
        self.trouble(at.site);
        if process.pod.is_some() {
            self.drop_link(at);
            self.disturb(at.site, None);
        }
        self.after(wait, Event::Start(at));
    }

    pub(super) fn crash_if_up(&mut self, at: Place) {
        if self.faults_on {
            self.crash(at);
        }
    }
}
