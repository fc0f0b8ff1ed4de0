//! First step: everything that is declared, as one picture, with the Secrets that it refers to.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::runtime::reflector::{Lookup, Store};
use warren_crds::{Declared, FederatedRoom, MucService};
use warren_model::{ObjectKind, ObjectName};

use crate::secrets::{SecretName, SecretWatches};
use crate::stores::{Read, Stores};

/// One picture.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// All that can be read, by namespace and name.
    pub declared: Declared,
    /// Objects that cannot be read, and why.
    pub unreadable: Vec<(ObjectName, ObjectMeta, String)>,
    /// Secrets of which nobody knows yet whether they exist: who refers to them is not judged.
    pub pending: BTreeSet<SecretName>,
    /// Contents of the Secrets of `spec.tls`.
    pub certificates: Vec<(SecretName, Pem)>,
}

/// Certificate, key and authorities.
#[derive(Clone, PartialEq, Eq)]
pub struct Pem {
    /// `tls.crt`.
    pub cert: Vec<u8>,
    /// `tls.key`.
    pub key: Vec<u8>,
    /// `ca.crt`.
    pub ca: Vec<u8>,
}

/// All but the contents.
impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pem")
    }
}

/// Takes the picture.
pub fn dereference(stores: &Stores, secrets: &SecretWatches) -> Snapshot {
    let mut snapshot = Snapshot::default();
    snapshot.declared.services = readable(&stores.services, ObjectKind::MucService, &mut snapshot.unreadable);
    snapshot.declared.peers = readable(&stores.peers, ObjectKind::FederationPeer, &mut snapshot.unreadable);
    snapshot.declared.rooms = readable(&stores.rooms, ObjectKind::FederatedRoom, &mut snapshot.unreadable);
    let wanted = wanted(&snapshot.declared);
    secrets.want(&wanted);
    for name in wanted {
        match secrets.get(&name) {
            None => drop(snapshot.pending.insert(name)),
            Some(None) => {}
            Some(Some(secret)) => {
                let data = |key: &str| Some(secret.data.as_ref()?.get(key)?.0.clone());
                if let (Some(cert), Some(key), Some(ca)) = (data("tls.crt"), data("tls.key"), data("ca.crt")) {
                    snapshot.certificates.push((name, Pem { cert, key, ca }));
                }
                snapshot.declared.secrets.add(&secret);
            }
        }
    }
    snapshot
}

fn readable<K>(store: &Store<Read<K>>, kind: ObjectKind, bad: &mut Vec<(ObjectName, ObjectMeta, String)>) -> Vec<K>
where
    K: Resource + Clone + 'static,
    Read<K>: Lookup + Resource,
    <Read<K> as Lookup>::DynamicType: Eq + std::hash::Hash + Clone,
{
    let mut all = store.state();
    all.sort_by_key(|o| (o.meta().namespace.clone(), o.meta().name.clone()));
    let mut good = Vec::with_capacity(all.len());
    for object in all {
        match &object.0 {
            Ok(object) => good.push(object.clone()),
            Err(invalid) => {
                let name = ObjectName {
                    kind,
                    namespace: invalid.metadata.namespace.clone().unwrap_or_default(),
                    name: invalid.metadata.name.clone().unwrap_or_default(),
                };
                bad.push((name, invalid.metadata.clone(), invalid.error.clone()));
            }
        }
    }
    good
}

/// The Secrets that a service refers to.
pub fn of_service(service: &MucService) -> Vec<SecretName> {
    let spec = &service.spec;
    let component = spec.transport.component.as_ref().map(|c| &c.secret_ref.name);
    let dsn = spec.store.as_ref().and_then(|s| s.postgres.as_ref()).map(|p| &p.dsn_secret_ref.name);
    let tls = spec.tls.as_ref().map(|t| &t.secret_name);
    let namespace = service.metadata.namespace.clone().unwrap_or_default();
    [component, dsn, tls].into_iter().flatten().map(|name| (namespace.clone(), name.clone())).collect()
}

/// The Secret that a room refers to.
pub fn of_room(room: &FederatedRoom) -> Option<SecretName> {
    let reference = room.spec.config.as_ref()?.password_secret_ref.as_ref()?;
    Some((room.metadata.namespace.clone().unwrap_or_default(), reference.name.clone()))
}

fn wanted(declared: &Declared) -> BTreeSet<SecretName> {
    let services = declared.services.iter().flat_map(of_service);
    services.chain(declared.rooms.iter().filter_map(of_room)).collect()
}
