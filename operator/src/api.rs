//! Writes to the API server: only by the leader, each with a deadline, counted, and statuses at a bounded rate.

use std::fmt::Debug;
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::runtime::events::{Event, Recorder, Reporter};
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout};

use crate::NAME;
use crate::lease::Leadership;
use crate::metrics::Metrics;

/// A request that has not been answered for so long is given up.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Another process leads.
    #[error("this process does not lead any more")]
    NotLeader,
    /// No answer.
    #[error("the API server has not answered within 10 s")]
    Timeout,
    /// An answer that is an error.
    #[error(transparent)]
    Kube(#[from] kube::Error),
}

impl WriteError {
    /// Whether the object is not there.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Kube(kube::Error::Api(status)) if status.is_not_found())
    }
}

/// Lets so many statuses through a second, and a burst of them at first.
#[derive(Debug)]
struct Bucket {
    /// When the bucket would be full again.
    full: Instant,
    every: Duration,
    burst: u32,
}

impl Bucket {
    /// When the next may go.
    fn take(&mut self, now: Instant) -> Instant {
        let reserve = self.every * self.burst;
        let next = self.full.max(now) + self.every;
        self.full = next;
        // As long as less than a burst is owed, there is no wait.
        next.checked_sub(reserve).map_or(now, |at| at.max(now))
    }
}

/// Writes.
pub struct Writer {
    client: Client,
    leadership: Leadership,
    metrics: Metrics,
    statuses: Mutex<Bucket>,
    events: Recorder,
}

impl Writer {
    /// `rate`: statuses a second; the burst is ten times that.
    pub fn new(client: Client, leadership: Leadership, metrics: Metrics, rate: u32, instance: String) -> Self {
        let rate = rate.max(1);
        let bucket = Bucket { full: Instant::now(), every: Duration::from_secs(1) / rate, burst: rate * 10 };
        let reporter = Reporter { controller: NAME.to_owned(), instance: Some(instance) };
        let events = Recorder::new(client.clone(), reporter);
        Self { client, leadership, metrics, statuses: Mutex::new(bucket), events }
    }

    /// The client, for reading.
    pub fn client(&self) -> &Client {
        &self.client
    }

    async fn within<T>(
        &self,
        what: &'static str,
        write: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, WriteError> {
        if !self.leadership.holds() {
            return Err(WriteError::NotLeader);
        }
        self.metrics.wrote(what);
        match timeout(DEADLINE, write).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(WriteError::Timeout),
        }
    }

    fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Replaces the status of an object. Returns the version of the object then.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn status<K, S>(&self, namespace: &str, name: &str, status: &S) -> Result<Option<String>, WriteError>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
        K::DynamicType: Default,
        S: Serialize + Sync,
    {
        let go = self.statuses.lock().await.take(Instant::now());
        sleep_until(go).await;
        let kind = K::DynamicType::default();
        let body = json!({
            "apiVersion": K::api_version(&kind), "kind": K::kind(&kind), "metadata": {"name": name}, "status": status
        });
        let api: Api<kube::core::PartialObjectMeta<K>> = Api::namespaced(self.client.clone(), namespace);
        let parameters = PatchParams::apply(NAME).force();
        let patch = Patch::Apply(&body);
        let patched = self.within("status", api.patch_status(name, &parameters, &patch)).await?;
        Ok(patched.metadata.resource_version)
    }

    /// Replaces the finalizers of an object whose version is known; somebody else's change meanwhile is an error.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn finalizers<K>(
        &self,
        namespace: &str,
        name: &str,
        version: Option<&str>,
        finalizers: &[String],
    ) -> Result<(), WriteError>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
        K::DynamicType: Default,
    {
        let body = json!({"metadata": {"resourceVersion": version, "finalizers": finalizers}});
        let api: Api<kube::core::PartialObjectMeta<K>> = Api::namespaced(self.client.clone(), namespace);
        let parameters = PatchParams::default();
        let patch = Patch::Merge(&body);
        self.within("finalizer", api.patch_metadata(name, &parameters, &patch)).await.map(drop)
    }

    /// Makes a child what it should be. Fields that we do not name stay as they are.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn child<K>(&self, namespace: &str, name: &str, body: &Value) -> Result<K, WriteError>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
        K::DynamicType: Default,
    {
        let api: Api<K> = self.api(namespace);
        self.within("child", api.patch(name, &PatchParams::apply(NAME).force(), &Patch::Apply(body))).await
    }

    /// A child as it is.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn read<K>(&self, namespace: &str, name: &str) -> Result<Option<K>, WriteError>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
        K::DynamicType: Default,
    {
        match timeout(DEADLINE, self.api::<K>(namespace).get_opt(name)).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(WriteError::Timeout),
        }
    }

    /// Tells people. That it cannot be told is nobody's problem but theirs.
    pub async fn event(&self, event: Event, about: &k8s_openapi::api::core::v1::ObjectReference) {
        if let Err(error) = self.within("event", self.events.publish(&event, about)).await {
            tracing::warn!(%error, reason = event.reason, "an Event could not be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_then_it_trickles() {
        let start = Instant::now();
        let mut bucket = Bucket { full: start, every: Duration::from_millis(50), burst: 200 };
        let waits: Vec<_> = (0..400).map(|_| bucket.take(start) - start).collect();
        assert!(waits[..200].iter().all(Duration::is_zero));
        assert_eq!(waits[399], Duration::from_secs(10));
        // After a while the burst is there again.
        let later = start + Duration::from_mins(1);
        assert_eq!(bucket.take(later), later);
    }
}
