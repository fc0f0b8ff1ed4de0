//! What every store for several pods must do.

use warren_model::ids::SHARDS;
use warren_model::{Batch, Epoch, Lane, Path, RoomId, Row, Seq, Shard, Ticket, UnixMs};

use super::rows::{ALL, EPOCH, NOW, bare, message, room};
use super::{moves, tail};
use crate::{
    Assignment, Backend, Claim, Closed, Cluster, CommitError, Incarnation, Join, Joined, Moved, PodState, StoreError,
    TakeOver, Thing, Work,
};

/// How the suite gets stores.
pub trait Fixture {
    /// The backend.
    type B: Backend;
    /// The verbs of a cluster on it.
    type C: Cluster;
    /// A new and empty store.
    fn open(&mut self) -> (Self::B, Self::C);
}

/// Runs all cases, each one on a store of its own.
///
/// # Panics
///
/// When the backend breaks the contract.
pub fn suite<F: Fixture>(fixture: &mut F) {
    let cases: [fn(&mut dyn Backend, &mut dyn Cluster); 15] = [
        pods_come_and_go,
        a_new_incarnation_closes_the_one_before,
        a_pod_that_beats_at_the_last_moment_lives,
        what_nobody_owns_is_claimed_once,
        a_dead_pod_is_taken_over_once,
        a_pod_that_is_closed_decides_nothing,
        what_goes_to_a_closed_pod_goes_to_nobody,
        tail::who_does_not_have_a_shard_writes_nothing_in_it,
        moves::a_planned_move_leaves_the_old_epoch_behind,
        moves::many_things_move_at_once_and_others_are_left_out,
        moves::who_hands_over_ends_in_good_order,
        moves::who_is_closed_hands_over_nothing,
        moves::who_takes_itself_over_keeps_nothing,
        one_pod_and_several_take_turns,
        what_is_forgotten_was_over,
    ];
    for case in cases {
        let (mut store, mut cluster) = fixture.open();
        case(&mut store, &mut cluster);
    }
}

pub(super) const A: Incarnation = Incarnation(0xa);
pub(super) const B: Incarnation = Incarnation(0xb);
pub(super) const C: Incarnation = Incarnation(u128::MAX);

pub(super) fn enter(cluster: &mut dyn Cluster, name: &str, incarnation: Incarnation, lanes: u16) -> Joined {
    let join = Join { name: name.into(), incarnation, address: format!("{name}:7000").into(), lanes };
    cluster.join(&join).expect("join")
}

pub(super) fn shard(n: u32) -> Thing {
    Thing::Shard(Shard(n))
}

pub(super) fn link(remote: &str) -> Thing {
    Thing::Link(Path::new("rooms.example", remote))
}

pub(super) fn to(thing: Thing, to: Incarnation) -> Assignment {
    Assignment { thing, to }
}

pub(super) fn claim(cluster: &mut dyn Cluster, by: Incarnation, wishes: &[(Thing, u32)]) -> Vec<Moved> {
    let claims: Vec<_> =
        wishes.iter().map(|(thing, seen)| Claim { assignment: to(thing.clone(), by), seen: Epoch(*seen) }).collect();
    cluster.claim(by, &claims, NOW).expect("claim").expect("open")
}

pub(super) fn move_one(
    cluster: &mut dyn Cluster,
    thing: &Thing,
    from: Incarnation,
    into: Incarnation,
    seen: Epoch,
) -> Option<Epoch> {
    let claim = Claim { assignment: to(thing.clone(), into), seen };
    let moved = cluster.move_things(from, std::slice::from_ref(&claim), NOW).expect("move");
    assert!(moved.iter().all(|moved| moved.assignment == claim.assignment) && moved.len() < 2, "{moved:?}");
    moved.first().map(|moved| moved.epoch)
}

