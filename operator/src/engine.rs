//! The steps, put together: a plan whenever something has changed, and workers who carry it out object by object.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use kube::runtime::reflector::{Lookup, ObjectRef};
use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use warren_crds::{FederatedRoom, FederationPeer, MucService};
use warren_model::{ObjectKind, ObjectName};

use crate::api::{WriteError, Writer};
use crate::apply::{self, Programmed, Removed};
use crate::build::{Facts, Item, Plan, ServiceKey, Verdict, build};
use crate::dereference::dereference;
use crate::metrics::Metrics;
use crate::pods::{Heard, Pods, Security, View, endpoints};
use crate::queue::Queue;
use crate::report::{DEBOUNCE, Found, Kind, Known, found, now, report};
use crate::secrets::SecretWatches;
use crate::stores::Stores;
use crate::validate::validate;
use crate::workload::Child;

/// Changes that come together make one plan.
const GATHER: Duration = Duration::from_millis(100);
/// Objects that are worked on at once.
const WORKERS: usize = 16;
/// Something that needs another object first is looked at again so soon.
const SOON: Duration = Duration::from_millis(300);
/// And is reported when it has waited for so long.
const LONG: Duration = Duration::from_secs(5);
/// A service's counts are brought up to date so often at most.
const COUNTS: Duration = Duration::from_secs(10);

/// 0 to 1: for waiting times that should differ.
pub fn random() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the times are the same, which is no harm.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

/// Settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Image of pods of services that name none.
    pub image: String,
    /// Control may be spoken in the clear, on loopback.
    pub plaintext: bool,
}

/// A status that we have written, until the watch has it.
struct Written {
    uid: String,
    version: Option<String>,
    status: Value,
}

/// What was said of a child when it was made last, and its fingerprint then.
pub type Made = (Value, Value);

/// What everybody needs.
pub struct Context {
    /// Writes.
    pub writer: Writer,
    /// What the API server holds.
    pub stores: Stores,
    /// The pods.
    pub pods: Pods,
    /// Counters.
    pub metrics: Metrics,
    settings: Settings,
    secrets: SecretWatches,
    plan: RwLock<Arc<Plan>>,
    queue: Queue<ObjectName>,
    written: Mutex<HashMap<ObjectName, Written>>,
    made: Mutex<HashMap<(String, &'static str), Made>>,
    waiting: Mutex<HashMap<ObjectName, Instant>>,
}

/// Why an object is looked at again.
enum Again {
    /// Something failed.
    Failed(String),
    /// Something else comes first.
    Soon,
}

impl From<WriteError> for Again {
    fn from(error: WriteError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Context {
    /// The plan that is in force.
    pub fn plan(&self) -> Arc<Plan> {
        self.plan.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One object of it.
    pub fn item(&self, name: &ObjectName) -> Option<Arc<Item>> {
        self.plan().items.get(name).cloned()
    }

    /// What was said of a child when it was made last, and its fingerprint then.
    pub fn made(&self, item: &Item, child: &Child) -> Option<Made> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.get(&(item.uid.clone(), child.kind)).cloned()
    }

    /// A child was made.
    pub fn make_note(&self, item: &Item, child: &Child, body: Value, fingerprint: Value) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.insert((item.uid.clone(), child.kind), (body, fingerprint));
    }

    /// A status was written.
    pub fn written<S: serde::Serialize>(&self, name: &ObjectName, uid: &str, version: Option<String>, status: &S) {
        let status = serde_json::to_value(status).unwrap_or_default();
        let written = Written { uid: uid.to_owned(), version, status };
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), written);
    }

