//! Checks of `MucService`.

use std::net::IpAddr;

use warren_model::{ComponentConfig, ServiceConfig, ServiceTimers};

use super::common::{GRACE, PING, SUSPECT, WAIT, domain, domains, duration, not_yet};
use super::{World, namespace};
use crate::problem::{Finding, Reason};
use crate::service::{ComponentSpec, MucService, NamespacesFrom, ServiceTimersSpec};

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
    let component = component(&spec.transport.component, namespace(&object.metadata), world, finding);
    let from = spec.allowed_rooms.as_ref().and_then(|a| a.namespaces.as_ref()).map(|n| n.from).unwrap_or_default();
    if from == NamespacesFrom::Selector {
        not_yet("spec.allowedRooms.namespaces.from", "Selector", "write Same or All", finding);
    }
    let timers = timers(spec.timers.as_ref(), finding);
    Some(ServiceConfig { domain: service_domain?, home_domains, component: component?, timers })
}

/// Whether rooms of `other` may name `service`.
pub(super) fn takes(service: &MucService, other: &str) -> bool {
    let from = service.spec.allowed_rooms.as_ref().and_then(|a| a.namespaces.as_ref()).map(|n| n.from);
    namespace(&service.metadata) == other || from == Some(NamespacesFrom::All)
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
