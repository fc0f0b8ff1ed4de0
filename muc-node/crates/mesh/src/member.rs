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
use crate::{Dead, Known, Lease, Observed, Owner, Round, Step, handover, plan};

/// A pod's row, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSeen {
    /// Which start of it.
    pub incarnation: Incarnation,
    /// Its name, which outlives restarts.
    pub name: Box<str>,
    /// Where other pods reach it.
    pub address: Box<str>,
    /// Its counter.
    pub beat: u64,
    /// Whether its row is open.
    pub open: bool,
}

/// Who is there and who owns what, at one moment of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// In any order; closed ones too, or they are never forgotten.
    pub pods: Vec<PodSeen>,
    /// All shards, by number.
    pub shards: Vec<Owner>,
    /// Links that have or had an owner.
    pub links: BTreeMap<Path, Owner>,
}

impl View {
    /// Pods whose row is open.
    pub fn open(&self) -> impl Iterator<Item = &PodSeen> {
        self.pods.iter().filter(|pod| pod.open)
    }

    /// Whether two views tell the same. Beats are nobody's business.
    fn tells_the_same(&self, other: &Self) -> bool {
        let pods = |view: &Self| -> BTreeMap<Incarnation, (Box<str>, Box<str>)> {
            view.open().map(|pod| (pod.incarnation, (pod.name.clone(), pod.address.clone()))).collect()
        };
        self.shards == other.shards && self.links == other.links && pods(self) == pods(other)
    }

    pub(crate) fn owner(&self, thing: &Thing) -> Option<Owner> {
        match thing {
            Thing::Shard(shard) => self.shards.get(usize::try_from(shard.0).ok()?).copied(),
            Thing::Link(link) => self.links.get(link).copied(),
        }
    }
}

/// What came of [`Todo::Do`] with a [`Step::TakeOver`], a [`Step::Claim`] or a [`Step::Forget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// The store has changed.
    Changed,
    /// It has not: the pod lives, or somebody else was faster, or it is not that far.
    Nothing,
    /// It is not known.
    Failed,
    /// We are closed ourselves.
    Closed,
}

/// News.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Answers [`Todo::Beat`].
    Beaten {
        /// When it was sent, at the latest when it was begun to be.
        sent: Duration,
        /// Whether our row is open, and counted up.
        alive: bool,
        /// All rows, read after that.
        pods: Vec<PodSeen>,
    },
    /// Answers [`Todo::Beat`]: it failed, there was no answer within [`Member::patience`], or we do not deserve it.
    BeatFailed,
    /// Answers [`Todo::ReadView`].
    View(View),
    /// Answers [`Todo::ReadView`].
    ViewFailed,
    /// Answers [`Todo::Do`], if that was not a move.
    Did(Did),
    /// Answers [`Todo::Do`] of a move, all at once or one by one: these have been moved or will not be. What has not
    /// been, or where that is not known, must stay frozen until a [`Todo::Tell`] that knows of this: it comes in any case.
    Moved(Vec<Thing>),
    /// Somebody knows a higher epoch than our view: read it.
    Poke,
    /// Other pods to which there has been a session for a while; all of them. To be said before a refusal, when one
    /// of them is lost.
    Ready(BTreeSet<Incarnation>),
    /// An established session with a pod has ended and its address refuses.
    Refused {
        /// Which pod.
        pod: Incarnation,
        /// Who has seen it: ourselves, or another one that told us.
        by: Incarnation,
    },
    /// The links that must have an owner are these now.
    Wanted(Vec<Path>),
    /// We are about to end: from now on only beats.
    Leaving,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Todo {
    /// Count up our row, then read all rows.
    Beat,
    /// Read everything at one moment.
    ReadView,
    /// Change who owns what.
    Do(Step),
    /// Let the loop know: it is news, or something was moved.
    Tell {
        /// What was read.
        view: Arc<View>,
        /// So many [`Input::Moved`] had come before it was read. A loop that has sent more leaves frozen what is.
        moved: u64,
    },
    /// We have been closed, or the store has lost its tail ([`Member::has_lost`]): end. Said once, and nothing after it.
    Closed,
}

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
        Concerns { dead, ready: self.ready.clone(), wanted: self.wanted.clone(), frozen: self.moving.len() }
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
mod tests {
    use warren_model::Shard;
    use warren_model::ids::SHARDS;

