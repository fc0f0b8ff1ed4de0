//! Several pods on the model: every verb at once, since nothing here is ever half done.

use std::sync::Arc;

use warren_model::ids::SHARDS;
use warren_model::{Batch, Epoch, Shard, UnixMs};

use super::{Model, raised};
use crate::types::lane_after;
use crate::{
    Assignment, Claim, Closed, Cluster, Incarnation, Join, Joined, LaneRow, LinkRow, Moved, Ownership, PodRow,
    PodState, ShardRow, StoreError, TakeOver, Thing, View,
};

/// Several pods.
impl Model {
    /// As [`Cluster::join`].
    pub fn join(&mut self, join: &Join) -> Result<Joined, StoreError> {
        let own = |lane: &LaneRow| Ownership { epoch: lane.epoch, lane: lane.lane, batch: lane.batch };
        if let Some(pod) = self.pods.get(&join.incarnation) {
            if pod.state != PodState::Open {
                return Err(StoreError::Failed(format!("incarnation {} has been closed", join.incarnation)));
            }
            let lanes = self.lanes.values().filter(|lane| lane.open && lane.incarnation == join.incarnation);
            return Ok(Joined { lanes: lanes.map(own).collect(), closed: Vec::new() });
        }
        let before = self.pods.values().filter(|pod| pod.name == join.name && pod.state == PodState::Open);
        let closed: Vec<Incarnation> = before.map(|pod| pod.incarnation).collect();
        for pod in &closed {
            self.close(*pod, PodState::Closed { by: join.incarnation });
        }
        // Of a pod that had the whole store.
        let pods = &self.pods;
        for lane in self.lanes.values_mut().filter(|lane| !pods.contains_key(&lane.incarnation)) {
            lane.open = false;
        }
        let lanes = (0..join.lanes).map(|_| {
            self.last_lane = lane_after(self.last_lane.0, join.incarnation);
            let (lane, epoch, batch) = (self.last_lane, Epoch(0), Batch(0));
            self.lanes.insert(lane, LaneRow { lane, incarnation: join.incarnation, epoch, batch, open: true });
            Ownership { epoch, lane, batch }
        });
        let lanes = lanes.collect();
        let row = PodRow {
            incarnation: join.incarnation,
            name: join.name.clone(),
            address: join.address.clone(),
            beat: 0,
            state: PodState::Open,
        };
        self.pods.insert(join.incarnation, row);
        Ok(Joined { lanes, closed })
    }

    /// As [`Cluster::beat`].
    pub fn beat(&mut self, incarnation: Incarnation) -> bool {
        let pod = self.pods.get_mut(&incarnation).filter(|pod| pod.state == PodState::Open);
        pod.map(|pod| pod.beat += 1).is_some()
    }

    /// As [`Cluster::pods`].
    pub fn pods(&self) -> Vec<PodRow> {
        self.pods.values().cloned().collect()
    }

    /// As [`Cluster::view`].
    pub fn view(&self) -> View {
        let shards = (0..SHARDS).map(Shard).map(|shard| {
            let (owner, epoch) = self.owned.get(&Thing::Shard(shard)).copied().unwrap_or_default();
            ShardRow { shard, owner, epoch }
        });
        let links = self.owned.iter().filter_map(|(thing, (owner, epoch))| match thing {
            Thing::Shard(_) => None,
            Thing::Link(link) => Some(LinkRow { link: link.clone(), owner: *owner, epoch: *epoch }),
        });
        View { pods: self.pods(), shards: shards.collect(), links: links.collect() }
    }

    /// As [`Cluster::take_over_pod`].
    pub fn take_over_pod(
        &mut self,
        dead: Incarnation,
        seen: Option<u64>,
        by: Incarnation,
        assign: &[Assignment],
        now: UnixMs,
    ) -> Result<TakeOver, Closed> {
        self.is_open(by).then_some(()).ok_or(Closed)?;
        let (state, beat) = self.pods.get(&dead).map_or((PodState::Gone, 0), |pod| (pod.state, pod.beat));
        if state == PodState::Open && seen.is_some_and(|seen| seen != beat) {
            return Ok(TakeOver::Alive);
        }
        let owns = self.owned.values().any(|(owner, _)| *owner == Some(dead));
        if state != PodState::Open && !owns {
            let by = if let PodState::Closed { by } = state { Some(by) } else { None };
            return Ok(TakeOver::Already { by });
        }
        if state == PodState::Open {
            self.close(dead, PodState::Closed { by });
        }
        Ok(TakeOver::Done(self.give_away(dead, assign, now)))
    }

    /// As [`Cluster::claim`].
    pub fn claim(&mut self, by: Incarnation, claims: &[Claim], now: UnixMs) -> Result<Vec<Moved>, Closed> {
        self.is_open(by).then_some(()).ok_or(Closed)?;
        let mut moved = Vec::new();
        for Claim { assignment, seen } in claims {
            let (owner, epoch) = self.owned.get(&assignment.thing).copied().unwrap_or_default();
            if epoch == *seen && !owner.is_some_and(|owner| self.is_open(owner)) && self.is_open(assignment.to) {
                moved.push(self.give(assignment, now));
            }
        }
        Ok(moved)
    }

