//! How the pods of a site share a store: beats, standing by, taking over. What they ask the store takes time, may not
//! get there, and its answer may be lost.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use warren_mesh::single::{Known, Step, plan};
use warren_mesh::{Dead, Lease, Observed, Round};
use warren_model::{Epoch, Lane, UnixMs};
use warren_shard::Epochs;
use warren_store::{Assignment, Claim, Cluster, Incarnation, Join, PodState, TakeOver, Thing, View};

use super::World;
use super::queue::{Event, Pid};
use crate::breakage::Breakage;
use crate::names::{MS, Micros, Place};

/// Who has not been heard of for so long is taken over.
const TTL: Duration = Duration::from_secs(6);

/// What a process knows of its right to act.
pub(crate) struct Member {
    pub lease: Lease,
    /// Everything is ours.
    owns: bool,
}

impl Member {
    pub(crate) fn new(me: Incarnation) -> Self {
        Self { lease: Lease::new(me, TTL), owns: false }
    }
}

/// What a process wants of the store, on its way there.
#[derive(Debug)]
pub(crate) enum Ask {
    /// A beat that was sent then.
    Beat(Micros),
    View,
    Steps(Steps),
}

/// Transactions, one after the other.
#[derive(Debug)]
pub(crate) struct Steps {
    ahead: VecDeque<Step>,
    dead: Vec<Dead>,
    /// What they were planned on.
    view: Rc<View>,
}

/// What the store says, on its way back.
#[derive(Debug)]
pub(crate) enum Told {
    Round(Micros, Round),
    View(Rc<View>),
    Stepped(Steps),
    /// After the last step.
    Result(Rc<View>),
}

fn mono(at: Micros) -> Duration {
    Duration::from_micros(at)
}

