//! One pod's membership, as a state machine: when to beat, when to read the table, what to do about it.
//!
//! Whoever drives it asks [`Member::poll`] for something to do until there is nothing, does it, says what came of it
//! with [`Member::handle`], and waits for [`Member::next_deadline`] or for news. Nothing is asked for a second time
//! before the first was answered; but a beat may be asked for while something else is under way, and had best not wait
//! for it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use warren_model::{Epoch, Incarnation, Path, Thing};

use crate::forget::Ended;
use crate::suspicion::Suspicions;
use crate::tail::went_back;
use crate::{Dead, Did, Input, Known, Lease, Observed, PodSeen, Round, Step, Todo, View, handover, plan};

/// What is under way besides a beat.
#[derive(Clone, Debug)]
enum Work {
    /// `void`: what it says may be older than what has happened since.
    Read {
        void: bool,
    },
    /// The pod that is taken over, and whether that depends on its beat.
    TakeOver {
        from: Incarnation,
        lives: bool,
    },
    Claim,
    Forget(Incarnation),
}

/// See [`Member::concerns`].
#[derive(Clone, Debug, PartialEq, Eq)]
struct Concerns {
    dead: Vec<Dead>,
    ready: BTreeSet<Incarnation>,
    wanted: Vec<Path>,
    frozen: usize,
    over: Vec<Incarnation>,
}

/// The membership of one pod. All times are the pod's own boot-time clock.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they have nothing to do with each other")]
pub struct Member {
    me: Incarnation,
    ttl: Duration,
    wanted: Vec<Path>,
    lease: Lease,
    suspicions: Suspicions,
    ended: Ended,
    ready: BTreeSet<Incarnation>,
    /// Our counter, as it was read last.
    counted: Option<u64>,
    /// The store has gone back.
    lost: bool,
    leaving: bool,
    told_closed: bool,
    /// When the beat was asked for that is under way.
    beating: Option<Duration>,
    beat_at: Duration,
    work: Option<Work>,
    /// The view must be read anew.
    stale: bool,
    /// It is anyway, then.
    view_at: Duration,
    /// Open pods, as of the last beat.
    open: BTreeSet<Incarnation>,
    view: Option<Arc<View>>,
    /// The loop must hear of the next view in any case.
    news: bool,
    tell: Option<Arc<View>>,
    /// How many [`Input::Moved`] there were.
    moved: u64,
    steps: VecDeque<Step>,
    /// What the last plan depended on, if it came to nothing.
    idle: Option<Concerns>,
    /// Our own things that are being moved, with the epoch that was seen.
    moving: BTreeMap<Thing, Epoch>,
}

impl Member {
    /// A pod that has just joined, before its first beat. `wanted`: links that must have an owner.
    pub fn new(me: Incarnation, ttl: Duration, wanted: Vec<Path>) -> Self {
        Self {
            me,
            ttl,
            wanted,
            lease: Lease::new(me, ttl),
            suspicions: Suspicions::new(me, ttl),
            ended: Ended::default(),
            ready: BTreeSet::new(),
            counted: None,
            lost: false,
            leaving: false,
            told_closed: false,
            beating: None,
            beat_at: Duration::ZERO,
            work: None,
            stale: true,
            view_at: Duration::ZERO,
            open: BTreeSet::new(),
            view: None,
            news: true,
            tell: None,
            moved: 0,
            steps: VecDeque::new(),
            idle: None,
            moving: BTreeMap::new(),
        }
    }

    /// Takes news that came at `now`.
    pub fn handle(&mut self, input: Input, now: Duration) {
        match input {
            Input::Beaten { sent, alive, pods } => self.beaten(sent, alive, &pods, now),
            Input::BeatFailed => {
                if let Some(sent) = self.beating.take() {
                    self.lease.round(sent, now, Round::Failed);
                }
            }
            Input::View(view) => self.viewed(view, now),
            Input::ViewFailed => {
                if self.work.take_if(|work| matches!(work, Work::Read { .. })).is_some() {
                    self.again(now);
                }
            }
            Input::Did(did) => self.did(did, now),
            Input::Moved(things) => {
                for thing in &things {
                    self.moving.remove(thing);
                }
                if let Some(Work::Read { void }) = &mut self.work {
                    *void = true;
                }
                // Nor is anything told any more that was read before.
                self.tell = None;
                self.moved += 1;
                self.news = true;
                self.stale = true;
            }
            Input::Poke => self.stale = true,
            Input::Ready(pods) => {
                self.suspicions.ready(&pods);
                self.stale |= pods.iter().any(|pod| !self.ready.contains(pod));
                self.ready = pods;
            }
            Input::Refused { pod, by } => {
                if self.suspicions.refused(pod, by, &self.open, now) {
                    self.beat_at = now;
                }
            }
            Input::Wanted(links) => {
                self.stale |= links != self.wanted;
                self.wanted = links;
            }
            Input::Leaving => {
                self.leaving = true;
                self.steps.clear();
            }
        }
    }

