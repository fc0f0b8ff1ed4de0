//! How a pod begins: from what the store holds, so that a restart looks like nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use jid::BareJid;
use sha2::Sha256;
use warren_control::Registry;
use warren_egress::Egress;
use warren_model::{Batch, Lane, Now, Object, Path};
use warren_shard::{In, Shard};
use warren_store::{LaneRow, Reader, StoreError, Touched};

use super::apply::{declared, site};
use super::missed::{Before, missing};
use super::table::Table;
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

impl Stored {
    /// What one of several pods begins with: it owns nothing yet.
    pub fn objects_only(store: &mut dyn Reader) -> Result<Self, StoreError> {
        Ok(Self { objects: store.objects()?, ..Self::default() })
    }
}

/// Random bits for rooms that are declared and not there yet, from a seed.
#[derive(Clone)]
pub(super) struct Seeds {
    seed: [u8; 32],
    drawn: u64,
}

impl Seeds {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    /// Bits that nobody has had before.
    pub(super) fn next(&mut self) -> [u8; 48] {
        self.drawn += 1;
        let mut bits = [0; 48];
        for (part, chunk) in (0_u8..).zip(bits.chunks_mut(32)) {
            // HMAC takes a key of any length.
            if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.seed) {
                mac.update(&self.drawn.to_be_bytes());
                mac.update(&[part]);
                let digest = mac.finalize().into_bytes();
                chunk.copy_from_slice(&digest[..chunk.len()]);
            }
        }
        bits
    }
}

impl Pod {
    /// A pod for `domain`. Alone it owns everything that is `stored`; one of several owns nothing until a
    /// [`super::Input::View`] says so.
    pub fn new(domain: &str, settings: Settings, stored: Stored, now: Now, requests: &mut Vec<Request>) -> Self {
        let mut registry = Registry::default();
        for object in stored.objects {
            let name = object.name.clone();
            if let Err(refused) = registry.apply(object) {
                // What was stored was accepted once; two that contradict each other were never both accepted.
                tracing::warn!(%name, %refused, "a stored object is left out");
            }
        }
        let site = Arc::new(site(&registry, domain));
        let link_name = Path::new(domain, "");
        let epochs = if settings.alone { settings.epochs } else { warren_shard::Epochs::none() };
        let table =
            if settings.alone { Table::alone(settings.me, &epochs, link_name.clone()) } else { Table::unknown() };
        let egress_with = warren_egress::Settings { timers: site.timers, ..settings.egress };
        let mut pod = Self {
            me: settings.me,
            alone: settings.alone,
            lane: settings.lane,
            batch: Batch(0),
            marked: Batch(0),
            shard: Shard::new(settings.shard, epochs, site.clone()),
            egress: Egress::new([Box::from(domain)], egress_with.clone()),
            egress_with,
            ear: None,
            registry,
            site,
            link_name,
            link_since: None,
            table,
            view_wanted: false,
            mine: BTreeMap::new(),
            leaving: super::own::Leaving::default(),
            sessions: BTreeSet::new(),
            inbox: VecDeque::new(),
            source: super::source::Source::default(),
            ahead: Vec::new(),
            acks: BTreeMap::new(),
            speaker: super::speak::Speaker::default(),
            attaching: BTreeMap::new(),
            applying: BTreeMap::new(),
            calls: super::apply::Calls::default(),
            objects_at: None,
            occupied_at: None,
            questions: super::report::Questions::default(),
            seeds: Seeds::new(settings.seed),
            next_ticket: 0,
            beat_at: now.mono + BEAT,
            link: false,
            requests: Vec::new(),
            out: Vec::new(),
        };
        std::mem::swap(&mut pod.requests, requests);
        if pod.alone {
            let past = stored.lanes.iter().filter(|lane| lane.lane != pod.lane);
            let lanes = past.map(|lane| (lane.lane, lane.batch)).collect();
            let before = Before { lanes, touched: stored.touched, told: BTreeSet::new() };
            pod.begin_alone(before, stored.watermarks, stored.occupied, now);
        }
        pod.settle(now);
        std::mem::swap(&mut pod.requests, requests);
        pod
    }

    fn begin_alone(
        &mut self,
        mut before: Before,
        watermarks: Vec<(Lane, Path, Batch)>,
        occupied: Vec<BareJid>,
        now: Now,
    ) {
        let mut passed: BTreeMap<Path, BTreeMap<Lane, Batch>> = BTreeMap::new();
        for (lane, path, batch) in watermarks.into_iter().filter(|(_, path, _)| path.local == self.site.domain) {
            passed.entry(path).or_default().insert(lane, batch);
        }
        for (path, passed) in passed {
            self.egress.restore(&path, missing(before.touched.iter(), &passed), before.lanes.clone(), now);
            before.told.insert(path);
        }
        self.listen_alone(before);
        self.attach_alone();
        let seeds = &mut self.seeds;
        let rooms: Vec<_> = self.registry.rooms().map(|room| declared(&room, seeds.next())).collect();
        for room in rooms {
            self.shard(In::Declare(room), now);
        }
        for room in occupied {
            self.shard(In::Wake { room }, now);
        }
    }
}
