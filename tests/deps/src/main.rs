//! Part of `make lint`: judges what `cargo metadata` says of the tree. cargo-deny does more (advisories,
//! sources) and takes minutes to build; it runs in the workflow, this runs everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Licences under which anything may be linked.
const LICENCES: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "Unicode-3.0",
    "Zlib",
    "Unlicense",
    "0BSD",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "OpenSSL",
];
/// Copyleft per file: linked, never copied from.
const MPL: &[&str] = &["jid", "minidom", "sasl", "tokio-xmpp", "xmpp-parsers", "xso", "xso_proc"];
/// Never anywhere, and why.
const BANNED: &[(&str, &str)] = &[
    ("ring", "one crypto provider: aws-lc-rs"),
    ("openssl-sys", "one crypto provider: aws-lc-rs"),
    ("native-tls", "rustls everywhere"),
    ("serde_yaml", "unmaintained"),
];
/// Never in the tree of the pod, and why.
const BANNED_IN_POD: &[(&str, &str)] =
    &[("kube-client", "pods hold no API-server credentials"), ("tokio-xmpp", "it is the client of tests")];
/// Crates that stand in the tree in more than one version, because others ask for both. A new one is a
/// decision, not an accident.
const DUPLICATES: &str = include_str!("../duplicates.txt");

fn main() -> ExitCode {
    match judge() {
        Ok(faults) if faults.is_empty() => ExitCode::SUCCESS,
        Ok(faults) => {
            for fault in faults {
                eprintln!("error: {fault}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn cargo(args: &[&str]) -> Result<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo).args(args).output().with_context(|| format!("cargo {}", args.join(" ")))?;
    ensure!(output.status.success(), "cargo {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn judge() -> Result<Vec<String>> {
    let target = cargo(&["-vV"])?;
    let host = target.lines().find_map(|line| line.strip_prefix("host: ")).context("cargo names no host")?;
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--locked", "--filter-platform", host])?)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    // The metadata also lists what features that are off would bring.
    let tree = cargo(&["tree", "--workspace", "-e", "normal,build,dev", "--prefix", "none", "--locked"])?;
    let built: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?.trim_start_matches('v')))
        })
        .collect();
    let mut faults = Vec::new();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        let name = package["name"].as_str().context("a package without a name")?;
        let version = package["version"].as_str().unwrap_or_default();
        if !built.contains(&(name, version)) {
            continue;
        }
        versions.entry(name).or_default().insert(version);
        let licence = package["license"].as_str().unwrap_or_default();
        if !allowed(name, licence) {
            faults.push(format!("{name} {version}: the licence \"{licence}\" is not on the list"));
        }
    }
    for (name, why) in BANNED {
        if versions.contains_key(name) {
            faults.push(format!("{name} is in the tree: {why}"));
        }
    }
    let pod = cargo(&["tree", "-p", "warren-muc-node", "-e", "normal", "--prefix", "none", "--locked"])?;
    for (name, why) in BANNED_IN_POD {
        if pod.lines().any(|line| line.split(' ').next() == Some(name)) {
            faults.push(format!("{name} is in the tree of muc-node: {why}"));
        }
    }
    let known: BTreeSet<&str> = DUPLICATES.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let twice: BTreeSet<&str> = versions.iter().filter(|(_, v)| v.len() > 1).map(|(name, _)| *name).collect();
    for name in twice.difference(&known) {
        let list: Vec<_> = versions[name].iter().copied().collect();
        faults.push(format!("{name} is in the tree more than once: {}", list.join(", ")));
    }
    for name in known.difference(&twice) {
        faults.push(format!("{name} is in the tree only once now: take it off tests/deps/duplicates.txt"));
    }
    println!("{} packages, {} of them in several versions", versions.len(), twice.len());
    Ok(faults)
}

/// Whether the expression can be satisfied from the list. Handles the forms that occur: OR, AND, `/`, brackets.
fn allowed(name: &str, expression: &str) -> bool {
    let flat = expression.replace(['(', ')'], "").replace('/', " OR ");
    flat.split(" AND ").all(|part| {
        part.split(" OR ")
            .any(|licence| LICENCES.contains(&licence.trim()) || (licence.trim() == "MPL-2.0" && MPL.contains(&name)))
    })
}
