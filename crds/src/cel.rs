//! The CEL rules, run without an API server, against what `validate` says of the same objects.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use crate::{Declared, FederatedRoom, FederationPeer, MucService, validate};

fn spec<T: serde::de::DeserializeOwned>(spec: Value) -> T {
    serde_json::from_value(spec).unwrap()
}

fn room(text: Value) -> FederatedRoom {
    FederatedRoom::new("tea", spec(text))
}

fn peer(text: Value) -> FederationPeer {
    FederationPeer::new("denmark", spec(text))
}

fn service(text: Value) -> MucService {
    MucService::new("rooms", spec(text))
}

fn wonderland() -> Value {
    json!({"domain": "rooms.wonderland.lit", "homeDomains": ["wonderland.lit"],
        "transport": {"component": {"host": "localhost", "port": 5347, "secretRef": {"name": "s", "key": "k"}}}})
}

/// Whether `validate` has nothing against rooms and peers; the service is there and its secret is not looked at.
fn valid(declared: Declared) -> bool {
    let declared = Declared { services: vec![service(wonderland())], ..declared };
    validate(&declared).problems.iter().all(|p| p.because.is_some())
}

#[test]
fn exposure_of_a_federated_semi_anonymous_room() {
    for (ok, text) in [
        (true, json!({"serviceRef": {"name": "rooms"}})),
        (true, json!({"serviceRef": {"name": "rooms"}, "federation": null})),
        (false, json!({"serviceRef": {"name": "rooms"}, "federation": {}})),
        (false, json!({"serviceRef": {"name": "rooms"}, "federation": {"jidExposure": null}, "config": null})),
        (false, json!({"serviceRef": {"name": "rooms"}, "federation": {}, "config": {"anonymity": "SemiAnonymous"}})),
        (true, json!({"serviceRef": {"name": "rooms"}, "federation": {}, "config": {"anonymity": "NonAnonymous"}})),
        (true, json!({"serviceRef": {"name": "rooms"}, "federation": {"jidExposure": "Real"}})),
    ] {
        assert_eq!(room(text.clone()).validate_cel().is_ok(), ok, "{text}");
        assert_eq!(valid(Declared { rooms: vec![room(text.clone())], ..Declared::default() }), ok, "{text}");
    }
}

#[test]
fn vouch_and_rooms_take_exactly_one() {
    for (ok, vouch) in [
        (true, json!({"any": true})),
        (true, json!({"domains": ["denmark.lit"]})),
        (true, json!({"domains": ["denmark.lit"], "any": false})),
        (false, json!({"domains": ["denmark.lit"], "any": true})),
        (false, json!({"any": false})),
        (false, json!({})),
    ] {
        let peer = || peer(json!({"domain": "talk.denmark.lit", "vouch": vouch}));
        assert_eq!(peer().validate_cel().is_ok(), ok, "{vouch}");
        assert_eq!(valid(Declared { peers: vec![peer()], ..Declared::default() }), ok, "{vouch}");
    }
    for (ok, rooms) in [
        (true, json!(null)),
        (true, json!({"all": true})),
        (true, json!({"localparts": ["tea"]})),
        (false, json!({"localparts": ["tea"], "all": true})),
        (false, json!({"localparts": ["tea"], "selector": {"matchLabels": {"a": "b"}}})),
        (false, json!({})),
    ] {
        let peer = || peer(json!({"domain": "talk.denmark.lit", "vouch": {"any": true}, "rooms": rooms}));
        assert_eq!(peer().validate_cel().is_ok(), ok, "{rooms}");
        assert_eq!(valid(Declared { peers: vec![peer()], ..Declared::default() }), ok, "{rooms}");
    }
}

/// `valid`, of a service; what must be there with it is there.
fn service_valid(spec: &Value) -> bool {
    let secret = json!({"metadata": {"name": "s"}, "stringData": {"k": "v"}});
    let mut declared = Declared { services: vec![service(spec.clone())], ..Declared::default() };
    declared.secrets.add(&serde_json::from_value(secret).unwrap());
    validate(&declared).problems.iter().all(|p| p.reason == crate::Reason::NotSupportedYet)
}

