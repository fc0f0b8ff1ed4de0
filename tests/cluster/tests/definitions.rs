//! The three kinds on a real API server: it takes the definitions and the examples, and refuses what it should.

mod rules;

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use rules::{ROWS, Row, base, merged};
use serde_json::{Value, json};
use warren_cluster::{Cluster, Kubectl, eventually, shared};

const DRY: PostParams = PostParams { dry_run: true, field_manager: None };
const APPLY: [&str; 5] = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];

fn api(client: Client, kind: &str, namespace: &str) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(warren_crds::GROUP, warren_crds::VERSION, kind));
    Api::namespaced_with(client, namespace, &kind)
}

/// Every rule of the definitions: kind, field and message.
fn rules_of_the_schema() -> BTreeSet<(String, String, String)> {
    fn walk(kind: &str, path: &str, schema: &Value, found: &mut BTreeSet<(String, String, String)>) {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let message = rule["message"].as_str().expect("every rule has a message");
            found.insert((kind.to_owned(), path.to_owned(), message.to_owned()));
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let dot = if path.is_empty() { "" } else { "." };
            walk(kind, &format!("{path}{dot}{name}"), property, found);
        }
        for below in ["items", "additionalProperties"] {
            if let Some(schema) = schema.get(below) {
                walk(kind, &format!("{path}[]"), schema, found);
            }
        }
    }
    let mut found = BTreeSet::new();
    for definition in warren_crds::crds() {
        let definition = serde_json::to_value(&definition).expect("a definition");
        let kind = definition["spec"]["names"]["kind"].as_str().expect("a kind").to_owned();
        for version in definition["spec"]["versions"].as_array().expect("versions") {
            walk(&kind, "", &version["schema"]["openAPIV3Schema"], &mut found);
        }
    }
    found
}

#[test]
fn every_rule_has_a_row_that_breaks_it() {
    let rows: BTreeSet<_> =
        ROWS.iter().map(|row| (row.kind.to_owned(), row.field.to_owned(), row.message.to_owned())).collect();
    let rules = rules_of_the_schema();
    let untested: Vec<_> = rules.difference(&rows).collect();
    let stale: Vec<_> = rows.difference(&rules).collect();
    assert!(untested.is_empty() && stale.is_empty(), "rules without a row: {untested:#?}\nrows without: {stale:#?}");
}

/// Whether the server's answer names field and rule. The object itself has no name there.
fn names(row: &Row, answer: &str) -> Result<()> {
    ensure!(answer.contains(row.message), "not refused by the rule: {answer}");
    ensure!(answer.contains(row.field), "the field {} is not named: {answer}", row.field);
    Ok(())
}

fn pair(row: &Row, namespace: &str, number: usize) -> (Value, Value) {
    let place = json!({"metadata": {"namespace": namespace, "name": format!("row-{number}")}});
    let good = merged(&merged(&base(row.kind), &place), &(row.before)());
    let bad = merged(&good, &(row.breaks)());
    (good, bad)
}

