//! What every backend must do, as one suite. A new backend runs [`suite`] unchanged.

pub mod cluster;
mod moves;
mod rooms;
pub mod rows;
mod tail;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use warren_model::{Affiliation, Batch, Epoch, Lane, Path, RoomId, Row, Seq, Shard, Ticket, UnixMs};

use self::rows::{
    ALL, EPOCH, Everything, NOW, affiliation, bare, everything, key, message, object, occupant, peering, room,
    ticketed, work,
};
use crate::{Backend, Backlog, CommitError, Completion, Incarnation, Limits, Resolved, Routed, Work, Writer};

/// How the suite gets stores.
pub trait Fixture {
    /// The backend.
    type B: Backend + 'static;
    /// A new and empty store.
    fn open(&mut self) -> Self::B;
    /// Closes a store and opens it again.
    fn reopen(&mut self, store: Self::B) -> Self::B;
}

/// Runs all cases, each one on a store of its own.
///
/// # Panics
///
/// When the backend breaks the contract.
pub fn suite<F: Fixture>(fixture: &mut F) {
    empty_store(&mut fixture.open());
    take_over_raises_the_epoch_and_closes_lanes(&mut fixture.open());
    stale_owner_is_fenced(&mut fixture.open());
    lost_answers_are_resolved(&mut fixture.open());
    rooms::all_rows_come_back(&mut fixture.open());
    rooms::rows_are_replaced_and_removed_by_key(&mut fixture.open());
    rooms::history_is_in_order(&mut fixture.open());
    rooms::history_does_not_reach_back_for_ever(&mut fixture.open());
    tail::what_follows_another_batch_is_fenced(&mut fixture.open());
    tail::lanes_of_a_store_that_begins_again_are_others(fixture);
    taken_position_is_the_second_fence(&mut fixture.open());
    broken_rules_are_rejected(&mut fixture.open());
    rooms::removed_room_takes_everything_along(&mut fixture.open());
    rooms::foreign_ids_are_remembered_once(&mut fixture.open());
    batches_watermarks_and_their_end(&mut fixture.open());
    rooms::log_is_trimmed_in_steps(&mut fixture.open());
    routed_stanzas_are_counted(&mut fixture.open());
    rooms::rooms_are_listed(&mut fixture.open());
    objects_come_back(&mut fixture.open());
    large_payloads_and_groups(&mut fixture.open());
    a_backlog_is_of_one_moment(fixture.open());
    everything_survives_reopening(fixture);
    writer_drives_it(fixture.open());
}

fn own(store: &mut dyn Backend) -> Lane {
    store.take_over(Incarnation(1), NOW).expect("take_over").lane
}

fn commit(store: &mut dyn Backend, lane: Lane, work: &[Work]) -> Batch {
    store.commit(lane, work).expect("commit")
}

fn rejected_at(store: &mut dyn Backend, lane: Lane, work: &[Work]) -> Option<usize> {
    match store.commit(lane, work) {
        Err(CommitError::Rejected { index, .. }) => index,
        other => panic!("expected a rejection of {work:?}, got {other:?}"),
    }
}

fn all(store: &mut dyn Backend) -> Everything {
    everything(store, &["rooms.example", "other.example"], ALL)
}

fn positions(rows: &[warren_model::LogRow]) -> Vec<u64> {
    rows.iter().map(|row| row.seq.0).collect()
}

fn with_room(store: &mut dyn Backend) -> Lane {
    let lane = own(store);
    commit(store, lane, &[work(1, vec![Row::Room(room(1, "one@rooms.example"))])]);
    lane
}

fn empty_store(store: &mut dyn Backend) {
    let nothing = all(store);
    assert!(nothing.lanes.is_empty() && nothing.rooms.is_empty() && nothing.objects.is_empty());
    assert_eq!(store.load_room(&bare("one@rooms.example"), ALL).expect("load"), None);
    assert_eq!(store.room_jid(RoomId(1)).expect("room_jid"), None);
    assert_eq!(store.page(RoomId(1), Seq(0), 10).expect("page"), vec![]);
    assert_eq!(store.commit(Lane(1), &[]), Err(CommitError::Fenced), "a lane that never was is not open");
}

