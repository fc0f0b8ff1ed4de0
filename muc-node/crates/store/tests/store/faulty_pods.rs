//! The simulator's store with several pods: the suite, transactions in flight while owners change, a lost tail, and
//! guards that are left out.

use std::sync::{Arc, Mutex, MutexGuard};

use jid::BareJid;
use warren_model::{
    Batch, Epoch, FmucKeyRow, Lane, LogRow, Object, Path, RoomId, RoomRows, Row, Seq, Shard, Ticket, UnixMs,
};
use warren_store::conformance::cluster::{Fixture, suite};
use warren_store::conformance::rows::{EPOCH, NOW, message, room};
use warren_store::{
    Assignment, Backend, Backlog, Breakage, Claim, Closed, Cluster, CommitError, Faulty, Incarnation, Join, Joined,
    LaneRow, Model, Moved, Ownership, PodRow, Reader, Resolved, RoomSummary, StoreError, TakeOver, Thing, Touched,
    TxId, View, Window, Work,
};

/// A faulty store without a fault, as a store.
#[derive(Clone)]
struct Shared(Arc<Mutex<Faulty>>);

impl Shared {
    fn faulty(&self) -> MutexGuard<'_, Faulty> {
        self.0.lock().unwrap()
    }
    /// A copy of what is durable, changed by what the simulator does there as well.
    fn change<T>(&self, change: impl FnOnce(&mut Model) -> T) -> T {
        let mut faulty = self.faulty();
        let mut durable = faulty.durable().clone();
        let answer = change(&mut durable);
        faulty.restore(durable);
        answer
    }
}

impl Reader for Shared {
    fn load_room(&mut self, room: &BareJid, window: Window) -> Result<Option<RoomRows>, StoreError> {
        Ok(self.faulty().durable().load_room(room, window))
    }
    fn room_jid(&mut self, room: RoomId) -> Result<Option<BareJid>, StoreError> {
        Ok(self.faulty().durable().room_jid(room))
    }
    fn page(&mut self, room: RoomId, after: Seq, max: usize) -> Result<Vec<LogRow>, StoreError> {
        Ok(self.faulty().durable().page(room, after, max))
    }
    fn page_back(&mut self, room: RoomId, before: Seq, max: usize) -> Result<Vec<LogRow>, StoreError> {
        Ok(self.faulty().durable().page_back(room, before, max))
    }
    fn fmuc_keys(&mut self, room: RoomId, origin: &BareJid, id: &str) -> Result<Vec<FmucKeyRow>, StoreError> {
        Ok(self.faulty().durable().fmuc_keys(room, origin, id))
    }
    fn touched(&mut self, lane: Lane, after: Batch) -> Result<Vec<Touched>, StoreError> {
        Ok(self.faulty().durable().touched(lane, after))
    }
    fn lanes(&mut self) -> Result<Vec<LaneRow>, StoreError> {
        Ok(self.faulty().durable().lanes())
    }
    fn watermarks(&mut self) -> Result<Vec<(Lane, Path, Batch)>, StoreError> {
        Ok(self.faulty().durable().watermarks())
    }
    fn backlog(&mut self) -> Result<Backlog, StoreError> {
        Ok(self.faulty().durable().backlog())
    }
    fn rooms_with_occupants(&mut self, path: Option<&Path>) -> Result<Vec<BareJid>, StoreError> {
        Ok(self.faulty().durable().rooms_with_occupants(path))
    }
    fn rooms(&mut self, domain: &str, after: Option<&BareJid>, max: usize) -> Result<Vec<RoomSummary>, StoreError> {
        Ok(self.faulty().durable().rooms(domain, after, max))
    }
    fn objects(&mut self) -> Result<Vec<Object>, StoreError> {
        Ok(self.faulty().durable().objects())
    }
}

impl Backend for Shared {
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(self.clone()))
    }
    fn take_over(&mut self, incarnation: Incarnation, now: UnixMs) -> Result<Ownership, StoreError> {
        Ok(self.faulty().take_over(incarnation, now))
    }
    fn commit_after(&mut self, lane: Lane, known: Option<Batch>, work: &[Work]) -> Result<Batch, CommitError> {
        let mut faulty = self.faulty();
        let last = faulty.durable().lanes().into_iter().find(|row| row.lane == lane).map(|row| row.batch);
        let tx = faulty.submit(lane, known.or(last).unwrap_or_default(), work.to_vec()).unwrap();
        faulty.finish(tx).unwrap()
    }
    fn resolve(&mut self, lane: Lane, known: Batch) -> Result<Resolved, StoreError> {
        Ok(self.faulty().durable().resolve(lane, known))
    }
    fn trim_batches(&mut self, lane: Lane, awaited: &[Path]) -> Result<u64, CommitError> {
        self.change(|model| model.trim_batches(lane, awaited))
    }
    fn trim_log(&mut self, lane: Lane, room: RoomId, through: Seq, max: usize) -> Result<u64, CommitError> {
        self.change(|model| model.trim_log(lane, room, through, max))
    }
}

