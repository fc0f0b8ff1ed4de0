//! What goes wrong between a statement and its answer, and what that means.

use tokio_postgres::error::{DbError, Severity};

use crate::{CommitError, StoreError};

/// Why something gave no result.
#[derive(Debug)]
pub enum Trouble {
    /// The server refused a statement for a reason that lies in the data; it would do so again.
    Rule(String),
    /// The server refused it for another reason.
    Refused(String),
    /// The connection is over, or of no use; what it was asked last was not to commit.
    Lost(String),
    /// As before, but it may have committed.
    Unknown(String),
    /// What came back cannot be read.
    Corrupt(String),
    /// The lane is closed.
    Fenced,
    /// What was decided on is not so any more: nothing of it must happen.
    Overtaken,
    /// This work of a group must not happen.
    Rejected(usize, String),
    /// The shard of this work of a group has another owner since.
    Disowned(usize),
}

impl Trouble {
    /// Whether the connection is of no more use, or may be inside a transaction that nobody ends: a new one is cheap.
    pub fn ends(&self) -> bool {
        !matches!(self, Self::Fenced | Self::Overtaken | Self::Rejected(..) | Self::Disowned(_) | Self::Rule(_))
    }

    /// For people.
    pub fn why(self) -> String {
        match self {
            Self::Fenced => "the lane is closed".to_owned(),
            Self::Overtaken => "somebody was faster".to_owned(),
            Self::Disowned(_) => "its shard has another owner since".to_owned(),
            Self::Rule(why)
            | Self::Refused(why)
            | Self::Lost(why)
            | Self::Unknown(why)
            | Self::Corrupt(why)
            | Self::Rejected(_, why) => why,
        }
    }
}

impl From<Trouble> for CommitError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Fenced => Self::Fenced,
            Trouble::Rejected(index, why) => Self::Rejected { index: Some(index), why },
            Trouble::Disowned(index) => Self::Disowned { index },
            Trouble::Unknown(why) => Self::Unknown(why),
            other => Self::Failed(other.why()),
        }
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Corrupt(why) => Self::Corrupt(why),
            other => Self::Failed(other.why()),
        }
    }
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else { return Self::Lost(chain(&error)) };
        let why = described(db);
        let code = db.code().code();
        let class = code.get(..2);
        match class {
            // User, password, database: another attempt ends as this one did.
            Some("28" | "3D") => return Self::Refused(why),
            _ if !matches!(db.parsed_severity(), Some(Severity::Error)) => return Self::Lost(why),
            _ => {}
        }
        match class {
            // Data that the types do not take, integrity, and what is larger than a limit.
            Some("22" | "23" | "54") => Self::Rule(why),
            // Read-only: this is a standby now. Another connection may find the primary.
            _ if code == "25006" => Self::Lost(why),
            _ => Self::Refused(why),
        }
    }
}

/// One sentence on what the server said.
pub fn described(db: &DbError) -> String {
    let remedy = match db.code().code() {
        "25006" => ": this server is a standby; name the primary, or all servers",
        "53100" => ": make room on the server's disk",
        "28P01" | "28000" | "3D000" => ": check the connection string",
        "42501" => ": grant the user what it needs, or make it the owner of the tables",
        _ => "",
    };
    let detail = db.constraint().map(|name| format!(", {name}")).unwrap_or_default();
    format!("PostgreSQL: {} ({}{detail}){remedy}", db.message(), db.code().code())
}

/// An error with what caused it.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    text
}
