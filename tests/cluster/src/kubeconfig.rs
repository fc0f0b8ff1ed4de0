//! Kubeconfig files and clients made of them.

use std::path::Path;

use anyhow::{Context, Result};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

/// How a kubeconfig file proves who its user is.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'a> {
    /// Certificate and key, PEM.
    Certificate(&'a str, &'a str),
    /// A bearer token, as service accounts have them.
    Token(&'a str),
}

/// Writes a kubeconfig file with one context and everything embedded. `ca` is PEM.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, server: &str, ca: &str, user: &str, proof: Proof<'_>) -> Result<()> {
    let proof = match proof {
        Proof::Certificate(certificate, key) => {
            json!({"client-certificate-data": encoded(certificate), "client-key-data": encoded(key)})
        }
        Proof::Token(token) => json!({"token": token}),
    };
    let cluster = json!({"server": server, "certificate-authority-data": encoded(ca)});
    save(path, user, &cluster, &proof)
}

/// Writes a kubeconfig file for another user of the cluster that `like` names, with a token.
///
/// # Errors
/// When `like` cannot be read or names no cluster, or `path` cannot be written.
pub fn write_like(path: &Path, like: &Path, user: &str, token: &str) -> Result<()> {
    let known = read(like)?;
    let context = known.current_context.as_deref().context("the kubeconfig has no current context")?;
    let context = known.contexts.iter().find(|c| c.name == context).and_then(|c| c.context.as_ref());
    let name = &context.context("the kubeconfig lacks its current context")?.cluster;
    let cluster = known.clusters.iter().find(|c| &c.name == name).and_then(|c| c.cluster.as_ref());
    let cluster = serde_json::to_value(cluster.with_context(|| format!("the kubeconfig lacks its cluster {name}"))?)?;
    save(path, user, &cluster, &json!({"token": token}))
}

/// A client for the user of a kubeconfig file. It calls itself `agent` where a name is given, and never goes
/// through a proxy to our own loopback.
///
/// # Errors
/// When the file cannot be read or makes no client.
pub async fn client(path: &Path, agent: Option<&str>) -> Result<Client> {
    let mut config = Config::from_custom_kubeconfig(read(path)?, &KubeConfigOptions::default())
        .await
        .with_context(|| format!("cannot use {}", path.display()))?;
    if config.cluster_url.host() == Some("127.0.0.1") {
        config.proxy_url = None;
    }
    if let Some(agent) = agent {
        config.headers.push((http::header::USER_AGENT, agent.parse().context("no name for a client")?));
    }
    Ok(Client::try_from(config)?)
}

/// Reads a kubeconfig file.
pub(crate) fn read(path: &Path) -> Result<Kubeconfig> {
    Kubeconfig::read_from(path).with_context(|| format!("cannot read {}", path.display()))
}

fn save(path: &Path, user: &str, cluster: &Value, proof: &Value) -> Result<()> {
    let text = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": user, "user": proof}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        "current-context": "test",
    });
    std::fs::write(path, text.to_string()).with_context(|| format!("cannot write {}", path.display()))
}

fn encoded(pem: &str) -> String {
    data_encoding::BASE64.encode(pem.as_bytes())
}
