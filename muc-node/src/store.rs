//! The store's threads, as the loop sees them: it hands works and reads over, and answers come through one channel.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path as FilePath, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, anyhow};
use jid::BareJid;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use warren_model::{Batch, Epoch, Lane, LogRow, Object, Path, RoomId, RoomRows, Seq};
use warren_room::{ReadId, WINDOW};
use warren_store::{
    Backend, Backlog, Completion, Incarnation, Limits, Options, Ownership, Postgres, Reader, Readers, Refused, Sqlite,
    StoreError, Submitter, Window, Work, Writer,
};

use crate::clock;
use warren_pod::Stored;
use warren_shard::Epochs;

/// Connections that read; one slow read delays no other.
const READERS: usize = 2;
/// Foreign ids that a loaded room knows; older ones are looked for by nobody.
const KEYS: usize = 10_000;

/// Where a store is.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// `sqlite:FILE`, or `sqlite:FILE?max_page_count=N` to bound the file to N pages of 4 KiB.
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Pages of 4 KiB at most.
        max_pages: Option<u32>,
    },
    /// `postgres://…`: a connection string as libpq has it.
    Postgres(String),
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Without what is secret.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path, .. } => path.display().fmt(f),
            Self::Postgres(_) => f.write_str("in PostgreSQL"),
        }
    }
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(url.to_owned()));
        }
        let Some(rest) = url.strip_prefix("sqlite:") else {
            return Err("it must begin with sqlite: as in sqlite:rooms.db, or with postgres:// as in \
                        postgres://warren@db.example.org/warren"
                .to_owned());
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        if path.is_empty() {
            return Err("the name of the file is missing: write sqlite:rooms.db".to_owned());
        }
        let max_pages = match query.split_once('=') {
            None if query.is_empty() => None,
            Some(("max_page_count", pages)) => {
                Some(pages.parse().map_err(|_| format!("max_page_count is a number of pages, not {pages:?}"))?)
            }
            _ => return Err(format!("{query:?} is no option of a store: there is max_page_count=N")),
        };
        Ok(Self::Sqlite { path: path.into(), max_pages })
    }
}

/// A store that is ours.
pub struct Opened {
    backend: Box<dyn Backend>,
    /// The lane that we write.
    pub lane: Lane,
    /// Ownership of the rooms.
    pub epochs: Epochs,
    /// What it holds.
    pub stored: Stored,
}

/// Opens a file and takes it over from whoever had it before, and reads what a pod begins with. Blocks.
///
/// # Errors
/// One sentence; then nothing in the store has changed, except that a new file may have been made.
pub fn open(path: &FilePath, max_pages: Option<u32>, me: Incarnation) -> anyhow::Result<Opened> {
    let options = Options { max_pages, ..Options::default() };
    let at_start = |what: &str, e: StoreError| match e {
        // Its own words speak of trying again, which a start does not.
        StoreError::Failed(why) => {
            anyhow!("the store {} cannot be {what} ({why}): make room on its disk or repair it", path.display())
        }
        e => e.into(),
    };
    let mut store = Sqlite::open(path, options).map_err(|e| at_start("opened", e))?;
    let Ownership { epoch, lane, .. } = store.take_over(me, clock::wall()).map_err(|e| at_start("taken over", e))?;
    let stored = Stored::read(&mut store).map_err(|e| at_start("read", e))?;
    Ok(Opened { backend: Box::new(store), lane, epochs: Epochs::all(epoch), stored })
}

/// Reads what one of several pods begins with. Blocks.
///
/// # Errors
/// One sentence.
pub fn begin(mut store: Postgres, lane: Lane) -> anyhow::Result<Opened> {
    let stored = Stored::objects_only(&mut store)?;
    Ok(Opened { backend: Box::new(store), lane, epochs: Epochs::none(), stored })
}

/// What comes back from the threads.
#[derive(Debug)]
pub enum Answer {
    /// What became of works: of all that one commit took.
    Written(Vec<Completion>),
    /// A room.
    Loaded(BareJid, Box<Result<Option<RoomRows>, String>>),
    /// A page of a log.
    Page(RoomId, ReadId, Result<Vec<LogRow>, String>),
    /// What was written and may not have been said.
    Backlog(Box<Result<Backlog, String>>),
    /// All objects.
    Objects(Result<Vec<Object>, String>),
    /// Rooms with somebody in them.
    Occupied(Result<Vec<BareJid>, String>),
}

