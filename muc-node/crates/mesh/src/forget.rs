//! When the row of a pod that has ended may go.
//!
//! What is kept of it are the numbers of the stanzas that it routed, by which rooms know repeats. Its own memory ended
//! with it, and nobody listens to a pod that is not open (0004), so nothing is repeated but what owners had taken from
//! it and not handled yet. Those waits are of seconds: the longest is that of a stanza for a room whose shard is moved
//! or taken over. By our own clock, since the row says nothing about when, and no two clocks are compared.

use std::collections::BTreeMap;
use std::time::Duration;

use warren_model::Incarnation;

/// How long a pod has been seen closed before it is forgotten; and how long until the next attempt, when the store says
/// that it is not that far.
pub const FORGET: Duration = Duration::from_mins(10);

/// Pods that have ended, with when they were first seen so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ended {
    since: BTreeMap<Incarnation, Duration>,
}

impl Ended {
    /// All pods that are closed, as they were read now.
    pub fn read(&mut self, closed: impl Iterator<Item = Incarnation>, now: Duration) {
        let before = std::mem::take(&mut self.since);
        self.since = closed.map(|pod| (pod, before.get(&pod).copied().unwrap_or(now))).collect();
    }

    /// Those of which nothing is under way any more.
    pub fn over(&self, now: Duration) -> Vec<Incarnation> {
        let long = self.since.iter().filter(|(_, since)| now.saturating_sub(**since) >= FORGET);
        long.map(|(pod, _)| *pod).collect()
    }

    /// An attempt to forget it is over. What it is not that far with takes its time.
    pub fn tried(&mut self, pod: Incarnation, now: Duration) {
        self.since.entry(pod).and_modify(|since| *since = now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Incarnation = Incarnation(1);
    const B: Incarnation = Incarnation(2);

    #[test]
    fn ten_minutes_each_and_again() {
        let mut ended = Ended::default();
        let s = Duration::from_secs;
        ended.read([A].into_iter(), s(5));
        ended.read([A, B].into_iter(), s(100));
        assert!(ended.over(s(604)).is_empty());
        assert_eq!(ended.over(s(605)), [A]);
        ended.tried(A, s(606));
        assert_eq!(ended.over(s(700)), [B], "the store has refused the first");
        ended.read([B].into_iter(), s(701));
        assert_eq!(ended.over(s(9999)), [B], "somebody else has forgotten it");
        ended.tried(A, s(701));
        ended.read([A, B].into_iter(), s(702));
        assert_eq!(ended.over(s(1300)), [B], "a row that comes back counts anew");
    }
}