    use super::*;

    const TTL: Duration = Duration::from_secs(6);
    const ME: Incarnation = Incarnation(1);
    const OTHER: Incarnation = Incarnation(2);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn pod(incarnation: Incarnation, beat: u64) -> PodSeen {
        let name = format!("muc-{incarnation}");
        PodSeen { incarnation, name: name.into(), address: "127.0.0.1:1".into(), beat, open: true }
    }

    fn view(pods: &[Incarnation], owner: Option<Incarnation>) -> View {
        View {
            pods: pods.iter().map(|p| pod(*p, 0)).collect(),
            shards: vec![(owner, Epoch(3)); SHARDS as usize],
            links: BTreeMap::new(),
        }
    }

    fn beaten(sent: Duration, pods: &[Incarnation]) -> Input {
        let beat = |pod| if pod == ME { u64::try_from(sent.as_millis()).unwrap() } else { 0 };
        Input::Beaten { sent, alive: true, pods: pods.iter().map(|p| pod(*p, beat(*p))).collect() }
    }

    /// After its first beat and view, with nothing to do.
    fn settled(pods: &[Incarnation], owner: Incarnation) -> Member {
        let mut member = Member::new(ME, TTL, Vec::new());
        assert_eq!(member.poll(ms(0)), Some(Todo::Beat));
        assert_eq!((member.poll(ms(0)), member.next_deadline(ms(0))), (None, None), "nothing before the first beat");
        member.handle(beaten(ms(0), pods), ms(1));
        assert_eq!(member.poll(ms(1)), Some(Todo::ReadView));
        member.handle(Input::View(view(pods, Some(owner))), ms(2));
        assert!(matches!(member.poll(ms(2)), Some(Todo::Tell { .. })));
        assert_eq!((member.poll(ms(2)), member.next_deadline(ms(2))), (None, Some(ms(1000))));
        member
    }

    #[test]
    fn the_view_is_read_when_pods_come_and_when_somebody_pokes_and_told_when_it_is_news() {
        let mut member = settled(&[ME], ME);
        assert_eq!(member.poll(ms(1000)), Some(Todo::Beat));
        member.handle(beaten(ms(1000), &[ME]), ms(1001));
        assert_eq!(member.poll(ms(1001)), None);
        member.handle(Input::Poke, ms(1100));
        assert_eq!(member.poll(ms(1100)), Some(Todo::ReadView));
        member.handle(Input::View(view(&[ME], Some(ME))), ms(1101));
        assert_eq!(member.poll(ms(1101)), None, "it is no news");
        assert_eq!(member.poll(ms(2000)), Some(Todo::Beat));
        member.handle(beaten(ms(2000), &[ME, OTHER]), ms(2001));
        assert_eq!(member.poll(ms(2001)), Some(Todo::ReadView));
        member.handle(Input::ViewFailed, ms(2002));
        assert_eq!((member.poll(ms(2002)), member.next_deadline(ms(2002))), (None, Some(ms(3000))));
        assert_eq!(member.poll(ms(3002)), Some(Todo::Beat));
        member.handle(Input::BeatFailed, ms(3003));
        assert_eq!(member.poll(ms(3003)), Some(Todo::ReadView), "we still act");
        member.handle(Input::View(view(&[ME, OTHER], Some(ME))), ms(3004));
        assert!(matches!(member.poll(ms(3004)), Some(Todo::Tell { .. })));
    }

