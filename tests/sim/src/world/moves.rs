//! Planned moves: shards that are at rest are moved, or it is not known whether they are. A store goes on with what it was
//! given although nobody waits for it any more: then it has moved rooms from a pod that believes that it has kept them.

use warren_model::{Shard, Thing, UnixMs};
use warren_store::{Assignment, Claim, Cluster, Incarnation, Moved};

use super::World;
use super::member::{Ask, Told};
use super::queue::{Event, Pid};
use crate::fault::Step;
use crate::names::{MS, Micros, room};

/// Of a hundred moves without anybody's room, so many are late: most of a table is nobody's.
const IDLE: u64 = 6;

impl World {
    /// Shards are at rest: now they may be moved.
    pub(super) fn move_them(&mut self, pid: Pid, shards: &[Shard]) {
        if !self.step(pid.at, Step::Move) {
            return;
        }
        let Some(member) = self.member(pid) else { return };
        let claims = shards.iter().filter_map(|shard| {
            let thing = Thing::Shard(*shard);
            let (to, seen) = member.moves.remove(&thing)?;
            Some(Claim { assignment: Assignment { thing, to }, seen })
        });
        let claims: Vec<Claim> = claims.collect();
        if claims.is_empty() {
            return;
        }
        member.tried += 1;
        let lived_in = Thing::Shard(Shard::of(&room(pid.at.site)));
        let to = claims.iter().find(|claim| claim.assignment.thing == lived_in).map(|claim| claim.assignment.to);
        let percent = if to.is_some() { self.plan.late } else { IDLE };
        if self.faults_on && self.rng.percent(percent) {
            self.move_late(pid, claims, to);
        } else {
            self.want(pid, Ask::Move(claims));
        }
    }

    /// Its connection is lost, and the store goes on with what it was given. `to`: who gets somebody's room.
    fn move_late(&mut self, pid: Pid, claims: Vec<Claim>, to: Option<Incarnation>) {
        let Some(me) = self.running(pid).map(|process| process.incarnation) else { return };
        let site = pid.at.site;
        self.sites[site].late_moves.insert(me);
        let mut back = self.store_time();
        let most = [4, 60, 3000][self.rng.index(3)];
        let late = self.rng.below(most * MS);
        if let Some(to) = to.and_then(|to| self.sites[site].by_incarnation(to)).map(|process| process.pid.at.pod) {
            match self.rng.below(5) {
                0 => {}
                // What it commits next waits behind the move, as for a lock, and then for its turn.
                1 => self.slot(pid.at).slow.0 = back + late + self.rng.below(8000) * MS,
                // Whatever has cut its connection has cut others, so that it does not try again at once.
                _ => {
                    back = self.rng.range(60, 2000) * MS;
                    self.part(pid, to);
                }
            }
        }
        let things = claims.iter().map(|claim| claim.assignment.thing.clone()).collect();
        self.after(back, Event::Told(pid, Told::Moved(things, Vec::new())));
        self.after(back + late, Event::Ask(pid, me, Ask::LateMove(claims)));
    }

    /// Two pods cannot speak to each other for a while; perhaps one of them can speak to nobody.
    fn part(&mut self, pid: Pid, to: usize) {
        let (site, from) = (pid.at.site, pid.at.pod);
        let length: Micros = self.rng.range(3000, 12_000) * MS;
        let alone = [None, Some(from), Some(to)][self.rng.index(3)];
        let pods = self.sites[site].pods.len();
        let pairs = (0..pods).flat_map(|a| (a + 1..pods).map(move |b| (a, b)));
        let parted = |(a, b): &(usize, usize)| {
            [*a, *b].iter().all(|pod| [from, to].contains(pod)) || alone.is_some_and(|pod| pod == *a || pod == *b)
        };
        for pair in pairs.filter(parted).collect::<Vec<_>>() {
            self.separate(site, pair, length);
        }
    }

    /// The store moves what still is that pod's.
    pub(super) fn store_move(&mut self, pid: Pid, me: Incarnation, claims: &[Claim], now: UnixMs) -> Vec<Moved> {
        let here = &mut self.sites[pid.at.site];
        here.view = None;
        let moved = here.store.cluster().move_things(me, claims, now).unwrap_or_default();
        self.trace.line(self.now, || format!("{}: moves {} of {} shards", pid.at, moved.len(), claims.len()));
        self.step(pid.at, Step::Move);
        moved
    }
}
