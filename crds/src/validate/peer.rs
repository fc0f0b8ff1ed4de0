//! Checks of `FederationPeer`.

use std::collections::BTreeSet;

use warren_model::{FlavourHint, PeerConfig, PeerRooms, PeerTimers, Vouch};

use super::common::{GRACE, WAIT, any, domain, domains, duration, later, localpart, not_yet};
use super::{World, name, namespace};
use crate::peer::{
    FederationPeer, FederationPeerSpec, FlavourSpec, PeerDirection, PeerRoomsSpec, PeerTimersSpec, RemoteKick,
    RemoteModeration, VouchSpec,
};
use crate::problem::{Finding, Reason, Resource};

pub(super) fn check(object: &FederationPeer, world: &World<'_>, finding: &mut Finding) -> Option<PeerConfig> {
    let spec = &object.spec;
    let peer_domain = domain("spec.domain", &spec.domain, finding);
    let vouch = vouch(&spec.vouch, finding);
    ours(object, world, finding);
    let rooms = rooms(spec.rooms.as_ref(), finding);
    let flavour = match spec.flavour {
        FlavourSpec::Auto => FlavourHint::Auto,
        FlavourSpec::Warren => FlavourHint::Warren,
        FlavourSpec::Openfire | FlavourSpec::Xep => {
            not_yet("spec.flavour", &format!("{:?}", spec.flavour), "write Auto or Warren", finding);
            FlavourHint::Auto
        }
    };
    unsupported(spec, finding);
    let timers = timers(spec.timers.as_ref(), finding);
    Some(PeerConfig { domain: peer_domain?, vouch: vouch?, rooms: rooms?, flavour, timers, suspended: spec.suspended })
}

/// What is part of the API and does not work yet, or cannot work behind a component.
fn unsupported(spec: &FederationPeerSpec, finding: &mut Finding) {
    if spec.auth.is_some() {
        finding.refuse(
            "spec.auth",
            Reason::AuthNotEnforceable,
            "behind a component the XMPP server finds out who the peer is, and nobody else can",
            "delete auth, and ask for certificates in the XMPP server's configuration",
        );
    }
    if spec.direction != PeerDirection::Both {
        not_yet("spec.direction", &format!("{:?}", spec.direction), "write Both, or delete the field", finding);
    }
    later("spec.endpoints", any(&spec.endpoints), finding);
    later("spec.jidExposure", spec.jid_exposure.as_ref(), finding);
    later("spec.limits", spec.limits.as_ref(), finding);
    remote("spec", spec.remote_kick, spec.remote_moderation, finding);
    if let Some(rooms) = &spec.rooms {
        later("spec.rooms.selector", rooms.selector.as_ref(), finding);
        later("spec.rooms.namespaces", rooms.namespaces.as_ref(), finding);
        if rooms.on_demand {
            not_yet("spec.rooms.onDemand", "onDemand", "write false, or delete the field", finding);
        }
    }
}

/// What a peer's moderators may do here; `at` is the field that holds both.
pub(super) fn remote(at: &str, kick: Option<RemoteKick>, moderation: Option<RemoteModeration>, finding: &mut Finding) {
    if kick == Some(RemoteKick::Ignore) {
        not_yet(&format!("{at}.remoteKick"), "Ignore", "write Honour, or delete the field", finding);
    }
    if let Some(value @ (RemoteModeration::Honour | RemoteModeration::Hide)) = moderation {
        let remedy = "write Ignore, or delete the field";
        not_yet(&format!("{at}.remoteModeration"), &format!("{value:?}"), remedy, finding);
    }
}

