//! From one document to the objects in it: dispatch by kind, metadata, typed reading.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde::de::DeserializeOwned;

use super::node::{Entry, Node, Place, Value};
use super::schema::{self, Fault};
use crate::problem::{Reason, Resource};
use crate::suggest::closest;
use crate::validate::Declared;
use crate::{FederatedRoom, FederationPeer, GROUP, MucService, VERSION};

/// Fields of ObjectMeta. Those that an API server fills in are read over, so that the output of
/// `kubectl get -o yaml` can be used.
const METADATA: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];
const SECRET: [&str; 7] = ["apiVersion", "kind", "metadata", "type", "immutable", "data", "stringData"];
/// `status` is read over, as what an API server fills in.
const ROOT: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
const KINDS: [&str; 3] = ["MucService", "FederationPeer", "FederatedRoom"];

/// The schemas, made once.
pub(super) struct Schemas([CustomResourceDefinition; 3]);

impl Schemas {
    pub(super) fn new() -> Self {
        Self([MucService::crd(), FederationPeer::crd(), FederatedRoom::crd()])
    }
}

/// The objects of a document: itself, or the items of a List.
pub(super) fn objects(document: Node) -> Vec<Node> {
    match document.entry("items").map(|e| &e.node.value) {
        Some(Value::List(items)) if is_list(&document) => items.iter().cloned().flat_map(objects).collect(),
        _ => vec![document],
    }
}

/// Whether it is a `v1` List or a list of one of our kinds, as `kubectl get -o yaml` and the API server write them.
fn is_list(document: &Node) -> bool {
    let api = document.text("apiVersion").unwrap_or_default();
    let kind = document.text("kind").unwrap_or_default();
    let ours = || KINDS.iter().any(|k| kind.strip_suffix("List") == Some(*k)) && api.starts_with(GROUP);
    kind == "List" || ours()
}

/// Which object it is, if that can be told.
pub(super) fn identify(node: &Node) -> Option<Resource> {
    node.text("kind").map(|kind| resource(kind, node))
}

/// Reads one object into `declared`, or says what is wrong with it.
pub(super) fn read(node: &Node, schemas: &Schemas, declared: &mut Declared) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !matches!(node.value, Value::Map(_)) {
        let message = format!("a document must be an object, and is {}", node.value.kind());
        let remedy = "start it with apiVersion and kind";
        faults.push(fault(node.place, "", Reason::InvalidObject, message, remedy));
        return faults;
    }
    for field in ["apiVersion", "kind"] {
        if node.text(field).is_none_or(str::is_empty) {
            let message = "the field is missing or not text";
            faults.push(fault(node.locate(field), field, Reason::InvalidObject, message, "it is required: add it"));
        }
    }
    let (Some(api), Some(kind)) = (node.text("apiVersion"), node.text("kind")) else {
        return faults;
    };
    let resource = resource(kind, node);
    if !faults.is_empty() {
        return faults;
    }
    let ours = format!("{GROUP}/{VERSION}");
    match (api, KINDS.iter().position(|k| *k == kind)) {
        (api, Some(at)) if api == ours => {
            unknown(node, "", &ROOT, &mut faults);
            metadata(node, &mut faults);
            if let Some(schema) = schema::of(&schemas.0[at]) {
                schema::check(schema, node, "spec", &mut faults);
            }
            if faults.is_empty() {
                match at {
                    0 => keep(node, &resource, &mut declared.services, &mut faults),
                    1 => keep(node, &resource, &mut declared.peers, &mut faults),
                    _ => keep(node, &resource, &mut declared.rooms, &mut faults),
                }
            }
        }
        ("v1", None) if kind == "Secret" => secret(node, &resource, declared, &mut faults),
        _ if is_list(node) => {
            let message = "a list must have items, which are a list";
            faults.push(fault(
                node.locate("items"),
                "items",
                Reason::InvalidObject,
                message,
                "write the objects under items",
            ));
        }
        (api, position) => faults.push(other(node, api, kind, position.is_some(), &ours)),
    }
    faults
}

