//! What happens next.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use jid::BareJid;
use warren_model::{RoomId, Seq};
use warren_pod::Input;
use warren_room::ReadId;
use warren_store::{CommitError, Incarnation, TxId};

use super::Parcel;
use super::member::{Ask, Told};
use crate::names::{Domain, Micros, Place};

/// A way on which order is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Component link, pod to server.
    Out(Place),
    /// Component link, server to pod.
    In(Place),
    /// Between servers.
    S2s(Domain, Domain),
    /// Client to server.
    Up(usize),
    /// Server to client.
    Down(usize),
}

/// A step of a commit.
#[derive(Debug)]
pub(crate) enum Commit {
    /// It is decided.
    Decide(TxId),
    /// The answer reaches its owner.
    Answer(Result<warren_model::Batch, CommitError>),
    /// Its owner asks what became of it.
    Resolve(TxId),
}

/// A read of the store.
#[derive(Debug)]
pub(crate) enum Wanted {
    Room(BareJid),
    Page { room: RoomId, read: ReadId, after: Seq, max: usize },
    Backlog,
    Objects,
    Occupied,
}

/// A process: what was meant for it never reaches the next one in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pid {
    pub at: Place,
    /// Over all processes of the site.
    pub number: u64,
}

/// Anything that happens.
#[derive(Debug)]
pub(crate) enum Event {
    Wake(Line),
    Tick(Pid),
    Pump(Pid),
    Store(Pid, Commit),
    /// A commit whose process has died meets its end.
    Orphan(usize, TxId, bool),
    Read(Pid, Wanted),
    Input(Pid, Box<Input>),
    Start(Place),
    Connect(Pid),
    LinkDown(Pid, u64),
    Cut(Place, u64),
    /// A member has a deadline.
    Member(Pid),
    /// A pod is told to end in good order.
    Terminate(Place),
    Drain(Pid),
    Kill(Pid),
    /// A process that has handed over everything looks whether it may end; so often at most.
    Leave(Pid, u32),
    /// Sessions between pods are looked after.
    Dial(usize),
    Session(usize, u64, usize),
    EndSession(usize, u64),
    Call(Pid, Pid, Incarnation),
    Ask(Pid, Incarnation, Ask),
    Told(Pid, Told),
    Handshake(Domain, Domain, u64),
    ResetWire(usize, usize, bool),
    Crash(Place),
    Snapshot(usize),
    LoseTail(usize),
    Act(usize),
    Respawn(usize),
    Awake(usize),
    EndOfFaults,
    Gather,
    LastWords,
}

impl Event {
    /// Whether it comes although nothing happens.
    pub(crate) fn is_beat(&self) -> bool {
        matches!(self, Self::Member(_) | Self::Ask(..) | Self::Told(..) | Self::Dial(_))
    }
}

struct Entry {
    at: Micros,
    number: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The earliest is the greatest: a heap gives that first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// All that will happen, by time, then in the order in which it was decided.
#[derive(Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Entry>,
    number: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Micros, event: Event) {
        self.number += 1;
        self.heap.push(Entry { at, number: self.number, event });
    }

    pub(crate) fn pop(&mut self) -> Option<(Micros, Event)> {
        self.heap.pop().map(|entry| (entry.at, entry.event))
    }
}

/// Stanzas on one way, first in, first out. For each one a [`Event::Wake`] is under way.
#[derive(Debug, Default)]
pub(crate) struct Channel {
    items: VecDeque<(Micros, Parcel)>,
    last: Micros,
}

impl Channel {
    /// Adds one; it arrives no earlier than those before it. Returns when.
    pub(crate) fn push(&mut self, at: Micros, parcel: Parcel) -> Micros {
        self.last = self.last.max(at);
        self.items.push_back((self.last, parcel));
        self.last
    }

    /// The next one, if it is due.
    pub(crate) fn pop(&mut self, now: Micros) -> Option<Parcel> {
        self.items.pop_front_if(|(at, _)| *at <= now).map(|(_, parcel)| parcel)
    }

    /// Whether nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Takes everything that is under way.
    pub(crate) fn clear(&mut self) -> Vec<Parcel> {
        self.items.drain(..).map(|(_, parcel)| parcel).collect()
    }
}
