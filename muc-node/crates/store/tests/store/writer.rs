//! The threads: the writer over stores that work and that fail, and the readers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jid::BareJid;
use tempfile::TempDir;
use warren_model::{Batch, FmucKeyRow, Lane, LogRow, Object, Path, RoomId, RoomRows, Row, Seq, Ticket, UnixMs};
use warren_store::conformance::rows::{NOW, bare, message, room, ticketed, work};
use warren_store::{
    Backend, Backlog, CommitError, Completion, Incarnation, LaneRow, Limits, Memory, Options, Ownership, Reader,
    Readers, Refused, Resolved, RoomSummary, Sqlite, StoreError, Touched, Window, Work, Writer,
};

const SOON: Duration = Duration::from_secs(10);

fn start(store: impl Backend + 'static, own: Ownership) -> (Writer, Receiver<Completion>) {
    let (send, completions) = channel();
    let on = Box::new(move |completions: Vec<_>| {
        // An error: the test is over.
        let _ = completions.into_iter().try_for_each(|completion| send.send(completion));
    });
    (Writer::start(Box::new(store), own, Limits::default(), on).unwrap(), completions)
}

fn log(ticket: u64) -> Work {
    ticketed(ticket, 1, vec![Row::Log(message(ticket))])
}

fn prepared(store: &mut dyn Backend) -> Ownership {
    let mut own = store.take_over(Incarnation(1), NOW).unwrap();
    own.batch = store.commit(own.lane, &[work(1, vec![Row::Room(room(1, "r@rooms.example"))])]).unwrap();
    own
}

#[test]
fn what_waits_while_a_commit_runs_is_the_next_group() {
    let dir = TempDir::new().unwrap();
    let mut store = Sqlite::open(dir.path().join("s.db"), Options::default()).unwrap();
    let own = prepared(&mut store);
    let (writer, completions) = start(store, own);
    let submitter = writer.submitter();
    for ticket in 1..=2000 {
        submitter.submit(log(ticket)).unwrap();
    }
    let mut store = writer.stop().unwrap();
    let done: Vec<_> = completions.iter().collect();
    for (n, completion) in (1..).zip(&done) {
        assert!(matches!(completion, Completion::Done { ticket, .. } if *ticket == Ticket(n)), "{completion:?}");
    }
    assert_eq!(done.len(), 2000);
    let batches = store.lanes().unwrap()[0].batch.0;
    assert!(batches < 500, "2000 works took {batches} commits");
    assert_eq!(submitter.backlog(), 0);
    assert_eq!(submitter.submit(log(1)), Err(Refused::Stopped));
}

#[test]
fn a_fenced_writer_ends() {
    let mut store = Memory::new();
    let own = prepared(&mut store);
    let (writer, completions) = start(store.clone(), own);
    let submitter = writer.submitter();
    store.take_over(Incarnation(2), NOW).unwrap();
    submitter.submit(log(1)).unwrap();
    assert_eq!(completions.recv_timeout(SOON), Ok(Completion::Fenced));
    assert!(completions.recv_timeout(SOON).is_err(), "the last completion; the thread has let go of it");
    assert!(submitter.submit(log(2)).is_err());
    writer.stop().unwrap();
}

#[test]
fn a_writer_whose_store_has_lost_its_tail_ends() {
    let mut store = Memory::new();
    let own = prepared(&mut store);
    let earlier = store.snapshot();
    let (writer, completions) = start(store.clone(), own);
    let submitter = writer.submitter();
    submitter.submit(log(1)).unwrap();
    assert!(matches!(completions.recv_timeout(SOON), Ok(Completion::Done { .. })));
    store.restore(earlier.clone());
    // The position is free, and the lane open: it could be taken.
    submitter.submit(log(1)).unwrap();
    assert_eq!(completions.recv_timeout(SOON), Ok(Completion::Fenced));
    assert!(completions.recv_timeout(SOON).is_err(), "the last completion");
    writer.stop().unwrap();
    assert_eq!(store.snapshot(), earlier, "nothing was taken");
}

#[test]
fn housekeeping_runs_between_commits() {
    let mut store = Memory::new();
    let own = prepared(&mut store);
    let (writer, completions) = start(store.clone(), own);
    let submitter = writer.submitter();
    (1..=9).for_each(|ticket| submitter.submit(log(ticket)).unwrap());
    (1..=9).for_each(|_| drop(completions.recv_timeout(SOON).unwrap()));
    let (send, trimmed) = channel();
    let task = Box::new(move |backend: &mut dyn Backend| {
        send.send(backend.trim_log(own.lane, RoomId(1), Seq(5), 100)).unwrap();
    });
    submitter.run(task).unwrap();
    assert_eq!(trimmed.recv_timeout(SOON), Ok(Ok(5)));
    writer.stop().unwrap();
    assert_eq!(store.snapshot().page(RoomId(1), Seq(0), 99).len(), 4);
}

#[test]
fn readers_answer_from_their_own_threads() {
    let dir = TempDir::new().unwrap();
    let mut store = Sqlite::open(dir.path().join("s.db"), Options::default()).unwrap();
    prepared(&mut store);
    let readers = Readers::start(vec![store.reader().unwrap(), store.reader().unwrap()]).unwrap();
    let (send, answers) = channel();
    let handle = readers.handle();
    for n in 0..20 {
        let send = send.clone();
        let request = Box::new(move |reader: &mut dyn Reader| {
            let found = reader.load_room(&bare("r@rooms.example"), Window { messages: 1, keys: 1 });
            send.send((n, found.unwrap().is_some())).unwrap();
        });
        if n % 2 == 0 { readers.read(request).unwrap() } else { handle(request).unwrap() }
    }
    drop((send, handle));
    readers.stop();
    let mut seen: Vec<_> = answers.iter().collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..20).map(|n| (n, true)).collect::<Vec<_>>());
}

