//! Who owns what, as far as this pod knows.

use std::collections::{BTreeMap, BTreeSet};

use warren_mesh::View;
use warren_model::ids::SHARDS;
use warren_model::{Epoch, Incarnation, Path, Shard};
use warren_shard::Epochs;

use crate::Entry;

/// An owner, and since which ownership.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    pub who: Option<Incarnation>,
    pub epoch: Epoch,
}

impl Owner {
    /// Whether this is a later state than `old`: an ownership that ends leaves its epoch behind.
    fn follows(self, old: Self) -> bool {
        self.epoch > old.epoch || self.epoch == old.epoch && self.who.is_none() && old.who.is_some()
    }
}

/// All owners.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    shards: Vec<Owner>,
    links: BTreeMap<Path, Owner>,
    open: BTreeSet<Incarnation>,
}

impl Table {
    /// Nothing is known.
    pub(crate) fn unknown() -> Self {
        let shards = (0..SHARDS).map(|_| Owner::default()).collect();
        Self { shards, links: BTreeMap::new(), open: BTreeSet::new() }
    }

    /// One pod has everything.
    pub(crate) fn alone(me: Incarnation, epochs: &Epochs, link: Path) -> Self {
        let who = Some(me);
        let shards =
            (0..SHARDS).map(|shard| Owner { who, epoch: epochs.of(Shard(shard)).unwrap_or_default() }).collect();
        Self { shards, links: BTreeMap::from([(link, Owner { who, epoch: Epoch(0) })]), open: BTreeSet::from([me]) }
    }

    pub(crate) fn shard(&self, shard: Shard) -> Owner {
        usize::try_from(shard.0).ok().and_then(|at| self.shards.get(at)).copied().unwrap_or_default()
    }

    /// All shards, by number.
    pub(crate) fn shards(&self) -> &[Owner] {
        &self.shards
    }

    pub(crate) fn link(&self, link: &Path) -> Owner {
        self.links.get(link).copied().unwrap_or_default()
    }

    /// Whether that pod acts, as of the last reading.
    pub(crate) fn is_open(&self, pod: Incarnation) -> bool {
        self.open.contains(&pod)
    }

    /// Takes an entry that somebody else has said. False: it is not news.
    pub(crate) fn learn_shard(&mut self, entry: &Entry<Shard>) -> bool {
        let new = Owner { who: entry.owner, epoch: entry.epoch };
        let old = usize::try_from(entry.thing.0).ok().and_then(|at| self.shards.get_mut(at));
        old.filter(|old| new.follows(**old)).map(|old| *old = new).is_some()
    }

    /// The same of a link.
    pub(crate) fn learn_link(&mut self, entry: &Entry<Path>) -> bool {
        let new = Owner { who: entry.owner, epoch: entry.epoch };
        let old = self.links.entry(entry.thing.clone()).or_default();
        let news = new.follows(*old);
        if news {
            *old = new;
        }
        news
    }

    /// Takes what was read from the store.
    pub(crate) fn read(&mut self, view: &View) {
        self.open = view.open().map(|pod| pod.incarnation).collect();
        for (shard, (owner, epoch)) in (0_u32..).zip(&view.shards) {
            self.learn_shard(&Entry { thing: Shard(shard), owner: *owner, epoch: *epoch });
        }
        for (link, (owner, epoch)) in &view.links {
            self.learn_link(&Entry { thing: link.clone(), owner: *owner, epoch: *epoch });
        }
    }
}
