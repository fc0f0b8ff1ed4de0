//! Tables, and the way from an older schema to this one.
//!
//! Pods of two versions work on one store while an update rolls through them, so a change of the schema takes two
//! versions: the first *expands* (a table, a column with a default, an index: what the version before does not miss),
//! the second *contracts* (what only the version before the first used goes). `meta.schema` says which steps are done,
//! `meta.oldest` what a version must know at least to work with them: only a contracting step raises it.

use tokio_postgres::Row;

use super::read::Columns;
use super::session::{Call, Trouble, Wire};
use super::write::{begin, end};
use crate::StoreError;

/// How rooms are spread over shards (`Shard::of`).
pub const SHARD_SCHEME: u32 = 1;

struct Step {
    sql: &'static str,
    /// The lowest schema whose versions go on working after this step.
    oldest: u32,
}

/// Step `n` leads from schema `n` to schema `n + 1`. Only ever append.
const STEPS: &[Step] = &[
    Step { sql: FIRST, oldest: 1 },
    Step { sql: ROUTED_BY_ROOM, oldest: 1 },
    Step { sql: ROUTED_OF_A_SOURCE, oldest: 1 },
];

fn known() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}

/// The one row of the store itself. It is made before anything else and never changes its form, since every version
/// reads it.
const META: &str = "
CREATE TABLE meta (
    one bool PRIMARY KEY CHECK (one),
    schema int8 NOT NULL,
    oldest int8 NOT NULL,
    shard_scheme int8 NOT NULL,
    epoch int8 NOT NULL,
    last_lane int8 NOT NULL
);
INSERT INTO meta (one, schema, oldest, shard_scheme, epoch, last_lane) VALUES (true, 0, 0, 1, 0, 0);
";

// Text is compared by its bytes, whatever the database was made with. Keys of unbounded texts are digests of them.
// There are no foreign keys below rooms: a room has one writer, every group checks once that its rooms are there, and
// a look for each row would cost more than the row. Rows of a room begin their key with it, so that its removal finds
// them.
const FIRST: &str = r#"
CREATE TABLE pod (
    incarnation text COLLATE "C" PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    address text NOT NULL,
    beat int8 NOT NULL,
    gone bool NOT NULL,
    closed_by text
);
CREATE INDEX pod_name ON pod (name);
CREATE TABLE shard (
    id int8 PRIMARY KEY,
    incarnation text COLLATE "C",
    epoch int8 NOT NULL
);
CREATE INDEX shard_incarnation ON shard (incarnation);
INSERT INTO shard (id, incarnation, epoch) SELECT id, NULL, 0 FROM generate_series(0, 4095) AS all_of_them(id);
CREATE TABLE link (
    local text COLLATE "C" NOT NULL,
    remote text COLLATE "C" NOT NULL,
    incarnation text COLLATE "C",
    epoch int8 NOT NULL,
    PRIMARY KEY (local, remote)
);
CREATE TABLE routed (
    shard int8 NOT NULL,
    source text COLLATE "C" NOT NULL,
    n int8 NOT NULL,
    PRIMARY KEY (shard, source)
);
CREATE TABLE lane (
    id int8 PRIMARY KEY,
    incarnation text COLLATE "C" NOT NULL,
    n int4 NOT NULL,
    epoch int8 NOT NULL,
    batch int8 NOT NULL,
    open bool NOT NULL
);
CREATE INDEX lane_incarnation ON lane (incarnation);
CREATE TABLE batch (
    lane int8 NOT NULL,
    batch int8 NOT NULL,
    touched text NOT NULL,
    PRIMARY KEY (lane, batch)
);
CREATE TABLE watermark (
    lane int8 NOT NULL REFERENCES lane (id),
    local text COLLATE "C" NOT NULL,
    remote text COLLATE "C" NOT NULL,
    batch int8 NOT NULL,
    PRIMARY KEY (lane, local, remote)
);
CREATE TABLE object (
    kind int2 NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    uid text NOT NULL,
    generation int8 NOT NULL,
    digest text NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (kind, namespace, name)
);
CREATE TABLE room (
    id int8 PRIMARY KEY,
    shard int8 NOT NULL,
    domain text COLLATE "C" NOT NULL,
    localpart text COLLATE "C" NOT NULL,
    birth text NOT NULL,
    secret bytea NOT NULL,
    object_uid text NOT NULL,
    generation int8 NOT NULL,
    config bytea NOT NULL,
    subject_seq int8 NOT NULL,
    low int8 NOT NULL,
    head int8 NOT NULL,
    UNIQUE (domain, localpart)
);
CREATE TABLE occupant (
    room int8 NOT NULL,
    key bytea NOT NULL,
    jid text COLLATE "C" NOT NULL,
    nick text COLLATE "C" NOT NULL,
    domain text COLLATE "C" NOT NULL,
    role int2 NOT NULL,
    peering text,
    peer_nick text,
    peer_affiliation int2 NOT NULL,
    join_seq int8 NOT NULL,
    seq int8 NOT NULL,
    presence bytea NOT NULL,
    PRIMARY KEY (room, key)
);
CREATE INDEX occupant_domain ON occupant (domain, room);
CREATE TABLE affiliation (
    room int8 NOT NULL,
    jid text COLLATE "C" NOT NULL,
    value int2 NOT NULL,
    reason text,
    managed bool NOT NULL,
    PRIMARY KEY (room, jid)
);
CREATE TABLE peering (
    room int8 NOT NULL,
    peer text COLLATE "C" NOT NULL,
    direction int2 NOT NULL,
    flavour int2 NOT NULL,
    state int2 NOT NULL,
    peer_session text,
    rx_last text,
    tx_acked int8 NOT NULL,
    since int8 NOT NULL,
    PRIMARY KEY (room, peer)
);
CREATE TABLE log (
    room int8 NOT NULL,
    seq int8 NOT NULL,
    epoch int8 NOT NULL,
    lane int8 NOT NULL,
    batch int8 NOT NULL,
    kind int2 NOT NULL,
    at int8 NOT NULL,
    eff int8 NOT NULL,
    jid text,
    nick text NOT NULL,
    ingress text,
    id text,
    payload bytea NOT NULL,
    PRIMARY KEY (room, seq)
);
CREATE TABLE fmuc_key (
    room int8 NOT NULL,
    key bytea NOT NULL,
    digest int8 NOT NULL,
    origin text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    seq int8 NOT NULL,
    at int8 NOT NULL,
    PRIMARY KEY (room, key, digest)
);
CREATE INDEX fmuc_key_seq ON fmuc_key (room, seq);
"#;