    /// The next thing to do; `None`: nothing before [`Self::next_deadline`].
    pub fn poll(&mut self, now: Duration) -> Option<Todo> {
        if self.lease.is_closed() {
            return (!std::mem::replace(&mut self.told_closed, true)).then_some(Todo::Closed);
        }
        if self.beating.is_none() && now >= self.beat_at {
            self.beating = Some(now);
            self.beat_at = now + self.lease.period();
            return Some(Todo::Beat);
        }
        if let Some(view) = self.tell.take() {
            return Some(Todo::Tell { view, moved: self.moved });
        }
        // What was planned before we stood still is planned anew when we go on.
        if !self.lease.acts(now) {
            self.stale |= !self.steps.is_empty();
            self.steps.clear();
            return None;
        }
        if self.work.is_some() {
            return None;
        }
        if let Some(step) = self.steps.pop_front() {
            match &step {
                Step::TakeOver { from, beat, .. } => {
                    self.work = Some(Work::TakeOver { from: *from, lives: beat.is_some() });
                }
                Step::Claim(_) => self.work = Some(Work::Claim),
                Step::Forget(pod) => self.work = Some(Work::Forget(*pod)),
                Step::Move(moves) => self.moving.extend(moves.iter().map(|(thing, _, seen)| (thing.clone(), *seen))),
            }
            return Some(Todo::Do(step));
        }
        if self.suspicions.due(now) || self.stale || now >= self.view_at {
            self.stale = false;
            self.view_at = now + self.ttl;
            self.work = Some(Work::Read { void: false });
            return Some(Todo::ReadView);
        }
        None
    }

    /// When [`Self::poll`] should be asked again, after it had nothing to do; `None`: after the next news.
    pub fn next_deadline(&self, now: Duration) -> Option<Duration> {
        if self.lease.is_closed() {
            return None;
        }
        let beat = self.beating.is_none().then_some(self.beat_at);
        let read = (self.lease.acts(now) && self.work.is_none()).then_some(self.view_at);
        let verdict = read.and(self.suspicions.deadline());
        [beat, read, verdict].into_iter().flatten().min()
    }

    /// How long a beat may take before it counts as failed.
    pub fn patience(&self) -> Duration {
        self.lease.patience()
    }

    /// Until when this pod may act; `None`: not at all.
    pub fn acts_until(&self) -> Option<Duration> {
        self.lease.acts_until()
    }

    /// Whether this pod may act now.
    pub fn acts(&self, now: Duration) -> bool {
        self.lease.acts(now)
    }

    /// Whether this pod has been closed by another one, or by its own next incarnation, or must end as if it were.
    pub fn is_closed(&self) -> bool {
        self.lease.is_closed()
    }

    /// Whether this pod must end because the store has lost its tail: it does not know any more what we have read in it.
    /// Somebody should be told.
    pub fn has_lost(&self) -> bool {
        self.lost
    }

    /// Where everything of ours should go, when we end now: by the last view. Empty when there is nobody else.
    pub fn handover(&self, now: Duration) -> Vec<(Thing, Incarnation)> {
        self.knowing(now, handover)
    }

