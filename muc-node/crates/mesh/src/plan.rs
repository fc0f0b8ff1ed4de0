//! What is to be done about who owns what.
//!
//! Any pod may plan for all: what came of it in the meantime is found by the store, which compares beats and epochs.
//! Only moves are planned by the owner, as it has to stop first.

use std::collections::{BTreeMap, BTreeSet};

use warren_model::{Epoch, Incarnation, Path, Shard, Thing};

use crate::{Dead, Placement, place};

/// The most shards that one pod moves at a time: few enough that each waits for the rest of them no longer than for its
/// own rooms.
pub const MOVES: usize = 256;

/// The most pods that one pod forgets between two readings of the table.
pub const FORGETS: usize = 4;

/// Owner and epoch of something, as they are in the store.
pub type Owner = (Option<Incarnation>, Epoch);

/// What a pod knows when it plans.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Itself.
    pub me: Incarnation,
    /// Pods whose row is open, with their names.
    pub open: &'a [(Incarnation, Box<str>)],
    /// All shards, by number.
    pub shards: &'a [Owner],
    /// Links that have or had an owner.
    pub links: &'a BTreeMap<Path, Owner>,
    /// Links that must have one.
    pub wanted: &'a [Path],
    /// Pods that may be closed.
    pub dead: &'a [Dead],
    /// Other pods to which there has been a session for a while: only those are given something without need.
    pub ready: &'a BTreeSet<Incarnation>,
    /// How many of our own things are being moved already.
    pub frozen: usize,
    /// Pods that have ended so long ago that nothing of them is under way any more.
    pub over: &'a [Incarnation],
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Close a pod and give away what it had, in one transaction of the store.
    TakeOver {
        /// Whose things.
        from: Incarnation,
        /// Only if this still is its beat. `None`: it was closed before, by its own next incarnation, or it said
        /// good-bye without giving away everything.
        beat: Option<u64>,
        /// Who gets what.
        assign: Vec<(Thing, Incarnation)>,
    },
    /// Give what nobody has, in one transaction, as far as it still has the epoch that was seen (0: it has no row).
    Claim(Vec<(Thing, Incarnation, Epoch)>),
    /// Hand over some of our own shards, each one if it still has the epoch that was seen.
    Move(Vec<(Thing, Incarnation, Epoch)>),
    /// Remove what is left of a pod that has ended long ago. The store looks whether something is to be delivered that it
    /// wrote.
    Forget(Incarnation),
}

/// What to do now, in order. Moves come only when there is nothing else to do, and what may wait behind them.
pub fn plan(known: &Known<'_>) -> Vec<Step> {
    let is_open = |pod: &Incarnation| known.open.iter().any(|(open, _)| open == pod);
    let Some(placement) = placement(known) else { return Vec::new() };
    let mut from: BTreeMap<Incarnation, Option<u64>> = BTreeMap::new();
    let owners = known.shards.iter().chain(known.links.values()).filter_map(|(owner, _)| *owner);
    from.extend(owners.filter(|owner| !is_open(owner)).map(|owner| (owner, None)));
    // Somebody may have closed a dead one since.
    from.extend(
        known.dead.iter().filter(|dead| is_open(&dead.incarnation)).map(|dead| (dead.incarnation, Some(dead.beat))),
    );
    let mut steps: Vec<Step> = from
        .into_iter()
        .map(|(from, beat)| Step::TakeOver {
            from,
            beat,
            assign: owned(known, Some(from)).map(|(thing, _)| placement.of(thing)).collect(),
        })
        .collect();
    let new = known.wanted.iter().collect::<BTreeSet<_>>().into_iter().filter(|link| !known.links.contains_key(*link));
    let new = new.map(|link| (Thing::Link(link.clone()), Epoch(0)));
    let claims: Vec<_> = owned(known, None)
        .filter(|(thing, _)| !matches!(thing, Thing::Link(link) if !known.wanted.contains(link)))
        .chain(new)
        .map(|(thing, seen)| {
            let (thing, to) = placement.of(thing);
            (thing, to, seen)
        })
        .collect();
    if !claims.is_empty() {
        steps.push(Step::Claim(claims));
    }
    if steps.is_empty() && known.frozen == 0 {
        let moves: Vec<_> = owned(known, Some(known.me))
            .filter(|(thing, _)| matches!(thing, Thing::Shard(_)))
            .map(|(thing, seen)| {
                let (thing, to) = placement.of(thing);
                (thing, to, seen)
            })
            .filter(|(_, to, _)| *to != known.me && known.ready.contains(to))
            .take(MOVES)
            .collect();
        if !moves.is_empty() {
            steps.push(Step::Move(moves));
        }
        let over = known.over.iter().filter(|pod| !is_open(pod) && owned(known, Some(**pod)).next().is_none());
        steps.extend(over.take(FORGETS).map(|pod| Step::Forget(*pod)));
    }
    steps
}

