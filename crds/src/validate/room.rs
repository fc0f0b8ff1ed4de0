//! Checks of `FederatedRoom`.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use jid::{BareJid, Jid};
use warren_model::{Affiliation, Anonymity, FederationConfig, History, JidExposure, RoomConfig, Uplink};

use super::common::{AGE, domain, duration, later, localpart, not_yet};
use super::{AcceptedRoom, World, name, namespace, peer, resource, service};
use crate::peer::FederationPeer;
use crate::problem::{Finding, Reason, Resource};
use crate::room::{
    AffiliationEntry, AffiliationPolicy, AffiliationSpec, AnonymitySpec, CollisionSpec, DeletionPolicy, FederatedRoom,
    FederationSpec, HistorySpec, JidExposureSpec, LinkProfile, SyncSpec, UplinkMode, UplinkSpec,
};
use crate::service::MucService;

pub(super) fn check(object: &FederatedRoom, world: &World<'_>, finding: &mut Finding) -> Option<AcceptedRoom> {
    let spec = &object.spec;
    let host = host(object, world, finding);
    let (field, text) = local(object);
    let local = localpart(field, text, finding);
    let settings = spec.config.clone().unwrap_or_default();
    let password = settings.password_secret_ref.as_ref().and_then(|reference| {
        world.secrets.resolve(namespace(&object.metadata), "spec.config.passwordSecretRef", reference, finding)
    });
    let anonymity = match settings.anonymity.unwrap_or_default() {
        AnonymitySpec::SemiAnonymous => Anonymity::SemiAnonymous,
        AnonymitySpec::NonAnonymous => Anonymity::NonAnonymous,
    };
    let max_occupants = settings.max_occupants.and_then(|n| u32::try_from(n).ok().filter(|n| *n > 0));
    if settings.max_occupants.is_some() && max_occupants.is_none() {
        let remedy = "write a number of 1 to 10000, or delete the field: then there is no bound";
        finding.refuse("spec.config.maxOccupants", Reason::InvalidObject, "a room needs room for somebody", remedy);
    }
    let federation = federation(spec.federation.as_ref(), host, local.as_deref(), world, finding);
    if anonymity == Anonymity::SemiAnonymous {
        exposure(spec.federation.as_ref(), host, local.as_deref(), world, finding);
    }
    let entries = spec.affiliations.as_ref().map(|a| a.entries.as_slice()).unwrap_or_default();
    let policy = spec.affiliations.as_ref().map(|a| a.policy).unwrap_or_default();
    let config = RoomConfig {
        title: spec.title.clone().unwrap_or_default(),
        description: spec.description.clone().unwrap_or_default(),
        members_only: settings.members_only.unwrap_or_default(),
        moderated: settings.moderated.unwrap_or_default(),
        participants_may_set_subject: settings.change_subject.unwrap_or_default(),
        anonymity,
        max_occupants,
        password,
        history: history(settings.history.as_ref(), finding),
        affiliations: affiliations(entries, finding),
        affiliations_authoritative: policy == AffiliationPolicy::Authoritative,
        federation,
    };
    let jid = BareJid::new(&format!("{}@{}", local?, host?.spec.domain)).ok()?;
    Some(AcceptedRoom { jid, config, destroy_on_delete: spec.deletion_policy == DeletionPolicy::Destroy })
}

/// The address that the object claims, refused or not.
pub(super) fn address(object: &FederatedRoom, world: &World<'_>) -> Option<BareJid> {
    let mut ignored = Finding::of(resource("FederatedRoom", &object.metadata));
    let host = host(object, world, &mut ignored)?;
    let local = localpart("", local(object).1, &mut ignored)?;
    BareJid::new(&format!("{local}@{}", host.spec.domain)).ok()
}

/// The localpart with the field that it comes from.
fn local(object: &FederatedRoom) -> (&'static str, &str) {
    match &object.spec.localpart {
        Some(text) => ("spec.localpart", text),
        None => ("metadata.name", name(&object.metadata)),
    }
}

/// The service that hosts the room.
fn host<'a>(object: &FederatedRoom, world: &World<'a>, finding: &mut Finding) -> Option<&'a MucService> {
    let own = namespace(&object.metadata);
    let reference = &object.spec.service_ref;
    let ns = reference.namespace.as_deref().unwrap_or(own);
    let target = Resource::new("MucService", ns, &reference.name);
    let foreign = ns != own && !world.open;
    let Some(service) = world.services.get(ns, &reference.name) else {
        if foreign {
            not_allowed(&target, own, finding);
            return None;
        }
        let remedy = match world.services.like(ns, &reference.name) {
            Some(like) => format!("did you mean {like:?}?"),
            None if reference.namespace.is_none() => {
                "add it, or write serviceRef.namespace when it is in another namespace".to_owned()
            }
            None => "add it, or correct the reference".to_owned(),
        };
        let message = format!("there is no MucService {:?} in namespace {ns:?}", reference.name);
        finding.refuse("spec.serviceRef.name", Reason::ServiceNotFound, message, remedy).because = Some(target);
        return None;
    };
    if !service::takes(service, own) {
        not_allowed(&target, own, finding);
        return None;
    }
    if world.services.refused.contains(&target) {
        let message = format!("{target} is refused itself");
        finding
            .refuse("spec.serviceRef.name", Reason::ServiceNotFound, message, "correct what is wrong there")
            .because = Some(target);
    }
    Some(service)
}

