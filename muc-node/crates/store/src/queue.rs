//! From single works to group commits, without IO: what the writer's thread and the simulator both run.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use warren_model::{Batch, Lane, RoomId, Ticket};

use crate::{CommitError, Resolved, Work};

/// What became of a work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// It is durable.
    Done {
        /// Which one.
        ticket: Ticket,
        /// Lane of the commit.
        lane: Lane,
        /// Number of the commit.
        batch: Batch,
    },
    /// It is not stored and never will be.
    Failed {
        /// Which one.
        ticket: Ticket,
        /// For the log.
        why: String,
    },
    /// It is not stored and never will be: the shard of its room has another owner since. What led to it is the new
    /// owner's to handle.
    Disowned {
        /// Which one.
        ticket: Ticket,
    },
    /// The lane is closed, or the store has lost some of it. The last completion: everything that waits is forgotten.
    Fenced,
}

/// Bounds of one group commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Works at most.
    pub works: usize,
    /// Bytes at most, by [`Work::weight`]; a single work that is larger goes alone.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { works: 1000, bytes: 4 << 20 }
    }
}

/// What the driver of a [`LaneQueue`] does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Nothing until a work is pushed or the running commit is answered.
    Idle,
    /// Commit this, then call [`LaneQueue::answered`].
    Commit {
        /// On this lane, after [`LaneQueue::known`].
        lane: Lane,
        /// The group.
        work: &'a [Work],
    },
    /// Ask the backend what became of the last commit, then call [`LaneQueue::resolved`].
    Resolve {
        /// On this lane.
        lane: Lane,
        /// Last batch known to have happened.
        known: Batch,
    },
}

/// Why a work fails that the store was not asked about.
const EARLIER: &str = "an earlier write of this room failed";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    Committing,
    Resolving,
    Fenced,
}

/// So many rejections in a row are sorted out by leaving the culprit out; then works go one by one.
const REJECTIONS: u32 = 4;
/// So many commits in a row may fail before what is left of the group fails with them.
const FAILURES: u32 = 3;

/// A place in the order of the lane.
#[derive(Clone, Debug)]
enum Slot {
    Live(Work),
    /// Has failed, and says so when all before it is answered.
    Dead(Dead),
}

#[derive(Clone, Debug)]
struct Dead {
    ticket: Option<Ticket>,
    why: Why,
}

#[derive(Clone, Debug)]
enum Why {
    Failed(String),
    Disowned,
}

impl Dead {
    fn said(self) -> Option<Completion> {
        let ticket = self.ticket?;
        Some(match self.why {
            Why::Failed(why) => Completion::Failed { ticket, why },
            Why::Disowned => Completion::Disowned { ticket },
        })
    }
}

/// The works of one lane, in order: one commit in flight, and no timers, since the running commit is the window in
/// which the next group gathers.
///
/// A work that the store rejects stops nobody else: the rest of its group is committed without it. But what
/// builds on it must not happen, so once a work of a room has failed, all later works of that room fail too, until
/// one that is `fresh` (see [`Work::Room`]) says that the room was loaded again.
///
/// Works of a room complete in order, failures too: who hears of one may load the room and finds in it all that
/// came before.
#[derive(Clone, Debug)]
pub struct LaneQueue {
    lane: Lane,
    known: Batch,
    limits: Limits,
    state: State,
    waiting: VecDeque<Slot>,
    running: Vec<Work>,
    /// Among the running ones: so many live works come before each.
    dead: Vec<(usize, Dead)>,
    bytes: usize,
    /// Rooms of which a work failed and no fresh one came since.
    banned: BTreeSet<RoomId>,
    /// So many live works at the front go one by one.
    singly: usize,
    rejections: u32,
    failures: u32,
}

impl LaneQueue {
    /// For a lane whose last batch is `known`.
    pub fn new(lane: Lane, known: Batch, limits: Limits) -> Self {
        Self {
            lane,
            known,
            limits,
            state: State::Ready,
            waiting: VecDeque::new(),
            running: Vec::new(),
            dead: Vec::new(),
            bytes: 0,
            banned: BTreeSet::new(),
            singly: 0,
            rejections: 0,
            failures: 0,
        }
    }

