//! One thread that owns a backend and runs a [`LaneQueue`] over it.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::{Backend, Completion, LaneQueue, Limits, Ownership, Step, Work};

/// Gets the completions of each step, never none, on the writer's thread: it should only pass them on. Works of a room
/// complete in order. All that one commit answers comes at once, so that whoever waits is woken once.
pub type OnCompletion = Box<dyn FnMut(Vec<Completion>) + Send>;

/// Housekeeping (trimming) that runs on the writer's thread between two commits; it should be short.
pub type Task = Box<dyn FnOnce(&mut dyn Backend) + Send>;

/// So many bytes may wait; beyond that a work is refused. Over 60 s of messages at 1 MB/s.
const BACKLOG: usize = 64 << 20;
/// Waiting times between questions what became of a commit.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// After so many questions a writer that is to stop leaves a commit unresolved.
const ASK_AT_STOP: u32 = 5;

enum Order {
    /// Works that came together, so that one commit takes them together.
    Works(Vec<Work>),
    Task(Task),
    Stop,
}

/// Why a work was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too much waits already: the store is slower than its writers. Nothing of the work is kept.
    Full,
    /// The writer has stopped or was fenced.
    Stopped,
}

/// Hands works to a [`Writer`]; clones go to other threads. The order of one clone's works is kept.
#[derive(Clone)]
pub struct Submitter {
    orders: Sender<Order>,
    backlog: Arc<AtomicUsize>,
}

impl Submitter {
    /// Queues a work; never waits.
    pub fn submit(&self, work: Work) -> Result<(), Refused> {
        self.submit_all(&mut VecDeque::from([work]))
    }

    /// Queues works in one go, from the front, as many as there is room for; what is refused stays. Never waits.
    pub fn submit_all(&self, works: &mut VecDeque<Work>) -> Result<(), Refused> {
        let (mut room, mut weight, mut taken) = (self.backlog.load(Ordering::Relaxed), 0, 0);
        while room <= BACKLOG && taken < works.len() {
            let next = works[taken].weight();
            room += next;
            weight += next;
            taken += 1;
        }
        if taken > 0 {
            self.backlog.fetch_add(weight, Ordering::Relaxed);
            let order = Order::Works(works.drain(..taken).collect());
            self.orders.send(order).map_err(|_| Refused::Stopped)?;
        }
        if works.is_empty() { Ok(()) } else { Err(Refused::Full) }
    }

    /// Queues housekeeping; it is dropped if the writer stops or is fenced before.
    pub fn run(&self, task: Task) -> Result<(), Refused> {
        self.orders.send(Order::Task(task)).map_err(|_| Refused::Stopped)
    }

    /// Bytes that are not answered yet.
    pub fn backlog(&self) -> usize {
        self.backlog.load(Ordering::Relaxed)
    }
}

/// The writer's thread.
pub struct Writer {
    submitter: Submitter,
    thread: JoinHandle<Box<dyn Backend>>,
}

impl Writer {
    /// Starts to write on the lane of a take-over.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(
        backend: Box<dyn Backend>,
        ownership: Ownership,
        limits: Limits,
        on: OnCompletion,
    ) -> io::Result<Self> {
        let (orders, inbox) = mpsc::channel();
        let backlog = Arc::new(AtomicUsize::new(0));
        let state = Run {
            backend,
            queue: LaneQueue::new(ownership.lane, ownership.batch, limits),
            inbox,
            backlog: Arc::clone(&backlog),
            on,
            stopping: false,
        };
        let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(move || state.run())?;
        Ok(Self { submitter: Submitter { orders, backlog }, thread })
    }

    /// A handle for submitting.
    pub fn submitter(&self) -> Submitter {
        self.submitter.clone()
    }

    /// Writes what was submitted before, completes it, ends the thread and gives the backend back.
    /// `None`: the thread had died of a panic.
    pub fn stop(self) -> Option<Box<dyn Backend>> {
        // An error says that it is at its end already.
        let _ = self.submitter.orders.send(Order::Stop);
        self.thread.join().ok()
    }
}

struct Run {
    backend: Box<dyn Backend>,
    queue: LaneQueue,
    inbox: Receiver<Order>,
    backlog: Arc<AtomicUsize>,
    on: OnCompletion,
    stopping: bool,
}

impl Run {
    fn run(mut self) -> Box<dyn Backend> {
        let mut out = Vec::new();
        let (mut pause, mut asked) = (ASK_AGAIN.0, 0);
        loop {
            self.take_orders();
            let before = self.queue.bytes();
            let mut idle = false;
            let known = self.queue.known();
            match self.queue.next(&mut out) {
                Step::Idle => idle = true,
                Step::Commit { lane, work } => {
                    let answer = self.backend.commit_after(lane, Some(known), work);
                    self.queue.answered(answer, &mut out);
                    (pause, asked) = (ASK_AGAIN.0, 0);
                }
                Step::Resolve { lane, known } => {
                    #[expect(clippy::disallowed_methods, reason = "this thread has nothing else to do until it knows")]
                    thread::sleep(pause);
                    (pause, asked) = ((pause * 2).min(ASK_AGAIN.1), asked + 1);
                    if let Ok(answer) = self.backend.resolve(lane, known) {
                        self.queue.resolved(answer, &mut out);
                    } else if self.stopping && asked >= ASK_AT_STOP {
                        return self.backend;
                    }
                }
            }
            self.backlog.fetch_sub(before - self.queue.bytes(), Ordering::Relaxed);
            if !out.is_empty() {
                (self.on)(std::mem::take(&mut out));
            }
            if self.queue.is_fenced() || (self.stopping && idle) {
                return self.backend;
            }
        }
    }

    /// Takes all that came. Waits only when there is nothing to do; a task in between runs at once, since no
    /// commit is in flight here.
    fn take_orders(&mut self) {
        loop {
            let order = if self.queue.is_empty() && !self.stopping {
                // All submitters gone is an order to stop.
                self.inbox.recv().unwrap_or(Order::Stop)
            } else {
                match self.inbox.try_recv() {
                    Ok(order) => order,
                    Err(_) => return,
                }
            };
            match order {
                Order::Works(works) => {
                    for work in works {
                        let expected = self.queue.bytes() + work.weight();
                        self.queue.push(work);
                        // What failed at once weighs nothing.
                        self.backlog.fetch_sub(expected - self.queue.bytes(), Ordering::Relaxed);
                    }
                }
                Order::Task(task) => task(&mut *self.backend),
                // What came before it is in the queue by now.
                Order::Stop => {
                    self.stopping = true;
                    return;
                }
            }
        }
    }
}
