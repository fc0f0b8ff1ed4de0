//! Reading manifests as kubectl reads them, and what is said when they are wrong.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::{Path, PathBuf};

use warren_crds::manifests::{self, Manifests, Severity};
use warren_crds::{Reason, Resource};
use warren_model::{Body, Generation, ObjectKind};

const SERVICE: &str = "\
apiVersion: warren.chat/v1alpha1
kind: MucService
metadata: {name: rooms}
spec:
  domain: rooms.wonderland.lit
  homeDomains: [wonderland.lit]
  transport: {component: {host: localhost, port: 5347, secretRef: {name: component, key: secret}}}
---
apiVersion: v1
kind: Secret
metadata: {name: component}
data: {secret: c2VzYW1l}
";

fn parse(files: &[(&str, &str)]) -> Manifests {
    let files: Vec<_> = files.iter().map(|(name, text)| (PathBuf::from(name), text.as_bytes().to_vec())).collect();
    manifests::parse(&files)
}

fn report(read: &Manifests) -> String {
    read.diagnostics.iter().map(|d| d.to_string() + "\n").collect()
}

/// Every kind of mistake, with the exact words. `UPDATE_GOLDEN=1 cargo test` writes them anew.
#[test]
fn every_mistake_is_named_with_file_document_line_object_and_field() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let read = manifests::read(&here.join("broken"));
    let text = report(&read).replace(&format!("{}/", here.display()), "");
    let golden = here.join("broken/report.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    for (said, expected) in text.lines().zip(expected.lines()) {
        assert_eq!(said, expected);
    }
    assert_eq!(text.lines().count(), expected.lines().count());
    assert!(!text.contains("hunter"), "values of secrets are not quoted");

    // Nothing that the API promises to name is missing, and nothing is built.
    for reason in Reason::ALL {
        let named = read.diagnostics.iter().any(|d| d.reason == reason);
        assert!(named, "{reason} does not occur");
    }
    let errors = read.diagnostics.iter().filter(|d| d.severity == Severity::Error);
    for error in errors.filter(|d| d.reason != Reason::UnreadableManifest) {
        assert!(error.document.is_some() && error.line.is_some(), "{error}");
        assert!(!error.remedy.is_empty(), "{error}");
    }
    assert!(read.into_objects().is_err());
}

#[test]
fn what_is_right_is_built() {
    let room = "{apiVersion: warren.chat/v1alpha1, kind: FederatedRoom, metadata: {name: tea}, spec: {serviceRef: {name: rooms}}}";
    let objects = parse(&[("a.yaml", SERVICE), ("b.yaml", room)]).into_objects().unwrap();
    let [service, tea] = objects.as_slice() else { panic!("{objects:?}") };
    assert_eq!((service.name.kind, tea.name.kind), (ObjectKind::MucService, ObjectKind::FederatedRoom));
    assert_eq!((tea.name.namespace.as_str(), tea.name.name.as_str()), ("default", "tea"));
    assert_eq!(tea.generation, Generation(1));
    let Body::Service(config) = &service.body else { panic!() };
    assert_eq!(config.component.secret, "sesame");
    let Body::Room { jid, destroy_on_delete, .. } = &tea.body else { panic!() };
    assert_eq!((jid.as_str(), *destroy_on_delete), ("tea@rooms.wonderland.lit", false));

    // The same again gives the same; a rotated secret another digest of the same object.
    let again = parse(&[("a.yaml", SERVICE), ("b.yaml", room)]).into_objects().unwrap();
    assert_eq!(objects, again);
    let rotated = SERVICE.replace("c2VzYW1l", "b3Blbg==");
    let rotated = parse(&[("a.yaml", &rotated), ("b.yaml", room)]).into_objects().unwrap();
    assert_eq!(rotated[0].uid, service.uid);
    assert_ne!(rotated[0].digest, service.digest);
    assert_eq!(rotated[1], objects[1]);
}

#[test]
fn a_directory_is_read_as_kubectl_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("service.yaml", &format!("\u{feff}# comment\n---\n---\n{SERVICE}---\n# nothing\n"));
    write(
        "a.yml",
        "{apiVersion: warren.chat/v1alpha1, kind: FederatedRoom, metadata: {name: a}, spec: {serviceRef: {name: rooms}}}",
    );
    write(
        "b.json",
        r#"{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "warren.chat/v1alpha1", "kind": "FederatedRoom",
            "metadata": {"name": "b", "uid": "u", "resourceVersion": "7", "generation": 3, "creationTimestamp": null},
            "spec": {"serviceRef": {"name": "rooms"}, "federation": null, "deletionPolicy": "Destroy"}}]}"#,
    );
    write("notes.txt", "not: [yaml");
    std::fs::create_dir(dir.path().join("sub.yaml")).unwrap();
    let read = manifests::read(dir.path());
    assert_eq!(report(&read), "");
    let names: Vec<_> = read.into_objects().unwrap().into_iter().map(|o| (o.name.name, o.generation)).collect();
    // What an API server had filled in does not count here.
    let expected = ["rooms", "a", "b"].map(|n| (n.to_owned(), Generation(1)));
    assert_eq!(names, expected);

    let one = manifests::read(&dir.path().join("service.yaml"));
    assert_eq!(one.into_objects().unwrap().len(), 1, "one file is enough");
}

