//! One of several pods on a store: `mesh::Member` decides, three threads do.
//!
//! - `beat` beats, on a connection of its own, so that neither a long commit nor a busy loop delays a beat. A loop that hangs
//!   does not deserve one, though: then none is sent, and another pod takes over.
//! - `owners` reads the table and changes it, on another one.
//! - `member` asks `mesh::Member` what is to be done, and passes things between those two and the loop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use warren_mesh::{Did, Input, Member as Membership, PodSeen, Step, Todo, View};
use warren_model::{Epoch, Incarnation, Lane, Path, Shard, Thing};
use warren_store::{Assignment, Claim, Cluster, Join, Moved, PodRow, PodState, PostgresCluster, StoreError, TakeOver};

use crate::clock;
use crate::health::Health;

/// A loop turns once a second at least; one that has not for a TTL, or for so long if that is more, gets no beat.
const HUNG: Duration = Duration::from_secs(3);

/// How a node is one of several.
#[derive(Clone, Debug, Args)]
pub struct MemberArgs {
    /// Our name, in reports and among nodes that share a store: there it is required, and a restarted node keeps it. In
    /// Kubernetes the pod's name
    #[arg(long, env = "WARREN_POD", value_name = "NAME")]
    pod: Option<String>,
    /// A node that shares a store and has not been heard of for so long is taken over by another one, such as 6s.
    /// The same for all nodes of a store
    #[arg(long, env = "WARREN_TTL", value_name = "TIME", default_value = "6s", value_parser = crate::serve::time)]
    ttl: Duration,
}

impl MemberArgs {
    /// Our name in reports.
    pub fn name(&self) -> &str {
        self.pod.as_deref().unwrap_or("pod")
    }

    /// Name and TTL, for a store that is shared.
    ///
    /// # Errors
    /// One sentence.
    pub fn check(&self) -> anyhow::Result<(&str, Duration)> {
        let Some(name) = self.pod.as_deref().filter(|name| !name.is_empty()) else {
            bail!(
                "--pod is missing: nodes that share a store are told apart by it, and a node that is started \
                 again under its name takes over from itself at once"
            );
        };
        if self.ttl < Duration::from_millis(500) || self.ttl > Duration::from_mins(5) {
            bail!("--ttl must be between 500ms and 5m");
        }
        Ok((name, self.ttl))
    }
}

/// What the loop may know of the lease: written by the member, read at each turn.
#[derive(Debug, Default)]
pub struct Tenure {
    /// Until when the pod acts, in milliseconds of the boot-time clock; 0: it does not.
    until: AtomicU64,
    closed: AtomicBool,
}

impl Tenure {
    /// Whether the pod may take the link from another one now.
    pub fn acts(&self, now: Duration) -> bool {
        now < Duration::from_millis(self.until.load(Ordering::Acquire))
    }

    /// Whether somebody else has taken over: then this process must end.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn publish(&self, member: &Membership) {
        let until = member.acts_until().map_or(0, |until| u64::try_from(until.as_millis()).unwrap_or(0));
        self.until.store(until, Ordering::Release);
        self.closed.store(member.is_closed(), Ordering::Release);
    }
}

/// What the loop is told.
#[derive(Debug)]
pub enum News {
    /// The table, and how many moves had been tried before it was read.
    View(Arc<View>, u64),
    /// These shards are to be moved: they come to rest first.
    Freeze(Vec<Shard>),
    /// A move has been tried, and these things were moved; the next view tells what became of the rest.
    Moved(Vec<Moved>),
    /// Everything was handed over, and this pod has ended for the others.
    HandedOver(Vec<Moved>),
    /// It could not be handed over: others take it when they miss our beats.
    Stranded,
}

/// What the member is told.
#[derive(Debug)]
enum Told {
    /// A beat's outcome.
    Beat(Input),
    /// Outcome of a reading or a step.
    Owners(Input),
    /// A move was tried: these things, of which those were moved.
    Moved(Vec<Thing>, Vec<Moved>),
    HandedOver(Option<Vec<Moved>>),
    Poke,
    Ready(BTreeSet<Incarnation>),
    Refused {
        pod: Incarnation,
        by: Incarnation,
    },
    Frozen(Vec<Shard>),
    HandOver,
    Stop,
}

/// What the `owners` thread is to do.
enum Job {
    Read,
    Do(Step),
    Move(Vec<Claim>),
    HandOver(Vec<(Thing, Incarnation)>),
}

/// The loop's end of the member.
#[derive(Clone, Debug)]
pub struct Handle(Sender<Told>);

impl Handle {
    /// Somebody knows a later ownership than the table that we know: it is read now.
    pub fn poke(&self) {
        self.tell(Told::Poke);
    }

    /// The pods to which there are sessions.
    pub fn ready(&self, pods: BTreeSet<Incarnation>) {
        self.tell(Told::Ready(pods));
    }