/// Says that a service takes no rooms from namespace `own`, or does not exist: whoever may not use it is not told which.
fn not_allowed(target: &Resource, own: &str, finding: &mut Finding) {
    finding.refuse(
        "spec.serviceRef",
        Reason::NamespaceNotAllowed,
        format!("{target} takes no rooms from namespace {own:?}"),
        "write spec.allowedRooms.namespaces.from: All there, or put the room into its namespace",
    );
}

fn history(spec: Option<&HistorySpec>, finding: &mut Finding) -> History {
    let default = History::default();
    let Some(spec) = spec else { return default };
    let max_messages = match spec.max_messages.map(u32::try_from) {
        None => default.max_messages,
        Some(Ok(n)) if n <= 1000 => n,
        Some(_) => {
            let message = "history cannot have so many messages";
            finding.refuse("spec.config.history.maxMessages", Reason::InvalidObject, message, "write 0 to 1000");
            default.max_messages
        }
    };
    let max_age = spec
        .max_age
        .as_ref()
        .map(|age| duration("spec.config.history.maxAge", Some(age), std::time::Duration::ZERO, &AGE, finding));
    History { max_messages, max_age }
}

fn affiliations(entries: &[AffiliationEntry], finding: &mut Finding) -> BTreeMap<BareJid, Affiliation> {
    let mut all = BTreeMap::new();
    for (i, entry) in entries.iter().enumerate() {
        let field = format!("spec.affiliations.entries[{i}].jid");
        let jid = match Jid::new(&entry.jid) {
            Ok(jid) => jid,
            Err(e) => {
                let message = format!("{:?} is not a JID: {e}", entry.jid);
                finding.refuse(field, Reason::InvalidObject, message, "write user@domain");
                continue;
            }
        };
        if jid.resource().is_some() || jid.node().is_none() {
            let message = format!("{:?} is not the bare JID of a user", entry.jid);
            let remedy =
                if jid.node().is_some() { format!("write {}", jid.to_bare()) } else { "write user@domain".to_owned() };
            finding.refuse(field, Reason::InvalidObject, message, remedy);
            continue;
        }
        let affiliation = match entry.affiliation {
            AffiliationSpec::Owner => Affiliation::Owner,
            AffiliationSpec::Admin => Affiliation::Admin,
            AffiliationSpec::Member => Affiliation::Member,
            AffiliationSpec::Outcast => Affiliation::Outcast,
        };
        let jid = jid.to_bare();
        match all.entry(jid) {
            Entry::Vacant(free) => {
                free.insert(affiliation);
            }
            Entry::Occupied(taken) => {
                let message = format!("{} is listed twice", taken.key());
                finding.refuse(field, Reason::InvalidObject, message, "delete one of them");
            }
        }
    }
    all
}

fn federation(
    spec: Option<&FederationSpec>,
    host: Option<&MucService>,
    local: Option<&str>,
    world: &World<'_>,
    finding: &mut Finding,
) -> Option<FederationConfig> {
    let spec = spec?;
    let jid_exposure = match spec.jid_exposure {
        Some(JidExposureSpec::Real) => Some(JidExposure::Real),
        Some(JidExposureSpec::Alias) => {
            not_yet("spec.federation.jidExposure", "Alias", "write Real, or do not federate the room", finding);
            None
        }
        None => None,
    };
    if spec.collision == Some(CollisionSpec::Strict) {
        not_yet("spec.federation.collision", "Strict", "write Alias, or delete the field", finding);
    }
    let uplink = spec.uplink.as_ref().and_then(|u| uplink(u, host, local, world, finding));
    let mut downlinks = BTreeSet::new();
    for (i, downlink) in spec.downlinks.iter().enumerate() {
        let at = format!("spec.federation.downlinks[{i}]");
        peer::remote(&at, downlink.remote_kick, downlink.remote_moderation, finding);
        let field = format!("{at}.peer");
        let Some(peer) = find_peer(&field, &downlink.peer, host, world, finding) else { continue };
        if !downlinks.insert(peer.spec.domain.clone().into_boxed_str()) {
            let message = format!("{} is listed twice", downlink.peer);
            finding.refuse(field, Reason::InvalidObject, message, "delete one of them");
        }
    }
    required(spec, finding);
    Some(FederationConfig { uplink, downlinks, jid_exposure })
}

