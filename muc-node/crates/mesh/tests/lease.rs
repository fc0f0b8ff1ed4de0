//! Pods, a store and time, at random: outages, slow answers, lost answers, frozen pods, clocks of different rates. Two
//! pods never act for the same thing, and the dead are found.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use warren_mesh::{Lease, Observed, Round};
use warren_model::Incarnation;

/// [`TTL`] in milliseconds.
const TTL_MS: u64 = 6000;
const TTL: Duration = Duration::from_secs(6);

#[derive(Clone, Debug)]
enum Fault {
    /// The store takes no beats and answers nothing.
    Outage { at: u64, for_ms: u64 },
    /// A pod stands still, in the middle of whatever it does.
    Freeze { pod: usize, at: u64, for_ms: u64 },
    /// The answers to a pod are lost; its beats are not.
    Mute { pod: usize, at: u64, for_ms: u64 },
    /// A pod is gone for good.
    Kill { pod: usize, at: u64 },
}

fn fault(pods: usize) -> impl Strategy<Value = Fault> {
    let (at, long) = (0..60_000u64, 100..20_000u64);
    prop_oneof![
        (at.clone(), long.clone()).prop_map(|(at, for_ms)| Fault::Outage { at, for_ms }),
        (0..pods, at.clone(), long.clone()).prop_map(|(pod, at, for_ms)| Fault::Freeze { pod, at, for_ms }),
        (0..pods, at.clone(), long).prop_map(|(pod, at, for_ms)| Fault::Mute { pod, at, for_ms }),
        (0..pods, at).prop_map(|(pod, at)| Fault::Kill { pod, at }),
    ]
}

/// A beat on its way.
#[derive(Debug)]
struct Asked {
    /// By the pod's clock.
    sent: Duration,
    reaches: u64,
    returns: u64,
    /// What the store said when it got there.
    said: Option<Round>,
}

struct Pod {
    lease: Lease,
    /// Thousandths: how fast its clock runs.
    rate: u64,
    asked: Option<Asked>,
    next: u64,
}

struct World {
    pods: Vec<Pod>,
    /// Beat, and whether the pod is open.
    rows: BTreeMap<usize, (u64, bool)>,
    faults: Vec<Fault>,
    noise: u64,
}

fn name(pod: usize) -> Incarnation {
    Incarnation(pod as u128 + 1)
}

impl World {
    fn new(rates: &[u64], faults: Vec<Fault>, seed: u64) -> Self {
        let pod = |(n, rate): (usize, &u64)| Pod {
            lease: Lease::new(name(n), TTL),
            rate: *rate,
            asked: None,
            next: n as u64 * 37,
        };
        let rows = (0..rates.len()).map(|n| (n, (0, true))).collect();
        Self { pods: rates.iter().enumerate().map(pod).collect(), rows, faults, noise: seed | 1 }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        self.noise % below
    }

    fn is(&self, now: u64, test: impl Fn(&Fault) -> Option<(u64, u64)>) -> bool {
        self.faults.iter().filter_map(test).any(|(at, for_ms)| (at..at.saturating_add(for_ms)).contains(&now))
    }

    fn frozen(&self, pod: usize, now: u64) -> bool {
        self.is(now, |fault| match fault {
            Fault::Freeze { pod: p, at, for_ms } if *p == pod => Some((*at, *for_ms)),
            Fault::Kill { pod: p, at } if *p == pod => Some((*at, u64::MAX)),
            _ => None,
        })
    }

    fn outage(&self, now: u64) -> bool {
        self.is(now, |fault| match fault {
            Fault::Outage { at, for_ms } => Some((*at, *for_ms)),
            _ => None,
        })
    }

    fn mute(&self, pod: usize, now: u64) -> bool {
        self.is(now, |fault| match fault {
            Fault::Mute { pod: p, at, for_ms } if *p == pod => Some((*at, *for_ms)),
            _ => None,
        })
    }

    fn clock(&self, pod: usize, now: u64) -> Duration {
        Duration::from_millis(1_000_000 * pod as u64) + Duration::from_micros(now * self.pods[pod].rate)
    }

