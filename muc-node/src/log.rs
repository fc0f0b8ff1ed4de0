//! `muc-node log ROOM`: what a room's log holds, for people and for checkers. Works while a node runs.

mod database;
mod entry;
mod file;

use std::io::{self, Write};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use jid::BareJid;
use warren_model::{LogRow, RoomId, Secret, Seq};
use warren_room::ids::Keys;

use crate::store::StoreUrl;
use entry::Entry;

/// Rows read at once.
const PAGE: usize = 1000;

/// Where a log is read.
trait Log {
    /// The room of an address, with its secret.
    fn room(&mut self, jid: &BareJid) -> anyhow::Result<Option<(RoomId, Secret)>>;

    /// At most `max` rows after `after`, in order.
    fn page(&mut self, room: RoomId, after: Seq, max: usize) -> anyhow::Result<Vec<LogRow>>;
}

/// How the log is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line of text for each row
    #[default]
    Text,
    /// A JSON object on a line for each row
    Json,
}

/// What `log` needs to know.
#[derive(Clone, Debug, Args)]
pub struct LogRoomArgs {
    /// Address of the room, such as lobby@rooms.example.org
    #[arg(value_name = "ROOM")]
    room: BareJid,
    /// The store: sqlite:FILE or postgres://… as the node has it. It is only read; a node may be running on it
    #[arg(long, env = "WARREN_STORE", value_name = "URL")]
    store: StoreUrl,
    /// How the log is printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Only rows after this position
    #[arg(long, value_name = "SEQ", default_value = "0")]
    after: u64,
}

/// Prints the log to `out`. A reader that goes away early (`| head`) is no error.
///
/// # Errors
/// One sentence: the store cannot be read, or there is no such room.
pub fn run(args: &LogRoomArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let mut log: Box<dyn Log> = match &args.store {
        StoreUrl::Sqlite { path, .. } => Box::new(file::LogFile::open(path)?),
        StoreUrl::Postgres(dsn) => Box::new(database::LogDatabase::open(dsn)?),
    };
    let Some((id, secret)) = log.room(&args.room)? else {
        bail!("there is no room {} in the store {}", args.room, args.store);
    };
    let keys = Keys::new(&secret);
    let mut after = Seq(args.after);
    loop {
        let rows = log.page(id, after, PAGE)?;
        for row in &rows {
            match print(args.format, row, &keys, out) {
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                printed => printed.context("the log cannot be printed")?,
            }
        }
        match rows.last() {
            Some(last) if rows.len() == PAGE => after = last.seq,
            _ => return Ok(()),
        }
    }
}

fn print(format: Format, row: &LogRow, keys: &Keys, out: &mut impl Write) -> io::Result<()> {
    let entry = Entry::of(row, keys);
    match format {
        Format::Text => writeln!(out, "{entry}"),
        Format::Json => {
            serde_json::to_writer(&mut *out, &entry)?;
            writeln!(out)
        }
    }
}
