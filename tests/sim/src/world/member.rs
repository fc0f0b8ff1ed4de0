//! How the pods of a site share a store: what `mesh::Member` wants is asked of the store, which takes time, may not get
//! there, and whose answer may be lost; and what it says goes to the pod.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use warren_mesh::{Did, Input as News, Member as Membership, PodSeen, Step as Change, Todo, View};
use warren_model::{Epoch, Lane, Path, Shard, Thing, UnixMs};
use warren_pod::Input;
use warren_store::{Assignment, Claim, Cluster, Incarnation, Join, Moved, PodRow, PodState, TakeOver};

use super::World;
use super::queue::{Event, Pid};
use super::site::Process;
use crate::breakage::Breakage;
use crate::fault::Step;
use crate::names::{Domain, MS, Micros, Place, SEC};

/// Who has not been heard of for so long is taken over.
const TTL: Duration = Duration::from_secs(6);

/// One of several pods.
pub(crate) struct Member {
    pub state: Membership,
    /// When it is asked again what to do.
    wake_at: Option<Micros>,
    /// What is to be moved: to whom, and the epoch that was seen.
    pub moves: BTreeMap<Thing, (Incarnation, Epoch)>,
    /// Shards that come to rest, or have, until it is known what became of their move.
    frozen: Vec<Shard>,
    /// How many moves were tried, those that are under way too: what they move stays frozen.
    pub tried: u64,
    /// Open pods, as of the last view.
    pub peers: BTreeSet<Incarnation>,
    /// Pods that can be spoken to.
    pub sessions: BTreeSet<Incarnation>,
    /// Everything was handed over, or is about to be.
    pub leaving: bool,
}

impl Member {
    pub(crate) fn new(me: Incarnation, site: usize) -> Self {
        Self {
            state: Membership::new(me, TTL, vec![link(site)]),
            wake_at: None,
            moves: BTreeMap::new(),
            frozen: Vec::new(),
            tried: 0,
            peers: BTreeSet::new(),
            sessions: BTreeSet::new(),
            leaving: false,
        }
    }
}

/// The link of a site.
pub(super) fn link(site: usize) -> Path {
    Path::new(Domain::rooms(site).name(), "")
}

/// What a process wants of the store, on its way there.
#[derive(Debug)]
pub(crate) enum Ask {
    /// A beat that was sent then.
    Beat(Micros),
    View,
    Change(Change),
    Move(Vec<Claim>),
    /// Whoever asked has given it up.
    LateMove(Vec<Claim>),
    HandOver(Vec<Assignment>),
}

/// What comes of it, on its way back.
#[derive(Debug)]
pub(crate) enum Told {
    News(News),
    Moved(Vec<Thing>, Vec<Moved>),
    HandedOver(Vec<Moved>),
}

pub(super) fn mono(at: Micros) -> Duration {
    Duration::from_micros(at)
}

fn micros(time: Duration) -> Micros {
    u64::try_from(time.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX)
}

fn seen(row: PodRow) -> PodSeen {
    let PodRow { incarnation, name, address, beat, state } = row;
    PodSeen { incarnation, name, address, beat, open: state == PodState::Open }
}