/// The threads of a store.
pub struct Store {
    lane: Lane,
    writer: Writer,
    submitter: Submitter,
    readers: Readers,
    answers: UnboundedSender<Answer>,
    /// Works that wait for the end of the turn, in order, so that one commit takes them all.
    held: VecDeque<Work>,
    /// The writer had no room for them. While that is so, the link is not read.
    full: bool,
    /// The lane is closed, and the answer that says so was sent: the writer has ended as it should.
    fenced: Arc<AtomicBool>,
}

/// The writer's thread has ended without being asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the thread that writes to the store has died; what was acknowledged is safe, and a restart goes on from there"
)]
pub struct Died;

impl Store {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives no thread, or the store no connection.
    pub fn start(store: Box<dyn Backend>, lane: Lane) -> anyhow::Result<(Self, UnboundedReceiver<Answer>)> {
        let (answers, inbox) = mpsc::unbounded_channel();
        let readers = (0..READERS).map(|_| store.reader()).collect::<Result<Vec<Box<dyn Reader>>, _>>()?;
        let readers = Readers::start(readers).context("no threads to read the store with")?;
        let written = answers.clone();
        // Nobody listens any more only when the pod has ended.
        let fenced = Arc::new(AtomicBool::new(false));
        let told = fenced.clone();
        let on = Box::new(move |completions: Vec<Completion>| {
            let last = completions.contains(&Completion::Fenced);
            drop(written.send(Answer::Written(completions)));
            told.fetch_or(last, Ordering::Release);
        });
        // The writer asks for the lane and its last batch, which is new.
        let ownership = Ownership { epoch: Epoch(0), lane, batch: Batch(0) };
        let writer =
            Writer::start(store, ownership, Limits::default(), on).context("no thread to write to the store with")?;
        let submitter = writer.submitter();
        let held = VecDeque::new();
        Ok((Self { lane, writer, submitter, readers, answers, held, full: false, fenced }, inbox))
    }

    /// Writes this with the next [`Self::hand_over`], after all that was given before.
    pub fn write(&mut self, work: Work) {
        self.held.push_back(work);
    }

    /// Hands over what was given. At the end of a turn: a writer that got works one by one would begin to commit with
    /// the first, and a group of three costs as much as one of a hundred.
    ///
    /// # Errors
    /// When the writer has died. Not when it has ended because the lane is closed: that is among the answers, and is the
    /// reason that people are to read.
    pub fn hand_over(&mut self) -> Result<(), Died> {
        let given = self.submitter.submit_all(&mut self.held);
        self.full = given == Err(Refused::Full);
        let died = given == Err(Refused::Stopped) && !self.fenced.load(Ordering::Acquire);
        if died { Err(Died) } else { Ok(()) }
    }

    /// Reads a room.
    pub fn load(&self, room: BareJid) {
        let answers = self.answers.clone();
        let window = Window { messages: WINDOW, keys: KEYS };
        self.read(move |reader| {
            let rows = reader.load_room(&room, window).map_err(|e| e.to_string());
            drop(answers.send(Answer::Loaded(room, Box::new(rows))));
        });
    }

    /// Reads a page of a log.
    pub fn page(&self, room: RoomId, read: ReadId, after: Seq, max: usize) {
        let answers = self.answers.clone();
        self.read(move |reader| {
            let rows = reader.page(room, after, max).map_err(|e| e.to_string());
            drop(answers.send(Answer::Page(room, read, rows)));
        });
    }

    /// Reads what was written and may not have been said.
    pub fn backlog_of_all(&self) {
        self.ask(|reader| reader.backlog(), |backlog| Answer::Backlog(Box::new(backlog)));
    }

    /// Reads all objects.
    pub fn objects(&self) {
        self.ask(|reader| reader.objects(), Answer::Objects);
    }

    /// Reads which rooms have somebody in them.
    pub fn occupied(&self) {
        self.ask(|reader| reader.rooms_with_occupants(None), Answer::Occupied);
    }

