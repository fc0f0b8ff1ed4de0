//! Which pod should own what: rendezvous hashing (highest random weight).
//!
//! Each pod has a weight for each thing, a hash of both names; a thing belongs to the pod with the highest one. So a
//! pod that leaves takes nothing with it but its own, and one that comes takes only what it gets. What is hashed is the
//! pod's *name*, which outlives restarts: a pod that comes back gets what it had.
//!
//! Chance alone would give one pod a third more than another. So there is a cap on shards, and what is above it goes to
//! the pod with the next weight.
//!
//! All pods, of all versions, must come to the same result, or they would move things to and fro for ever: the hash is
//! written down here, and fixed by vectors in the tests.

use std::collections::BTreeMap;

use warren_model::ids::SHARDS;
use warren_model::{Incarnation, Path, Shard, Thing};

/// Who should own what, among some pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// By number of the shard.
    shards: Vec<Incarnation>,
    /// By name, with its hash.
    pods: Vec<(u64, Incarnation)>,
}

/// Places everything on pods, given by name. `None` without any.
pub fn place(pods: &BTreeMap<Box<str>, Incarnation>) -> Option<Placement> {
    let pods: Vec<(u64, Incarnation)> = pods.iter().map(|(name, pod)| (seed(name), *pod)).collect();
    let cap = cap(pods.len())?;
    let mut free = vec![cap; pods.len()];
    let mut shards = Vec::new();
    for shard in 0..SHARDS {
        let key = mix(u64::from(shard));
        let open = pods.iter().enumerate().filter(|(n, _)| free[*n] > 0);
        // There is always one: together the caps are more than all shards.
        let (n, pod) = open.max_by_key(|(n, (seed, _))| (mix(seed ^ key), *n)).map(|(n, (_, pod))| (n, *pod))?;
        free[n] -= 1;
        shards.push(pod);
    }
    Some(Placement { shards, pods })
}

/// The most shards that one of so many pods is given: a tenth above its part. `None` without any.
pub fn cap(pods: usize) -> Option<usize> {
    let shards = usize::try_from(SHARDS).ok()?;
    (pods > 0).then(|| (shards * 11).div_ceil(pods * 10))
}

impl Placement {
    /// A thing and its place.
    pub fn of(&self, thing: Thing) -> (Thing, Incarnation) {
        let place = match &thing {
            Thing::Shard(shard) => self.shard(*shard),
            Thing::Link(link) => self.link(link),
        };
        (thing, place)
    }

    /// The place of a shard.
    pub fn shard(&self, shard: Shard) -> Incarnation {
        let n = usize::try_from(shard.0).unwrap_or_default();
        self.shards.get(n).copied().unwrap_or_default()
    }

    /// The place of a link. There are few of them, so there is no cap.
    pub fn link(&self, link: &Path) -> Incarnation {
        // A zero byte is in no domain: ("ab", "c") and ("a", "bc") differ.
        let key = mix(fnv(fnv(fnv(BASIS, link.local.as_bytes()), &[0]), link.remote.as_bytes()));
        let best = self.pods.iter().enumerate().max_by_key(|(n, (seed, _))| (mix(seed ^ key), *n));
        best.map(|(_, (_, pod))| *pod).unwrap_or_default()
    }
}

/// Offset basis of 64 bit FNV-1a.
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, 64 bits.
fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What a pod's name brings to all its weights.
fn seed(name: &str) -> u64 {
    mix(fnv(BASIS, name.as_bytes()))
}

/// One step of splitmix64: every bit of the result depends on every bit of `x`.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods(names: &[&str]) -> BTreeMap<Box<str>, Incarnation> {
        names.iter().zip(1..).map(|(name, n)| (Box::from(*name), Incarnation(n))).collect()
    }

    #[test]
    fn the_hash_is_the_same_for_ever() {
        // Published vectors of both parts.
        assert_eq!(fnv(BASIS, b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv(BASIS, b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv(BASIS, b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0x6e78_9e6a_a1b9_65f4);
    }

    // Computed by another program from the text at the top.
    const FIRST: [u128; 16] = [2, 3, 2, 2, 1, 3, 1, 2, 2, 1, 1, 3, 1, 1, 2, 2];
    const DIGEST: u64 = 0x0249_b26a_3c66_c5c9;
    const LINKS: [u128; 4] = [1, 3, 1, 1];

    #[test]
    fn places_are_the_same_for_ever() {
        let placed = place(&pods(&["muc-0", "muc-1", "muc-2"])).unwrap();
        let first: Vec<u128> = (0..16).map(|n| placed.shard(Shard(n)).0).collect();
        assert_eq!(first, FIRST);
        let digest = (0..SHARDS).fold(BASIS, |hash, n| fnv(hash, &[placed.shard(Shard(n)).0.to_le_bytes()[0]]));
        assert_eq!(digest, DIGEST, "{digest:#x}");
        let links = ["muc.a.example", "muc.b.example", "muc.c.example", "muc.d.example"];
        assert_eq!(links.map(|local| placed.link(&Path::new(local, "")).0), LINKS);
    }

    #[test]
    fn nobody_is_no_place_and_one_pod_gets_everything() {
        assert_eq!(place(&BTreeMap::new()), None);
        let placed = place(&pods(&["only"])).unwrap();
        assert!((0..SHARDS).all(|n| placed.shard(Shard(n)) == Incarnation(1)));
        assert_eq!(placed.link(&Path::new("muc.example", "")), Incarnation(1));
    }

    #[test]
    fn the_parts_of_a_link_are_told_apart() {
        let key = |local: &str, remote: &str| fnv(fnv(fnv(BASIS, local.as_bytes()), &[0]), remote.as_bytes());
        assert_ne!(key("ab", "c"), key("a", "bc"));
    }
}
