//! The pods: where they are, what they say, and what they have acknowledged.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use warren_control::grpc::tls::ClientSide;
use warren_control::grpc::{Client, PodReport};
use warren_control::{Answer, Failed, ObjectReport};
use warren_model::{Generation, Object, ObjectName};

use crate::build::ServiceKey;
use crate::dereference::Pem;
use crate::workload::control_host;
use crate::{CONTROL, engine};

/// First and longest wait before a pod is called again.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// A pod that has not begun to speak within this time is not waited for.
const BEGIN: Duration = Duration::from_secs(3);
/// Nor is one that falls silent for so long before it has said everything; it waits for other pods for 2 s itself.
const SAYS: Duration = Duration::from_secs(10);
/// And one that does not answer a call: it waits for the pod that decides for 10 s itself.
const ANSWERS: Duration = Duration::from_secs(13);
/// A service whose pods are all silent for so long is not available.
pub const SILENT: Duration = Duration::from_secs(10);
/// A room whose owner is silent for so long counts as not hosted: a rolling update must not rewrite every room.
pub const UNHOSTED: Duration = Duration::from_mins(1);

/// Where a pod is: host name or address, and port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Address, or a name.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// With whom control is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// Nobody proves anything; loopback only.
    Plain,
    /// Both sides do.
    Mutual(Pem),
}

/// Something that may change a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A pod of the service has said everything, and can be asked.
    Connected(ServiceKey),
    /// A pod has said something new of the object.
    Changed(ObjectName),
    /// The service has been silent for [`SILENT`].
    Silent(ServiceKey),
    /// And for [`UNHOSTED`].
    Unhosted(ServiceKey),
}

/// What is known of an object from its service's pods.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Somebody can be asked.
    pub nodes: bool,
    /// How long nobody could be asked.
    pub silent: Duration,
    /// This version of it is durable.
    pub current: bool,
    /// What its owner says.
    pub report: Option<ObjectReport>,
}

#[derive(Default)]
struct Link {
    security: Option<Security>,
    endpoints: BTreeSet<Endpoint>,
    /// The one that is listened to, or tried.
    current: Option<Endpoint>,
    /// That one, once it has said everything.
    client: Option<Client>,
    incarnation: u64,
    /// Listens.
    task: Option<AbortOnDrop>,
    /// Makes it look again at what is here.
    look: Arc<Notify>,
    reports: HashMap<ObjectName, ObjectReport>,
    acked: HashMap<ObjectName, (String, Generation, String)>,
    silent_since: Option<Instant>,
    /// How much of the silence has been told.
    told: u8,
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// All pods of all services. Of each service one pod is spoken to, as long as it answers: any of them passes calls on to
/// the one that decides, and asks the owners before it reports.
#[derive(Clone)]
pub struct Pods {
    links: Arc<Mutex<HashMap<ServiceKey, Link>>>,
    heard: mpsc::UnboundedSender<Heard>,
}

/// Where the slices of a service say that its pods are.
pub fn endpoints<'a>(slices: impl IntoIterator<Item = &'a EndpointSlice>, service: &ServiceKey) -> BTreeSet<Endpoint> {
    let mut all = BTreeSet::new();
    for slice in slices {
        let label = slice.metadata.labels.as_ref().and_then(|labels| labels.get(CONTROL));
        if slice.metadata.namespace.as_deref() != Some(&service.0) || label != Some(&service.1) {
            continue;
        }
        let ports = slice.ports.as_deref().unwrap_or_default();
        let control = ports.iter().find(|p| p.name.as_deref() == Some("control")).or(match ports {
            [only] => Some(only),
            _ => None,
        });
        let Some(port) = control.and_then(|p| u16::try_from(p.port?).ok()) else { continue };
        for endpoint in &slice.endpoints {
            // Pods that are not ready wait for what we have to say; those that end do not.
            let ends = endpoint.conditions.as_ref().and_then(|c| c.terminating).unwrap_or_default();
            if !ends {
                all.extend(endpoint.addresses.iter().map(|host| Endpoint { host: host.clone(), port }));
            }
        }
    }
    all
}

