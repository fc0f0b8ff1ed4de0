//! Errors. Each one reads as one sentence that says what to do.

use std::path::PathBuf;

/// Why a store cannot be opened, read or taken over.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error(
        "the store {path} is in use by another process{holder}: stop that process first, or give this one a store of its own",
        path = path.display()
    )]
    Locked {
        /// The database.
        path: PathBuf,
        /// " (pid 17)", or empty when it is not known.
        holder: String,
    },
    /// It was written by a later version.
    #[error(
        "the store {path} has schema {found}, and this version of Warren knows schemas up to {known}: run the version that wrote it, or a later one",
        path = path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// What it has.
        found: u32,
        /// What we know.
        known: u32,
    },
    /// Its rooms are spread over shards in a way that we do not know.
    #[error(
        "the store {path} spreads its rooms by scheme {found}, and this version of Warren knows scheme {known}: run the version that wrote it",
        path = path.display()
    )]
    ShardScheme {
        /// The database.
        path: PathBuf,
        /// What it has.
        found: u32,
        /// What we know.
        known: u32,
    },
    /// The file is something else.
    #[error(
        "{path} is not a Warren store ({why}): name another file or database, or move this one away to start with an empty store",
        path = path.display()
    )]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What it is.
        why: String,
    },
    /// The file or its directory cannot be opened.
    #[error(
        "the store {path} cannot be opened ({why}): check that its directory exists and that this user may read and write there",
        path = path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// There is no connection to its server.
    #[error("the store {name} cannot be reached ({why}): check its connection string, its server and its user")]
    Unreachable {
        /// Server and database.
        name: String,
        /// What the server or the system said.
        why: String,
    },
    /// A row cannot be read back.
    #[error(
        "the store holds a row that cannot be read ({0}): restore it from a backup, or run the version that wrote it"
    )]
    Corrupt(String),
    /// It does not work at the moment.
    #[error("the store does not answer ({0}): it is tried again; if this lasts, check its disk and its server")]
    Failed(String),
}

/// Why a commit gave no batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The lane is closed: somebody else owns its rooms. Or it is not at the batch that is known, or a shard not under an
    /// epoch as late as the work's: the store has lost its tail. Nothing happened; forget the work, and end.
    #[error("the lane is closed: another incarnation has taken over, or the store has lost its last commits")]
    Fenced,
    /// A work breaks a rule of the store and would do so again. Nothing happened.
    #[error("rejected by the store: {why}")]
    Rejected {
        /// Which work of the group, when the backend can tell.
        index: Option<usize>,
        /// What rule it breaks.
        why: String,
    },
    /// The shard of a work has another owner since the work was decided, though the lane is open: a planned move that its
    /// pod had given up has happened after all. Nothing happened.
    #[error("its shard has another owner since")]
    Disowned {
        /// Which work of the group.
        index: usize,
    },
    /// It did not happen, for a reason that may pass (full, busy, input or output).
    #[error("not stored: {0}")]
    Failed(String),
    /// It may have happened: ask [`crate::Backend::resolve`].
    #[error("it is not known whether this was stored: {0}")]
    Unknown(String),
}
