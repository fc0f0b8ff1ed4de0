//! Placement over any set of pods: the cap holds, and hardly anything moves that need not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use warren_mesh::{Placement, cap, place};
use warren_model::ids::SHARDS;
use warren_model::{Incarnation, Path, Shard};

type Pods = BTreeMap<Box<str>, Incarnation>;

/// Pods as Kubernetes calls them, or by any other names.
fn names() -> impl Strategy<Value = BTreeSet<String>> {
    prop_oneof![
        (1..24usize).prop_map(|n| (0..n).map(|n| format!("muc-{n}")).collect()),
        prop::collection::btree_set("[a-z0-9.-]{1,20}", 1..24),
        prop::collection::btree_set(any::<String>(), 1..24),
    ]
}

fn numbered(names: &BTreeSet<String>) -> Pods {
    names.iter().zip(1..).map(|(name, n)| (name.as_str().into(), Incarnation(n))).collect()
}

fn shards() -> impl Iterator<Item = Shard> {
    (0..SHARDS).map(Shard)
}

fn counts(placed: &Placement) -> BTreeMap<Incarnation, usize> {
    shards().fold(BTreeMap::new(), |mut counts, shard| {
        *counts.entry(placed.shard(shard)).or_default() += 1;
        counts
    })
}

/// How many shards may move for nothing but the cap, with so many pods: what random loads have above the cap, which
/// is a deviation of one pod's load or so, and one shard of each of many pods.
fn few(pods: usize) -> usize {
    (SHARDS as usize / pods).isqrt() + pods
}

/// What moves from `with` to `without` although it was not with the pod that left.
fn needless(with: &Placement, without: &Placement, left: Incarnation) -> usize {
    shards().filter(|shard| with.shard(*shard) != left && with.shard(*shard) != without.shard(*shard)).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn nobody_has_more_than_the_cap_and_nobody_little(names in names()) {
        let pods = numbered(&names);
        let counts = counts(&place(&pods).unwrap());
        let mean = SHARDS as usize / pods.len();
        for pod in pods.values() {
            let count = counts.get(pod).copied().unwrap_or_default();
            prop_assert!(count <= cap(pods.len()).unwrap());
            prop_assert!(count + 5 * mean.isqrt() + 1 >= mean, "{count} of {mean}");
        }
    }

    #[test]
    fn who_leaves_or_joins_moves_its_own_and_few_others(names in names(), which: prop::sample::Index) {
        let with = numbered(&names);
        prop_assume!(with.len() > 1);
        let (name, left) = with.iter().nth(which.index(with.len())).map(|(name, pod)| (name.clone(), *pod)).unwrap();
        let mut without = with.clone();
        without.remove(&name);
        let (with, without) = (place(&with).unwrap(), place(&without).unwrap());
        // A join is a leave, read the other way round.
        let needless = needless(&with, &without, left);
        prop_assert!(needless <= few(names.len()), "{needless} of {}", few(names.len()));
        for n in 0..50 {
            let link = Path::new(format!("muc{n}.example"), "");
            if with.link(&link) != left {
                prop_assert_eq!(with.link(&link), without.link(&link), "a link has no cap");
            }
        }
    }

    #[test]
    fn a_restart_changes_no_place(names in names(), starts in prop::collection::vec(1000..u128::MAX, 24)) {
        let before = numbered(&names);
        let after: Pods = before.keys().cloned().zip(starts.into_iter().map(Incarnation)).collect();
        let (old, new) = (place(&before).unwrap(), place(&after).unwrap());
        let name = |pods: &Pods, pod| pods.iter().find(|(_, p)| **p == pod).map(|(name, _)| name.clone());
        for shard in shards() {
            prop_assert_eq!(name(&before, old.shard(shard)), name(&after, new.shard(shard)));
        }
    }
}

#[test]
fn twenty_pods_are_placed_in_no_time() {
    let pods: Pods = (0..20u128).map(|n| (format!("muc-{n}").into(), Incarnation(n))).collect();
    let fastest = (0..10).map(|_| {
        #[expect(clippy::disallowed_methods, reason = "this is about time")]
        let start = Instant::now();
        std::hint::black_box(place(&pods));
        start.elapsed()
    });
    // A tenth of it when it is optimized.
    assert!(fastest.min().unwrap() < Duration::from_millis(40));
}