impl Pods {
    /// None yet. What is heard of them goes to `heard`.
    pub fn new(heard: mpsc::UnboundedSender<Heard>) -> Self {
        Self { links: Arc::default(), heard }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ServiceKey, Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Talks to one of exactly these pods of exactly these services.
    pub fn sync(&self, wanted: HashMap<ServiceKey, (BTreeSet<Endpoint>, Security)>) {
        let mut links = self.lock();
        links.retain(|service, _| wanted.contains_key(service));
        for (service, (endpoints, security)) in wanted {
            let link = links.entry(service.clone()).or_default();
            if link.security.as_ref() != Some(&security) {
                link.leave();
                // By this the task knows that it is not the one of before.
                link.look = Arc::default();
                let talk = self.clone().talk(service, security.clone(), link.look.clone());
                link.task = Some(AbortOnDrop(tokio::spawn(talk)));
                link.security = Some(security);
            }
            if link.endpoints != endpoints {
                link.endpoints = endpoints;
                if link.current.as_ref().is_some_and(|current| !link.endpoints.contains(current)) {
                    link.leave();
                }
                link.look.notify_one();
            }
            link.settle();
        }
    }

    /// Listens to one pod after the other for ever.
    async fn talk(self, service: ServiceKey, security: Security, look: Arc<Notify>) {
        let mut wait = RETRY.0;
        // Those that were tried since one was heard.
        let mut tried = BTreeSet::new();
        // Not always the same one first: there are other services, and other operators.
        let mut last = None;
        loop {
            let next = {
                let mut links = self.lock();
                let Some(link) = links.get_mut(&service).filter(|link| Arc::ptr_eq(&link.look, &look)) else { return };
                let next = choose(&link.endpoints, &tried, last.as_ref());
                link.current.clone_from(&next);
                next
            };
            let Some(endpoint) = next else {
                // Whoever has just come is tried at once.
                let pause = sleep(wait.mul_f64(0.75 + 0.5 * engine::random()));
                tokio::select! {
                    () = pause => {
                        tried.clear();
                        wait = (wait * 2).min(RETRY.1);
                    }
                    () = look.notified() => {}
                }
                continue;
            };
            let heard = tokio::select! {
                heard = self.listen(&service, &endpoint, &security) => heard,
                () = self.left(&service, &endpoint, &look) => Err(Listen::Left),
            };
            match heard {
                Err(Listen::Failed(why)) => {
                    tracing::debug!(?service, ?endpoint, why, "a pod cannot be reached");
                    tried.insert(endpoint.clone());
                }
                heard => {
                    if let Err(Listen::Began(failed)) = heard {
                        tracing::info!(?service, ?endpoint, %failed, "a pod is silent: another one is asked");
                    }
                    // It comes last in this round.
                    tried = BTreeSet::from([endpoint.clone()]);
                    wait = RETRY.0;
                }
            }
            last = Some(endpoint);
            if let Some(link) = self.lock().get_mut(&service).filter(|link| Arc::ptr_eq(&link.look, &look)) {
                link.leave();
                link.settle();
            }
        }
    }

    /// Waits until this pod is not to be listened to any more.
    async fn left(&self, service: &ServiceKey, endpoint: &Endpoint, look: &Notify) {
        loop {
            look.notified().await;
            if self.lock().get(service).is_none_or(|link| link.current.as_ref() != Some(endpoint)) {
                return;
            }
        }
    }

    async fn listen(&self, service: &ServiceKey, endpoint: &Endpoint, security: &Security) -> Result<(), Listen> {
        let addr = resolve(endpoint).await.map_err(Listen::Failed)?;
        let side = match security {
            Security::Plain => ClientSide::plaintext(addr),
            Security::Mutual(Pem { cert, key, ca }) => {
                ClientSide::from_pem(cert, key, ca, &control_host(&service.0, &service.1))
            }
        };
        let client = Client::new(addr, side.map_err(|e| Listen::Failed(e.to_string()))?);
        let mut reports = match timeout(BEGIN, client.watch()).await {
            Ok(reports) => Box::pin(reports.map_err(|e| Listen::Failed(e.to_string()))?),
            Err(_) => return Err(Listen::Failed(format!("no answer within {} s", BEGIN.as_secs()))),
        };
        let mut first: BTreeSet<ObjectName> = BTreeSet::new();
        let mut complete = false;
        loop {
            let next = match timeout(if complete { Duration::MAX } else { SAYS }, reports.next()).await {
                Ok(Some(report)) => report,
                Ok(None) => return Ok(()),
                Err(_) => return Err(Listen::Failed(format!("it says nothing for {} s", SAYS.as_secs()))),
            };
            let report = next
                .map_err(|failed| if complete { Listen::Began(failed) } else { Listen::Failed(failed.to_string()) })?;
            let ends = report.complete && !complete;
            if !complete {
                first.extend(report.objects.iter().map(|o| o.name.clone()));
            }
            complete |= report.complete;
            self.take(service, endpoint, report, ends.then_some((&client, &first)));
        }
    }

    /// `begun`: with this report the pod has said everything, which was these objects.
    fn take(
        &self,
        service: &ServiceKey,
        endpoint: &Endpoint,
        report: PodReport,
        begun: Option<(&Client, &BTreeSet<ObjectName>)>,
    ) {
        let mut links = self.lock();
        let Some(link) = links.get_mut(service).filter(|link| link.current.as_ref() == Some(endpoint)) else { return };
        for object in report.objects {
            let name = object.name.clone();
            let before = link.reports.insert(name.clone(), object.clone());
            // That what we have applied is applied is no news.
            let news = before.is_none_or(|before| {
                (before.peerings, before.occupied, before.connected, before.uid)
                    != (object.peerings, object.occupied, object.connected, object.uid)
            });
            if news {
                // Nobody listens at the very end.
                let _ = self.heard.send(Heard::Changed(name));
            }
        }
        for name in report.removed {
            link.reports.remove(&name);
            link.acked.remove(&name);
        }
        let Some((client, first)) = begun else { return };
        link.reports.retain(|name, _| first.contains(name));
        if link.incarnation != report.incarnation {
            // Another pod, or another life of it, perhaps with another store: what it has, it has just said.
            link.acked.clear();
            link.incarnation = report.incarnation;
        }
        link.client = Some(client.clone());
        tracing::info!(?service, ?endpoint, pod = report.pod, "this pod is asked from now on");
        link.settle();
        let _ = self.heard.send(Heard::Connected(service.clone()));
    }

    /// Whether there is a pod that can be asked.
    pub fn reachable(&self, service: &ServiceKey) -> bool {
        self.lock().get(service).is_some_and(|link| link.client.is_some())
    }

    /// Has the pods take an object; the answer is that of the one that decides. `None`: none can be asked.
    pub async fn apply(&self, service: &ServiceKey, object: &Object) -> Option<Result<Answer, Failed>> {
        let answer = self.call(service, async |client| client.apply(object).await).await?;
        if let Ok(Answer::Done(_)) = answer {
            self.acknowledged(service, &object.name, Some(object));
        }
        Some(answer)
    }

    /// Takes an object out of the pods. `None`: none can be asked.
    pub async fn remove(&self, service: &ServiceKey, name: &ObjectName, uid: &str) -> Option<Result<bool, Failed>> {
        let answer = self.call(service, async |client| client.remove(name, uid).await).await?;
        if answer.is_ok() {
            self.acknowledged(service, name, None);
        }
        Some(answer)
    }

    async fn call<T>(
        &self,
        service: &ServiceKey,
        call: impl AsyncFnOnce(&Client) -> Result<T, Failed>,
    ) -> Option<Result<T, Failed>> {
        let (client, endpoint) = {
            let links = self.lock();
            let link = links.get(service)?;
            (link.client.clone()?, link.current.clone()?)
        };
        Some(if let Ok(answer) = timeout(ANSWERS, call(&client)).await {
            answer
        } else {
            // A pod that knows nobody who decides says so within that time: this one hangs.
            if let Some(link) = self.lock().get_mut(service).filter(|link| link.current.as_ref() == Some(&endpoint)) {
                tracing::info!(?service, ?endpoint, "a pod does not answer: another one is asked");
                link.leave();
                link.settle();
                link.look.notify_one();
            }
            Err(Failed::Unavailable(format!("no answer within {} s", ANSWERS.as_secs())))
        })
    }

    /// An object is durable, or (`None`) gone.
    fn acknowledged(&self, service: &ServiceKey, name: &ObjectName, object: Option<&Object>) {
        let mut links = self.lock();
        let Some(link) = links.get_mut(service) else { return };
        if let Some(o) = object {
            link.acked.insert(name.clone(), (o.uid.clone(), o.generation, o.digest.clone()));
        } else {
            link.acked.remove(name);
            link.reports.remove(name);
        }
    }

    /// What is known of an object.
    pub fn view(&self, service: &ServiceKey, object: &Object) -> View {
        let links = self.lock();
        let Some(link) = links.get(service) else { return View::default() };
        let acked = link.acked.get(&object.name).is_some_and(|(uid, generation, digest)| {
            (uid, generation, digest) == (&object.uid, &object.generation, &object.digest)
        });
        let report = link.reports.get(&object.name).filter(|r| r.uid == object.uid);
        let reported = report.is_some_and(|r| r.generation == object.generation && r.digest == object.digest);
        View {
            nodes: link.client.is_some(),
            silent: link.silent_since.map_or(Duration::ZERO, |since| since.elapsed()),
            current: acked || reported,
            report: report.cloned(),
        }
    }

    /// Objects that the pods of a service have.
    pub fn reported(&self, service: &ServiceKey) -> Vec<(ObjectName, String)> {
        let links = self.lock();
        let all = links.get(service).into_iter().flat_map(|link| link.reports.values());
        all.map(|report| (report.name.clone(), report.uid.clone())).collect()
    }

    /// Tells of services that have become silent.
    pub fn sweep(&self) {
        for (service, link) in self.lock().iter_mut() {
            let silent = link.silent_since.map_or(Duration::ZERO, |since| since.elapsed());
            if silent >= SILENT && link.told < 1 {
                link.told = 1;
                let _ = self.heard.send(Heard::Silent(service.clone()));
            }
            if silent >= UNHOSTED && link.told < 2 {
                link.told = 2;
                let _ = self.heard.send(Heard::Unhosted(service.clone()));
            }
        }
    }
}

impl Link {
    /// Nobody is listened to.
    fn leave(&mut self) {
        self.current = None;
        self.client = None;
    }