    #[test]
    fn moves_come_in_lots_and_are_told_of() {
        let mut member = settled(&[ME, OTHER], ME);
        member.handle(Input::Ready([OTHER].into()), ms(3));
        assert_eq!(member.poll(ms(3)), Some(Todo::ReadView));
        member.handle(Input::View(view(&[ME, OTHER], Some(ME))), ms(4));
        let Some(Todo::Do(Step::Move(moves))) = member.poll(ms(4)) else { panic!("nothing is moved") };
        assert_eq!(moves.len(), 256);
        member.handle(Input::Poke, ms(5));
        assert_eq!(member.poll(ms(5)), Some(Todo::ReadView));
        // Meanwhile some of them are done: what is being read may not know.
        member.handle(Input::Moved(moves.iter().skip(1).map(|(thing, ..)| thing.clone()).collect()), ms(6));
        member.handle(Input::View(view(&[ME, OTHER], Some(ME))), ms(7));
        assert_eq!(member.poll(ms(7)), Some(Todo::ReadView));
        member.handle(Input::View(view(&[ME, OTHER], Some(ME))), ms(8));
        assert!(matches!(member.poll(ms(8)), Some(Todo::Tell { moved: 1, .. })), "so that what failed goes on");
        assert_eq!(member.poll(ms(8)), None, "one is under way");
        let (last, to, seen) = moves[0].clone();
        assert_eq!((to, seen), (OTHER, Epoch(3)));
        let Thing::Shard(Shard(n)) = last else { panic!("a link is moved") };
        let mut after = view(&[ME, OTHER], Some(ME));
        after.shards[n as usize] = (Some(OTHER), Epoch(4));
        member.handle(Input::Moved(vec![last]), ms(9));
        assert_eq!(member.poll(ms(9)), Some(Todo::ReadView));
        member.handle(Input::View(after), ms(10));
        assert!(matches!(member.poll(ms(10)), Some(Todo::Tell { .. })));
        assert!(matches!(member.poll(ms(10)), Some(Todo::Do(Step::Move(_)))));
    }

    #[test]
    fn who_refuses_is_closed_soon_at_the_beat_that_was_read_then() {
        let mut member = settled(&[ME, OTHER], OTHER);
        member.handle(Input::Refused { pod: OTHER, by: ME }, ms(100));
        assert_eq!(member.poll(ms(100)), Some(Todo::Beat), "at once");
        let pods = |beat| vec![pod(ME, beat), pod(OTHER, 5)];
        member.handle(Input::Beaten { sent: ms(100), alive: true, pods: pods(2) }, ms(110));
        assert_eq!(member.poll(ms(1109)), Some(Todo::Beat));
        member.handle(Input::Beaten { sent: ms(1109), alive: true, pods: pods(3) }, ms(1110));
        assert_eq!((member.poll(ms(1110)), member.next_deadline(ms(1110))), (None, Some(ms(1310))));
        assert_eq!(member.poll(ms(1310)), Some(Todo::ReadView));
        member.handle(Input::View(view(&[ME, OTHER], Some(OTHER))), ms(1311));
        let Some(Todo::Do(Step::TakeOver { from: OTHER, beat: Some(5), assign })) = member.poll(ms(1311)) else {
            panic!("it is not taken over")
        };
        assert_eq!(assign.len(), 4096);
        // It was wrong: there is no second attempt at once.
        member.handle(Input::Did(Did::Nothing), ms(1312));
        assert_eq!(member.poll(ms(1312)), Some(Todo::Beat));
        assert_eq!(member.poll(ms(1312)), None);
    }

    #[test]
    fn who_is_closed_hears_of_it_once_and_who_leaves_only_beats() {
        let mut member = settled(&[ME, OTHER], ME);
        member.handle(Input::Leaving, ms(10));
        assert_eq!(member.handover(ms(10)).len(), 4096);
        member.handle(Input::Ready([OTHER].into()), ms(11));
        assert_eq!(member.poll(ms(11)), Some(Todo::ReadView));
        member.handle(Input::View(view(&[ME, OTHER], Some(ME))), ms(12));
        assert_eq!(member.poll(ms(12)), None);
        assert_eq!(member.poll(ms(1000)), Some(Todo::Beat));
        member.handle(Input::Beaten { sent: ms(1000), alive: false, pods: Vec::new() }, ms(1001));
        assert!(member.is_closed() && !member.acts(ms(1001)));
        assert_eq!((member.poll(ms(1001)), member.poll(ms(1001))), (Some(Todo::Closed), None));
        assert_eq!(member.next_deadline(ms(1001)), None);
    }