fn take_over_raises_the_epoch_and_closes_lanes(store: &mut dyn Backend) {
    let first = store.take_over(Incarnation(u128::MAX), NOW).expect("take_over");
    assert_eq!((first.epoch, first.batch), (EPOCH, Batch(0)), "the epoch starts at Unix seconds");
    let second = store.take_over(Incarnation(2), UnixMs(NOW.0 - 5_000)).expect("take_over");
    assert_eq!(second.epoch, Epoch(EPOCH.0 + 1), "a clock that went back does not lower it");
    let third = store.take_over(Incarnation(3), UnixMs(NOW.0 + 10_999)).expect("take_over");
    assert_eq!(third.epoch, Epoch(EPOCH.0 + 10));
    assert!(first.lane < second.lane && second.lane < third.lane);
    let lanes = store.lanes().expect("lanes");
    assert_eq!(lanes.iter().map(|l| l.open).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(lanes[0].incarnation, Incarnation(u128::MAX));
    assert_eq!(lanes[1].epoch, second.epoch);
    store.trim_batches(third.lane, &[]).expect("trim_batches");
    assert_eq!(store.lanes().expect("lanes").len(), 1);
    let fourth = store.take_over(Incarnation(4), NOW).expect("take_over");
    assert!(fourth.lane > third.lane, "numbers of lanes do not come back");
}

fn stale_owner_is_fenced(store: &mut dyn Backend) {
    let old = with_room(store);
    let new = store.take_over(Incarnation(2), NOW).expect("take_over");
    let before = all(store);
    assert_eq!(store.commit(old, &[work(1, vec![Row::Log(message(1))])]), Err(CommitError::Fenced));
    assert_eq!(store.commit(old, &[]), Err(CommitError::Fenced));
    assert_eq!(store.trim_batches(old, &[]), Err(CommitError::Fenced));
    assert_eq!(store.trim_log(old, RoomId(1), Seq(1), 1), Err(CommitError::Fenced));
    assert_eq!(store.resolve(old, Batch(0)).expect("resolve"), Resolved::Fenced);
    assert_eq!(all(store), before, "a fenced commit changes nothing");
    // The new lane carries a new epoch: what was decided under the old one is refused there too.
    assert_eq!(rejected_at(store, new.lane, &[work(1, vec![Row::Log(message(1))])]), Some(0));
}

fn lost_answers_are_resolved(store: &mut dyn Backend) {
    let lane = with_room(store);
    assert_eq!(store.resolve(lane, Batch(0)).expect("resolve"), Resolved::Done(Batch(1)));
    assert_eq!(store.resolve(lane, Batch(1)).expect("resolve"), Resolved::NotDone);
    assert_eq!(commit(store, lane, &[]), Batch(2), "and it goes on");
}

fn taken_position_is_the_second_fence(store: &mut dyn Backend) {
    let lane = with_room(store);
    let two = work(2, vec![Row::Room(room(2, "two@rooms.example"))]);
    commit(store, lane, &[two, work(1, vec![Row::Log(message(1))])]);
    let before = all(store);
    let group = [
        work(2, vec![Row::Log(message(1)), Row::Occupant(occupant("a@b.example/1", "A", 1))]),
        Work::Watermark { lane, path: Path::new("rooms.example", "b.example"), batch: Batch(1) },
        work(1, vec![Row::Log(message(2)), Row::Log(message(1))]),
        Work::Object { ticket: Ticket(0), object: Box::new(object("room", 1)) },
    ];
    assert_eq!(rejected_at(store, lane, &group), Some(2));
    assert_eq!(all(store), before, "all or none, the number of the batch included");
    assert_eq!(rejected_at(store, lane, &[work(1, vec![Row::Log(message(2)), Row::Log(message(2))])]), Some(0));
    assert_eq!(commit(store, lane, &group[..2]), Batch(3));
}

fn broken_rules_are_rejected(store: &mut dyn Backend) {
    let lane = with_room(store);
    let before = all(store);
    let mut poisons: Vec<Vec<Row>> = vec![
        vec![Row::Room(room(3, "three@rooms.example"))],
        vec![Row::Room(room(2, "one@rooms.example"))],
        vec![Row::Occupant(occupant("a@b.example/1", "A", 1))],
        vec![Row::Affiliation(affiliation("a@b.example", Affiliation::Member))],
        vec![Row::Peering(peering("x@far.example"))],
        vec![Row::Log(message(1))],
        vec![Row::FmucKey(key("a", 1, 1))],
        vec![Row::Room(room(2, "two@rooms.example")), Row::RoomGone, Row::Log(message(1))],
        vec![Row::Room(room(2, "two@rooms.example")), Row::Log(message(0))],
        vec![Row::Room(room(2, "two@rooms.example")), Row::Log(message(1 << 63))],
    ];
    let mut late = message(1);
    late.at = UnixMs(u64::MAX);
    poisons.push(vec![Row::Room(room(2, "two@rooms.example")), Row::Log(late)]);
    for poison in poisons {
        let group = [work(1, vec![Row::Log(message(1))]), work(2, poison)];
        assert_eq!(rejected_at(store, lane, &group), Some(1), "{group:?}");
    }
    let id = RoomId(1 << 63);
    let huge = Work::Room {
        ticket: Ticket(0),
        room: id,
        shard: Shard(0),
        epoch: EPOCH,
        fresh: true,
        routed: None,
        rows: vec![],
    };
    assert_eq!(rejected_at(store, lane, &[huge]), Some(0));
    let id = RoomId(1);
    let rows = vec![Row::Log(message(1))];
    let stale =
        Work::Room { ticket: Ticket(0), room: id, shard: Shard(0), epoch: Epoch(1), fresh: true, routed: None, rows };
    assert_eq!(rejected_at(store, lane, &[stale]), Some(0));
    assert_eq!(all(store), before);
}

fn batches_watermarks_and_their_end(store: &mut dyn Backend) {
    let first = with_room(store);
    let two = work(2, vec![Row::Room(room(2, "two@rooms.example"))]);
    assert_eq!(commit(store, first, &[two]), Batch(2));
    let log = |n: u64, range: std::ops::RangeInclusive<u64>| work(n, range.map(|s| Row::Log(message(s))).collect());
    assert_eq!(commit(store, first, &[log(2, 1..=2), log(1, 1..=3), log(2, 3..=3)]), Batch(3));
    assert_eq!(commit(store, first, &[log(1, 4..=4)]), Batch(4));
    let spans = |store: &mut dyn Backend, lane: Lane, after: u64| {
        let touched = store.touched(lane, Batch(after)).expect("touched");
        touched.iter().map(|t| (t.id.0, t.batch.0, t.first.0, t.last.0)).collect::<Vec<_>>()
    };
    assert_eq!(spans(store, first, 0), [(2, 3, 1, 3), (1, 3, 1, 3), (1, 4, 4, 4)]);
    assert_eq!(spans(store, first, 3), [(1, 4, 4, 4)]);
    assert_eq!(store.touched(first, Batch(3)).expect("touched")[0].room, bare("one@rooms.example"));
    assert!(spans(store, first, u64::MAX).is_empty());

    let second = store.take_over(Incarnation(2), NOW).expect("take_over").lane;
    let (near, far) = (Path::new("rooms.example", "near.example"), Path::new("rooms.example", "far.example"));
    let mark = |lane: Lane, path: &Path, batch: u64| Work::Watermark { lane, path: path.clone(), batch: Batch(batch) };
    commit(store, second, &[mark(first, &near, 4), mark(first, &near, 3), mark(Lane(999), &near, 1)]);
    assert_eq!(store.watermarks().expect("watermarks"), [(first, near.clone(), Batch(4))], "they never fall");
    let awaited = [near.clone(), far.clone()];
    assert_eq!(store.trim_batches(second, &awaited).expect("trim"), 0, "the other path has nothing yet");
    commit(store, second, &[mark(first, &far, 3)]);
    assert_eq!(store.trim_batches(second, &awaited).expect("trim"), 1);
    assert_eq!(spans(store, first, 0), [(1, 4, 4, 4)]);
    assert_eq!(store.trim_batches(second, &awaited[..1]).expect("trim"), 1, "nobody waits for the other path");
    assert_eq!(store.lanes().expect("lanes").iter().map(|l| l.lane).collect::<Vec<_>>(), [second]);
    assert!(store.watermarks().expect("watermarks").is_empty(), "they go with their lane");
    commit(store, second, &[mark(first, &near, 5)]);
    assert!(store.watermarks().expect("watermarks").is_empty(), "and are not kept for a lane that is gone");
}

fn routed_stanzas_are_counted(store: &mut dyn Backend) {
    let lane = with_room(store);
    commit(store, lane, &[work(2, vec![Row::Room(room(2, "two@rooms.example"))])]);
    let from = |room: u64, source: u128, n: u64, rows: Vec<Row>| {
        let routed = Some(Routed { source: Incarnation(source), n });
        let (ticket, room, shard) = (Ticket(0), RoomId(room), Shard(1));
        Work::Room { ticket, room, shard, epoch: EPOCH, fresh: false, routed, rows }
    };
    let counted = |store: &mut dyn Backend, room: &str| {
        let rows = store.load_room(&bare(&format!("{room}@rooms.example")), ALL).expect("load").expect("room");
        rows.routed.iter().map(|r| (r.source.0, r.n)).collect::<Vec<_>>()
    };
    assert_eq!(counted(store, "one"), []);
    commit(store, lane, &[from(1, 7, 3, vec![]), from(1, 5, 1, vec![]), from(2, 7, 9, vec![]), from(1, 7, 4, vec![])]);
    assert_eq!(counted(store, "one"), [(5, 1), (7, 4)]);
    assert_eq!(counted(store, "two"), [(7, 9)], "two rooms of a shard do not count for each other");
    commit(store, lane, &[from(1, 7, 2, vec![Row::Log(message(1))]), from(1, 5, 2, vec![])]);
    assert_eq!(counted(store, "one"), [(5, 2), (7, 4)], "they never fall");
    let taken = from(1, 7, 8, vec![Row::Log(message(1))]);
    assert_eq!(rejected_at(store, lane, &[taken, from(1, 5, 9, vec![])]), Some(0));
    assert_eq!(rejected_at(store, lane, &[from(1, 7, 1 << 63, vec![])]), Some(0));
    assert_eq!(rejected_at(store, lane, &[from(1, 7, 8, vec![]), from(3, 7, 8, vec![])]), Some(1), "no such room");
    assert_eq!(counted(store, "one"), [(5, 2), (7, 4)], "nor rise without the rows that they stand for");
    // A stanza may make a room, write it, and end it.
    commit(store, lane, &[from(3, 5, 6, vec![Row::Room(room(3, "three@rooms.example"))])]);
    assert_eq!(counted(store, "three"), [(5, 6)]);
    commit(store, lane, &[from(3, 5, 7, vec![Row::Room(room(3, "three@rooms.example")), Row::Log(message(1))])]);
    assert_eq!(counted(store, "three"), [(5, 7)]);
    commit(store, lane, &[from(3, 7, 10, vec![Row::RoomGone]), from(3, 7, 11, vec![Row::RoomGone])]);
    assert_eq!(rejected_at(store, lane, &[from(3, 7, 12, vec![])]), Some(0));
    let again = || vec![Row::RoomGone, Row::Room(room(3, "three@rooms.example"))];
    commit(store, lane, &[work(3, again())]);
    assert_eq!(counted(store, "three"), [], "they went with the room");
    commit(store, lane, &[from(3, 5, 1, vec![]), from(3, 7, 2, again()), from(3, 7, 1, vec![])]);
    assert_eq!(counted(store, "three"), [(7, 2)], "in order of the works");
    assert_eq!(counted(store, "two"), [(7, 9)]);
}

fn a_backlog_is_of_one_moment<B: Backend + 'static>(mut store: B) {
    let lane = with_room(&mut store);
    let mut reader = store.reader().expect("reader");
    assert_eq!(reader.backlog().expect("backlog").touched, []);
    // Each batch writes a row, and each second one passes the one before: whoever reads them one after the other finds
    // batches that no lane has counted, or watermarks beyond all that was written.
    let over = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&over);
    let path = Path::new("rooms.example", "b.example");
    let writer = thread::spawn(move || {
        for seq in 1.. {
            let mark = Work::Watermark { lane, path: path.clone(), batch: Batch(seq) };
            let group = [work(1, vec![Row::Log(message(seq))]), mark];
            commit(&mut store, lane, &group[..if seq % 2 == 0 { 2 } else { 1 }]);
            // Some are trimmed at both ends of what a reader sees.
            if seq % 64 == 0 {
                let path = [Path::new("rooms.example", "b.example")];
                store.trim_batches(lane, &path).expect("trim");
            }
            if end.load(Ordering::Relaxed) {
                return store;
            }
        }
        store
    });
    for n in 0.. {
        let Backlog { lanes, touched, watermarks } = reader.backlog().expect("backlog");
        let last = lanes.first().map_or(0, |lane| lane.batch.0);
        let passed = watermarks.first().map_or(0, |(_, _, batch)| batch.0);
        let written: Vec<u64> = touched.iter().map(|(_, touched)| touched.batch.0).collect();
        // The first batch made the room.
        assert!(written.last().is_none_or(|batch| *batch == last), "{written:?} of {last}");
        assert!(written.windows(2).all(|pair| pair[1] == pair[0] + 1), "{written:?}");
        assert!(passed <= last && (last < 3 || passed + 2 >= last), "{passed} of {last}");
        // A reader that is a copy sees no change.
        if n >= 200 && (last > 100 || n >= 5000) {
            break;
        }
    }
    over.store(true, Ordering::Relaxed);
    drop(writer.join().expect("the writer"));
}

