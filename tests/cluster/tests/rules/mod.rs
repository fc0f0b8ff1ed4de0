//! The CEL rules of the three kinds, each with manifests that break it and nothing else.

use serde_json::{Value, json};

/// How one rule is broken.
pub struct Row {
    pub kind: &'static str,
    /// Where the rule stands; empty: the whole object.
    pub field: &'static str,
    /// What the server must say.
    pub message: &'static str,
    /// What is changed in [`base`] before: the result must be accepted.
    pub before: fn() -> Value,
    /// What is changed then: the result must be refused.
    pub breaks: fn() -> Value,
    /// Whether what is right is stored first and then changed.
    pub update: bool,
}

const LONG: &str = "metadata.name may have 63 characters at most: it is used in labels";
const VOUCH: &str = "say exactly one of domains and any: true";
const ROOMS: &str = "say exactly one of localparts, all: true and selector";
const TRANSPORT: &str = "say exactly one of component and s2s";
const STORE: &str = "say exactly one of sqlite and postgres";
const ONE_POD: &str = "a service on SQLite has one pod at most: write replicas: 1, or store.postgres";
const CERTIFICATES: &str = "pods that the operator runs need tls.secretName: configuration travels to them over mTLS";
const SELECTOR: &str = "selector goes with from: Selector, and only with that";
const REQUIRED: &str = "required names peers of uplink.candidates and downlinks only";
const LOCALPART: &str = "localpart may not be added or removed later: delete and re-create";
const EXPOSURE: &str = "a federated semi-anonymous room says federation.jidExposure: who may see real JIDs";

fn nothing() -> Value {
    json!({})
}

fn too_long() -> Value {
    json!({"metadata": {"name": "n".repeat(64)}})
}

fn just_fits() -> Value {
    json!({"metadata": {"name": "n".repeat(63)}})
}

fn on_sqlite() -> Value {
    json!({"spec": {"store": {"sqlite": {"claimName": "rooms"}}, "tls": {"secretName": "certificates"}, "replicas": 1}})
}

const fn create(
    kind: &'static str,
    field: &'static str,
    message: &'static str,
    before: fn() -> Value,
    breaks: fn() -> Value,
) -> Row {
    Row { kind, field, message, before, breaks, update: false }
}

const fn update(
    kind: &'static str,
    field: &'static str,
    message: &'static str,
    before: fn() -> Value,
    breaks: fn() -> Value,
) -> Row {
    Row { kind, field, message, before, breaks, update: true }
}