pub(super) fn owner(cluster: &mut dyn Cluster, thing: &Thing) -> (Option<Incarnation>, Epoch) {
    let view = cluster.view().expect("view");
    match thing {
        Thing::Shard(shard) => {
            let row = view.shards.iter().find(|row| row.shard == *shard).expect("all shards are listed");
            (row.owner, row.epoch)
        }
        Thing::Link(path) => {
            view.links.iter().find(|row| row.link == *path).map(|row| (row.owner, row.epoch)).unwrap_or_default()
        }
    }
}

pub(super) fn state(cluster: &mut dyn Cluster, pod: Incarnation) -> Option<PodState> {
    cluster.pods().expect("pods").iter().find(|row| row.incarnation == pod).map(|row| row.state)
}

pub(super) fn write(store: &mut dyn Backend, lane: Lane, epoch: Epoch, rows: Vec<Row>) -> Result<Batch, CommitError> {
    let (ticket, room, shard) = (Ticket(0), RoomId(1), Shard(1));
    store.commit(lane, &[Work::Room { ticket, room, shard, epoch, fresh: false, routed: None, rows }])
}

fn pods_come_and_go(store: &mut dyn Backend, cluster: &mut dyn Cluster) {
    let empty = cluster.view().expect("view");
    assert!(empty.pods.is_empty() && empty.links.is_empty());
    assert_eq!(empty.shards.len(), SHARDS as usize);
    assert!((0..).zip(&empty.shards).all(|(n, row)| row.shard == Shard(n) && row.owner.is_none()));
    let first = enter(cluster, "pod-0", C, 2);
    let second = enter(cluster, "pod-1", A, 1);
    assert_eq!((first.lanes.len(), first.closed, second.lanes.len()), (2, vec![], 1));
    let lanes = store.lanes().expect("lanes");
    let found: Vec<_> = lanes.iter().map(|row| (row.lane, row.incarnation, row.batch, row.open)).collect();
    let own = |n: usize| first.lanes[n].lane;
    assert_eq!(
        found,
        [(own(0), C, Batch(0), true), (own(1), C, Batch(0), true), (second.lanes[0].lane, A, Batch(0), true)]
    );
    assert!(cluster.beat(C).expect("beat") && cluster.beat(C).expect("beat") && cluster.beat(A).expect("beat"));
    assert!(!cluster.beat(B).expect("beat"), "who never came does not live");
    let pods = cluster.pods().expect("pods");
    let told: Vec<_> = pods.iter().map(|p| (p.incarnation, &*p.name, &*p.address, p.beat, p.state)).collect();
    let expected = [(A, "pod-1", "pod-1:7000", 1, PodState::Open), (C, "pod-0", "pod-0:7000", 2, PodState::Open)];
    assert_eq!(told, expected);
    // An answer that was lost: the same again.
    let again = enter(cluster, "pod-0", C, 2);
    assert_eq!(again.lanes, first.lanes);
    claim(cluster, C, &[(shard(7), 0), (link("near.example"), 0)]);
    assert!(cluster.goodbye(C).expect("goodbye") && !cluster.goodbye(C).expect("goodbye"));
    assert_eq!(state(cluster, C), Some(PodState::Gone));
    assert!(!cluster.beat(C).expect("beat"));
    assert_eq!(owner(cluster, &shard(7)), (None, EPOCH), "nobody's, and the epoch stays known");
    assert_eq!(owner(cluster, &link("near.example")), (None, EPOCH));
    assert_eq!(store.commit(own(0), &[]), Err(CommitError::Fenced));
    assert_eq!(store.commit(second.lanes[0].lane, &[]), Ok(Batch(1)));
    let join = Join { name: "pod-0".into(), incarnation: C, address: "x:1".into(), lanes: 1 };
    assert!(matches!(cluster.join(&join), Err(StoreError::Failed(_))), "an incarnation comes once");
}

