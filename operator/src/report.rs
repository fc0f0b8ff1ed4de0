//! Fifth step: what became of it, as status and, when it turns, as an Event. Written only if its meaning differs.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use kube::core::NamespaceResourceScope;
use kube::runtime::events::{Event, EventType};
use kube::runtime::reflector::Store;
use serde::Serialize;
use serde::de::DeserializeOwned;
use warren_control::{ObjectReport, PeeringReport};
use warren_crds::status::{
    FederatedRoomStatus, FederationPeerStatus, MucServiceStatus, PeerState, RoomCounts, RoomPeer,
};
use warren_crds::{FederatedRoom, FederationPeer, MucService};
use warren_model::{ObjectName, PeeringView};

use crate::api::WriteError;
use crate::apply::{Programmed, Removed};
use crate::build::{Facts, Item, PeerOfRoom, Verdict};
use crate::conditions::names::{self as n};
use crate::conditions::{Is, get, is_true, set, summarise};
use crate::engine::Context;
use crate::pods::{SILENT, UNHOSTED, View};
use crate::stores::{Read, Stores};

/// One of the three kinds.
pub trait Kind:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned + 'static
{
    /// Its status.
    type Status: Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// Where the watch keeps them.
    fn store(stores: &Stores) -> &Store<Read<Self>>;
    /// The status that an object has.
    fn status_of(&self) -> Option<&Self::Status>;
    /// Its conditions.
    fn conditions(status: &Self::Status) -> &[Condition];
    /// The status that it should have.
    fn judge(facts: &Known<'_>, old: &Self::Status) -> Self::Status;
    /// What people are told beside Ready.
    fn turns(_: &Known<'_>, _: &Self::Status, _: &Self::Status) -> Vec<Event> {
        Vec::new()
    }
}

/// An object as the watch has it, with the newest status that is known.
#[derive(Clone, Debug, Default)]
pub struct Found<S> {
    /// For writes that must not overtake others'.
    pub version: Option<String>,
    /// As they are.
    pub finalizers: Vec<String>,
    /// What is written there.
    pub status: S,
}

/// What a status is made of.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    /// The plan's.
    pub item: &'a Item,
    /// What became of Apply.
    pub programmed: Programmed,
    /// What is in the way of its end.
    pub removed: Option<Removed>,
    /// What its service's pods say.
    pub view: View,
    /// Services: rooms that the pods have.
    pub programmed_rooms: usize,
    /// Services: replicas of the Deployment: all, ready, updated.
    pub replicas: Option<[i32; 3]>,
    /// Now.
    pub now: Time,
}

impl Known<'_> {
    fn generation(&self) -> i64 {
        self.item.generation.0
    }
}

/// `Accepted`, `Programmed` and `Paused`, which all kinds have.
fn common(known: &Known<'_>, conditions: &mut Vec<Condition>) {
    let (generation, now) = (known.generation(), &known.now);
    let accepted = match &known.item.verdict {
        Verdict::Accepted(_) => (Is::True, n::ACCEPTED, String::new()),
        Verdict::Refused(refusal) => (Is::False, refusal.reason.as_str(), refusal.message.clone()),
        Verdict::Waiting => (Is::Unknown, n::AWAITING_SECRET, "a Secret has not been read yet".to_owned()),
    };
    set(conditions, n::ACCEPTED, (accepted.0, accepted.1, &accepted.2), generation, now);
    let had = is_true(conditions, n::PROGRAMMED, generation);
    let programmed = match (&known.programmed, &known.removed) {
        (_, Some(Removed::Yes)) => None,
        (_, Some(Removed::Rooms(rooms))) => {
            let message = format!("{rooms} FederatedRooms name it; delete them, or write spec.deletionPolicy: Orphan");
            Some((Is::False, n::TERMINATING, message))
        }
        (_, Some(Removed::NoNodes)) => {
            let message = "it goes when its pods have let go of it, and none of them answers".to_owned();
            Some((Is::False, n::TERMINATING, message))
        }
        (Programmed::Yes, _) => Some((Is::True, n::PROGRAMMED, String::new())),
        // The pods have it in their store, wherever they are.
        (Programmed::NoNodes, _) if had => None,
        (Programmed::NoNodes, _) => Some((Is::False, n::AWAITING_NODES, "no pod can be reached".to_owned())),
        (Programmed::Pending(why), _) => Some((Is::False, n::AWAITING_ACK, why.clone())),
        (Programmed::Rejected(refusal), _) => {
            let field = if refusal.field.is_empty() { String::new() } else { format!("{}: ", refusal.field) };
            Some((Is::False, n::NODE_REJECTED, format!("{field}{} ({})", refusal.message, refusal.reason)))
        }
        (Programmed::Foreign(what), _) => {
            let message = format!("{what} belongs to somebody else; delete or rename it, or rename the MucService");
            Some((Is::False, n::FOREIGN_OBJECT, message))
        }
        // What was programmed before stays in the pods.
        (Programmed::Not, _) if get(conditions, n::PROGRAMMED).is_some() => None,
        (Programmed::Not, _) => Some((Is::False, n::AWAITING_ACK, "the pods have not been told of it".to_owned())),
    };
    if let Some((is, reason, message)) = programmed {
        set(conditions, n::PROGRAMMED, (is, reason, &message), generation, now);
    }
    if known.item.paused {
        let message = "spec is not applied while the annotation warren.chat/paused is there";
        set(conditions, n::PAUSED, (Is::True, n::PAUSED_BY_ANNOTATION, message), generation, now);
    } else {
        conditions.retain(|c| c.type_ != n::PAUSED);
    }
}

