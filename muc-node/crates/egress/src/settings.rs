//! What can be set, what is counted, and what can be broken on purpose.

use std::time::Duration;

use warren_model::ServiceTimers;

/// Bounds and waiting times of one link. Every bound says what happens at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Waiting times towards servers.
    pub timers: ServiceTimers,
    /// Marks the ids of pings and audits, so that an answer to a ping of an earlier process is not taken
    /// for evidence. Must differ from start to start. Default 0.
    pub incarnation: u64,
    /// Bytes that may wait for one path, as they would be written: a cast counts once per member.
    /// Rows of a running replay do not count, and one item alone is never too much. Above it the path becomes Suspect and its
    /// rows are dropped and sent again later; if it was Suspect already, transient things are
    /// dropped. Default 64 MiB.
    pub path_budget: usize,
    /// The same over all paths of the link; above it the path with the longest queue is taken.
    /// Default 256 MiB.
    pub link_budget: usize,
    /// Bytes that a path may write before the next one's turn. Default 16 KiB.
    pub quantum: usize,
    /// Audit stanzas per second over all paths. The members of a room are audited in one go, and
    /// then pay with time. Default 1000.
    pub audit_per_second: u32,
    /// A room that is loaded within this time after the link came up has its members audited: they
    /// were there before. Default 10 min.
    pub audit_window: Duration,
    /// A path idle for longer is opened by a lone ping again. Default 10 min.
    pub cold_after: Duration,
    /// Probes of a Suspect or Down path come so long after one another at first; then twice as long
    /// each time. Default 5 s.
    pub probe_interval: Duration,
    /// … until they come so long after one another. Default 30 s.
    pub probe_max: Duration,
    /// Paths at most, beside those with members or rows. Above it, transient things to domains
    /// that are not known are dropped. Default 100,000.
    pub max_paths: usize,
    /// Watermarks handed out at once; the others come at the next call. Default 10,000.
    pub watermarks_at_once: usize,
    /// Checks `invariants` after every call and panics on a violation. Default off: it walks
    /// everything.
    pub check: bool,
    /// For the simulator only.
    pub breakage: Breakage,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timers: ServiceTimers::default(),
            incarnation: 0,
            path_budget: 64 << 20,
            link_budget: 256 << 20,
            quantum: 16 << 10,
            audit_per_second: 1000,
            audit_window: Duration::from_mins(10),
            cold_after: Duration::from_mins(10),
            probe_interval: Duration::from_secs(5),
            probe_max: Duration::from_secs(30),
            max_paths: 100_000,
            watermarks_at_once: 10_000,
            check: false,
            breakage: Breakage::default(),
        }
    }
}

/// Deliberate faults, for the simulator only: each must be found by its history checker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breakage {
    /// Watermarks count a row as delivered when it is written.
    pub watermark_moved_on_write: bool,
    /// Any answer covers everything before it, whatever became of the pings between.
    pub chain_ignored: bool,
}

/// What has happened so far. Only rises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Stanzas written for occupants and peers.
    pub deliveries: u64,
    /// Pings written.
    pub pings: u64,
    /// Answers that counted.
    pub answers: u64,
    /// Breaks of a chain by which rows were lost.
    pub breaks: u64,
    /// Rows that were not written to a path at their time: a replay brings them.
    pub rows_held: u64,
    /// Transient things that were dropped for good.
    pub transient_dropped: u64,
    /// Budgets exceeded.
    pub overflows: u64,
    /// Audit stanzas written.
    pub audited: u64,
}
