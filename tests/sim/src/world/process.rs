//! A process: how it starts, what it is told, what it asks for, how it ends.

use warren_mesh::Input as News;
use warren_model::{Batch, Epoch};
use warren_pod::{Input, Pod, Request, Settings, Stored};
use warren_shard::Epochs;
use warren_store::{Incarnation, LaneQueue, Limits, Ownership, Work};

use super::World;
use super::member::Member;
use super::queue::{Event, Pid, Wanted};
use super::site::{Ending, Process};
use crate::breakage::Breakage;
use crate::names::{Domain, MS, Place, SEC};

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
        (here.pods[at.pod].paused, here.pods[at.pod].vanished) = (0, false);
        let pid = Pid { at, number: here.starts };
        let alone = !here.is_shared();
        let (own, stored) = if alone {
            (here.store.take_over(incarnation, now.wall), Stored::read(&mut here.store.durable().clone()))
        } else {
            let Some(lane) = self.join(at, incarnation) else { return };
            let own = Ownership { epoch: Epoch(0), lane, batch: Batch(0) };
            (own, Stored::objects_only(&mut self.sites[at.site].store.durable().clone()))
        };
        let stored = match stored {
            Ok(stored) => stored,
            Err(error) => return self.history.broken.push(format!("the store cannot be read: {error}")),
        };
        let settings = self.settings(pid, incarnation, own);
        let mut requests = Vec::new();
        let pod = Pod::new(Domain::rooms(at.site).name(), settings, stored, now, &mut requests);
        self.slot(at).process = Some(Process {
            pid,
            incarnation,
            pod,
            queue: LaneQueue::new(own.lane, own.batch, Limits::default()),
            lane: own.lane,
            epoch: own.epoch,
            known: own.batch,
            tx: None,
            busy: false,
            trim: None,
            tick_at: None,
            pumping: false,
            member: (!alone).then(|| Member::new(incarnation, at.site)),
            ending: Ending::No,
        });
        self.trace
            .line(self.now, || format!("{at}: process {} starts, {incarnation}, epoch {}", pid.number, own.epoch));
        self.carry_out(at, requests);
        self.settle(at);
        self.drive_member(pid);
        if alone {
            self.soon(pid);
        }
    }

    /// It connects a little later.
    fn soon(&mut self, pid: Pid) {
        let wait = self.rng.range(20, 500) * MS;
        self.after(wait, Event::Connect(pid));
    }

    fn settings(&mut self, pid: Pid, me: Incarnation, own: Ownership) -> Settings {
        let here = &mut self.sites[pid.at.site];
        let first = *here.first_epoch.get_or_insert(own.epoch);
        let epoch = if self.breakage == Some(Breakage::EpochNotRaised) { first } else { own.epoch };
        let mut seed = [0; 32];
        seed.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.rng.bits().to_be_bytes()));
        Settings {
            me,
            alone: !here.is_shared(),
            epochs: Epochs::all(epoch),
            seed,
            lane: own.lane,
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
        }
    }

    /// One input of the running process.
    pub(super) fn input(&mut self, at: Place, input: Input) {
        let now = self.clock(at);
        let mut requests = std::mem::take(&mut self.requests);
        if let Some(process) = self.process(at) {
            process.pod.handle(input, now, &mut requests);
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
                    if let (Work::Room { epoch, .. }, None) = (&mut work, &process.member) {
                        // With `EpochNotRaised` the pod believes in an old one, which the store would refuse.
                        *epoch = process.epoch;
                    }
                    process.queue.push(work);
                }
                Request::Trim(paths) => process.trim = Some(paths),
                Request::Answer { .. } | Request::Reports { .. } => {}
                Request::Backlog => self.later_read(pid, Wanted::Backlog),
                Request::Objects => self.later_read(pid, Wanted::Objects),
                Request::Occupied => self.later_read(pid, Wanted::Occupied),
                Request::Frame(to, frame) => self.say_to(pid, to, frame),
                Request::View => self.news(pid, News::Poke),
                Request::Suspect { pod, by } => self.news(pid, News::Refused { pod, by }),
                Request::Frozen(shards) => self.move_them(pid, &shards),
                Request::Drained => self.hand_over(pid),
                Request::Link(true) => self.soon(pid),
                Request::Link(false) => self.close_link(at),
                Request::Dead if process.member.is_some() => self.end(at),
                Request::Dead => self.history.broken.push(format!("{at} says that it was taken over")),
            }
        }
        self.requests = requests;
        if let Some(pid) = self.process(at).map(|process| process.pid) {
            self.drive_member(pid);
        }
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
        let pod = &process.pod;
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
        let vanished = self.rng.percent(20);
        self.trace.line(self.now, || {
            format!("{at}: process {number} DIES{}", if vanished { ", with its machine" } else { "" })
        });
        let wait = self.rng.range(100, [3000, 20_000][self.rng.clone().index(2)]) * MS;
        self.stop(at, wait, vanished);
    }

    /// The process finds that it was replaced, and ends; its supervisor starts it again.
    pub(super) fn end(&mut self, at: Place) {
        let Some(number) = self.process(at).map(|process| process.pid.number) else { return };
        self.trace.line(self.now, || format!("{at}: process {number} was taken over and ends"));
        let wait = self.rng.range(100, 3000) * MS;
        self.stop(at, wait, false);
    }

    /// It has nothing left, and ends in good order.
    pub(super) fn retire(&mut self, at: Place) {
        let Some(pid) = self.process(at).map(|process| process.pid) else { return };
        self.trace.line(self.now, || format!("{at}: process {} goes", pid.number));
        self.end_sessions(pid, true, false);
        let wait = self.rng.range(100, 5000) * MS;
        self.stop(at, wait, false);
    }

    /// It was told to end, and has not.
    pub(super) fn kill(&mut self, pid: Pid) {
        if self.running(pid).is_some() {
            self.crash(pid.at);
        }
    }

    fn stop(&mut self, at: Place, wait: u64, vanished: bool) {
        let has_link = self.slot(at).link.up || !self.sites[at.site].is_shared();
        let Some(process) = self.slot(at).process.take() else { return };
        if let Some(tx) = process.tx {
            // A store that has got a commit goes on with it for a while, whoever has sent it, and perhaps until the next
            // process has begun.
            let (done, late) = (self.rng.percent(50), self.rng.percent(50));
            match [self.rng.below(2 * SEC), wait + self.rng.below(SEC)][self.rng.index(2)] {
                late_by if late => self.after(late_by, Event::Orphan(at.site, tx, done)),
                _ => self.orphan(at.site, tx, done),
            }
        }
        (self.slot(at).paused, self.slot(at).vanished) = (0, vanished);
        self.end_sessions(process.pid, false, vanished);
        // Nor can it refuse, without a stream, what it could not hand over within the time for that.
        let unhandled = match process.ending {
            Ending::No => false,
            Ending::Moving(since) if since + 10 * SEC > self.now => process.pod.uncommitted_bytes() > 0,
            _ => true,
        };
        if has_link || unhandled {
            // What it had read and nobody had handled is gone.
            self.trouble(at.site);
        }
        self.disturb(at.site, None);
        self.drop_link(at);
        self.after(wait, Event::Start(at));
    }

    pub(super) fn crash_if_up(&mut self, at: Place) {
        if self.faults_on {
            self.crash(at);
        }
    }
}
