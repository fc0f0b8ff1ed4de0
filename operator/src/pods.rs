//! The pods: where they are, what they say, and what they have acknowledged.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use warren_control::grpc::tls::ClientSide;
use warren_control::grpc::{Client, PodReport};
use warren_control::{Failed, ObjectReport};
use warren_model::{Generation, Object, ObjectName};

use crate::build::ServiceKey;
use crate::dereference::Pem;
use crate::workload::control_host;
use crate::{CONTROL, engine};

/// First and longest wait before a pod is called again.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
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
    /// A pod of the service has said everything.
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
    pods: HashMap<Endpoint, PodLink>,
    reports: HashMap<ObjectName, (Endpoint, ObjectReport)>,
    acked: HashMap<ObjectName, (String, Generation, String)>,
    silent_since: Option<Instant>,
    /// How much of the silence has been told.
    told: u8,
    next: usize,
}

struct PodLink {
    client: Option<Client>,
    incarnation: u64,
    task: JoinHandle<()>,
}

impl Drop for PodLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// All pods of all services.
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

    /// Talks to exactly these pods of exactly these services.
    pub fn sync(&self, wanted: HashMap<ServiceKey, (BTreeSet<Endpoint>, Security)>) {
        let mut links = self.lock();
        links.retain(|service, _| wanted.contains_key(service));
        for (service, (endpoints, security)) in wanted {
            let link = links.entry(service.clone()).or_default();
            if link.security.as_ref() != Some(&security) {
                link.pods.clear();
                link.security = Some(security.clone());
            }
            link.pods.retain(|endpoint, _| endpoints.contains(endpoint));
            for endpoint in endpoints {
                link.pods.entry(endpoint.clone()).or_insert_with(|| {
                    let talk = self.clone().talk(service.clone(), endpoint, security.clone());
                    PodLink { client: None, incarnation: 0, task: tokio::spawn(talk) }
                });
            }
            link.settle();
        }
    }

    /// Listens to one pod for ever.
    async fn talk(self, service: ServiceKey, endpoint: Endpoint, security: Security) {
        let mut wait = RETRY.0;
        loop {
            match self.listen(&service, &endpoint, &security).await {
                Ok(()) => wait = RETRY.0,
                Err(Listen::Began(failed)) => {
                    wait = RETRY.0;
                    tracing::info!(?service, ?endpoint, %failed, "a pod is silent");
                }
                Err(Listen::Failed(why)) => tracing::debug!(?service, ?endpoint, why, "a pod cannot be reached"),
            }
            if let Some(link) = self.lock().get_mut(&service) {
                if let Some(pod) = link.pods.get_mut(&endpoint) {
                    pod.client = None;
                }
                link.settle();
            }
            sleep(wait.mul_f64(0.75 + 0.5 * engine::random())).await;
            wait = (wait * 2).min(RETRY.1);
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
        let mut reports = Box::pin(client.watch().await.map_err(|e| Listen::Failed(e.to_string()))?);
        let mut first: BTreeSet<ObjectName> = BTreeSet::new();
        let mut complete = false;
        while let Some(report) = reports.next().await {
            let report = report.map_err(Listen::Began)?;
            let ends = report.complete && !complete;
            if !complete {
                first.extend(report.objects.iter().map(|o| o.name.clone()));
            }
            complete |= report.complete;
            self.take(service, endpoint, report, ends.then_some((&client, &first)));
        }
        Ok(())
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
        let Some(link) = links.get_mut(service) else { return };
        for object in report.objects {
            let name = object.name.clone();
            let before = link.reports.insert(name.clone(), (endpoint.clone(), object.clone()));
            // That what we have applied is applied is no news.
            let news = before.is_none_or(|(_, before)| {
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
        link.reports.retain(|name, (from, _)| from != endpoint || first.contains(name));
        if let Some(pod) = link.pods.get_mut(endpoint) {
            if pod.incarnation != report.incarnation {
                // Another life, perhaps with another store: what it has, it has just said.
                link.acked.clear();
                pod.incarnation = report.incarnation;
            }
            pod.client = Some(client.clone());
        }
        link.settle();
        let _ = self.heard.send(Heard::Connected(service.clone()));
    }

    /// A pod that can be asked: another one each time.
    pub fn any(&self, service: &ServiceKey) -> Option<Client> {
        let mut links = self.lock();
        let link = links.get_mut(service)?;
        link.next = link.next.wrapping_add(1);
        let live: Vec<_> = link.pods.values().filter_map(|pod| pod.client.as_ref()).collect();
        let at = link.next.checked_rem(live.len())?;
        live.get(at).map(|client| (*client).clone())
    }

    /// An object is durable, or (`None`) gone.
    pub fn acknowledged(&self, service: &ServiceKey, name: &ObjectName, object: Option<&Object>) {
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
        let report = link.reports.get(&object.name).map(|(_, report)| report).filter(|r| r.uid == object.uid);
        let reported = report.is_some_and(|r| r.generation == object.generation && r.digest == object.digest);
        View {
            nodes: link.pods.values().any(|pod| pod.client.is_some()),
            silent: link.silent_since.map_or(Duration::ZERO, |since| since.elapsed()),
            current: acked || reported,
            report: report.cloned(),
        }
    }

    /// Objects that the pods of a service have.
    pub fn reported(&self, service: &ServiceKey) -> Vec<(ObjectName, String)> {
        let links = self.lock();
        let all = links.get(service).into_iter().flat_map(|link| link.reports.values());
        all.map(|(_, report)| (report.name.clone(), report.uid.clone())).collect()
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
    /// Begins or ends the silence.
    fn settle(&mut self) {
        if self.pods.values().any(|pod| pod.client.is_some()) {
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
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[allow(clippy::needless_pass_by_value, reason = "json! stands at the call")]
    fn slice(namespace: &str, service: &str, ports: Value, endpoints: Value) -> EndpointSlice {
        serde_json::from_value(json!({
            "metadata": {"namespace": namespace, "labels": {CONTROL: service}},
            "addressType": "IPv4", "ports": ports, "endpoints": endpoints,
        }))
        .unwrap()
    }

    #[test]
    fn endpoints_are_those_of_the_service_that_do_not_end() {
        let two = json!([{"name": "admin", "port": 1}, {"name": "control", "port": 2}]);
        let slices = [
            slice("a", "chat", two.clone(), json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": false}}])),
            slice("a", "chat", two.clone(), json!([{"addresses": ["10.0.0.2"], "conditions": {"terminating": true}}])),
            slice("a", "other", two.clone(), json!([{"addresses": ["10.0.0.3"]}])),
            slice("b", "chat", two, json!([{"addresses": ["10.0.0.4"]}])),
            slice("a", "chat", json!([{"port": 9}]), json!([{"addresses": ["pod.localhost"]}])),
            slice("a", "chat", json!([{"name": "x", "port": 9}, {"name": "y", "port": 8}]), json!([])),
        ];
        let found: Vec<_> = endpoints(&slices, &("a".to_owned(), "chat".to_owned())).into_iter().collect();
        let expected = [("10.0.0.1", 2), ("pod.localhost", 9)];
        assert_eq!(found, expected.map(|(host, port)| Endpoint { host: host.to_owned(), port }));
    }

    #[tokio::test]
    async fn localhost_is_here() {
        for host in ["localhost", "pod-0.localhost", "127.0.0.1"] {
            let endpoint = Endpoint { host: host.to_owned(), port: 5 };
            assert_eq!(resolve(&endpoint).await.unwrap(), "127.0.0.1:5".parse().unwrap());
        }
    }
}
