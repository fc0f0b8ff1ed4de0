//! Appending to the room's one log.

use std::sync::Arc;

use jid::{BareJid, Jid};
use warren_model::{LogKind, LogRow, Row, Seq, UnixMs};

use crate::io::Effect;
use crate::payload::Payload;
use crate::room::Room;

/// What a new row says beyond what the room knows itself.
pub(crate) struct Entry<'a> {
    pub kind: LogKind,
    pub jid: Option<&'a Jid>,
    pub nick: &'a str,
    pub ingress: Option<&'a BareJid>,
    pub id: Option<Box<str>>,
    /// When it happened, if not now.
    pub eff: Option<UnixMs>,
    pub payload: Payload,
}

/// A row with its payload decoded; `row.payload` may be empty.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub row: LogRow,
    pub payload: Payload,
}

impl Logged {
    /// Reads a row from the store; `None` if a later version wrote it.
    pub fn read(row: LogRow) -> Option<Arc<Self>> {
        let payload = Payload::decode(&row.payload)?;
        Some(Arc::new(Self { row, payload }))
    }
}

impl Room {
    /// Appends a row: gives it its place, persists it, and remembers it where newcomers and running
    /// catch-ups look.
    pub(crate) fn append(&mut self, entry: Entry<'_>) -> Arc<Logged> {
        self.head = self.head.next();
        // The archive is read by time as well as by position, so time must not run backwards in it
        // (XEP-0313 `start`), whatever the clock does.
        self.last_at = self.last_at.max(self.now.wall);
        let row = LogRow {
            seq: self.head,
            epoch: self.epoch,
            kind: entry.kind,
            at: self.last_at,
            eff: entry.eff.unwrap_or(self.last_at),
            jid: entry.jid.cloned(),
            nick: entry.nick.into(),
            ingress: entry.ingress.cloned(),
            id: entry.id,
            // The payload itself lies beside it; its bytes are the store's.
            payload: Vec::new(),
        };
        let bytes = entry.payload.encode();
        self.fx.push(Effect::Persist(Row::Log(LogRow { payload: bytes, ..row.clone() })));
        let logged = Arc::new(Logged { row, payload: entry.payload });
        match entry.kind {
            LogKind::Message => {
                self.history.push_back(logged.clone());
                while self.history.len() > self.history_window() {
                    self.history.pop_front();
                }
            }
            LogKind::Subject => self.subject = Some(logged.clone()),
            _ => {}
        }
        self.catchups.note(&logged);
        logged
    }

    /// How many messages are kept for newcomers.
    pub(crate) fn history_window(&self) -> usize {
        usize::try_from(self.config.history.max_messages).unwrap_or(usize::MAX).min(crate::load::WINDOW)
    }

    /// The id of a row on the wire: a foreign one as it came, else ours.
    pub(crate) fn id_of(&self, row: &LogRow) -> Box<str> {
        row.id.clone().unwrap_or_else(|| self.keys.encode(row.epoch, row.seq))
    }

    /// Our own id of a position, also where the stanza carries a foreign one: what peers acknowledge.
    pub(crate) fn own_id(&self, row: &LogRow) -> Box<str> {
        self.keys.encode(row.epoch, row.seq)
    }

    /// Position of the newest row.
    pub(crate) fn position(&self) -> Seq {
        self.head
    }
}
