//! Who leads. A Lease, judged as careful clients do it: never by another host's clock, only by how long *we* have seen
//! it unchanged.
//!
//! What this does not protect from: a process that is frozen between its check and its write. Pods refuse a lower
//! generation, and statuses are derived anew by the next leader, so the worst is one stale status for a moment.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::metrics::Metrics;

/// A Lease that nobody has renewed for so long may be taken.
pub const DURATION: Duration = Duration::from_secs(15);
/// A holder that has not renewed for so long stops: before anybody may take the Lease.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// Renewals, and looks of those who wait.
pub const RETRY: Duration = Duration::from_secs(2);

/// Until when we lead. Checked before every write.
#[derive(Clone, Debug)]
pub struct Leadership(watch::Receiver<Option<Instant>>);

impl Leadership {
    /// Whether we lead now.
    pub fn holds(&self) -> bool {
        self.0.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Waits until we lead.
    pub async fn gained(&mut self) {
        // The sender lives as long as the election.
        let _ = self.0.wait_for(Option::is_some).await;
    }

    /// Waits until we do not lead any more.
    pub async fn lost(&mut self) {
        loop {
            let until = *self.0.borrow_and_update();
            match until {
                Some(until) if Instant::now() < until => {
                    tokio::select! {
                        () = tokio::time::sleep_until(until) => {}
                        changed = self.0.changed() => if changed.is_err() { return },
                    }
                }
                _ => return,
            }
        }
    }

    /// For tests of what is led: always, or never.
    pub fn fixed(leads: bool) -> Self {
        let until = leads.then(|| Instant::now() + Duration::from_hours(24 * 365));
        Self(watch::channel(until).1)
    }
}

/// What we have seen of the Lease, and when we saw it change.
#[derive(Debug, Default)]
struct Observed {
    version: Option<String>,
    since: Option<Instant>,
}

/// What to do about what was seen.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// There is none: make it.
    Create,
    /// It is ours, or free: write ourselves into it.
    Take { again: bool },
    /// Somebody else's.
    Wait,
}

impl Observed {
    /// Pure: `now` is our own monotonic clock.
    fn judge(&mut self, lease: Option<&Lease>, me: &str, now: Instant) -> Step {
        let Some(lease) = lease else {
            *self = Self::default();
            return Step::Create;
        };
        let version = lease.metadata.resource_version.clone();
        if self.since.is_none() || self.version != version {
            (self.version, self.since) = (version, Some(now));
        }
        let holder = lease.spec.as_ref().and_then(|s| s.holder_identity.as_deref()).unwrap_or_default();
        let unchanged = self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        if holder == me {
            Step::Take { again: true }
        } else if holder.is_empty() || unchanged >= DURATION {
            Step::Take { again: false }
        } else {
            Step::Wait
        }
    }
}

/// Stands for election for as long as the process lives.
pub struct Election {
    api: Api<Lease>,
    name: String,
    me: String,
    until: watch::Sender<Option<Instant>>,
    metrics: Metrics,
}

impl Election {
    /// `me` differs between processes: the pod's name and something random.
    pub fn new(client: Client, namespace: &str, name: &str, me: String, metrics: Metrics) -> (Self, Leadership) {
        let (until, leadership) = watch::channel(None);
        let api = Api::namespaced(client, namespace);
        (Self { api, name: name.to_owned(), me, until, metrics }, Leadership(leadership))
    }

    /// Stands for election until dropped.
    pub async fn run(&self) {
        let mut observed = Observed::default();
        loop {
            // What is promised counts from before the request: it may be answered late.
            let sent = Instant::now();
            match timeout(DEADLINE / 2, self.step(&mut observed, sent)).await {
                Ok(Ok(true)) => {
                    let gained = self.until.send_replace(Some(sent + DEADLINE)).is_none();
                    if gained {
                        tracing::info!(me = self.me, "this process leads");
                    }
                }
                Ok(Ok(false)) => drop(self.until.send_if_modified(|until| until.take().is_some())),
                Ok(Err(error)) => tracing::warn!(%error, "the Lease cannot be read or written"),
                Err(_) => tracing::warn!("the API server does not answer about the Lease"),
            }
            let jitter = crate::engine::random();
            sleep(RETRY.mul_f64(0.9 + 0.2 * jitter)).await;
        }
    }