fn a_new_incarnation_closes_the_one_before(store: &mut dyn Backend, cluster: &mut dyn Cluster) {
    let old = enter(cluster, "pod-0", A, 1).lanes[0].lane;
    claim(cluster, A, &[(shard(1), 0)]);
    let new = enter(cluster, "pod-0", B, 1);
    assert_eq!(new.closed, [A]);
    assert_eq!(state(cluster, A), Some(PodState::Closed { by: B }));
    assert_eq!(store.commit(old, &[]), Err(CommitError::Fenced));
    assert_eq!(owner(cluster, &shard(1)), (Some(A), EPOCH), "to be taken over like after any death");
    let taken = cluster.take_over_pod(A, None, B, &[to(shard(1), B)], NOW).expect("take over");
    let moved = Moved { assignment: to(shard(1), B), epoch: Epoch(EPOCH.0 + 1) };
    assert_eq!(taken, Ok(TakeOver::Done(vec![moved])));
    let again = cluster.take_over_pod(A, None, B, &[to(shard(1), B)], NOW).expect("take over");
    assert_eq!(again, Ok(TakeOver::Already { by: Some(B) }));
    assert_eq!(owner(cluster, &shard(1)), (Some(B), Epoch(EPOCH.0 + 1)));
}

fn a_pod_that_beats_at_the_last_moment_lives(store: &mut dyn Backend, cluster: &mut dyn Cluster) {
    let lane = enter(cluster, "pod-0", A, 1).lanes[0].lane;
    enter(cluster, "pod-1", B, 1);
    claim(cluster, A, &[(shard(1), 0)]);
    let seen = cluster.pods().expect("pods").iter().find(|pod| pod.incarnation == A).map(|pod| pod.beat);
    assert!(cluster.beat(A).expect("beat"));
    let taken = cluster.take_over_pod(A, seen, B, &[to(shard(1), B)], NOW).expect("take over");
    assert_eq!(taken, Ok(TakeOver::Alive));
    assert_eq!((state(cluster, A), owner(cluster, &shard(1))), (Some(PodState::Open), (Some(A), EPOCH)));
    assert!(cluster.beat(A).expect("beat"));
    write(store, lane, EPOCH, vec![Row::Room(room(1, "r@rooms.example"))]).expect("its lane is open");
    let taken = cluster.take_over_pod(A, seen.map(|beat| beat + 2), B, &[to(shard(1), B)], NOW).expect("take over");
    assert!(matches!(taken, Ok(TakeOver::Done(moved)) if moved.len() == 1));
}

fn what_nobody_owns_is_claimed_once(_: &mut dyn Backend, cluster: &mut dyn Cluster) {
    enter(cluster, "pod-0", A, 1);
    enter(cluster, "pod-1", B, 1);
    let things = [(shard(3), 0), (link("near.example"), 0), (shard(4095), 0), (link(""), 0)];
    let got = claim(cluster, A, &things);
    let expected: Vec<_> =
        things.iter().map(|(thing, _)| Moved { assignment: to(thing.clone(), A), epoch: EPOCH }).collect();
    assert_eq!(got, expected);
    assert_eq!(claim(cluster, B, &things), [], "the other one comes too late");
    let seen: Vec<_> = things.iter().map(|(thing, _)| (thing.clone(), EPOCH.0)).collect();
    assert_eq!(claim(cluster, B, &seen), [], "and seeing it changes nothing");
    assert_eq!(owner(cluster, &link("")), (Some(A), EPOCH));
    assert_eq!(owner(cluster, &shard(4)), (None, Epoch(0)));
    cluster.goodbye(A).expect("goodbye");
    assert_eq!(claim(cluster, B, &things), [], "an old sight of it is worth nothing");
    let late = [to(shard(3), B), to(link(""), B)].map(|assignment| Claim { assignment, seen: EPOCH });
    let got = cluster.claim(B, &late, UnixMs(0)).expect("claim").expect("open");
    assert_eq!(got.iter().map(|moved| moved.epoch.0).collect::<Vec<_>>(), [EPOCH.0 + 1; 2], "whatever the clock says");
}