impl Kind for FederatedRoom {
    type Status = FederatedRoomStatus;

    fn store(stores: &Stores) -> &Store<Read<Self>> {
        &stores.rooms
    }
    fn status_of(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }
    fn conditions(status: &Self::Status) -> &[Condition] {
        &status.conditions
    }

    fn turns(known: &Known<'_>, old: &Self::Status, new: &Self::Status) -> Vec<Event> {
        peer_turns(known, old, new)
    }

    fn judge(known: &Known<'_>, old: &Self::Status) -> Self::Status {
        let mut new = old.clone();
        let (generation, now) = (known.generation(), &known.now);
        new.observed_generation = Some(generation);
        common(known, &mut new.conditions);
        let Facts::Room { jid, peers } = &known.item.facts else { return new };
        if jid.is_some() {
            new.jid.clone_from(jid);
        }
        if known.programmed == Programmed::Yes {
            new.config_version = Some(generation.to_string());
        }
        let conditions = &mut new.conditions;
        if known.programmed == Programmed::Yes {
            set(conditions, n::HOSTED, (Is::True, n::OWNED, ""), generation, now);
        } else if get(conditions, n::HOSTED).is_some() && !known.view.nodes && known.view.silent >= UNHOSTED {
            let message = "its pods have been silent for a minute";
            set(conditions, n::HOSTED, (Is::Unknown, n::NO_OWNER, message), generation, now);
        } else if get(conditions, n::HOSTED).is_none() {
            set(conditions, n::HOSTED, (Is::Unknown, n::NO_OWNER, "no pod has been told of it"), generation, now);
        }
        if known.view.nodes || get(conditions, n::FEDERATED).is_none() {
            new.peers = room_peers(peers, known.view.report.as_ref(), &old.peers, now);
            let joined = new.peers.iter().filter(|p| p.state == PeerState::Joined).count();
            new.peer_summary = (!peers.is_empty()).then(|| format!("{joined}/{}", peers.len()));
            let (is, reason, message) = federated(peers, &new.peers);
            set(conditions, n::FEDERATED, (is, reason, &message), generation, now);
        }
        let mut order = vec![n::ACCEPTED, n::PROGRAMMED, n::HOSTED];
        if peers.iter().any(|p| p.required) {
            order.push(n::FEDERATED);
        }
        summarise(conditions, &order, generation, now);
        new
    }
}

/// A peer that was lost or has come (back), with its name as the second object: Events of one reason are counted
/// together otherwise, and keep the first one's text.
fn peer_turns(known: &Known<'_>, old: &FederatedRoomStatus, new: &FederatedRoomStatus) -> Vec<Event> {
    let namespace = known.item.services.first().map(|service| service.0.clone());
    let turn = |peer: &RoomPeer| {
        let before = old.peers.iter().find(|p| p.peer == peer.peer).map(|p| p.state).unwrap_or_default();
        let (type_, reason) = match peer.state {
            PeerState::Joined if before != PeerState::Joined => (EventType::Normal, "PeerJoined"),
            PeerState::Unreachable if before != PeerState::Unreachable => (EventType::Warning, "PeerLost"),
            _ => return None,
        };
        let secondary = ObjectReference {
            api_version: Some(FederationPeer::api_version(&()).into_owned()),
            kind: Some(FederationPeer::kind(&()).into_owned()),
            namespace: namespace.clone(),
            name: Some(peer.peer.clone()),
            ..ObjectReference::default()
        };
        Some(Event {
            type_,
            reason: reason.to_owned(),
            note: Some(peer.peer.clone()),
            action: "Federate".to_owned(),
            secondary: Some(secondary),
        })
    };
    new.peers.iter().filter_map(turn).collect()
}