    /// A session with that pod was lost, and its address refuses: as `by` says.
    pub fn refused(&self, pod: Incarnation, by: Incarnation) {
        self.tell(Told::Refused { pod, by });
    }

    /// These shards are at rest.
    pub fn frozen(&self, shards: Vec<Shard>) {
        self.tell(Told::Frozen(shards));
    }

    /// Everything is at rest: others get it, and this pod ends.
    pub fn hand_over(&self) {
        self.tell(Told::HandOver);
    }

    fn tell(&self, told: Told) {
        // Nobody listens any more only when we are closed, which the loop sees.
        drop(self.0.send(told));
    }
}

/// How a pod enters.
#[derive(Clone, Debug)]
pub struct Entry {
    /// This start of it.
    pub me: Incarnation,
    /// Its name.
    pub name: String,
    /// Where other pods reach it.
    pub address: String,
    /// The time after which it is taken over.
    pub ttl: Duration,
    /// The links that must have an owner.
    pub links: Vec<Path>,
}

/// The threads.
#[derive(Debug)]
pub struct Member {
    tenure: Arc<Tenure>,
    handle: Handle,
    threads: Vec<JoinHandle<()>>,
}

impl Member {
    /// Enters the cluster and beats from then on. `beats` and `owners` are two connections. Gives the lane that the pod
    /// writes, and what the loop is told.
    ///
    /// # Errors
    /// One sentence, when the store does not let us in.
    pub fn start(
        (mut beats, owners): (PostgresCluster, PostgresCluster),
        entry: &Entry,
        health: Arc<Health>,
    ) -> anyhow::Result<(Self, Lane, UnboundedReceiver<News>)> {
        let Entry { me, ttl, .. } = *entry;
        let (name, address) = (entry.name.as_str().into(), entry.address.as_str().into());
        let joined = beats.join(&Join { name, incarnation: me, address, lanes: 1 })?;
        if !joined.closed.is_empty() {
            tracing::warn!(name = entry.name, "a process with our name was still entered: it has been closed");
        }
        let lane = joined.lanes.first().context("the store has given no lane")?.lane;
        let (tell, told) = mpsc::channel();
        let (news, hears) = unbounded_channel();
        let (beat, beaten) = mpsc::channel();
        let (job, jobs) = mpsc::channel();
        let tenure = Arc::new(Tenure::default());
        let coordinator = Coordinator {
            member: Membership::new(me, ttl, entry.links.clone()),
            told,
            beat,
            job,
            news,
            tenure: tenure.clone(),
            moves: BTreeMap::new(),
        };
        let handle = Handle(tell.clone());
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| thread::Builder::new().name(name.to_owned()).spawn(run);
        let mut beater = Beater { cluster: beats, me, ttl, health, tell: tell.clone() };
        let mut keeper = Keeper { cluster: owners, me, tell };
        let threads = vec![
            spawn("beat", Box::new(move || beaten.iter().for_each(|()| beater.beat())))?,
            spawn("owners", Box::new(move || jobs.iter().for_each(|job| keeper.work(job))))?,
            spawn("member", Box::new(move || coordinator.run()))?,
        ];
        Ok((Self { tenure, handle, threads }, lane, hears))
    }

    /// What the loop may know.
    pub fn tenure(&self) -> Arc<Tenure> {
        self.tenure.clone()
    }

    /// The loop's end.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Leaves the cluster, if that has not happened: what we had is free for others at once. After the writer has stopped.
    /// Blocks.
    pub fn leave(self) {
        self.handle.tell(Told::Stop);
        for thread in self.threads {
            // A thread that died of a panic has beaten no more, which comes to the same a TTL later.
            drop(thread.join());
        }
    }
}

/// The thread that asks `mesh::Member`.
struct Coordinator {
    member: Membership,
    told: Receiver<Told>,
    beat: Sender<()>,
    job: Sender<Job>,
    news: UnboundedSender<News>,
    tenure: Arc<Tenure>,
    /// Our things that are to be moved: to whom, and the epoch that was seen.
    moves: BTreeMap<Thing, (Incarnation, Epoch)>,
}

impl Coordinator {
    fn run(mut self) {
        let mut leaving = false;
        loop {
            while let Some(todo) = self.member.poll(clock::boot()) {
                self.tenure.publish(&self.member);
                self.carry_out(todo);
            }
            self.tenure.publish(&self.member);
            if self.member.is_closed() {
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
struct Beater {
    cluster: PostgresCluster,
    me: Incarnation,
    ttl: Duration,
    health: Arc<Health>,
    tell: Sender<Told>,
}

impl Beater {
    fn beat(&mut self) {
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
struct Keeper {
    cluster: PostgresCluster,
    me: Incarnation,
    tell: Sender<Told>,
}

impl Keeper {
    fn work(&mut self, job: Job) {
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
