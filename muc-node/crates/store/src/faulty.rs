//! The simulator's store: a [`Model`] whose transactions have a life of their own.
//!
//! A transaction is *in flight*, then *durable*, then *answered*; a fault is a step left out. The simulator makes
//! every choice (there is no randomness in here) and a stall is simply a transaction that nobody moves on.
//!
//! Several pods have transactions in flight at the same time, one on each lane. Where a real store makes a take-over or
//! a move wait for the commit in flight, the simulator finishes or aborts it first ([`Faulty::in_flight_of`] tells
//! which) or leaves it: then it had not come as far as its fences, and will not pass them.

use std::collections::BTreeMap;

use warren_model::{Batch, Lane, Path, UnixMs};

use crate::{Cluster, CommitError, Incarnation, Model, Ownership, Resolved, Work};

/// A transaction; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxId(pub u64);

#[derive(Clone, Debug)]
struct Tx {
    lane: Lane,
    /// Who has the lane; `None`: there was no such lane.
    owner: Option<Incarnation>,
    /// `None`: decided, but its answer was lost.
    work: Option<Vec<Work>>,
    /// Last batch of the lane that its owner knows of.
    known: Batch,
}

/// A store that fails when it is told to.
#[derive(Clone, Debug, Default)]
pub struct Faulty {
    durable: Model,
    open: BTreeMap<TxId, Tx>,
    last: u64,
}

impl Faulty {
    /// On top of a store.
    pub fn new(durable: Model) -> Self {
        Self { durable, open: BTreeMap::new(), last: 0 }
    }

    /// What is durable; all reads go here.
    pub fn durable(&self) -> &Model {
        &self.durable
    }

    /// Puts the store back to an earlier state (a database whose fail-over lost its tail, a restored backup).
    /// Transactions in flight stay so.
    pub fn restore(&mut self, earlier: Model) {
        self.durable = earlier;
    }

    /// The server of the store is gone, and another one is in its place that has only what was there earlier. Nothing
    /// that was in flight happened, and nobody was answered: all of it is to be resolved.
    pub fn fail_over(&mut self, earlier: Model) {
        self.durable = earlier;
        for tx in self.open.values_mut() {
            tx.work = None;
        }
    }

    /// A take-over, at once. A transaction in flight either was moved on before, or finds its lane closed.
    pub fn take_over(&mut self, incarnation: Incarnation, now: UnixMs) -> Ownership {
        self.durable.take_over(incarnation, now)
    }

    /// The verbs of a cluster, at once, as [`Faulty::take_over`]: a transaction in flight on a lane that is closed
    /// finds it closed.
    pub fn cluster(&mut self) -> &mut impl Cluster {
        &mut self.durable
    }

    /// As [`crate::Backend::trim_batches`], at once.
    ///
    /// # Errors
    /// When the lane is closed.
    pub fn trim_batches(&mut self, lane: Lane, awaited: &[Path]) -> Result<u64, CommitError> {
        self.durable.trim_batches(lane, awaited)
    }

    /// Starts a transaction. `known` is the last batch of the lane that its owner knows to have happened: if the store
    /// is at another one when it decides, it is fenced.
    ///
    /// # Errors
    ///
    /// Gives the work back when the lane has a transaction that is not answered: there is one in flight at most.
    pub fn submit(&mut self, lane: Lane, known: Batch, work: Vec<Work>) -> Result<TxId, Vec<Work>> {
        if self.open.values().any(|tx| tx.lane == lane) {
            return Err(work);
        }
        self.last += 1;
        let owner = self.durable.lanes().into_iter().find(|row| row.lane == lane).map(|row| row.incarnation);
        self.open.insert(TxId(self.last), Tx { lane, owner, work: Some(work), known });
        Ok(TxId(self.last))
    }

    /// Transactions that can be moved on.
    pub fn in_flight(&self) -> impl Iterator<Item = TxId> {
        self.open.iter().filter(|(_, tx)| tx.work.is_some()).map(|(id, _)| *id)
    }

