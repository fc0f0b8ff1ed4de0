//! The threads of a member: the one that asks, the one that beats, the one that reads and changes the table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use warren_mesh::{Did, Input, Member as Membership, PodSeen, Step, Todo, View};
use warren_model::{Epoch, Incarnation, Shard, Thing};
use warren_store::{Assignment, Claim, Cluster, Moved, PodRow, PodState, PostgresCluster, StoreError, TakeOver};

use super::{News, Tenure, Told};
use crate::clock;
use crate::health::Health;

/// A loop turns once a second at least; one that has not for a TTL, or for so long if that is more, gets no beat.
const HUNG: Duration = Duration::from_secs(3);
/// The answer to a handover comes when the connection gives up, at the latest.
const HANDED_OVER: Duration = Duration::from_secs(10);

/// What the `owners` thread is to do.
pub(super) enum Job {
    Read,
    Do(Step),
    Move(Vec<Claim>),
    HandOver(Vec<(Thing, Incarnation)>),
}

/// The thread that asks `mesh::Member`.
pub(super) struct Coordinator {
    pub(super) member: Membership,
    pub(super) told: Receiver<Told>,
    pub(super) beat: Sender<()>,
    pub(super) job: Sender<Job>,
    pub(super) news: UnboundedSender<News>,
    pub(super) tenure: Arc<Tenure>,
    /// Our things that are to be moved: to whom, and the epoch that was seen.
    pub(super) moves: BTreeMap<Thing, (Incarnation, Epoch)>,
}

impl Coordinator {
    pub(super) fn run(mut self) {
        let mut leaving = false;
        loop {
            while let Some(todo) = self.member.poll(clock::boot()) {
                self.tenure.publish(&self.member);
                self.carry_out(todo);
            }
            self.tenure.publish(&self.member);
            if self.member.is_closed() {
                if leaving {
                    self.await_hand_over();
                }
                return;
            }
            let now = clock::boot();
            let wait = self.member.next_deadline(now).map_or(Duration::from_mins(1), |at| at.saturating_sub(now));
            let told = match self.told.recv_timeout(wait) {
                Ok(told) => told,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match told {
                Told::Beat(input) | Told::Owners(input) => self.hear(input),
                Told::Moved(things, moved) => {
                    drop(self.news.send(News::Moved(moved)));
                    self.hear(Input::Moved(things));
                }
                Told::HandedOver(moved) => {
                    drop(self.news.send(moved.map_or(News::Stranded, News::HandedOver)));
                    // Beating on would find us closed, which is as it should be.
                    return;
                }
                Told::Poke => self.hear(Input::Poke),
                Told::Ready(pods) => self.hear(Input::Ready(pods)),
                Told::Refused { pod, by } => self.hear(Input::Refused { pod, by }),
                Told::Frozen(shards) => self.move_them(shards),
                Told::HandOver if !leaving => {
                    leaving = true;
                    let assign = self.member.handover(clock::boot());
                    self.hear(Input::Leaving);
                    drop(self.job.send(Job::HandOver(assign)));
                }
                Told::HandOver => {}
                // Nothing was handed over: it belongs to nobody then, and whoever sees that first takes it.
                Told::Stop => {
                    leaving = true;
                    self.hear(Input::Leaving);
                    drop(self.job.send(Job::HandOver(Vec::new())));
                }
            }
        }
    }

    /// What we hand over closes us, and a beat may find that before the answer has come that the loop waits for.
    fn await_hand_over(&self) {
        while let Ok(told) = self.told.recv_timeout(HANDED_OVER) {
            if let Told::HandedOver(moved) = told {
                drop(self.news.send(moved.map_or(News::Stranded, News::HandedOver)));
                return;
            }
        }
    }

    fn hear(&mut self, input: Input) {
        self.member.handle(input, clock::boot());
    }

    fn carry_out(&mut self, todo: Todo) {
        // The other threads end only after us, and the loop needs no news when it has ended.
        match todo {
            Todo::Beat => drop(self.beat.send(())),
            Todo::ReadView => drop(self.job.send(Job::Read)),
            Todo::Do(Step::Move(moves)) => {
                let shards = moves.iter().filter_map(|(thing, ..)| match thing {
                    Thing::Shard(shard) => Some(*shard),
                    Thing::Link(_) => None,
                });
                drop(self.news.send(News::Freeze(shards.collect())));
                self.moves.extend(moves.into_iter().map(|(thing, to, seen)| (thing, (to, seen))));
            }
            Todo::Do(step) => drop(self.job.send(Job::Do(step))),
            Todo::Tell { view, moved } => drop(self.news.send(News::View(view, moved))),
            Todo::Closed if self.member.has_lost() => {
                tracing::error!("the store has lost its last commits (a fail-over, a backup): this node starts anew");
            }
            Todo::Closed => {}
        }
    }

    fn move_them(&mut self, shards: Vec<Shard>) {
        let claims: Vec<Claim> = shards
            .into_iter()
            .filter_map(|shard| {
                let thing = Thing::Shard(shard);
                let (to, seen) = self.moves.remove(&thing)?;
                Some(Claim { assignment: Assignment { thing, to }, seen })
            })
            .collect();
        if !claims.is_empty() {
            drop(self.job.send(Job::Move(claims)));
        }
    }
}

/// The thread that beats.
pub(super) struct Beater {
    pub(super) cluster: PostgresCluster,
    pub(super) me: Incarnation,
    pub(super) ttl: Duration,
    pub(super) health: Arc<Health>,
    pub(super) tell: Sender<Told>,
}

impl Beater {
    pub(super) fn beat(&mut self) {
        let sent = clock::boot();
        let input = if self.health.silent().is_some_and(|silent| silent > self.ttl.max(HUNG)) {
            tracing::error!("the loop hangs: no beat");
            Input::BeatFailed
        } else {
            let beaten = self.cluster.beat(self.me).and_then(|alive| Ok((alive, self.cluster.pods()?)));
            match beaten {
                Ok((alive, pods)) => Input::Beaten { sent, alive, pods: pods.into_iter().map(seen).collect() },
                Err(error) => {
                    tracing::warn!(%error, "no beat");
                    Input::BeatFailed
                }
            }
        };
        drop(self.tell.send(Told::Beat(input)));
    }
}

fn seen(row: PodRow) -> PodSeen {
    let PodRow { incarnation, name, address, beat, state } = row;
    PodSeen { incarnation, name, address, beat, open: state == PodState::Open }
}

/// The thread that reads and changes the table.
pub(super) struct Keeper {
    pub(super) cluster: PostgresCluster,
    pub(super) me: Incarnation,
    pub(super) tell: Sender<Told>,
}

impl Keeper {
    pub(super) fn work(&mut self, job: Job) {
        let told = match job {
            Job::Read => Told::Owners(match self.cluster.view() {
                Ok(view) => Input::View(View {
                    pods: view.pods.into_iter().map(seen).collect(),
                    shards: view.shards.into_iter().map(|row| (row.owner, row.epoch)).collect(),
                    links: view.links.into_iter().map(|row| (row.link, (row.owner, row.epoch))).collect(),
                }),
                Err(error) => {
                    tracing::warn!(%error, "the table of owners cannot be read");
                    Input::ViewFailed
                }
            }),
            Job::Do(step) => Told::Owners(Input::Did(self.step(step).unwrap_or_else(|error| {
                tracing::warn!(%error, "ownership cannot be changed: tried again");
                Did::Failed
            }))),
            Job::Move(claims) => {
                let moved = self.cluster.move_things(self.me, &claims, clock::wall()).unwrap_or_else(|error| {
                    tracing::warn!(%error, "a move has failed: tried again");
                    Vec::new()
                });
                tracing::info!(shards = moved.len(), "moved to another node");
                Told::Moved(claims.into_iter().map(|claim| claim.assignment.thing).collect(), moved)
            }
            Job::HandOver(assign) => Told::HandedOver(self.hand_over(assign)),
        };
        drop(self.tell.send(told));
    }

