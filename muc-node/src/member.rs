//! One of several pods on a store: beats, stands by, takes over.
//!
//! A thread with a connection of its own, so that neither a long commit nor a busy loop delays a beat. A loop that
//! hangs does not deserve one, though: then none is sent, and another pod takes over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::sync::oneshot;
use warren_mesh::single::{Known, Step, plan};
use warren_mesh::{Dead, Lease, Observed, Round};
use warren_model::{Epoch, Lane};
use warren_shard::Epochs;
use warren_store::{
    Assignment, Claim, Cluster, Incarnation, Join, PodState, PostgresCluster, StoreError, TakeOver, Thing, View,
};

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

/// What the loop may know of the lease: written by the beats, read at each turn.
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

    fn publish(&self, lease: &Lease) {
        let until = lease.acts_until().map_or(0, |until| u64::try_from(until.as_millis()).unwrap_or(0));
        self.until.store(until, Ordering::Release);
        self.closed.store(lease.is_closed(), Ordering::Release);
    }
}

/// What a pod that has taken over works with.
#[derive(Debug)]
pub struct Owned {
    /// The lane it writes.
    pub lane: Lane,
    /// Ownership of the rooms.
    pub epochs: Epochs,
}

/// The thread that beats.
#[derive(Debug)]
pub struct Member {
    tenure: Arc<Tenure>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Member {
    /// Enters the cluster and beats from then on. The receiver gets what the pod owns, once it does; until then it
    /// stands by.
    ///
    /// # Errors
    /// One sentence, when the store does not let us in.
    pub fn start(
        mut cluster: PostgresCluster,
        me: Incarnation,
        (name, ttl): (&str, Duration),
        health: Arc<Health>,
    ) -> anyhow::Result<(Self, oneshot::Receiver<Owned>)> {
        let join = Join { name: name.into(), incarnation: me, address: Box::default(), lanes: 1 };
        let joined = cluster.join(&join)?;
        if !joined.closed.is_empty() {
            tracing::warn!(name, "a process with our name was still entered: it has been closed");
        }
        let lane = joined.lanes.first().context("the store has given no lane")?.lane;
        let (owned, receiver) = oneshot::channel();
        let (tenure, stop) = (Arc::new(Tenure::default()), Arc::new(AtomicBool::new(false)));
        let beats = Beats {
            cluster,
            me,
            lane,
            lease: Lease::new(me, ttl),
            ttl,
            owned: Some(owned),
            health,
            tenure: tenure.clone(),
            stop: stop.clone(),
        };
        let thread = thread::Builder::new().name("beat".to_owned()).spawn(move || beats.run())?;
        Ok((Self { tenure, stop, thread }, receiver))
    }

    /// What the loop may know.
    pub fn tenure(&self) -> Arc<Tenure> {
        self.tenure.clone()
    }

    /// Leaves the cluster: what we had is free for others at once. After the writer has stopped. Blocks.
    pub fn leave(self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        // A thread that died of a panic has beaten no more, which comes to the same a TTL later.
        drop(self.thread.join());
    }
}

struct Beats {
    cluster: PostgresCluster,
    me: Incarnation,
    lane: Lane,
    lease: Lease,
    ttl: Duration,
    /// Whom to tell that the pod owns everything; `None`: it was told.
    owned: Option<oneshot::Sender<Owned>>,
    health: Arc<Health>,
    tenure: Arc<Tenure>,
    stop: Arc<AtomicBool>,
}

impl Beats {
    fn run(mut self) {
        while !self.stop.load(Ordering::Acquire) {
            let sent = clock::boot();
            let round = self.beat();
            let answered = clock::boot();
            let late = answered.saturating_sub(sent) > self.lease.patience();
            self.lease.round(
                sent,
                answered,
                if late && round != Round::Closed { Round::Failed } else { round.clone() },
            );
            self.tenure.publish(&self.lease);
            if self.lease.is_closed() {
                return;
            }
            if let (Round::Alive(open), false) = (&round, late)
                && let Err(error) = self.act(open)
            {
                tracing::warn!(%error, "ownership cannot be looked at or changed: tried again");
            }
            thread::park_timeout((sent + self.lease.period()).saturating_sub(clock::boot()));
        }
        if let Err(error) = self.cluster.goodbye(self.me) {
            tracing::warn!(%error, "no good-bye: others take over when they miss our beats");
        }
    }

    fn beat(&mut self) -> Round {
        if self.owned.is_none() && self.health.silent().is_some_and(|silent| silent > self.ttl.max(HUNG)) {
            tracing::error!("the loop hangs: no beat");
            return Round::Failed;
        }
        let beaten =
            self.cluster.beat(self.me).and_then(|alive| if alive { self.cluster.pods().map(Some) } else { Ok(None) });
        match beaten {
            Ok(None) => Round::Closed,
            Ok(Some(pods)) => Round::Alive(
                pods.into_iter()
                    .filter(|pod| pod.state == PodState::Open)
                    .map(|pod| Observed { incarnation: pod.incarnation, beat: pod.beat })
                    .collect(),
            ),
            Err(error) => {
                tracing::warn!(%error, "no beat");
                Round::Failed
            }
        }
    }

    /// Takes what should be ours, as far as it is so yet.
    fn act(&mut self, open: &[Observed]) -> Result<(), StoreError> {
        let dead = self.lease.dead();
        // Who has everything has nothing to look for but the dead.
        if self.owned.is_none() && dead.is_empty() {
            return Ok(());
        }
        let open: BTreeSet<Incarnation> = open.iter().map(|pod| pod.incarnation).collect();
        let view = self.cluster.view()?;
        let owners = view.shards.iter().map(|row| row.owner).collect();
        let steps = plan(&Known { me: self.me, open: &open, owners: &owners, dead: &dead });
        let changed = !steps.is_empty();
        for step in steps {
            self.step(step, &view, &dead)?;
        }
        let view = if changed { self.cluster.view()? } else { view };
        if view.shards.iter().all(|row| row.owner == Some(self.me))
            && let Some(owned) = self.owned.take()
        {
            let epochs: Vec<Epoch> = view.shards.iter().map(|row| row.epoch).collect();
            tracing::info!(epoch = %epochs.iter().max().copied().unwrap_or_default(), "all rooms are ours");
            // Nobody listens any more only when the process ends.
            drop(owned.send(Owned { lane: self.lane, epochs: Epochs::each(epochs) }));
        }
        Ok(())
    }

    fn step(&mut self, step: Step, view: &View, dead: &[Dead]) -> Result<(), StoreError> {
        let now = clock::wall();
        let shards = |owner: Option<Incarnation>, to: Incarnation| {
            let of = view.shards.iter().filter(move |row| row.owner == owner);
            of.map(move |row| (Assignment { thing: Thing::Shard(row.shard), to }, row.epoch))
        };
        match step {
            Step::TakeOver { from, heir } => {
                let assign: Vec<_> = shards(Some(from), heir).map(|(assignment, _)| assignment).collect();
                let beat = dead.iter().find(|dead| dead.incarnation == from).map(|dead| dead.beat);
                let done = self.cluster.take_over_pod(from, beat, self.me, &assign, now)?;
                if let Ok(TakeOver::Done(moved)) = done {
                    tracing::warn!(pod = %from, beat, shards = moved.len(), "a pod that has died was taken over");
                }
            }
            Step::Claim => {
                let claims: Vec<_> =
                    shards(None, self.me).map(|(assignment, seen)| Claim { assignment, seen }).collect();
                drop(self.cluster.claim(self.me, &claims, now)?);
            }
        }
        Ok(())
    }
}
