//! What the API server holds, kept here by watches.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use warren_crds::{FederatedRoom, FederationPeer, MucService};

use crate::{CONTROL, NAME, PAUSED};

/// An object that may be one that nobody can read: that one alone is reported then.
pub type Read<K> = DeserializeGuard<K>;

/// All of it.
#[derive(Clone)]
pub struct Stores {
    /// `MucService`s.
    pub services: Store<Read<MucService>>,
    /// `FederationPeer`s.
    pub peers: Store<Read<FederationPeer>>,
    /// `FederatedRoom`s.
    pub rooms: Store<Read<FederatedRoom>>,
    /// Where pods are: slices with the label [`CONTROL`].
    pub slices: Store<EndpointSlice>,
    /// Deployments that we made.
    pub deployments: Store<Deployment>,
    /// Services that we made.
    pub children: Store<Service>,
    /// And `PodDisruptionBudget`s.
    pub budgets: Store<PodDisruptionBudget>,
    /// And `NetworkPolicy`s.
    pub policies: Store<NetworkPolicy>,
}

/// Watches that run.
pub struct Watching {
    /// What they keep.
    pub stores: Stores,
    /// Something that matters for the plan has changed.
    pub changed: Arc<Notify>,
    /// They never end by themselves.
    pub tasks: Vec<JoinHandle<()>>,
}

/// What the plan is made of, of one object: our own writes of status and finalizers change none of it.
#[derive(PartialEq)]
struct Trigger {
    uid: Option<String>,
    generation: Option<i64>,
    deleting: bool,
    paused: bool,
    /// For kinds without a generation.
    version: Option<String>,
}

impl Trigger {
    fn of<K: Resource>(object: &K) -> Self {
        let meta = object.meta();
        Self {
            uid: meta.uid.clone(),
            generation: meta.generation,
            deleting: meta.deletion_timestamp.is_some(),
            paused: meta.annotations.as_ref().is_some_and(|a| a.get(PAUSED).is_some_and(|v| v == "true")),
            version: if meta.generation.is_none() { meta.resource_version.clone() } else { None },
        }
    }
}

/// An API for one namespace, or for all.
pub fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = kube::core::NamespaceResourceScope>,
    K::DynamicType: Default,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn watch<K>(api: Api<K>, config: watcher::Config, changed: &Arc<Notify>, always: bool) -> (Store<K>, JoinHandle<()>)
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Default + Eq + std::hash::Hash + Clone + Send + Sync,
{
    let (store, writer) = reflector::store();
    let changed = changed.clone();
    let stream = watcher(api, config.timeout(60)).modify(|object: &mut K| object.managed_fields_mut().clear());
    let stream = reflector::reflector(writer, stream.default_backoff());
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    let task = tokio::spawn(async move {
        let mut known: HashMap<(Option<String>, String), Trigger> = HashMap::new();
        let mut stream = std::pin::pin!(stream);
        while let Some(event) = stream.next().await {
            match event {
                Ok(watcher::Event::Apply(object)) => {
                    let trigger = Trigger::of(&object);
                    let key = (object.namespace(), object.name_any());
                    if always || known.get(&key) != Some(&trigger) {
                        known.insert(key, trigger);
                        changed.notify_one();
                    }
                }
                Ok(watcher::Event::Delete(object)) => {
                    known.remove(&(object.namespace(), object.name_any()));
                    changed.notify_one();
                }
                Ok(watcher::Event::InitDone) => {
                    // Whatever was missed: the plan is made anew, which costs little and says what is different.
                    known.clear();
                    changed.notify_one();
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(kind, %error, "a watch has failed, and is tried again"),
            }
        }
    });
    (store, task)
}

impl Watching {
    /// Begins to watch.
    pub fn start(client: &Client, namespace: Option<&str>) -> Self {
        let changed = Arc::new(Notify::new());
        let all = watcher::Config::default();
        let ours = || watcher::Config::default().labels(&format!("app.kubernetes.io/managed-by={NAME}"));
        let (services, watch_services) = watch(api(client, namespace), all.clone(), &changed, false);
        let (peers, watch_peers) = watch(api(client, namespace), all.clone(), &changed, false);
        let (rooms, watch_rooms) = watch(api(client, namespace), all.clone(), &changed, false);
        let (slices, watch_slices) = watch(api(client, namespace), all.labels(CONTROL), &changed, true);
        let (deployments, watch_deployments) = watch(api(client, namespace), ours(), &changed, true);
        let (children, watch_children) = watch(api(client, namespace), ours(), &changed, true);
        let (budgets, watch_budgets) = watch(api(client, namespace), ours(), &changed, true);
        let (policies, watch_policies) = watch(api(client, namespace), ours(), &changed, true);
        let stores = Stores { services, peers, rooms, slices, deployments, children, budgets, policies };
        let declared = [watch_services, watch_peers, watch_rooms, watch_slices];
        let made = [watch_deployments, watch_children, watch_budgets, watch_policies];
        Self { stores, changed, tasks: declared.into_iter().chain(made).collect() }
    }
}

impl Stores {
    /// Waits until everything has been listed once.
    pub async fn ready(&self) {
        // The writers live as long as the process.
        let _ = self.services.wait_until_ready().await;
        let _ = self.peers.wait_until_ready().await;
        let _ = self.rooms.wait_until_ready().await;
        let _ = self.slices.wait_until_ready().await;
        let _ = self.deployments.wait_until_ready().await;
        let _ = self.children.wait_until_ready().await;
        let _ = self.budgets.wait_until_ready().await;
        let _ = self.policies.wait_until_ready().await;
    }
}
