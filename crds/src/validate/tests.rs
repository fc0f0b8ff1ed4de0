use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use warren_model::{FlavourHint, History, PeerRooms, PeerTimers, ServiceTimers, Vouch};

use super::*;

fn object<T: serde::de::DeserializeOwned>(kind: &str, name: &str, spec: Value) -> T {
    let api = "warren.chat/v1alpha1";
    serde_json::from_value(json!({"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec})).unwrap()
}

/// A site with one service, one peer and the given room.
fn site(room: Value) -> Declared {
    let mut secrets = Secrets::default();
    secrets
        .add(&serde_json::from_value::<Secret>(json!({"metadata": {"name": "s"}, "stringData": {"k": "v"}})).unwrap());
    Declared {
        services: vec![object(
            "MucService",
            "rooms",
            json!({"domain": "rooms.wonderland.lit", "homeDomains": ["wonderland.lit"],
                "transport": {"component": {"host": "::1", "port": 5347, "secretRef": {"name": "s", "key": "k"}}}}),
        )],
        peers: vec![object("FederationPeer", "denmark", json!({"domain": "talk.denmark.lit", "vouch": {"any": true}}))],
        rooms: vec![object("FederatedRoom", "tea", room)],
        secrets,
    }
}

fn plain() -> Value {
    json!({"serviceRef": {"name": "rooms"}})
}

fn reasons(declared: &Declared) -> Vec<(Reason, String)> {
    validate(declared).problems.into_iter().map(|p| (p.reason, p.field)).collect()
}

#[test]
fn defaults_are_those_of_the_model() {
    let declared = site(plain());
    let validated = validate(&declared);
    assert_eq!(validated.problems, []);
    assert_eq!(validated.services[0].body.timers, ServiceTimers::default());
    let peer = &validated.peers[0].body;
    assert_eq!((peer.flavour, &peer.rooms, &peer.vouch), (FlavourHint::Auto, &PeerRooms::Listed, &Vouch::Any));
    assert_eq!(peer.timers, PeerTimers::default());
    assert_eq!(validated.rooms[0].body.config, RoomConfig::default());
}

#[test]
fn everything_that_is_said_arrives() {
    let declared = site(json!({
        "serviceRef": {"name": "rooms"}, "localpart": "Tea", "title": "T", "description": "D",
        "config": {"membersOnly": true, "moderated": true, "changeSubject": true, "anonymity": "NonAnonymous",
            "maxOccupants": 7, "passwordSecretRef": {"name": "s", "key": "k"},
            "history": {"maxMessages": 0, "maxAge": "30d"}},
        "affiliations": {"policy": "Authoritative", "entries": [{"jid": "Alice@wonderland.lit", "affiliation": "Outcast"}]},
        "federation": {"jidExposure": "Real", "collision": "Alias", "downlinks": [{"peer": "denmark"}],
            "uplink": {"sync": "WhenOccupied", "candidates": [{"peer": "denmark"}]}},
        "deletionPolicy": "Destroy",
    }));
    let validated = validate(&declared);
    assert_eq!(validated.problems, []);
    let AcceptedRoom { jid, config, destroy_on_delete } = &validated.rooms[0].body;
    assert_eq!((jid.as_str(), *destroy_on_delete), ("tea@rooms.wonderland.lit", true));
    assert!(config.members_only && config.moderated && config.participants_may_set_subject);
    assert!(config.affiliations_authoritative);
    assert_eq!((config.title.as_str(), config.description.as_str()), ("T", "D"));
    assert_eq!((config.max_occupants, config.password.as_deref()), (Some(7), Some("v")));
    assert_eq!(config.history, History { max_messages: 0, max_age: Some(Duration::from_hours(720)) });
    assert_eq!(config.affiliations[&BareJid::new("alice@wonderland.lit").unwrap()], warren_model::Affiliation::Outcast);
    let federation = config.federation.as_ref().unwrap();
    assert_eq!(federation.uplink.as_ref().unwrap().room.as_str(), "tea@talk.denmark.lit", "our own localpart");
    assert!(federation.downlinks.contains("talk.denmark.lit"));
}

/// The joined side needs no federation of its own, but real JIDs leave the site all the same.
#[test]
fn a_peer_that_admits_a_semi_anonymous_room_forces_a_decision() {
    let mut declared = site(plain());
    let undecided = [(Reason::JidExposureUndecided, "spec.federation.jidExposure".to_owned())];
    for (rooms, refused) in [
        (json!({"all": true}), true),
        (json!({"localparts": ["TEA"]}), true),
        (json!({"localparts": ["coffee"]}), false),
    ] {
        declared.peers[0].spec.rooms = serde_json::from_value(rooms).unwrap();
        assert_eq!(reasons(&declared), if refused { &undecided[..] } else { &[] });
    }
    declared.peers[0].spec.rooms = serde_json::from_value(json!({"all": true})).unwrap();
    for spec in [
        json!({"serviceRef": {"name": "rooms"}, "config": {"anonymity": "NonAnonymous"}}),
        json!({"serviceRef": {"name": "rooms"}, "federation": {"jidExposure": "Real"}}),
    ] {
        declared.rooms = vec![object("FederatedRoom", "tea", spec)];
        assert_eq!(reasons(&declared), []);
    }
}

#[test]
fn the_oldest_room_keeps_its_address() {
    let mut declared = site(plain());
    let mut thief: FederatedRoom =
        object("FederatedRoom", "thief", json!({"serviceRef": {"name": "rooms"}, "localpart": "tea"}));
    // Without ages nobody can tell.
    declared.rooms.push(thief.clone());
    let validated = validate(&declared);
    assert_eq!((validated.problems.len(), validated.rooms.len()), (2, 0));
    assert!(validated.problems[0].message.contains("FederatedRoom default/thief"));
    assert!(validated.problems[1].message.contains("FederatedRoom default/tea"));

    let time = |s: &str| serde_json::from_value(json!(s)).unwrap();
    thief.metadata.creation_timestamp = Some(time("2026-01-02T00:00:00Z"));
    declared.rooms[0].metadata.creation_timestamp = Some(time("2026-01-01T00:00:00Z"));
    declared.rooms[1] = thief;
    declared.rooms.reverse();
    let validated = validate(&declared);
    assert_eq!(validated.rooms[0].resource.name, "tea");
    let [problem] = validated.problems.as_slice() else { panic!("{:?}", validated.problems) };
    assert_eq!((problem.resource.name.as_str(), problem.reason), ("thief", Reason::JidConflict));
}

#[test]
fn a_room_does_not_outlive_what_it_refers_to() {
    let federated = json!({"serviceRef": {"name": "rooms"}, "federation": {"jidExposure": "Real",
        "uplink": {"sync": "WhenOccupied", "candidates": [{"peer": "denmark"}]}}});
    let mut declared = site(federated);
    declared.peers[0].spec.vouch.domains = Some(vec!["denmark.lit".to_owned()]);
    let validated = validate(&declared);
    assert_eq!((validated.peers.len(), validated.rooms.len()), (0, 0));
    let room = validated.problems.last().unwrap();
    assert_eq!(room.reason, Reason::PeerNotFound);
    assert_eq!(room.because, Some(Resource::new("FederationPeer", "default", "denmark")));

    declared.services[0].spec.home_domains.clear();
    let validated = validate(&declared);
    assert_eq!((validated.services.len(), validated.rooms.len()), (0, 0));
    assert!(
        validated.problems.iter().any(|p| p.resource.kind == "FederatedRoom" && p.reason == Reason::ServiceNotFound)
    );
}

#[test]
fn peers_are_those_of_the_services_namespace() {
    let mut declared = site(json!({"serviceRef": {"name": "rooms", "namespace": "default"},
        "federation": {"jidExposure": "Real", "downlinks": [{"peer": "denmark"}]}}));
    declared.rooms[0].metadata.namespace = Some("team-a".to_owned());
    assert_eq!(reasons(&declared), [(Reason::NamespaceNotAllowed, "spec.serviceRef".to_owned())]);
    declared.services[0].spec.allowed_rooms = serde_json::from_value(json!({"namespaces": {"from": "All"}})).unwrap();
    assert_eq!(reasons(&declared), []);
    declared.peers[0].metadata.namespace = Some("team-a".to_owned());
    assert_eq!(
        reasons(&declared),
        [
            (Reason::ServiceNotFound, "metadata.namespace".to_owned()),
            (Reason::PeerNotFound, "spec.federation.downlinks[0].peer".to_owned()),
        ]
    );
}

#[test]
fn build_keeps_uid_and_generation_of_an_api_server() {
    let mut declared = site(plain());
    declared.rooms[0].metadata.uid = Some("7f9c".to_owned());
    declared.rooms[0].metadata.generation = Some(12);
    let objects = crate::build(&validate(&declared));
    assert_eq!(objects.len(), 3);
    assert_eq!((objects[2].uid.as_str(), objects[2].generation.0), ("7f9c", 12));
    assert!(objects[0].uid.starts_with("manifest-") && objects[0].uid.len() == 41);
    assert_eq!(objects[0].digest.len(), 64);
    assert_ne!(objects[0].digest, objects[1].digest);
}

/// Each value of the API that does not work yet, one at a time, is refused by the name of its field.
#[test]
fn what_does_not_work_yet_is_refused_by_name() {
    let refused = |kind: &str, field: &str, spec: Value| {
        let mut declared = site(plain());
        let mut whole = match kind {
            "MucService" => serde_json::to_value(&declared.services[0].spec).unwrap(),
            "FederationPeer" => serde_json::to_value(&declared.peers[0].spec).unwrap(),
            _ => json!({"serviceRef": {"name": "rooms"}, "federation": {"jidExposure": "Real",
                "uplink": {"sync": "WhenOccupied", "candidates": [{"peer": "denmark"}]}}}),
        };
        merge(&mut whole, &spec);
        match kind {
            "MucService" => declared.services[0].spec = serde_json::from_value(whole).unwrap(),
            "FederationPeer" => declared.peers[0].spec = serde_json::from_value(whole).unwrap(),
            _ => declared.rooms[0].spec = serde_json::from_value(whole).unwrap(),
        }
        let validated = validate(&declared);
        let own: Vec<_> = validated.problems.iter().filter(|p| p.because.is_none()).collect();
        let [problem] = own.as_slice() else { panic!("{kind} {field}: {own:?}") };
        let reason = if field == "spec.auth" { Reason::AuthNotEnforceable } else { Reason::NotSupportedYet };
        assert_eq!((problem.resource.kind.as_str(), problem.field.as_str(), problem.reason), (kind, field, reason));
        assert!(!problem.remedy.is_empty());
    };
    let labels = json!({"matchLabels": {"a": "b"}});
    for (field, spec) in [
        ("spec.transport.s2s", json!({"transport": {"component": null, "s2s": {}}})),
        ("spec.roomCreation", json!({"roomCreation": "Anybody"})),
        ("spec.admins", json!({"admins": ["alice@wonderland.lit"]})),
        ("spec.limits", json!({"limits": {}})),
        ("spec.archive.enabled", json!({"archive": {"enabled": true}})),
        ("spec.archive.maxAge", json!({"archive": {"maxAge": "30d"}})),
        ("spec.podTemplate", json!({"podTemplate": {"spec": {}}})),
        ("spec.networking", json!({"networking": {}})),
        ("spec.statusDetail", json!({"statusDetail": "Sampled"})),
        ("spec.deletionPolicy", json!({"deletionPolicy": "Cascade"})),
        (
            "spec.allowedRooms.namespaces.from",
            json!({"allowedRooms": {"namespaces": {"from": "Selector", "selector": labels}}}),
        ),
    ] {
        refused("MucService", field, spec);
    }
    for (field, spec) in [
        ("spec.flavour", json!({"flavour": "Openfire"})),
        ("spec.flavour", json!({"flavour": "Xep"})),
        ("spec.direction", json!({"direction": "Inbound"})),
        ("spec.auth", json!({"auth": {}})),
        ("spec.endpoints", json!({"endpoints": [{"host": "a", "port": 5269}]})),
        ("spec.jidExposure", json!({"jidExposure": "Real"})),
        ("spec.remoteKick", json!({"remoteKick": "Ignore"})),
        ("spec.remoteModeration", json!({"remoteModeration": "Honour"})),
        ("spec.limits", json!({"limits": {}})),
        ("spec.rooms.selector", json!({"rooms": {"selector": labels}})),
        ("spec.rooms.namespaces", json!({"rooms": {"localparts": ["coffee"], "namespaces": {"from": "All"}}})),
        ("spec.rooms.onDemand", json!({"rooms": {"localparts": ["coffee"], "onDemand": true}})),
    ] {
        refused("FederationPeer", field, spec);
    }
    for (field, spec) in [
        ("spec.federation.jidExposure", json!({"federation": {"jidExposure": "Alias"}})),
        ("spec.federation.collision", json!({"federation": {"collision": "Strict"}})),
        ("spec.federation.uplink.mode", json!({"federation": {"uplink": {"mode": "PrimaryReplica"}}})),
        ("spec.federation.uplink.sync", json!({"federation": {"uplink": {"sync": "Mirrored"}}})),
        ("spec.federation.uplink.failoverAfter", json!({"federation": {"uplink": {"failoverAfter": "60s"}}})),
        ("spec.federation.uplink.profile", json!({"federation": {"uplink": {"profile": "HF"}}})),
        (
            "spec.federation.downlinks[0].remoteKick",
            json!({"federation": {"downlinks": [{"peer": "denmark", "remoteKick": "Ignore"}]}}),
        ),
        (
            "spec.federation.downlinks[0].remoteModeration",
            json!({"federation": {"downlinks": [{"peer": "denmark", "remoteModeration": "Hide"}]}}),
        ),
    ] {
        refused("FederatedRoom", field, spec);
    }
}

fn merge(into: &mut Value, change: &Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change.clone(),
    }
}

/// Who may not use a service is not told whether there is one, nor who has an address.
#[test]
fn other_namespaces_stay_private() {
    let mut declared = site(json!({"serviceRef": {"name": "rooms", "namespace": "default"}}));
    declared.rooms[0].metadata.namespace = Some("team-a".to_owned());
    let there = validate(&declared).problems.remove(0);
    declared.services.clear();
    let nowhere = validate(&declared).problems.pop().unwrap();
    assert_eq!(there, nowhere);
    assert_eq!(there.reason, Reason::NamespaceNotAllowed);

    let mut declared = site(plain());
    declared.services[0].spec.allowed_rooms = serde_json::from_value(json!({"namespaces": {"from": "All"}})).unwrap();
    let mut foreign = declared.rooms[0].clone();
    foreign.spec.service_ref.namespace = Some("default".to_owned());
    foreign.metadata.namespace = Some("team-a".to_owned());
    declared.rooms.push(foreign);
    let time = |s: &str| serde_json::from_value(json!(s)).unwrap();
    declared.rooms[0].metadata.creation_timestamp = Some(time("2026-01-01T00:00:00Z"));
    declared.rooms[1].metadata.creation_timestamp = Some(time("2026-01-02T00:00:00Z"));
    let [conflict] = validate(&declared).problems.try_into().unwrap();
    assert!(!conflict.message.contains("default"), "{}", conflict.message);
    assert!(conflict.message.contains("a FederatedRoom of another namespace"), "{}", conflict.message);
}
