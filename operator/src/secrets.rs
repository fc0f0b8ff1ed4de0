//! The Secrets that are referred to, and no others: one watch each, so that a Role may name them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Namespace and name.
pub type SecretName = (String, String);

/// What one watch has seen.
#[derive(Clone, Debug, Default)]
enum Seen {
    /// Nothing yet: nobody can say whether the Secret exists.
    #[default]
    Pending,
    /// There is none.
    Absent,
    /// This.
    Present(Arc<Secret>),
}

/// Watches of single Secrets.
pub struct SecretWatches {
    client: Client,
    changed: Arc<Notify>,
    seen: Arc<Mutex<HashMap<SecretName, Seen>>>,
    tasks: Mutex<HashMap<SecretName, JoinHandle<()>>>,
}

impl SecretWatches {
    /// No watch yet. `changed` hears of what matters for the plan.
    pub fn new(client: Client, changed: Arc<Notify>) -> Self {
        Self { client, changed, seen: Arc::default(), tasks: Mutex::default() }
    }

    /// Watches exactly these.
    pub fn want(&self, wanted: &BTreeSet<SecretName>) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|name, task| {
            let keep = wanted.contains(name);
            if !keep {
                task.abort();
                self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
            }
            keep
        });
        for name in wanted {
            if !tasks.contains_key(name) {
                self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), Seen::Pending);
                let watch = watch(self.client.clone(), name.clone(), self.seen.clone(), self.changed.clone());
                tasks.insert(name.clone(), tokio::spawn(watch));
            }
        }
    }

    /// What is known: `None` when nobody can say yet, `Some(None)` when there is none.
    pub fn get(&self, name: &SecretName) -> Option<Option<Arc<Secret>>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(name).cloned().unwrap_or_default() {
            Seen::Pending => None,
            Seen::Absent => Some(None),
            Seen::Present(secret) => Some(Some(secret)),
        }
    }
}

async fn watch(client: Client, name: SecretName, seen: Arc<Mutex<HashMap<SecretName, Seen>>>, changed: Arc<Notify>) {
    let api: Api<Secret> = Api::namespaced(client, &name.0);
    let config = watcher::Config::default().fields(&format!("metadata.name={}", name.1)).timeout(60);
    let mut stream = std::pin::pin!(watcher(api, config).default_backoff());
    let mut listed = false;
    while let Some(event) = stream.next().await {
        let now = match event {
            Ok(watcher::Event::Init) => {
                listed = false;
                continue;
            }
            Ok(watcher::Event::InitApply(secret) | watcher::Event::Apply(secret)) => {
                listed = true;
                Seen::Present(Arc::new(secret))
            }
            Ok(watcher::Event::InitDone) if listed => continue,
            Ok(watcher::Event::InitDone | watcher::Event::Delete(_)) => Seen::Absent,
            Err(error) => {
                let (namespace, name) = &name;
                tracing::warn!(namespace, name, %error, "a Secret cannot be watched, and is tried again");
                continue;
            }
        };
        if let Some(place) = seen.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&name) {
            *place = now;
        }
        changed.notify_one();
    }
}
