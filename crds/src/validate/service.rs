//! Checks of `MucService`.

use std::net::IpAddr;

use warren_model::{ComponentConfig, ServiceConfig, ServiceTimers};

use super::common::{GRACE, PING, SUSPECT, WAIT, any, domain, domains, duration, later, not_yet};
use super::{World, namespace};
use crate::problem::{Finding, Reason};
use crate::service::{
    ComponentSpec, MucService, MucServiceSpec, NamespacesFrom, RoomCreation, ServiceDeletion, ServiceTimersSpec,
    StatusDetail, Transport,
};

pub(super) fn check(object: &MucService, world: &World<'_>, finding: &mut Finding) -> Option<ServiceConfig> {
    let spec = &object.spec;
    let service_domain = domain("spec.domain", &spec.domain, finding);
    let home_domains = domains("spec.homeDomains", &spec.home_domains, finding);
    if home_domains.is_empty() && spec.home_domains.is_empty() {
        finding.refuse(
            "spec.homeDomains",
            Reason::InvalidObject,
            "no domain of our own users is given",
            "list them: nobody else may vouch for their users",
        );
    }
    for (i, home) in spec.home_domains.iter().enumerate().filter(|(_, home)| **home == spec.domain) {
        finding.refuse(
            format!("spec.homeDomains[{i}]"),
            Reason::InvalidObject,
            format!("{home} is the domain of the rooms, and rooms are not users"),
            "list the domains of the users' addresses",
        );
    }
    let component = transport(&spec.transport, finding)
        .and_then(|spec| component(spec, namespace(&object.metadata), world, finding));
    let from = spec.allowed_rooms.as_ref().and_then(|a| a.namespaces.as_ref()).map(|n| n.from).unwrap_or_default();
    if from == NamespacesFrom::Selector {
        not_yet("spec.allowedRooms.namespaces.from", "Selector", "write Same or All", finding);
    }
    let selector = spec.allowed_rooms.as_ref().and_then(|a| a.namespaces.as_ref()).and_then(|n| n.selector.as_ref());
    if selector.is_some() != (from == NamespacesFrom::Selector) {
        finding.refuse(
            "spec.allowedRooms.namespaces.selector",
            Reason::InvalidObject,
            "selector goes with from: Selector, and only with that",
            "delete the one that is not meant",
        );
    }
    unsupported(spec, finding);
    workload(spec, namespace(&object.metadata), world, finding);
    let timers = timers(spec.timers.as_ref(), finding);
    Some(ServiceConfig { domain: service_domain?, home_domains, component: component?, timers })
}

/// Whether rooms of `other` may name `service`.
pub(super) fn takes(service: &MucService, other: &str) -> bool {
    let from = service.spec.allowed_rooms.as_ref().and_then(|a| a.namespaces.as_ref()).map(|n| n.from);
    namespace(&service.metadata) == other || from == Some(NamespacesFrom::All)
}

/// The component, which is the one transport that works.
fn transport<'a>(spec: &'a Transport, finding: &mut Finding) -> Option<&'a ComponentSpec> {
    let remedy = "write component, with host, port and secretRef";
    match (&spec.component, &spec.s2s) {
        (Some(component), None) => return Some(component),
        (None, Some(_)) => not_yet("spec.transport.s2s", "s2s", remedy, finding),
        (given, _) => {
            let given = if given.is_some() { "both are" } else { "neither is" };
            let message = format!("exactly one of component and s2s is needed, and {given} given");
            finding.refuse("spec.transport", Reason::InvalidObject, message, remedy);
        }
    }
    None
}

/// What is part of the API and does not work yet.
fn unsupported(spec: &MucServiceSpec, finding: &mut Finding) {
    if spec.room_creation != RoomCreation::Nobody {
        not_yet(
            "spec.roomCreation",
            &format!("{:?}", spec.room_creation),
            "write Nobody, or delete the field",
            finding,
        );
    }
    later("spec.admins", any(&spec.admins), finding);
    later("spec.limits", spec.limits.as_ref(), finding);
    if let Some(archive) = &spec.archive {
        if archive.enabled {
            not_yet("spec.archive.enabled", "the archive", "write false, or delete archive", finding);
        }
        later("spec.archive.maxAge", archive.max_age.as_ref(), finding);
    }
    later("spec.podTemplate", spec.pod_template.as_ref(), finding);
    later("spec.networking", spec.networking.as_ref(), finding);
    if spec.status_detail == StatusDetail::Sampled {
        not_yet("spec.statusDetail", "Sampled", "write Transitions, or delete the field", finding);
    }
    if spec.deletion_policy == Some(ServiceDeletion::Cascade) {
        not_yet("spec.deletionPolicy", "Cascade", "write Orphan, or delete the field", finding);
    }
}

