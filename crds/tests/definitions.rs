//! The definitions themselves: checked in, documented, bounded, and free of a Kubernetes client.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::Path;
use std::process::Command;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

#[test]
fn the_checked_in_yaml_is_current() {
    for (name, text) in warren_crds::crd_files().unwrap() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("yaml").join(&name);
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(there == text, "{name} is stale: run `cargo run -p warren-crds --example generate`");
    }
}

fn walk(path: &str, schema: &JSONSchemaProps, see: &mut impl FnMut(&str, &JSONSchemaProps)) {
    see(path, schema);
    for (name, property) in schema.properties.iter().flatten() {
        walk(&format!("{path}.{name}"), property, see);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = &schema.items {
        walk(&format!("{path}[]"), item, see);
    }
}

/// What an API server's cost estimate, `kubectl explain` and the warning on `uint32` ask for.
#[test]
fn every_field_is_documented_and_bounded() {
    for crd in warren_crds::crds() {
        let kind = &crd.spec.names.kind;
        let root = crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
        walk(kind, root, &mut |path, schema| {
            let documented = schema.description.as_ref().is_some_and(|d| !d.contains("Auto-generated"));
            assert!(documented || path.ends_with("[]"), "{path} has no description");
            if path.contains(".status.conditions[]") {
                return; // Kubernetes' own type.
            }
            match schema.type_.as_deref() {
                Some("string") => {
                    let bounded = schema.max_length.is_some() || schema.enum_.is_some();
                    assert!(bounded || schema.format.as_deref() == Some("date-time"), "{path}");
                }
                Some("array") => assert!(schema.max_items.is_some(), "{path}"),
                Some("integer") if path.ends_with(".status.observedGeneration") => {
                    assert_eq!(schema.format.as_deref(), Some("int64"), "{path}");
                }
                Some("integer") => {
                    assert!(schema.minimum.is_some() && schema.maximum.is_some(), "{path}");
                    assert_eq!(schema.format.as_deref(), Some("int32"), "{path}");
                }
                Some("object") if schema.properties.is_some() => {}
                // The escape hatch: a piece of a pod template, which only Kubernetes can judge.
                Some("object") if path == "MucService.spec.podTemplate" => {
                    assert_eq!(schema.x_kubernetes_preserve_unknown_fields, Some(true));
                }
                Some("object") => {
                    let Some(JSONSchemaPropsOrBool::Schema(each)) = &schema.additional_properties else {
                        panic!("{path} takes anything")
                    };
                    assert!(each.max_length.is_some() && schema.max_properties.is_some(), "{path}");
                }
                Some("boolean") => {}
                other => panic!("{path}: {other:?}"),
            }
        });
    }
}

/// Every field has a line in docs/design/0002-api.md, by its own name.
#[test]
fn the_page_of_the_api_names_every_field() {
    let page = include_str!("../../docs/design/0002-api.md");
    for crd in warren_crds::crds() {
        let kind = &crd.spec.names.kind;
        let root = crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
        walk(kind, root.properties.as_ref().unwrap().get("spec").unwrap(), &mut |path, _| {
            let name = path.rsplit('.').next().unwrap().trim_end_matches("[]");
            let named = page.match_indices(name).any(|(at, _)| {
                let edge = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
                edge(page[..at].chars().next_back()) && edge(page[at + name.len()..].chars().next())
            });
            assert!(named || path == *kind, "{path} is not on the page");
        });
    }
}

/// `muc-node` depends on this crate and must never hold a client of the API server.
#[test]
fn no_kubernetes_client_comes_with_the_types() {
    // `cargo tree` and not `cargo metadata`: only it resolves this package alone, without the features that tests
    // and other packages of the workspace turn on.
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--package", "warren-crds", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(["--offline", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let text = String::from_utf8(tree.stdout).unwrap();
    let names: Vec<_> = text.lines().filter_map(|l| l.split(' ').next()).collect();
    assert!(names.contains(&"kube-core"), "the tree is read");
    for forbidden in ["kube-client", "kube-runtime", "hyper", "tokio", "kube-cel"] {
        assert!(!names.contains(&forbidden), "{forbidden} is in the tree");
    }
}
