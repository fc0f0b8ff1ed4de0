//! What `muc-node log --format json` prints.

use anyhow::{Context, Result};
use serde_json::Value;

/// A row of a room's log, as `muc-node log --format json` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Position.
    pub seq: u64,
    /// `message`, `subject`, `join`, `leave`, `nick`, `role`, `config`.
    pub kind: String,
    /// Nick of whom it is about.
    pub nick: String,
    /// The stanza-id on the wire.
    pub id: String,
    /// Real JID of whom it is about.
    pub jid: Option<String>,
    /// Peer room that it came through; `None`: it was decided here.
    pub ingress: Option<String>,
    /// Text of a message or subject.
    pub body: Option<String>,
    /// The sender's own id of a message.
    pub client_id: Option<String>,
    /// Why somebody left.
    pub cause: Option<String>,
}

impl LogEntry {
    /// Whether it is a message with a body.
    pub fn is_message(&self) -> bool {
        self.kind == "message"
    }

    /// Reads a line.
    ///
    /// # Errors
    /// When it is not as documented.
    pub(crate) fn parse(line: &str) -> Result<Self> {
        let entry: Value = serde_json::from_str(line)?;
        let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
        let needed = |name: &str| text(name).with_context(|| format!("no {name}"));
        Ok(Self {
            seq: entry.get("seq").and_then(Value::as_u64).context("no seq")?,
            kind: needed("kind")?,
            nick: needed("nick")?,
            id: needed("id")?,
            jid: text("jid"),
            ingress: text("ingress"),
            body: text("body"),
            client_id: text("client_id"),
            cause: text("cause"),
        })
    }
}
