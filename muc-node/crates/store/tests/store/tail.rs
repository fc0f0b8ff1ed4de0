//! Histories in which the store loses its tail while pods live on, on the model. The pods here are the worst there can
//! be: none ends, whatever it is told, and each writes under every epoch that it ever had, on what it has seen.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use warren_model::{Batch, Epoch, Lane, RoomId, Row, Seq, Shard, Ticket, UnixMs};
use warren_store::conformance::rows::{NOW, message, room};
use warren_store::{Assignment, Claim, Faulty, Incarnation, Join, Model, Moved, PodState, TakeOver, Thing, Work};

const SHARDS: u32 = 2;
const NAMES: u8 = 3;

#[derive(Clone, Copy, Debug)]
enum Op {
    /// A pod of that name starts, or starts again.
    Join(u8),
    /// One gives a shard that nobody has to one.
    Claim(usize, u32, usize),
    /// One gives a shard of its own to another one.
    Move(usize, u32, usize),
    /// One closes another one and takes what it had, or gives it to a third.
    TakeOver(usize, usize, usize),
    /// One gives all to another one and ends.
    HandOver(usize, usize),
    Goodbye(usize),
    Forget(usize),
    /// One writes in a shard that it had once.
    Write(usize, u32),
    /// A standby is up to date.
    Replicate,
    /// The standby takes the place of the server.
    FailOver,
}

fn op() -> impl Strategy<Value = Op> {
    let (pod, shard) = (|| 0..8usize, || 0..SHARDS);
    prop_oneof![
        3 => (0..NAMES).prop_map(Op::Join),
        6 => (pod(), shard(), pod()).prop_map(|(by, shard, to)| Op::Claim(by, shard, to)),
        6 => (pod(), shard(), pod()).prop_map(|(from, shard, to)| Op::Move(from, shard, to)),
        2 => (pod(), pod(), pod()).prop_map(|(dead, by, to)| Op::TakeOver(dead, by, to)),
        1 => (pod(), pod()).prop_map(|(me, to)| Op::HandOver(me, to)),
        1 => pod().prop_map(Op::Goodbye),
        1 => pod().prop_map(Op::Forget),
        20 => (pod(), shard()).prop_map(|(pod, shard)| Op::Write(pod, shard)),
        3 => Just(Op::Replicate),
        2 => Just(Op::FailOver),
    ]
}

struct Pod {
    me: Incarnation,
    lane: Lane,
    known: Batch,
    /// What it was given, with the head of the shard's room as it was loaded or written since.
    had: BTreeMap<(Shard, Epoch), Seq>,
}

/// A commit that was taken.
#[derive(Clone, Copy, Debug)]
struct Taken {
    shard: Shard,
    epoch: Epoch,
    pod: Incarnation,
}

#[derive(Default)]
struct World {
    store: Faulty,
    standby: Option<(Model, usize)>,
    pods: Vec<Pod>,
    seconds: u64,
    /// What is durable, in order.
    taken: Vec<Taken>,
    /// All that ever was, also what is lost.
    given: BTreeMap<(Shard, Epoch), Incarnation>,
    lanes: BTreeSet<Lane>,
    lost: usize,
    fenced: usize,
}

fn room_of(shard: Shard) -> RoomId {
    RoomId(u64::from(shard.0) + 1)
}

impl World {
    fn now(&self) -> UnixMs {
        UnixMs(NOW.0 + self.seconds * 1000)
    }

    fn pod(&self, n: usize) -> Option<Incarnation> {
        Some(self.pods[n.checked_rem(self.pods.len())?].me)
    }

    fn durable(&mut self) -> Model {
        self.store.durable().clone()
    }

    /// A verb.
    fn change<T>(&mut self, change: impl FnOnce(&mut Model, UnixMs) -> T) -> T {
        let (mut durable, now) = (self.durable(), self.now());
        let answer = change(&mut durable, now);
        self.store.restore(durable);
        answer
    }

    fn join(&mut self, name: u8) {
        let me = Incarnation(0xbeef_0000_0000_0000_0000 + self.pods.len() as u128);
        let join = Join { name: format!("pod-{name}").into(), incarnation: me, address: "here".into(), lanes: 1 };
        let joined = self.change(|model, _| model.join(&join)).unwrap();
        let lane = joined.lanes[0].lane;
        assert!(self.lanes.insert(lane), "lane {lane} comes back");
        self.pods.push(Pod { me, lane, known: Batch(0), had: BTreeMap::new() });
    }

    /// Who gets something hears of it at once, and loads it.
    fn given(&mut self, moved: &[Moved]) {
        for Moved { assignment, epoch } in moved {
            let Thing::Shard(shard) = assignment.thing else { continue };
            let before = self.given.insert((shard, *epoch), assignment.to);
            assert_eq!(before, None, "epoch {epoch} of shard {shard} comes back");
            let head =
                self.store.durable().page(room_of(shard), Seq(0), usize::MAX).last().map_or(Seq(0), |row| row.seq);
            let pod = self.pods.iter_mut().find(|pod| pod.me == assignment.to).unwrap();
            pod.had.insert((shard, *epoch), head);
        }
    }

    fn seen(&self, shard: u32) -> Epoch {
        self.store.durable().view().shards[shard as usize].epoch
    }

