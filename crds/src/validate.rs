//! The pure step between reading and building: cross-object and semantic checks.
//!
//! It says everything that is wrong, not only the first thing, and hands on only what is right, already resolved:
//! what `build` makes of it cannot fail.

mod common;
mod peer;
mod room;
mod service;
#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "json! stands at the call")]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jid::BareJid;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use warren_model::{PeerConfig, RoomConfig, ServiceConfig};

use crate::peer::FederationPeer;
use crate::problem::{Finding, Problem, Reason, Resource};
use crate::room::FederatedRoom;
use crate::secrets::Secrets;
use crate::service::MucService;

pub(crate) use service::for_kubernetes;

/// Everything that is declared, as read from an API server or from manifests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declared {
    /// All `MucService`s.
    pub services: Vec<MucService>,
    /// All `FederationPeer`s.
    pub peers: Vec<FederationPeer>,
    /// All `FederatedRoom`s.
    pub rooms: Vec<FederatedRoom>,
    /// The Secrets that they refer to.
    pub secrets: Secrets,
}

/// What may be built, in the order of the declaration, and what is wrong with the rest.
#[derive(Debug)]
pub struct Validated<'a> {
    /// Services without a problem.
    pub services: Vec<Accepted<'a, ServiceConfig>>,
    /// Peers without a problem.
    pub peers: Vec<Accepted<'a, PeerConfig>>,
    /// Rooms without a problem.
    pub rooms: Vec<Accepted<'a, AcceptedRoom>>,
    /// Everything that is wrong: services, then peers, then rooms.
    pub problems: Vec<Problem>,
}

/// An object without a problem.
#[derive(Debug)]
pub struct Accepted<'a, T> {
    /// Whose.
    pub resource: Resource,
    /// uid and generation, as given by the caller.
    pub meta: &'a ObjectMeta,
    /// What it says, resolved.
    pub body: T,
}

/// A room without a problem.
#[derive(Debug)]
pub struct AcceptedRoom {
    /// Its address.
    pub jid: BareJid,
    /// Its configuration.
    pub config: RoomConfig,
    /// `deletionPolicy: Destroy`.
    pub destroy_on_delete: bool,
}

/// Objects of one kind by namespace and name; those that are refused stay, so that who refers to them learns it.
struct Index<'a, T> {
    all: BTreeMap<(&'a str, &'a str), &'a T>,
    refused: BTreeSet<Resource>,
}

/// What later checks may look at.
struct World<'a> {
    services: Index<'a, MucService>,
    peers: Index<'a, FederationPeer>,
    secrets: &'a Secrets,
    /// Whoever declares one of these objects may read all of them, as with manifests: then messages name what is in
    /// other namespaces.
    open: bool,
}

pub(crate) fn namespace(meta: &ObjectMeta) -> &str {
    meta.namespace.as_deref().unwrap_or("default")
}

pub(crate) fn name(meta: &ObjectMeta) -> &str {
    meta.name.as_deref().unwrap_or_default()
}

fn resource(kind: &str, meta: &ObjectMeta) -> Resource {
    Resource::new(kind, namespace(meta), name(meta))
}

impl<'a, T> Index<'a, T> {
    fn new(objects: &'a [T], meta: impl Fn(&T) -> &ObjectMeta) -> Self {
        let all = objects.iter().map(|o| ((namespace(meta(o)), name(meta(o))), o)).collect();
        Self { all, refused: BTreeSet::new() }
    }

    fn get(&self, namespace: &str, name: &str) -> Option<&'a T> {
        self.all.get(&(namespace, name)).copied()
    }

    fn in_namespace(&self, namespace: &str) -> impl Iterator<Item = &'a T> {
        self.all.iter().filter(move |((ns, _), _)| *ns == namespace).map(|(_, o)| *o)
    }

    /// The name that is most like `name` in `namespace`.
    fn like(&self, namespace: &str, name: &str) -> Option<&'a str> {
        let names = self.all.keys().filter(|(ns, _)| *ns == namespace).map(|(_, n)| *n);
        crate::suggest::closest(name, names)
    }
}

/// Says what is right and what is wrong with `declared`. Deterministic: the same input gives the same output.
pub fn validate(declared: &Declared) -> Validated<'_> {
    check_all(declared, namespace, false)
}

/// The same where one pod serves all namespaces, as from manifests: then they share their peers' domains.
pub(crate) fn validate_site(declared: &Declared) -> Validated<'_> {
    check_all(declared, |_| "", true)
}