fn a_dead_pod_is_taken_over_once(store: &mut dyn Backend, cluster: &mut dyn Cluster) {
    let dead = enter(cluster, "pod-0", A, 2).lanes;
    let alive = enter(cluster, "pod-1", B, 1).lanes[0].lane;
    enter(cluster, "pod-2", C, 1);
    claim(cluster, A, &[(shard(1), 0), (shard(2), 0), (shard(3), 0), (link("near.example"), 0)]);
    claim(cluster, B, &[(shard(9), 0)]);
    write(store, dead[1].lane, EPOCH, vec![Row::Room(room(1, "r@rooms.example"))]).expect("commit");
    // Also something that it does not own.
    let assign = [to(shard(2), C), to(shard(9), C), to(link("near.example"), B), to(shard(1), B)];
    let later = UnixMs(NOW.0 + 5_000);
    let taken = cluster.take_over_pod(A, None, B, &assign, later).expect("take over").expect("open");
    let epoch = Epoch(EPOCH.0 + 5);
    let moved = |n: usize| Moved { assignment: assign[n].clone(), epoch };
    assert_eq!(taken, TakeOver::Done(vec![moved(0), moved(2), moved(3)]));
    assert_eq!(state(cluster, A), Some(PodState::Closed { by: B }));
    assert!(!cluster.beat(A).expect("beat"));
    assert_eq!(owner(cluster, &shard(3)), (None, EPOCH), "what was not assigned is nobody's");
    assert_eq!(owner(cluster, &shard(9)), (Some(B), EPOCH));
    for lane in dead {
        let late = write(store, lane.lane, EPOCH, vec![Row::Log(message(1))]);
        assert_eq!(late, Err(CommitError::Fenced), "nothing of it is stored any more");
    }
    write(store, alive, epoch, vec![Row::Log(message(1))]).expect("the new owner writes");
    for by in [B, C] {
        let again = cluster.take_over_pod(A, None, by, &assign, later).expect("take over");
        assert_eq!(again, Ok(TakeOver::Already { by: Some(B) }));
    }
    let nobody = cluster.take_over_pod(Incarnation(77), None, B, &[], later).expect("take over");
    assert_eq!(nobody, Ok(TakeOver::Already { by: None }));
    assert_eq!(store.page(RoomId(1), Seq(0), 9).expect("page").len(), 1);
}

fn a_pod_that_is_closed_decides_nothing(store: &mut dyn Backend, cluster: &mut dyn Cluster) {
    enter(cluster, "pod-0", A, 1);
    let other = enter(cluster, "pod-1", B, 1).lanes[0].lane;
    claim(cluster, B, &[(shard(1), 0)]);
    cluster.take_over_pod(A, None, B, &[], NOW).expect("take over").expect("open");
    let before = cluster.view().expect("view");
    let wish = [Claim { assignment: to(shard(2), A), seen: Epoch(0) }];
    for by in [A, C] {
        assert_eq!(cluster.take_over_pod(B, None, by, &[to(shard(1), by)], NOW).expect("take over"), Err(Closed));
        assert_eq!(cluster.claim(by, &wish, NOW).expect("claim"), Err(Closed));
    }
    assert_eq!(cluster.view().expect("view"), before);
    assert_eq!(store.commit(other, &[]), Ok(Batch(1)), "not even the lanes were touched");
}

fn what_goes_to_a_closed_pod_goes_to_nobody(_: &mut dyn Backend, cluster: &mut dyn Cluster) {
    for (name, pod) in [("pod-0", A), ("pod-1", B), ("pod-2", C)] {
        enter(cluster, name, pod, 1);
    }
    claim(cluster, A, &[(shard(1), 0), (shard(2), 0)]);
    cluster.goodbye(C).expect("goodbye");
    let taken = cluster.take_over_pod(A, None, B, &[to(shard(1), C), to(shard(2), B)], NOW).expect("take over");
    let moved = Moved { assignment: to(shard(2), B), epoch: Epoch(EPOCH.0 + 1) };
    assert_eq!(taken, Ok(TakeOver::Done(vec![moved])));
    assert_eq!(owner(cluster, &shard(1)), (None, EPOCH));
    let wish = [Claim { assignment: to(shard(1), C), seen: EPOCH }];
    assert_eq!(cluster.claim(B, &wish, NOW).expect("claim"), Ok(vec![]));
    let epoch = Epoch(EPOCH.0 + 1);
    assert_eq!(move_one(cluster, &shard(2), B, C, epoch), None);
    assert_eq!(move_one(cluster, &shard(2), B, Incarnation(77), epoch), None);
    assert_eq!(owner(cluster, &shard(2)), (Some(B), epoch));
}

