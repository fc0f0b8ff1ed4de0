//! A [`Model`] that threads share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jid::BareJid;
use warren_model::{Batch, FmucKeyRow, Lane, LogRow, Object, Path, RoomId, RoomRows, Seq, UnixMs};

use crate::{
    Backend, Backlog, CommitError, Incarnation, LaneRow, Model, Ownership, Reader, Resolved, RoomSummary, StoreError,
    Touched, Window, Work,
};

/// A handle of a store in memory; clones and readers see the same store. Nothing outlives the process.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Model>>);

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of the moment.
    pub fn snapshot(&self) -> Model {
        self.model().clone()
    }

    /// Puts the store back to an earlier state, as a fail-over does that loses the tail.
    pub fn restore(&self, earlier: Model) {
        *self.model() = earlier;
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        // No verb of the model leaves it half done, so a panic elsewhere spoils nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader for Memory {
    fn load_room(&mut self, room: &BareJid, window: Window) -> Result<Option<RoomRows>, StoreError> {
        Ok(self.model().load_room(room, window))
    }
    fn room_jid(&mut self, room: RoomId) -> Result<Option<BareJid>, StoreError> {
        Ok(self.model().room_jid(room))
    }
    fn page(&mut self, room: RoomId, after: Seq, max: usize) -> Result<Vec<LogRow>, StoreError> {
        Ok(self.model().page(room, after, max))
    }
    fn page_back(&mut self, room: RoomId, before: Seq, max: usize) -> Result<Vec<LogRow>, StoreError> {
        Ok(self.model().page_back(room, before, max))
    }
    fn fmuc_keys(&mut self, room: RoomId, origin: &BareJid, id: &str) -> Result<Vec<FmucKeyRow>, StoreError> {
        Ok(self.model().fmuc_keys(room, origin, id))
    }
    fn touched(&mut self, lane: Lane, after: Batch) -> Result<Vec<Touched>, StoreError> {
        Ok(self.model().touched(lane, after))
    }
    fn lanes(&mut self) -> Result<Vec<LaneRow>, StoreError> {
        Ok(self.model().lanes())
    }
    fn watermarks(&mut self) -> Result<Vec<(Lane, Path, Batch)>, StoreError> {
        Ok(self.model().watermarks())
    }
    fn backlog(&mut self) -> Result<Backlog, StoreError> {
        Ok(self.model().backlog())
    }
    fn rooms_with_occupants(&mut self, path: Option<&Path>) -> Result<Vec<BareJid>, StoreError> {
        Ok(self.model().rooms_with_occupants(path))
    }
    fn rooms(&mut self, domain: &str, after: Option<&BareJid>, max: usize) -> Result<Vec<RoomSummary>, StoreError> {
        Ok(self.model().rooms(domain, after, max))
    }
    fn objects(&mut self) -> Result<Vec<Object>, StoreError> {
        Ok(self.model().objects())
    }
}

impl Backend for Memory {
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(self.clone()))
    }
    fn take_over(&mut self, incarnation: Incarnation, now: UnixMs) -> Result<Ownership, StoreError> {
        Ok(self.model().take_over(incarnation, now))
    }
    fn commit_after(&mut self, lane: Lane, known: Option<Batch>, work: &[Work]) -> Result<Batch, CommitError> {
        self.model().commit_after(lane, known, work)
    }
    fn resolve(&mut self, lane: Lane, known: Batch) -> Result<Resolved, StoreError> {
        Ok(self.model().resolve(lane, known))
    }
    fn trim_batches(&mut self, lane: Lane, awaited: &[Path]) -> Result<u64, CommitError> {
        self.model().trim_batches(lane, awaited)
    }
    fn trim_log(&mut self, lane: Lane, room: RoomId, through: Seq, max: usize) -> Result<u64, CommitError> {
        self.model().trim_log(lane, room, through, max)
    }
}
