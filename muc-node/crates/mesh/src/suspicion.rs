//! A verdict before the TTL: pods whose sessions have ended and whose addresses refuse.
//!
//! A process that has died is reported by its machine at once, to everybody who had a session with it. Two such reports
//! are enough to close it, if it does not beat any more: its beat is read after the reports, and it is closed a little
//! more than the time between two beats later, at the beat that was read. Without that wait a report that is wrong
//! would end a pod that lives, since nobody beats between a reading and the transaction that follows it at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use warren_model::Incarnation;

use crate::{Dead, Observed};

#[derive(Clone, Debug, Default)]
struct Suspicion {
    /// Who saw it, and when we were told.
    by: BTreeMap<Incarnation, Duration>,
    /// Since when enough have seen it.
    enough: Option<Duration>,
    /// Its beat, in an answer of then to what was asked after that.
    read: Option<(u64, Duration)>,
    /// Whether the verdict was noticed by [`Suspicions::due`].
    due: bool,
}

/// Everybody of whom we have heard that it refuses.
#[derive(Clone, Debug)]
pub(crate) struct Suspicions {
    me: Incarnation,
    ttl: Duration,
    pods: BTreeMap<Incarnation, Suspicion>,
}

impl Suspicions {
    pub fn new(me: Incarnation, ttl: Duration) -> Self {
        Self { me, ttl, pods: BTreeMap::new() }
    }

    /// `by` has lost a session with `pod`, whose address refuses. True: then its beat should be read now.
    pub fn refused(&mut self, pod: Incarnation, by: Incarnation, open: &BTreeSet<Incarnation>, now: Duration) -> bool {
        if pod == self.me || pod == by || !open.contains(&pod) {
            return false;
        }
        self.pods.entry(pod).or_default().by.insert(by, now);
        let known = self.pods.get(&pod).is_some_and(|suspicion| suspicion.enough.is_some());
        self.weigh(open, now);
        !known && self.pods.get(&pod).is_some_and(|suspicion| suspicion.enough.is_some())
    }

    /// There are sessions with these again.
    pub fn ready(&mut self, pods: &BTreeSet<Incarnation>) {
        for (_, suspicion) in self.pods.iter_mut().filter(|(pod, _)| pods.contains(pod)) {
            suspicion.by.remove(&self.me);
            (suspicion.enough, suspicion.read, suspicion.due) = (None, None, false);
        }
    }

    /// The rows of all open pods, asked for and answered then.
    pub fn read(&mut self, rows: &[Observed], sent: Duration, answered: Duration) {
        let open: BTreeSet<Incarnation> = rows.iter().map(|row| row.incarnation).collect();
        let ttl = self.ttl;
        for suspicion in self.pods.values_mut() {
            suspicion.by.retain(|by, at| open.contains(by) && answered.saturating_sub(*at) < ttl);
        }
        self.pods.retain(|pod, suspicion| {
            let Some(row) = rows.iter().find(|row| row.incarnation == *pod) else { return false };
            match (suspicion.enough, suspicion.read) {
                // It lives: whoever could not reach it was wrong.
                (_, Some((beat, _))) if beat != row.beat => return false,
                (Some(since), None) if sent >= since => suspicion.read = Some((row.beat, answered)),
                _ => {}
            }
            !suspicion.by.is_empty()
        });
        self.weigh(&open, answered);
    }

    /// This one was dealt with.
    pub fn done(&mut self, pod: Incarnation) {
        self.pods.remove(&pod);
    }

    /// Whether a verdict has come to be since this was asked last.
    pub fn due(&mut self, now: Duration) -> bool {
        let wait = self.wait();
        let ripe = |suspicion: &Suspicion| suspicion.read.is_some_and(|(_, at)| now >= at + wait);
        let new = self.pods.values_mut().filter(|suspicion| !suspicion.due && ripe(suspicion));
        new.map(|suspicion| suspicion.due = true).count() > 0
    }

    /// When [`Self::due`] should be asked.
    pub fn deadline(&self) -> Option<Duration> {
        let new = self.pods.values().filter(|suspicion| !suspicion.due);
        new.filter_map(|suspicion| suspicion.read).map(|(_, at)| at + self.wait()).min()
    }

    /// Who may be closed, at the beat that was read.
    pub fn dead(&self, now: Duration) -> impl Iterator<Item = Dead> {
        let wait = self.wait();
        self.pods.iter().filter_map(move |(pod, suspicion)| {
            let (beat, _) = suspicion.read.filter(|(_, at)| now >= *at + wait)?;
            Some(Dead { incarnation: *pod, beat })
        })
    }

