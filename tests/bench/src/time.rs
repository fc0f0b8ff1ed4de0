//! CPU time, which other work on the machine does not stretch as it does wall time.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Rounds of one measurement; the median counts.
const ROUNDS: usize = 9;

/// CPU time of this thread.
pub fn thread() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// CPU nanoseconds of one `work`, the median of some rounds of `times` each.
pub fn per_op(times: u32, mut work: impl FnMut()) -> f64 {
    work();
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begin = thread();
            for _ in 0..times {
                work();
            }
            thread().saturating_sub(begin).as_secs_f64() * 1e9 / f64::from(times)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

/// Two things in turn, so that a drift of the machine's speed hits both: the median of the ratios, and of each.
pub fn ratio(times: u32, mut a: impl FnMut(), mut b: impl FnMut()) -> (f64, f64, f64) {
    a();
    b();
    let once = |work: &mut dyn FnMut()| {
        let begin = thread();
        for _ in 0..times {
            work();
        }
        thread().saturating_sub(begin).as_secs_f64() * 1e9 / f64::from(times)
    };
    let mut rounds: Vec<(f64, f64, f64)> = (0..ROUNDS)
        .map(|_| {
            let (x, y) = (once(&mut a), once(&mut b));
            (x / y, x, y)
        })
        .collect();
    rounds.sort_by(|x, y| x.0.total_cmp(&y.0));
    rounds[ROUNDS / 2]
}