fn one_pod_and_several_take_turns(store: &mut dyn Backend, cluster: &mut dyn Cluster) {
    let alone = store.take_over(Incarnation(1), UnixMs(NOW.0 + 60_000)).expect("take_over");
    write(store, alone.lane, alone.epoch, vec![Row::Room(room(1, "r@rooms.example"))]).expect("commit");
    let lane = enter(cluster, "pod-0", A, 1).lanes[0].lane;
    let late = write(store, alone.lane, alone.epoch, vec![Row::Log(message(1))]);
    assert_eq!(late, Err(CommitError::Fenced), "whoever had the store alone has it no more");
    let got = claim(cluster, A, &[(shard(1), 0), (link("near.example"), 0)]);
    let epoch = got[0].epoch;
    assert!(got.iter().all(|moved| moved.epoch == Epoch(alone.epoch.0 + 1)), "above what was decided then: {got:?}");
    write(store, lane, epoch, vec![Row::Log(message(1))]).expect("commit");
    enter(cluster, "pod-1", B, 1);
    let epoch = move_one(cluster, &shard(1), A, B, epoch).expect("it moves");
    let alone = store.take_over(Incarnation(2), NOW).expect("take_over");
    assert_eq!(alone.epoch, Epoch(epoch.0 + 1), "and the other way round");
    assert_eq!(store.commit(lane, &[]), Err(CommitError::Fenced));
    assert_eq!([A, B].map(|pod| state(cluster, pod)), [Some(PodState::Gone); 2]);
    assert_eq!(owner(cluster, &shard(1)), (None, epoch));
    write(store, alone.lane, alone.epoch, vec![Row::Log(message(2))]).expect("commit");
}

fn what_is_forgotten_was_over(store: &mut dyn Backend, cluster: &mut dyn Cluster) {
    let its = enter(cluster, "pod-0", A, 1).lanes[0].lane;
    let other = enter(cluster, "pod-1", B, 1).lanes[0].lane;
    claim(cluster, A, &[(shard(1), 0), (shard(2), 0)]);
    write(store, its, EPOCH, vec![Row::Room(room(1, "r@rooms.example")), Row::Log(message(1))]).expect("commit");
    let epoch = move_one(cluster, &shard(1), A, B, EPOCH).expect("it moves");
    let routed = |source| {
        let routed = Some(crate::Routed { source, n: 4 });
        let (ticket, room, shard) = (Ticket(0), RoomId(1), Shard(1));
        Work::Room { ticket, room, shard, epoch, fresh: true, routed, rows: vec![] }
    };
    store.commit(other, &[routed(A), routed(B)]).expect("commit");
    assert!(!cluster.forget(A).expect("forget"), "it is open");
    enter(cluster, "pod-0", C, 1);
    assert!(!cluster.forget(A).expect("forget"), "it owns something");
    cluster.take_over_pod(A, None, B, &[], NOW).expect("take over").expect("open");
    let sources = |store: &mut dyn Backend| {
        let rows = store.load_room(&bare("r@rooms.example"), ALL).expect("load").expect("room");
        rows.routed.iter().map(|routed| routed.source).collect::<Vec<_>>()
    };
    let path = [Path::new("rooms.example", "far.example")];
    store.trim_batches(other, &path).expect("trim");
    assert!(!cluster.forget(A).expect("forget"), "what it wrote was not delivered");
    assert_eq!(sources(store), [A, B]);
    store.trim_batches(other, &[]).expect("trim");
    assert!(cluster.forget(A).expect("forget") && !cluster.forget(A).expect("forget"));
    assert_eq!(state(cluster, A), None);
    assert_eq!(sources(store), [B]);
}