fn objects_come_back(store: &mut dyn Backend) {
    let lane = own(store);
    let put = |name: &str, generation| Work::Object { ticket: Ticket(0), object: Box::new(object(name, generation)) };
    commit(store, lane, &[put("square", 1), put("far-peer", 1), put("square", 2), put("market", 1)]);
    let expected = [object("far-peer", 1), object("market", 1), object("square", 2)];
    assert_eq!(store.objects().expect("objects"), expected);
    let gone = |name: &str| Work::ObjectGone { ticket: Ticket(0), name: object(name, 1).name };
    commit(store, lane, &[gone("market"), gone("market"), gone("nothing")]);
    assert_eq!(store.objects().expect("objects"), [object("far-peer", 1), object("square", 2)]);
}

fn large_payloads_and_groups(store: &mut dyn Backend) {
    let lane = with_room(store);
    let mut large = message(1);
    large.payload = (0..=255).cycle().take(64 << 10).collect();
    commit(store, lane, &[work(1, vec![Row::Log(large.clone())])]);
    assert_eq!(store.page(RoomId(1), Seq(0), 1).expect("page"), [large]);
    let rooms = (2..=301).map(|n| work(n, vec![Row::Room(room(n, &format!("r{n}@other.example")))]));
    let logs = (0..3000).map(|i| work(2 + i % 300, vec![Row::Log(message(1 + i / 300))]));
    let batch = commit(store, lane, &rooms.chain(logs).collect::<Vec<_>>());
    let touched = store.touched(lane, Batch(batch.0 - 1)).expect("touched");
    assert_eq!(touched.len(), 300);
    assert!(touched.iter().all(|t| t.batch == batch && t.first == Seq(1) && t.last == Seq(10)));
}