/// What counts towards Ready is something that the room is federated with.
fn required(spec: &FederationSpec, finding: &mut Finding) {
    let candidates = spec.uplink.iter().flat_map(|u| &u.candidates).map(|c| &c.peer);
    let named: BTreeSet<_> = candidates.chain(spec.downlinks.iter().map(|d| &d.peer)).collect();
    let mut seen = BTreeSet::new();
    for (i, peer) in spec.required.iter().enumerate() {
        let field = format!("spec.federation.required[{i}]");
        if !named.contains(peer) {
            let message = format!("neither uplink nor downlinks name the peer {peer:?}");
            finding.refuse(field, Reason::InvalidObject, message, "name it there, or delete it here");
        } else if !seen.insert(peer) {
            finding.refuse(field, Reason::InvalidObject, format!("{peer} is listed twice"), "delete one of them");
        }
    }
}

fn uplink(
    spec: &UplinkSpec,
    host: Option<&MucService>,
    local: Option<&str>,
    world: &World<'_>,
    finding: &mut Finding,
) -> Option<Uplink> {
    if spec.mode == UplinkMode::PrimaryReplica {
        not_yet("spec.federation.uplink.mode", "PrimaryReplica", "write PrimaryPrimary, or delete the field", finding);
    }
    if spec.sync == SyncSpec::Mirrored {
        not_yet("spec.federation.uplink.sync", "Mirrored", "write WhenOccupied", finding);
    }
    later("spec.federation.uplink.failoverAfter", spec.failover_after.as_ref(), finding);
    if spec.profile != LinkProfile::Normal {
        let remedy = "write Normal, or delete the field";
        not_yet("spec.federation.uplink.profile", &format!("{:?}", spec.profile), remedy, finding);
    }
    if spec.candidates.len() > 1 {
        not_yet("spec.federation.uplink.candidates[1]", "a standby uplink", "leave one candidate", finding);
    }
    let mut first = None;
    for (i, candidate) in spec.candidates.iter().enumerate() {
        let field = format!("spec.federation.uplink.candidates[{i}]");
        let peer = find_peer(&format!("{field}.peer"), &candidate.peer, host, world, finding);
        let room = match &candidate.room {
            Some(room) => localpart(&format!("{field}.room"), room, finding),
            None => local.map(str::to_owned),
        };
        if let (None, Some(peer), Some(room)) = (&first, peer, room) {
            first = BareJid::new(&format!("{room}@{}", peer.spec.domain)).ok();
        }
    }
    if spec.candidates.is_empty() {
        let message = "an uplink needs a candidate";
        finding.refuse(
            "spec.federation.uplink.candidates",
            Reason::InvalidObject,
            message,
            "name the FederationPeer, or delete uplink: then the room is only joined",
        );
    }
    first.map(|room| Uplink { room })
}

/// A peer by name, in the namespace of the service: the people who own the service decide who its peers are.
fn find_peer<'a>(
    field: &str,
    peer: &str,
    host: Option<&MucService>,
    world: &World<'a>,
    finding: &mut Finding,
) -> Option<&'a FederationPeer> {
    // Without a service nobody can say where to look; that problem is named already.
    let ns = namespace(&host?.metadata);
    let target = Resource::new("FederationPeer", ns, peer);
    let Some(found) = world.peers.get(ns, peer) else {
        let remedy = match world.peers.like(ns, peer) {
            Some(like) => format!("did you mean {like:?}?"),
            None => "add it in the namespace of the MucService, or correct the name".to_owned(),
        };
        let message = format!("there is no FederationPeer {peer:?} in namespace {ns:?}");
        finding.refuse(field, Reason::PeerNotFound, message, remedy).because = Some(target);
        return None;
    };
    if world.peers.refused.contains(&target) {
        let message = format!("{target} is refused itself");
        finding.refuse(field, Reason::PeerNotFound, message, "correct what is wrong there").because = Some(target);
        // Its domain may be what is wrong.
        domain("", &found.spec.domain, &mut Finding::of(resource("", &found.metadata)))?;
    }
    Some(found)
}

/// A room whose real JIDs leave the site says so, whether it is federated by its own words or by a peer's.
fn exposure(
    spec: Option<&FederationSpec>,
    host: Option<&MucService>,
    local: Option<&str>,
    world: &World<'_>,
    finding: &mut Finding,
) {
    let remedy = "write spec.federation.jidExposure: Real, or spec.config.anonymity: NonAnonymous";
    let refuse = |finding: &mut Finding, message: String| {
        finding.refuse("spec.federation.jidExposure", Reason::JidExposureUndecided, message, remedy);
    };
    match spec {
        Some(federation) if federation.jid_exposure.is_some() => {}
        Some(_) => refuse(finding, "a federated semi-anonymous room must say who may see real JIDs".to_owned()),
        None => {
            let (Some(host), Some(local)) = (host, local) else { return };
            let admitting = world.peers.in_namespace(namespace(&host.metadata)).find(|p| peer::admits(p, local));
            if let Some(by) = admitting {
                let by = resource("FederationPeer", &by.metadata);
                refuse(
                    finding,
                    format!("{by} admits its rooms to this semi-anonymous room, which must say who may see real JIDs"),
                );
            }
        }
    }
}
