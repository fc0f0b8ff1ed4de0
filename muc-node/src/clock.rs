//! The two clocks of a pod.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};
use warren_model::{Now, UnixMs};

/// The time, as the pure parts want it: deadlines by the boot-time clock, which nobody sets and which goes on
/// while the machine sleeps; stamps by the wall clock.
pub fn now() -> Now {
    Now { mono: boot(), wall: wall() }
}

/// Time since the machine was started.
pub fn boot() -> Duration {
    duration(clock_gettime(ClockId::Boottime))
}

/// Time since 1970.
pub fn wall() -> UnixMs {
    UnixMs(u64::try_from(duration(clock_gettime(ClockId::Realtime)).as_millis()).unwrap_or(u64::MAX))
}

/// Both clocks count up from a moment in the past; should the wall clock stand before 1970, it is 1970.
fn duration(time: Timespec) -> Duration {
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_go() {
        let (first, second) = (now(), now());
        assert!(first.mono <= second.mono && first.mono > Duration::ZERO);
        assert!(first.wall > UnixMs(1_700_000_000_000), "{}", first.wall);
    }
}
