//! Cases: what shuts out an owner whose store has lost its tail.

use warren_model::{Batch, Epoch, RoomId, Row, Seq, Shard, Ticket};

use super::cluster::{A, B, claim, enter, shard, write};
use super::rows::{EPOCH, NOW, message, room, work};
use super::{Fixture, all, own, with_room};
use crate::{Backend, Cluster, CommitError, Incarnation, Work};

pub(super) fn what_follows_another_batch_is_fenced(store: &mut dyn Backend) {
    let lane = with_room(store);
    let before = all(store);
    let log = [work(1, vec![Row::Log(message(1))])];
    for known in [0, 2, u64::MAX >> 1] {
        let known = Some(Batch(known));
        assert_eq!(store.commit_after(lane, known, &log), Err(CommitError::Fenced), "{known:?}");
        assert_eq!(store.commit_after(lane, known, &[]), Err(CommitError::Fenced), "{known:?}");
        // What would be rejected, too: it is nobody's business what is wrong with it.
        let poison = [work(1, vec![Row::Log(message(1)), Row::Log(message(1))])];
        assert_eq!(store.commit_after(lane, known, &poison), Err(CommitError::Fenced), "{known:?}");
        let unfit = [work(1, vec![Row::Log(message(0))])];
        assert_eq!(store.commit_after(lane, known, &unfit), Err(CommitError::Fenced), "{known:?}");
    }
    assert_eq!(all(store), before);
    assert_eq!(store.commit_after(lane, Some(Batch(1)), &log), Ok(Batch(2)));
    assert_eq!(store.commit_after(lane, Some(Batch(2)), &[]), Ok(Batch(3)));
}

pub(super) fn lanes_of_a_store_that_begins_again_are_others<F: Fixture>(fixture: &mut F) {
    let mut stores = [fixture.open(), fixture.open()];
    let first = own(&mut stores[0]);
    let second = stores[1].take_over(Incarnation(2), NOW).expect("take_over").lane;
    assert_ne!(first, second, "the same count, and another incarnation");
    assert_eq!(stores[1].commit(first, &[]), Err(CommitError::Fenced), "who wrote before it began again is out");
    assert_eq!(stores[1].commit(second, &[]), Ok(Batch(1)));
}

pub(super) fn who_does_not_have_a_shard_writes_nothing_in_it(store: &mut dyn Backend, cluster: &mut dyn Cluster) {
    let lane = enter(cluster, "pod-0", A, 1).lanes[0].lane;
    let other = enter(cluster, "pod-1", B, 1).lanes[0].lane;
    let log = |seq| vec![Row::Log(message(seq))];
    let fenced = |answer| matches!(answer, Err(CommitError::Fenced));
    let make = || vec![Row::Room(room(1, "r@rooms.example"))];
    assert!(fenced(write(store, lane, EPOCH, make())) && fenced(write(store, lane, Epoch(0), make())), "nobody's");
    claim(cluster, A, &[(shard(1), 0)]);
    write(store, lane, EPOCH, make()).expect("commit");
    assert!(fenced(write(store, other, EPOCH, log(1))), "the epoch alone does not do");
    let lost = Epoch(EPOCH.0 + 1);
    for lane in [lane, other] {
        assert!(fenced(write(store, lane, lost, log(1))), "decided after a move that the store knows nothing of");
    }
    // Among others that are right, on either side of it.
    let of = |shard, epoch, room, rows| {
        let (ticket, room, shard) = (Ticket(0), RoomId(room), Shard(shard));
        Work::Room { ticket, room, shard, epoch, fresh: false, routed: None, rows }
    };
    let right = || of(1, EPOCH, 1, log(1));
    let late = || of(1, Epoch(EPOCH.0 - 1), 1, log(2));
    for wrong in [of(1, lost, 1, log(2)), of(2, EPOCH, 1, vec![])] {
        assert_eq!(store.commit(lane, &[right(), wrong.clone()]), Err(CommitError::Fenced));
        assert_eq!(store.commit(lane, &[wrong, right()]), Err(CommitError::Fenced));
    }
    for (at, group) in [[late(), right()], [right(), late()]].iter().enumerate() {
        let answer = store.commit(lane, group);
        assert_eq!(answer, Err(CommitError::Disowned { index: at }));
    }
    assert!(store.page(RoomId(1), Seq(0), 9).expect("page").is_empty());
    assert_eq!(store.commit(lane, &[right(), of(1, EPOCH, 1, log(2))]), Ok(Batch(2)));
}
