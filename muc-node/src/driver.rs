//! The loop: one thread that owns the pod, hands it what comes, and carries out what it asks for.
//!
//! A turn takes everything that is ready (answers of the store, calls, bytes from the link, deadlines) and only then
//! writes, so that what belongs together leaves together. The only place where it waits is [`Driver::wait`]; between
//! two turns it may be left alone at any time.

mod carry;
mod tend;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use warren_control::grpc::Page;
use warren_model::{Now, ServiceConfig};

use crate::clock;
use crate::cluster::{Cluster, Heard};
use crate::control::{Call, Calls};
use crate::flow::Flow;
use crate::health::Health;
use crate::link::Link;
use crate::metrics::Metrics;
use crate::store::{Answer, Died, Store};
use warren_pod::{Input, Outcome, Pod, Request};

/// Metrics are brought up to date so often.
const METRICS: Duration = Duration::from_secs(1);

pub use tend::Links;

/// Why the loop cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// See [`Request::Dead`].
    #[error(
        "another process has taken the store over, so this one has stopped before it could do harm: let only one node \
         run on a store"
    )]
    Dead,
    /// See [`crate::member::Tenure::is_closed`].
    #[error(
        "another node has taken over, since this one was not heard of for too long or its name was used again; started \
         again it gets its share of the rooms"
    )]
    Closed,
    /// See [`Died`].
    #[error(transparent)]
    Writer(#[from] Died),
    /// Both ends of a channel are ours, so this is a mistake in the program.
    #[error("the threads of the store have ended")]
    Readers,
}

/// The loop and what it owns.
pub struct Driver {
    pod: Pod,
    store: Store,
    answers: UnboundedReceiver<Answer>,
    calls: Calls,
    /// Calls that wait for an answer, by number.
    called: BTreeMap<u64, oneshot::Sender<Outcome>>,
    /// Questions that do, each with whether there are more objects.
    asked: BTreeMap<u64, (bool, oneshot::Sender<Page>)>,
    /// Something was applied since the link was looked at.
    applied: bool,
    next_call: u64,
    link: Option<Link>,
    /// How links are made, once one is wanted.
    links: Option<Links>,
    /// Of what the link was made.
    linked: Option<ServiceConfig>,
    flow: Flow,
    /// The other pods, where there are any.
    cluster: Option<Cluster>,
    /// The link is not read while the pod comes to rest.
    resting: bool,
    /// What the last wait has brought.
    answer: Option<Answer>,
    call: Option<Call>,
    heard: Option<Heard>,
    requests: Vec<Request>,
    health: Arc<Health>,
    metrics: Metrics,
    metrics_at: Duration,
}

impl Driver {
    /// A loop without a link. `requests`: what [`Pod::new`] asked for.
    ///
    /// # Errors
    /// When the store has stopped.
    pub fn new(
        pod: Pod,
        requests: Vec<Request>,
        store: (Store, UnboundedReceiver<Answer>),
        calls: Calls,
        health: Arc<Health>,
        metrics: Metrics,
    ) -> Result<Self, Fatal> {
        let (store, answers) = store;
        let mut driver = Self {
            pod,
            store,
            answers,
            calls,
            called: BTreeMap::new(),
            asked: BTreeMap::new(),
            applied: false,
            next_call: 0,
            link: None,
            links: None,
            linked: None,
            flow: Flow::default(),
            cluster: None,
            resting: false,
            answer: None,
            call: None,
            heard: None,
            requests,
            health,
            metrics,
            metrics_at: Duration::ZERO,
        };
        driver.carry_out()?;
        Ok(driver)
    }

    /// There are other pods.
    pub fn join(&mut self, cluster: Option<Cluster>) {
        self.cluster = cluster;
    }

    /// The other pods, if there are any.
    pub(crate) fn cluster(&mut self) -> Option<&mut Cluster> {
        self.cluster.as_mut()
    }

    /// The other pods are left.
    pub fn leave(&mut self) -> Option<Cluster> {
        self.cluster.take()
    }

    /// Gets everything to rest; then it is handed over to other pods.
    pub(crate) fn drain(&mut self) -> Result<(), Fatal> {
        self.handle(Input::Drain, clock::now())
    }

    /// This call is the first to be answered.
    pub fn first(&mut self, call: Option<Call>) {
        self.call = call;
    }

    /// Turns until something is wrong. May be dropped at any time and called again.
    ///
    /// # Errors
    /// Always: it ends in no other way.
    pub async fn run(&mut self) -> Result<std::convert::Infallible, Fatal> {
        loop {
            self.turn()?;
            self.wait(None).await?;
        }
    }

    /// Turns while `go_on` says so, but no longer than for `most`.
    pub(crate) async fn run_while(&mut self, most: Duration, go_on: impl Fn(&Self) -> bool) -> Result<(), Fatal> {
        let until = clock::boot() + most;
        self.turn()?;
        while go_on(self) && clock::boot() < until {
            self.wait(Some(until)).await?;
            self.turn()?;
        }
        Ok(())
    }

    /// The pod.
    pub(crate) fn pod(&self) -> &Pod {
        &self.pod
    }

    /// The link, if there is to be one.
    pub(crate) fn link(&mut self) -> Option<&mut Link> {
        self.link.as_mut()
    }

    /// Whether the link has nothing to write, or nowhere to.
    pub(crate) fn is_flushed(&self) -> bool {
        self.link.as_ref().is_none_or(|link| !link.is_online() || !(self.pod.ready() || link.has_output()))
    }

