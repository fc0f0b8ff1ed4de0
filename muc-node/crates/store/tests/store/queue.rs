//! The queue over a store that fails: nothing is lost, doubled or out of order.

use std::collections::BTreeMap;

use proptest::prelude::*;
use warren_model::{Batch, RoomId, Row, Seq, Ticket};
use warren_store::conformance::rows::{NOW, message, room, ticketed};
use warren_store::{CommitError, Completion, Faulty, Incarnation, LaneQueue, Limits, Model, Resolved, Step, Work};

const ROOMS: u64 = 4;

/// What the store does with a commit.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Finish,
    Abort,
    FinishUnheard,
    AbortUnheard,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    /// A room writes its next message.
    Push(u64),
    /// A room writes what the store rejects.
    Poison(u64),
    Commit(Answer),
}

fn op() -> impl Strategy<Value = Op> {
    let answer = prop_oneof![
        6 => Just(Answer::Finish),
        1 => Just(Answer::Abort),
        1 => Just(Answer::FinishUnheard),
        1 => Just(Answer::AbortUnheard),
    ];
    prop_oneof![
        8 => (1..=ROOMS).prop_map(Op::Push),
        1 => (1..=ROOMS).prop_map(Op::Poison),
        2 => answer.prop_map(Op::Commit),
    ]
}

/// A caller as the shard is one: each room runs ahead, and starts again from the store when a ticket fails.
struct Caller {
    store: Faulty,
    lane: warren_model::Lane,
    queue: LaneQueue,
    last: u64,
    /// Of each room: the next position, whether the next work is fresh, and the tickets that are out.
    rooms: BTreeMap<u64, (u64, bool, Vec<u64>)>,
    done: usize,
    pushed: usize,
    failed: usize,
}

impl Caller {
    fn new() -> Self {
        let mut model = Model::new();
        let own = model.take_over(Incarnation(1), NOW);
        for n in 1..=ROOMS {
            let row = Row::Room(room(n, &format!("r{n}@rooms.example")));
            model.commit(own.lane, &[ticketed(0, n, vec![row])]).unwrap();
        }
        Self {
            store: Faulty::new(model),
            lane: own.lane,
            queue: LaneQueue::new(own.lane, Batch(ROOMS), Limits { works: 7, bytes: 2000 }),
            last: 0,
            rooms: (1..=ROOMS).map(|n| (n, (1, false, Vec::new()))).collect(),
            done: 0,
            pushed: 0,
            failed: 0,
        }
    }

    fn push(&mut self, n: u64, poison: bool) {
        let (next, is_fresh, out) = self.rooms.get_mut(&n).unwrap();
        self.last += 1;
        let mut work = ticketed(self.last, n, vec![Row::Log(message(if poison { 0 } else { *next }))]);
        if let Work::Room { fresh, .. } = &mut work {
            *fresh = std::mem::take(is_fresh);
        }
        *next += 1;
        out.push(self.last);
        self.pushed += 1;
        self.queue.push(work);
    }

    fn step(&mut self, answer: Answer) -> bool {
        let (mut out, mut idle) = (Vec::new(), false);
        match self.queue.next(&mut out) {
            Step::Idle => idle = true,
            Step::Commit { lane, work } => {
                assert!(!work.is_empty() && work.len() <= 7);
                let known = self.store.durable().lanes()[0].batch;
                let tx = self.store.submit(lane, known, work.to_vec()).unwrap();
                let answer = match answer {
                    Answer::Finish => self.store.finish(tx).unwrap(),
                    Answer::Abort => Err(self.store.abort(tx, "busy").unwrap()),
                    Answer::FinishUnheard => Err(self.store.finish_lose_answer(tx).unwrap()),
                    Answer::AbortUnheard => Err(self.store.abort_lose_answer(tx).unwrap()),
                };
                self.queue.answered(answer, &mut out);
            }
            Step::Resolve { .. } => {
                let tx = self.store.unresolved().next().unwrap();
                let resolved = self.store.resolve(tx).unwrap();
                self.queue.resolved(resolved, &mut out);
            }
        }
        for completion in out {
            self.completed(&completion);
        }
        idle
    }