    fn carry_out(&mut self, op: Op) -> Option<()> {
        self.seconds += 1;
        let claim =
            |shard: u32, to, seen| [Claim { assignment: Assignment { thing: Thing::Shard(Shard(shard)), to }, seen }];
        match op {
            Op::Join(name) => self.join(name),
            Op::Claim(by, shard, to) => {
                let (by, claims) = (self.pod(by)?, claim(shard, self.pod(to)?, self.seen(shard)));
                let moved = self.change(|model, now| model.claim(by, &claims, now)).unwrap_or_default();
                self.given(&moved);
            }
            Op::Move(from, shard, to) => {
                let (from, moves) = (self.pod(from)?, claim(shard, self.pod(to)?, self.seen(shard)));
                let moved = self.change(|model, now| model.move_things(from, &moves, now));
                self.given(&moved);
            }
            Op::TakeOver(dead, by, to) => {
                let (dead, by, to) = (self.pod(dead)?, self.pod(by)?, self.pod(to)?);
                let assign = [0, 1].map(|shard| Assignment { thing: Thing::Shard(Shard(shard)), to });
                let done = self.change(|model, now| model.take_over_pod(dead, None, by, &assign, now));
                if let Ok(TakeOver::Done(moved)) = done {
                    self.given(&moved);
                }
            }
            Op::HandOver(me, to) => {
                let (me, to) = (self.pod(me)?, self.pod(to)?);
                let assign = [0, 1].map(|shard| Assignment { thing: Thing::Shard(Shard(shard)), to });
                let moved = self.change(|model, now| model.hand_over(me, &assign, now)).unwrap_or_default();
                self.given(&moved);
            }
            Op::Goodbye(pod) => {
                let pod = self.pod(pod)?;
                self.change(|model, _| model.goodbye(pod));
            }
            Op::Forget(pod) => {
                let (pod, lanes) = (self.pod(pod)?, self.store.durable().lanes());
                let open = lanes.iter().find(|row| row.open)?.lane;
                self.change(|model, _| model.trim_batches(open, &[])).unwrap();
                self.change(|model, _| model.forget(pod));
            }
            Op::Write(pod, shard) => {
                let at = pod.checked_rem(self.pods.len())?;
                let epochs: Vec<_> = self.pods[at].had.keys().filter(|(s, _)| s.0 == shard).copied().collect();
                for (shard, epoch) in epochs {
                    self.write(at, shard, epoch);
                }
            }
            Op::Replicate => self.standby = Some((self.durable(), self.taken.len())),
            Op::FailOver => {
                let (earlier, taken) = self.standby.clone()?;
                self.store.fail_over(earlier);
                self.lost += self.taken.len() - taken;
                self.taken.truncate(taken);
            }
        }
        Some(())
    }

    fn write(&mut self, at: usize, shard: Shard, epoch: Epoch) {
        let pod = &mut self.pods[at];
        let next = pod.had[&(shard, epoch)].next();
        let mut rows = vec![Row::Log(message(next.0))];
        if next == Seq(1) {
            rows.insert(0, Row::Room(room(room_of(shard).0, &format!("r{shard}@rooms.example"))));
        }
        let (ticket, room) = (Ticket(0), room_of(shard));
        let work = Work::Room { ticket, room, shard, epoch, fresh: false, routed: None, rows };
        let before = self.store.durable().view().shards[shard.0 as usize];
        let tx = self.store.submit(pod.lane, pod.known, vec![work]).unwrap();
        let Ok(batch) = self.store.finish(tx).unwrap() else {
            self.fenced += 1;
            return;
        };
        assert_eq!(batch.0, pod.known.0 + 1);
        pod.known = batch;
        pod.had.insert((shard, epoch), next);
        assert_eq!((before.owner, before.epoch), (Some(pod.me), epoch), "only its owner writes in a shard");
        let states = self.store.durable().pods();
        let state = states.iter().find(|row| row.incarnation == pod.me).map(|row| row.state);
        assert_eq!(state, Some(PodState::Open));
        let pod = pod.me;
        let after = |old: &&Taken| old.shard == shard && (old.epoch > epoch || old.epoch == epoch && old.pod != pod);
        assert_eq!(
            self.taken.iter().find(after).map(|old| (old.pod, old.epoch)),
            None,
            "{pod} under {epoch} comes after"
        );
        self.taken.push(Taken { shard, epoch, pod });
    }

    fn check(&self) {
        for shard in (0..SHARDS).map(Shard) {
            let log = self.store.durable().page(room_of(shard), Seq(0), usize::MAX);
            let durable = self.taken.iter().filter(|taken| taken.shard == shard).count();
            assert_eq!(log.len(), durable);
            assert!(log.iter().map(|row| row.seq.0).eq(1..=log.len() as u64), "a row is built on what is lost");
        }
    }
}

fn world(ops: &[Op]) -> World {
    let mut world = World::default();
    (0..NAMES).for_each(|name| world.join(name));
    for op in ops {
        world.carry_out(*op);
        world.check();
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_built_on_what_is_lost(ops in prop::collection::vec(op(), 1..120)) {
        world(&ops);
    }
}

#[test]
fn a_pod_that_joined_after_the_backup_is_out_and_so_is_a_move_that_never_was() {
    // As above, one story: pod 3 joins after the standby was up to date, gets the shard of pod 0 and writes; then pod 4
    // joins at the same count.
    let before = [Op::Claim(0, 0, 0), Op::Write(0, 0), Op::Replicate];
    let lost = [Op::Join(2), Op::Move(0, 0, 3), Op::Write(3, 0), Op::FailOver, Op::Join(2)];
    let world =
        world(&[&before[..], &lost, &[Op::Write(3, 0), Op::Move(0, 0, 4), Op::Write(3, 0), Op::Write(0, 0)]].concat());
    assert_eq!((world.taken.len(), world.lost, world.fenced), (1, 1, 3));
    assert!(world.lanes.len() == 5, "and their lanes have different numbers");
}