    /// Whether the link is gone for good.
    pub(crate) fn is_off(&self) -> bool {
        self.link.as_ref().is_none_or(Link::is_off)
    }

    /// Whether others have everything that was ours.
    pub(crate) fn is_handed_over(&self) -> bool {
        self.cluster.as_ref().is_none_or(Cluster::is_over)
    }

    /// Whether everything that came is durable. What nothing waits for (watermarks, lazy rows) may still be on its way:
    /// [`Driver::stop`] waits for the writer.
    pub(crate) fn is_durable(&self) -> bool {
        self.pod.uncommitted_bytes() == 0
    }

    /// Has the store told of what would wait for a better moment: there will be none.
    pub(crate) fn write_down(&mut self) -> Result<(), Fatal> {
        self.handle(Input::Flush, clock::now())
    }

    /// Whether the link is left unread whatever happens.
    pub(crate) fn rest(&mut self, resting: bool) {
        self.resting = resting;
    }

    /// Ends the threads of the store when they have done what they were given. Blocks.
    pub fn stop(self) {
        self.store.stop();
    }

    /// When there is something to do though nothing comes.
    fn deadline(&self, reading: bool, until: Option<Duration>) -> Duration {
        let link = self.link.as_ref().and_then(|link| link.next_deadline(reading));
        let stalled = self.stalled_at().filter(|_| !reading && !self.resting);
        let all = [Some(self.metrics_at), self.pod.next_deadline(), link, stalled, until];
        all.into_iter().flatten().min().unwrap_or(self.metrics_at)
    }

    /// Waits until there is something to do, at the latest at `until`.
    async fn wait(&mut self, until: Option<Duration>) -> Result<(), Fatal> {
        let now = clock::boot();
        let reading = self.allowance(now) > 0;
        let due = self.deadline(reading, until).saturating_sub(now);
        // A turn writes only so much; the rest is the next one's.
        let more = self.pod.ready() && self.link.as_ref().is_some_and(Link::takes_output);
        if more || due.is_zero() {
            // Only what is ready now, without a timer; and others get their turn.
            tokio::task::yield_now().await;
            return Ok(());
        }
        let link = async {
            match &mut self.link {
                Some(link) => link.wait(reading).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            answer = self.answers.recv() => self.answer = Some(answer.ok_or(Fatal::Readers)?),
            () = link => {}
            Some(call) = self.calls.recv() => self.call = Some(call),
            heard = hear(self.cluster.as_mut()) => self.heard = Some(heard),
            () = sleep_until(Instant::now() + due) => {}
        }
        Ok(())
    }

    /// Does everything that is ready, then writes.
    fn turn(&mut self) -> Result<(), Fatal> {
        let now = clock::now();
        self.health.turned(now.mono);
        if self.cluster.as_ref().is_some_and(Cluster::is_closed) {
            return Err(Fatal::Closed);
        }
        while let Some(answer) = self.answer.take().or_else(|| self.answers.try_recv().ok()) {
            match answer {
                Answer::Written(completions) => self.handle(Input::Store(completions), now)?,
                Answer::Loaded(room, rows) => self.handle(Input::Loaded(room, *rows), now)?,
                Answer::Page(room, read, rows) => self.handle(Input::Page(room, read, rows), now)?,
                Answer::Backlog(backlog) => self.handle(Input::Backlog(*backlog), now)?,
                Answer::Objects(objects) => self.handle(Input::Objects(objects), now)?,
                Answer::Occupied(rooms) => self.handle(Input::Occupied(rooms), now)?,
            }
        }
        while let Some(heard) = self.heard.take().or_else(|| self.cluster.as_mut()?.heard()) {
            if let Some(cluster) = &mut self.cluster {
                for input in cluster.hear(heard) {
                    let table = matches!(input, Input::View(_) | Input::Moved(_));
                    self.handle(input, now)?;
                    if table {
                        self.health.owns(self.pod.shards());
                    }
                }
            }
        }
        while let Some(call) = self.call.take().or_else(|| self.calls.try_recv().ok()) {
            self.called(call, now)?;
        }
        if std::mem::take(&mut self.applied) {
            self.relink(now)?;
        }
        self.tend_link(now)?;
        if self.pod.next_deadline().is_some_and(|at| at <= now.mono) {
            self.handle(Input::Tick, now)?;
        }
        let given = self.store.hand_over();
        self.given(given)?;
        if let Some(cluster) = &mut self.cluster {
            cluster.flush();
            if !self.pod.has_link() {
                self.health.link(self.pod.is_attached());
            }
        }
        if let Some(link) = &mut self.link {
            let written = link.flush(&mut self.pod, now);
            self.flow.written(written);
        }
        self.flow.sample(self.load(now.mono));
        if self.metrics_at <= now.mono {
            self.metrics_at = now.mono + METRICS;
            self.metrics.update(&self.pod, self.link.as_ref(), &self.store);
            self.health.owns(self.pod.shards());
        }
        Ok(())
    }

    fn handle(&mut self, input: Input, now: Now) -> Result<(), Fatal> {
        self.pod.handle(input, now, &mut self.requests);
        self.carry_out()
    }
}

/// What other pods say, or nothing for ever.
async fn hear(cluster: Option<&mut Cluster>) -> Heard {
    match cluster {
        Some(cluster) => cluster.wait().await,
        None => std::future::pending().await,
    }
}