impl Cluster for Shared {
    fn join(&mut self, join: &Join) -> Result<Joined, StoreError> {
        self.faulty().cluster().join(join)
    }
    fn beat(&mut self, incarnation: Incarnation) -> Result<bool, StoreError> {
        self.faulty().cluster().beat(incarnation)
    }
    fn pods(&mut self) -> Result<Vec<PodRow>, StoreError> {
        self.faulty().cluster().pods()
    }
    fn view(&mut self) -> Result<View, StoreError> {
        self.faulty().cluster().view()
    }
    fn take_over_pod(
        &mut self,
        dead: Incarnation,
        seen: Option<u64>,
        by: Incarnation,
        assign: &[Assignment],
        now: UnixMs,
    ) -> Result<Result<TakeOver, Closed>, StoreError> {
        self.faulty().cluster().take_over_pod(dead, seen, by, assign, now)
    }
    fn claim(
        &mut self,
        by: Incarnation,
        claims: &[Claim],
        now: UnixMs,
    ) -> Result<Result<Vec<Moved>, Closed>, StoreError> {
        self.faulty().cluster().claim(by, claims, now)
    }
    fn move_things(&mut self, from: Incarnation, moves: &[Claim], now: UnixMs) -> Result<Vec<Moved>, StoreError> {
        self.faulty().cluster().move_things(from, moves, now)
    }
    fn hand_over(
        &mut self,
        me: Incarnation,
        assign: &[Assignment],
        now: UnixMs,
    ) -> Result<Result<Vec<Moved>, Closed>, StoreError> {
        self.faulty().cluster().hand_over(me, assign, now)
    }
    fn goodbye(&mut self, incarnation: Incarnation) -> Result<bool, StoreError> {
        self.faulty().cluster().goodbye(incarnation)
    }
    fn forget(&mut self, incarnation: Incarnation) -> Result<bool, StoreError> {
        self.faulty().cluster().forget(incarnation)
    }
}

struct Faulties;

impl Fixture for Faulties {
    type B = Shared;
    type C = Shared;
    fn open(&mut self) -> (Shared, Shared) {
        let store = Shared(Arc::new(Mutex::new(Faulty::default())));
        (store.clone(), store)
    }
}

#[test]
fn a_faulty_store_without_faults_conforms() {
    suite(&mut Faulties);
}

const A: Incarnation = Incarnation(0xa);
const B: Incarnation = Incarnation(0xb);

/// Two pods, and a room of `A`.
fn two_pods() -> (Faulty, [Lane; 2]) {
    let mut store = Faulty::default();
    let lanes = [A, B].map(|pod| join(&mut store, pod));
    let claim = [Claim { assignment: shard_to(A), seen: Epoch(0) }];
    assert_eq!(store.cluster().claim(A, &claim, NOW).unwrap().unwrap().len(), 1);
    let tx = store.submit(lanes[0], Batch(0), vec![work(EPOCH, Row::Room(room(1, "r@rooms.example")))]).unwrap();
    store.finish(tx).unwrap().unwrap();
    (store, lanes)
}

fn join(store: &mut Faulty, pod: Incarnation) -> Lane {
    let join = Join { name: pod.to_string().into(), incarnation: pod, address: "here".into(), lanes: 1 };
    store.cluster().join(&join).unwrap().lanes[0].lane
}

fn shard_to(to: Incarnation) -> Assignment {
    Assignment { thing: Thing::Shard(Shard(1)), to }
}

fn work(epoch: Epoch, row: Row) -> Work {
    let (ticket, room, shard) = (Ticket(0), RoomId(1), Shard(1));
    Work::Room { ticket, room, shard, epoch, fresh: false, routed: None, rows: vec![row] }
}

fn log(epoch: Epoch, seq: u64) -> Vec<Work> {
    vec![work(epoch, Row::Log(message(seq)))]
}

fn stored(store: &Faulty) -> Vec<u64> {
    store.durable().page(RoomId(1), Seq(0), 99).iter().map(|row| row.seq.0).collect()
}

