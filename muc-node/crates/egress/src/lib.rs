//! Output of one component link (XEP-0114) that carries many paths: groups, late splicing, byte
//! budgets, and what "delivered" means. Pure: no IO, no clock, no randomness.
//!
//! - **One frame per path.** A room hands over one [`Cast`]; it waits in the queue of each path as it is,
//!   and `to='…'` is spliced in for each member of the egress group while the link writes. Changes of
//!   the group travel in the same queue, so a cast meets exactly the members of its moment.
//! - **Written is not delivered.** Pings from our bare domain to the remote one form a chain; an answer
//!   proves the rows since the ping before it, if that one was answered too (`servers.md` 5 has the
//!   measurements). What is not proven when a chain breaks is asked for again, room by room, with
//!   [`Event::Replay`].
//! - **Nobody is removed here.** Paths are [`PathState::Up`], `Suspect` or `Down`; rooms draw the
//!   conclusions.
//!
//! How it is driven: every method that takes [`Now`] may make output, events or deadlines; so afterwards
//! [`Egress::poll`] until it is empty, [`Egress::write`] while [`Egress::ready`], and
//! [`Egress::tick`] at [`Egress::next_deadline`].
//!
//! What callers must keep to:
//!
//! - [`Egress::release`] is called in the order in which the room made its effects, and only with what
//!   is durable.
//! - A room named in an [`Event::Replay`] answers with exactly one [`ReplayMark::Start`], its rows,
//!   and one [`ReplayMark::End`] for that domain, even if it has nobody there; a room that does not
//!   exist any more with [`Outward::Close`]. Until `Start` its rows for that path are dropped: the
//!   replay brings them. The caller may take its time, and so limit how many replays run at once.
//! - While a room replays to a path, its new rows are in that replay (the path stands in
//!   [`Cast::except`]). If it is asked for another replay before `End`, it begins that one instead.
//! - A room that is loaded again, with its replays forgotten, resets its groups before anything else.
//!   A request whose `Start` was not released yet is handed to it again.

mod answer;
mod audit;
mod context;
mod evidence;
mod gaps;
mod group;
mod inbound;
pub mod invariants;
mod link;
mod output;
mod path;
mod queue;
mod release;
mod settings;
mod splice;
mod table;
mod watermark;

use std::sync::Arc;

use bytes::Bytes;
use jid::{BareJid, Jid};
use warren_model::{Path, RoomId, Seq};
use warren_xmpp::cast::{Cast, GroupChange, PathState, ReplayMark};

pub use link::Egress;
pub use settings::{Breakage, Settings, Stats};

#[cfg(doc)]
use warren_model::Now;

/// What a room releases towards the world: the outward half of its effects.
#[derive(Clone, Debug)]
pub enum Outward {
    /// One stanza to the members on all paths, or on those it names.
    Cast(Arc<Cast>),
    /// Whole stanzas to one address, in order with casts.
    Send {
        /// Its domain decides the path.
        to: Jid,
        /// One or more whole stanzas, with `to`.
        bytes: Bytes,
        /// The log row they show: then they are part of a replay if they get lost. `None`: at most once.
        seq: Option<Seq>,
    },
    /// The members on one path changed.
    Group {
        /// Domain of the members.
        remote: Box<str>,
        /// Position of the last row that changed this group.
        version: Seq,
        /// How.
        change: GroupChange,
    },
    /// One stanza to a federated room (XEP-0289); never replayed: the peering repairs itself.
    Peer {
        /// Address of that room.
        peer: BareJid,
        /// The whole stanza.
        bytes: Bytes,
    },
    /// Beginning or end of a replay in this room's stream towards one domain.
    Replay {
        /// The domain.
        remote: Box<str>,
        /// Which.
        mark: ReplayMark,
    },
    /// All groups of the room are void; those that are reset behind this are all there are.
    Regroup,
    /// The row at that position, and none before it, was left out: on the paths that have members now, or on the one
    /// that is named.
    Missed {
        /// The domain; `None`: all with members.
        remote: Option<Box<str>>,
        /// Its position.
        seq: Seq,
    },
    /// The room has ended; nothing comes after this, and nothing of it can be sent again.
    Close,
}

/// What [`Egress::poll`] hands out, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The state of a path changed. Each change comes once; a path begins as Up.
    Path {
        /// Which.
        path: Path,
        /// Its new state.
        state: PathState,
    },
    /// These rooms' rows after the given position may not have arrived there.
    Replay {
        /// Where.
        path: Path,
        /// Room, its address, and the last row before the gap.
        rooms: Vec<(RoomId, BareJid, Seq)>,
    },
    /// The path was unused for `cold_after`, with nobody there and nothing outstanding. It is
    /// forgotten; its rows in the store's table of watermarks may go.
    Forgotten {
        /// Which.
        path: Path,
    },
}

/// Whether an inbound stanza was egress's own business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Consumed {
    /// An answer to one of our pings: nobody else needs to see it.
    Yes,
    /// To be routed to its room. Egress may have drawn its own conclusions.
    No,
}
