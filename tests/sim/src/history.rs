//! What happened, as far as anybody outside could see it, and what the logs say at the end. Plain data:
//! the world writes it, the checker reads it.

use std::collections::BTreeSet;

use crate::names::{Domain, Micros, SITES};

/// Number of a message that somebody sent; also its id and its body.
pub type Token = usize;

/// One message as its sender knows it.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// The session that sent it.
    pub session: usize,
    /// To which room.
    pub site: usize,
    /// When.
    pub at: Micros,
    /// Copies that reached the pod, in order.
    pub arrivals: Vec<Arrival>,
    /// Its sender received its own copy.
    pub reflected: bool,
    /// So often the site itself refused it, as seen on its link.
    pub refused: usize,
    /// So often a refusal was lost between the pods of the site: it is said at most once.
    pub unheard: usize,
    /// A server on the way said that it did not get through.
    pub bounced: bool,
}

/// A message reached a pod.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Over all arrivals of the run.
    pub order: u64,
    /// When.
    pub at: Micros,
    /// Nothing happened to process and link for long after this, so that its fate must be known.
    pub settled: bool,
}

/// A client's session.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug)]
pub struct SessionEnd {
    /// Full address.
    pub jid: String,
    /// Where the account is.
    pub domain: Domain,
    /// Which room.
    pub site: usize,
    /// Its server still knows it.
    pub alive: bool,
    /// It believes to be in the room.
    pub inside: bool,
    /// It asked to leave at some time, or died.
    pub may_leave: bool,
    /// Its nick.
    pub nick: String,
    /// The occupants that it sees.
    pub view: BTreeSet<String>,
    /// Something for it was lost between foreign servers with every ping answered (docs/limits.md): of
    /// these messages, and perhaps of presences.
    pub excused: BTreeSet<Option<Token>>,
    /// A server on its path has overtaken its own queue, as Prosody does when it connects: a leave may have come
    /// before a join (`servers.md` 9).
    pub reordered: bool,
    /// Nothing ever happened to its path, so that order and uniqueness are exact.
    pub undisturbed: bool,
}

/// A client received a message.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// Who.
    pub session: usize,
    /// Which message.
    pub token: Token,
    /// The room's id of it.
    pub id: Box<str>,
    /// As history or in a repeated join sequence.
    pub history: bool,
    /// When.
    pub at: Micros,
}

/// What a row of the log is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// This message.
    Message(Token),
    /// A message that nobody sent.
    Unknown,
    /// Somebody came.
    Join,
    /// Somebody went.
    Leave,
    /// Anything else.
    Other,
}

/// A row of a log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Position.
    pub seq: u64,
    /// Ownership.
    pub epoch: u32,
    /// The id on the wire.
    pub id: Box<str>,
    /// What it is about.
    pub what: What,
    /// Whom it is about.
    pub jid: String,
    /// It came from the other room.
    pub foreign: bool,
}

/// An occupant at the end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Present {
    /// Real address.
    pub jid: String,
    /// Nick here.
    pub nick: String,
    /// Joined here.
    pub local: bool,
}

/// Everything about one site.
#[derive(Clone, Debug)]
pub struct SiteEnd {
    /// The log.
    pub log: Vec<Entry>,
    /// Rows that the store lost, with what was decided on them.
    pub tail: Vec<Entry>,
    /// The store lost rows.
    pub tail_lost: bool,
    /// Who is there.
    pub roster: BTreeSet<Present>,
    /// The room is loaded and nothing is under way.
    pub quiet: Result<(), String>,
}

impl Default for SiteEnd {
    fn default() -> Self {
        Self { log: Vec::new(), tail: Vec::new(), tail_lost: false, roster: BTreeSet::new(), quiet: Ok(()) }
    }
}

/// A whole run.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// By token.
    pub said: Vec<Said>,
    /// Sessions.
    pub sessions: Vec<SessionEnd>,
    /// In order of time.
    pub receipts: Vec<Receipt>,
    /// Sites.
    pub sites: [SiteEnd; SITES],
    /// What went wrong while it ran, and so needs no rule to find.
    pub broken: Vec<String>,
}
