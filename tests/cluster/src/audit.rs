//! The audit log of the API server: who wrote what.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

/// The policy: metadata of every write, once, when it is answered. Reads are left out: they are many.
pub(crate) fn policy() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "Metadata", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
            {"level": "None"},
        ],
    })
}

/// One request to write, whatever became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Who: a certificate's common name, or `system:serviceaccount:NAMESPACE:NAME`.
    pub user: String,
    /// What the client calls itself.
    pub agent: String,
    /// create, update, patch, delete or deletecollection.
    pub verb: String,
    /// Plural of the kind, with the subresource if there is one: `federatedrooms/status`.
    pub resource: String,
    /// Empty for what belongs to none.
    pub namespace: String,
    /// Empty where the server gives the name.
    pub name: String,
    /// HTTP status of the answer.
    pub code: u16,
    /// Whether nothing was to be stored.
    pub dry_run: bool,
}

impl Write {
    /// Whether something may have been stored: it was answered with success and was no dry run.
    pub fn stored(&self) -> bool {
        (200..300).contains(&self.code) && !self.dry_run
    }
}

/// The log. The server writes a line right after it has answered: look with [`crate::eventually`], or wait a moment.
#[derive(Clone, Debug)]
pub struct AuditLog {
    path: PathBuf,
}

/// A place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(usize);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    object_ref: Option<Object>,
    response_status: Option<Status>,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Object {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

impl AuditLog {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The end of the log as it is now.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn mark(&self) -> Result<Mark> {
        Ok(Mark(whole_lines(&self.bytes()?).len()))
    }

    /// All writes since `mark`, oldest first; since the start of the server with `Mark::default()`.
    ///
    /// # Errors
    /// When the log cannot be read or is not what the API server writes.
    pub fn writes(&self, mark: Mark) -> Result<Vec<Write>> {
        let bytes = self.bytes()?;
        let lines = whole_lines(&bytes).get(mark.0..).context("the audit log has become shorter")?;
        lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(parse).collect()
    }

    fn bytes(&self) -> Result<Vec<u8>> {
        match std::fs::read(&self.path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()), // nothing was written yet
            read => read.with_context(|| format!("cannot read {}", self.path.display())),
        }
    }
}

/// Without a last line that is still being written.
fn whole_lines(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1)]
}

fn parse(line: &[u8]) -> Result<Write> {
    let event: Event = serde_json::from_slice(line)
        .with_context(|| format!("not an audit event: {}", String::from_utf8_lossy(line)))?;
    let object = event.object_ref.unwrap_or_default();
    let query = event.request_uri.split_once('?').map_or("", |(_, query)| query);
    Ok(Write {
        user: event.user.username,
        agent: event.user_agent,
        verb: event.verb,
        resource: match object.subresource.as_str() {
            "" => object.resource,
            subresource => format!("{}/{subresource}", object.resource),
        },
        namespace: object.namespace,
        name: object.name,
        code: event.response_status.map_or(0, |status| status.code),
        dry_run: query.split('&').any(|pair| pair == "dryRun=All"),
    })
}