    fn completed(&mut self, completion: &Completion) {
        let (ticket, ok) = match completion {
            Completion::Done { ticket, .. } => (ticket.0, true),
            Completion::Failed { ticket, .. } => (ticket.0, false),
            Completion::Disowned { .. } | Completion::Fenced => panic!("nobody took over"),
        };
        let found = self.rooms.iter_mut().find(|(_, room)| room.2.contains(&ticket));
        // Tickets of a room that was dropped in between: of no interest, but they must have failed.
        let Some((n, (next, fresh, out))) = found else {
            assert!(!ok, "ticket {ticket} was built on one that failed");
            self.failed += 1;
            return;
        };
        assert_eq!(out[0], ticket, "the tickets of a room complete in order");
        if ok {
            out.remove(0);
            self.done += 1;
            return;
        }
        self.failed += 1;
        // Drop the room and load it: the store holds all that came before.
        let log = self.store.durable().page(RoomId(*n), Seq(0), usize::MAX);
        assert!(log.iter().map(|row| row.seq.0).eq(1..=log.len() as u64), "no gap");
        *next = log.len() as u64 + 1;
        *fresh = true;
        out.clear();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rooms_stay_in_order_whatever_fails(ops in prop::collection::vec(op(), 1..150)) {
        let mut caller = Caller::new();
        for op in ops {
            match op {
                Op::Push(n) => caller.push(n, false),
                Op::Poison(n) => caller.push(n, true),
                Op::Commit(answer) => { caller.step(answer); }
            }
        }
        while !caller.step(Answer::Finish) {}
        prop_assert!(caller.queue.is_empty());
        prop_assert_eq!(caller.queue.bytes(), 0);
        prop_assert_eq!(caller.done + caller.failed, caller.pushed, "each ticket completes once");
        let stored: usize = (1..=ROOMS)
            .map(|n| {
                let log = caller.store.durable().page(RoomId(n), Seq(0), usize::MAX);
                assert!(log.iter().map(|row| row.seq.0).eq(1..=log.len() as u64), "no gap");
                log.len()
            })
            .sum();
        prop_assert_eq!(stored, caller.done, "done is stored, failed is not");
        prop_assert!(caller.store.durable().lanes()[0].lane == caller.lane);
    }
}

fn queue() -> LaneQueue {
    LaneQueue::new(warren_model::Lane(1), Batch(0), Limits { works: 3, bytes: 1 << 20 })
}

fn sizes(
    queue: &mut LaneQueue,
    out: &mut Vec<Completion>,
    mut answer: impl FnMut(&[Work]) -> Result<Batch, CommitError>,
) -> Vec<usize> {
    let mut sizes = Vec::new();
    loop {
        let result = match queue.next(out) {
            Step::Commit { work, .. } => {
                sizes.push(work.len());
                answer(work)
            }
            _ => return sizes,
        };
        queue.answered(result, out);
    }
}

#[test]
fn groups_are_bounded() {
    let mut queue = queue();
    (1..=7).for_each(|n| queue.push(ticketed(n, n, vec![])));
    let mut large = message(1);
    large.payload = vec![0; 2 << 20];
    queue.push(ticketed(8, 8, vec![Row::Log(large)]));
    queue.push(ticketed(9, 9, vec![]));
    let mut out = Vec::new();
    let mut batches = (1..).map(Batch);
    assert_eq!(sizes(&mut queue, &mut out, |_| Ok(batches.next().unwrap())), [3, 3, 1, 1, 1]);
    assert_eq!(out.len(), 9);
}

#[test]
fn a_store_that_takes_nothing_is_not_asked_for_each_work() {
    let mut queue = queue();
    (1..=6).for_each(|n| queue.push(ticketed(n, n, vec![])));
    let mut out = Vec::new();
    let full = |_: &[Work]| Err(CommitError::Failed("full".to_owned()));
    assert_eq!(sizes(&mut queue, &mut out, full), [3, 1, 1, 3, 1, 1]);
    let failed: Vec<_> = (1..=6).map(|n| Completion::Failed { ticket: Ticket(n), why: "full".to_owned() }).collect();
    assert_eq!(out, failed);
}

#[test]
fn a_backend_that_cannot_tell_the_culprit_is_asked_one_by_one() {
    let mut queue = queue();
    (1..=4).for_each(|n| queue.push(ticketed(n, n, vec![])));
    let (mut out, mut batches) = (Vec::new(), (1..).map(Batch));
    let blind = |work: &[Work]| {
        let rejected = CommitError::Rejected { index: None, why: "constraint".to_owned() };
        if work.iter().any(|w| w.ticket() == Some(Ticket(2))) { Err(rejected) } else { Ok(batches.next().unwrap()) }
    };
    assert_eq!(sizes(&mut queue, &mut out, blind), [3, 1, 1, 1, 1]);
    assert_eq!(out.iter().filter(|c| matches!(c, Completion::Done { .. })).count(), 3);
}

#[test]
fn whose_shard_has_moved_is_told_so_and_the_others_go_on() {
    let mut queue = queue();
    for (ticket, room) in [(1, 1), (2, 2), (3, 2), (4, 3)] {
        queue.push(ticketed(ticket, room, vec![]));
    }
    let (mut out, mut batches) = (Vec::new(), (1..).map(Batch));
    let moved = |work: &[Work]| match work.iter().position(|w| w.ticket() == Some(Ticket(2))) {
        Some(index) => Err(CommitError::Disowned { index }),
        None => Ok(batches.next().unwrap()),
    };
    sizes(&mut queue, &mut out, moved);
    let done =
        |ticket, batch| Completion::Done { ticket: Ticket(ticket), lane: warren_model::Lane(1), batch: Batch(batch) };
    let built_on_it = Completion::Failed { ticket: Ticket(3), why: "an earlier write of this room failed".to_owned() };
    assert_eq!(out, [done(1, 1), Completion::Disowned { ticket: Ticket(2) }, built_on_it, done(4, 1)]);
}

#[test]
fn a_fence_ends_it() {
    let mut queue = queue();
    (1..=4).for_each(|n| queue.push(ticketed(n, n, vec![])));
    let mut out = Vec::new();
    sizes(&mut queue, &mut out, |_| Err(CommitError::Fenced));
    queue.push(ticketed(5, 5, vec![]));
    assert_eq!(out, [Completion::Fenced]);
    assert!(queue.is_fenced() && queue.is_empty());
    assert_eq!(queue.next(&mut out), Step::Idle);
    let mut queue = self::queue();
    queue.push(ticketed(1, 1, vec![]));
    queue.next(&mut out);
    queue.answered(Err(CommitError::Unknown(String::new())), &mut out);
    assert_eq!(queue.next(&mut out), Step::Resolve { lane: warren_model::Lane(1), known: Batch(0) });
    queue.resolved(Resolved::Fenced, &mut out);
    assert_eq!(out.last(), Some(&Completion::Fenced));
}

#[test]
fn a_store_that_has_lost_something_ends_it() {
    // Behind what is known, at it, and ahead of it: another one has written in our name.
    for (answer, resolve) in [(1, false), (4, false), (6, false), (4, true), (6, true)] {
        let lane = warren_model::Lane(1);
        let mut queue = LaneQueue::new(lane, Batch(4), Limits { works: 3, bytes: 1 << 20 });
        (1..=7).for_each(|n| queue.push(ticketed(n, n, vec![])));
        let mut out = Vec::new();
        assert!(matches!(queue.next(&mut out), Step::Commit { .. }));
        if resolve {
            queue.answered(Err(CommitError::Unknown(String::new())), &mut out);
            assert_eq!(queue.next(&mut out), Step::Resolve { lane, known: Batch(4) });
            queue.resolved(Resolved::Done(Batch(answer)), &mut out);
        } else {
            queue.answered(Ok(Batch(answer)), &mut out);
        }
        assert_eq!(out, [Completion::Fenced], "nothing of it is released");
        assert!(queue.is_fenced() && queue.is_empty() && queue.known() == Batch(4));
    }
}

#[test]
fn a_fresh_work_ends_the_ban_of_its_room() {
    let mut queue = queue();
    let mut batches = (1..).map(Batch);
    let mut poison = |work: &[Work]| match work.iter().position(|w| w.ticket() == Some(Ticket(2))) {
        Some(index) => Err(CommitError::Rejected { index: Some(index), why: "constraint".to_owned() }),
        None => Ok(batches.next().unwrap()),
    };
    let mut out = Vec::new();
    (1..=3).for_each(|n| queue.push(ticketed(n, 1, vec![])));
    queue.push(ticketed(4, 9, vec![]));
    sizes(&mut queue, &mut out, &mut poison);
    queue.push(ticketed(5, 1, vec![]));
    let mut again = ticketed(6, 1, vec![]);
    if let Work::Room { fresh, .. } = &mut again {
        *fresh = true;
    }
    queue.push(again);
    queue.push(ticketed(7, 1, vec![]));
    sizes(&mut queue, &mut out, poison);
    let seen: Vec<_> = out
        .iter()
        .map(|c| match c {
            Completion::Done { ticket, .. } => (ticket.0, true),
            Completion::Failed { ticket, .. } => (ticket.0, false),
            Completion::Disowned { .. } | Completion::Fenced => panic!("nobody took over"),
        })
        .collect();
    assert_eq!(seen, [(1, true), (2, false), (3, false), (4, true), (5, false), (6, true), (7, true)]);
}
