//! Rows that nothing waits for: merged, written a little later, and shown to a room that is loaded before that.

use std::collections::BTreeMap;
use std::time::Duration;

use jid::{BareJid, Jid};
use warren_model::{RoomRows, Row, Seq};

/// What a row replaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Room,
    Session(Jid, Box<str>),
    Affiliation(BareJid),
    Peering(BareJid),
    Log(Seq),
    Foreign(BareJid, Box<str>, u64),
}

fn key(row: &Row) -> Key {
    match row {
        Row::Room(_) | Row::RoomGone => Key::Room,
        Row::Occupant(row) => Key::Session(row.jid.clone(), row.nick.clone()),
        Row::OccupantGone { jid, nick } | Row::Presence { jid, nick, .. } => Key::Session(jid.clone(), nick.clone()),
        Row::Affiliation(row) => Key::Affiliation(row.jid.clone()),
        Row::AffiliationGone(jid) => Key::Affiliation(jid.clone()),
        Row::Peering(row) => Key::Peering(row.peer.clone()),
        Row::PeeringGone(peer) => Key::Peering(peer.clone()),
        Row::Log(row) => Key::Log(row.seq),
        Row::FmucKey(row) => Key::Foreign(row.origin.clone(), row.id.clone(), row.digest),
    }
}

/// A lazy row on its way.
#[derive(Clone, Debug)]
pub(crate) struct LazyRow {
    pub row: Row,
    /// It was in a ticket that failed by itself.
    pub again: bool,
}

/// Lazy rows of one room, the latest of each key.
#[derive(Debug, Default)]
pub(crate) struct Lazy {
    rows: BTreeMap<Key, LazyRow>,
    since: Option<Duration>,
}

impl Lazy {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// When the first one has waited for `limit`.
    pub(crate) fn deadline(&self, limit: Duration) -> Option<Duration> {
        self.since.map(|since| since.saturating_add(limit))
    }

    pub(crate) fn put(&mut self, row: Row, now: Duration) {
        self.since.get_or_insert(now);
        self.rows.insert(key(&row), LazyRow { row, again: false });
    }

    /// Rows of failed tickets, oldest first; what came later wins.
    pub(crate) fn put_back(&mut self, rows: impl IntoIterator<Item = LazyRow>, now: Duration) {
        let mut old: BTreeMap<Key, LazyRow> = rows.into_iter().map(|lazy| (key(&lazy.row), lazy)).collect();
        old.append(&mut self.rows);
        self.rows = old;
        self.since = (!self.rows.is_empty()).then(|| self.since.unwrap_or(now));
    }

    pub(crate) fn take(&mut self) -> Vec<LazyRow> {
        self.since = None;
        std::mem::take(&mut self.rows).into_values().collect()
    }

    /// Shows what is not written yet to a room that is about to be loaded.
    pub(crate) fn overlay(&self, rows: &mut RoomRows) {
        for lazy in self.rows.values() {
            let Row::Presence { jid, nick, presence } = &lazy.row else { continue };
            if let Some(occupant) = rows.occupants.iter_mut().find(|row| row.jid == *jid && row.nick == *nick) {
                occupant.presence.clone_from(presence);
            }
        }
    }
}
