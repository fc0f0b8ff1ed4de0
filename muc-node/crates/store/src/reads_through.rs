//! A store that reads through a part of its own.

/// Implements [`crate::Reader`] by passing every verb on to a field that is one.
macro_rules! reads_through {
    ($store:ty, $reads:ident) => {
        impl Reader for $store {
            fn load_room(&mut self, room: &BareJid, window: Window) -> Result<Option<RoomRows>, StoreError> {
                self.$reads.load_room(room, window)
            }
            fn room_jid(&mut self, room: RoomId) -> Result<Option<BareJid>, StoreError> {
                self.$reads.room_jid(room)
            }
            fn page(&mut self, room: RoomId, after: Seq, max: usize) -> Result<Vec<LogRow>, StoreError> {
                self.$reads.page(room, after, max)
            }
            fn page_back(&mut self, room: RoomId, before: Seq, max: usize) -> Result<Vec<LogRow>, StoreError> {
                self.$reads.page_back(room, before, max)
            }
            fn fmuc_keys(&mut self, room: RoomId, origin: &BareJid, id: &str) -> Result<Vec<FmucKeyRow>, StoreError> {
                self.$reads.fmuc_keys(room, origin, id)
            }
            fn touched(&mut self, lane: Lane, after: Batch) -> Result<Vec<Touched>, StoreError> {
                self.$reads.touched(lane, after)
            }
            fn lanes(&mut self) -> Result<Vec<LaneRow>, StoreError> {
                self.$reads.lanes()
            }
            fn watermarks(&mut self) -> Result<Vec<(Lane, Path, Batch)>, StoreError> {
                self.$reads.watermarks()
            }
            fn backlog(&mut self) -> Result<Backlog, StoreError> {
                self.$reads.backlog()
            }
            fn rooms_with_occupants(&mut self, path: Option<&Path>) -> Result<Vec<BareJid>, StoreError> {
                self.$reads.rooms_with_occupants(path)
            }
            fn rooms(
                &mut self,
                domain: &str,
                after: Option<&BareJid>,
                max: usize,
            ) -> Result<Vec<RoomSummary>, StoreError> {
                self.$reads.rooms(domain, after, max)
            }
            fn objects(&mut self) -> Result<Vec<Object>, StoreError> {
                self.$reads.objects()
            }
        }
    };
}