#[test]
fn a_missing_and_an_empty_directory_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let said = |path: &Path| {
        let read = manifests::read(path);
        assert!(!read.is_ok());
        report(&read).replace(&dir.path().display().to_string(), "DIR")
    };
    assert_eq!(
        said(dir.path()),
        "DIR: error: holds no manifests (UnreadableManifest)\n  \
         help: put files *.yaml, *.yml or *.json directly into it; subdirectories are not read\n"
    );
    assert_eq!(
        said(&dir.path().join("nowhere")),
        "DIR/nowhere: error: cannot be read: No such file or directory (os error 2) (UnreadableManifest)\n  \
         help: check the path and its permissions\n"
    );
}

#[test]
fn other_objects_get_a_warning_and_do_no_harm() {
    let other = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {replicas: 1}}";
    let read = parse(&[("a.yaml", SERVICE), ("b.yaml", other)]);
    assert!(read.is_ok());
    assert_eq!(
        report(&read),
        "b.yaml:1:23: warning: document 1: Deployment default/x: kind: apps/v1 Deployment is not read by muc-node (NotRead)\n  \
         help: only warren.chat/v1alpha1 and v1/Secret are\n"
    );
    assert_eq!(read.into_objects().unwrap().len(), 1);
}

#[test]
fn a_list_may_be_long_and_must_be_a_list() {
    let rooms: Vec<_> = (0..5000)
        .map(|i| {
            format!(
                "{{apiVersion: warren.chat/v1alpha1, kind: FederatedRoom, metadata: {{name: r{i}}}, \
                 spec: {{serviceRef: {{name: rooms}}, title: T, affiliations: {{entries: [\
                 {{jid: alice@wonderland.lit, affiliation: Owner}}, {{jid: hatter@wonderland.lit, affiliation: Admin}}, \
                 {{jid: hare@wonderland.lit, affiliation: Member}}]}}, config: {{moderated: true, membersOnly: true}}}}}}"
            )
        })
        .collect();
    let list =
        format!("{{apiVersion: warren.chat/v1alpha1, kind: FederatedRoomList, items: [\n{}\n]}}", rooms.join(",\n"));
    let read = parse(&[("a.yaml", SERVICE), ("b.yaml", &list)]);
    assert_eq!(report(&read), "");
    assert_eq!(read.into_objects().unwrap().len(), 5001);

    let read = parse(&[("a.yaml", SERVICE), ("b.yaml", "{apiVersion: v1, kind: List, items: 5}")]);
    assert_eq!(read.diagnostics[0].field, "items");
    assert!(!read.is_ok());
}

/// A mistake in an object is named there and not again at everything that refers to it.
#[test]
fn one_mistake_is_named_once() {
    let wrong = SERVICE.replace("homeDomains", "homeDomain");
    let room = "{apiVersion: warren.chat/v1alpha1, kind: FederatedRoom, metadata: {name: tea}, spec: {serviceRef: {name: rooms}}}";
    let peer = "{apiVersion: warren.chat/v1alpha1, kind: FederationPeer, metadata: {name: p}, spec: {domain: a.lit, vouch: {any: true}}}";
    let read = parse(&[("a.yaml", &wrong), ("b.yaml", room), ("c.yaml", peer)]);
    let named: Vec<_> = read.diagnostics.iter().map(|d| (d.resource.clone(), d.field.as_str())).collect();
    let rooms = || Some(Resource::new("MucService", "default", "rooms"));
    assert_eq!(named, [(rooms(), "spec.homeDomains"), (rooms(), "spec.homeDomain")]);
}

/// One process serves all namespaces of the manifests, and `control` knows a peer by its domain alone.
#[test]
fn namespaces_share_their_peers_domains() {
    let other = SERVICE
        .replace("metadata: {name: rooms}", "metadata: {name: rooms, namespace: b}")
        .replace("metadata: {name: component}", "metadata: {name: component, namespace: b}")
        .replace("rooms.wonderland.lit", "b.wonderland.lit");
    let peer = |ns: &str| {
        format!(
            "{{apiVersion: warren.chat/v1alpha1, kind: FederationPeer, metadata: {{name: p, namespace: {ns}}}, \
             spec: {{domain: talk.denmark.lit, vouch: {{any: true}}}}}}"
        )
    };
    let files = [("a", SERVICE), ("b", &other), ("c", &peer("default")), ("d", &peer("b"))];
    let read = parse(&files);
    let reasons: Vec<_> = read.diagnostics.iter().map(|d| (d.file.to_str().unwrap(), d.reason)).collect();
    assert_eq!(reasons, [("c", Reason::JidConflict), ("d", Reason::JidConflict)]);
    // An operator gives each service its own pods.
    assert!(warren_crds::validate(&read.declared).problems.is_empty());
}

/// What only Kubernetes can act on is said to do nothing here; what it fills in is read over.
#[test]
fn fields_for_kubernetes_get_a_warning() {
    let service = SERVICE.replace(
        "spec:\n",
        "status: {readyReplicas: 3}\nspec:\n  replicas: 3\n  store: {postgres: {dsnSecretRef: {name: component, key: secret}}}\n  tls: {secretName: tls}\n",
    );
    let read = parse(&[("a.yaml", &service)]);
    assert!(read.is_ok(), "{}", report(&read));
    let fields: Vec<_> = read.diagnostics.iter().map(|d| (d.reason, d.severity, d.field.as_str(), d.line)).collect();
    let warning = |field, line| (Reason::NotRead, Severity::Warning, field, Some(line));
    assert_eq!(fields, [warning("spec.replicas", 6), warning("spec.store", 7), warning("spec.tls", 8)]);
    assert_eq!(read.into_objects().unwrap().len(), 1);
}
