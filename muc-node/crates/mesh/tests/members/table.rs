//! The store of the members, as far as its contract says.

use std::collections::BTreeMap;

use warren_mesh::{Did, Owner, PodSeen, Step};
use warren_model::{Epoch, Incarnation, Path, Thing};

/// The store, as far as its contract says.
#[derive(Clone, Default)]
pub struct Table {
    /// It has lost its tail at some time.
    pub back: bool,
    pub rows: BTreeMap<Incarnation, PodSeen>,
    pub shards: Vec<Owner>,
    pub links: BTreeMap<Path, Owner>,
}

impl Table {
    pub fn join(&mut self, name: &str, incarnation: Incarnation) {
        self.rows.values_mut().filter(|row| &*row.name == name).for_each(|row| row.open = false);
        let row = PodSeen { incarnation, name: name.into(), address: name.into(), beat: 0, open: true };
        self.rows.insert(incarnation, row);
    }

    pub fn is_open(&self, pod: Incarnation) -> bool {
        self.rows.get(&pod).is_some_and(|row| row.open)
    }

    pub fn pods(&self) -> Vec<PodSeen> {
        self.rows.values().cloned().collect()
    }

    pub fn row(&mut self, thing: &Thing) -> &mut Owner {
        match thing {
            Thing::Shard(shard) => &mut self.shards[shard.0 as usize],
            Thing::Link(link) => self.links.entry(link.clone()).or_default(),
        }
    }

    pub fn give(&mut self, thing: &Thing, to: Incarnation) {
        let row = self.row(thing);
        *row = (Some(to), Epoch(row.1.0 + 1));
    }

    pub fn carry_out(&mut self, by: Incarnation, step: &Step) -> Did {
        if !self.is_open(by) {
            return Did::Closed;
        }
        let mut changed = false;
        match step {
            Step::TakeOver { from, beat, assign } => {
                let open = self.is_open(*from);
                assert!(beat.is_some() || !open || self.back, "only who is closed is taken over whatever its beat is");
                if open && beat.is_some_and(|beat| beat != self.rows[from].beat) {
                    return Did::Nothing;
                }
                self.rows.entry(*from).and_modify(|row| row.open = false);
                changed |= open;
                for (thing, to) in assign {
                    if self.row(thing).0 == Some(*from) {
                        changed = true;
                        if self.is_open(*to) {
                            self.give(thing, *to);
                        } else {
                            self.row(thing).0 = None;
                        }
                    }
                }
                let left = self.shards.iter_mut().chain(self.links.values_mut());
                left.filter(|row| row.0 == Some(*from)).for_each(|row| row.0 = None);
            }
            Step::Claim(claims) => {
                for (thing, to, seen) in claims {
                    let (owner, epoch) = *self.row(thing);
                    if epoch == *seen && !owner.is_some_and(|owner| self.is_open(owner)) && self.is_open(*to) {
                        self.give(thing, *to);
                        changed = true;
                    }
                }
            }
            Step::Move(moves) => {
                for (thing, to, seen) in moves {
                    if *self.row(thing) == (Some(by), *seen) && self.is_open(*to) {
                        self.give(thing, *to);
                    }
                }
            }
            Step::Forget(pod) => {
                assert!(!self.is_open(*pod));
                let owns = |row: &Owner| row.0 == Some(*pod);
                assert!(!self.shards.iter().chain(self.links.values()).any(owns));
                changed = self.rows.remove(pod).is_some();
            }
        }
        if changed { Did::Changed } else { Did::Nothing }
    }
}
