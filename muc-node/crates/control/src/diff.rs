//! From a whole set of manifests to Apply and Remove.

use std::collections::BTreeSet;

use warren_model::{Generation, Object, ObjectName};

use crate::registry::{Address, Registry};

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Apply it.
    Apply(Box<Object>),
    /// Remove it.
    Remove {
        /// Kind, namespace, name.
        name: ObjectName,
        /// Identity over time.
        uid: String,
    },
}

/// Gives objects from manifests, which have no generation of their own, the one that an API server would have
/// counted: what is stored, one more when the digest changed, and theirs (1) when the uid is new.
pub fn renumber(stored: &Registry, objects: Vec<Object>) -> Vec<Object> {
    let number = |mut object: Object| {
        if let Some(known) = stored.get(&object.uid) {
            let Generation(before) = known.generation;
            let changed = known.digest != object.digest;
            object.generation = Generation(if changed { before.saturating_add(1) } else { before });
        }
        object
    };
    objects.into_iter().map(number).collect()
}

/// The calls that turn `stored` into exactly `wanted`, in an order in which each can be carried out: services and
/// peers before the rooms that name them, removals last and the other way round. Only an object whose name or address
/// a new one takes over is removed first. Objects that are as they are stored give no call.
///
/// Two peers that swap their domains give calls of which one is refused: rename one of them.
pub fn diff(stored: &Registry, wanted: &[Object]) -> Vec<Change> {
    let uids: BTreeSet<&str> = wanted.iter().map(|o| o.uid.as_str()).collect();
    let addresses: BTreeSet<Address> = wanted.iter().map(Address::of).collect();
    let names: BTreeSet<&ObjectName> = wanted.iter().map(|o| &o.name).collect();

    let gone = stored.objects().filter(|o| !uids.contains(o.uid.as_str()));
    let (replaced, mut gone): (Vec<_>, Vec<_>) =
        gone.partition(|o| addresses.contains(&Address::of(o)) || names.contains(&o.name));
    gone.reverse();

    let mut applied: Vec<_> = wanted
        .iter()
        .filter(|o| stored.get(&o.uid).is_none_or(|s| s.generation != o.generation || s.digest != o.digest))
        .collect();
    // The kinds are declared in the order in which they need each other. A known peer may free a domain that a new
    // one takes, never the other way round.
    applied.sort_by_key(|o| (o.name.kind, stored.get(&o.uid).is_none()));

    let remove = |o: &Object| Change::Remove { name: o.name.clone(), uid: o.uid.clone() };
    let first = replaced.into_iter().map(remove);
    let then = applied.into_iter().map(|o| Change::Apply(Box::new(o.clone())));
    first.chain(then).chain(gone.into_iter().map(remove)).collect()
}
