//! Pods with clocks of their own, their ways to the store, and what goes wrong on them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use warren_mesh::{Did, Input, Member, Owner, Step, Todo, View, place};
use warren_model::ids::SHARDS;
use warren_model::{Epoch, Incarnation, Path, Shard, Thing};

use super::table::Table;

pub const TTL: Duration = Duration::from_secs(6);
/// In milliseconds, as all times here but those of pods' clocks.
pub const TTL_MS: u64 = 6000;
pub const TICK: u64 = 10;

pub fn link() -> Path {
    Path::new("muc.example", "")
}

/// A bit for each shard, and one for the link.
pub type Bits = [u64; 65];

pub fn bit(thing: &Thing) -> usize {
    match thing {
        Thing::Shard(shard) => shard.0 as usize,
        Thing::Link(_) => SHARDS as usize,
    }
}

pub fn bits(things: impl Iterator<Item = usize>) -> Bits {
    things.fold([0; 65], |mut bits, n| {
        bits[n / 64] |= 1 << (n % 64);
        bits
    })
}

#[derive(Clone, Debug)]
pub enum Fault {
    /// The store does nothing.
    Outage { at: u64, for_ms: u64 },
    /// A pod stands still.
    Freeze { pod: usize, at: u64, for_ms: u64 },
    /// Answers to a pod are lost.
    Mute { pod: usize, at: u64, for_ms: u64 },
    /// A process dies and is started again; its machine says so, or it is gone too.
    Crash { pod: usize, at: u64, for_ms: u64, said: bool },
}

impl Fault {
    pub fn during(&self, now: u64) -> bool {
        let (Self::Outage { at, for_ms }
        | Self::Freeze { at, for_ms, .. }
        | Self::Mute { at, for_ms, .. }
        | Self::Crash { at, for_ms, .. }) = self;
        (*at..at + for_ms).contains(&now)
    }
}

pub fn fault(pods: usize) -> impl Strategy<Value = Fault> {
    let (pod, at, for_ms) = (0..pods, 2000..40_000u64, 100..15_000u64);
    prop_oneof![
        (at.clone(), for_ms.clone()).prop_map(|(at, for_ms)| Fault::Outage { at, for_ms }),
        (pod.clone(), at.clone(), for_ms.clone()).prop_map(|(pod, at, for_ms)| Fault::Freeze { pod, at, for_ms }),
        (pod.clone(), at.clone(), for_ms.clone()).prop_map(|(pod, at, for_ms)| Fault::Mute { pod, at, for_ms }),
        (pod, at, for_ms, any::<bool>()).prop_map(|(pod, at, for_ms, said)| Fault::Crash { pod, at, for_ms, said }),
    ]
}

#[derive(Debug)]
pub enum What {
    Beat,
    Read,
    Step(Step),
}

/// A request to the store.
#[derive(Debug)]
pub struct Asked {
    what: What,
    /// By the pod's clock.
    sent: Duration,
    reaches: u64,
    returns: u64,
    answer: Option<Input>,
}

impl Asked {
    pub fn failed(&self) -> Input {
        match &self.what {
            What::Beat => Input::BeatFailed,
            What::Read => Input::ViewFailed,
            What::Step(Step::Move(moves)) => moved(moves),
            What::Step(_) => Input::Did(Did::Failed),
        }
    }
}

pub fn moved(moves: &[(Thing, Incarnation, Epoch)]) -> Input {
    Input::Moved(moves.iter().map(|(thing, ..)| thing.clone()).collect())
}

/// A process that runs.
pub struct Pod {
    pub me: Incarnation,
    pub member: Member,
    pub since: u64,
    pub asked: Vec<Asked>,
    /// What it believes to own, by what it was told.
    pub owned: Bits,
    /// What of that it has stopped to decide for.
    pub frozen: Bits,
    pub ready: BTreeSet<Incarnation>,
    pub steps: Vec<(u64, &'static str)>,
}

pub struct World {
    pub now: u64,
    pub table: Table,
    pub pods: Vec<Option<Pod>>,
    /// Thousandths: how fast a pod's clock runs.
    pub rates: Vec<u64>,
    pub starts: Vec<u64>,
    pub faults: Vec<Fault>,
    /// When, to which pod, who is said to refuse, by whom.
    pub reports: Vec<(u64, usize, Incarnation, Incarnation)>,
    /// Longest way to the store, and back.
    pub way: u64,
    pub noise: u64,
    pub incarnations: u128,
}

impl World {
    pub fn new(rates: &[u64], faults: Vec<Fault>, way: u64, seed: u64) -> Self {
        let mut world = Self {
            now: 0,
            table: Table { shards: vec![(None, Epoch(0)); SHARDS as usize], ..Table::default() },
            pods: rates.iter().map(|_| None).collect(),
            rates: rates.to_vec(),
            starts: Vec::new(),
            faults,
            reports: Vec::new(),
            way,
            noise: seed | 1,
            incarnations: 0,
        };
        world.starts = rates.iter().map(|_| world.random(8000)).collect();
        world
    }

