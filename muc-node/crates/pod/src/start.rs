//! How a pod begins: from what the store holds, so that a restart looks like nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jid::BareJid;
use warren_control::Registry;
use warren_egress::Egress;
use warren_model::{Batch, Lane, Now, Object, Path, RoomId, Seq};
use warren_shard::{In, Shard};
use warren_store::{LaneRow, Reader, StoreError, Touched};

use super::apply::{declared, site};
use super::{BEAT, Pod, Request, Settings};

/// What is read from the store before a pod begins.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// All declared objects.
    pub objects: Vec<Object>,
    /// Lanes with something to deliver.
    pub lanes: Vec<LaneRow>,
    /// What each path is known to have.
    pub watermarks: Vec<(Lane, Path, Batch)>,
    /// Which log rows the batches of those lanes wrote.
    pub touched: Vec<(Lane, Touched)>,
    /// Rooms with somebody in them, and the domains of those who joined here.
    pub occupied: Vec<BareJid>,
}

impl Stored {
    /// Reads it.
    pub fn read(store: &mut dyn Reader) -> Result<Self, StoreError> {
        let lanes = store.lanes()?;
        let mut touched = Vec::new();
        for lane in &lanes {
            touched.extend(store.touched(lane.lane, Batch(0))?.into_iter().map(|touched| (lane.lane, touched)));
        }
        Ok(Self {
            objects: store.objects()?,
            watermarks: store.watermarks()?,
            touched,
            occupied: store.rooms_with_occupants(None)?,
            lanes,
        })
    }
}

impl Pod {
    /// A pod for `domain`. `entropy` gives fresh random bits for rooms that are declared and not there yet.
    pub fn new(
        domain: &str,
        settings: Settings,
        stored: Stored,
        mut entropy: impl FnMut() -> [u8; 48],
        now: Now,
        requests: &mut Vec<Request>,
    ) -> Self {
        let mut registry = Registry::default();
        for object in stored.objects {
            let name = object.name.clone();
            if let Err(refused) = registry.apply(object) {
                // What was stored was accepted once; two that contradict each other were never both accepted.
                tracing::warn!(%name, %refused, "a stored object is left out");
            }
        }
        let site = Arc::new(site(&registry, domain));
        let mut egress_settings = settings.egress;
        egress_settings.timers = site.timers;
        let mut egress = Egress::new([Box::from(domain)], egress_settings);
        let past = stored.lanes.iter().filter(|lane| lane.lane != settings.lane);
        let mut before = Before {
            lanes: past.map(|lane| (lane.lane, lane.batch)).collect(),
            touched: stored.touched,
            told: BTreeSet::new(),
        };
        let mut passed: BTreeMap<Path, BTreeMap<Lane, Batch>> = BTreeMap::new();
        for (lane, path, batch) in stored.watermarks.into_iter().filter(|(_, path, _)| &*path.local == domain) {
            passed.entry(path).or_default().insert(lane, batch);
        }
        for (path, passed) in passed {
            egress.restore(&path, before.missing(&passed), before.lanes.clone(), now);
            before.told.insert(path);
        }
        let mut pod = Self {
            lane: settings.lane,
            batch: Batch(0),
            shard: Shard::new(settings.shard, settings.epochs, site.clone()),
            egress,
            registry,
            site,
            before,
            replays: BTreeMap::new(),
            applying: BTreeMap::new(),
            next_ticket: 0,
            beat_at: now.mono + BEAT,
            link: false,
            requests: Vec::new(),
            out: Vec::new(),
        };
        std::mem::swap(&mut pod.requests, requests);
        let rooms: Vec<_> = pod.registry.rooms().map(|room| declared(&room, entropy())).collect();
        for room in rooms {
            pod.shard(In::Declare(room), now);
        }
        for room in stored.occupied {
            pod.shard(In::Wake { room }, now);
        }
        pod.settle(now);
        std::mem::swap(&mut pod.requests, requests);
        pod
    }
}

/// What was written before this start and may not have arrived.
#[derive(Clone, Debug, Default)]
pub(super) struct Before {
    lanes: Vec<(Lane, Batch)>,
    touched: Vec<(Lane, Touched)>,
    /// Paths that egress has been told of.
    told: BTreeSet<Path>,
}

impl Before {
    /// Rooms with rows above the watermarks of a path, each with the first of those rows.
    fn missing(&self, passed: &BTreeMap<Lane, Batch>) -> Vec<(RoomId, BareJid, Seq)> {
        let mut rooms: BTreeMap<RoomId, (BareJid, Seq)> = BTreeMap::new();
        for (lane, row) in &self.touched {
            if row.batch > passed.get(lane).copied().unwrap_or_default() {
                let entry = rooms.entry(row.id).or_insert_with(|| (row.room.clone(), row.first));
                entry.1 = entry.1.min(row.first);
            }
        }
        rooms.into_iter().map(|(id, (jid, first))| (id, jid, first)).collect()
    }
}

impl Pod {
    /// A room that was loaded names a path. One that has no watermark yet (its first users came in the last
    /// moments before the crash) is owed everything that is kept.
    pub(super) fn path_appears(&mut self, remote: &str, now: Now) {
        let path = Path::new(&*self.site.domain, remote);
        if self.before.touched.is_empty() || !self.before.told.insert(path.clone()) {
            return;
        }
        let missing = self.before.missing(&BTreeMap::new());
        self.egress.restore(&path, missing, self.before.lanes.clone(), now);
    }
}