    fn beaten(&mut self, sent: Duration, alive: bool, pods: &[PodSeen], now: Duration) {
        if !alive {
            return self.close(now);
        }
        // An answer to a beat that was given up is none.
        let Some(_) = self.beating.take_if(|asked| sent >= *asked) else { return };
        if now.saturating_sub(sent) > self.lease.patience() {
            return self.lease.round(sent, now, Round::Failed);
        }
        let open = pods.iter().filter(|pod| pod.open);
        let rows: Vec<_> = open.map(|pod| Observed { incarnation: pod.incarnation, beat: pod.beat }).collect();
        self.open = rows.iter().map(|row| row.incarnation).collect();
        if !self.open.contains(&self.me) {
            return self.close(now);
        }
        // It was counted up before it was read, and nobody but us does that.
        let counted = rows.iter().find(|row| row.incarnation == self.me).map(|row| row.beat);
        if self.counted.is_some() && counted <= self.counted {
            return self.lose(now);
        }
        self.counted = counted;
        self.suspicions.read(&rows, sent, now);
        self.lease.round(sent, now, Round::Alive(rows));
        let seen: Option<BTreeSet<_>> = self.view.as_ref().map(|view| view.open().map(|pod| pod.incarnation).collect());
        self.stale |= seen.as_ref() != Some(&self.open) || !self.lease.dead().is_empty();
    }

    fn viewed(&mut self, view: View, now: Duration) {
        let Some(Work::Read { void }) = self.work.take_if(|work| matches!(work, Work::Read { .. })) else { return };
        if !view.open().any(|pod| pod.incarnation == self.me) {
            return self.close(now);
        }
        if self.view.as_ref().is_some_and(|before| went_back(before, &view)) {
            return self.lose(now);
        }
        if void {
            self.stale = true;
            return;
        }
        self.moving.retain(|thing, seen| view.owner(thing) == Some((Some(self.me), *seen)));
        self.ended.read(view.pods.iter().filter(|pod| !pod.open).map(|pod| pod.incarnation), now);
        let view = Arc::new(view);
        let same = self.view.as_ref().is_some_and(|old| old.tells_the_same(&view));
        if self.news || !same {
            self.tell = Some(view.clone());
            self.news = false;
        }
        self.view = Some(view);
        self.steps.clear();
        // The same again leads to nothing, if it did so the last time and nothing else was news.
        let known = self.concerns(now);
        let nothing = same && self.idle.as_ref() == Some(&known);
        if !self.leaving && !nothing {
            self.steps.extend(self.knowing(now, plan));
            self.idle = self.steps.is_empty().then_some(known);
        }
    }

    fn did(&mut self, did: Did, now: Duration) {
        let Some(work) = self.work.take_if(|work| !matches!(work, Work::Read { .. })) else { return };
        match (did, work) {
            (Did::Closed, _) => return self.close(now),
            // Nobody waits for it.
            (_, Work::Forget(pod)) => return self.ended.tried(pod, now),
            (Did::Failed, _) => return self.again(now),
            // It lives, most likely: its next beat is read before anything else is done about it.
            (Did::Nothing, Work::TakeOver { from, lives: true }) => {
                self.suspicions.done(from);
                self.beat_at = now;
                return self.again(now);
            }
            (_, Work::TakeOver { from, .. }) => self.suspicions.done(from),
            _ => {}
        }
        self.stale = true;
    }

    /// The store may be in trouble: not at once.
    fn again(&mut self, now: Duration) {
        self.view_at = self.view_at.min(now + self.lease.period());
    }

    fn lose(&mut self, now: Duration) {
        self.lost = true;
        self.close(now);
    }

    fn close(&mut self, now: Duration) {
        self.lease.round(now, now, Round::Closed);
    }

    /// What a plan depends on, besides the view.
    fn concerns(&self, now: Duration) -> Concerns {
        let dead = self.lease.dead().into_iter().chain(self.suspicions.dead(now)).collect();
        let (ready, wanted, over) = (self.ready.clone(), self.wanted.clone(), self.ended.over(now));
        Concerns { dead, ready, wanted, frozen: self.moving.len(), over }
    }

    /// By the last view.
    fn knowing<T: Default>(&self, now: Duration, decide: impl FnOnce(&Known<'_>) -> T) -> T {
        let Some(view) = &self.view else { return T::default() };
        let mut dead: Vec<Dead> = self.lease.dead();
        let early =
            self.suspicions.dead(now).filter(|early| dead.iter().all(|dead| dead.incarnation != early.incarnation));
        let early: Vec<Dead> = early.collect();
        dead.extend(early);
        let open: Vec<_> = view.open().map(|pod| (pod.incarnation, pod.name.clone())).collect();
        let over = self.ended.over(now);
        decide(&Known {
            me: self.me,
            open: &open,
            shards: &view.shards,
            links: &view.links,
            wanted: &self.wanted,
            dead: &dead,
            ready: &self.ready,
            frozen: self.moving.len(),
            over: &over,
        })
    }
}

#[cfg(test)]
mod tests;