/// Where everything of ours goes when we end: to the pods that are open and not dead, without us. Empty without any.
pub fn handover(known: &Known<'_>) -> Vec<(Thing, Incarnation)> {
    let others = lives(known).filter(|(pod, _)| *pod != known.me).map(|(pod, name)| (name, pod)).collect();
    let Some(placement) = place(&others) else { return Vec::new() };
    owned(known, Some(known.me)).map(|(thing, _)| placement.of(thing)).collect()
}

/// Over all pods that are open and not dead. `None` when we are not among them: then it is not for us to plan.
pub(crate) fn placement(known: &Known<'_>) -> Option<Placement> {
    lives(known).any(|(pod, _)| pod == known.me).then_some(())?;
    place(&lives(known).map(|(pod, name)| (name, pod)).collect())
}

fn lives(known: &Known<'_>) -> impl Iterator<Item = (Incarnation, Box<str>)> {
    let is_dead = |pod: &Incarnation| known.dead.iter().any(|dead| dead.incarnation == *pod);
    known.open.iter().filter(move |(pod, _)| !is_dead(pod)).cloned()
}

/// What a pod, or nobody, has.
fn owned<'a>(known: &Known<'a>, by: Option<Incarnation>) -> impl Iterator<Item = (Thing, Epoch)> + 'a {
    let shards = (0u32..).zip(known.shards).filter(move |(_, (owner, _))| *owner == by);
    let shards = shards.map(|(n, (_, epoch))| (Thing::Shard(Shard(n)), *epoch));
    let links = known.links.iter().filter(move |(_, (owner, _))| *owner == by);
    shards.chain(links.map(|(link, (_, epoch))| (Thing::Link(link.clone()), *epoch)))
}

#[cfg(test)]
mod tests {
    use warren_model::ids::SHARDS;

    use super::*;

    const A: Incarnation = Incarnation(1);
    const B: Incarnation = Incarnation(2);
    const C: Incarnation = Incarnation(3);

    /// A table, and who is there.
    #[derive(Clone)]
    struct Site {
        open: Vec<(Incarnation, Box<str>)>,
        shards: Vec<Owner>,
        links: BTreeMap<Path, Owner>,
        wanted: Vec<Path>,
        dead: Vec<Dead>,
        ready: BTreeSet<Incarnation>,
        frozen: usize,
        over: Vec<Incarnation>,
    }

    fn link() -> Path {
        Path::new("muc.example", "")
    }

    fn site(open: &[Incarnation]) -> Site {
        Site {
            open: open.iter().map(|pod| (*pod, format!("muc-{pod}").into())).collect(),
            shards: vec![(None, Epoch(0)); SHARDS as usize],
            links: BTreeMap::new(),
            wanted: vec![link()],
            dead: Vec::new(),
            ready: open.iter().copied().collect(),
            frozen: 0,
            over: Vec::new(),
        }
    }