// By room and no longer by shard. No version has ever written a row of the table before, and all that the version
// before this one still does with it is to remove the rows of a source: it works on with this one.
const ROUTED_BY_ROOM: &str = r#"
DROP TABLE routed;
CREATE TABLE routed (
    room int8 NOT NULL,
    source text COLLATE "C" NOT NULL,
    n int8 NOT NULL,
    PRIMARY KEY (room, source)
);
"#;

// For whoever forgets a source. Its numbers rise all the time, so the index must not hold them.
const ROUTED_OF_A_SOURCE: &str = "CREATE INDEX routed_source ON routed (source, room)";

/// What a start finds.
pub enum Found {
    /// The schema is up to date.
    Ready,
    /// It cannot be used: this says why.
    Refused(StoreError),
}

/// Makes the tables of a new store, brings an older one up to date, and refuses what it does not know. Any number of
/// pods may do this at once.
pub async fn prepare(wire: &mut Wire, name: &str) -> Result<Found, Trouble> {
    let not_ours = |why: &str| Ok(Found::Refused(StoreError::NotAStore { path: name.into(), why: why.to_owned() }));
    let encoding = text(&wire.call(Call::plain("SHOW server_encoding")).await?)?;
    if encoding != "UTF8" {
        return not_ours(&format!("its encoding is {encoding} and must be UTF8"));
    }
    let sql = "SELECT table_name::text FROM information_schema.tables \
               WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY 1";
    let tables: Vec<String> = super::read::each(&wire.call(Call::plain(sql)).await?, Columns::get)?;
    if !tables.iter().any(|table| table == "meta") {
        if let Some(table) = tables.first() {
            return not_ours(&format!("it holds a table {table} of another program"));
        }
        begin(wire).await?;
        let made = wire.script(META).await;
        match end(wire, made).await {
            // Another pod was faster.
            Ok(()) | Err(Trouble::Rule(_)) => {}
            Err(Trouble::Refused(why)) if why.contains("42P07") => {}
            Err(trouble) => return Err(trouble),
        }
    }
    // Most starts end here, with a row that nobody locks.
    let row = match found(wire, "SELECT schema, oldest, shard_scheme FROM meta WHERE one").await {
        Err(Trouble::Refused(why)) if why.contains("42703") => {
            return not_ours("its table meta belongs to another program");
        }
        row => row?,
    };
    let Some(mut meta) = row else { return not_ours("its table meta is empty") };
    if meta.schema < known() && meta.scheme == SHARD_SCHEME {
        begin(wire).await?;
        let result = migrate(wire).await;
        meta = end(wire, result).await?;
    }
    if meta.oldest > known() {
        let (found, known) = (meta.schema, known());
        return Ok(Found::Refused(StoreError::Newer { path: name.into(), found, known }));
    }
    if meta.scheme != SHARD_SCHEME {
        let (found, known) = (meta.scheme, SHARD_SCHEME);
        return Ok(Found::Refused(StoreError::ShardScheme { path: name.into(), found, known }));
    }
    Ok(Found::Ready)
}

struct Meta {
    schema: u32,
    oldest: u32,
    scheme: u32,
}

async fn found(wire: &mut Wire, sql: &'static str) -> Result<Option<Meta>, Trouble> {
    let rows = wire.call(Call::plain(sql)).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let mut columns = Columns::of(row);
    let mut next = || Ok::<u32, Trouble>(u32::try_from(columns.num()?).unwrap_or(u32::MAX));
    Ok(Some(Meta { schema: next()?, oldest: next()?, scheme: next()? }))
}

async fn migrate(wire: &mut Wire) -> Result<Meta, Trouble> {
    // The lock keeps two pods apart; what the other one has done meanwhile is seen.
    let locked = found(wire, "SELECT schema, oldest, shard_scheme FROM meta WHERE one FOR UPDATE").await?;
    let mut meta = locked.ok_or_else(|| Trouble::Corrupt("meta is empty".to_owned()))?;
    for step in STEPS.iter().skip(meta.schema as usize) {
        wire.script(step.sql).await?;
        meta.schema += 1;
        meta.oldest = meta.oldest.max(step.oldest);
        let done = Call::new(
            "UPDATE meta SET schema = $1, oldest = $2",
            [Box::new(i64::from(meta.schema)) as _, Box::new(i64::from(meta.oldest))],
        );
        wire.call(done).await?;
    }
    Ok(meta)
}

fn text(rows: &[Row]) -> Result<String, Trouble> {
    rows.first().map_or_else(|| Ok(String::new()), |row| Columns::of(row).get())
}