fn all(outcomes: Vec<(&Row, Result<()>)>) -> Result<()> {
    let failed: Vec<_> = outcomes
        .into_iter()
        .filter_map(|(row, outcome)| Some(format!("{} {:?}: {:#}", row.kind, row.message, outcome.err()?)))
        .collect();
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

#[test]
fn every_rule_refuses_what_breaks_it_by_kubectl() {
    shared(async |cluster| {
        let namespace = cluster.namespace("rules").await?;
        let kubectl = cluster.kubectl();
        let mut outcomes = Vec::new();
        for (number, row) in ROWS.iter().enumerate() {
            let (good, bad) = pair(row, namespace.name(), number);
            let outcome = async {
                let store = if row.update { &["apply", "-f", "-"][..] } else { &APPLY };
                kubectl.run_with(store, &good.to_string()).await.context("what is right")?;
                names(row, &kubectl.refused(&APPLY, &bad.to_string()).await?)
            };
            outcomes.push((row, outcome.await));
        }
        all(outcomes)
    });
}

#[test]
fn every_rule_refuses_what_breaks_it_by_the_client() {
    shared(async |cluster| {
        let namespace = cluster.namespace("rules").await?;
        let client = cluster.client().await?;
        let mut outcomes = Vec::new();
        for (number, row) in ROWS.iter().enumerate() {
            let (good, bad) = pair(row, namespace.name(), number);
            let api = api(client.clone(), row.kind, namespace.name());
            let outcome = async {
                let good = serde_json::from_value(good)?;
                let mut bad: DynamicObject = serde_json::from_value(bad)?;
                let refused = if row.update {
                    let stored = api.create(&PostParams::default(), &good).await.context("what is right")?;
                    bad.metadata = stored.metadata;
                    api.replace(&format!("row-{number}"), &DRY, &bad).await
                } else {
                    api.create(&DRY, &good).await.context("what is right")?;
                    api.create(&DRY, &bad).await
                };
                let Err(kube::Error::Api(status)) = refused else { bail!("not refused: {refused:?}") };
                ensure!(status.code == 422 && status.reason == "Invalid", "{status:?}");
                names(row, &status.message)
            };
            outcomes.push((row, outcome.await));
        }
        all(outcomes)
    });
}

#[test]
fn a_null_counts_as_absent() {
    shared(async |cluster| {
        let namespace = cluster.namespace("null").await?;
        let kubectl = cluster.kubectl();
        for (kind, field, value, refused) in [
            ("FederatedRoom", "federation", json!(null), None),
            ("FederatedRoom", "federation", json!({"jidExposure": null}), Some("who may see real JIDs")),
            ("FederatedRoom", "localpart", json!(null), None),
            ("FederationPeer", "rooms", json!(null), None),
            ("FederationPeer", "rooms", json!({"all": null}), Some("say exactly one of localparts")),
            ("FederationPeer", "rooms", json!({"all": true, "localparts": null}), None),
            ("FederationPeer", "vouch", json!({"any": true, "domains": null}), None),
            ("FederationPeer", "vouch", json!({"any": null, "domains": ["denmark.lit"]}), None),
        ] {
            let mut object = merged(&base(kind), &json!({"metadata": {"namespace": namespace.name(), "name": "one"}}));
            object["spec"][field] = value; // a merge patch would take it away
            let answer = kubectl.ask(&APPLY, &object.to_string()).await?;
            match refused {
                None => ensure!(answer.ok, "{object}: {}", answer.stderr),
                Some(text) => ensure!(!answer.ok && answer.stderr.contains(text), "{object}: {answer:?}"),
            }
        }
        Ok(())
    });
}

/// Applies the manifests of a directory for show; how many of them are ours.
async fn accepted(cluster: &Cluster, dir: &Path) -> Result<usize> {
    let kubectl = cluster.kubectl();
    let path = dir.to_str().context("a path in UTF-8")?;
    let namespace = cluster.namespace("examples").await?;
    let flags = ["--dry-run=server", "--validate=strict", "-o", "name", "-n", namespace.name()];
    let names = kubectl.run(&[&["apply", "-f", path], flags.as_slice()].concat()).await?;
    Ok(names.lines().filter(|name| name.contains(warren_crds::GROUP)).count())
}

#[test]
fn the_examples_are_accepted() {
    shared(async |cluster| {
        let examples = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples"));
        for dir in ["minimal", "demo/wonderland", "demo/denmark"] {
            let objects = accepted(cluster, &examples.join(dir)).await.context(dir)?;
            ensure!(objects >= 2, "{dir}: {objects} objects of ours only");
        }
        Ok(())
    });
}

#[test]
fn the_schema_refuses_what_no_rule_speaks_of() {
    shared(async |cluster| {
        let namespace = cluster.namespace("schema").await?;
        let kubectl = cluster.kubectl();
        for (kind, change, text) in [
            ("FederatedRoom", json!({"spec": {"titel": "Tea"}}), r#"unknown field "spec.titel""#),
            ("FederatedRoom", json!({"spec": {"deletionPolicy": "Keep"}}), r#"supported values: "Retain", "Destroy""#),
            ("FederatedRoom", json!({"spec": {"serviceRef": null}}), "spec.serviceRef: Required value"),
            ("FederatedRoom", json!({"spec": {"localpart": "tea time"}}), "spec.localpart: Invalid value"),
            ("FederationPeer", json!({"spec": {"vouch": {"any": null, "domains": ["a.lit", "a.lit"]}}}), "Duplicate"),
            ("MucService", json!({"spec": {"homeDomains": []}}), "spec.homeDomains"),
        ] {
            let good = merged(&base(kind), &json!({"metadata": {"namespace": namespace.name(), "name": "one"}}));
            kubectl.run_with(&APPLY, &good.to_string()).await?;
            let answer = kubectl.refused(&APPLY, &merged(&good, &change).to_string()).await?;
            ensure!(answer.contains(text), "{change}: expected {text:?}, got {answer}");
        }
        Ok(())
    });
}

/// What `kubectl get` prints, cell by cell: a column reaches from where its head begins to where the next one does.
fn table(text: &str) -> Vec<Vec<String>> {
    let head = text.lines().next().unwrap_or_default();
    let words = head.char_indices().filter(|(at, c)| *c != ' ' && (*at == 0 || head[..*at].ends_with("  ")));
    let starts: Vec<usize> = words.map(|(at, _)| at).collect();
    let cell = |line: &str, column: usize| {
        let line = line.get(starts[column]..).unwrap_or_default();
        let width = starts.get(column + 1).map_or(line.len(), |next| next - starts[column]);
        line.get(..width).unwrap_or(line).trim_end().to_owned()
    };
    text.lines().map(|line| (0..starts.len()).map(|column| cell(line, column)).collect()).collect()
}

/// What a column of the specification must show; `None` for columns that say something else.
fn specified(object: &Value, path: &str) -> Option<String> {
    let path = path.strip_prefix(".spec.")?;
    let value = path.split('.').fold(&object["spec"], |value, field| &value[field]);
    Some(value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned))
}

/// The columns of `kubectl get SHORT` are those of the definition, and hold what the object says. How many were compared.
async fn shows(kubectl: &Kubectl, namespace: &str, definition: &CustomResourceDefinition, wide: bool) -> Result<usize> {
    let short = definition.spec.names.short_names.as_ref().and_then(|short| short.first()).context("a short name")?;
    let get = ["get", short, "-n", namespace];
    // What is stored, with defaults.
    let stored: Value = serde_json::from_str(&kubectl.run(&[&get[..], &["-o", "json"]].concat()).await?)?;
    let output: &[&str] = if wide { &["-o", "wide"] } else { &[] };
    let shown = table(&kubectl.run(&[&get, output].concat()).await?);
    let columns = definition.spec.versions[0].additional_printer_columns.iter().flatten();
    let columns: Vec<_> = columns.filter(|column| wide || column.priority.unwrap_or(0) == 0).collect();
    let heads: Vec<_> = columns.iter().map(|column| column.name.to_uppercase()).collect();
    ensure!(shown.len() == 2 && shown[0][0] == "NAME" && shown[0][1..] == heads, "{short}: {shown:?}");
    let mut compared = 0;
    for (column, cell) in columns.iter().zip(&shown[1][1..]) {
        if let Some(expected) = specified(&stored["items"][0], &column.json_path) {
            ensure!(*cell == expected, "{short}: {} is {cell:?}, not {expected:?}", column.name);
            compared += 1;
        }
    }
    Ok(compared)
}

#[test]
fn kubectl_shows_the_columns() {
    shared(async |cluster| {
        let namespace = cluster.namespace("columns").await?;
        let kubectl = cluster.kubectl();
        for kind in ["MucService", "FederationPeer", "FederatedRoom"] {
            let place = json!({"metadata": {"namespace": namespace.name(), "name": "one"}});
            let named = if kind == "FederatedRoom" { json!({"spec": {"title": "Tea party"}}) } else { json!({}) };
            let object = merged(&merged(&base(kind), &place), &named);
            kubectl.run_with(&["apply", "-f", "-"], &object.to_string()).await?;
        }
        for definition in warren_crds::crds() {
            let short = shows(&kubectl, namespace.name(), &definition, false).await?;
            let wide = shows(&kubectl, namespace.name(), &definition, true).await?;
            ensure!(0 < wide && short <= wide, "{short} and {wide} cells compared");
        }
        // All of ours at once, and what can be selected by a field.
        let muc = kubectl.run(&["get", "muc", "-n", namespace.name(), "-o", "name"]).await?;
        ensure!(muc.lines().count() == 3, "{muc}");
        for (service, count) in [("rooms", 1), ("other", 0)] {
            let selector = format!("--field-selector=spec.serviceRef.name={service}");
            let found = kubectl.run(&["get", "froom", "-n", namespace.name(), &selector, "-o", "name"]).await?;
            ensure!(found.lines().count() == count, "{service}: {found:?}");
        }
        Ok(())
    });
}

#[test]
fn kubectl_explains_the_fields() {
    shared(async |cluster| {
        // The server publishes the schema a moment after it takes the definition.
        let text = eventually("explained", async || {
            cluster.kubectl().run(&["explain", "federatedroom.spec.deletionPolicy"]).await
        })
        .await?;
        ensure!(text.contains("What happens to the room when this object is deleted"), "{text}");
        Ok(())
    });
}