/// What may never be given away: our domains.
fn ours(object: &FederationPeer, world: &World<'_>, finding: &mut Finding) {
    let spec = &object.spec;
    let ns = namespace(&object.metadata);
    let mut services = world.services.in_namespace(ns).peekable();
    if services.peek().is_none() {
        finding
            .refuse(
                "metadata.namespace",
                Reason::ServiceNotFound,
                format!("namespace {ns:?} has no MucService, whose peer this could be"),
                "put the FederationPeer into the namespace of the MucService",
            )
            .because = Some(Resource::new("MucService", ns, ""));
    }
    for service in services {
        let by = format!("MucService {ns}/{}", name(&service.metadata));
        if service.spec.domain == spec.domain {
            finding.refuse(
                "spec.domain",
                Reason::InvalidObject,
                format!("{} is the domain of {by} itself", spec.domain),
                "write the domain of the remote room service",
            );
        }
        if service.spec.home_domains.contains(&spec.domain) {
            finding.refuse(
                "spec.domain",
                Reason::InvalidObject,
                format!("{} is a home domain of {by}, so of our own users", spec.domain),
                "write the domain of the remote room service",
            );
        }
    }
    for (i, vouched) in spec.vouch.domains.iter().flatten().enumerate() {
        let owner = world
            .services
            .in_namespace(ns)
            .find(|service| service.spec.home_domains.contains(vouched) || service.spec.domain == *vouched);
        if let Some(owner) = owner {
            let by = name(&owner.metadata);
            finding.refuse(
                format!("spec.vouch.domains[{i}]"),
                Reason::InvalidObject,
                format!("{vouched} is our own (MucService {ns}/{by}): no peer may vouch for our users"),
                "delete it",
            );
        }
    }
}

fn vouch(spec: &VouchSpec, finding: &mut Finding) -> Option<Vouch> {
    match (&spec.domains, spec.any.unwrap_or_default()) {
        (Some(list), false) if !list.is_empty() => Some(Vouch::Domains(domains("spec.vouch.domains", list, finding))),
        (None, true) => Some(Vouch::Any),
        (given, _) => {
            let message =
                if given.as_ref().is_some_and(|l| !l.is_empty()) { "both are given" } else { "neither is given" };
            finding.refuse(
                "spec.vouch",
                Reason::InvalidObject,
                format!("exactly one of domains and any: true is needed, and {message}"),
                "list the domains of the peer's users",
            );
            None
        }
    }
}

fn rooms(spec: Option<&PeerRoomsSpec>, finding: &mut Finding) -> Option<PeerRooms> {
    let Some(spec) = spec else { return Some(PeerRooms::Listed) };
    match (&spec.localparts, spec.all.unwrap_or_default()) {
        (Some(list), false) if !list.is_empty() => {
            let mut all = BTreeSet::new();
            for (i, value) in list.iter().enumerate() {
                let field = format!("spec.rooms.localparts[{i}]");
                let Some(part) = localpart(&field, value, finding) else { continue };
                if !all.insert(part.into_boxed_str()) {
                    finding.refuse(
                        field,
                        Reason::InvalidObject,
                        format!("{value} is listed twice"),
                        "delete one of them",
                    );
                }
            }
            Some(PeerRooms::Only(all))
        }
        (None, true) => Some(PeerRooms::All),
        // Refused elsewhere.
        (None, false) if spec.selector.is_some() => None,
        (given, _) => {
            let message =
                if given.as_ref().is_some_and(|l| !l.is_empty()) { "both are given" } else { "neither is given" };
            finding.refuse(
                "spec.rooms",
                Reason::InvalidObject,
                format!("exactly one of localparts and all: true is needed, and {message}"),
                "list localparts, or delete rooms: then only rooms that list the peer under downlinks are joined",
            );
            None
        }
    }
}

/// Whether the peer's own `rooms` admit a room, whatever the room says. Tolerates what `check` refuses.
pub(super) fn admits(peer: &FederationPeer, room: &str) -> bool {
    let Some(rooms) = &peer.spec.rooms else { return false };
    rooms.all.unwrap_or_default()
        || rooms.localparts.iter().flatten().any(|l| jid::NodePart::new(l).is_ok_and(|l| l.as_str() == room))
}

fn timers(spec: Option<&PeerTimersSpec>, finding: &mut Finding) -> PeerTimers {
    let default = PeerTimers::default();
    let Some(spec) = spec else { return default };
    let mut timer =
        |name: &str, value, default, bounds| duration(&format!("spec.timers.{name}"), value, default, bounds, finding);
    PeerTimers {
        ack_timeout: timer("ackTimeout", spec.ack_timeout.as_ref(), default.ack_timeout, &WAIT),
        peering_grace: timer("peeringGrace", spec.peering_grace.as_ref(), default.peering_grace, &GRACE),
        retry: timer("retry", spec.retry.as_ref(), default.retry, &WAIT),
    }
}
