//! What a group commit consists of.

use warren_model::{Batch, Epoch, Lane, Object, ObjectName, Path, RoomId, Routed, Row, Seq, Shard, Ticket};

/// One indivisible piece of a group commit.
///
/// | row | effect | rejected when |
/// | --- | --- | --- |
/// | `Room` | inserts or replaces; `low` never falls | its id is not the work's room; the address belongs to another room |
/// | `RoomGone` | deletes the room and all that belongs to it | never |
/// | `Occupant`, `Affiliation`, `Peering` | inserts or replaces by key | the room is not stored |
/// | `…Gone` | deletes, if it is there | never |
/// | `Presence` | replaces the bytes, if the session is there | never |
/// | `Log` | appends | the room is not stored; the position is taken or 0 |
/// | `FmucKey` | inserts, unless it is there (key: origin, id, digest) | the room is not stored |
///
/// A room's number of a source is kept with the room: a work with `routed` is rejected when the room is not stored
/// after its rows, unless one of them has removed it; then there is nothing left that a repeat could change.
///
/// Numbers are kept as signed 64-bit integers, so a work with a position, room id or time of 2⁶³ or more is
/// rejected too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Rows of one room.
    Room {
        /// Named in the completion.
        ticket: Ticket,
        /// The room.
        room: RoomId,
        /// Where it lives.
        shard: Shard,
        /// Ownership under which the rows were decided; lower than the store's: rejected. On a lane of one pod of
        /// several a higher one, or one of somebody else, is fenced: the store has lost its tail.
        epoch: Epoch,
        /// The first work of this room since it was loaded or made. [`crate::LaneQueue`] fails all later works of
        /// a room once one has failed, since they build on it; a fresh one ends that. Backends ignore it.
        fresh: bool,
        /// The stanza that led to the rows, if another pod routed it here: the room's number of that source rises to
        /// it, and never falls, so that a repeat is known after a fail-over too.
        routed: Option<Routed>,
        /// In order.
        rows: Vec<Row>,
    },
    /// A path has everything of a lane up to a batch. Never falls; nothing happens if the lane is gone.
    /// No completion.
    Watermark {
        /// Lane of the batch, often one that is closed.
        lane: Lane,
        /// Who has it.
        path: Path,
        /// Up to here.
        batch: Batch,
    },
    /// Inserts or replaces a declared object (key: its name).
    Object {
        /// Named in the completion.
        ticket: Ticket,
        /// What is declared.
        object: Box<Object>,
    },
    /// Removes a declared object, if it is there.
    ObjectGone {
        /// Named in the completion.
        ticket: Ticket,
        /// Which one.
        name: ObjectName,
    },
}

impl Work {
    /// The ticket that its completion names; watermarks have none.
    pub fn ticket(&self) -> Option<Ticket> {
        match self {
            Self::Room { ticket, .. } | Self::Object { ticket, .. } | Self::ObjectGone { ticket, .. } => Some(*ticket),
            Self::Watermark { .. } => None,
        }
    }

    /// The room that it changes.
    pub fn room(&self) -> Option<RoomId> {
        match self {
            Self::Room { room, .. } => Some(*room),
            _ => None,
        }
    }

    /// The number that is kept with the room once the rows are written; none if they end with its removal.
    pub(crate) fn kept(&self) -> Option<Routed> {
        let Self::Room { routed, rows, .. } = self else { return None };
        let last = rows.iter().rev().find(|row| matches!(row, Row::Room(_) | Row::RoomGone));
        routed.filter(|_| last != Some(&Row::RoomGone))
    }

    /// Roughly how many bytes it takes in memory and in the store.
    pub fn weight(&self) -> usize {
        match self {
            Self::Room { rows, .. } => 64 + rows.iter().map(row_weight).sum::<usize>(),
            Self::Watermark { .. } | Self::ObjectGone { .. } => 128,
            Self::Object { .. } => 1024,
        }
    }

    /// The rules that need no look into the store: the same for every backend. The error says what is wrong.
    pub fn check(&self) -> Result<(), String> {
        let fits = |what: &str, n: u64| match i64::try_from(n) {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("{what} {n} is out of range")),
        };
        let Self::Room { room: id, routed, rows, .. } = self else {
            return match self {
                Self::Watermark { lane, batch, .. } => fits("lane", lane.0).and(fits("batch", batch.0)),
                _ => Ok(()),
            };
        };
        fits("room", id.0)?;
        if let Some(routed) = routed {
            fits("number", routed.n)?;
        }
        for row in rows {
            match row {
                Row::Room(r) => {
                    if r.id != *id {
                        return Err(format!("a row of room {} among those of room {id}", r.id));
                    }
                    [r.subject_seq, r.low, r.head].into_iter().try_for_each(|s| fits("position", s.0))?;
                }
                Row::Occupant(o) => fits("position", o.join_seq.0).and(fits("position", o.seq.0))?,
                Row::Peering(p) => fits("position", p.tx_acked.0).and(fits("time", p.since.0))?,
                Row::Log(l) => {
                    if l.seq == Seq(0) {
                        return Err(format!("room {id}: log position 0 means \"before everything\""));
                    }
                    fits("position", l.seq.0).and(fits("time", l.at.0)).and(fits("time", l.eff.0))?;
                }
                // The digest may use all 64 bits: it is only compared.
                Row::FmucKey(k) => fits("position", k.seq.0).and(fits("time", k.at.0))?,
                Row::RoomGone
                | Row::OccupantGone { .. }
                | Row::Presence { .. }
                | Row::Affiliation(_)
                | Row::AffiliationGone(_)
                | Row::PeeringGone(_) => {}
            }
        }
        Ok(())
    }
}

fn row_weight(row: &Row) -> usize {
    96 + match row {
        Row::Room(r) => r.config.len() + 128,
        Row::Occupant(o) => o.presence.len() + 96,
        Row::Presence { presence, .. } => presence.len() + 64,
        Row::Log(l) => l.payload.len() + 96,
        _ => 32,
    }
}
