//! Beats: a pod's own right to act, and what it may conclude from the beats of others.
//!
//! Each pod counts up its row in the store so many times per TTL, and reads the rows of all others on the way.
//!
//! - It **acts** until 0.8 TTL after it *sent* its last beat that succeeded. A pod that was frozen, or cut off from the
//!   store, stops by itself.
//! - It may **close** another one after it has seen the same beat for a TTL, *while its own beats succeeded without a
//!   gap for a TTL*: an outage of the store, in which nobody can beat, must not start a land grab when it ends.
//!
//! The store closes a pod only if its beat is still the one that was seen. So the last beat that succeeded was sent
//! before it was first seen, and 0.8 TTL after that its pod stopped, at the latest: before it is closed, unless
//! clocks run at rates that differ by more than a quarter.

use std::collections::BTreeMap;
use std::time::Duration;

use warren_model::Incarnation;

/// Beats per TTL.
const BEATS: u32 = 6;

/// A pod's row, as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Which start of which pod.
    pub incarnation: Incarnation,
    /// Its counter.
    pub beat: u64,
}

/// What a beat came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Round {
    /// It is in the store; these are the open pods, read after it.
    Alive(Vec<Observed>),
    /// We have been closed: never act again.
    Closed,
    /// It is not known whether it is in the store.
    Failed,
}

/// Somebody who may be closed, if its beat is still this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dead {
    /// Who.
    pub incarnation: Incarnation,
    /// The beat at which it stopped.
    pub beat: u64,
}

/// A beat of somebody else: from when, and until when, it is known to have stood unchanged.
#[derive(Clone, Copy, Debug)]
struct Stood {
    beat: u64,
    from: Duration,
    until: Duration,
}

/// The lease of one pod, and its view of the others.
///
/// All times are the pod's own boot-time clock, which goes on while the machine is suspended.
#[derive(Clone, Debug)]
pub struct Lease {
    me: Incarnation,
    ttl: Duration,
    /// When the last beat that succeeded was sent.
    good: Option<Duration>,
    /// When the first of those was sent that succeeded without a gap until now.
    steady: Option<Duration>,
    others: BTreeMap<Incarnation, Stood>,
    closed: bool,
}

impl Lease {
    /// Before the first beat: does not act.
    pub fn new(me: Incarnation, ttl: Duration) -> Self {
        Self { me, ttl, good: None, steady: None, others: BTreeMap::new(), closed: false }
    }

    /// Time between two beats.
    pub fn period(&self) -> Duration {
        self.ttl / BEATS
    }

    /// Takes the outcome of a beat that was sent and answered then. A beat that takes longer than [`Self::patience`]
    /// should be given up as failed.
    pub fn round(&mut self, sent: Duration, answered: Duration, round: Round) {
        let observed = match round {
            Round::Alive(observed) => observed,
            Round::Closed => {
                self.closed = true;
                return;
            }
            Round::Failed => {
                // The right to act lasts; what may be concluded about others begins anew.
                self.steady = None;
                return;
            }
        };
        if self.good.is_none_or(|last| sent.saturating_sub(last) > self.ttl / 2) {
            self.steady = None;
        }
        self.good = Some(sent);
        self.steady.get_or_insert(sent);
        self.others.retain(|incarnation, _| observed.iter().any(|seen| seen.incarnation == *incarnation));
        for Observed { incarnation, beat } in observed {
            if incarnation == self.me {
                continue;
            }
            // The rows were read after the beat was sent and before its answer came.
            self.others
                .entry(incarnation)
                .and_modify(|stood| {
                    if stood.beat == beat {
                        stood.until = sent;
                    } else {
                        *stood = Stood { beat, from: answered, until: answered };
                    }
                })
                .or_insert(Stood { beat, from: answered, until: answered });
        }
    }

    /// How long a beat may take before it counts as failed.
    pub fn patience(&self) -> Duration {
        self.ttl / 3
    }

