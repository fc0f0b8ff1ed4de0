//! Third step, pure: the plan. For each object what the pods are to be told of it, or why nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use warren_crds::service::ServiceDeletion;
use warren_crds::status::LinkDirection;
use warren_crds::{FederatedRoom, MucService, Validated};
use warren_model::{Generation, Object, ObjectKind, ObjectName};

use crate::PAUSED;
use crate::dereference::{Pem, Snapshot};
use crate::validate::{Judged, Refusal};
use crate::workload::{Child, children, selector_text};

/// A `MucService`: namespace and name.
pub type ServiceKey = (String, String);

/// What is known of one object before anybody is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Which one.
    pub name: ObjectName,
    /// Identity over time.
    pub uid: String,
    /// Of the declaration.
    pub generation: Generation,
    /// Somebody wants it gone.
    pub deleting: bool,
    /// Its configuration stays as it is in the pods.
    pub paused: bool,
    /// Services whose pods are told. Empty: there is none any more.
    pub services: Vec<ServiceKey>,
    /// What they are told.
    pub verdict: Verdict,
    /// What else the kind has.
    pub facts: Facts,
}

/// What becomes of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Pods are told this.
    Accepted(Box<Object>),
    /// Pods are told nothing.
    Refused(Refusal),
    /// A Secret has not been read yet.
    Waiting,
}

/// What only one kind has.
#[derive(Clone, Debug, PartialEq)]
pub enum Facts {
    /// Of a service.
    Service {
        /// Deployment and Service.
        children: Vec<Child>,
        /// Labels of its pods; `None`: the operator runs none.
        selector: Option<String>,
        /// Rooms that name it.
        rooms: BTreeSet<ObjectName>,
        /// Those that are accepted.
        accepted: usize,
        /// It may go while there are rooms.
        orphan: bool,
        /// With whom control is spoken; `None`: in the clear.
        tls: Option<Pem>,
        /// `spec.tls` is there.
        wants_tls: bool,
    },
    /// Of a peer.
    Peer,
    /// Of a room.
    Room {
        /// Its address, if it has one.
        jid: Option<String>,
        /// Peers that it names.
        peers: Vec<PeerOfRoom>,
    },
}

/// A peer that a room names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerOfRoom {
    /// Name of the `FederationPeer`.
    pub name: String,
    /// Its domain.
    pub domain: String,
    /// Who joins whom.
    pub direction: LinkDirection,
    /// Counts towards Ready.
    pub required: bool,
}

/// Everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// By kind, namespace, name.
    pub items: BTreeMap<ObjectName, Arc<Item>>,
}

impl Plan {
    /// Objects that differ from those of `before`, with those that are gone.
    pub fn changed(&self, before: &Self) -> Vec<ObjectName> {
        let new = self.items.iter().filter(|(name, item)| before.items.get(*name) != Some(item));
        let gone = before.items.keys().filter(|name| !self.items.contains_key(*name));
        new.map(|(name, _)| name).chain(gone).cloned().collect()
    }

    /// Whether an object of that uid is wanted.
    pub fn has_uid(&self, uid: &str) -> bool {
        self.items.values().any(|item| item.uid == uid)
    }

    /// Objects whose pods are those of a service.
    pub fn of_service(&self, service: &ServiceKey) -> impl Iterator<Item = &Arc<Item>> {
        self.items.values().filter(move |item| item.services.contains(service))
    }
}

