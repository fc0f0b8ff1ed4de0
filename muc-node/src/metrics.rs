//! What is counted. Never a label with a room or a user: their number has no bound.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::link::Link;
use crate::store::Store;
use warren_pod::Pod;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Limit {
    limit: &'static str,
}

/// The loop's end: counters and gauges. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    stanzas_in: Counter,
    refused: Family<Limit, Counter>,
    deliveries: Counter,
    pings: Counter,
    breaks: Counter,
    overflows: Counter,
    connects: Counter,
    online: Gauge,
    output: Gauge,
    uncommitted: Gauge,
    backlog: Gauge,
    rooms: Gauge,
    shards: Gauge,
    occupants: Gauge,
}

impl Metrics {
    /// The same, as they are exposed.
    pub fn exposed(&self) -> Exposed {
        let mut all = Registry::with_prefix("warren");
        let to = &mut all;
        to.register("stanzas_in", "Stanzas that came over the link", self.stanzas_in.clone());
        to.register("stanzas_refused", "Stanzas that were refused, by the limit they broke", self.refused.clone());
        to.register("deliveries", "Stanzas written for occupants and peers", self.deliveries.clone());
        to.register("path_pings", "Pings written to find out what has arrived", self.pings.clone());
        to.register(
            "path_breaks",
            "Times that stanzas on a path may have been lost and are sent again",
            self.breaks.clone(),
        );
        to.register("path_overflows", "Times that too much waited to be written", self.overflows.clone());
        to.register("link_connects", "Streams that the XMPP server has accepted", self.connects.clone());
        to.register("link_online", "1 while there is a stream to the XMPP server", self.online.clone());
        let bytes = |to: &mut Registry, name, help, gauge: &Gauge| {
            to.register_with_unit(name, help, Unit::Bytes, gauge.clone());
        };
        bytes(to, "output", "Output that waits to be written to the link", &self.output);
        bytes(to, "uncommitted", "Stanzas that were read and are not durable yet", &self.uncommitted);
        bytes(to, "store_backlog", "Writes that the store has not done yet", &self.backlog);
        to.register("shards_owned", "Shards whose rooms this node decides for, of 4096", self.shards.clone());
        to.register("rooms_loaded", "Rooms in memory", self.rooms.clone());
        to.register("occupants", "Sessions in the rooms in memory", self.occupants.clone());
        Exposed(all)
    }

    /// A stanza came.
    pub fn stanza(&self) {
        self.stanzas_in.inc();
    }

    /// The stream to the server has come or gone.
    pub fn link(&self, online: bool) {
        self.online.set(online.into());
    }

    /// A stanza was refused.
    pub fn refused(&self, limit: &'static str) {
        self.refused.get_or_create(&Limit { limit }).inc();
    }

    /// Brings everything up to date that the parts count themselves. Looks at every room: once a second is enough.
    pub fn update(&self, pod: &Pod, link: Option<&Link>, store: &Store) {
        let stats = pod.egress().stats();
        let raise = |counter: &Counter, to: u64| {
            counter.inc_by(to.saturating_sub(counter.get()));
        };
        raise(&self.deliveries, stats.deliveries);
        raise(&self.pings, stats.pings);
        raise(&self.breaks, stats.breaks);
        raise(&self.overflows, stats.overflows);
        raise(&self.connects, link.map_or(0, Link::connects));
        let set = |gauge: &Gauge, to: usize| {
            gauge.set(i64::try_from(to).unwrap_or(i64::MAX));
        };
        set(&self.online, usize::from(link.is_some_and(Link::is_online)));
        set(&self.output, pod.egress().queued_bytes());
        set(&self.uncommitted, pod.uncommitted_bytes());
        set(&self.backlog, store.backlog());
        set(&self.shards, pod.shards().count());
        set(&self.rooms, pod.rooms().count());
        set(&self.occupants, pod.rooms().map(warren_room::Room::sessions).sum());
    }
}

/// The admin listener's end.
#[derive(Debug)]
pub struct Exposed(Registry);

impl Exposed {
    /// As Prometheus and OpenMetrics read it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string has no way to fail.
        let _ = encode(&mut text, &self.0);
        text
    }
}