    /// Until when this pod may act; `None`: not at all.
    pub fn acts_until(&self) -> Option<Duration> {
        self.good.filter(|_| !self.closed).map(|sent| sent + self.ttl * 4 / 5)
    }

    /// Whether this pod may act now.
    pub fn acts(&self, now: Duration) -> bool {
        self.acts_until().is_some_and(|until| now < until)
    }

    /// Whether this pod has been closed by another one, or by its own next incarnation.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Who may be closed, by incarnation.
    pub fn dead(&self) -> Vec<Dead> {
        let (Some(since), Some(last), false) = (self.steady, self.good, self.closed) else { return Vec::new() };
        if last.saturating_sub(since) < self.ttl {
            return Vec::new();
        }
        let stood = |stood: &Stood| stood.until.saturating_sub(stood.from) >= self.ttl;
        self.others
            .iter()
            .filter(|(_, other)| stood(other))
            .map(|(incarnation, other)| Dead { incarnation: *incarnation, beat: other.beat })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(6);
    const ME: Incarnation = Incarnation(1);
    const OTHER: Incarnation = Incarnation(2);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn alive(beat: u64) -> Round {
        Round::Alive(vec![Observed { incarnation: ME, beat: 0 }, Observed { incarnation: OTHER, beat }])
    }

    #[test]
    fn a_pod_acts_for_a_while_after_each_beat_counted_from_its_sending() {
        let mut lease = Lease::new(ME, TTL);
        assert!(!lease.acts(s(0)), "not before the first beat");
        lease.round(s(10), s(12), alive(1));
        assert!(lease.acts(Duration::from_millis(14_799)));
        assert!(!lease.acts(Duration::from_millis(14_800)), "counted from when it was sent, not from the answer");
        lease.round(s(13), s(13), Round::Failed);
        assert!(lease.acts(s(14)), "one failure takes nothing away");
        lease.round(s(20), s(20), alive(1));
        assert!(lease.acts(s(21)), "a pod that nobody has closed goes on");
        lease.round(s(22), s(22), Round::Closed);
        assert!(!lease.acts(s(22)) && lease.is_closed());
    }

    #[test]
    fn somebody_who_does_not_beat_for_a_ttl_is_dead() {
        let mut lease = Lease::new(ME, TTL);
        for now in 0..=6 {
            lease.round(s(now), s(now), alive(7));
            assert_eq!(lease.dead().is_empty(), now < 6, "at {now} s");
        }
        assert_eq!(lease.dead(), [Dead { incarnation: OTHER, beat: 7 }]);
        lease.round(s(7), s(7), alive(8));
        assert!(lease.dead().is_empty(), "it lives after all");
        lease.round(s(8), s(8), Round::Alive(Vec::new()));
        assert!(lease.dead().is_empty(), "somebody else has closed it");
    }

    #[test]
    fn after_an_outage_of_the_store_nobody_is_dead_until_a_ttl_of_good_beats() {
        let mut lease = Lease::new(ME, TTL);
        (0..=3).for_each(|now| lease.round(s(now), s(now), alive(7)));
        (4..=30).for_each(|now| lease.round(s(now), s(now), Round::Failed));
        for now in 31..=36 {
            lease.round(s(now), s(now), alive(7));
            assert!(lease.dead().is_empty(), "at {now} s: the others could not beat either");
        }
        lease.round(s(37), s(37), alive(7));
        assert_eq!(lease.dead().len(), 1);
    }

    #[test]
    fn a_gap_without_answers_is_as_bad_as_failures() {
        let mut lease = Lease::new(ME, TTL);
        (0..=3).for_each(|now| lease.round(s(now), s(now), alive(7)));
        // This pod itself was frozen, perhaps with the whole machine on which the store runs.
        lease.round(s(60), s(60), alive(7));
        assert!(lease.dead().is_empty());
        (61..=66).for_each(|now| lease.round(s(now), s(now), alive(7)));
        assert_eq!(lease.dead().len(), 1);
    }
}
