//! What the pod asks for is carried out; calls are passed on to it.

use warren_control::Applied;
use warren_control::grpc::Page;
use warren_model::Now;
use warren_pod::{Input, Outcome, Request};
use warren_store::Completion;

use super::{Driver, Fatal};
use crate::cluster::Cluster;
use crate::control::Call;
use crate::store::{Answer, Died};

impl Driver {
    pub(super) fn called(&mut self, call: Call, now: Now) -> Result<(), Fatal> {
        let number = self.next_call;
        self.next_call += 1;
        match call {
            Call::Change(change, answer) => {
                self.called.insert(number, answer);
                self.handle(Input::Change { call: number, change }, now)
            }
            Call::Page(after, max, answer) => {
                let behind = self.pod.registry().behind(after.as_ref());
                let mut objects: Vec<_> =
                    behind.take(max.saturating_add(1)).map(|object| object.name.clone()).collect();
                let more = objects.len() > max;
                objects.truncate(max);
                self.asked.insert(number, (more, answer));
                self.handle(Input::Ask { call: number, objects }, now)
            }
        }
    }

    pub(super) fn carry_out(&mut self) -> Result<(), Fatal> {
        let mut given = Ok(());
        for request in self.requests.drain(..) {
            match request {
                Request::Backlog => self.store.backlog_of_all(),
                Request::Objects => self.store.objects(),
                Request::Occupied => self.store.occupied(),
                Request::Reports { call, reports } => {
                    if let Some((more, answer)) = self.asked.remove(&call) {
                        drop(answer.send(Page { objects: reports, more }));
                    }
                }
                Request::Link(_) => self.applied = true,
                request @ (Request::Frame(..)
                | Request::View
                | Request::Frozen(_)
                | Request::Drained
                | Request::Suspect { .. }) => {
                    if let Some(cluster) = &mut self.cluster {
                        cluster.carry_out(request);
                    }
                }
                Request::Write(work) => self.store.write(work),
                Request::Load(room) => self.store.load(room),
                Request::Page { room, read, after, max } => self.store.page(room, read, after, max),
                Request::Trim(awaited) => given = given.and(self.store.trim(awaited)),
                Request::Answer { call, outcome } => {
                    self.applied |= matches!(outcome, Outcome::Done(Applied::New | Applied::Changed));
                    if let Some(answer) = self.called.remove(&call) {
                        drop(answer.send(outcome));
                    }
                }
                // Where there are others, that is how they take over; the beats may not have heard of it yet.
                // What we had is others' by now, as we wanted.
                Request::Dead if self.cluster.as_ref().is_some_and(Cluster::is_ending) => {}
                Request::Dead if self.cluster.is_some() => return Err(Fatal::Closed),
                Request::Dead => return Err(Fatal::Dead),
            }
        }
        self.given(given)
    }

    /// A writer that was fenced has said so before it ended; that may not have been looked at yet.
    pub(super) fn given(&mut self, given: Result<(), Died>) -> Result<(), Fatal> {
        let Err(died) = given else { return Ok(()) };
        if self.cluster.as_ref().is_some_and(Cluster::is_ending) {
            // What we had is others' by now, as we wanted.
            return Ok(());
        }
        while let Some(answer) = self.answer.take().or_else(|| self.answers.try_recv().ok()) {
            if matches!(&answer, Answer::Written(completions) if completions.contains(&Completion::Fenced)) {
                return Err(if self.cluster.is_some() { Fatal::Closed } else { Fatal::Dead });
            }
        }
        Err(died.into())
    }
}