impl World {
    /// Enters a pod, which ends the one before it under its name. Returns its lane.
    pub(super) fn join(&mut self, at: Place, incarnation: Incarnation) -> Option<Lane> {
        // Names decide where things are placed: another seed, another placement.
        let name = format!("muc-{}-{}", self.plan.seed, at.pod).into();
        let join = Join { name, incarnation, address: "here".into(), lanes: 1 };
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

    pub(super) fn member(&mut self, pid: Pid) -> Option<&mut Member> {
        self.running(pid).and_then(|process| process.member.as_mut())
    }

    /// Tells the member something.
    pub(super) fn news(&mut self, pid: Pid, news: News) {
        let now = mono(self.now);
        if let Some(member) = self.member(pid) {
            member.state.handle(news, now);
        }
    }

    /// Does what the member wants, until it wants nothing.
    pub(super) fn drive_member(&mut self, pid: Pid) {
        loop {
            let now = mono(self.now);
            let Some(member) = self.member(pid) else { return };
            let Some(todo) = member.state.poll(now) else { break };
            match todo {
                Todo::Beat => self.want(pid, Ask::Beat(self.now)),
                Todo::ReadView => self.want(pid, Ask::View),
                Todo::Do(Change::Move(moves)) => {
                    let shards = moves.iter().filter_map(|(thing, ..)| match thing {
                        Thing::Shard(shard) => Some(*shard),
                        Thing::Link(_) => None,
                    });
                    let shards: Vec<Shard> = shards.collect();
                    member.frozen.extend(&shards);
                    member.moves.extend(moves.into_iter().map(|(thing, to, seen)| (thing, (to, seen))));
                    self.trace.line(self.now, || format!("{}: freezes {} shards", pid.at, shards.len()));
                    self.input(pid.at, Input::Freeze(shards));
                }
                Todo::Do(change) => self.want(pid, Ask::Change(change)),
                Todo::Tell { view, moved } => self.tell(pid, &view, moved),
                // Who has handed over everything is closed, and knows it.
                Todo::Closed if member.leaving || self.breakage == Some(Breakage::NoLease) => {}
                Todo::Closed => return self.end(pid.at),
            }
        }
        let now = self.now;
        let Some(member) = self.member(pid) else { return };
        let due = member.state.next_deadline(mono(now)).map(micros).map(|due| due.max(now));
        if let Some(due) = due.filter(|due| member.wake_at.is_none_or(|at| *due < at)) {
            member.wake_at = Some(due);
            self.queue.push(due, Event::Member(pid));
        }
    }

    /// The member has a deadline.
    pub(super) fn wake_member(&mut self, pid: Pid) {
        let (now, paused) = (self.now, self.paused(pid.at));
        let Some(member) = self.member(pid).filter(|member| member.wake_at.is_some_and(|at| at <= now)) else { return };
        member.wake_at = paused;
        match paused {
            Some(until) => self.queue.push(until, Event::Member(pid)),
            None => self.drive_member(pid),
        }
    }

    /// A view for the pod.
    fn tell(&mut self, pid: Pid, view: &Arc<View>, moved: u64) {
        let Some(process) = self.running(pid) else { return };
        let me = process.incarnation;
        let Some(member) = &mut process.member else { return };
        member.peers = view.open().map(|pod| pod.incarnation).filter(|pod| *pod != me).collect();
        // A move that was tried after this was read is in the next one.
        let thaw = (moved == member.tried && member.moves.is_empty()).then(|| std::mem::take(&mut member.frozen));
        self.input(pid.at, Input::View(view.clone()));
        if let Some(thaw) = thaw.filter(|thaw| !thaw.is_empty() && self.running(pid).is_some()) {
            // What was moved is not ours any more, and nobody minds that it stays.
            self.input(pid.at, Input::Thaw(thaw));
        }
    }

    pub(super) fn want(&mut self, pid: Pid, ask: Ask) {
        let wait = self.store_time();
        if let Some(me) = self.running(pid).map(|process| process.incarnation) {
            self.after(wait, Event::Ask(pid, me, ask));
        }
    }

    /// One way to the store, or back.
    pub(super) fn store_time(&mut self) -> Micros {
        if self.faults_on && self.rng.percent(1) { self.rng.range(1000, 3000) * MS } else { self.rng.range(200, 3000) }
    }

    /// It arrives at the store. What was sent gets there although its sender stands still or dies.
    pub(super) fn asked(&mut self, pid: Pid, me: Incarnation, ask: Ask) {
        let unreachable = self.cut_off(pid.at).is_some();
        let unheard = self.faults_on && self.rng.percent(1);
        let wall = self.clock(pid.at).wall;
        let site = pid.at.site;
        let told = match ask {
            Ask::Beat(sent) => {
                let beaten = (!unreachable).then(|| self.store_beat(site, me, sent)).flatten().filter(|_| !unheard);
                Told::News(beaten.unwrap_or(News::BeatFailed))
            }
            Ask::View if unreachable || unheard => Told::News(News::ViewFailed),
            Ask::View => Told::News(News::View(self.view(site))),
            Ask::Change(_) if unreachable => Told::News(News::Did(Did::Failed)),
            Ask::Change(change) => {
                let did = self.store_change(pid, me, change, wall);
                Told::News(News::Did(if unheard { Did::Failed } else { did }))
            }
            Ask::Move(claims) => {
                let moved = if unreachable { Vec::new() } else { self.store_move(pid, me, &claims, wall) };
                let things = claims.into_iter().map(|claim| claim.assignment.thing).collect();
                Told::Moved(things, if unheard { Vec::new() } else { moved })
            }
            Ask::LateMove(claims) => {
                self.store_move(pid, me, &claims, wall);
                return;
            }
            Ask::HandOver(_) if unreachable => Told::HandedOver(Vec::new()),
            Ask::HandOver(assign) => {
                let moved = self.store_hand_over(pid, me, &assign, wall);
                Told::HandedOver(if unheard { Vec::new() } else { moved })
            }
        };
        // An answer that does not come is given up after a while.
        let back = if unheard || (unreachable && self.rng.percent(50)) { 2 * SEC } else { self.store_time() };
        self.after(back, Event::Told(pid, told));
    }

    fn store_beat(&mut self, site: usize, me: Incarnation, sent: Micros) -> Option<News> {
        let store = self.sites[site].store.cluster();
        let alive = store.beat(me).ok()?;
        let pods = store.pods().ok()?.into_iter().map(seen).collect();
        Some(News::Beaten { sent: mono(sent), alive, pods })
    }

    /// Who owns what.
    pub(super) fn view(&mut self, site: usize) -> View {
        let here = &mut self.sites[site];
        let store = &mut here.store;
        let read = || {
            let view = store.cluster().view().unwrap_or_default();
            View {
                pods: view.pods.into_iter().map(seen).collect(),
                shards: view.shards.into_iter().map(|row| (row.owner, row.epoch)).collect(),
                links: view.links.into_iter().map(|row| (row.link, (row.owner, row.epoch))).collect(),
            }
        };
        here.view.get_or_insert_with(read).clone()
    }

    fn store_change(&mut self, pid: Pid, me: Incarnation, change: Change, now: UnixMs) -> Did {
        let site = pid.at.site;
        let here = &mut self.sites[site];
        here.view = None;
        match change {
            Change::TakeOver { from, beat, assign } => {
                let assign: Vec<_> = assign.into_iter().map(|(thing, to)| Assignment { thing, to }).collect();
                let was_open = here.is_open(from);
                let done = here.store.cluster().take_over_pod(from, beat, me, &assign, now);
                self.trace.line(self.now, || {
                    let done = match &done {
                        Ok(Ok(TakeOver::Done(moved))) => format!("{} things", moved.len()),
                        other => format!("{other:?}"),
                    };
                    format!("{}: takes over {from}, beat {beat:?}: {done}", pid.at)
                });
                match done {
                    Ok(Ok(TakeOver::Done(_))) => {
                        if was_open {
                            self.closed(site, from);
                        }
                        Did::Changed
                    }
                    Ok(Ok(_)) => Did::Nothing,
                    Ok(Err(_)) => Did::Closed,
                    Err(_) => Did::Failed,
                }
            }
            Change::Forget(pod) => match here.store.cluster().forget(pod) {
                Ok(true) => Did::Changed,
                Ok(false) => Did::Nothing,
                Err(_) => Did::Failed,
            },
            Change::Claim(claims) => {
                let claims: Vec<_> = claims
                    .into_iter()
                    .map(|(thing, to, seen)| Claim { assignment: Assignment { thing, to }, seen })
                    .collect();
                let done = here.store.cluster().claim(me, &claims, now);
                self.trace.line(self.now, || {
                    format!("{}: claims: {:?}", pid.at, done.as_ref().map(|done| done.as_ref().map(Vec::len)))
                });
                match done {
                    Ok(Ok(moved)) if moved.is_empty() => Did::Nothing,
                    Ok(Ok(_)) => Did::Changed,
                    Ok(Err(_)) => Did::Closed,
                    Err(_) => Did::Failed,
                }
            }
            // Those come by `Ask::Move`.
            Change::Move(_) => Did::Nothing,
        }
    }

    fn store_hand_over(&mut self, pid: Pid, me: Incarnation, assign: &[Assignment], now: UnixMs) -> Vec<Moved> {
        let here = &mut self.sites[pid.at.site];
        here.view = None;
        let moved = here.store.cluster().hand_over(me, assign, now);
        self.trace.line(self.now, || {
            let what = moved.as_ref().map(|moved| moved.as_ref().map(Vec::len));
            format!("{}: hands over: {what:?} of {}", pid.at, assign.len())
        });
        self.step(pid.at, Step::Move);
        // Closed already: there is nothing left to give.
        moved.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// The store has closed a pod: it must have stopped to act before, unless others were sure that it is dead.
    fn closed(&mut self, site: usize, incarnation: Incarnation) {
        let now = mono(self.now);
        let here = &self.sites[site];
        let acts = |process: &Process| process.member.as_ref().is_some_and(|member| member.state.acts(now));
        let early = here.suspected.contains(&incarnation);
        if let Some(process) = here.by_incarnation(incarnation).filter(|process| acts(process) && !early) {
            self.history.broken.push(format!("{} is taken over while it acts", process.pid.at));
        }
    }

    /// An answer arrives at the process.
    pub(super) fn told(&mut self, pid: Pid, told: Told) {
        if let Some(until) = self.paused(pid.at) {
            return self.queue.push(until, Event::Told(pid, told));
        }
        match told {
            Told::News(news) => self.news(pid, news),
            Told::Moved(things, moved) => {
                if !self.step(pid.at, Step::Move) {
                    return;
                }
                if self.member(pid).is_none() {
                    return;
                }
                self.input(pid.at, Input::Moved(moved));
                self.news(pid, News::Moved(things));
            }
            Told::HandedOver(moved) => {
                if self.member(pid).is_none() {
                    return;
                }
                self.input(pid.at, Input::Moved(moved));
                return self.leave(pid, 100);
            }
        }
        self.drive_member(pid);
    }

    /// Whether a process may take the link now.
    pub(super) fn acts(&mut self, pid: Pid) -> bool {
        let (now, lawless) = (mono(self.now), self.breakage == Some(Breakage::NoLease));
        let Some(process) = self.running(pid) else { return false };
        // Who is handing it over has lost it, though the answer may be slow.
        let acts = |member: &Member| !member.leaving && member.state.acts(now);
        lawless || process.member.as_ref().is_none_or(acts)
    }
}
