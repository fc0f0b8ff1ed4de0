//! Tables, and the way from an older schema to this one.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OptionalExtension};

use crate::StoreError;

/// Marks the file as ours: "Wrrn".
const APPLICATION: i32 = 0x5772_726e;

/// How rooms are spread over shards (`Shard::of`).
pub const SHARD_SCHEME: u32 = 1;

/// Step `n` leads from schema `n` to schema `n + 1`. Only ever append.
const STEPS: &[&str] = &[FIRST, ROUTED, ROUTED_BY_ROOM];

/// What `STEPS` lead to.
pub fn known() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}

// Every table whose rows belong to a room begins its key with the room, so that the removal of a room finds them.
// The log is a plain table with an index on its key: clustering rows of 400 bytes costs three times the CPU.
const FIRST: &str = "
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    schema INTEGER NOT NULL,
    shard_scheme INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    last_lane INTEGER NOT NULL,
    questions INTEGER NOT NULL
);
CREATE TABLE lane (
    id INTEGER PRIMARY KEY,
    incarnation TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    open INTEGER NOT NULL
);
CREATE TABLE batch (
    lane INTEGER NOT NULL REFERENCES lane (id),
    batch INTEGER NOT NULL,
    touched TEXT NOT NULL,
    PRIMARY KEY (lane, batch)
) WITHOUT ROWID;
CREATE TABLE watermark (
    lane INTEGER NOT NULL REFERENCES lane (id),
    local TEXT NOT NULL,
    remote TEXT NOT NULL,
    batch INTEGER NOT NULL,
    PRIMARY KEY (lane, local, remote)
) WITHOUT ROWID;
CREATE TABLE object (
    kind INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    uid TEXT NOT NULL,
    generation INTEGER NOT NULL,
    digest TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, namespace, name)
);
CREATE TABLE room (
    id INTEGER PRIMARY KEY,
    shard INTEGER NOT NULL,
    domain TEXT NOT NULL,
    localpart TEXT NOT NULL,
    birth TEXT NOT NULL,
    secret BLOB NOT NULL,
    object_uid TEXT NOT NULL,
    generation INTEGER NOT NULL,
    config BLOB NOT NULL,
    subject_seq INTEGER NOT NULL,
    low INTEGER NOT NULL,
    head INTEGER NOT NULL,
    UNIQUE (domain, localpart)
);
CREATE TABLE occupant (
    room INTEGER NOT NULL REFERENCES room (id) ON DELETE CASCADE,
    jid TEXT NOT NULL,
    nick TEXT NOT NULL,
    domain TEXT NOT NULL,
    role INTEGER NOT NULL,
    peering TEXT,
    peer_nick TEXT,
    peer_affiliation INTEGER NOT NULL,
    join_seq INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    presence BLOB NOT NULL,
    PRIMARY KEY (room, jid, nick)
);
CREATE INDEX occupant_domain ON occupant (domain, room);
CREATE TABLE affiliation (
    room INTEGER NOT NULL REFERENCES room (id) ON DELETE CASCADE,
    jid TEXT NOT NULL,
    value INTEGER NOT NULL,
    reason TEXT,
    managed INTEGER NOT NULL,
    PRIMARY KEY (room, jid)
);
CREATE TABLE peering (
    room INTEGER NOT NULL REFERENCES room (id) ON DELETE CASCADE,
    peer TEXT NOT NULL,
    direction INTEGER NOT NULL,
    flavour INTEGER NOT NULL,
    state INTEGER NOT NULL,
    peer_session TEXT,
    rx_last TEXT,
    tx_acked INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (room, peer)
);
CREATE TABLE log (
    room INTEGER NOT NULL REFERENCES room (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    at INTEGER NOT NULL,
    eff INTEGER NOT NULL,
    jid TEXT,
    nick TEXT NOT NULL,
    ingress TEXT,
    id TEXT,
    payload BLOB NOT NULL,
    PRIMARY KEY (room, seq)
);
CREATE TABLE fmuc_key (
    room INTEGER NOT NULL REFERENCES room (id) ON DELETE CASCADE,
    origin TEXT NOT NULL,
    id TEXT NOT NULL,
    digest INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (room, origin, id, digest)
);
CREATE INDEX fmuc_key_seq ON fmuc_key (room, seq);
";

const ROUTED: &str = "
CREATE TABLE routed (
    shard INTEGER NOT NULL,
    source TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (shard, source)
) WITHOUT ROWID;
";

// By room and no longer by shard. No version has ever written a row of the table before.
const ROUTED_BY_ROOM: &str = "
DROP TABLE routed;
CREATE TABLE routed (
    room INTEGER NOT NULL REFERENCES room (id) ON DELETE CASCADE,
    source TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (room, source)
) WITHOUT ROWID;
";

/// Makes the tables of a new store, brings an older one up to date, and refuses what it does not know.
pub fn prepare(conn: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let not_ours = |why: &str| StoreError::NotAStore { path: path.to_owned(), why: why.to_owned() };
    let failed = |e: rusqlite::Error| match e.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => not_ours("it is not an SQLite database"),
        Some(ErrorCode::DatabaseCorrupt) => not_ours("it is damaged: restore it from a backup"),
        Some(
            ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::SystemIoFailure,
        ) => StoreError::Unreadable { path: path.to_owned(), why: e.to_string() },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Locked { path: path.to_owned(), holder: String::new() }
        }
        _ => StoreError::from(e),
    };
    // The first read finds out whether this is a database at all.
    let tables: u32 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0)).map_err(failed)?;
    let mark: i32 = conn.query_row("PRAGMA application_id", [], |r| r.get(0)).map_err(failed)?;
    if mark != APPLICATION && (mark != 0 || tables != 0) {
        return Err(not_ours("it is a database of another program"));
    }
    let found = if mark == APPLICATION {
        conn.query_row("SELECT schema, shard_scheme FROM meta", [], |r| Ok((r.get(0)?, r.get(1)?)))
            .optional()
            .map_err(failed)?
            .ok_or_else(|| not_ours("its table meta is empty"))?
    } else {
        (0, SHARD_SCHEME)
    };
    let (schema, scheme): (u32, u32) = found;
    if schema > known() {
        return Err(StoreError::Newer { path: path.to_owned(), found: schema, known: known() });
    }
    if scheme != SHARD_SCHEME {
        return Err(StoreError::ShardScheme { path: path.to_owned(), found: scheme, known: SHARD_SCHEME });
    }
    for (n, step) in (0..).zip(STEPS).skip(schema as usize) {
        let tx = conn.transaction().map_err(failed)?;
        tx.execute_batch(step).map_err(failed)?;
        if n == 0 {
            tx.execute(
                "INSERT INTO meta (one, schema, shard_scheme, epoch, last_lane, questions) VALUES (1, 0, ?1, 0, 0, 0)",
                [SHARD_SCHEME],
            )
            .map_err(failed)?;
            tx.pragma_update(None, "application_id", APPLICATION).map_err(failed)?;
        }
        tx.execute("UPDATE meta SET schema = ?1", [n + 1]).map_err(failed)?;
        tx.commit().map_err(failed)?;
    }
    Ok(())
}
