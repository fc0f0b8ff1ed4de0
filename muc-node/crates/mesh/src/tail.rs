//! Whether the store has gone back: a fail-over to a standby that was behind, a restored backup.
//!
//! Whoever has seen what the store does not know any more may have built on it, and nobody can tell what: its rooms,
//! its table, what it told others. So it ends, and starts again from what there is. What it commits until it has noticed
//! is shut out by the store (a lane that is not where its owner knows it, a shard under another epoch).

use warren_model::Thing;

use crate::{Owner, View};

/// Whether what was read first cannot have become what was read after it. Owners change under higher epochs only, but
/// for nobody in place of one; rows of links never go.
pub(crate) fn went_back(first: &View, then: &View) -> bool {
    let back = |(owner, epoch): Owner, (next, later): Owner| {
        later < epoch || (later == epoch && next.is_some() && next != owner)
    };
    let shards = first.shards.iter().zip(&then.shards).any(|(before, after)| back(*before, *after));
    shards
        || first
            .links
            .iter()
            .any(|(link, before)| then.owner(&Thing::Link(link.clone())).is_none_or(|after| back(*before, after)))
}

#[cfg(test)]
mod tests {
    use warren_model::{Epoch, Incarnation, Path};

    use super::*;

    const A: Option<Incarnation> = Some(Incarnation(1));
    const B: Option<Incarnation> = Some(Incarnation(2));

    fn shard(owner: Owner) -> View {
        View { shards: vec![(None, Epoch(1)), owner], ..View::default() }
    }

    fn link(owner: Owner) -> View {
        View { links: [(Path::new("muc.example", ""), owner)].into(), ..View::default() }
    }

    #[test]
    fn what_may_follow_and_what_may_not() {
        let (five, six) = (Epoch(5), Epoch(6));
        for make in [shard, link] {
            for (before, after) in [((A, five), (A, five)), ((A, five), (B, six)), ((A, five), (None, five))] {
                assert!(!went_back(&make(before), &make(after)), "{before:?} {after:?}");
            }
            for (before, after) in [((A, six), (A, five)), ((A, six), (B, five)), ((A, five), (B, five))] {
                assert!(went_back(&make(before), &make(after)), "{before:?} {after:?}");
            }
            assert!(went_back(&make((None, five)), &make((A, five))), "it was nobody's already");
        }
        assert!(went_back(&link((A, five)), &View::default()) && !went_back(&View::default(), &link((A, five))));
    }
}
