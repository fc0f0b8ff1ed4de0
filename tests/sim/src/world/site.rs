//! A site: its pods, and the one store that they share.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use warren_mesh::View;
use warren_model::{Batch, Epoch, Lane, Path};
use warren_pod::Pod;
use warren_store::{Cluster, Faulty, Incarnation, LaneQueue, Model, PodState, TxId};

use super::World;
use super::link::Link;
use super::member::Member;
use super::mesh::{Session, Way};
use super::queue::Pid;
use super::store::Fate;
use crate::names::{Micros, PODS, Place};

/// One running process.
pub(crate) struct Process {
    pub pid: Pid,
    pub incarnation: Incarnation,
    pub pod: Pod,
    pub lane: Lane,
    /// Ownership of the rooms, whatever the pod believes; if it is the only one.
    pub epoch: Epoch,
    pub queue: LaneQueue,
    /// Last batch known to have happened.
    pub known: Batch,
    /// The commit that is under way, or of which it is not known what became.
    pub tx: Option<TxId>,
    /// An answer about it is awaited.
    pub busy: bool,
    pub trim: Option<Vec<Path>>,
    pub tick_at: Option<Micros>,
    pub pumping: bool,
    /// `None`: it is the only one.
    pub member: Option<Member>,
    /// How far its end in good order is.
    pub ending: Ending,
}

/// An end in good order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nobody wants it to end.
    #[default]
    No,
    /// It does not read its link any more; until then it finishes what it has read.
    Resting(Micros),
    /// It has ended its stream, if it had one, and reads what was sent before, until then.
    Closing(Micros, bool),
    /// Its rooms come to rest, and are handed over; it has had no stream since then.
    Moving(Micros),
}

/// Where the processes of one pod run, one after the other.
#[derive(Default)]
pub(crate) struct Slot {
    pub process: Option<Process>,
    pub link: Link,
    /// What the wall clock is off, in milliseconds.
    pub wall: i64,
    /// The process stands still from then until then.
    pub paused_since: Micros,
    pub paused: Micros,
    /// Its machine is gone: nobody says that it is not there.
    pub vanished: bool,
    /// It cannot reach the store until then.
    pub cut_off: Micros,
    /// What happens to the next commits.
    pub fates: VecDeque<Fate>,
    /// The next commit takes so much longer to be decided, and to be answered.
    pub slow: (Micros, Micros),
}

/// One site.
pub(crate) struct Site {
    pub pods: Vec<Slot>,
    pub store: Faulty,
    /// Who owns what, until something of it changes.
    pub view: Option<View>,
    /// Sessions between its pods, and so many so far.
    pub sessions: Vec<Session>,
    pub last_session: u64,
    /// The ways between them, by the lower and the higher one.
    pub ways: BTreeMap<(usize, usize), Way>,
    /// Pods of which a move has happened, or may have, after they had given it up.
    pub late_moves: BTreeSet<Incarnation>,
    /// Pods whose address refused.
    pub suspected: BTreeSet<Incarnation>,
    /// Processes so far.
    pub starts: u64,
    /// Connections of the component so far.
    pub connections: u64,
    /// Epoch of the first ownership.
    pub first_epoch: Option<Epoch>,
    /// Earlier states of the store.
    pub snapshots: VecDeque<Model>,
    /// When something happened to a process or a link.
    pub troubles: Vec<Micros>,
}

impl Site {
    pub(crate) fn new(site: usize) -> Self {
        Self {
            pods: (0..PODS[site]).map(|_| Slot::default()).collect(),
            store: Faulty::default(),
            view: None,
            sessions: Vec::new(),
            last_session: 0,
            ways: BTreeMap::new(),
            late_moves: BTreeSet::new(),
            suspected: BTreeSet::new(),
            starts: 0,
            connections: 0,
            first_epoch: None,
            snapshots: VecDeque::new(),
            troubles: Vec::new(),
        }
    }

    /// The pod that its server regards as the component.
    pub(crate) fn component(&self) -> Option<usize> {
        self.pods.iter().position(|slot| slot.link.up)
    }

    /// A process that runs.
    pub(crate) fn by_incarnation(&self, incarnation: Incarnation) -> Option<&Process> {
        let mut processes = self.pods.iter().filter_map(|slot| slot.process.as_ref());
        processes.find(|process| process.incarnation == incarnation)
    }

    /// Whether the store regards a pod as open.
    pub(crate) fn is_open(&mut self, incarnation: Incarnation) -> bool {
        let pods = self.store.cluster().pods().unwrap_or_default();
        pods.iter().any(|pod| pod.incarnation == incarnation && pod.state == PodState::Open)
    }

    /// Whether several pods share the store.
    pub(crate) fn is_shared(&self) -> bool {
        self.pods.len() > 1
    }
}

impl World {
    pub(super) fn slot(&mut self, at: Place) -> &mut Slot {
        &mut self.sites[at.site].pods[at.pod]
    }

    /// The process there.
    pub(super) fn process(&mut self, at: Place) -> Option<&mut Process> {
        self.slot(at).process.as_mut()
    }

    /// A process, if it still runs.
    pub(super) fn running(&mut self, pid: Pid) -> Option<&mut Process> {
        self.process(pid.at).filter(|process| process.pid == pid)
    }

    /// Until when a process stands still, if it does.
    pub(super) fn paused(&self, at: Place) -> Option<Micros> {
        Some(self.sites[at.site].pods[at.pod].paused).filter(|until| *until > self.now)
    }

    /// Until when a pod cannot reach the store, if it cannot.
    pub(super) fn cut_off(&self, at: Place) -> Option<Micros> {
        Some(self.sites[at.site].pods[at.pod].cut_off).filter(|until| *until > self.now)
    }

    /// Something happened at a site, so that what it takes in now may be lost.
    pub(super) fn trouble(&mut self, site: usize) {
        let now = self.now;
        self.sites[site].troubles.push(now);
    }
}