/// Loses every third answer (of commits that happened, and of others in turn), and answers the question after that
/// only the second time.
struct Lossy {
    inner: Memory,
    commits: usize,
    asked: Arc<AtomicUsize>,
    gate: Arc<Mutex<()>>,
}

impl Backend for Lossy {
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        self.inner.reader()
    }
    fn take_over(&mut self, incarnation: Incarnation, now: UnixMs) -> Result<Ownership, StoreError> {
        self.inner.take_over(incarnation, now)
    }
    fn commit_after(&mut self, lane: Lane, known: Option<Batch>, work: &[Work]) -> Result<Batch, CommitError> {
        let _open = self.gate.lock().unwrap();
        self.commits += 1;
        match self.commits % 6 {
            2 => {
                self.inner.commit_after(lane, known, work)?;
                Err(CommitError::Unknown("the answer was lost".to_owned()))
            }
            5 => Err(CommitError::Unknown("the connection was lost".to_owned())),
            _ => self.inner.commit_after(lane, known, work),
        }
    }
    fn resolve(&mut self, lane: Lane, known: Batch) -> Result<Resolved, StoreError> {
        match self.asked.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => Err(StoreError::Failed("no connection".to_owned())),
            _ => self.inner.resolve(lane, known),
        }
    }
    fn trim_batches(&mut self, lane: Lane, awaited: &[Path]) -> Result<u64, CommitError> {
        self.inner.trim_batches(lane, awaited)
    }
    fn trim_log(&mut self, lane: Lane, room: RoomId, through: Seq, max: usize) -> Result<u64, CommitError> {
        self.inner.trim_log(lane, room, through, max)
    }
}

impl Reader for Lossy {
    fn load_room(&mut self, room: &BareJid, window: Window) -> Result<Option<RoomRows>, StoreError> {
        self.inner.load_room(room, window)
    }
    fn room_jid(&mut self, room: RoomId) -> Result<Option<BareJid>, StoreError> {
        self.inner.room_jid(room)
    }
    fn page(&mut self, room: RoomId, after: Seq, max: usize) -> Result<Vec<LogRow>, StoreError> {
        self.inner.page(room, after, max)
    }
    fn page_back(&mut self, room: RoomId, before: Seq, max: usize) -> Result<Vec<LogRow>, StoreError> {
        self.inner.page_back(room, before, max)
    }
    fn fmuc_keys(&mut self, room: RoomId, origin: &BareJid, id: &str) -> Result<Vec<FmucKeyRow>, StoreError> {
        self.inner.fmuc_keys(room, origin, id)
    }
    fn touched(&mut self, lane: Lane, after: Batch) -> Result<Vec<Touched>, StoreError> {
        self.inner.touched(lane, after)
    }
    fn lanes(&mut self) -> Result<Vec<LaneRow>, StoreError> {
        self.inner.lanes()
    }
    fn watermarks(&mut self) -> Result<Vec<(Lane, Path, Batch)>, StoreError> {
        self.inner.watermarks()
    }
    fn backlog(&mut self) -> Result<Backlog, StoreError> {
        self.inner.backlog()
    }
    fn rooms_with_occupants(&mut self, path: Option<&Path>) -> Result<Vec<BareJid>, StoreError> {
        self.inner.rooms_with_occupants(path)
    }
    fn rooms(&mut self, domain: &str, after: Option<&BareJid>, max: usize) -> Result<Vec<RoomSummary>, StoreError> {
        self.inner.rooms(domain, after, max)
    }
    fn objects(&mut self) -> Result<Vec<Object>, StoreError> {
        self.inner.objects()
    }
}

#[test]
fn lost_answers_are_asked_for_and_nobody_notices() {
    let mut inner = Memory::new();
    let own = prepared(&mut inner);
    let asked = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(Mutex::new(()));
    let lossy = Lossy { inner: inner.clone(), commits: 0, asked: Arc::clone(&asked), gate: Arc::clone(&gate) };
    let (writer, completions) = start(lossy, own);
    let submitter = writer.submitter();
    for ticket in 1..=12 {
        // One by one, so that there are many commits to lose.
        submitter.submit(log(ticket)).unwrap();
        let done = completions.recv_timeout(SOON).unwrap();
        assert!(matches!(done, Completion::Done { ticket: t, .. } if t == Ticket(ticket)), "{done:?}");
    }
    assert!(asked.load(Ordering::Relaxed) >= 8);
    let held = gate.lock().unwrap();
    let mut large = message(13);
    large.payload = vec![0; 33 << 20];
    let large = |ticket| ticketed(ticket, 1, vec![Row::Log(LogRow { seq: Seq(ticket), ..large.clone() })]);
    submitter.submit(large(13)).unwrap();
    submitter.submit(large(14)).unwrap();
    assert_eq!(submitter.submit(large(15)), Err(Refused::Full), "what waits is bounded");
    drop(held);
    writer.stop().unwrap();
    assert_eq!(inner.snapshot().page(RoomId(1), Seq(0), 99).len(), 14);
}
