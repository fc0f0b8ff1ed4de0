//! Several members on one table, at random: outages, slow and lost answers, frozen pods, crashes, restarts under the same
//! name, reports of pods that refuse. No two act for the same thing at any time, and when it is quiet everything has its
//! place.

mod table;
mod world;

use proptest::prelude::*;
use warren_model::Incarnation;

use table::Table;
use world::{Fault, TTL_MS, World, fault};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn no_two_act_for_the_same_and_in_the_end_everything_has_its_place(
        rates in prop::collection::vec(900..1100u64, 1..5),
        faults in prop::collection::vec(fault(4), 0..8),
        seed: u64,
    ) {
        let mut world = World::new(&rates, faults, 300, seed);
        // The last fault is over at 55 s; then what it has led to is found, and set right, within 5 TTL.
        let end = 56_000 + 5 * TTL_MS;
        while world.now < end + TTL_MS {
            world.tick();
            prop_assert_eq!(world.conflict(), None);
        }
        prop_assert_eq!(world.unsettled(), None);
    }

    #[test]
    fn a_store_that_goes_back_is_noticed_and_in_the_end_everything_has_its_place(
        rates in prop::collection::vec(900..1100u64, 1..5),
        faults in prop::collection::vec(fault(4), 0..4),
        at in 20_000..50_000u64,
        lost in 0..20_000u64,
        seed: u64,
    ) {
        let quiet = faults.is_empty();
        let mut world = World::new(&rates, faults, 300, seed);
        while world.now + lost < at {
            world.tick();
        }
        let earlier = Table { back: true, ..world.table.clone() };
        while world.now < at {
            world.tick();
        }
        world.table = earlier;
        // Two who act for the same are told apart by the store, until they notice.
        while world.now < 56_000 + 6 * TTL_MS {
            world.tick();
            if world.now > at + 20_000 {
                prop_assert_eq!(world.conflict(), None);
                // Each has had a beat answered that was lost.
                prop_assert!(!quiet || lost < 3000 || world.pods.iter().flatten().all(|pod| pod.since > at));
            }
        }
        prop_assert_eq!(world.unsettled(), None);
    }

    #[test]
    fn who_dies_is_replaced_soon_after_the_ttl_and_a_process_long_before(
        pods in 2..5usize,
        at in 30_000..31_000u64,
        said: bool,
        seed: u64,
    ) {
        let crash = Fault::Crash { pod: 1, at, for_ms: 60_000, said };
        let mut world = World::new(&vec![1000; pods], vec![crash], 75, seed);
        while world.now < at {
            world.tick();
        }
        let gone = world.pods[1].as_ref().unwrap().me;
        // Without a report: until its last beat is seen first, seven of ours, then the view and the transaction.
        let within = if said { 2000 } else { TTL_MS + 2500 };
        while world.now < at + within {
            prop_assert!(world.conflict().is_none());
            world.tick();
        }
        prop_assert!(world.table.shards.iter().all(|(owner, _)| owner.is_some_and(|owner| owner != gone)));
    }

    #[test]
    fn who_beats_is_not_closed_whatever_others_say(
        rates in prop::collection::vec(980..1020u64, 2..5),
        lies in prop::collection::vec((15_000..40_000u64, 0..4usize), 1..40),
        seed: u64,
    ) {
        let mut world = World::new(&rates, Vec::new(), 75, seed);
        while world.now < 15_000 {
            world.tick();
        }
        let all: Vec<Incarnation> = world.pods.iter().flatten().map(|pod| pod.me).collect();
        for (at, about) in lies {
            for (to, by) in (0..all.len()).flat_map(|to| all.iter().map(move |by| (to, *by))) {
                world.reports.push((at, to, all[about % all.len()], by));
            }
        }
        while world.now < 50_000 {
            world.tick();
            prop_assert!(world.conflict().is_none());
        }
        prop_assert!(all.iter().all(|pod| world.table.is_open(*pod)), "somebody was closed");
        prop_assert_eq!(world.unsettled(), None);
    }
}