/// Makes the plan. `image`: for services that name none.
pub fn build(snapshot: &Snapshot, validated: &Validated<'_>, judged: Judged, image: &str) -> Plan {
    let mut objects: BTreeMap<ObjectName, Object> =
        warren_crds::build(validated).into_iter().map(|o| (o.name.clone(), o)).collect();
    let Judged { mut refusals, waiting } = judged;
    let mut verdict = |name: &ObjectName| match (objects.remove(name), refusals.remove(name)) {
        _ if waiting.contains(name) => Verdict::Waiting,
        (Some(object), None) => Verdict::Accepted(Box::new(object)),
        (_, Some(refusal)) => Verdict::Refused(refusal),
        (None, None) => Verdict::Waiting,
    };
    let declared = &snapshot.declared;
    let mut plan = Plan::default();
    let live: BTreeSet<ServiceKey> = declared
        .services
        .iter()
        .filter(|s| s.metadata.deletion_timestamp.is_none())
        .map(|s| service_key(&s.metadata))
        .collect();

    for (name, meta, _) in &snapshot.unreadable {
        let facts = match name.kind {
            ObjectKind::FederatedRoom => Facts::Room { jid: None, peers: Vec::new() },
            _ => Facts::Peer,
        };
        plan.add(item(name.clone(), meta, Vec::new(), verdict(name), facts));
    }
    for peer in &declared.peers {
        let name = name(ObjectKind::FederationPeer, peer.meta());
        let services = live.iter().filter(|(namespace, _)| *namespace == name.namespace).cloned().collect();
        let verdict = verdict(&name);
        plan.add(item(name, peer.meta(), services, verdict, Facts::Peer));
    }
    let mut rooms: BTreeMap<ServiceKey, (BTreeSet<ObjectName>, usize)> = BTreeMap::new();
    for room in &declared.rooms {
        let name = name(ObjectKind::FederatedRoom, room.meta());
        let verdict = verdict(&name);
        let service = service_of(room);
        let counts = rooms.entry(service.clone()).or_default();
        if room.metadata.deletion_timestamp.is_none() {
            counts.0.insert(name.clone());
            counts.1 += usize::from(matches!(verdict, Verdict::Accepted(_)));
        }
        let facts = Facts::Room { jid: jid(&verdict), peers: peers(room, &service.0, snapshot) };
        let services = live.get(&service).into_iter().cloned().collect();
        plan.add(item(name, room.meta(), services, verdict, facts));
    }
    for service in &declared.services {
        let name = name(ObjectKind::MucService, service.meta());
        let mut verdict = verdict(&name);
        let key = service_key(service.meta());
        let wants_tls = service.spec.tls.is_some();
        let tls = service.spec.tls.as_ref().and_then(|tls| {
            let secret = (key.0.clone(), tls.secret_name.clone());
            snapshot.certificates.iter().find(|(name, _)| *name == secret).map(|(_, pem)| pem.clone())
        });
        if wants_tls && tls.is_none() && matches!(verdict, Verdict::Accepted(_)) {
            let secret = service.spec.tls.as_ref().map(|t| (key.0.clone(), t.secret_name.clone()));
            let unknown = secret.is_some_and(|secret| snapshot.pending.contains(&secret));
            verdict = if unknown { Verdict::Waiting } else { Verdict::Refused(no_certificates(service)) };
        }
        let (named, accepted) = rooms.remove(&key).unwrap_or_default();
        let facts = Facts::Service {
            children: children(service, image),
            selector: service.spec.store.as_ref().map(|_| selector_text(service)),
            rooms: named,
            accepted,
            orphan: service.spec.deletion_policy == Some(ServiceDeletion::Orphan),
            tls,
            wants_tls,
        };
        plan.add(item(name, service.meta(), vec![key], verdict, facts));
    }
    plan
}

impl Plan {
    fn add(&mut self, item: Item) {
        self.items.insert(item.name.clone(), Arc::new(item));
    }
}

fn no_certificates(service: &MucService) -> Refusal {
    let secret = service.spec.tls.as_ref().map(|t| t.secret_name.as_str()).unwrap_or_default();
    Refusal {
        reason: "SecretNotFound".to_owned(),
        message: format!(
            "spec.tls.secretName: there is no Secret {secret:?} with tls.crt, tls.key and ca.crt; make it, as \
             cert-manager does from a Certificate"
        ),
    }
}

fn item(name: ObjectName, meta: &ObjectMeta, services: Vec<ServiceKey>, verdict: Verdict, facts: Facts) -> Item {
    Item {
        name,
        uid: meta.uid.clone().unwrap_or_default(),
        generation: Generation(meta.generation.unwrap_or(1)),
        deleting: meta.deletion_timestamp.is_some(),
        paused: meta.annotations.as_ref().is_some_and(|a| a.get(PAUSED).is_some_and(|v| v == "true")),
        services,
        verdict,
        facts,
    }
}

