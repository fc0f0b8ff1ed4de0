//! What the admin listener shows. Never a label with an object's name.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct What {
    what: &'static str,
}

/// Counters, cloned to wherever something happens.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    writes: Family<What, Counter>,
    calls: Family<What, Counter>,
    failures: Family<What, Counter>,
    plans: Counter<u64, AtomicU64>,
    queued: Gauge<i64, AtomicI64>,
    objects: Family<What, Gauge>,
    leads: Gauge<i64, AtomicI64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let (writes, calls, failures, objects) =
            (Family::default(), Family::default(), Family::default(), Family::<What, Gauge>::default());
        let (plans, queued, leads) = (Counter::default(), Gauge::default(), Gauge::default());
        registry.register("warren_operator_writes", "Writes to the API server", Family::clone(&writes));
        registry.register("warren_operator_calls", "Calls of pods", Family::clone(&calls));
        registry.register(
            "warren_operator_failures",
            "What did not succeed and is tried again",
            Family::clone(&failures),
        );
        registry.register("warren_operator_plans", "Times that everything was validated", plans.clone());
        registry.register("warren_operator_queued", "Objects that wait to be looked at", queued.clone());
        registry.register("warren_operator_objects", "Objects by state", objects.clone());
        registry.register("warren_operator_leads", "1 when this process leads", leads.clone());
        Self { registry: Arc::new(registry), writes, calls, failures, plans, queued, objects, leads }
    }
}

impl Metrics {
    /// A write to the API server.
    pub fn wrote(&self, what: &'static str) {
        self.writes.get_or_create(&What { what }).inc();
    }

    /// A call of a pod.
    pub fn called(&self, what: &'static str) {
        self.calls.get_or_create(&What { what }).inc();
    }

    /// Something did not succeed.
    pub fn failed(&self, what: &'static str) {
        self.failures.get_or_create(&What { what }).inc();
    }

    /// A plan was made.
    pub fn planned(&self, accepted: usize, refused: usize, queued: usize) {
        self.plans.inc();
        let set = |what, n| {
            self.objects.get_or_create(&What { what }).set(i64::try_from(n).unwrap_or(i64::MAX));
        };
        set("accepted", accepted);
        set("refused", refused);
        self.queued.set(i64::try_from(queued).unwrap_or(i64::MAX));
    }

    /// Whether this process leads.
    pub fn leads(&self, leads: bool) {
        self.leads.set(leads.into());
    }

    /// All of them, as OpenMetrics has it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