    pub fn random(&mut self, below: u64) -> u64 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        self.noise % below
    }

    pub fn is(&self, test: impl Fn(&Fault) -> bool) -> bool {
        self.faults.iter().any(|fault| fault.during(self.now) && test(fault))
    }

    pub fn outage(&self) -> bool {
        self.is(|fault| matches!(fault, Fault::Outage { .. }))
    }

    pub fn frozen(&self, n: usize) -> bool {
        self.is(|fault| matches!(fault, Fault::Freeze { pod, .. } if *pod == n))
    }

    pub fn clock(&self, n: usize) -> Duration {
        Duration::from_secs(1000 * n as u64) + Duration::from_micros(self.now * self.rates[n])
    }

    pub fn tick(&mut self) {
        for n in 0..self.pods.len() {
            let crash = |said: bool| move |fault: &Fault| matches!(fault, Fault::Crash { pod, said: s, .. } if *pod == n && *s == said);
            if self.is(crash(false)) {
                self.pods[n] = None;
            } else if self.is(crash(true)) {
                self.crash(n);
            } else if self.pods[n].is_none() && self.now >= self.starts[n] && !self.outage() {
                self.start(n);
            }
            if let Some(mut pod) = self.pods[n].take() {
                self.pods[n] = self.turn(n, &mut pod).then_some(pod);
                if self.pods[n].is_none() {
                    self.starts[n] = self.now + 1000;
                }
            }
        }
        self.now += TICK;
    }

    pub fn start(&mut self, n: usize) {
        self.incarnations += 1;
        // Random as in life: a later start may be lower.
        let me = Incarnation(u128::from(self.random(1 << 40)) << 20 | self.incarnations);
        self.table.join(&format!("muc-{n}"), me);
        let member = Member::new(me, TTL, vec![link()]);
        self.pods[n] = Some(Pod {
            me,
            member,
            since: self.now,
            asked: Vec::new(),
            owned: [0; 65],
            frozen: [0; 65],
            ready: BTreeSet::new(),
            steps: Vec::new(),
        });
    }

    /// Whoever had a session with it sees it, and says so.
    pub fn crash(&mut self, n: usize) {
        let Some(gone) = self.pods[n].take() else { return };
        let seen: Vec<_> = (0..self.pods.len())
            .filter(|by| !self.frozen(*by))
            .filter_map(|by| Some((by, self.pods[by].as_ref().filter(|pod| pod.ready.contains(&gone.me))?.me)))
            .collect();
        for (_, by) in &seen {
            let at = self.now + self.random(50);
            for to in 0..self.pods.len() {
                let later = self.random(50);
                self.reports.push((at + later, to, gone.me, *by));
            }
        }
    }

    /// What happens to one pod in a tick. False: it has ended.
    pub fn turn(&mut self, n: usize, pod: &mut Pod) -> bool {
        let clock = self.clock(n);
        if !self.outage() {
            for asked in pod.asked.iter_mut().filter(|asked| asked.answer.is_none() && self.now >= asked.reaches) {
                asked.answer = Some(match &asked.what {
                    What::Beat => {
                        let alive = self.table.is_open(pod.me);
                        self.table.rows.entry(pod.me).and_modify(|row| row.beat += u64::from(row.open));
                        Input::Beaten { sent: asked.sent, alive, pods: self.table.pods() }
                    }
                    What::Read => Input::View(View {
                        pods: self.table.pods(),
                        shards: self.table.shards.clone(),
                        links: self.table.links.clone(),
                    }),
                    What::Step(step) => {
                        let did = self.table.carry_out(pod.me, step);
                        if let Step::Move(moves) = step { moved(moves) } else { Input::Did(did) }
                    }
                });
            }
        }
        if self.frozen(n) {
            return true;
        }
        self.news(n, pod, clock);
        let mute = self.is(|fault| matches!(fault, Fault::Mute { pod, .. } if *pod == n));
        for asked in std::mem::take(&mut pod.asked) {
            let patience = if matches!(asked.what, What::Beat) { pod.member.patience() } else { TTL };
            if clock >= asked.sent + patience {
                pod.member.handle(asked.failed(), clock);
                continue;
            }
            match asked.answer {
                Some(answer) if self.now >= asked.returns && !mute => pod.member.handle(answer, clock),
                answer => pod.asked.push(Asked { answer, ..asked }),
            }
        }
        let mut turns = 0;
        while let Some(todo) = pod.member.poll(clock) {
            turns += 1;
            assert!(turns < 20, "it spins");
            let what = match todo {
                Todo::Beat => What::Beat,
                Todo::ReadView => What::Read,
                Todo::Do(step) => What::Step(step),
                Todo::Closed => return false,
                Todo::Tell { view, .. } => {
                    let mine = |(owner, _): &Owner| *owner == Some(pod.me);
                    let shards = view.shards.iter().enumerate().filter(|(_, row)| mine(row)).map(|(n, _)| n);
                    let links = view.links.values().filter(|row| mine(row)).map(|_| SHARDS as usize);
                    pod.owned = bits(shards.chain(links));
                    // What is under way stays frozen.
                    let moving = pod.asked.iter().filter_map(|asked| match &asked.what {
                        What::Step(Step::Move(moves)) => Some(moves),
                        _ => None,
                    });
                    pod.frozen = bits(moving.flatten().map(|(thing, ..)| bit(thing)));
                    continue;
                }
            };
            if let What::Step(step) = &what {
                let kind = match step {
                    Step::TakeOver { .. } => "take over",
                    Step::Claim(_) => "claim",
                    Step::Forget(_) => "forget",
                    Step::Move(moves) => {
                        assert!(moves.len() <= 256 && pod.frozen_by(moves) == 0, "one lot at a time");
                        let more = bits(moves.iter().map(|(thing, ..)| bit(thing)));
                        pod.frozen.iter_mut().zip(more).for_each(|(word, more)| *word |= more);
                        "move"
                    }
                };
                pod.steps.push((self.now, kind));
            }
            let reaches = self.now + self.random(self.way);
            let returns = reaches + self.random(self.way);
            pod.asked.push(Asked { what, sent: clock, reaches, returns, answer: None });
        }
        let next = pod.member.next_deadline(clock);
        assert!(next.is_none_or(|next| next > clock), "there was nothing to do, but it is to be asked again at once");
        true
    }

