//! What goes wrong, and at which step of a message's way.

use crate::names::{Micros, PODS, SITES};
use crate::rng::Rng;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process dies; it starts again on what is durable.
    Crash,
    /// The component link is cut.
    Cut,
    /// The component link loses everything for a while, then it is cut.
    Hole,
    /// S2S streams are reset: what is under way is lost, nobody is told.
    Reset,
    /// S2S streams lose everything for a while, in one direction or both.
    Blackout,
    /// S2S is refused, or accepted and never answered.
    Refuse,
    /// S2S becomes slow.
    Delay,
    /// S2S repeats what was not acknowledged (XEP-0198 with resend).
    Duplicate,
    /// Store, process or link stand still.
    Stall,
    /// Commits fail.
    Abort,
    /// The answers of commits are lost.
    Unknown,
    /// The wall clock jumps.
    Clock,
    /// A pod stands still for longer than a lease lasts, perhaps with a commit under way.
    Freeze,
    /// The store cannot be reached for longer than leases last, by one pod or by all.
    Away,
    /// A pod is told to end in good order.
    Drain,
    /// Sessions between pods are cut.
    MeshCut,
    /// They carry nothing, in one direction or both, and nobody is told.
    MeshMute,
    /// They become slow.
    MeshSlow,
    /// They are cut, and the address of a pod that lives refuses.
    MeshRefuse,
}

impl Fault {
    /// All.
    pub const ALL: [Self; 19] = [
        Self::Crash,
        Self::Cut,
        Self::Hole,
        Self::Reset,
        Self::Blackout,
        Self::Refuse,
        Self::Delay,
        Self::Duplicate,
        Self::Stall,
        Self::Abort,
        Self::Unknown,
        Self::Clock,
        Self::Freeze,
        Self::Away,
        Self::Drain,
        Self::MeshCut,
        Self::MeshMute,
        Self::MeshSlow,
        Self::MeshRefuse,
    ];

    /// Whether it needs several pods.
    fn needs_pods(self) -> bool {
        matches!(self, Self::Drain | Self::MeshCut | Self::MeshMute | Self::MeshSlow | Self::MeshRefuse)
    }
}

/// Where a message of a site is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Its commit has been handed to the store.
    Submit,
    /// It is durable, and the pod does not know.
    Commit,
    /// The pod knows, its effects wait to be written.
    Release,
    /// They have been written to the link.
    Send,
    /// An answer to a ping is about to be read.
    Evidence,
    /// Rooms are moved to another pod: they are at rest, the store has moved them, the pod hears of it.
    Move,
}

impl Step {
    /// All.
    pub const ALL: [Self; 6] = [Self::Submit, Self::Commit, Self::Release, Self::Send, Self::Evidence, Self::Move];
}

/// Combinations.
pub const CELLS: usize = Fault::ALL.len() * Step::ALL.len();

/// A fault that waits for its step.
#[derive(Clone, Debug)]
pub struct Armed {
    /// What.
    pub fault: Fault,
    /// Where.
    pub step: Step,
    /// At which site.
    pub site: usize,
    /// Not before.
    pub after: Micros,
    /// So many occurrences of the step pass first.
    pub skip: u64,
    /// Which pod of the site it hits; `None`: the one that takes the step.
    pub pod: Option<usize>,
}

/// The faults of a seed. All combinations are dealt out like cards, so that over many seeds each one comes
/// equally often, while those of one seed have nothing to do with each other.
pub fn deal(seed: u64, count: usize, rng: &mut Rng, begin: Micros, end: Micros) -> Vec<Armed> {
    (0..count)
        .map(|n| {
            let card = seed.wrapping_mul(count as u64).wrapping_add(n as u64);
            let (deck, place) = (card / CELLS as u64, card % CELLS as u64);
            let mut cells: Vec<usize> = (0..CELLS).collect();
            Rng::new(deck ^ 0x00de_ca5e).shuffle(&mut cells);
            let cell = cells[usize::try_from(place).unwrap_or_default()];
            let (fault, step) = (Fault::ALL[cell / Step::ALL.len()], Step::ALL[cell % Step::ALL.len()]);
            let site = rng.index(SITES);
            let site = if fault.needs_pods() || step == Step::Move { 0 } else { site };
            Armed {
                fault,
                step,
                site,
                after: rng.range(begin, end),
                // Rooms are moved seldom.
                skip: rng.below(if step == Step::Move { 2 } else { 4 }),
                pod: rng.percent(25).then(|| rng.index(PODS[site])),
            }
        })
        .collect()
}

/// How often each fault came at each step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally([[u64; Step::ALL.len()]; Fault::ALL.len()]);

impl Default for Tally {
    fn default() -> Self {
        Self([[0; Step::ALL.len()]; Fault::ALL.len()])
    }
}

impl Tally {
    /// One more.
    pub fn count(&mut self, fault: Fault, step: Step) {
        self.0[fault as usize][step as usize] += 1;
    }

    /// How often.
    pub fn get(&self, fault: Fault, step: Step) -> u64 {
        self.0[fault as usize][step as usize]
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        for fault in Fault::ALL {
            for step in Step::ALL {
                self.0[fault as usize][step as usize] += other.get(fault, step);
            }
        }
    }

    /// The smallest of all counts.
    pub fn least(&self) -> u64 {
        self.0.iter().flatten().copied().min().unwrap_or_default()
    }

    /// As a table.
    pub fn table(&self) -> String {
        let row = |name: &str, cells: Vec<String>| {
            cells.iter().fold(format!("{name:<10}"), |line, cell| format!("{line}{cell:>9}"))
        };
        let steps = Step::ALL.iter().map(|step| format!("{step:?}").to_lowercase()).collect();
        let mut rows = vec![row("fault", steps)];
        for fault in Fault::ALL {
            let counts = Step::ALL.iter().map(|step| self.get(fault, *step).to_string()).collect();
            rows.push(row(&format!("{fault:?}").to_lowercase(), counts));
        }
        rows.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_comes_equally_often() {
        let mut tally = Tally::default();
        for seed in 0..114 {
            for armed in deal(seed, 10, &mut Rng::new(seed), 0, 10) {
                tally.count(armed.fault, armed.step);
            }
        }
        assert_eq!(tally.least(), 10);
        assert_eq!(tally, {
            let mut sum = Tally::default();
            sum.add(&tally);
            sum
        });
    }
}
