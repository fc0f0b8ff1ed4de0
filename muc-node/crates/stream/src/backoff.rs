//! How long to wait before connecting again.

use std::time::Duration;

/// Exponential back-off with jitter: each wait is between half of the current step and all of it,
/// and the step doubles from `min` to `max`. The jitter keeps pods that lost the same server from
/// coming back at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    step: Duration,
}

impl Backoff {
    /// Begins with `min`; never waits longer than `max`.
    pub fn new(min: Duration, max: Duration) -> Self {
        Self { min, max: max.max(min), step: min }
    }

    /// The next wait. `seed` is any number that differs between pods and calls.
    pub fn next(&mut self, seed: u64) -> Duration {
        let step = self.step;
        self.step = (step * 2).min(self.max);
        let half = step / 2;
        half + half.mul_f64(fraction(seed))
    }

    /// To be called when a connection has proved to work.
    pub fn reset(&mut self) {
        self.step = self.min;
    }
}

/// A number in `0..1` that looks random (the finalizer of SplitMix64).
fn fraction(seed: u64) -> f64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^= x >> 31;
    let upper = u32::try_from(x >> 32).unwrap_or_default();
    f64::from(upper) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_its_bound() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
        for (seed, step) in [1, 2, 4, 8, 10, 10].into_iter().enumerate() {
            let wait = backoff.next(seed as u64);
            assert!(wait >= Duration::from_secs(step) / 2 && wait < Duration::from_secs(step), "{wait:?}");
        }
        backoff.reset();
        assert!(backoff.next(7) < Duration::from_secs(1));
    }

    #[test]
    fn seeds_spread() {
        let first = |seed| Backoff::new(Duration::from_secs(8), Duration::from_secs(8)).next(seed).as_secs();
        let waits: std::collections::BTreeSet<_> = (0..100).map(first).collect();
        assert_eq!(waits.into_iter().collect::<Vec<_>>(), [4, 5, 6, 7]);
    }
}