    /// Adds a work. Once fenced, it is forgotten.
    pub fn push(&mut self, work: Work) {
        if self.state == State::Fenced {
            return;
        }
        if let Work::Room { ticket, room, fresh, .. } = &work {
            if *fresh {
                self.banned.remove(room);
            } else if self.banned.contains(room) {
                self.waiting
                    .push_back(Slot::Dead(Dead { ticket: Some(*ticket), why: Why::Failed(EARLIER.to_owned()) }));
                return;
            }
        }
        self.bytes += work.weight();
        self.waiting.push_back(Slot::Live(work));
    }

    /// Works that are not answered yet.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.running.len() + self.dead.len()
    }

    /// Whether everything is answered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that wait or run, by [`Work::weight`].
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The last batch that is known to have happened: what [`Step::Commit`] is to follow.
    pub fn known(&self) -> Batch {
        self.known
    }

    /// Whether the lane was found closed.
    pub fn is_fenced(&self) -> bool {
        self.state == State::Fenced
    }

    /// What to do next. Failures whose turn has come are completed in `out`.
    pub fn next(&mut self, out: &mut Vec<Completion>) -> Step<'_> {
        match self.state {
            State::Committing | State::Fenced => return Step::Idle,
            State::Resolving => return Step::Resolve { lane: self.lane, known: self.known },
            State::Ready => {}
        }
        self.gather();
        if self.running.is_empty() {
            self.answer_all(None, out);
            return Step::Idle;
        }
        self.state = State::Committing;
        Step::Commit { lane: self.lane, work: &self.running }
    }

    fn gather(&mut self) {
        let most = if self.singly > 0 { 1 } else { self.limits.works };
        let mut bytes = 0;
        while let Some(slot) = self.waiting.front() {
            if let Slot::Live(work) = slot {
                bytes += work.weight();
                let full = self.running.len() >= most || bytes > self.limits.bytes;
                if full && !self.running.is_empty() {
                    break;
                }
            }
            match self.waiting.pop_front() {
                Some(Slot::Live(work)) => self.running.push(work),
                Some(Slot::Dead(dead)) => self.dead.push((self.running.len(), dead)),
                None => {}
            }
        }
        self.singly = self.singly.saturating_sub(self.running.len());
    }

    /// The answer to [`Step::Commit`].
    pub fn answered(&mut self, answer: Result<Batch, CommitError>, out: &mut Vec<Completion>) {
        if self.state != State::Committing {
            return;
        }
        self.state = State::Ready;
        match answer {
            Ok(batch) => self.done(batch, out),
            Err(CommitError::Fenced) => self.fenced(out),
            Err(CommitError::Unknown(_)) => self.state = State::Resolving,
            Err(CommitError::Rejected { index, why }) => self.rejected(index, &Why::Failed(why)),
            Err(CommitError::Disowned { index }) => self.rejected(Some(index), &Why::Disowned),
            Err(CommitError::Failed(why)) => {
                self.failures += 1;
                let size = self.requeue();
                if self.failures >= FAILURES {
                    self.give_up(size, &why);
                } else if size == 1 {
                    self.kill(0..1, &Why::Failed(why));
                } else {
                    self.singly = size;
                }
            }
        }
    }

    fn rejected(&mut self, index: Option<usize>, why: &Why) {
        self.rejections += 1;
        let size = self.requeue();
        let culprit = if size == 1 { Some(0) } else { index.filter(|i| *i < size) };
        if let Some(culprit) = culprit {
            self.kill(culprit..culprit + 1, why);
        }
        if culprit.is_none() || self.rejections >= REJECTIONS {
            self.singly = self.singly.max(size - usize::from(culprit.is_some()));
        }
    }

    /// The answer to [`Step::Resolve`].
    pub fn resolved(&mut self, answer: Resolved, out: &mut Vec<Completion>) {
        if self.state != State::Resolving {
            return;
        }
        self.state = State::Ready;
        match answer {
            Resolved::Done(batch) => self.done(batch, out),
            Resolved::Fenced => self.fenced(out),
            Resolved::NotDone => {
                // The connection was at fault, not the works: the same group again.
                self.failures += 1;
                let size = self.requeue();
                if self.failures >= FAILURES {
                    self.give_up(size, "the connection to the store keeps breaking");
                }
            }
        }
    }

    fn done(&mut self, batch: Batch, out: &mut Vec<Completion>) {
        // The store should not have taken it: it has forgotten batches of ours, or was changed under our name. What it
        // holds is not what these works were built on.
        if Some(batch.0) != self.known.0.checked_add(1) {
            return self.fenced(out);
        }
        self.known = batch;
        self.failures = 0;
        if self.singly == 0 {
            self.rejections = 0;
        }
        self.answer_all(Some(batch), out);
    }

    /// Completes what runs: the live works as done, the dead ones as failed, in order.
    fn answer_all(&mut self, batch: Option<Batch>, out: &mut Vec<Completion>) {
        let mut dead = std::mem::take(&mut self.dead).into_iter().peekable();
        let mut report = |before: usize, out: &mut Vec<Completion>| {
            while let Some((_, dead)) = dead.next_if(|(at, _)| *at <= before) {
                out.extend(dead.said());
            }
        };
        for (n, work) in std::mem::take(&mut self.running).into_iter().enumerate() {
            report(n, out);
            self.bytes -= work.weight();
            if let (Some(ticket), Some(batch)) = (work.ticket(), batch) {
                out.push(Completion::Done { ticket, lane: self.lane, batch });
            }
        }
        report(usize::MAX, out);
    }

    fn fenced(&mut self, out: &mut Vec<Completion>) {
        self.state = State::Fenced;
        self.waiting.clear();
        self.running.clear();
        self.dead.clear();
        self.bytes = 0;
        out.push(Completion::Fenced);
    }

    /// Puts what runs back to the front, in order. Returns how many live works that are.
    fn requeue(&mut self) -> usize {
        let size = self.running.len();
        for n in (0..=size).rev() {
            while let Some((_, dead)) = self.dead.pop_if(|(at, _)| *at == n) {
                self.waiting.push_front(Slot::Dead(dead));
            }
            // Live work n - 1 comes before the dead ones that follow n live works.
            if let Some(work) = self.running.pop() {
                self.waiting.push_front(Slot::Live(work));
            }
        }
        if self.singly > 0 {
            self.singly += size;
        }
        size
    }

    /// Fails the live works of a range (counted from the front), and all later ones of their rooms up to a fresh
    /// one.
    fn kill(&mut self, which: Range<usize>, why: &Why) {
        let mut failed = BTreeSet::new();
        let singly = self.singly;
        let live = self.waiting.iter_mut().filter(|slot| matches!(slot, Slot::Live(_)));
        for (position, slot) in live.enumerate() {
            let Slot::Live(work) = slot else { continue };
            let chosen = which.contains(&position);
            if let Work::Room { room, fresh: true, .. } = work {
                failed.remove(room);
            }
            if !chosen && !work.room().is_some_and(|room| failed.contains(&room)) {
                continue;
            }
            failed.extend(work.room());
            self.bytes -= work.weight();
            if position < singly {
                self.singly -= 1;
            }
            let why = if chosen { why.clone() } else { Why::Failed(EARLIER.to_owned()) };
            *slot = Slot::Dead(Dead { ticket: work.ticket(), why });
        }
        self.banned.extend(failed);
    }

    /// Fails a group of which `size` works ran last, with what is left of it.
    fn give_up(&mut self, size: usize, why: &str) {
        self.failures = 0;
        self.kill(0..size.max(self.singly), &Why::Failed(why.to_owned()));
    }
}