    /// What others say.
    pub fn news(&mut self, n: usize, pod: &mut Pod, clock: Duration) {
        let others = self.pods.iter().enumerate().filter(|(other, _)| *other != n && !self.frozen(*other));
        let long = |other: &&Pod| self.now >= other.since.max(pod.since) + 1000;
        let ready = others.filter_map(|(_, other)| other.as_ref()).filter(long).map(|other| other.me).collect();
        if ready != pod.ready {
            pod.ready = ready;
            pod.member.handle(Input::Ready(pod.ready.clone()), clock);
        }
        let now = self.now;
        self.reports.retain(|(at, to, refuses, by)| {
            let here = *to == n && *at <= now;
            if here {
                pod.member.handle(Input::Refused { pod: *refuses, by: *by }, clock);
            }
            !here
        });
    }

    /// Of two pods that both act, something that both own.
    pub fn conflict(&self) -> Option<String> {
        let pods = self.pods.iter().enumerate().filter_map(|(n, pod)| Some((n, pod.as_ref()?)));
        let acting: Vec<_> = pods.filter(|(n, pod)| pod.member.acts(self.clock(*n))).collect();
        for (i, (n, a)) in acting.iter().enumerate() {
            for (m, b) in &acting[i + 1..] {
                let both = a.decides().zip(b.decides()).filter(|(a, b)| a & b != 0).count();
                if both > 0 {
                    return Some(format!("pods {n} and {m} act for the same things at {} ms", self.now));
                }
            }
        }
        None
    }

    /// What is not as it should be when nothing has happened for long.
    pub fn unsettled(&self) -> Option<String> {
        let running = self.pods.iter().enumerate().filter_map(|(n, pod)| Some((n, pod.as_ref()?)));
        let named: BTreeMap<_, _> = running.map(|(n, pod)| (format!("muc-{n}").into(), pod.me)).collect();
        let Some(placement) = place(&named).filter(|_| named.len() == self.pods.len()) else {
            return Some(format!("only {} pods run", named.len()));
        };
        for (n, (owner, _)) in (0..).zip(&self.table.shards) {
            if *owner != Some(placement.shard(Shard(n))) {
                return Some(format!("shard {n} is with {owner:?}"));
            }
        }
        let owner = self.table.links.get(&link()).and_then(|row| row.0);
        if !owner.is_some_and(|owner| named.values().any(|pod| *pod == owner)) {
            return Some(format!("the link is with {owner:?}"));
        }
        for (n, pod) in self.pods.iter().enumerate().filter_map(|(n, pod)| Some((n, pod.as_ref()?))) {
            let shards = (0..SHARDS as usize).filter(|shard| self.table.shards[*shard].0 == Some(pod.me));
            let link = (owner == Some(pod.me)).then_some(SHARDS as usize);
            if !pod.decides().eq(bits(shards.chain(link))) {
                return Some(format!("pod {n} believes something else than the table says"));
            }
            if !pod.member.acts(self.clock(n)) {
                return Some(format!("pod {n} does not act"));
            }
            if let Some((at, kind)) = pod.steps.last().filter(|(at, _)| at + TTL_MS > self.now) {
                return Some(format!("pod {n} still had a step at {at} ms: {kind}"));
            }
        }
        None
    }
}

impl Pod {
    pub fn decides(&self) -> impl Iterator<Item = u64> {
        self.owned.iter().zip(&self.frozen).map(|(owned, frozen)| owned & !frozen)
    }

    /// How many of these are frozen already.
    pub fn frozen_by(&self, moves: &[(Thing, Incarnation, Epoch)]) -> usize {
        moves.iter().map(|(thing, ..)| bit(thing)).filter(|n| self.frozen[n / 64] >> (n % 64) & 1 == 1).count()
    }
}
