//! Cases: things that their owner gives to others.

use warren_model::{Batch, Epoch, Row, UnixMs};

use super::cluster::{A, B, C, claim, enter, link, move_one, owner, shard, state, to, write};
use super::rows::{EPOCH, NOW, message, room};
use crate::{Backend, Claim, Closed, Cluster, CommitError, Incarnation, Moved, PodState, TakeOver, Thing};

pub(super) fn a_planned_move_leaves_the_old_epoch_behind(store: &mut dyn Backend, cluster: &mut dyn Cluster) {
    let from = enter(cluster, "pod-0", A, 1).lanes[0].lane;
    let into = enter(cluster, "pod-1", B, 1).lanes[0].lane;
    claim(cluster, A, &[(shard(1), 0), (link("near.example"), 0)]);
    write(store, from, EPOCH, vec![Row::Room(room(1, "r@rooms.example"))]).expect("commit");
    let epoch = move_one(cluster, &shard(1), A, B, EPOCH).expect("it moves");
    assert_eq!(epoch, Epoch(EPOCH.0 + 1));
    assert_eq!(owner(cluster, &shard(1)), (Some(B), epoch));
    let late = write(store, from, EPOCH, vec![Row::Log(message(1))]);
    assert!(matches!(late, Err(CommitError::Disowned { index: 0 })), "{late:?}");
    write(store, into, epoch, vec![Row::Log(message(1))]).expect("commit");
    assert_eq!(store.commit(from, &[]), Ok(Batch(2)), "its lane goes on: it has other shards");
    assert_eq!(move_one(cluster, &shard(1), A, B, EPOCH), None, "not twice");
    assert_eq!(move_one(cluster, &shard(1), B, A, EPOCH), None, "nor by an old sight");
    let back = move_one(cluster, &shard(1), B, A, epoch);
    assert_eq!(back, Some(Epoch(EPOCH.0 + 2)));
    let near = link("near.example");
    let claim = Claim { assignment: to(near.clone(), B), seen: EPOCH };
    let moved = cluster.move_things(A, std::slice::from_ref(&claim), UnixMs(NOW.0 + 9_999)).expect("move");
    assert_eq!(moved, [Moved { assignment: claim.assignment, epoch: Epoch(EPOCH.0 + 9) }]);
    assert_eq!(owner(cluster, &near), (Some(B), Epoch(EPOCH.0 + 9)));
    assert_eq!(move_one(cluster, &link("far.example"), A, B, Epoch(0)), None);
}

pub(super) fn many_things_move_at_once_and_others_are_left_out(store: &mut dyn Backend, cluster: &mut dyn Cluster) {
    let from = enter(cluster, "pod-0", A, 1).lanes[0].lane;
    let other = enter(cluster, "pod-1", B, 1).lanes[0].lane;
    enter(cluster, "pod-2", C, 1);
    let (near, far) = (link("near.example"), link("far.example"));
    let things = [shard(1), shard(2), shard(3), shard(4), near.clone(), far.clone()];
    claim(cluster, A, &things.map(|thing| (thing, 0)));
    claim(cluster, B, &[(shard(9), 0)]);
    write(store, from, EPOCH, vec![Row::Room(room(1, "r@rooms.example"))]).expect("commit");
    let wish = |thing: &Thing, into: Incarnation, seen: Epoch| Claim { assignment: to(thing.clone(), into), seen };
    let wishes = [
        wish(&far, B, EPOCH),
        wish(&shard(3), C, EPOCH),
        // Of another owner, of nobody, by an old sight, to who never came.
        wish(&shard(9), C, EPOCH),
        wish(&shard(10), C, Epoch(0)),
        wish(&shard(2), B, Epoch(EPOCH.0 - 1)),
        wish(&link("away.example"), B, Epoch(0)),
        wish(&shard(4), Incarnation(77), EPOCH),
        wish(&shard(1), B, EPOCH),
    ];
    let before = cluster.view().expect("view");
    assert_eq!(cluster.move_things(A, &[], NOW).expect("move"), []);
    assert_eq!(cluster.move_things(C, &wishes, NOW).expect("move"), [], "it has none of them");
    assert_eq!(cluster.move_things(Incarnation(77), &wishes, NOW).expect("move"), [], "nobody has nothing");
    assert_eq!(cluster.view().expect("view"), before);
    let moved = cluster.move_things(A, &wishes, UnixMs(NOW.0 + 7_000)).expect("move");
    let epoch = Epoch(EPOCH.0 + 7);
    let expected = [0, 1, 7].map(|n: usize| Moved { assignment: wishes[n].assignment.clone(), epoch });
    assert_eq!(moved, expected);
    assert_eq!([shard(1), far].map(|thing| owner(cluster, &thing)), [(Some(B), epoch); 2]);
    assert_eq!(owner(cluster, &shard(3)), (Some(C), epoch));
    assert_eq!([shard(2), shard(4), near].map(|thing| owner(cluster, &thing)), [(Some(A), EPOCH); 3]);
    assert_eq!([shard(9), shard(10)].map(|thing| owner(cluster, &thing)), [(Some(B), EPOCH), (None, Epoch(0))]);
    let late = write(store, from, EPOCH, vec![Row::Log(message(1))]);
    assert!(matches!(late, Err(CommitError::Disowned { index: 0 })), "{late:?}");
    write(store, other, epoch, vec![Row::Log(message(1))]).expect("the new owner writes");
    assert_eq!(store.commit(from, &[]), Ok(Batch(2)), "its lane goes on: it has other shards");
    assert_eq!(cluster.move_things(A, &wishes, NOW).expect("move"), [], "not twice");
    cluster.take_over_pod(A, None, B, &[], NOW).expect("take over").expect("open");
    assert_eq!(
        cluster.move_things(A, &[wish(&shard(2), B, EPOCH)], NOW).expect("move"),
        [],
        "a closed one moves nothing"
    );
}