fn fault(place: Place, field: &str, reason: Reason, message: impl Into<String>, remedy: impl Into<String>) -> Fault {
    Fault { place, field: field.to_owned(), reason, message: message.into(), remedy: remedy.into() }
}

fn resource(kind: &str, node: &Node) -> Resource {
    let metadata = node.entry("metadata").map(|e| &e.node);
    let field = |key| metadata.and_then(|m| m.text(key)).filter(|t| !t.is_empty());
    Resource::new(kind, field("namespace").unwrap_or("default"), field("name").unwrap_or_default())
}

/// An object that is neither one of ours nor a Secret: a mistake when it looks like one of ours.
fn other(node: &Node, api: &str, kind: &str, kind_is_ours: bool, ours: &str) -> Fault {
    let in_group = api == GROUP || api.split_once('/').is_some_and(|(group, _)| group == GROUP);
    if in_group && api == ours {
        let remedy = match closest(kind, KINDS) {
            Some(like) => format!("did you mean {like:?}?"),
            None => format!("{ours} has {}", KINDS.join(", ")),
        };
        let message = format!("{ours} has no kind {kind:?}");
        return fault(node.locate("kind"), "kind", Reason::UnknownKind, message, remedy);
    }
    let looks_like_ours = kind_is_ours || in_group || closest(kind, KINDS).is_some();
    if looks_like_ours || (kind == "Secret" && api != "v1") {
        let right = if kind == "Secret" { "v1" } else { ours };
        let message = format!("{api:?} is not an apiVersion of {kind}");
        let remedy = format!("write apiVersion: {right}");
        return fault(node.locate("apiVersion"), "apiVersion", Reason::UnknownKind, message, remedy);
    }
    let like = closest(kind, ["Secret"]).map(|k| format!("; did you mean {k:?}?")).unwrap_or_default();
    let message = format!("{api} {kind} is not read by muc-node");
    let remedy = format!("only {ours} and v1/Secret are{like}");
    fault(node.locate("kind"), "kind", Reason::NotRead, message, remedy)
}

/// Refuses fields of the map `node` that are not `known`.
fn unknown(node: &Node, prefix: &str, known: &[&str], faults: &mut Vec<Fault>) {
    let Value::Map(entries) = &node.value else { return };
    for entry in entries.iter().filter(|e| !known.contains(&e.key.as_str())) {
        let remedy = match closest(&entry.key, known.iter().copied()) {
            Some(like) => format!("did you mean {like:?}?"),
            None => format!("it has {}", known.join(", ")),
        };
        let field = format!("{prefix}{}", entry.key);
        faults.push(fault(entry.place, &field, Reason::UnknownField, "there is no such field", remedy));
    }
}

fn metadata(node: &Node, faults: &mut Vec<Fault>) {
    let Some(entry) = node.entry("metadata") else {
        let remedy = "add it, with a name";
        faults.push(fault(node.place, "metadata", Reason::InvalidObject, "the field is missing", remedy));
        return;
    };
    let meta = &entry.node;
    if !matches!(meta.value, Value::Map(_)) {
        let message = format!("must be an object, and is {}", meta.value.kind());
        faults.push(fault(entry.place, "metadata", Reason::InvalidObject, message, "write an object with a name"));
        return;
    }
    unknown(meta, "metadata.", &METADATA, faults);
    for (field, required) in [("name", true), ("namespace", false)] {
        let path = format!("metadata.{field}");
        let place = node.locate(&path);
        match meta.entry(field).map(|e| &e.node.value) {
            Some(Value::Text(text)) if is_name(text) => {}
            Some(Value::Text(text)) => {
                let message = format!("{text:?} is not a name");
                let remedy =
                    "write 1 to 63 lower-case letters, digits and '-', starting and ending with a letter or digit";
                faults.push(fault(place, &path, Reason::InvalidObject, message, remedy));
            }
            Some(Value::Null) | None if !required => {}
            Some(other) if !matches!(other, Value::Null) => {
                let message = format!("must be a string, and is {}", other.kind());
                faults.push(fault(place, &path, Reason::InvalidObject, message, "put the value in quotes"));
            }
            _ => {
                let remedy = "an object needs a name of its own; generateName is not read";
                faults.push(fault(place, &path, Reason::InvalidObject, "the field is missing", remedy));
            }
        }
    }
    for field in ["labels", "annotations"] {
        let Some(Value::Map(entries)) = meta.entry(field).map(|e| &e.node.value) else { continue };
        for entry in entries.iter().filter(|e| !matches!(e.node.value, Value::Text(_))) {
            let path = format!("metadata.{field}.{}", entry.key);
            let message = format!("must be a string, and is {}", entry.node.value.kind());
            faults.push(fault(entry.place, &path, Reason::InvalidObject, message, "put the value in quotes"));
        }
    }
}