pub const ROWS: &[Row] = &[
    create("MucService", "", LONG, just_fits, too_long),
    update(
        "MucService",
        "spec.domain",
        "domain is immutable: delete and re-create",
        nothing,
        || json!({"spec": {"domain": "other.wonderland.lit"}}),
    ),
    create("MucService", "spec.transport", TRANSPORT, nothing, || json!({"spec": {"transport": {"s2s": {}}}})),
    create("MucService", "spec.transport", TRANSPORT, nothing, || json!({"spec": {"transport": {"component": null}}})),
    create("MucService", "spec.store", STORE, on_sqlite, || json!({"spec": {"store": {"sqlite": null}}})),
    create(
        "MucService",
        "spec.store",
        STORE,
        on_sqlite,
        || json!({"spec": {"store": {"postgres": {"dsnSecretRef": {"name": "db", "key": "dsn"}}}}}),
    ),
    create("MucService", "spec", ONE_POD, on_sqlite, || json!({"spec": {"replicas": 2}})),
    create("MucService", "spec", CERTIFICATES, on_sqlite, || json!({"spec": {"tls": null}})),
    create(
        "MucService",
        "spec.allowedRooms.namespaces",
        SELECTOR,
        || json!({"spec": {"allowedRooms": {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"a": "b"}}}}}}),
        || json!({"spec": {"allowedRooms": {"namespaces": {"from": "All"}}}}),
    ),
    create("FederationPeer", "", LONG, just_fits, too_long),
    create(
        "FederationPeer",
        "spec.domain",
        "domains are written in lower case",
        nothing,
        || json!({"spec": {"domain": "Talk.denmark.lit"}}),
    ),
    create("FederationPeer", "spec.vouch", VOUCH, nothing, || json!({"spec": {"vouch": {"any": null}}})),
    create("FederationPeer", "spec.vouch", VOUCH, nothing, || json!({"spec": {"vouch": {"any": false}}})),
    create(
        "FederationPeer",
        "spec.vouch",
        VOUCH,
        || json!({"spec": {"vouch": {"any": false, "domains": ["denmark.lit"]}}}),
        || json!({"spec": {"vouch": {"any": true}}}),
    ),
    create("FederationPeer", "spec.rooms", ROOMS, nothing, || json!({"spec": {"rooms": {}}})),
    create(
        "FederationPeer",
        "spec.rooms",
        ROOMS,
        || json!({"spec": {"rooms": {"localparts": ["tea"]}}}),
        || json!({"spec": {"rooms": {"all": true}}}),
    ),
    create(
        "FederationPeer",
        "spec.rooms",
        ROOMS,
        || json!({"spec": {"rooms": {"all": true}}}),
        || json!({"spec": {"rooms": {"selector": {"matchLabels": {"a": "b"}}}}}),
    ),
    create(
        "FederationPeer",
        "spec.rooms.namespaces",
        SELECTOR,
        || json!({"spec": {"rooms": {"all": true, "namespaces": {"from": "All"}}}}),
        || json!({"spec": {"rooms": {"namespaces": {"selector": {"matchLabels": {"a": "b"}}}}}}),
    ),
    create("FederatedRoom", "", LONG, just_fits, too_long),
    create(
        "FederatedRoom",
        "spec.federation",
        REQUIRED,
        || {
            json!({"spec": {"federation": {
                "jidExposure": "Real", "downlinks": [{"peer": "denmark"}], "required": ["denmark"],
            }}})
        },
        || json!({"spec": {"federation": {"required": ["verona"]}}}),
    ),
    update(
        "FederatedRoom",
        "spec.localpart",
        "localpart is immutable: delete and re-create",
        || json!({"spec": {"localpart": "tea"}}),
        || json!({"spec": {"localpart": "coffee"}}),
    ),
    update("FederatedRoom", "spec", LOCALPART, nothing, || json!({"spec": {"localpart": "coffee"}})),
    update(
        "FederatedRoom",
        "spec",
        LOCALPART,
        || json!({"spec": {"localpart": "tea"}}),
        || json!({"spec": {"localpart": null}}),
    ),
    update(
        "FederatedRoom",
        "spec.serviceRef",
        "serviceRef is immutable: delete and re-create",
        nothing,
        || json!({"spec": {"serviceRef": {"name": "other"}}}),
    ),
    create("FederatedRoom", "spec", EXPOSURE, nothing, || json!({"spec": {"federation": {}}})),
    create(
        "FederatedRoom",
        "spec",
        EXPOSURE,
        || json!({"spec": {"federation": {}, "config": {"anonymity": "NonAnonymous"}}}),
        || json!({"spec": {"config": {"anonymity": "SemiAnonymous"}}}),
    ),
    create(
        "FederatedRoom",
        "spec",
        EXPOSURE,
        || json!({"spec": {"federation": {"jidExposure": "Real"}}}),
        || json!({"spec": {"federation": {"jidExposure": null}}}),
    ),
];

/// The least that is accepted.
pub fn base(kind: &str) -> Value {
    let spec = match kind {
        "MucService" => json!({
            "domain": "rooms.wonderland.lit",
            "homeDomains": ["wonderland.lit"],
            "transport": {"component": {
                "host": "localhost", "port": 5347, "secretRef": {"name": "component", "key": "secret"},
            }},
        }),
        "FederationPeer" => json!({"domain": "talk.denmark.lit", "vouch": {"any": true}}),
        "FederatedRoom" => json!({"serviceRef": {"name": "rooms"}}),
        _ => unreachable!("{kind} is none of the three kinds"),
    };
    let version = format!("{}/{}", warren_crds::GROUP, warren_crds::VERSION);
    json!({"apiVersion": version, "kind": kind, "metadata": {}, "spec": spec})
}

/// `object` with `change` as a JSON merge patch (RFC 7396): null takes a field away.
pub fn merged(object: &Value, change: &Value) -> Value {
    let (Value::Object(object), Value::Object(change)) = (object, change) else { return change.clone() };
    let mut object = object.clone();
    for (key, value) in change {
        if value.is_null() {
            object.remove(key);
        } else {
            let old = object.remove(key).unwrap_or_else(nothing);
            object.insert(key.clone(), merged(&old, value));
        }
    }
    Value::Object(object)
}