    #[test]
    fn who_has_seen_what_the_store_does_not_know_any_more_ends() {
        let mut member = settled(&[ME, OTHER], ME);
        assert_eq!(member.poll(ms(1000)), Some(Todo::Beat));
        member.handle(beaten(ms(1000), &[ME, OTHER]), ms(1001));
        assert_eq!(member.poll(ms(2000)), Some(Todo::Beat));
        let mut other = member.clone();
        // The beat before this one was lost, and this one counted to the same.
        let pods = vec![pod(ME, 1000), pod(OTHER, 0)];
        member.handle(Input::Beaten { sent: ms(2000), alive: true, pods }, ms(2001));
        assert!(member.has_lost() && member.is_closed() && !member.acts(ms(2001)));
        assert_eq!((member.poll(ms(2001)), member.poll(ms(2001))), (Some(Todo::Closed), None));
        other.handle(beaten(ms(2000), &[ME, OTHER]), ms(2001));
        other.handle(Input::Poke, ms(2002));
        assert_eq!(other.poll(ms(2002)), Some(Todo::ReadView));
        let mut earlier = view(&[ME, OTHER], Some(ME));
        earlier.shards[9] = (Some(OTHER), Epoch(2));
        other.handle(Input::View(earlier), ms(2003));
        assert!(other.has_lost() && other.is_closed());
        assert_eq!(other.poll(ms(2003)), Some(Todo::Closed));
    }

    #[test]
    fn who_has_ended_is_forgotten_after_a_while_and_asked_for_again_if_it_could_not_be() {
        let mut member = settled(&[ME], ME);
        let mut sight = view(&[ME], Some(ME));
        sight.pods.push(PodSeen { open: false, ..pod(OTHER, 7) });
        let (mut forgotten, mut reads) = (Vec::new(), 0);
        for now in (1000..2_000_000).step_by(100) {
            while let Some(todo) = member.poll(ms(now)) {
                match todo {
                    Todo::Beat => member.handle(beaten(ms(now), &[ME]), ms(now)),
                    Todo::ReadView => {
                        reads += 1;
                        member.handle(Input::View(sight.clone()), ms(now));
                    }
                    Todo::Do(Step::Forget(OTHER)) => {
                        forgotten.push(now);
                        // The first time something is still to be delivered.
                        let did = if forgotten.len() == 1 { Did::Nothing } else { Did::Changed };
                        member.handle(Input::Did(did), ms(now));
                        if did == Did::Changed {
                            sight.pods.pop();
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        let [first, second] = forgotten.as_slice() else { panic!("{forgotten:?}") };
        assert!((600_000..615_000).contains(first) && (600_000..610_000).contains(&(second - first)), "{forgotten:?}");
        assert!(reads < 2000 / 6 + 5, "{reads} readings");
    }

    #[test]
    fn an_answer_that_comes_too_late_is_none() {
        let mut member = settled(&[ME], ME);
        assert_eq!(member.poll(ms(1000)), Some(Todo::Beat));
        member.handle(Input::BeatFailed, ms(3000));
        assert_eq!(member.poll(ms(3000)), Some(Todo::Beat));
        member.handle(beaten(ms(1000), &[ME]), ms(3001));
        assert_eq!(member.acts_until(), Some(ms(4800)), "counted from the beat at 0");
        member.handle(beaten(ms(3000), &[ME]), ms(5001));
        assert_eq!(member.acts_until(), Some(ms(4800)), "beyond patience");
        assert_eq!(member.poll(ms(5002)), Some(Todo::Beat));
        member.handle(beaten(ms(5002), &[ME]), ms(5003));
        assert_eq!(member.acts_until(), Some(ms(9802)));
    }
}
