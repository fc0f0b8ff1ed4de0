//! Reads of the model.

use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use jid::BareJid;
use warren_model::{Batch, FmucKeyRow, Lane, LogKind, LogRow, Object, Path, RoomId, RoomRow, RoomRows, Routed, Seq};

use super::{Model, Room, address};
use crate::{Backlog, HISTORY_REACH, LaneRow, Reader, RoomSummary, Span, StoreError, Touched, Window};

/// Reads.
impl Model {
    /// As [`Reader::load_room`].
    pub fn load_room(&self, jid: &BareJid, window: Window) -> Option<RoomRows> {
        let room = self.rooms.get(self.addresses.get(&address(jid))?)?;
        let last = room.log.last_key_value().map_or(Seq(0), |(seq, _)| *seq);
        let head = room.row.head.max(last);
        let within = Seq(head.0.saturating_sub(HISTORY_REACH));
        let newest = |n: usize, rows: &mut dyn Iterator<Item = &Arc<LogRow>>| {
            let mut rows: Vec<LogRow> = rows.take(n).map(|row| (**row).clone()).collect();
            rows.reverse();
            rows
        };
        let mut messages =
            room.log.range(within.next()..).rev().map(|(_, row)| row).filter(|row| row.kind == LogKind::Message);
        let mut occupants: Vec<_> = room.occupants.values().cloned().collect();
        occupants.sort_by_key(|o| o.join_seq);
        let mut keys: Vec<_> = room.keys.values().cloned().collect();
        keys.sort_by_key(|k| k.seq);
        Some(RoomRows {
            room: RoomRow { head, ..room.row.clone() },
            occupants,
            affiliations: room.affiliations.values().cloned().collect(),
            peerings: room.peerings.values().cloned().collect(),
            history: newest(window.messages, &mut messages),
            subject: room.log.get(&room.row.subject_seq).map(|row| (**row).clone()),
            fmuc_keys: keys.split_off(keys.len().saturating_sub(window.keys)),
            routed: room.routed.iter().map(|(source, n)| Routed { source: *source, n: *n }).collect(),
        })
    }

    /// As [`Reader::room_jid`].
    pub fn room_jid(&self, room: RoomId) -> Option<BareJid> {
        self.rooms.get(&room).map(|r| r.row.jid.clone())
    }

    /// As [`Reader::page`].
    pub fn page(&self, room: RoomId, after: Seq, max: usize) -> Vec<LogRow> {
        let Some(room) = self.rooms.get(&room) else { return Vec::new() };
        room.log.range((Excluded(after), Unbounded)).take(max).map(|(_, row)| (**row).clone()).collect()
    }

    /// As [`Reader::page_back`].
    pub fn page_back(&self, room: RoomId, before: Seq, max: usize) -> Vec<LogRow> {
        let Some(room) = self.rooms.get(&room) else { return Vec::new() };
        let mut rows: Vec<_> = room.log.range(..before).rev().take(max).map(|(_, row)| (**row).clone()).collect();
        rows.reverse();
        rows
    }

    /// As [`Reader::fmuc_keys`].
    pub fn fmuc_keys(&self, room: RoomId, origin: &BareJid, id: &str) -> Vec<FmucKeyRow> {
        let Some(room) = self.rooms.get(&room) else { return Vec::new() };
        let key = |digest| (origin.as_str().to_owned(), Box::<str>::from(id), digest);
        let mut rows: Vec<_> = room.keys.range(key(i64::MIN)..=key(i64::MAX)).map(|(_, k)| k.clone()).collect();
        rows.sort_by_key(|k| k.digest);
        rows
    }

    /// As [`Reader::touched`].
    pub fn touched(&self, lane: Lane, after: Batch) -> Vec<Touched> {
        let after = Batch(after.0.saturating_add(1));
        let batches = self.batches.range((lane, after)..=(lane, Batch(u64::MAX)));
        let spans = batches.flat_map(|((_, batch), spans)| spans.iter().map(|s| (*batch, *s)));
        spans
            .filter_map(|(batch, Span { room: id, first, last })| {
                Some(Touched { room: self.room_jid(id)?, id, batch, first, last })
            })
            .collect()
    }

    /// As [`Reader::lanes`].
    pub fn lanes(&self) -> Vec<LaneRow> {
        self.lanes.values().copied().collect()
    }