    /// Transactions of a pod that can be moved on.
    pub fn in_flight_of(&self, incarnation: Incarnation) -> impl Iterator<Item = TxId> {
        let its = move |tx: &Tx| tx.work.is_some() && tx.owner == Some(incarnation);
        self.open.iter().filter(move |(_, tx)| its(tx)).map(|(id, _)| *id)
    }

    /// The transaction of a lane whose answer was lost and that was not resolved yet.
    pub fn unresolved_on(&self, lane: Lane) -> Option<TxId> {
        self.open.iter().find(|(_, tx)| tx.work.is_none() && tx.lane == lane).map(|(id, _)| *id)
    }

    /// Transactions whose answer was lost and that were not resolved yet.
    pub fn unresolved(&self) -> impl Iterator<Item = TxId> {
        self.open.iter().filter(|(_, tx)| tx.work.is_none()).map(|(id, _)| *id)
    }

    /// Durable (unless fenced or rejected) and answered. `None`: not in flight.
    pub fn finish(&mut self, tx: TxId) -> Option<Result<Batch, CommitError>> {
        let (lane, known, work) = self.decide(tx)?;
        self.open.remove(&tx);
        Some(self.durable.commit_after(lane, Some(known), &work))
    }

    /// Never happened, and answered so. `None`: not in flight.
    pub fn abort(&mut self, tx: TxId, why: &str) -> Option<CommitError> {
        self.decide(tx)?;
        self.open.remove(&tx);
        Some(CommitError::Failed(why.to_owned()))
    }

    /// Durable (unless fenced or rejected), but the answer is lost: [`Faulty::resolve`] it. `None`: not in flight.
    pub fn finish_lose_answer(&mut self, tx: TxId) -> Option<CommitError> {
        let (lane, known, work) = self.decide(tx)?;
        // Whatever the answer is, it does not arrive.
        let _ = self.durable.commit_after(lane, Some(known), &work);
        Some(CommitError::Unknown("the answer was lost".to_owned()))
    }

    /// Never happened, and the answer is lost: [`Faulty::resolve`] it. `None`: not in flight.
    pub fn abort_lose_answer(&mut self, tx: TxId) -> Option<CommitError> {
        self.decide(tx)?;
        Some(CommitError::Unknown("the connection was lost".to_owned()))
    }

    /// Reads the lane row again: says what became of a transaction whose answer was lost, and ends it.
    /// `None`: there is nothing to resolve.
    pub fn resolve(&mut self, tx: TxId) -> Option<Resolved> {
        let Tx { lane, known, .. } = *self.open.get(&tx).filter(|t| t.work.is_none())?;
        self.open.remove(&tx);
        Some(self.durable.resolve(lane, known))
    }

    /// The process dies (or the store does, which looks the same from here): each transaction in flight, in order,
    /// becomes durable if its bit of `fates` is set (the first one has bit 0) or vanishes; nobody is answered.
    pub fn crash(&mut self, fates: u64) {
        let dying = std::mem::take(&mut self.open);
        self.die(dying, fates);
    }

    /// As [`Faulty::crash`], for one pod of several. The server may notice later than the pod dies: then this comes just
    /// before it is taken over, which waits for it.
    pub fn crash_of(&mut self, incarnation: Incarnation, fates: u64) {
        let (dying, left) =
            std::mem::take(&mut self.open).into_iter().partition(|(_, tx)| tx.owner == Some(incarnation));
        self.open = left;
        self.die(dying, fates);
    }

    fn die(&mut self, dying: BTreeMap<TxId, Tx>, fates: u64) {
        let in_flight = dying.into_values().filter_map(|tx| Some((tx.lane, tx.known, tx.work?)));
        for (n, (lane, known, work)) in in_flight.enumerate() {
            if n < 64 && fates >> n & 1 == 1 {
                let _ = self.durable.commit_after(lane, Some(known), &work);
            }
        }
    }

    fn decide(&mut self, tx: TxId) -> Option<(Lane, Batch, Vec<Work>)> {
        let tx = self.open.get_mut(&tx)?;
        Some((tx.lane, tx.known, tx.work.take()?))
    }
}