pub(super) fn who_hands_over_ends_in_good_order(store: &mut dyn Backend, cluster: &mut dyn Cluster) {
    let old = enter(cluster, "pod-0", A, 2).lanes;
    let other = enter(cluster, "pod-1", B, 1).lanes[0].lane;
    enter(cluster, "pod-2", C, 1);
    cluster.goodbye(C).expect("goodbye");
    let near = link("near.example");
    claim(cluster, A, &[(shard(1), 0), (shard(2), 0), (shard(3), 0), (shard(4), 0), (near.clone(), 0)]);
    claim(cluster, B, &[(shard(9), 0)]);
    write(store, old[0].lane, EPOCH, vec![Row::Room(room(1, "r@rooms.example"))]).expect("commit");
    // Also to itself, to who has gone, and what is not its own.
    let assign = [to(near.clone(), B), to(shard(1), B), to(shard(2), A), to(shard(3), C), to(shard(9), C)];
    let moved = cluster.hand_over(A, &assign, UnixMs(NOW.0 + 3_000)).expect("hand over").expect("open");
    let epoch = Epoch(EPOCH.0 + 3);
    assert_eq!(moved, [0, 1].map(|n: usize| Moved { assignment: assign[n].clone(), epoch }));
    assert_eq!(state(cluster, A), Some(PodState::Gone), "nobody had to close it");
    assert!(!cluster.beat(A).expect("beat"));
    assert_eq!([shard(1), near].map(|thing| owner(cluster, &thing)), [(Some(B), epoch); 2]);
    assert_eq!([shard(2), shard(3), shard(4)].map(|thing| owner(cluster, &thing)), [(None, EPOCH); 3]);
    assert_eq!(owner(cluster, &shard(9)), (Some(B), EPOCH));
    for lane in old {
        assert_eq!(store.commit(lane.lane, &[]), Err(CommitError::Fenced));
    }
    write(store, other, epoch, vec![Row::Log(message(1))]).expect("the new owner writes");
    assert_eq!(cluster.hand_over(A, &assign, NOW).expect("hand over"), Err(Closed), "once");
    assert!(!cluster.goodbye(A).expect("goodbye"));
    let again = cluster.take_over_pod(A, None, B, &[], NOW).expect("take over");
    assert_eq!(again, Ok(TakeOver::Already { by: None }), "there is nothing left to take");
    assert_eq!(claim(cluster, B, &[(shard(2), EPOCH.0)]).len(), 1, "what nobody got is free");
    store.trim_batches(other, &[]).expect("trim");
    assert!(cluster.forget(A).expect("forget"));
}

pub(super) fn who_is_closed_hands_over_nothing(store: &mut dyn Backend, cluster: &mut dyn Cluster) {
    enter(cluster, "pod-0", A, 1);
    let other = enter(cluster, "pod-1", B, 1).lanes[0].lane;
    claim(cluster, A, &[(shard(1), 0)]);
    // Closed by its next incarnation; what it owned is still under its name.
    let next = enter(cluster, "pod-0", C, 1).lanes[0].lane;
    let before = cluster.view().expect("view");
    for pod in [A, Incarnation(77)] {
        assert_eq!(cluster.hand_over(pod, &[to(shard(1), B)], NOW).expect("hand over"), Err(Closed));
    }
    assert_eq!(cluster.view().expect("view"), before);
    assert_eq!([other, next].map(|lane| store.commit(lane, &[])), [Ok(Batch(1)), Ok(Batch(1))]);
    assert_eq!(cluster.hand_over(C, &[], NOW).expect("hand over"), Ok(vec![]), "who has nothing ends as well");
    assert_eq!(store.commit(next, &[]), Err(CommitError::Fenced));
    assert_eq!(owner(cluster, &shard(1)), (Some(A), EPOCH), "it had not been taken over");
}

pub(super) fn who_takes_itself_over_keeps_nothing(store: &mut dyn Backend, cluster: &mut dyn Cluster) {
    let lane = enter(cluster, "pod-0", A, 1).lanes[0].lane;
    enter(cluster, "pod-1", B, 1);
    claim(cluster, A, &[(shard(1), 0), (shard(2), 0)]);
    let assign = [to(shard(1), B), to(shard(2), A)];
    let taken = cluster.take_over_pod(A, None, A, &assign, NOW).expect("take over");
    let moved = Moved { assignment: assign[0].clone(), epoch: Epoch(EPOCH.0 + 1) };
    assert_eq!(taken, Ok(TakeOver::Done(vec![moved])));
    assert_eq!(state(cluster, A), Some(PodState::Closed { by: A }));
    assert_eq!(owner(cluster, &shard(2)), (None, EPOCH));
    assert_eq!(store.commit(lane, &[]), Err(CommitError::Fenced));
    assert_eq!(cluster.take_over_pod(A, None, A, &[], NOW).expect("take over"), Err(Closed));
}
