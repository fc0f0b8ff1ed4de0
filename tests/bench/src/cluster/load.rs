//! Messages in a closed loop: each room gets its next one when everybody in it has heard the last.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::site::{OCCUPANTS, Site, message};

/// So long nothing may come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a site did under load.
#[derive(Debug)]
pub struct Load {
    /// Messages that everybody has heard.
    pub messages: u64,
    /// For so long.
    pub lasted: Duration,
    /// CPU time of each node meanwhile.
    pub cpu: Vec<Duration>,
    /// From writing a message to the last of its deliveries, in order of length.
    pub latencies: Vec<Duration>,
}

impl Load {
    /// Messages a second.
    pub fn rate(&self) -> f64 {
        self.count() / self.lasted.as_secs_f64()
    }

    /// CPU microseconds of a node for one delivery.
    pub fn micros(&self, node: usize) -> f64 {
        self.cpu[node].as_secs_f64() * 1e6 / (self.count() * f64::from(OCCUPANTS))
    }

    /// The same of all nodes together.
    pub fn micros_of_all(&self) -> f64 {
        (0..self.cpu.len()).map(|node| self.micros(node)).sum()
    }

    /// The latency that so many of a hundred do not exceed, in milliseconds.
    pub fn percentile(&self, percent: usize) -> f64 {
        let at = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }

    fn count(&self) -> f64 {
        f64::from(u32::try_from(self.messages).unwrap_or(u32::MAX))
    }
}

/// What is under way in a room.
struct Room {
    n: u64,
    sent: Instant,
    missing: u32,
}

/// Numbers of messages, never twice in a room of a site.
#[derive(Default)]
pub struct Numbers(u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// Speaks in these rooms for so long, with one message under way in each; then waits for the last.
pub fn run(site: &Site, rooms: &[u32], numbers: &mut Numbers, time: Duration) -> Result<Load> {
    let cpu = site.cpu()?;
    let begin = Instant::now();
    let mut under_way = HashMap::new();
    let mut out = String::new();
    for room in rooms {
        let n = numbers.next();
        message(&mut out, *room, n);
        under_way.insert(*room, Room { n, sent: begin, missing: OCCUPANTS });
    }
    site.send(out)?;
    let mut latencies = Vec::new();
    while !under_way.is_empty() {
        let some = site.heard.recv_timeout(PATIENCE);
        let some = some.with_context(|| format!("{} rooms say nothing for {PATIENCE:?}", under_way.len()))?;
        let mut out = String::new();
        for heard in some {
            let Some(room) = under_way.get_mut(&heard.room) else { continue };
            // What was lost and repeated may come twice, long after it was counted.
            if heard.n != room.n {
                continue;
            }
            room.missing -= 1;
            if room.missing > 0 {
                continue;
            }
            latencies.push(heard.at.saturating_duration_since(room.sent));
            if begin.elapsed() < time {
                *room = Room { n: numbers.next(), sent: Instant::now(), missing: OCCUPANTS };
                message(&mut out, heard.room, room.n);
            } else {
                under_way.remove(&heard.room);
            }
        }
        if !out.is_empty() {
            site.send(out)?;
        }
    }
    let lasted = begin.elapsed();
    let now = site.cpu()?;
    ensure!(!latencies.is_empty(), "nothing was said");
    latencies.sort();
    Ok(Load {
        messages: latencies.len() as u64,
        lasted,
        cpu: now.iter().zip(&cpu).map(|(now, before)| now.saturating_sub(*before)).collect(),
        latencies,
    })
}