fn name(kind: ObjectKind, meta: &ObjectMeta) -> ObjectName {
    let (namespace, name) = service_key(meta);
    ObjectName { kind, namespace, name }
}

fn service_key(meta: &ObjectMeta) -> ServiceKey {
    (meta.namespace.clone().unwrap_or_else(|| "default".to_owned()), meta.name.clone().unwrap_or_default())
}

/// The service that a room names.
pub fn service_of(room: &FederatedRoom) -> ServiceKey {
    let reference = &room.spec.service_ref;
    let namespace = reference.namespace.clone().or_else(|| room.metadata.namespace.clone());
    (namespace.unwrap_or_else(|| "default".to_owned()), reference.name.clone())
}

fn jid(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Accepted(object) => match &object.body {
            warren_model::Body::Room { jid, .. } => Some(jid.to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn peers(room: &FederatedRoom, namespace: &str, snapshot: &Snapshot) -> Vec<PeerOfRoom> {
    let Some(federation) = &room.spec.federation else { return Vec::new() };
    let uplinks = federation.uplink.iter().flat_map(|u| &u.candidates).map(|c| (&c.peer, LinkDirection::Uplink));
    let downlinks = federation.downlinks.iter().map(|d| (&d.peer, LinkDirection::Downlink));
    let mut all: Vec<PeerOfRoom> = Vec::new();
    for (peer, direction) in uplinks.chain(downlinks) {
        let is = |p: &&warren_crds::FederationPeer| {
            p.metadata.namespace.as_deref() == Some(namespace) && p.metadata.name.as_deref() == Some(peer)
        };
        let Some(found) = snapshot.declared.peers.iter().find(is) else { continue };
        // Status lists a peer once, and joining says more than being joined.
        if all.iter().all(|p| p.name != *peer) {
            all.push(PeerOfRoom {
                name: peer.clone(),
                domain: found.spec.domain.clone(),
                direction,
                required: federation.required.contains(peer),
            });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::validate;
    use serde_json::{Value, json};

    fn object<T: serde::de::DeserializeOwned>(kind: &str, name: &str, spec: &Value) -> T {
        serde_json::from_value(json!({"apiVersion": "warren.chat/v1alpha1", "kind": kind, "spec": spec,
            "metadata": {"name": name, "namespace": "chat", "uid": format!("uid-{name}"), "generation": 3}}))
        .unwrap()
    }

    /// A service, a peer and a room that names both.
    fn site() -> Snapshot {
        let mut snapshot = Snapshot::default();
        let secret = json!({"metadata": {"name": "s", "namespace": "chat"}, "stringData": {"k": "v"}});
        snapshot.declared.secrets.add(&serde_json::from_value(secret).unwrap());
        let service = json!({"domain": "rooms.lit", "homeDomains": ["lit"],
            "transport": {"component": {"host": "h", "port": 1, "secretRef": {"name": "s", "key": "k"}}}});
        snapshot.declared.services.push(object("MucService", "rooms", &service));
        let peer = json!({"domain": "talk.lit", "vouch": {"any": true}});
        snapshot.declared.peers.push(object("FederationPeer", "talk", &peer));
        let room = json!({"serviceRef": {"name": "rooms"}, "federation": {"jidExposure": "Real", "required": ["talk"],
            "downlinks": [{"peer": "talk"}],
            "uplink": {"sync": "WhenOccupied", "candidates": [{"peer": "talk"}]}}});
        snapshot.declared.rooms.push(object("FederatedRoom", "tea", &room));
        snapshot
    }

    fn plan(snapshot: &Snapshot) -> Plan {
        let (validated, judged) = validate(snapshot);
        build(snapshot, &validated, judged, "image")
    }

    fn of<'a>(plan: &'a Plan, name: &str) -> &'a Item {
        plan.items.values().find(|item| item.name.name == name).unwrap()
    }

    #[test]
    fn everything_goes_to_the_pods_of_its_service() {
        let plan = plan(&site());
        let key = ("chat".to_owned(), "rooms".to_owned());
        assert_eq!(plan.of_service(&key).count(), 3);
        let tea = of(&plan, "tea");
        let Verdict::Accepted(object) = &tea.verdict else { panic!("{tea:?}") };
        assert_eq!((object.uid.as_str(), object.generation), ("uid-tea", Generation(3)));
        let Facts::Room { jid, peers } = &tea.facts else { panic!("{tea:?}") };
        assert_eq!(jid.as_deref(), Some("tea@rooms.lit"));
        let [peer] = peers.as_slice() else { panic!("a peer is listed once: {peers:?}") };
        assert_eq!((peer.domain.as_str(), peer.direction, peer.required), ("talk.lit", LinkDirection::Uplink, true));
        let Facts::Service { rooms, accepted, .. } = &of(&plan, "rooms").facts else { panic!() };
        assert_eq!((rooms.len(), *accepted), (1, 1));
        assert!(plan.has_uid("uid-tea") && !plan.has_uid("uid-coffee"));
    }

    #[test]
    fn only_what_differs_is_looked_at() {
        let mut snapshot = site();
        let before = plan(&snapshot);
        assert_eq!(plan(&snapshot).changed(&before), [], "the same again");
        // Our own writes change nothing of the plan.
        let meta = &mut snapshot.declared.rooms[0].metadata;
        meta.resource_version = Some("77".to_owned());
        meta.finalizers = Some(vec![crate::FINALIZER.to_owned()]);
        assert_eq!(plan(&snapshot).changed(&before), []);
        snapshot.declared.rooms[0].spec.title = Some("Tea".to_owned());
        let changed: Vec<_> = plan(&snapshot).changed(&before).into_iter().map(|n| n.name).collect();
        assert_eq!(changed, ["tea"]);
        snapshot.declared.rooms.clear();
        let mut changed: Vec<_> = plan(&snapshot).changed(&before).into_iter().map(|n| n.name).collect();
        changed.sort();
        assert_eq!(changed, ["rooms", "tea"], "what is gone, and who counts it");
    }

    #[test]
    fn a_rotated_secret_is_a_change() {
        let mut snapshot = site();
        let before = plan(&snapshot);
        let secret = json!({"metadata": {"name": "s", "namespace": "chat"}, "stringData": {"k": "new"}});
        snapshot.declared.secrets.add(&serde_json::from_value(secret).unwrap());
        let changed: Vec<_> = plan(&snapshot).changed(&before).into_iter().map(|n| n.name).collect();
        assert_eq!(changed, ["rooms"]);
    }

    #[test]
    fn a_service_that_goes_lets_its_rooms_go() {
        let mut snapshot = site();
        snapshot.declared.services[0].metadata.deletion_timestamp = Some(crate::report::now());
        let plan = plan(&snapshot);
        assert!(of(&plan, "tea").services.is_empty(), "nobody need be asked");
        assert!(of(&plan, "rooms").deleting);
    }

    #[test]
    fn certificates_are_needed_when_they_are_named() {
        let mut snapshot = site();
        snapshot.declared.services[0].spec.tls = Some(serde_json::from_value(json!({"secretName": "certs"})).unwrap());
        let Verdict::Refused(refusal) = of(&plan(&snapshot), "rooms").verdict.clone() else { panic!() };
        assert_eq!(refusal.reason, "SecretNotFound");
        assert!(refusal.message.contains("spec.tls.secretName"), "{}", refusal.message);
        snapshot.pending.insert(("chat".to_owned(), "certs".to_owned()));
        assert_eq!(of(&plan(&snapshot), "rooms").verdict, Verdict::Waiting);
    }

    #[test]
    fn an_object_that_cannot_be_read_costs_only_itself() {
        let mut snapshot = site();
        let name = ObjectName { kind: ObjectKind::FederatedRoom, namespace: "chat".to_owned(), name: "odd".to_owned() };
        snapshot.unreadable.push((name, ObjectMeta::default(), "unknown variant".to_owned()));
        let plan = plan(&snapshot);
        assert!(matches!(&of(&plan, "odd").verdict, Verdict::Refused(r) if r.reason == "InvalidObject"));
        assert!(matches!(of(&plan, "tea").verdict, Verdict::Accepted(_)));
    }
}
