//! Each rule, switched off alone, is found within a hundred seeds: otherwise the simulator proves nothing
//! about it.

use std::io::Write as _;

use warren_sim::{Breakage, run};

const SEEDS: u64 = 100;

/// A seed that fails only with the breakage: what fails anyway finds nothing.
fn found(breakage: Breakage) {
    for seed in 0..SEEDS {
        let outcome = run(seed, Some(breakage), false);
        if let Some(violation) = outcome.violations.first()
            && run(seed, None, false).violations.is_empty()
        {
            let found = format!("{} is found by seed {seed}: {violation}\n", breakage.name());
            std::io::stdout().write_all(found.as_bytes()).ok();
            return;
        }
    }
    panic!("{} is not found within {SEEDS} seeds", breakage.name());
}

#[test]
fn barrier_off() {
    found(Breakage::BarrierOff);
}

#[test]
fn inputs_not_kept() {
    found(Breakage::InputsNotKept);
}

#[test]
fn watermark_moved_on_write() {
    found(Breakage::WatermarkMovedOnWrite);
}

#[test]
fn h_before_commit() {
    found(Breakage::HBeforeCommit);
}

#[test]
fn dedup_off() {
    found(Breakage::DedupOff);
}

#[test]
fn epoch_not_raised() {
    found(Breakage::EpochNotRaised);
}

#[test]
fn join_not_replayed() {
    found(Breakage::JoinNotReplayed);
}

#[test]
fn chain_ignored() {
    found(Breakage::ChainIgnored);
}

#[test]
fn no_lease() {
    found(Breakage::NoLease);
}

#[test]
fn fence_off() {
    found(Breakage::FenceOff);
}

#[test]
fn epoch_check_off() {
    found(Breakage::EpochCheckOff);
}