#[test]
fn a_service_has_one_transport_one_store_and_certificates_for_its_pods() {
    let component = wonderland()["transport"]["component"].clone();
    let (lite, pg) = (json!({"claimName": "rooms"}), json!({"dsnSecretRef": {"name": "s", "key": "k"}}));
    let tls = json!({"secretName": "tls"});
    for (ok, change) in [
        (true, json!({})),
        (true, json!({"transport": {"component": component, "s2s": null}})),
        (true, json!({"transport": {"s2s": {}}})),
        (false, json!({"transport": {"component": component, "s2s": {}}})),
        (false, json!({"transport": {}})),
        (true, json!({"store": null, "tls": null, "replicas": 3})),
        (true, json!({"store": {"sqlite": lite}, "tls": tls})),
        (true, json!({"store": {"sqlite": lite}, "tls": tls, "replicas": 1})),
        (false, json!({"store": {"sqlite": lite}, "tls": tls, "replicas": 2})),
        (true, json!({"store": {"postgres": pg}, "tls": tls, "replicas": 2})),
        (false, json!({"store": {"postgres": pg}, "replicas": 2})),
        (false, json!({"store": {"postgres": pg, "sqlite": lite}, "tls": tls})),
        (false, json!({"store": {}, "tls": tls})),
        (false, json!({"allowedRooms": {"namespaces": {"from": "All", "selector": {"matchLabels": {"a": "b"}}}}})),
        (false, json!({"allowedRooms": {"namespaces": {"from": "Selector"}}})),
        (true, json!({"allowedRooms": {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"a": "b"}}}}})),
    ] {
        let mut spec = wonderland();
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(service(spec.clone()).validate_cel().is_ok(), ok, "{change}");
        assert_eq!(service_valid(&spec), ok, "{change}");
    }
}

#[test]
fn required_peers_are_those_of_the_room() {
    let uplink = json!({"sync": "WhenOccupied", "candidates": [{"peer": "denmark"}]});
    for (ok, change) in [
        (true, json!({})),
        (true, json!({"uplink": uplink, "required": ["denmark"]})),
        (true, json!({"downlinks": [{"peer": "denmark"}], "required": ["denmark"]})),
        (false, json!({"uplink": uplink, "required": ["verona"]})),
        (false, json!({"required": ["denmark"]})),
    ] {
        let mut federation = json!({"jidExposure": "Real"});
        federation.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let room = || room(json!({"serviceRef": {"name": "rooms"}, "federation": federation}));
        assert_eq!(room().validate_cel().is_ok(), ok, "{change}");
        let denmark = peer(json!({"domain": "talk.denmark.lit", "vouch": {"any": true}}));
        assert_eq!(
            valid(Declared { rooms: vec![room()], peers: vec![denmark], ..Declared::default() }),
            ok,
            "{change}"
        );
    }
}

#[test]
fn domains_are_lower_case() {
    for (ok, domain) in [(true, "talk.denmark.lit"), (false, "Talk.denmark.lit")] {
        let peer = || peer(json!({"domain": domain, "vouch": {"any": true}}));
        assert_eq!(peer().validate_cel().is_ok(), ok);
        assert_eq!(valid(Declared { peers: vec![peer()], ..Declared::default() }), ok);
    }
}

#[test]
fn addresses_are_immutable() {
    let old = room(json!({"serviceRef": {"name": "rooms"}, "localpart": "tea"}));
    for (ok, text) in [
        (true, json!({"serviceRef": {"name": "rooms"}, "localpart": "tea", "title": "new"})),
        (false, json!({"serviceRef": {"name": "rooms"}, "localpart": "coffee"})),
        (false, json!({"serviceRef": {"name": "rooms"}})),
        (false, json!({"serviceRef": {"name": "other"}, "localpart": "tea"})),
    ] {
        assert_eq!(room(text.clone()).validate_cel_update(&old).is_ok(), ok, "{text}");
    }
    let unnamed = room(json!({"serviceRef": {"name": "rooms"}}));
    assert!(old.validate_cel_update(&unnamed).is_err(), "not added later either");

    let old = service(wonderland());
    let mut new = old.clone();
    new.spec.home_domains.push("looking-glass.lit".to_owned());
    assert!(new.validate_cel_update(&old).is_ok());
    new.spec.domain = "other.wonderland.lit".to_owned();
    assert!(new.validate_cel_update(&old).is_err());
}

#[test]
fn names_fit_into_labels() {
    for (ok, length) in [(true, 63), (false, 64)] {
        let meta = || ObjectMeta { name: Some("n".repeat(length)), ..ObjectMeta::default() };
        let mut room = room(json!({"serviceRef": {"name": "rooms"}}));
        room.metadata = meta();
        assert_eq!(room.validate_cel().is_ok(), ok);
        let mut peer = peer(json!({"domain": "talk.denmark.lit", "vouch": {"any": true}}));
        peer.metadata = meta();
        assert_eq!(peer.validate_cel().is_ok(), ok);
        let mut service = service(wonderland());
        service.metadata = meta();
        assert_eq!(service.validate_cel().is_ok(), ok);
    }
}