fn take_over(store: &mut Faulty) -> Epoch {
    match store.cluster().take_over_pod(A, None, B, &[shard_to(B)], NOW).unwrap() {
        Ok(TakeOver::Done(moved)) => moved[0].epoch,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_take_over_decides_what_is_in_flight_of_the_dead_and_of_nobody_else() {
    for (fates, kept) in [(0, vec![]), (1, vec![1])] {
        let (mut store, [old, new]) = two_pods();
        let late = store.submit(old, Batch(1), log(EPOCH, 1)).unwrap();
        let other = store.submit(new, Batch(0), vec![]).unwrap();
        assert_eq!(store.in_flight_of(A).collect::<Vec<_>>(), [late]);
        assert_eq!(store.in_flight_of(B).collect::<Vec<_>>(), [other]);
        store.crash_of(A, fates);
        let epoch = take_over(&mut store);
        assert_eq!(stored(&store), kept);
        assert_eq!(store.finish(late), None, "nobody is answered");
        assert_eq!(store.finish(other), Some(Ok(Batch(1))), "the other pod notices nothing");
        let tx = store.submit(new, Batch(1), log(epoch, kept.len() as u64 + 1)).unwrap();
        assert_eq!(store.finish(tx), Some(Ok(Batch(2))));
    }
}

#[test]
fn what_a_stale_owner_has_in_flight_is_fenced() {
    let (mut store, [old, _]) = two_pods();
    let late = store.submit(old, Batch(1), log(EPOCH, 1)).unwrap();
    take_over(&mut store);
    assert_eq!(store.finish(late), Some(Err(CommitError::Fenced)));
    // It happened in time, and nobody heard of it: the successor has it, the owner does not know.
    let (mut store, [old, _]) = two_pods();
    let late = store.submit(old, Batch(1), log(EPOCH, 1)).unwrap();
    store.finish_lose_answer(late).unwrap();
    take_over(&mut store);
    assert_eq!(store.unresolved_on(old), Some(late));
    assert_eq!(store.resolve(late), Some(Resolved::Fenced));
    assert_eq!((stored(&store), store.unresolved_on(old)), (vec![1], None));
}

#[test]
fn a_move_with_a_commit_in_flight_either_has_it_or_never_will() {
    for first in [true, false] {
        let (mut store, [old, new]) = two_pods();
        let tx = store.submit(old, Batch(1), log(EPOCH, 1)).unwrap();
        let early = first.then(|| store.finish(tx).unwrap());
        let moved = store.cluster().move_things(A, &[Claim { assignment: shard_to(B), seen: EPOCH }], NOW).unwrap();
        match early {
            Some(answer) => assert_eq!(answer, Ok(Batch(2))),
            None => assert!(matches!(store.finish(tx), Some(Err(CommitError::Disowned { index: 0 })))),
        }
        let next = stored(&store).len() as u64 + 1;
        let tx = store.submit(new, Batch(0), log(moved[0].epoch, next)).unwrap();
        assert_eq!(store.finish(tx), Some(Ok(Batch(1))));
        assert_eq!(stored(&store).len() as u64, next);
    }
}

#[test]
fn a_fail_over_that_loses_the_tail_answers_no_pod() {
    let (mut store, [one, two]) = two_pods();
    let earlier = store.durable().clone();
    let commit = |store: &mut Faulty, seq| {
        let tx = store.submit(one, Batch(seq), log(EPOCH, seq)).unwrap();
        store.finish(tx).unwrap().unwrap()
    };
    assert_eq!((commit(&mut store, 1), commit(&mut store, 2)), (Batch(2), Batch(3)));
    let late: Vec<TxId> = [(one, Batch(3), log(EPOCH, 3)), (two, Batch(0), vec![])]
        .into_iter()
        .map(|(lane, known, work)| store.submit(lane, known, work).unwrap())
        .collect();
    store.fail_over(earlier);
    assert!(stored(&store).is_empty());
    assert_eq!((store.in_flight().next(), store.unresolved().collect::<Vec<_>>()), (None, late.clone()));
    assert_eq!(store.resolve(late[0]), Some(Resolved::Fenced), "who has lost something must not go on");
    assert_eq!(store.resolve(late[1]), Some(Resolved::NotDone), "who has lost nothing does");
    let tx = store.submit(two, Batch(0), vec![]).unwrap();
    assert_eq!(store.finish(tx), Some(Ok(Batch(1))));
    take_over(&mut store);
}

#[test]
fn guards_are_left_out_one_by_one() {
    let broken = |lane_fence_off, epoch_check_off| {
        let (mut store, lanes) = two_pods();
        let mut model = store.durable().clone();
        model.break_on_purpose(Breakage { lane_fence_off, epoch_check_off });
        store.restore(model);
        (store, lanes)
    };
    let moved = |(mut store, [old, _]): (Faulty, [Lane; 2])| {
        store.cluster().move_things(A, &[Claim { assignment: shard_to(B), seen: EPOCH }], NOW).unwrap();
        let tx = store.submit(old, Batch(1), log(EPOCH, 1)).unwrap();
        store.finish(tx).unwrap().is_ok()
    };
    let closed = |(mut store, [old, _]): (Faulty, [Lane; 2]), epoch: Epoch| {
        take_over(&mut store);
        let tx = store.submit(old, Batch(1), log(epoch, 1)).unwrap();
        let taken = store.finish_lose_answer(tx).is_some() && stored(&store) == [1];
        assert_eq!(store.resolve(tx), Some(if taken { Resolved::Done(Batch(2)) } else { Resolved::Fenced }));
        taken
    };
    let next = Epoch(EPOCH.0 + 1);
    assert_eq!(
        [moved(broken(false, false)), moved(broken(true, false)), moved(broken(false, true))],
        [false, false, true]
    );
    assert_eq!([closed(broken(false, false), next), closed(broken(false, true), next)], [false, false]);
    assert!(closed(broken(true, false), next));
    assert!(closed(broken(true, true), EPOCH), "and both at once");
}
