//! Every file under `examples/` is right, and says what its comments say.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::{Path, PathBuf};

use warren_crds::manifests;
use warren_model::{Body, Object, Vouch};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples")
}

fn directories(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(directories(&path));
        } else if path.extension().is_some_and(|e| e == "yaml") && !found.contains(&below.to_owned()) {
            found.push(below.to_owned());
        }
    }
    found
}

fn objects(dir: &str) -> Vec<Object> {
    manifests::read(&examples().join(dir)).into_objects().unwrap()
}

#[test]
fn every_directory_of_examples_is_right() {
    let directories = directories(&examples());
    assert!(directories.len() >= 3, "{directories:?}");
    for dir in directories {
        let read = manifests::read(&dir);
        let report: Vec<_> = read.diagnostics.iter().map(ToString::to_string).collect();
        assert!(report.is_empty(), "{}", report.join("\n"));
    }
}

#[test]
fn the_demo_is_two_sites_that_fit_together() {
    let (wonderland, denmark) = (objects("demo/wonderland"), objects("demo/denmark"));
    let Body::Room { jid: rabbithole, .. } = &wonderland[2].body else { panic!("{:?}", wonderland[2].name) };
    let Body::Room { jid: elsinore, config, .. } = &denmark[2].body else { panic!("{:?}", denmark[2].name) };
    assert_eq!(rabbithole.as_str(), "rabbithole@rooms.wonderland.lit");
    assert_eq!(elsinore.as_str(), "elsinore@talk.denmark.lit");
    let uplink = config.federation.as_ref().unwrap().uplink.as_ref().unwrap();
    assert_eq!(uplink.room, *rabbithole);

    for (here, there) in [(&wonderland, &denmark), (&denmark, &wonderland)] {
        let (Body::Peer(peer), Body::Service(service)) = (&here[1].body, &there[0].body) else { panic!("order") };
        assert_eq!(peer.domain, service.domain);
        assert_eq!(peer.vouch, Vouch::Domains(service.home_domains.clone()));
    }
}