/// How each peer stands. `since` moves with the state only.
fn room_peers(peers: &[PeerOfRoom], report: Option<&ObjectReport>, old: &[RoomPeer], now: &Time) -> Vec<RoomPeer> {
    let state = |peer: &PeerOfRoom| {
        let mine = |p: &&PeeringReport| p.peer.domain().as_str() == peer.domain;
        let state = report.into_iter().flat_map(|r| &r.peerings).filter(mine).map(|p| match p.state {
            PeeringView::Idle => PeerState::Idle,
            PeeringView::Connecting => PeerState::Connecting,
            PeeringView::Joined => PeerState::Joined,
            PeeringView::Degraded => PeerState::Degraded,
            PeeringView::Unreachable => PeerState::Unreachable,
            PeeringView::Denied => PeerState::Denied,
            PeeringView::Rejected => PeerState::Rejected,
        });
        // Several rooms of one peer may have joined: the best that works, else the worst.
        state.max_by_key(|s| (*s == PeerState::Joined, *s)).unwrap_or_default()
    };
    let one = |peer: &PeerOfRoom| {
        let state = state(peer);
        let before = old.iter().find(|o| o.peer == peer.name && o.state == state);
        RoomPeer {
            peer: peer.name.clone(),
            direction: peer.direction,
            state,
            since: before.and_then(|b| b.since.clone()).or_else(|| Some(now.clone())),
            ..RoomPeer::default()
        }
    };
    peers.iter().map(one).collect()
}

fn federated(peers: &[PeerOfRoom], states: &[RoomPeer]) -> (Is, &'static str, String) {
    let which = |wanted: &[PeerState], required: bool| -> Vec<&str> {
        let mine = states.iter().zip(peers).filter(|(s, p)| wanted.contains(&s.state) && (!required || p.required));
        mine.map(|(_, p)| p.name.as_str()).collect()
    };
    let lost = [PeerState::Unreachable];
    if peers.is_empty() {
        return (Is::True, n::NOT_FEDERATED, String::new());
    }
    for (state, reason, text) in [
        (PeerState::Rejected, n::PEER_REJECTED, "do not admit this room"),
        (PeerState::Denied, n::PEER_DENIED, "are not admitted"),
    ] {
        let found = which(&[state], false);
        if !found.is_empty() {
            return (Is::False, reason, format!("{}: {text}", found.join(", ")));
        }
    }
    let required = which(&lost, true);
    if !required.is_empty() {
        return (Is::False, n::REQUIRED_PEER_UNREACHABLE, required.join(", "));
    }
    let others = which(&lost, false);
    if !others.is_empty() {
        return (Is::True, n::OPTIONAL_PEER_UNREACHABLE, others.join(", "));
    }
    let pending = which(&[PeerState::Connecting, PeerState::Degraded], false);
    if !pending.is_empty() {
        return (Is::False, n::PEERS_PENDING, pending.join(", "));
    }
    if states.iter().all(|s| s.state == PeerState::Joined) {
        return (Is::True, n::ALL_PEERS_JOINED, String::new());
    }
    (Is::True, n::PEERINGS_IDLE, "nobody is in the room on the joining side".to_owned())
}

impl Kind for FederationPeer {
    type Status = FederationPeerStatus;

    fn store(stores: &Stores) -> &Store<Read<Self>> {
        &stores.peers
    }
    fn status_of(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }
    fn conditions(status: &Self::Status) -> &[Condition] {
        &status.conditions
    }

    fn judge(known: &Known<'_>, old: &Self::Status) -> Self::Status {
        let mut new = old.clone();
        new.observed_generation = Some(known.generation());
        common(known, &mut new.conditions);
        summarise(&mut new.conditions, &[n::ACCEPTED, n::PROGRAMMED], known.generation(), &known.now);
        new
    }
}

impl Kind for MucService {
    type Status = MucServiceStatus;

    fn store(stores: &Stores) -> &Store<Read<Self>> {
        &stores.services
    }
    fn status_of(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }
    fn conditions(status: &Self::Status) -> &[Condition] {
        &status.conditions
    }