    /// The object as it is: as the watch has it, or with the status that we have written since.
    fn found<K: Kind>(&self, item: &Item) -> Option<Found<K::Status>>
    where
        crate::stores::Read<K>: Lookup<DynamicType = ()>,
    {
        let key = ObjectRef::new(&item.name.name).within(&item.name.namespace);
        let read = K::store(&self.stores).get(&key)?;
        let mut it = match &read.0 {
            Ok(object) => found(object.meta(), object.status_of().cloned()),
            Err(invalid) => found(&invalid.metadata, None),
        };
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ours) = written.get(&item.name) {
            let number = |version: &Option<String>| version.as_ref().and_then(|v| v.parse::<u64>().ok());
            // One that cannot be read has no other status than this.
            if ours.uid == item.uid && (read.0.is_err() || number(&ours.version) > number(&it.version)) {
                it.status = serde_json::from_value(ours.status.clone()).unwrap_or_default();
            } else {
                written.remove(&item.name);
            }
        }
        Some(it)
    }

    /// Steps one to three.
    fn replan(&self) {
        let snapshot = dereference(&self.stores, &self.secrets);
        let (validated, judged) = validate(&snapshot);
        let refused = judged.refusals.len();
        let plan = build(&snapshot, &validated, judged, &self.settings.image);
        let changed = plan.changed(&self.plan());
        let reachable = self.reachable(&plan);
        let services: Vec<_> = reachable.keys().cloned().collect();
        self.pods.sync(reachable);
        if changed.iter().any(|name| !plan.items.contains_key(name)) {
            // Usually the pods have let go of it before; a finalizer may have been taken by force.
            for service in &services {
                self.strays(&plan, service);
            }
        }
        let accepted = plan.items.len().saturating_sub(refused);
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(plan);
        for name in changed {
            self.queue.add(name, Duration::ZERO);
        }
        // Children and slices are in no plan.
        for name in self.plan().items.keys().filter(|name| name.kind == ObjectKind::MucService) {
            self.queue.add(name.clone(), Duration::ZERO);
        }
        self.metrics.planned(accepted, refused, self.queue.len());
    }

    fn reachable(
        &self,
        plan: &Plan,
    ) -> HashMap<ServiceKey, (std::collections::BTreeSet<crate::pods::Endpoint>, Security)> {
        let slices = self.stores.slices.state();
        let mut all = HashMap::new();
        for item in plan.items.values() {
            let Facts::Service { tls, wants_tls, .. } = &item.facts else { continue };
            let key = (item.name.namespace.clone(), item.name.name.clone());
            let security = match tls {
                Some(pem) => Security::Mutual(pem.clone()),
                None if !wants_tls && self.settings.plaintext => Security::Plain,
                None => continue,
            };
            all.insert(key.clone(), (endpoints(slices.iter().map(|s| &**s), &key), security));
        }
        all
    }

    /// Steps four and five, of one object.
    async fn reconcile<K: Kind>(&self, item: &Item) -> Result<(), Again>
    where
        crate::stores::Read<K>: Lookup<DynamicType = ()>,
    {
        let Some(found) = self.found::<K>(item) else { return Ok(()) };
        let (programmed, removed) = if item.deleting {
            (Programmed::Not, Some(apply::remove::<K>(self, item, &found).await?))
        } else {
            (apply::apply::<K>(self, item, &found).await?, None)
        };
        if removed == Some(Removed::Yes) {
            return Ok(());
        }
        let waits = matches!(programmed, Programmed::Pending(_)) || item.verdict == Verdict::Waiting;
        if waits && self.waits(&item.name) < LONG {
            return Err(Again::Soon);
        }
        let view = match (&item.verdict, item.services.first()) {
            (Verdict::Accepted(object), Some(service)) => self.pods.view(service, object),
            _ => View::default(),
        };
        let known = Known {
            item,
            programmed: programmed.clone(),
            removed: removed.clone(),
            view,
            programmed_rooms: self.programmed_rooms(item),
            replicas: self.replicas(item),
            now: now(),
        };
        report::<K>(self, &known, &found).await?;
        match (programmed, removed) {
            (Programmed::Pending(why), _) => Err(Again::Failed(why)),
            (Programmed::Rejected(refusal), _) => Err(Again::Failed(refusal.message)),
            (_, Some(_)) => Err(Again::Failed("it is to go and cannot yet".to_owned())),
            _ if item.verdict == Verdict::Waiting => Err(Again::Failed("a Secret has not been read yet".to_owned())),
            (Programmed::Yes, _) => {
                self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&item.name);
                self.tell_service(item);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// For how long an object has waited for another.
    fn waits(&self, name: &ObjectName) -> Duration {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.entry(name.clone()).or_insert_with(Instant::now).elapsed()
    }

    /// A service counts its rooms.
    fn tell_service(&self, item: &Item) {
        if item.name.kind == ObjectKind::FederatedRoom {
            for (namespace, name) in item.services.clone() {
                self.queue.add(ObjectName { kind: ObjectKind::MucService, namespace, name }, COUNTS);
            }
        }
    }

    fn programmed_rooms(&self, item: &Item) -> usize {
        let Facts::Service { rooms, .. } = &item.facts else { return 0 };
        let plan = self.plan();
        let key = (item.name.namespace.clone(), item.name.name.clone());
        let current = |name: &&ObjectName| match plan.items.get(*name).map(|i| &i.verdict) {
            Some(Verdict::Accepted(object)) => self.pods.view(&key, object).current,
            _ => false,
        };
        rooms.iter().filter(current).count()
    }

    fn replicas(&self, item: &Item) -> Option<[i32; 3]> {
        let key = ObjectRef::new(&item.name.name).within(&item.name.namespace);
        let status = self.stores.deployments.get(&key)?.status.clone()?;
        let count = |n: Option<i32>| n.unwrap_or_default();
        Some([count(status.replicas), count(status.ready_replicas), count(status.updated_replicas)])
    }

    async fn work(&self) {
        loop {
            let name = self.queue.next().await;
            let result = match self.item(&name) {
                None => {
                    self.written.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
                    self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
                    Ok(())
                }
                Some(item) => match name.kind {
                    ObjectKind::MucService => self.reconcile::<MucService>(&item).await,
                    ObjectKind::FederationPeer => self.reconcile::<FederationPeer>(&item).await,
                    ObjectKind::FederatedRoom => self.reconcile::<FederatedRoom>(&item).await,
                },
            };
            match result {
                Ok(()) => self.queue.done(&name),
                Err(Again::Soon) => {
                    self.queue.done(&name);
                    self.queue.add(name, SOON);
                }
                Err(Again::Failed(why)) => {
                    let delay = self.queue.failed(&name, random());
                    self.metrics.failed("reconcile");
                    tracing::info!(object = %name, why, ?delay, "tried again later");
                }
            }
        }
    }

    /// What pods say leads to another look.
    fn hear(&self, heard: Heard) {
        let plan = self.plan();
        let service = |(namespace, name): ServiceKey| ObjectName { kind: ObjectKind::MucService, namespace, name };
        match heard {
            Heard::Changed(name) if name.kind == ObjectKind::MucService => self.queue.add(name, Duration::from_secs(1)),
            Heard::Changed(name) => self.queue.add(name, DEBOUNCE),
            Heard::Silent(key) => self.queue.add(service(key), Duration::ZERO),
            Heard::Connected(key) => {
                self.strays(&plan, &key);
                for item in plan.of_service(&key) {
                    self.queue.add(item.name.clone(), Duration::ZERO);
                }
            }
            Heard::Unhosted(key) => {
                for item in plan.of_service(&key) {
                    self.queue.add(item.name.clone(), Duration::ZERO);
                }
            }
        }
    }

    /// Objects that the pods have and nobody declares: their finalizers were taken by force.
    fn strays(&self, plan: &Plan, service: &ServiceKey) {
        for (name, uid) in self.pods.reported(service) {
            if plan.items.contains_key(&name) || plan.has_uid(&uid) {
                continue;
            }
            if !self.pods.reachable(service) {
                return;
            }
            tracing::warn!(%name, uid, "the pods have an object that is not declared any more: it is removed");
            self.metrics.called("remove");
            let (pods, service) = (self.pods.clone(), service.clone());
            tokio::spawn(async move { pods.remove(&service, &name, &uid).await });
        }
    }
}

/// Carries everything out until it is dropped. Only the leader calls this.
pub async fn run(writer: Writer, stores: Stores, changed: Arc<Notify>, metrics: Metrics, settings: Settings) {
    let (heard, mut hears) = mpsc::unbounded_channel();
    let ctx = Arc::new(Context {
        secrets: SecretWatches::new(writer.client().clone(), changed.clone()),
        writer,
        stores,
        pods: Pods::new(heard),
        metrics,
        settings,
        plan: RwLock::default(),
        queue: Queue::default(),
        written: Mutex::default(),
        made: Mutex::default(),
        waiting: Mutex::default(),
    });
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let ctx = ctx.clone();
        workers.spawn(async move { ctx.work().await });
    }
    ctx.replan();
    let mut sweep = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = changed.notified() => {
                sleep(GATHER).await;
                ctx.replan();
            }
            Some(heard) = hears.recv() => ctx.hear(heard),
            _ = sweep.tick() => ctx.pods.sweep(),
            // A worker that panics must not leave the others to look as if all were well.
            _ = workers.join_next() => return,
        }
    }
}
