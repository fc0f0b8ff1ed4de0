//! Work to do, one key at a time: delayed, coalesced, never the same key twice at once, with back-off.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The first wait after a failure; doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait after a failure.
const LONGEST: Duration = Duration::from_mins(5);

/// A queue.
#[derive(Debug)]
pub struct Queue<K> {
    inner: Mutex<Inner<K>>,
    wake: Notify,
}

#[derive(Debug)]
struct Inner<K> {
    due: BTreeSet<(Instant, K)>,
    at: HashMap<K, Instant>,
    /// Taken and not done.
    busy: HashSet<K>,
    /// Failures in a row.
    failures: HashMap<K, u32>,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        let inner = Inner { due: BTreeSet::new(), at: HashMap::new(), busy: HashSet::new(), failures: HashMap::new() };
        Self { inner: Mutex::new(inner), wake: Notify::new() }
    }
}

impl<K: Clone + Ord + Hash> Queue<K> {
    /// Has `key` looked at after `delay`, or earlier if that was wanted before.
    pub fn add(&self, key: K, delay: Duration) {
        let when = Instant::now() + delay;
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match inner.at.get(&key).copied() {
            Some(before) if before <= when => return,
            Some(before) => drop(inner.due.remove(&(before, key.clone()))),
            None => {}
        }
        inner.at.insert(key.clone(), when);
        inner.due.insert((when, key));
        drop(inner);
        self.wake.notify_one();
    }

    /// The next key that is due. It is not given again until [`Queue::done`] or [`Queue::failed`].
    pub async fn next(&self) -> K {
        loop {
            let until = {
                let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
                let now = Instant::now();
                let free = inner.due.iter().find(|(_, key)| !inner.busy.contains(key)).cloned();
                match free {
                    Some((when, key)) if when <= now => {
                        inner.due.remove(&(when, key.clone()));
                        inner.at.remove(&key);
                        inner.busy.insert(key.clone());
                        if !inner.due.is_empty() {
                            // There may be work for another taker.
                            self.wake.notify_one();
                        }
                        return key;
                    }
                    Some((when, _)) => Some(when),
                    None => None,
                }
            };
            let late = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = late => {}
                () = self.wake.notified() => {}
            }
        }
    }

    /// Done; looked at again only when somebody asks for it.
    pub fn done(&self, key: &K) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.busy.remove(key);
        inner.failures.remove(key);
        drop(inner);
        self.wake.notify_one();
    }

    /// Failed: looked at again after a while that grows with each failure. `random`: 0 to 1, so that many that fail
    /// together do not come back together.
    pub fn failed(&self, key: &K, random: f64) -> Duration {
        let delay = {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.busy.remove(key);
            let failures = inner.failures.entry(key.clone()).or_default();
            *failures += 1;
            let full = FIRST.saturating_mul(1 << (*failures - 1).min(16)).min(LONGEST);
            full.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0))
        };
        self.add(key.clone(), delay);
        delay
    }

    /// Keys that wait.
    pub fn len(&self) -> usize {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).at.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_earliest_wish_counts_and_one_key_is_one_work() {
        let queue = Queue::default();
        queue.add("a", Duration::from_secs(10));
        queue.add("a", Duration::from_secs(1));
        queue.add("a", Duration::from_secs(5));
        queue.add("b", Duration::from_secs(2));
        let start = Instant::now();
        assert_eq!((queue.next().await, start.elapsed().as_secs()), ("a", 1));
        // While it is being worked on it waits.
        queue.add("a", Duration::ZERO);
        assert_eq!((queue.next().await, start.elapsed().as_secs()), ("b", 2));
        queue.done(&"a");
        assert_eq!(queue.next().await, "a");
        queue.done(&"a");
        queue.done(&"b");
        assert!(queue.is_empty());
        let more = tokio::time::timeout(Duration::from_hours(1), queue.next()).await;
        assert!(more.is_err(), "nothing comes by itself");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_back_off_up_to_a_bound_and_are_forgotten() {
        let queue = Queue::default();
        let mut waits = Vec::new();
        for _ in 0..14 {
            queue.add("a", Duration::from_hours(1));
            queue.next().await;
            waits.push(queue.failed(&"a", 1.0));
        }
        assert_eq!(waits[..3], [500, 1000, 2000].map(Duration::from_millis));
        assert_eq!(waits.last(), Some(&LONGEST));
        queue.next().await;
        queue.done(&"a");
        queue.add("a", Duration::ZERO);
        queue.next().await;
        assert_eq!(queue.failed(&"a", 0.0), Duration::from_millis(250));
    }
}
