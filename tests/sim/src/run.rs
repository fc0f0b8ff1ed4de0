//! One seed from beginning to end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::breakage::Breakage;
use crate::check::{Findings, Violation, check};
use crate::fault::Tally;
use crate::plan::Plan;
use crate::trace::Trace;
use crate::world::World;

/// What a seed came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Rules that did not hold.
    pub violations: Vec<Violation>,
    /// Events.
    pub events: u64,
    /// Messages said.
    pub said: usize,
    /// Messages that clients received.
    pub received: usize,
    /// Messages that a user behind S2S missed with every ping answered (docs/limits.md).
    pub excused: usize,
    /// Faults by step.
    pub tally: Tally,
    /// Two runs with the same number did the same.
    pub hash: u64,
    /// What happened, if it was asked for.
    pub lines: Vec<String>,
}

/// Runs a seed. `verbose` keeps what happened, line by line.
pub fn run(seed: u64, breakage: Option<Breakage>, verbose: bool) -> Outcome {
    quiet_panics();
    let trace = if verbose { Trace::verbose() } else { Trace::silent() };
    let mut world = World::new(Plan::new(seed), breakage, trace);
    // An invariant that does not hold panics: that is a finding, not the end of the simulator.
    let violations = match catch_unwind(AssertUnwindSafe(|| world.run())) {
        Ok(()) => None,
        Err(panic) => Some(vec![Violation { rule: "an invariant", text: message(&*panic) }]),
    };
    let found = if violations.is_some() { Findings::default() } else { check(&world.history) };
    Outcome {
        seed,
        violations: violations.unwrap_or(found.violations),
        events: world.events,
        said: world.history.said.len(),
        received: world.history.receipts.len(),
        excused: found.excused,
        hash: world.trace.hash(),
        lines: world.trace.lines().to_vec(),
        tally: world.tally,
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}

/// Panics are findings; they are printed with their seed, once.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
}