    /// Beats come every sixth of a TTL.
    fn wait(&self) -> Duration {
        self.ttl / 5
    }

    /// Ourselves and another one, or ourselves alone when there is nobody else.
    fn weigh(&mut self, open: &BTreeSet<Incarnation>, now: Duration) {
        let needed = open.len().saturating_sub(1).min(2);
        for suspicion in self.pods.values_mut() {
            let by = suspicion.by.keys().filter(|by| open.contains(by)).count();
            if suspicion.by.contains_key(&self.me) && by >= needed {
                suspicion.enough.get_or_insert(now);
            } else {
                (suspicion.enough, suspicion.read, suspicion.due) = (None, None, false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Incarnation = Incarnation(1);
    const OTHER: Incarnation = Incarnation(2);
    const SUSPECT: Incarnation = Incarnation(3);

    fn s(tenths: u64) -> Duration {
        Duration::from_millis(tenths * 100)
    }

    fn open(pods: &[Incarnation]) -> BTreeSet<Incarnation> {
        pods.iter().copied().collect()
    }

    fn rows(pods: &[Incarnation], beat: u64) -> Vec<Observed> {
        pods.iter().map(|pod| Observed { incarnation: *pod, beat }).collect()
    }

    fn dead(suspicions: &Suspicions, now: Duration) -> Vec<Dead> {
        suspicions.dead(now).collect()
    }

    #[test]
    fn two_of_three_and_a_beat_that_stands_still() {
        let all = open(&[ME, OTHER, SUSPECT]);
        let mut suspicions = Suspicions::new(ME, s(60));
        assert!(!suspicions.refused(SUSPECT, OTHER, &all, s(0)), "we have not seen it");
        suspicions.read(&rows(&[ME, OTHER, SUSPECT], 7), s(1), s(1));
        assert!(suspicions.refused(SUSPECT, ME, &all, s(5)));
        assert!(!suspicions.refused(SUSPECT, ME, &all, s(6)), "that is known");
        suspicions.read(&rows(&[ME, OTHER, SUSPECT], 8), s(4), s(7));
        assert_eq!(suspicions.deadline(), None, "it was asked before");
        suspicions.read(&rows(&[ME, OTHER, SUSPECT], 9), s(7), s(8));
        assert_eq!(suspicions.deadline(), Some(s(20)));
        assert!(!suspicions.due(s(19)) && dead(&suspicions, s(19)).is_empty());
        assert!(suspicions.due(s(20)) && !suspicions.due(s(20)), "said once");
        assert_eq!(dead(&suspicions, s(20)), [Dead { incarnation: SUSPECT, beat: 9 }]);
        suspicions.read(&rows(&[ME, OTHER, SUSPECT], 10), s(21), s(21));
        assert!(dead(&suspicions, s(60)).is_empty(), "it lives after all");
    }

    #[test]
    fn alone_among_two() {
        let mut suspicions = Suspicions::new(ME, s(60));
        assert!(suspicions.refused(SUSPECT, ME, &open(&[ME, SUSPECT]), s(0)));
        suspicions.read(&rows(&[ME, SUSPECT], 1), s(0), s(1));
        assert!(suspicions.due(s(13)));
    }

    #[test]
    fn what_does_not_count() {
        let all = open(&[ME, OTHER, SUSPECT]);
        let mut suspicions = Suspicions::new(ME, s(60));
        let gone = Incarnation(9);
        assert!(!suspicions.refused(SUSPECT, ME, &all, s(0)));
        assert!(!suspicions.refused(SUSPECT, gone, &all, s(0)), "said by somebody who is not open");
        assert!(!suspicions.refused(ME, OTHER, &all, s(0)) && !suspicions.refused(SUSPECT, SUSPECT, &all, s(0)));
        suspicions.read(&rows(&[ME, OTHER, SUSPECT], 1), s(60), s(60));
        assert!(!suspicions.refused(SUSPECT, OTHER, &all, s(61)), "ours is a TTL old");
        assert!(suspicions.refused(SUSPECT, ME, &all, s(62)));
        suspicions.ready(&open(&[SUSPECT]));
        suspicions.read(&rows(&[ME, OTHER, SUSPECT], 1), s(63), s(63));
        assert_eq!(suspicions.deadline(), None, "there is a session again");
    }
}