/// What pods are made of. The values themselves matter to Kubernetes only.
fn workload(spec: &MucServiceSpec, ns: &str, world: &World<'_>, finding: &mut Finding) {
    let Some(store) = &spec.store else { return };
    match (&store.sqlite, &store.postgres) {
        (Some(_), None) if spec.replicas.is_some_and(|n| n > 1) => {
            finding.refuse(
                "spec.replicas",
                Reason::InvalidObject,
                "a service on SQLite has one pod at most",
                "write 1, or store.postgres",
            );
        }
        (Some(_), None) => {}
        (None, Some(postgres)) => {
            world.secrets.resolve(ns, "spec.store.postgres.dsnSecretRef", &postgres.dsn_secret_ref, finding);
        }
        (given, _) => {
            let given = if given.is_some() { "both are" } else { "neither is" };
            let message = format!("exactly one of sqlite and postgres is needed, and {given} given");
            finding.refuse("spec.store", Reason::InvalidObject, message, "delete one, or store");
        }
    }
    if spec.tls.is_none() {
        finding.refuse(
            "spec.tls",
            Reason::InvalidObject,
            "pods that the operator runs need certificates: configuration travels to them over mTLS",
            "write tls.secretName, or delete store and run the pods yourself",
        );
    }
}

/// The fields that say how pods are run, if they are there: nobody acts on them without Kubernetes.
pub(crate) fn for_kubernetes(spec: &MucServiceSpec) -> Vec<&'static str> {
    [
        ("spec.store", spec.store.is_some()),
        ("spec.tls", spec.tls.is_some()),
        ("spec.replicas", spec.replicas.is_some()),
        ("spec.image", spec.image.is_some()),
        ("spec.resources", spec.resources.is_some()),
        ("spec.deletionPolicy", spec.deletion_policy.is_some()),
    ]
    .into_iter()
    .filter_map(|(field, given)| given.then_some(field))
    .collect()
}

fn component(spec: &ComponentSpec, ns: &str, world: &World<'_>, finding: &mut Finding) -> Option<ComponentConfig> {
    let host = &spec.host;
    let is_name = !host.is_empty()
        && host.len() <= 253
        && !host.starts_with(['-', '.'])
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    if !is_name && host.parse::<IpAddr>().is_err() {
        finding.refuse(
            "spec.transport.component.host",
            Reason::InvalidObject,
            format!("{host:?} is not a host name or IP address"),
            if host.contains(':') {
                "write the port in its own field, and no scheme"
            } else {
                "write one, such as xmpp.example.org"
            },
        );
    }
    let port = u16::try_from(spec.port).ok().filter(|p| *p > 0);
    if port.is_none() {
        finding.refuse(
            "spec.transport.component.port",
            Reason::InvalidObject,
            format!("{} is not a port", spec.port),
            "write a number of 1 to 65535",
        );
    }
    let secret = world.secrets.resolve(ns, "spec.transport.component.secretRef", &spec.secret_ref, finding);
    Some(ComponentConfig { host: host.clone(), port: port?, secret: secret? })
}

fn timers(spec: Option<&ServiceTimersSpec>, finding: &mut Finding) -> ServiceTimers {
    let default = ServiceTimers::default();
    let Some(spec) = spec else { return default };
    let mut timer =
        |name: &str, value, default, bounds| duration(&format!("spec.timers.{name}"), value, default, bounds, finding);
    ServiceTimers {
        ping_interval: timer("pingInterval", spec.ping_interval.as_ref(), default.ping_interval, &PING),
        ping_idle: timer("pingIdle", spec.ping_idle.as_ref(), default.ping_idle, &WAIT),
        suspect_after: timer("suspectAfter", spec.suspect_after.as_ref(), default.suspect_after, &SUSPECT),
        domain_grace: timer("domainGrace", spec.domain_grace.as_ref(), default.domain_grace, &GRACE),
        liveness: timer("liveness", spec.liveness.as_ref(), default.liveness, &WAIT),
    }
}