    fn judge(known: &Known<'_>, old: &Self::Status) -> Self::Status {
        let mut new = old.clone();
        let (generation, now) = (known.generation(), &known.now);
        new.observed_generation = Some(generation);
        common(known, &mut new.conditions);
        let Facts::Service { selector, rooms, accepted, .. } = &known.item.facts else { return new };
        let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let (total, accepted) = (count(rooms.len()), count(*accepted));
        new.rooms = Some(RoomCounts { total, accepted, programmed: count(known.programmed_rooms) });
        new.selector.clone_from(selector);
        if let Some([all, ready, updated]) = known.replicas {
            (new.replicas, new.ready_replicas, new.updated_replicas) = (Some(all), Some(ready), Some(updated));
        }
        let conditions = &mut new.conditions;
        let connected = known.view.report.as_ref().is_some_and(|r| r.connected);
        if known.view.nodes {
            let (is, reason, message) = if connected {
                (Is::True, n::CONNECTED, "")
            } else {
                (Is::False, n::NOT_CONNECTED, "pods answer, and none that they know of is connected to the XMPP server")
            };
            set(conditions, n::AVAILABLE, (is, reason, message), generation, now);
        } else if known.view.silent >= SILENT || get(conditions, n::AVAILABLE).is_none() {
            let message = "no pod can be reached";
            set(conditions, n::AVAILABLE, (Is::False, n::AWAITING_NODES, message), generation, now);
        }
        let degraded = match known.removed {
            Some(Removed::Rooms(_)) => (Is::True, n::ROOMS_PRESENT, "it is to go, and rooms name it"),
            _ => (Is::False, n::AS_EXPECTED, ""),
        };
        set(conditions, n::DEGRADED, degraded, generation, now);
        summarise(conditions, &[n::ACCEPTED, n::PROGRAMMED, n::AVAILABLE], generation, now);
        new
    }
}

/// Writes the status if it says something else than the one that is there, and tells people when Ready has turned.
///
/// # Errors
/// [`WriteError`]; an object that is gone is none.
pub async fn report<K: Kind>(ctx: &Context, known: &Known<'_>, found: &Found<K::Status>) -> Result<(), WriteError> {
    let new = K::judge(known, &found.status);
    if new == found.status {
        return Ok(());
    }
    let ObjectName { namespace, name, .. } = &known.item.name;
    match ctx.writer.status::<K, K::Status>(namespace, name, &new).await {
        Ok(version) => ctx.written(&known.item.name, &known.item.uid, version, &new),
        Err(error) if error.is_gone() => return Ok(()),
        Err(error) => return Err(error),
    }
    if let Some((event, about)) = event::<K>(known, &found.status, &new) {
        ctx.writer.event(event, &about).await;
    }
    for event in K::turns(known, &found.status, &new) {
        ctx.writer.event(event, &reference::<K>(known.item)).await;
    }
    Ok(())
}

/// What has turned: Ready, by status or reason.
fn event<K: Kind>(known: &Known<'_>, old: &K::Status, new: &K::Status) -> Option<(Event, ObjectReference)> {
    let ready = get(K::conditions(new), n::READY)?;
    let before = get(K::conditions(old), n::READY);
    if before.is_some_and(|b| (&b.status, &b.reason) == (&ready.status, &ready.reason)) {
        return None;
    }
    let good = ready.status == "True";
    let event = Event {
        type_: if good { EventType::Normal } else { EventType::Warning },
        reason: ready.reason.clone(),
        note: (!ready.message.is_empty()).then(|| ready.message.clone()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    Some((event, reference::<K>(known.item)))
}

fn reference<K: Kind>(item: &Item) -> ObjectReference {
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        namespace: Some(item.name.namespace.clone()),
        name: Some(item.name.name.clone()),
        uid: Some(item.uid.clone()),
        ..ObjectReference::default()
    }
}

/// Now, to the second, as conditions have it.
pub fn now() -> Time {
    let seconds = Timestamp::now().as_second();
    Time(Timestamp::from_second(seconds).unwrap_or_default())
}

/// What the watch has of an object.
pub fn found<S: Default>(meta: &ObjectMeta, status: Option<S>) -> Found<S> {
    Found {
        version: meta.resource_version.clone(),
        finalizers: meta.finalizers.clone().unwrap_or_default(),
        status: status.unwrap_or_default(),
    }
}

/// A state of peers is told only when it has lasted.
pub const DEBOUNCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
