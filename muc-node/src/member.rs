//! One of several pods on a store: `mesh::Member` decides, three threads do.
//!
//! - `beat` beats, on a connection of its own, so that neither a long commit nor a busy loop delays a beat. A loop that hangs
//!   does not deserve one, though: then none is sent, and another pod takes over.
//! - `owners` reads the table and changes it, on another one.
//! - `member` asks `mesh::Member` what is to be done, and passes things between those two and the loop.

mod threads;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use warren_mesh::{Input, Member as Membership, View};
use warren_model::{Incarnation, Lane, Path, Shard, Thing};
use warren_store::{Cluster, Join, Moved, PostgresCluster};

use crate::health::Health;
use threads::{Beater, Coordinator, Keeper};

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