    impl Site {
        fn known(&self, me: Incarnation) -> Known<'_> {
            Known {
                me,
                open: &self.open,
                shards: &self.shards,
                links: &self.links,
                wanted: &self.wanted,
                dead: &self.dead,
                ready: &self.ready,
                frozen: self.frozen,
                over: &self.over,
            }
        }

        fn plan(&self, me: Incarnation) -> Vec<Step> {
            plan(&self.known(me))
        }

        fn give(&mut self, thing: &Thing, to: Incarnation) {
            let row = match thing {
                Thing::Shard(shard) => &mut self.shards[shard.0 as usize],
                Thing::Link(link) => self.links.entry(link.clone()).or_default(),
            };
            *row = (Some(to), Epoch(row.1.0 + 1));
        }

        /// As the store does it, when nobody else is faster.
        fn carry_out(&mut self, step: &Step) {
            match step {
                Step::TakeOver { from, assign, .. } => {
                    self.open.retain(|(pod, _)| pod != from);
                    self.dead.retain(|dead| dead.incarnation != *from);
                    for (thing, to) in assign {
                        self.give(thing, *to);
                    }
                }
                Step::Claim(things) | Step::Move(things) => {
                    for (thing, to, _) in things {
                        self.give(thing, *to);
                    }
                }
                Step::Forget(pod) => self.over.retain(|over| over != pod),
            }
        }

        /// Until nobody has anything to do. Returns the number of lots that were moved.
        fn settle(&mut self) -> usize {
            let mut lots = 0;
            for _ in 0..100 {
                let pods: Vec<Incarnation> = self.open.iter().map(|(pod, _)| *pod).collect();
                let steps: Vec<Step> = pods.iter().flat_map(|pod| self.plan(*pod)).collect();
                if steps.is_empty() {
                    return lots;
                }
                for step in &steps {
                    lots += usize::from(matches!(step, Step::Move(_)));
                    self.carry_out(step);
                }
            }
            panic!("there is no end to it");
        }