    fn ask<T>(
        &self,
        read: impl FnOnce(&mut dyn Reader) -> Result<T, StoreError> + Send + 'static,
        answer: impl FnOnce(Result<T, String>) -> Answer + Send + 'static,
    ) {
        let answers = self.answers.clone();
        self.read(move |reader| drop(answers.send(answer(read(reader).map_err(|error| error.to_string())))));
    }

    fn read(&self, read: impl FnOnce(&mut dyn Reader) + Send + 'static) {
        // The readers stop only after us.
        drop(self.readers.read(Box::new(read)));
    }

    /// Deletes the batches that no one of these paths waits for any more.
    ///
    /// # Errors
    /// When the writer has died.
    pub fn trim(&mut self, awaited: Vec<Path>) -> Result<(), Died> {
        // Behind the watermarks that were given before.
        self.hand_over()?;
        let lane = self.lane;
        let task = move |backend: &mut dyn Backend| {
            if let Err(error) = backend.trim_batches(lane, &awaited) {
                // The next beat does it again.
                tracing::debug!(%error, "batches not trimmed");
            }
        };
        drop(self.submitter.run(Box::new(task)));
        Ok(())
    }

    /// Bytes of works that are not durable yet.
    pub fn backlog(&self) -> usize {
        self.submitter.backlog() + self.held.iter().map(Work::weight).sum::<usize>()
    }

    /// Whether the writer is so far behind that nothing more should be taken in.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Writes what was handed over, answers it and ends the threads. Blocks.
    pub fn stop(self) {
        drop(self.writer.stop());
        self.readers.stop();
    }
}

impl Opened {
    /// Starts the threads of the store.
    ///
    /// # Errors
    /// As [`Store::start`].
    pub fn start(self) -> anyhow::Result<(Store, UnboundedReceiver<Answer>)> {
        Store::start(self.backend, self.lane)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use warren_model::UnixMs;
    use warren_store::Memory;

    #[test]
    fn a_writer_that_ends_since_the_lane_is_closed_has_not_died() {
        let mut memory = Memory::new();
        let lane = memory.take_over(Incarnation(1), UnixMs(0)).unwrap().lane;
        let (mut store, mut answers) = Store::start(Box::new(memory.clone()), lane).unwrap();
        memory.take_over(Incarnation(2), UnixMs(0)).unwrap();
        let path = Path { local: "rooms.example".into(), remote: "example".into() };
        let mark = Work::Watermark { lane, path, batch: Batch(0) };
        store.write(mark.clone());
        store.hand_over().unwrap();
        let answer = answers.blocking_recv();
        assert!(matches!(&answer, Some(Answer::Written(all)) if all.contains(&Completion::Fenced)), "{answer:?}");
        // As a turn does that was under way meanwhile. Until the writer is at its end it takes works.
        while store.submitter.run(Box::new(|_| ())).is_ok() {
            std::thread::yield_now();
        }
        store.write(mark);
        assert_eq!(store.hand_over(), Ok(()));
    }

    #[test]
    fn urls_say_what_is_wrong_with_them() {
        let url = |text: &str| text.parse::<StoreUrl>();
        assert_eq!(url("sqlite:a/b.db"), Ok(StoreUrl::Sqlite { path: "a/b.db".into(), max_pages: None }));
        assert_eq!(url("sqlite:b?max_page_count=9"), Ok(StoreUrl::Sqlite { path: "b".into(), max_pages: Some(9) }));
        let dsn = "postgres://warren:carrot@db/warren";
        assert_eq!(url(dsn), Ok(StoreUrl::Postgres(dsn.to_owned())));
        assert!(!format!("{:?}", url(dsn)).contains("carrot"), "a password must not get into a log");
        for (wrong, says) in [
            ("rooms.db", "begin with sqlite:"),
            ("mysql://x", "postgres://"),
            ("sqlite:", "missing"),
            ("sqlite:b?max_page_count=x", "a number of pages"),
            ("sqlite:b?mode=ro", "no option"),
        ] {
            let error = url(wrong).unwrap_err();
            assert!(error.contains(says), "{wrong}: {error}");
        }
    }
}
