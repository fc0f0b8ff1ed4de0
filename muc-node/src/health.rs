//! What the admin listener says of the pod's health: written by the loop, read by another thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use warren_model::Shard;
use warren_model::ids::SHARDS;

use crate::clock;

/// The loop turns at least once a second, for the beat. If it has not for so long, it hangs.
const HUNG: Duration = Duration::from_secs(10);

const WORDS: usize = SHARDS as usize / 64;

#[derive(Debug)]
struct Shards([AtomicU64; WORDS]);

impl Default for Shards {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; WORDS])
    }
}

/// Latches and a pulse.
#[derive(Debug, Default)]
pub struct Health {
    store: AtomicBool,
    manifests: AtomicBool,
    link: AtomicBool,
    stopping: AtomicBool,
    /// A bit for each shard: whether it is ours.
    shards: Shards,
    /// When the loop turned last, in milliseconds of the boot-time clock; 0: it has not begun.
    turned: AtomicU64,
}

impl Health {
    /// The store is open.
    pub fn store_open(&self) {
        self.store.store(true, Ordering::Relaxed);
    }

    /// The manifests are applied, or there are none.
    pub fn manifests_applied(&self) {
        self.manifests.store(true, Ordering::Relaxed);
    }

    /// Whether stanzas flow: over a stream of our own, or to the node that has it.
    pub fn link(&self, online: bool) {
        self.link.store(online, Ordering::Relaxed);
    }

    /// The pod is on its way out.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Which shards are ours now.
    pub fn owns(&self, shards: impl Iterator<Item = Shard>) {
        let mut bits = [0; WORDS];
        for Shard(shard) in shards {
            if let Some(word) = bits.get_mut(shard as usize / 64) {
                *word |= 1_u64 << (shard % 64);
            }
        }
        for (word, bits) in self.shards.0.iter().zip(bits) {
            word.store(bits, Ordering::Relaxed);
        }
    }

    /// Whether a shard is ours.
    pub fn is_ours(&self, Shard(shard): Shard) -> bool {
        let word = self.shards.0.get(shard as usize / 64).map_or(0, |word| word.load(Ordering::Relaxed));
        word & (1 << (shard % 64)) != 0
    }

    /// The loop has turned.
    pub fn turned(&self, at: Duration) {
        self.turned.store(u64::try_from(at.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// For how long the loop has not turned; `None`: it has not begun.
    pub fn silent(&self) -> Option<Duration> {
        let turned = Duration::from_millis(self.turned.load(Ordering::Relaxed));
        (turned > Duration::ZERO).then(|| clock::boot().saturating_sub(turned))
    }

    /// `None`: the loop turns, or has not begun. Otherwise for how long it has not.
    pub fn hung(&self) -> Option<Duration> {
        self.silent().filter(|silent| *silent > HUNG)
    }

    /// What is missing until the pod serves; nothing: it does.
    pub fn missing(&self) -> Vec<&'static str> {
        let latches = [
            (&self.store, true, "store: not open yet"),
            (&self.manifests, true, "manifests: not applied yet"),
            (&self.link, true, "link: no stream to the XMPP server, and no way to a node that has one"),
            (&self.stopping, false, "stopping"),
        ];
        latches.into_iter().filter(|(latch, wanted, _)| latch.load(Ordering::Relaxed) != *wanted).map(|l| l.2).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_names_what_is_missing() {
        let health = Health::default();
        assert_eq!(health.missing().len(), 3);
        health.store_open();
        health.manifests_applied();
        health.link(true);
        assert!(health.missing().is_empty());
        health.link(false);
        assert_eq!(health.missing(), ["link: no stream to the XMPP server, and no way to a node that has one"]);
        health.link(true);
        health.stopping();
        assert_eq!(health.missing(), ["stopping"]);
    }

    #[test]
    fn a_loop_that_has_not_begun_does_not_hang() {
        let health = Health::default();
        assert_eq!(health.hung(), None);
        health.turned(clock::boot());
        assert_eq!(health.hung(), None);
        health.turned(Duration::from_millis(1));
        assert!(health.hung().is_some() || clock::boot() < HUNG);
    }
}