        fn count(&self, pod: Incarnation) -> usize {
            self.shards.iter().filter(|(owner, _)| *owner == Some(pod)).count()
        }
    }

    #[test]
    fn the_first_takes_everything_and_the_next_ones_get_their_part() {
        let mut site = site(&[A]);
        let steps = site.plan(A);
        let [Step::Claim(claims)] = steps.as_slice() else { panic!("{} steps", steps.len()) };
        assert_eq!(claims.len(), 4097, "the link too");
        assert!(claims.iter().all(|(_, to, seen)| (*to, *seen) == (A, Epoch(0))));
        assert_eq!(site.settle(), 0);
        site.open.push((B, "muc-b".into()));
        assert_eq!(site.plan(A), [], "there is no session to the other one");
        site.ready.insert(B);
        assert!(matches!(site.plan(A).as_slice(), [Step::Move(moves)] if moves.len() == MOVES));
        assert_eq!(site.plan(B), []);
        assert!((7..=9).contains(&site.settle()), "2048 shards, 256 at a time");
        assert!((1900..2200).contains(&site.count(A)) && site.count(A) + site.count(B) == 4096);
        assert_eq!(site.links[&link()], (Some(A), Epoch(1)), "links stay");
        let before = site.shards.clone();
        site.open.push((C, "muc-c".into()));
        site.ready.insert(C);
        site.settle();
        assert!((1200..1500).contains(&site.count(C)));
        let moved = before.iter().zip(&site.shards).filter(|(before, after)| before.0 != after.0);
        assert!(moved.clone().all(|(_, after)| after.0 == Some(C)), "from both, and nothing between them");
        assert!(moved.clone().any(|(before, _)| before.0 == Some(A)) && moved.clone().any(|(b, _)| b.0 == Some(B)));
    }

    #[test]
    fn one_lot_at_a_time() {
        let mut site = site(&[A]);
        site.settle();
        site.open.push((B, "muc-b".into()));
        site.ready.insert(B);
        site.frozen = 1;
        assert_eq!(site.plan(A), []);
    }

    #[test]
    fn the_dead_are_inherited_by_all() {
        let mut site = site(&[A, B, C]);
        site.settle();
        let had = site.count(B);
        site.dead.push(Dead { incarnation: B, beat: 7 });
        let steps = site.plan(C);
        let [Step::TakeOver { from: B, beat: Some(7), assign }] = steps.as_slice() else { panic!("{}", steps.len()) };
        assert!(assign.len() == had || assign.len() == had + 1, "the link may be its");
        assert!(assign.iter().any(|(_, to)| *to == A) && assign.iter().any(|(_, to)| *to == C));
        assert!(assign.iter().all(|(_, to)| *to != B));
        assert_eq!(site.plan(B), [], "who thinks that it is dead itself does nothing");
        site.settle();
        assert_eq!(site.count(A) + site.count(C), 4096);
    }

    #[test]
    fn a_dead_pod_that_has_nothing_is_closed_all_the_same() {
        let mut site = site(&[A]);
        site.settle();
        site.open.push((B, "muc-b".into()));
        site.dead.push(Dead { incarnation: B, beat: 3 });
        assert_eq!(site.plan(A), [Step::TakeOver { from: B, beat: Some(3), assign: Vec::new() }]);
        site.open.pop();
        assert_eq!(site.plan(A), [], "somebody else has done it");
    }

    #[test]
    fn a_restart_gets_back_what_it_had() {
        let mut site = site(&[A, B]);
        site.settle();
        let before = site.shards.clone();
        let name = site.open.remove(1).1;
        site.open.push((C, name));
        let steps = site.plan(A);
        let [Step::TakeOver { from: B, beat: None, assign }] = steps.as_slice() else { panic!("{}", steps.len()) };
        assert!(assign.iter().all(|(_, to)| *to == C));
        site.settle();
        for (before, after) in before.iter().zip(&site.shards) {
            assert_eq!(before.0.map(|pod| if pod == B { C } else { pod }), after.0);
        }
    }

    #[test]
    fn a_few_are_forgotten_at_a_time_and_who_owns_something_is_not() {
        let mut site = site(&[A]);
        site.settle();
        site.over = (10..20).map(Incarnation).collect();
        assert_eq!(site.plan(A), [10, 11, 12, 13].map(|pod| Step::Forget(Incarnation(pod))));
        site.frozen = 1;
        assert_eq!(site.plan(A), [], "not while shards are at rest");
        site.frozen = 0;
        site.give(&Thing::Shard(Shard(7)), Incarnation(10));
        let steps = site.plan(A);
        assert!(matches!(steps.as_slice(), [Step::TakeOver { from: Incarnation(10), .. }]), "first things first");
        site.settle();
        assert_eq!(site.over, []);
        site.over = vec![A];
        assert_eq!(site.plan(A), [], "who is open is not over, whatever was seen");
    }

    #[test]
    fn links_have_an_owner_if_they_are_wanted() {
        let mut site = site(&[A]);
        site.settle();
        let other = Path::new("other.example", "");
        site.links.insert(other.clone(), (None, Epoch(5)));
        assert_eq!(site.plan(A), [], "a row that nobody wants stays as it is");
        site.wanted.extend([other.clone(), other.clone()]);
        assert_eq!(site.plan(A), [Step::Claim(vec![(Thing::Link(other), A, Epoch(5))])]);
    }

    #[test]
    fn who_ends_gives_everything_to_the_others() {
        let mut site = site(&[A, B, C]);
        site.settle();
        site.dead.push(Dead { incarnation: C, beat: 1 });
        let given = handover(&site.known(A));
        assert_eq!(given.iter().filter(|(thing, _)| matches!(thing, Thing::Shard(_))).count(), site.count(A));
        assert!(given.iter().all(|(_, to)| *to == B));
        site.open.retain(|(pod, _)| *pod == A);
        assert_eq!(handover(&site.known(A)), []);
    }
}