/// `scope` says among which peers a domain is unique.
fn check_all(declared: &Declared, scope: fn(&ObjectMeta) -> &str, open: bool) -> Validated<'_> {
    let mut world = World {
        services: Index::new(&declared.services, |o| &o.metadata),
        peers: Index::new(&declared.peers, |o| &o.metadata),
        secrets: &declared.secrets,
        open,
    };
    let mut problems = Vec::new();

    let mut services = Vec::new();
    for object in &declared.services {
        let mut finding = Finding::of(resource("MucService", &object.metadata));
        let body = service::check(object, &world, &mut finding);
        settle(&mut services, &mut problems, finding, &object.metadata, body);
    }
    let domains: Vec<_> =
        declared.services.iter().map(|o| (&o.metadata, "MucService", o.spec.domain.clone())).collect();
    conflicts(&mut services, &mut problems, &domains, "spec.domain", "domain", open);
    world.services.refused = refused(&problems);

    let mut peers = Vec::new();
    for object in &declared.peers {
        let mut finding = Finding::of(resource("FederationPeer", &object.metadata));
        let body = peer::check(object, &world, &mut finding);
        settle(&mut peers, &mut problems, finding, &object.metadata, body);
    }
    // Services of other namespaces may have the same peer, each on its own terms.
    let scopes: BTreeSet<_> = declared.peers.iter().map(|o| scope(&o.metadata)).collect();
    for one in scopes {
        let domains: Vec<_> = declared
            .peers
            .iter()
            .filter(|o| scope(&o.metadata) == one)
            .map(|o| (&o.metadata, "FederationPeer", o.spec.domain.clone()))
            .collect();
        conflicts(&mut peers, &mut problems, &domains, "spec.domain", "domain", open);
    }
    world.peers.refused = refused(&problems);

    let mut rooms: Vec<Accepted<'_, AcceptedRoom>> = Vec::new();
    let mut addresses = Vec::new();
    for object in &declared.rooms {
        let mut finding = Finding::of(resource("FederatedRoom", &object.metadata));
        if let Some(jid) = room::address(object, &world) {
            addresses.push((&object.metadata, "FederatedRoom", jid.to_string()));
        }
        let body = room::check(object, &world, &mut finding);
        settle(&mut rooms, &mut problems, finding, &object.metadata, body);
    }
    conflicts(&mut rooms, &mut problems, &addresses, "spec.localpart", "address", open);

    let order =
        |p: &Problem| ["MucService", "FederationPeer", "FederatedRoom"].iter().position(|k| *k == p.resource.kind);
    problems.sort_by_key(order);
    Validated { services, peers, rooms, problems }
}

/// Files an object under what may be built or under what is wrong.
fn settle<'a, T>(
    accepted: &mut Vec<Accepted<'a, T>>,
    problems: &mut Vec<Problem>,
    finding: Finding,
    meta: &'a ObjectMeta,
    body: Option<T>,
) {
    match body {
        Some(body) if finding.problems.is_empty() => {
            accepted.push(Accepted { resource: finding.resource, meta, body });
        }
        _ => problems.extend(finding.problems),
    }
}

fn refused(problems: &[Problem]) -> BTreeSet<Resource> {
    problems.iter().map(|p| p.resource.clone()).collect()
}

/// Refuses objects with one `key`. With creation times (from an API server) the oldest keeps it, so that nobody
/// takes an address away by claiming it; without them (manifests) there is no telling, and all are refused.
fn conflicts<T>(
    accepted: &mut Vec<Accepted<'_, T>>,
    problems: &mut Vec<Problem>,
    keys: &[(&ObjectMeta, &str, String)],
    field: &str,
    what: &str,
    open: bool,
) {
    let mut holders: BTreeMap<&str, Vec<(&ObjectMeta, &str)>> = BTreeMap::new();
    for (meta, kind, key) in keys {
        holders.entry(key).or_default().push((meta, kind));
    }
    for (key, mut metas) in holders.into_iter().filter(|(_, m)| m.len() > 1) {
        let oldest_keeps = metas.iter().all(|(m, _)| m.creation_timestamp.is_some());
        if oldest_keeps {
            metas.sort_by_key(|(m, _)| (m.creation_timestamp.clone(), m.uid.clone()));
        }
        for (at, (meta, kind)) in metas.iter().enumerate().skip(usize::from(oldest_keeps)) {
            let this = resource(kind, meta);
            let called = |kind: &str, other: &ObjectMeta| {
                if open || namespace(other) == namespace(meta) {
                    resource(kind, other).to_string()
                } else {
                    format!("a {kind} of another namespace")
                }
            };
            let others: Vec<_> = if oldest_keeps {
                vec![called(metas[0].1, metas[0].0)]
            } else {
                let rest = metas.iter().enumerate().filter(|(other, _)| *other != at);
                rest.map(|(_, (m, k))| called(k, m)).collect()
            };
            let mut finding = Finding::of(this.clone());
            finding.refuse(
                field,
                Reason::JidConflict,
                format!("the {what} {key} is also declared by {}", others.join(", ")),
                format!("give one of them another {what}, or delete it"),
            );
            accepted.retain(|a| a.resource != this);
            problems.extend(finding.problems);
        }
    }
}
