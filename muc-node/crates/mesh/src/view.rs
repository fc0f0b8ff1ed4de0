//! Who is there and who owns what, as the store said it at one moment.

use std::collections::BTreeMap;

use warren_model::{Incarnation, Path, Thing};

use crate::Owner;

/// A pod's row, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSeen {
    /// Which start of it.
    pub incarnation: Incarnation,
    /// Its name, which outlives restarts.
    pub name: Box<str>,
    /// Where other pods reach it.
    pub address: Box<str>,
    /// Its counter.
    pub beat: u64,
    /// Whether its row is open.
    pub open: bool,
}

/// Who is there and who owns what, at one moment of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// In any order; closed ones too, or they are never forgotten.
    pub pods: Vec<PodSeen>,
    /// All shards, by number.
    pub shards: Vec<Owner>,
    /// Links that have or had an owner.
    pub links: BTreeMap<Path, Owner>,
}

impl View {
    /// Pods whose row is open.
    pub fn open(&self) -> impl Iterator<Item = &PodSeen> {
        self.pods.iter().filter(|pod| pod.open)
    }

    /// Whether two views tell the same. Beats are nobody's business.
    pub(crate) fn tells_the_same(&self, other: &Self) -> bool {
        let pods = |view: &Self| -> BTreeMap<Incarnation, (Box<str>, Box<str>)> {
            view.open().map(|pod| (pod.incarnation, (pod.name.clone(), pod.address.clone()))).collect()
        };
        self.shards == other.shards && self.links == other.links && pods(self) == pods(other)
    }

    pub(crate) fn owner(&self, thing: &Thing) -> Option<Owner> {
        match thing {
            Thing::Shard(shard) => self.shards.get(usize::try_from(shard.0).ok()?).copied(),
            Thing::Link(link) => self.links.get(link).copied(),
        }
    }
}