fn everything_survives_reopening<F: Fixture>(fixture: &mut F) {
    let mut store = fixture.open();
    let lane = with_room(&mut store);
    let rows = vec![Row::Log(message(1)), Row::Occupant(occupant("a@b.example/1", "A", 1))];
    let path = Path::new("rooms.example", "b.example");
    let group = [
        work(1, rows),
        Work::Watermark { lane, path, batch: Batch(1) },
        Work::Object { ticket: Ticket(1), object: Box::new(object("square", 4)) },
    ];
    commit(&mut store, lane, &group);
    let before = all(&mut store);
    let mut store = fixture.reopen(store);
    assert_eq!(all(&mut store), before);
    let next = store.take_over(Incarnation(2), UnixMs(0)).expect("take_over");
    assert!(next.epoch > EPOCH && next.lane > lane);
    assert_eq!(store.commit(lane, &[]), Err(CommitError::Fenced));
}

fn writer_drives_it<B: Backend + 'static>(mut store: B) {
    let ownership = store.take_over(Incarnation(1), NOW).expect("take_over");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let on = Box::new(move |completions| sink.lock().expect("sink").extend(completions));
    let writer = Writer::start(Box::new(store), ownership, Limits::default(), on).expect("thread");
    let submitter = writer.submitter();
    for n in 1..=10 {
        submitter.submit(ticketed(n, n, vec![Row::Room(room(n, &format!("r{n}@rooms.example")))])).expect("submit");
    }
    for i in 0..500 {
        // Room 3 writes one position twice: it stops there, and nobody else does.
        let (n, seq) = (1 + i % 10, 1 + i / 10);
        let seq = if n == 3 && seq == 21 { 20 } else { seq };
        submitter.submit(ticketed(11 + i, n, vec![Row::Log(message(seq))])).expect("submit");
    }
    let mut store = writer.stop().expect("no panic");
    assert_eq!(submitter.backlog(), 0);
    let seen = seen.lock().expect("seen");
    assert_eq!(seen.len(), 510, "every ticket completes once");
    let failed = seen.iter().filter(|c| matches!(c, Completion::Failed { .. })).count();
    assert_eq!(failed, 30);
    for n in 1..=10 {
        let log = positions(&store.page(RoomId(n), Seq(0), 99).expect("page"));
        assert_eq!(log, (1..=if n == 3 { 20 } else { 50 }).collect::<Vec<_>>());
    }
}