fn micros(time: Duration) -> Micros {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl World {
    /// Enters a pod, which ends the one before it under its name. Returns its lane.
    pub(super) fn join(&mut self, at: Place, incarnation: Incarnation) -> Option<Lane> {
        let join = Join { name: format!("pod-{}", at.pod).into(), incarnation, address: Box::default(), lanes: 1 };
        let here = &mut self.sites[at.site];
        here.view = None;
        match here.store.cluster().join(&join) {
            Ok(joined) => joined.lanes.first().map(|own| own.lane),
            Err(error) => {
                self.history.broken.push(format!("{at} cannot join: {error}"));
                None
            }
        }
    }

    /// A beat is due.
    pub(super) fn beat(&mut self, pid: Pid) {
        let paused = self.paused(pid.at);
        let Some(member) = self.running(pid).and_then(|process| process.member.as_ref()) else { return };
        let period = micros(member.lease.period());
        if let Some(until) = paused {
            return self.queue.push(until, Event::Beat(pid));
        }
        self.after(period, Event::Beat(pid));
        let sent = self.now;
        self.want(pid, Ask::Beat(sent));
    }

    fn want(&mut self, pid: Pid, ask: Ask) {
        let wait = self.store_time();
        if let Some(me) = self.running(pid).map(|process| process.incarnation) {
            self.after(wait, Event::Ask(pid, me, ask));
        }
    }

    /// One way to the store, or back.
    fn store_time(&mut self) -> Micros {
        if self.faults_on && self.rng.percent(1) { self.rng.range(1000, 3000) * MS } else { self.rng.range(200, 3000) }
    }

    /// It arrives at the store. What was sent gets there although its sender stands still or dies.
    pub(super) fn asked(&mut self, pid: Pid, me: Incarnation, ask: Ask) {
        let back = self.store_time();
        let unheard = self.faults_on && self.rng.percent(1);
        let unreachable = self.cut_off(pid.at).is_some();
        let now = self.clock(pid.at).wall;
        let told = match ask {
            Ask::Beat(sent) => {
                let round = if unreachable { Round::Failed } else { self.store_beat(pid.at.site, me) };
                let round = if unheard { Round::Failed } else { round };
                Told::Round(sent, round)
            }
            _ if unreachable => return,
            Ask::View => Told::View(self.view(pid.at.site)),
            Ask::Steps(mut steps) => {
                if let Some(step) = steps.ahead.pop_front() {
                    self.store_step(pid, me, step, &steps, now);
                }
                if steps.ahead.is_empty() { Told::Result(self.view(pid.at.site)) } else { Told::Stepped(steps) }
            }
        };
        if !unheard || matches!(told, Told::Round(..)) {
            self.after(back, Event::Told(pid, told));
        }
    }

    fn store_beat(&mut self, site: usize, me: Incarnation) -> Round {
        let store = self.sites[site].store.cluster();
        let alive = store.beat(me).and_then(|alive| if alive { store.pods().map(Some) } else { Ok(None) });
        match alive {
            Err(_) => Round::Failed,
            Ok(None) => Round::Closed,
            Ok(Some(pods)) => Round::Alive(
                pods.into_iter()
                    .filter(|pod| pod.state == PodState::Open)
                    .map(|pod| Observed { incarnation: pod.incarnation, beat: pod.beat })
                    .collect(),
            ),
        }
    }

    fn view(&mut self, site: usize) -> Rc<View> {
        let here = &mut self.sites[site];
        let store = &mut here.store;
        // Its beats may be old: nobody reads them here.
        here.view.get_or_insert_with(|| Rc::new(store.cluster().view().unwrap_or_default())).clone()
    }

    /// One transaction.
    fn store_step(&mut self, pid: Pid, me: Incarnation, step: Step, known: &Steps, now: UnixMs) {
        let Steps { dead, view, .. } = known;
        let shards = |owner: Option<Incarnation>, to: Incarnation| {
            let of = view.shards.iter().filter(move |row| row.owner == owner);
            of.map(move |row| (Assignment { thing: Thing::Shard(row.shard), to }, row.epoch))
        };
        let here = &mut self.sites[pid.at.site];
        here.view = None;
        match step {
            Step::TakeOver { from, heir } => {
                let assign: Vec<_> = shards(Some(from), heir).map(|(assignment, _)| assignment).collect();
                let beat = dead.iter().find(|dead| dead.incarnation == from).map(|dead| dead.beat);
                let done = here.store.cluster().take_over_pod(from, beat, me, &assign, now);
                self.trace.line(self.now, || {
                    let done = match &done {
                        Ok(Ok(TakeOver::Done(moved))) => format!("{} shards", moved.len()),
                        other => format!("{other:?}"),
                    };
                    format!("{}: takes over {from} for {heir}: {done}", pid.at)
                });
                if matches!(done, Ok(Ok(TakeOver::Done(_)))) {
                    self.closed(pid.at.site, from);
                }
            }
            Step::Claim => {
                let claims: Vec<_> = shards(None, me).map(|(assignment, seen)| Claim { assignment, seen }).collect();
                let done = here.store.cluster().claim(me, &claims, now);
                self.trace.line(self.now, || {
                    format!("{}: claims: {:?}", pid.at, done.map(|done| done.map(|moved| moved.len())))
                });
            }
        }
    }

    /// The store has closed a pod: it must have stopped to act before.
    fn closed(&mut self, site: usize, incarnation: Incarnation) {
        self.trouble(site);
        let now = mono(self.now);
        let processes = self.sites[site].pods.iter().filter_map(|slot| slot.process.as_ref());
        let acts = |process: &&super::site::Process| {
            process.incarnation == incarnation && process.member.as_ref().is_some_and(|member| member.lease.acts(now))
        };
        if let Some(process) = processes.into_iter().find(acts) {
            self.history.broken.push(format!("{} is taken over while it acts", process.pid.at));
        }
    }

    /// An answer arrives at the process.
    pub(super) fn told(&mut self, pid: Pid, told: Told) {
        if let Some(until) = self.paused(pid.at) {
            return self.queue.push(until, Event::Told(pid, told));
        }
        let (now, lawless) = (mono(self.now), self.breakage == Some(Breakage::NoLease));
        let Some(member) = self.running(pid).and_then(|process| process.member.as_mut()) else { return };
        match told {
            Told::Round(sent, round) => {
                let sent = mono(sent);
                let late = now.saturating_sub(sent) > member.lease.patience();
                let round = if late && round != Round::Closed { Round::Failed } else { round };
                let alive = matches!(round, Round::Alive(_));
                member.lease.round(sent, now, round);
                if member.lease.is_closed() && !lawless {
                    return self.end(pid.at);
                }
                // Who has everything has nothing to look for but the dead.
                if alive && !(member.owns && member.lease.dead().is_empty()) {
                    self.want(pid, Ask::View);
                }
            }
            Told::View(view) => self.look(pid, &view),
            Told::Stepped(steps) => self.want(pid, Ask::Steps(steps)),
            Told::Result(view) => {
                self.possess(pid, &view);
            }
        }
    }

    /// Takes what should be ours.
    fn look(&mut self, pid: Pid, view: &Rc<View>) {
        if self.possess(pid, view) {
            return;
        }
        let Some(process) = self.running(pid) else { return };
        let me = process.incarnation;
        let Some(member) = process.member.as_mut() else { return };
        let open = view.pods.iter().filter(|pod| pod.state == PodState::Open).map(|pod| pod.incarnation).collect();
        let mut owners: Vec<_> = view.shards.iter().map(|row| row.owner).collect();
        owners.dedup();
        let owners = owners.into_iter().collect();
        let dead = member.lease.dead();
        let steps = plan(&Known { me, open: &open, owners: &owners, dead: &dead });
        if !steps.is_empty() {
            self.want(pid, Ask::Steps(Steps { ahead: steps.into(), dead, view: view.clone() }));
        }
    }

    /// Begins to serve, when everything has become ours.
    fn possess(&mut self, pid: Pid, view: &View) -> bool {
        let Some(process) = self.running(pid) else { return false };
        let me = process.incarnation;
        let Some(member) = process.member.as_mut().filter(|member| !member.owns) else { return false };
        if view.shards.iter().any(|row| row.owner != Some(me)) {
            return false;
        }
        member.owns = true;
        let epochs: Vec<Epoch> = view.shards.iter().map(|row| row.epoch).collect();
        process.epochs = Epochs::each(epochs);
        self.serve(pid);
        true
    }

    /// Whether a process may take the link now.
    pub(super) fn acts(&mut self, pid: Pid) -> bool {
        let (now, lawless) = (mono(self.now), self.breakage == Some(Breakage::NoLease));
        let Some(process) = self.running(pid) else { return false };
        lawless || process.member.as_ref().is_none_or(|member| member.lease.acts(now))
    }

    /// Whether the store regards a process as open.
    pub(super) fn is_open(&mut self, pid: Pid) -> bool {
        let Some(me) = self.running(pid).filter(|process| process.member.is_some()).map(|p| p.incarnation) else {
            return true;
        };
        let pods = self.sites[pid.at.site].store.cluster().pods().unwrap_or_default();
        pods.iter().any(|pod| pod.incarnation == me && pod.state == PodState::Open)
    }
}