    fn step(&mut self, step: Step) -> Result<Did, StoreError> {
        let now = clock::wall();
        let assignment = |(thing, to): (Thing, Incarnation)| Assignment { thing, to };
        Ok(match step {
            Step::TakeOver { from, beat, assign } => {
                let assign: Vec<_> = assign.into_iter().map(assignment).collect();
                match self.cluster.take_over_pod(from, beat, self.me, &assign, now)? {
                    Ok(TakeOver::Done(moved)) => {
                        tracing::warn!(pod = %from, beat, things = moved.len(), "a node that has died was taken over");
                        Did::Changed
                    }
                    Ok(TakeOver::Alive | TakeOver::Already { .. }) => Did::Nothing,
                    Err(_) => Did::Closed,
                }
            }
            Step::Claim(claims) => {
                let claims: Vec<_> = claims
                    .into_iter()
                    .map(|(thing, to, seen)| Claim { assignment: assignment((thing, to)), seen })
                    .collect();
                match self.cluster.claim(self.me, &claims, now)? {
                    Ok(moved) if moved.is_empty() => Did::Nothing,
                    Ok(_) => Did::Changed,
                    Err(_) => Did::Closed,
                }
            }
            Step::Forget(pod) => {
                let forgotten = self.cluster.forget(pod)?;
                if forgotten {
                    tracing::debug!(%pod, "a node that ended long ago is forgotten");
                }
                if forgotten { Did::Changed } else { Did::Nothing }
            }
            // Those go by `Job::Move`.
            Step::Move(_) => Did::Nothing,
        })
    }

    fn hand_over(&mut self, assign: Vec<(Thing, Incarnation)>) -> Option<Vec<Moved>> {
        let assign: Vec<_> = assign.into_iter().map(|(thing, to)| Assignment { thing, to }).collect();
        match self.cluster.hand_over(self.me, &assign, clock::wall()) {
            Ok(Ok(moved)) => Some(moved),
            // Closed already: there is nothing left to give.
            Ok(Err(_)) => Some(Vec::new()),
            Err(error) => {
                tracing::warn!(%error, "no good-bye: others take over when they miss our beats");
                None
            }
        }
    }
}
