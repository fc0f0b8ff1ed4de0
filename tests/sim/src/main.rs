//! `warren-sim`: runs seeds, prints the first that fails so that it can be replayed.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use clap::Parser;
use warren_sim::fault::Tally;
use warren_sim::{Breakage, Outcome, run};

/// Fewer occurrences than this of a fault at a step, in a run of a thousand seeds or more, and the run proves
/// too little.
const LEAST: u64 = 60;

/// The simulator: two sites, one seed, faults everywhere, a history checker.
#[derive(Parser)]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first one.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only this one.
    #[arg(long)]
    seed: Option<u64>,
    /// Say everything that happens.
    #[arg(long)]
    verbose: bool,
    /// A rule to switch off; `all` shows which there are.
    #[arg(long)]
    breakage: Option<String>,
    /// Go on after a violation.
    #[arg(long)]
    keep_going: bool,
    /// Threads; as many as there are cores if 0.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Lines of what happened before the end, of a seed that fails.
    #[arg(long, default_value_t = 60)]
    tail: usize,
}

#[derive(Default)]
struct Sum {
    runs: u64,
    failed: u64,
    events: u64,
    fewest: Option<u64>,
    said: usize,
    received: usize,
    excused: usize,
    tally: Tally,
}

impl Sum {
    fn add(&mut self, outcome: &Outcome) {
        self.runs += 1;
        self.failed += u64::from(!outcome.violations.is_empty());
        self.events += outcome.events;
        self.fewest = Some(self.fewest.map_or(outcome.events, |fewest| fewest.min(outcome.events)));
        self.said += outcome.said;
        self.received += outcome.received;
        self.excused += outcome.excused;
        self.tally.add(&outcome.tally);
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let breakage = match args.breakage.as_deref().map(|name| (name, Breakage::parse(name))) {
        None => None,
        Some((_, Some(breakage))) => Some(breakage),
        Some((name, None)) => {
            let names: Vec<_> = Breakage::ALL.iter().map(|breakage| breakage.name()).collect();
            eprintln!("error: there is no breakage {name}: there are {}", names.join(", "));
            return ExitCode::from(2);
        }
    };
    if let Some(seed) = args.seed {
        return one(seed, breakage, &args);
    }
    many(breakage, &args)
}

fn one(seed: u64, breakage: Option<Breakage>, args: &Args) -> ExitCode {
    let outcome = run(seed, breakage, true);
    let skip = if args.verbose { 0 } else { outcome.lines.len().saturating_sub(args.tail) };
    for line in &outcome.lines[skip..] {
        println!("{line}");
    }
    println!(
        "seed {seed}: {} events, {} messages said, {} received, trace {:016x}",
        outcome.events, outcome.said, outcome.received, outcome.hash
    );
    for violation in &outcome.violations {
        println!("VIOLATION {violation}");
    }
    if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn many(breakage: Option<Breakage>, args: &Args) -> ExitCode {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = if args.threads == 0 { cores } else { args.threads };
    let (next, begin) = (AtomicU64::new(args.from), Instant::now());
    let end = args.from.saturating_add(args.seeds);
    let mut sum = Sum::default();
    std::thread::scope(|scope| {
        let (send, outcomes) = mpsc::channel();
        for _ in 0..threads {
            let (send, next) = (send.clone(), &next);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || send.send(run(seed, breakage, false)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        for outcome in outcomes {
            sum.add(&outcome);
            if !outcome.violations.is_empty() {
                report(&outcome, breakage);
                if !args.keep_going {
                    next.store(end, Ordering::Relaxed);
                }
            }
            if sum.runs.is_multiple_of(1000) {
                println!("{} seeds, {:.0} s", sum.runs, begin.elapsed().as_secs_f64());
            }
        }
    });
    finish(&sum, args, begin.elapsed().as_secs_f64())
}

fn report(outcome: &Outcome, breakage: Option<Breakage>) {
    println!("seed {} FAILS:", outcome.seed);
    for violation in outcome.violations.iter().take(5) {
        println!("  {violation}");
    }
    let breakage = breakage.map_or_else(String::new, |breakage| format!(" --breakage {}", breakage.name()));
    println!("  replay: cargo run --profile ci -p warren-sim -- --seed {}{breakage}", outcome.seed);
}

#[allow(clippy::cast_precision_loss)] // figures for people
fn finish(sum: &Sum, args: &Args, seconds: f64) -> ExitCode {
    println!(
        "{} seeds in {seconds:.1} s ({:.0} a second), {} failed; events a seed: {} at least, {} on average; \
         {} messages said, {} received, {} missed behind foreign servers (docs/limits.md)",
        sum.runs,
        sum.runs as f64 / seconds.max(0.001),
        sum.failed,
        sum.fewest.unwrap_or_default(),
        sum.events / sum.runs.max(1),
        sum.said,
        sum.received,
        sum.excused
    );
    println!("{}", sum.tally.table());
    if sum.failed > 0 {
        return ExitCode::FAILURE;
    }
    let poor = args.seeds >= 1000 && (sum.tally.least() < LEAST || sum.fewest.is_some_and(|fewest| fewest < 500));
    if poor {
        println!("error: a fault came less than {LEAST} times at some step, or a seed had less than 500 events");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