    /// As [`Cluster::move_things`].
    pub fn move_things(&mut self, from: Incarnation, moves: &[Claim], now: UnixMs) -> Vec<Moved> {
        let mut moved = Vec::new();
        for Claim { assignment, seen } in moves {
            let there = self.owned.get(&assignment.thing) == Some(&(Some(from), *seen));
            if there && self.is_open(from) && self.is_open(assignment.to) {
                moved.push(self.give(assignment, now));
            }
        }
        moved
    }

    /// As [`Cluster::hand_over`].
    pub fn hand_over(&mut self, me: Incarnation, assign: &[Assignment], now: UnixMs) -> Result<Vec<Moved>, Closed> {
        self.is_open(me).then_some(()).ok_or(Closed)?;
        self.close(me, PodState::Gone);
        Ok(self.give_away(me, assign, now))
    }

    /// As [`Cluster::goodbye`].
    pub fn goodbye(&mut self, incarnation: Incarnation) -> bool {
        let open = self.is_open(incarnation);
        if open {
            self.close(incarnation, PodState::Gone);
            self.release(incarnation);
        }
        open
    }

    /// As [`Cluster::forget`].
    pub fn forget(&mut self, incarnation: Incarnation) -> bool {
        let owns = self.owned.values().any(|(owner, _)| *owner == Some(incarnation));
        let writes = self.lanes.values().any(|lane| lane.incarnation == incarnation);
        if owns || writes || self.is_open(incarnation) || self.pods.remove(&incarnation).is_none() {
            return false;
        }
        for room in self.rooms.values_mut().filter(|room| room.routed.contains_key(&incarnation)) {
            Arc::make_mut(room).routed.remove(&incarnation);
        }
        true
    }

    fn is_open(&self, incarnation: Incarnation) -> bool {
        self.pods.get(&incarnation).is_some_and(|pod| pod.state == PodState::Open)
    }

    fn close(&mut self, incarnation: Incarnation, state: PodState) {
        for lane in self.lanes.values_mut().filter(|lane| lane.incarnation == incarnation) {
            lane.open = false;
        }
        if let Some(pod) = self.pods.get_mut(&incarnation) {
            pod.state = state;
        }
    }

    /// Gives what a pod owned that is closed now to others.
    fn give_away(&mut self, from: Incarnation, assign: &[Assignment], now: UnixMs) -> Vec<Moved> {
        let mut moved = Vec::new();
        for assignment in assign {
            let its = self.owned.get(&assignment.thing).is_some_and(|(owner, _)| *owner == Some(from));
            if its && self.is_open(assignment.to) {
                moved.push(self.give(assignment, now));
            }
        }
        self.release(from);
        moved
    }

    /// What is left belongs to nobody.
    fn release(&mut self, incarnation: Incarnation) {
        for (owner, _) in self.owned.values_mut().filter(|(owner, _)| *owner == Some(incarnation)) {
            *owner = None;
        }
    }

    fn give(&mut self, assignment: &Assignment, now: UnixMs) -> Moved {
        let floor = self.epoch;
        let (owner, epoch) = self.owned.entry(assignment.thing.clone()).or_default();
        // Also above what a single pod decided under when it had the whole store.
        *epoch = raised((*epoch).max(floor), now);
        *owner = Some(assignment.to);
        Moved { assignment: assignment.clone(), epoch: *epoch }
    }
}

/// The verbs of a cluster, by the methods of the same name; `$model` is how a model is reached.
macro_rules! cluster {
    ($type:ty, |$self:ident| $model:expr) => {
        impl Cluster for $type {
            fn join(&mut $self, join: &Join) -> Result<Joined, StoreError> {
                Model::join(&mut $model, join)
            }
            fn beat(&mut $self, incarnation: Incarnation) -> Result<bool, StoreError> {
                Ok(Model::beat(&mut $model, incarnation))
            }
            fn pods(&mut $self) -> Result<Vec<PodRow>, StoreError> {
                Ok(Model::pods(&$model))
            }
            fn view(&mut $self) -> Result<View, StoreError> {
                Ok(Model::view(&$model))
            }
            fn take_over_pod(
                &mut $self,
                dead: Incarnation,
                seen: Option<u64>,
                by: Incarnation,
                assign: &[Assignment],
                now: UnixMs,
            ) -> Result<Result<TakeOver, Closed>, StoreError> {
                Ok(Model::take_over_pod(&mut $model, dead, seen, by, assign, now))
            }
            fn claim(
                &mut $self,
                by: Incarnation,
                claims: &[Claim],
                now: UnixMs,
            ) -> Result<Result<Vec<Moved>, Closed>, StoreError> {
                Ok(Model::claim(&mut $model, by, claims, now))
            }
            fn move_things(
                &mut $self,
                from: Incarnation,
                moves: &[Claim],
                now: UnixMs,
            ) -> Result<Vec<Moved>, StoreError> {
                Ok(Model::move_things(&mut $model, from, moves, now))
            }
            fn hand_over(
                &mut $self,
                me: Incarnation,
                assign: &[Assignment],
                now: UnixMs,
            ) -> Result<Result<Vec<Moved>, Closed>, StoreError> {
                Ok(Model::hand_over(&mut $model, me, assign, now))
            }
            fn goodbye(&mut $self, incarnation: Incarnation) -> Result<bool, StoreError> {
                Ok(Model::goodbye(&mut $model, incarnation))
            }
            fn forget(&mut $self, incarnation: Incarnation) -> Result<bool, StoreError> {
                Ok(Model::forget(&mut $model, incarnation))
            }
        }
    };
}

cluster!(Model, |self| *self);
cluster!(crate::Memory, |self| *self.model());
