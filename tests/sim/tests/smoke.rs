//! A few hundred seeds hold, and a seed does the same twice.

use std::io::Write as _;

use warren_sim::run;

const SEEDS: u64 = 200;

#[test]
fn seeds_hold() {
    let mut failed = Vec::new();
    for seed in 0..SEEDS {
        let outcome = run(seed, None, false);
        assert!(outcome.events >= 500, "seed {seed} has only {} events", outcome.events);
        if let Some(violation) = outcome.violations.first() {
            failed.push(format!("seed {seed}: {violation}"));
        }
    }
    // Past the capture of the test harness: people want to read how many there were.
    let summary = format!("simulator: {SEEDS} seeds, {} failed\n", failed.len());
    std::io::stdout().write_all(summary.as_bytes()).unwrap();
    assert!(failed.is_empty(), "{}\nreplay: cargo run -p warren-sim -- --seed N", failed.join("\n"));
}

#[test]
fn a_seed_does_the_same_twice() {
    for seed in [1, 17, 42] {
        let (first, again) = (run(seed, None, false), run(seed, None, true));
        assert_eq!((first.hash, first.events), (again.hash, again.events), "seed {seed}");
        assert!(!again.lines.is_empty(), "what happened was asked for");
        assert_ne!(first.hash, run(seed + 1, None, false).hash);
    }
}
