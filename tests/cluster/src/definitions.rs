//! The three kinds on a server.

use anyhow::{Context, Result, ensure};

use crate::{kubectl::Kubectl, run::eventually};

/// The generated definitions, as a user would apply them.
pub const CRDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crds/yaml");

/// Applies the definitions with kubectl and waits until objects of the three kinds can be read.
///
/// # Errors
/// When the server refuses one, or does not serve it soon.
pub async fn install(kubectl: &Kubectl) -> Result<()> {
    kubectl.run(&["apply", "--server-side", "-f", CRDS]).await?;
    let names = kubectl.run(&["get", "-f", CRDS, "-o", "name"]).await?;
    let names: Vec<&str> = names.lines().collect();
    ensure!(!names.is_empty(), "{CRDS} holds no definitions");
    let wait = ["wait", "--for=condition=Established", "--timeout=30s"];
    kubectl.run(&[wait.as_slice(), &names].concat()).await?;
    // Established is said a moment before the kinds are served and discovered.
    for name in names {
        let kind = name.split_once('/').context("kubectl names objects KIND/NAME")?.1;
        eventually(&format!("{kind} served"), async || kubectl.run(&["get", kind, "-A"]).await).await?;
    }
    Ok(())
}
