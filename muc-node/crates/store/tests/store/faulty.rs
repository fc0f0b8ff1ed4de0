//! The simulator's store does what it is told.

use warren_model::{Batch, Row, Seq};
use warren_store::conformance::rows::{NOW, message, room, work};
use warren_store::{CommitError, Faulty, Incarnation, Model, Resolved, Work};

fn prepared() -> (Faulty, warren_model::Lane) {
    let mut model = Model::new();
    let lane = model.take_over(Incarnation(1), NOW).lane;
    model.commit(lane, &[work(1, vec![Row::Room(room(1, "r@rooms.example"))])]).unwrap();
    (Faulty::new(model), lane)
}

fn log(seq: u64) -> Vec<Work> {
    vec![work(1, vec![Row::Log(message(seq))])]
}

fn stored(store: &Faulty) -> usize {
    store.durable().page(warren_model::RoomId(1), Seq(0), 99).len()
}

#[test]
fn a_transaction_moves_only_when_told() {
    let (mut store, lane) = prepared();
    let tx = store.submit(lane, Batch(1), log(1)).unwrap();
    assert_eq!(stored(&store), 0, "reads see what is durable");
    assert!(store.submit(lane, Batch(1), log(2)).is_err(), "one in flight per lane");
    assert_eq!(store.in_flight().collect::<Vec<_>>(), [tx]);
    assert_eq!(store.finish(tx), Some(Ok(Batch(2))));
    assert_eq!(stored(&store), 1);
    assert_eq!(store.finish(tx), None);
    let tx = store.submit(lane, Batch(2), log(1)).unwrap();
    assert!(matches!(store.finish(tx), Some(Err(CommitError::Rejected { index: Some(0), .. }))));
    let tx = store.submit(lane, Batch(2), log(2)).unwrap();
    assert!(matches!(store.abort(tx, "full"), Some(CommitError::Failed(_))));
    assert_eq!(stored(&store), 1);
}

#[test]
fn lost_answers_are_resolved_by_the_lane() {
    let (mut store, lane) = prepared();
    let tx = store.submit(lane, Batch(1), log(1)).unwrap();
    assert_eq!(store.resolve(tx), None, "still in flight");
    assert!(matches!(store.finish_lose_answer(tx), Some(CommitError::Unknown(_))));
    assert!(store.submit(lane, Batch(1), log(2)).is_err(), "unresolved is unanswered");
    assert_eq!(store.resolve(tx), Some(Resolved::Done(Batch(2))));
    let tx = store.submit(lane, Batch(2), log(2)).unwrap();
    assert!(matches!(store.abort_lose_answer(tx), Some(CommitError::Unknown(_))));
    assert_eq!(store.unresolved().collect::<Vec<_>>(), [tx]);
    assert_eq!(store.resolve(tx), Some(Resolved::NotDone));
    let tx = store.submit(lane, Batch(2), log(2)).unwrap();
    store.finish_lose_answer(tx);
    store.take_over(Incarnation(2), NOW);
    assert_eq!(store.resolve(tx), Some(Resolved::Fenced));
    assert_eq!(stored(&store), 2);
}

#[test]
fn take_over_fences_what_is_in_flight() {
    let (mut store, lane) = prepared();
    let tx = store.submit(lane, Batch(1), log(1)).unwrap();
    store.take_over(Incarnation(2), NOW);
    assert_eq!(store.finish(tx), Some(Err(CommitError::Fenced)));
    assert_eq!(stored(&store), 0);
}

#[test]
fn a_crash_decides_what_is_in_flight_and_answers_nobody() {
    for (fates, expected) in [(0, 0), (1, 1)] {
        let (mut store, lane) = prepared();
        let tx = store.submit(lane, Batch(1), log(1)).unwrap();
        store.crash(fates);
        assert_eq!(stored(&store), expected);
        assert_eq!(store.finish(tx), None);
        assert!(store.submit(lane, Batch(1), log(2)).is_ok());
    }
}

#[test]
fn a_lost_tail_is_an_earlier_snapshot() {
    let (mut store, lane) = prepared();
    let earlier = store.durable().clone();
    let tx = store.submit(lane, Batch(1), log(1)).unwrap();
    store.finish(tx).unwrap().unwrap();
    store.restore(earlier);
    assert_eq!((stored(&store), store.durable().lanes()[0].batch), (0, Batch(1)));
}
