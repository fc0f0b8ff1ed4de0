//! What a pod should do about who owns what while rooms cannot be routed between pods: everything goes to one of them,
//! to the one that has something already, else to whoever asks first. The others stand by (docs/design/0003).

use std::collections::BTreeSet;

use warren_model::Incarnation;

use crate::Dead;

/// What a pod knows when it plans.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    /// Itself.
    pub me: Incarnation,
    /// Pods that are open.
    pub open: &'a BTreeSet<Incarnation>,
    /// Owners of shards; `None` is among them when some have none.
    pub owners: &'a BTreeSet<Option<Incarnation>>,
    /// Open pods that may be closed.
    pub dead: &'a [Dead],
}

/// One thing to do, in one transaction of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Close a pod, if it is still open, and give what it had to `heir`.
    TakeOver {
        /// Whose things.
        from: Incarnation,
        /// Who gets them.
        heir: Incarnation,
    },
    /// Take what nobody has.
    Claim,
}

/// What to do now, in order.
pub fn plan(known: &Known<'_>) -> Vec<Step> {
    let is_dead = |pod: &Incarnation| known.dead.iter().any(|dead| dead.incarnation == *pod);
    let lives = |pod: &Incarnation| known.open.contains(pod) && !is_dead(pod);
    let heir = known.owners.iter().flatten().copied().find(lives).unwrap_or(known.me);
    // Those that were closed by their own next incarnation still have what they had.
    let closed = known.owners.iter().flatten().filter(|owner| !known.open.contains(owner));
    let mut from: BTreeSet<Incarnation> = known.dead.iter().map(|dead| dead.incarnation).collect();
    from.extend(closed);
    let mut steps: Vec<Step> = from.into_iter().map(|from| Step::TakeOver { from, heir }).collect();
    if heir == known.me && known.owners.contains(&None) {
        steps.push(Step::Claim);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Incarnation = Incarnation(1);
    const OTHER: Incarnation = Incarnation(2);
    const THIRD: Incarnation = Incarnation(3);

    fn planned(open: &[Incarnation], owners: &[Option<Incarnation>], dead: &[Incarnation]) -> Vec<Step> {
        let open = open.iter().copied().collect();
        let owners = owners.iter().copied().collect();
        let dead: Vec<_> = dead.iter().map(|pod| Dead { incarnation: *pod, beat: 5 }).collect();
        plan(&Known { me: ME, open: &open, owners: &owners, dead: &dead })
    }

    #[test]
    fn the_first_pod_takes_everything_and_the_next_one_nothing() {
        assert_eq!(planned(&[ME], &[None], &[]), [Step::Claim]);
        assert_eq!(planned(&[ME, OTHER], &[Some(OTHER)], &[]), []);
        assert_eq!(planned(&[ME, OTHER], &[Some(OTHER), None], &[]), [], "the rest is for the one that has something");
        assert_eq!(planned(&[ME, OTHER], &[Some(ME), None], &[]), [Step::Claim]);
    }

    #[test]
    fn the_dead_are_inherited() {
        assert_eq!(
            planned(&[ME, OTHER], &[Some(OTHER)], &[OTHER]),
            [Step::TakeOver { from: OTHER, heir: ME }],
            "by whoever sees it first"
        );
        assert_eq!(
            planned(&[ME, OTHER, THIRD], &[Some(THIRD)], &[OTHER]),
            [Step::TakeOver { from: OTHER, heir: THIRD }],
            "a dead pod without anything is closed all the same"
        );
        assert_eq!(
            planned(&[ME, THIRD], &[Some(OTHER), None], &[]),
            [Step::TakeOver { from: OTHER, heir: ME }, Step::Claim],
            "closed by its own next incarnation, which does not get it back by right"
        );
    }
}