    /// One millisecond. Returns who was closed in it.
    fn step(&mut self, now: u64) -> Vec<usize> {
        let mut closed = Vec::new();
        for n in 0..self.pods.len() {
            let clock = self.clock(n, now);
            // What is under way goes on while a pod stands still.
            let outage = self.outage(now);
            if let Some(asked) = self.pods[n].asked.as_mut().filter(|asked| asked.said.is_none())
                && now >= asked.reaches
                && !outage
            {
                let open = self.rows[&n].1;
                if open {
                    self.rows.entry(n).and_modify(|row| row.0 += 1);
                }
                let rows = self.rows.iter().filter(|(_, row)| row.1);
                let seen = rows.map(|(pod, row)| Observed { incarnation: name(*pod), beat: row.0 }).collect();
                asked.said = Some(if open { Round::Alive(seen) } else { Round::Closed });
            }
            if self.frozen(n, now) {
                continue;
            }
            let mute = self.mute(n, now);
            let pod = &mut self.pods[n];
            if let Some(asked) = pod.asked.take() {
                let patient = clock < asked.sent + pod.lease.patience();
                match asked.said {
                    Some(said) if now >= asked.returns && !mute && patient => {
                        pod.lease.round(asked.sent, clock, said);
                        closed.extend(self.close_the_dead(n));
                    }
                    _ if patient => pod.asked = Some(asked),
                    _ => pod.lease.round(asked.sent, clock, Round::Failed),
                }
            } else if now >= pod.next && !pod.lease.is_closed() {
                let period = TTL_MS / 6;
                pod.next = now + period;
                let reaches = now + self.random(300);
                let returns = reaches + self.random(300);
                self.pods[n].asked = Some(Asked { sent: clock, reaches, returns, said: None });
            }
        }
        closed
    }

    /// As the store does it: only if the beat still stands, and only for somebody who is open.
    fn close_the_dead(&mut self, by: usize) -> Vec<usize> {
        let mut closed = Vec::new();
        for dead in self.pods[by].lease.dead() {
            let Some(n) = (0..self.pods.len()).find(|n| name(*n) == dead.incarnation) else { continue };
            if self.rows[&by].1 && self.rows[&n] == (dead.beat, true) {
                self.rows.insert(n, (dead.beat, false));
                closed.push(n);
            }
        }
        closed
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn who_is_closed_has_stopped_before(
        rates in prop::collection::vec(900..1100u64, 2..5),
        faults in prop::collection::vec(fault(4), 0..6),
        seed: u64,
    ) {
        let mut world = World::new(&rates, faults, seed);
        let mut gone: Vec<usize> = Vec::new();
        for now in 0..90_000 {
            gone.extend(world.step(now));
            for n in &gone {
                let clock = world.clock(*n, now);
                prop_assert!(!world.pods[*n].lease.acts(clock), "pod {n} acts at {now} ms although it was closed");
            }
        }
    }

    #[test]
    fn the_dead_are_found_soon_and_nobody_else_is_closed(seed: u64, at in 10_000..30_000u64) {
        let mut world = World::new(&[1000, 1010, 990], vec![Fault::Kill { pod: 1, at }], seed);
        let mut closed = BTreeMap::new();
        for now in 0..60_000 {
            closed.extend(world.step(now).into_iter().map(|n| (n, now)));
        }
        prop_assert_eq!(closed.keys().copied().collect::<Vec<_>>(), [1]);
        // Its last beat may have been on its way; then a TTL, and the time until somebody looks.
        prop_assert!(closed[&1] < at + TTL_MS + 600 + 2 * 1600, "killed at {at}, closed at {}", closed[&1]);
    }

    #[test]
    fn an_outage_of_the_store_closes_nobody(seed: u64, at in 10_000..20_000u64, for_ms in 100..30_000u64) {
        let mut world = World::new(&[1000, 1010, 990], vec![Fault::Outage { at, for_ms }], seed);
        for now in 0..70_000 {
            prop_assert!(world.step(now).is_empty(), "somebody was closed at {now}");
        }
        for n in 0..3 {
            prop_assert!(world.pods[n].lease.acts(world.clock(n, 69_999)), "pod {n} goes on afterwards");
        }
    }
}
