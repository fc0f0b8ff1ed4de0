//! What the verbs take and give besides the rows of `warren_model`.

use std::collections::HashMap;

use jid::BareJid;
use warren_model::{Batch, Epoch, Incarnation, Lane, Path, RoomId, Seq};

/// What a take-over gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// Epoch of everything that is decided from now on.
    pub epoch: Epoch,
    /// Lane to commit on.
    pub lane: Lane,
    /// Last batch of that lane: 0, since it is new.
    pub batch: Batch,
}

/// How much of a room is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Messages at most.
    pub messages: usize,
    /// Foreign ids at most.
    pub keys: usize,
}

/// One lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneRow {
    /// Its number; later take-overs have higher ones, and no other lane ever has it, not even in a store that is put
    /// back to an earlier state.
    pub lane: Lane,
    /// Who opened it.
    pub incarnation: Incarnation,
    /// Epoch it was opened under.
    pub epoch: Epoch,
    /// Its last batch.
    pub batch: Batch,
    /// Whether it still takes commits.
    pub open: bool,
}

/// Log rows that one batch wrote in one room: all positions from `first` to `last` that are in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The room.
    pub room: RoomId,
    /// Lowest position.
    pub first: Seq,
    /// Highest position.
    pub last: Seq,
}

/// A [`Span`] with the batch that wrote it and the address of its room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Address of the room.
    pub room: BareJid,
    /// The room.
    pub id: RoomId,
    /// Batch that wrote the rows.
    pub batch: Batch,
    /// Lowest position.
    pub first: Seq,
    /// Highest position.
    pub last: Seq,
}

/// What was written and may not have been delivered, at one moment: what the owner of a link needs to know what is
/// missing on its paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// As [`crate::Reader::lanes`].
    pub lanes: Vec<LaneRow>,
    /// As [`crate::Reader::touched`] says of all batches of each lane, by lane.
    pub touched: Vec<(Lane, Touched)>,
    /// As [`crate::Reader::watermarks`].
    pub watermarks: Vec<(Lane, Path, Batch)>,
}

/// A room in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomSummary {
    /// The room.
    pub id: RoomId,
    /// Its address.
    pub jid: BareJid,
    /// `RoomConfig`, as the room core serialised it.
    pub config: Vec<u8>,
}

/// What became of a commit whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// It happened and has this number.
    Done(Batch),
    /// It did not happen and never will.
    NotDone,
    /// The lane is closed: the work belongs to somebody else now.
    Fenced,
}

/// The lane after `last`, the one that was opened last: a counter of 31 bits, and 32 bits of the incarnation behind it.
///
/// A counter alone comes back when a store loses its tail (a fail-over to a standby that was behind, a backup): the
/// next pod would get the number of one that still writes, each would pass the fence of the other, and who remembers
/// how far a lane was delivered would take the rows of the second for those of the first. A clock in its place would
/// have to go forward, and be the same on all machines. Two incarnations share their bits once in four thousand
/// million cases, and must have been opened at the same count of a store that went back.
pub(crate) fn lane_after(last: u64, incarnation: Incarnation) -> Lane {
    Lane((((last >> 32) + 1) << 32) | lane_mark(incarnation))
}

/// The lower half of all lanes of an incarnation.
pub(crate) fn lane_mark(incarnation: Incarnation) -> u64 {
    let folded = (0..4).fold(0, |bits, word| bits ^ (incarnation.0 >> (32 * word)));
    u64::from(u32::try_from(folded & u128::from(u32::MAX)).unwrap_or_default())
}

/// What one group commit wrote of each room's log, by first writing.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    list: Vec<Span>,
    places: HashMap<RoomId, usize>,
}

impl Spans {
    /// A row of that room was written.
    pub(crate) fn extend(&mut self, room: RoomId, seq: Seq) {
        let place = *self.places.entry(room).or_insert(self.list.len());
        match self.list.get_mut(place) {
            Some(span) => {
                span.first = span.first.min(seq);
                span.last = span.last.max(seq);
            }
            None => self.list.push(Span { room, first: seq, last: seq }),
        }
    }

    /// All of them.
    pub(crate) fn list(&self) -> &[Span] {
        &self.list
    }
}

/// `[[room, first, last], …]`
pub(crate) fn spans_to_text(spans: &[Span]) -> String {
    let triples: Vec<_> = spans.iter().map(|s| (s.room.0, s.first.0, s.last.0)).collect();
    // Arrays of numbers: this cannot fail.
    serde_json::to_string(&triples).unwrap_or_default()
}

/// As [`spans_to_text`] wrote it.
pub(crate) fn spans_from_text(text: &str) -> serde_json::Result<Vec<Span>> {
    let triples: Vec<(u64, u64, u64)> = serde_json::from_str(text)?;
    Ok(triples.into_iter().map(|(r, f, l)| Span { room: RoomId(r), first: Seq(f), last: Seq(l) }).collect())
}