    /// One look; whether we hold it then.
    async fn step(&self, observed: &mut Observed, now: Instant) -> Result<bool, kube::Error> {
        let lease = self.api.get_opt(&self.name).await?;
        let written = match observed.judge(lease.as_ref(), &self.me, now) {
            Step::Wait => return Ok(false),
            Step::Create => {
                let lease = Lease {
                    metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                    spec: Some(self.spec(None, false)),
                };
                self.api.create(&PostParams::default(), &lease).await
            }
            Step::Take { again } => {
                let mut lease = lease.unwrap_or_default();
                lease.spec = Some(self.spec(lease.spec.as_ref(), again));
                // With the version that was read: of two that try, one fails.
                self.api.replace(&self.name, &PostParams::default(), &lease).await
            }
        };
        self.metrics.wrote("lease");
        match written {
            Ok(lease) => {
                (observed.version, observed.since) = (lease.metadata.resource_version, Some(now));
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn spec(&self, before: Option<&LeaseSpec>, again: bool) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let transitions = before.and_then(|s| s.lease_transitions).unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: before.and_then(|s| s.acquire_time.clone()).filter(|_| again).or(Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(if again { transitions } else { transitions + 1 }),
            ..LeaseSpec::default()
        }
    }

    /// Gives the Lease back, so that the next one need not wait. Nothing may be written after this.
    pub async fn release(&self) {
        if self.until.send_replace(None).is_none() {
            return;
        }
        let released = async {
            let Some(mut lease) = self.api.get_opt(&self.name).await? else { return Ok(()) };
            let Some(spec) = &mut lease.spec else { return Ok(()) };
            if spec.holder_identity.as_deref() != Some(&self.me) {
                return Ok(());
            }
            spec.holder_identity = Some(String::new());
            self.api.replace(&self.name, &PostParams::default(), &lease).await.map(drop)
        };
        match timeout(Duration::from_secs(3), released).await {
            Ok(Ok(())) => tracing::info!("the Lease is given back"),
            Ok(Err(error)) => tracing::warn!(%error, "the Lease could not be given back"),
            Err(_) => tracing::warn!("the Lease could not be given back in time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str, version: &str) -> Lease {
        Lease {
            metadata: ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec { holder_identity: Some(holder.to_owned()), ..LeaseSpec::default() }),
        }
    }

    #[test]
    fn a_lease_is_taken_only_after_we_saw_it_unchanged() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut seen = Observed::default();
        assert_eq!(seen.judge(None, "me", at(0)), Step::Create);
        assert_eq!(seen.judge(Some(&lease("other", "1")), "me", at(0)), Step::Wait, "however old its time stamps are");
        assert_eq!(seen.judge(Some(&lease("other", "1")), "me", at(14)), Step::Wait);
        assert_eq!(seen.judge(Some(&lease("other", "2")), "me", at(15)), Step::Wait, "it was renewed");
        assert_eq!(seen.judge(Some(&lease("other", "2")), "me", at(29)), Step::Wait);
        assert_eq!(seen.judge(Some(&lease("other", "2")), "me", at(30)), Step::Take { again: false });
        assert_eq!(seen.judge(Some(&lease("", "3")), "me", at(31)), Step::Take { again: false }, "given back");
        assert_eq!(seen.judge(Some(&lease("me", "4")), "me", at(32)), Step::Take { again: true });
        assert_eq!(seen.judge(None, "me", at(33)), Step::Create, "deleted by hand");
        assert_eq!(seen.judge(Some(&lease("other", "5")), "me", at(34)), Step::Wait);
    }

    #[test]
    fn a_holder_stops_before_another_may_start() {
        assert!(DEADLINE + RETRY < DURATION);
    }

    #[tokio::test(start_paused = true)]
    async fn leadership_ends_by_itself() {
        let (send, receive) = watch::channel(Some(Instant::now() + DEADLINE));
        let mut leadership = Leadership(receive);
        assert!(leadership.holds());
        let begin = Instant::now();
        leadership.lost().await;
        assert!(!leadership.holds() && begin.elapsed() >= DEADLINE);
        send.send_replace(Some(Instant::now() + DEADLINE));
        leadership.gained().await;
        assert!(leadership.holds());
        send.send_replace(None);
        leadership.lost().await;
    }
}
