//! How long a room says nothing when a node is killed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::load::Numbers;
use super::site::{Heard, Site, message};

/// Between two messages to the room that is looked at; as often one goes to another room.
const EVERY: Duration = Duration::from_millis(10);
/// From the moment that all is well until the kill; each time a little more.
const BEFORE: Duration = Duration::from_millis(300);
const LATER: Duration = Duration::from_millis(37);
/// Longer than any gap may be.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// A node that decides for a room and does not have the link.
    Owner,
    /// The node with the link; the room that is looked at is another one's.
    Link,
}

/// Kills so often and starts again. The gaps in order of length.
pub fn kills(site: &mut Site, rooms: u32, numbers: &mut Numbers, victim: Victim, times: u32) -> Result<Vec<Duration>> {
    let mut gaps = Vec::new();
    for time in 0..times {
        let linked = site.linked()?;
        let watched = (0..rooms).find(|room| site.owner(*room).is_some_and(|owner| owner != linked));
        let watched = watched.context("all rooms are the linked node's")?;
        let at = match victim {
            Victim::Owner => site.owner(watched).context("nobody owns the room")?,
            Victim::Link => linked,
        };
        let mut talk = Talk { site, watched, others: rooms, numbers };
        talk.until(BEFORE + LATER * time, |_| false)?;
        talk.site.nodes[at].kill9()?;
        let killed = Instant::now();
        if victim == Victim::Link {
            talk.site.link_again()?;
        }
        // What was sent before may have been reflected before.
        let after = talk.numbers.next();
        let said = talk.until(PATIENCE, |heard| heard.room == watched && heard.n > after)?;
        let said =
            said.with_context(|| format!("the room says nothing for {PATIENCE:?} after a kill of {victim:?}"))?;
        gaps.push(said.saturating_duration_since(killed));
        site.nodes[at].start_again()?;
        site.settle()?;
    }
    ensure!(!gaps.is_empty(), "nobody was killed");
    gaps.sort();
    Ok(gaps)
}

/// Light load.
struct Talk<'a> {
    site: &'a mut Site,
    watched: u32,
    others: u32,
    numbers: &'a mut Numbers,
}

impl Talk<'_> {
    /// For so long, or until something is heard that is waited for: when it was.
    fn until(&mut self, most: Duration, is_it: impl Fn(&Heard) -> bool) -> Result<Option<Instant>> {
        let begin = Instant::now();
        let mut next = begin;
        while begin.elapsed() < most {
            let mut out = String::new();
            let n = self.numbers.next();
            message(&mut out, self.watched, n);
            message(&mut out, u32::try_from(n % u64::from(self.others))?, n);
            self.site.send(out)?;
            next += EVERY;
            while let Ok(some) = self.site.heard.recv_timeout(next.saturating_duration_since(Instant::now())) {
                if let Some(heard) = some.iter().find(|heard| is_it(heard)) {
                    return Ok(Some(heard.at));
                }
            }
        }
        Ok(None)
    }
}