/// Names of namespaces and of our kinds; dots are allowed as in all names.
fn is_name(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    text.len() <= 63
        && edge(text.chars().next())
        && edge(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'))
}

/// Reads a checked object. Of its metadata only name, namespace, labels and annotations count: what an API server
/// has filled in means nothing without it.
fn keep<T: DeserializeOwned>(node: &Node, resource: &Resource, kept: &mut Vec<T>, faults: &mut Vec<Fault>) {
    let mut json = node.to_json();
    json["metadata"] = serde_json::json!({"name": resource.name, "namespace": resource.namespace});
    match serde_json::from_value(json) {
        Ok(object) => kept.push(object),
        // The schema has been checked, so this is a gap in it; the reader still learns which object it is.
        Err(e) => faults.push(fault(node.place, "spec", Reason::InvalidObject, e.to_string(), "see the CRD")),
    }
}

fn secret(node: &Node, resource: &Resource, declared: &mut Declared, faults: &mut Vec<Fault>) {
    unknown(node, "", &SECRET, faults);
    metadata(node, faults);
    for field in ["data", "stringData"] {
        let Some(entry) = node.entry(field) else { continue };
        let entries = match &entry.node.value {
            Value::Map(entries) => entries,
            Value::Null => continue,
            other => {
                let message = format!("must be an object, and is {}", other.kind());
                faults.push(fault(entry.place, field, Reason::InvalidObject, message, "write keys and values"));
                continue;
            }
        };
        for entry in entries {
            let path = format!("{field}.{}", entry.key);
            let (message, remedy) = match &entry.node.value {
                Value::Text(text) if field == "stringData" || base64(text).is_some() => continue,
                Value::Text(_) => ("is not base64".to_owned(), "encode the value, or write it under stringData"),
                other => (format!("must be a string, and is {}", other.kind()), "put the value in quotes"),
            };
            faults.push(fault(entry.place, &path, Reason::InvalidObject, message, remedy));
        }
    }
    if !faults.is_empty() {
        return;
    }
    let mut kept = Secret::default();
    kept.metadata.name = Some(resource.name.clone());
    kept.metadata.namespace = Some(resource.namespace.clone());
    let texts = |field| {
        let Some(Value::Map(entries)) = node.entry(field).map(|e| &e.node.value) else { return Vec::new() };
        let text = |e: &Entry| match &e.node.value {
            Value::Text(text) => Some((e.key.clone(), text.clone())),
            _ => None,
        };
        entries.iter().filter_map(text).collect()
    };
    kept.data = Some(texts("data").into_iter().filter_map(|(k, v)| Some((k, ByteString(base64(&v)?)))).collect());
    kept.string_data = Some(texts("stringData").into_iter().collect());
    declared.secrets.add(&kept);
}

fn base64(text: &str) -> Option<Vec<u8>> {
    // Line breaks inside are allowed, as they are at an API server.
    let text: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    data_encoding::BASE64.decode(text.as_bytes()).ok()
}
