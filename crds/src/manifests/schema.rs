//! Checks a document against the schema of its kind, as an API server does, and says all that is wrong with places.
//!
//! Types, required and unknown fields, enums, bounds and list keys. Patterns and CEL rules are not run here: each
//! has a counterpart in `validate`, which says more (`cel.rs` runs both on the same objects).

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

use super::node::{Node, Place, Value};
use crate::problem::Reason;
use crate::suggest::closest;

/// One thing that is wrong with a document.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) place: Place,
    pub(super) field: String,
    pub(super) reason: Reason,
    pub(super) message: String,
    pub(super) remedy: String,
}

/// The schema of a kind's only version.
pub(super) fn of(crd: &CustomResourceDefinition) -> Option<&JSONSchemaProps> {
    crd.spec.versions.first()?.schema.as_ref()?.open_api_v3_schema.as_ref()
}

/// Checks the field `name` of a document (`spec`) against its schema.
pub(super) fn check(schema: &JSONSchemaProps, document: &Node, name: &str, faults: &mut Vec<Fault>) {
    let mut walk = Walk { faults };
    let Some(property) = schema.properties.as_ref().and_then(|p| p.get(name)) else { return };
    match document.entry(name) {
        Some(entry) => walk.value(property, &entry.node, entry.place, name),
        None if schema.required.iter().flatten().any(|r| r == name) => walk.missing(name, document.place),
        None => {}
    }
}

struct Walk<'a> {
    faults: &'a mut Vec<Fault>,
}

impl Walk<'_> {
    fn fault(&mut self, place: Place, field: &str, reason: Reason, message: String, remedy: String) {
        self.faults.push(Fault { place, field: field.to_owned(), reason, message, remedy });
    }

    fn invalid(&mut self, place: Place, field: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.fault(place, field, Reason::InvalidObject, message.into(), remedy.into());
    }

    fn missing(&mut self, field: &str, place: Place) {
        self.invalid(place, field, "the field is missing", "it is required: add it");
    }

    fn value(&mut self, schema: &JSONSchemaProps, node: &Node, place: Place, field: &str) {
        let expected = match schema.type_.as_deref() {
            Some("object") => "an object",
            Some("array") => "a list",
            Some("string") => "a string",
            Some("boolean") => "a boolean",
            Some("integer") => "an integer",
            Some("number") => "a number",
            _ => return,
        };
        match &node.value {
            Value::Null if schema.nullable == Some(true) || schema.default.is_some() => {}
            Value::Map(_) if expected == "an object" => self.object(schema, node, place, field),
            Value::List(items) if expected == "a list" => self.list(schema, items, place, field),
            Value::Text(text) if expected == "a string" => self.text(schema, text, place, field),
            Value::Bool(_) if expected == "a boolean" => {}
            #[expect(clippy::cast_precision_loss, reason = "bounds are small numbers")]
            Value::Integer(i) if expected == "an integer" || expected == "a number" => {
                self.range(schema, *i as f64, place, field);
            }
            Value::Number(f) if expected == "a number" => self.range(schema, *f, place, field),
            other => {
                let remedy = match other {
                    Value::Bool(_) | Value::Integer(_) | Value::Number(_) if expected == "a string" => {
                        "put the value in quotes".to_owned()
                    }
                    Value::Text(_) if expected == "a boolean" => "write true or false without quotes".to_owned(),
                    Value::Text(_) if expected == "an integer" => "write a whole number without quotes".to_owned(),
                    Value::Null => "give it a value, or delete the field".to_owned(),
                    _ => format!("write {expected}"),
                };
                self.invalid(place, field, format!("must be {expected}, and is {}", other.kind()), remedy);
            }
        }
    }

    fn object(&mut self, schema: &JSONSchemaProps, node: &Node, place: Place, field: &str) {
        let Value::Map(entries) = &node.value else { return };
        let Some(properties) = &schema.properties else {
            // A map from names to texts, or anything at all.
            if let Some(JSONSchemaPropsOrBool::Schema(each)) = &schema.additional_properties {
                for entry in entries {
                    self.value(each, &entry.node, entry.place, &format!("{field}.{}", entry.key));
                }
            }
            return;
        };
        for entry in entries {
            let path = format!("{field}.{}", entry.key);
            if let Some(property) = properties.get(&entry.key) {
                self.value(property, &entry.node, entry.place, &path);
            } else {
                let names = || properties.keys().map(String::as_str);
                let remedy = match closest(&entry.key, names()) {
                    Some(like) => format!("did you mean {like:?}?"),
                    None => format!("{field} has {}", names().collect::<Vec<_>>().join(", ")),
                };
                self.fault(entry.place, &path, Reason::UnknownField, "there is no such field".to_owned(), remedy);
            }
        }
        for required in schema.required.iter().flatten() {
            if node.entry(required).is_none() {
                self.missing(&format!("{field}.{required}"), place);
            }
        }
    }

    fn list(&mut self, schema: &JSONSchemaProps, items: &[Node], place: Place, field: &str) {
        let (min, max) = (schema.min_items.unwrap_or(0), schema.max_items.unwrap_or(i64::MAX));
        let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if count < min {
            self.invalid(place, field, format!("has {count} items"), format!("write {min} at least"));
        }
        if count > max {
            self.invalid(place, field, format!("has {count} items"), format!("write {max} at most"));
        }
        let Some(JSONSchemaPropsOrArray::Schema(item_schema)) = &schema.items else { return };
        let keys = schema.x_kubernetes_list_map_keys.as_deref().unwrap_or_default();
        let is_set = schema.x_kubernetes_list_type.as_deref() == Some("set");
        let mut seen: Vec<Vec<serde_json::Value>> = Vec::new();
        for (i, item) in items.iter().enumerate() {
            let path = format!("{field}[{i}]");
            self.value(item_schema, item, item.place, &path);
            let identity = if is_set {
                vec![item.to_json()]
            } else {
                keys.iter().filter_map(|k| item.entry(k)).map(|e| e.node.to_json()).collect()
            };
            if identity.is_empty() {
                continue;
            }
            if let Some(first) = seen.iter().position(|s| *s == identity) {
                let what = if is_set { "the value".to_owned() } else { keys.join(" and ") };
                let message = format!("{what} is that of {field}[{first}]");
                self.invalid(item.place, &path, message, "delete one of them");
            }
            seen.push(identity);
        }
    }

    fn text(&mut self, schema: &JSONSchemaProps, text: &str, place: Place, field: &str) {
        if let Some(allowed) = &schema.enum_ {
            let allowed: Vec<_> = allowed.iter().filter_map(|v| v.0.as_str()).collect();
            if !allowed.contains(&text) {
                let remedy = match closest(text, allowed.iter().copied()) {
                    Some(like) => format!("did you mean {like:?}?"),
                    None => format!("write one of {}", allowed.join(", ")),
                };
                self.invalid(place, field, format!("{text:?} is not a value of this field"), remedy);
            }
        }
        let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        let (min, max) = (schema.min_length.unwrap_or(0), schema.max_length.unwrap_or(i64::MAX));
        if length < min {
            self.invalid(place, field, "is empty", format!("write {min} character at least"));
        }
        if length > max {
            self.invalid(place, field, format!("has {length} characters"), format!("write {max} at most"));
        }
    }

    fn range(&mut self, schema: &JSONSchemaProps, number: f64, place: Place, field: &str) {
        let (min, max) = (schema.minimum.unwrap_or(f64::MIN), schema.maximum.unwrap_or(f64::MAX));
        if number < min || number > max {
            self.invalid(place, field, format!("{number} is out of bounds"), format!("write {min} to {max}"));
        }
    }
}