    /// Begins or ends the silence.
    fn settle(&mut self) {
        if self.client.is_some() {
            self.silent_since = None;
            self.told = 0;
        } else if self.silent_since.is_none() {
            self.silent_since = Some(Instant::now());
        }
    }
}

/// Why listening has ended.
enum Listen {
    /// It never began.
    Failed(String),
    /// It had begun.
    Began(Failed),
    /// The pod is gone, or did not answer a call.
    Left,
}

/// The next pod to try: round from the last one, or from anywhere; none that was tried in this round.
fn choose(all: &BTreeSet<Endpoint>, tried: &BTreeSet<Endpoint>, last: Option<&Endpoint>) -> Option<Endpoint> {
    let left: Vec<&Endpoint> = all.difference(tried).collect();
    let next = if let Some(last) = last {
        left.iter().find(|endpoint| **endpoint > last).or(left.first())
    } else {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index below the length")]
        #[allow(clippy::cast_precision_loss, reason = "pods are few")]
        let at = (engine::random() * left.len() as f64) as usize;
        left.get(at).or(left.first())
    };
    next.map(|endpoint| (*endpoint).clone())
}

/// The address of an endpoint. Names below `localhost` are loopback (RFC 6761 6.3), whatever a resolver thinks.
async fn resolve(endpoint: &Endpoint) -> Result<SocketAddr, String> {
    let Endpoint { host, port } = endpoint;
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, *port));
    }
    if host == "localhost" || host.ends_with(".localhost") {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, *port)));
    }
    let mut found = tokio::net::lookup_host((host.as_str(), *port)).await.map_err(|e| format!("{host}: {e}"))?;
    found.next().ok_or_else(|| format!("{host} has no address"))
}

#[cfg(test)]
mod tests;