    /// As [`Reader::watermarks`].
    pub fn watermarks(&self) -> Vec<(Lane, Path, Batch)> {
        self.watermarks.iter().map(|((lane, path), batch)| (*lane, path.clone(), *batch)).collect()
    }

    /// As [`Reader::backlog`].
    pub fn backlog(&self) -> Backlog {
        let touched = |lane: &Lane| {
            let lane = *lane;
            self.touched(lane, Batch(0)).into_iter().map(move |touched| (lane, touched))
        };
        Backlog {
            lanes: self.lanes(),
            touched: self.lanes.keys().flat_map(touched).collect(),
            watermarks: self.watermarks(),
        }
    }

    /// As [`Reader::rooms_with_occupants`].
    pub fn rooms_with_occupants(&self, path: Option<&Path>) -> Vec<BareJid> {
        let wanted = |room: &Room| match path {
            None => !room.occupants.is_empty(),
            Some(path) => {
                room.row.jid.domain().as_str() == &*path.local
                    && room.occupants.values().any(|o| o.peering.is_none() && o.jid.domain().as_str() == &*path.remote)
            }
        };
        let rooms = self.addresses.values().filter_map(|id| self.rooms.get(id));
        rooms.filter(|room| wanted(room)).map(|room| room.row.jid.clone()).collect()
    }

    /// As [`Reader::rooms`].
    pub fn rooms(&self, domain: &str, after: Option<&BareJid>, max: usize) -> Vec<RoomSummary> {
        let local = |jid: &BareJid| address(jid).1;
        let rooms = self.addresses.range((domain.to_owned(), String::new())..);
        rooms
            .take_while(|((d, _), _)| d == domain)
            .filter(|((_, l), _)| after.is_none_or(|a| *l > local(a)))
            .take(max)
            .filter_map(|(_, id)| self.rooms.get(id))
            .map(|r| RoomSummary { id: r.row.id, jid: r.row.jid.clone(), config: r.row.config.clone() })
            .collect()
    }

    /// As [`Reader::objects`].
    pub fn objects(&self) -> Vec<Object> {
        self.objects.values().cloned().collect()
    }
}

impl Reader for Model {
    fn load_room(&mut self, room: &BareJid, window: Window) -> Result<Option<RoomRows>, StoreError> {
        Ok(Model::load_room(self, room, window))
    }
    fn room_jid(&mut self, room: RoomId) -> Result<Option<BareJid>, StoreError> {
        Ok(Model::room_jid(self, room))
    }
    fn page(&mut self, room: RoomId, after: Seq, max: usize) -> Result<Vec<LogRow>, StoreError> {
        Ok(Model::page(self, room, after, max))
    }
    fn page_back(&mut self, room: RoomId, before: Seq, max: usize) -> Result<Vec<LogRow>, StoreError> {
        Ok(Model::page_back(self, room, before, max))
    }
    fn fmuc_keys(&mut self, room: RoomId, origin: &BareJid, id: &str) -> Result<Vec<FmucKeyRow>, StoreError> {
        Ok(Model::fmuc_keys(self, room, origin, id))
    }
    fn touched(&mut self, lane: Lane, after: Batch) -> Result<Vec<Touched>, StoreError> {
        Ok(Model::touched(self, lane, after))
    }
    fn lanes(&mut self) -> Result<Vec<LaneRow>, StoreError> {
        Ok(Model::lanes(self))
    }
    fn watermarks(&mut self) -> Result<Vec<(Lane, Path, Batch)>, StoreError> {
        Ok(Model::watermarks(self))
    }
    fn backlog(&mut self) -> Result<Backlog, StoreError> {
        Ok(Model::backlog(self))
    }
    fn rooms_with_occupants(&mut self, path: Option<&Path>) -> Result<Vec<BareJid>, StoreError> {
        Ok(Model::rooms_with_occupants(self, path))
    }
    fn rooms(&mut self, domain: &str, after: Option<&BareJid>, max: usize) -> Result<Vec<RoomSummary>, StoreError> {
        Ok(Model::rooms(self, domain, after, max))
    }
    fn objects(&mut self) -> Result<Vec<Object>, StoreError> {
        Ok(Model::objects(self))
    }
}
