//! A crowd that talks while nodes are killed.

use std::time::Duration;

use anyhow::Result;
use tokio::time::interval;
use warren_testkit::peers::Site;

use crate::{Client, Record, SOON, Sites};

/// People who talk, one after the other, at an even pace.
#[derive(Debug)]
pub struct Crowd {
    /// Who they are.
    pub people: Vec<Client>,
    /// What they have said together.
    pub sent: usize,
    every: Duration,
}

impl Crowd {
    /// So many people at each site join; one of them speaks every so often.
    ///
    /// # Errors
    /// When one does not get in.
    pub async fn joins(sites: &Sites, at_each: usize, every: Duration) -> Result<Self> {
        let mut people = Vec::new();
        for number in 0..at_each {
            people.push(sites.joins(Site::Wonderland, &format!("w{number}")).await?);
            people.push(sites.joins(Site::Denmark, &format!("d{number}")).await?);
        }
        Ok(Self { people, sent: 0, every })
    }

    /// Talks for as long as `other` takes.
    pub async fn talks<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut due = interval(self.every);
        tokio::pin!(other);
        loop {
            tokio::select! {
                done = &mut other => return done,
                _ = due.tick() => {
                    let next = &self.people[self.sent % self.people.len()];
                    next.say(body(&next.name, self.sent));
                    self.sent += 1;
                }
            }
        }
    }

    /// Talks until everybody (or those of `only`) has read back something that was said from now on.
    ///
    /// # Errors
    /// Names who has not.
    pub async fn speaks_again(&mut self, only: Option<Site>) -> Result<()> {
        let spoken = self.sent;
        let people: Vec<_> = self
            .people
            .iter()
            .filter(|person| only.is_none_or(|site| person.site == site))
            .map(Client::watch)
            .collect();
        let all = async {
            for mut person in people {
                let first = body(person.name(), spoken);
                let again = |record: &Record| record.reflected.keys().next_back().is_some_and(|last| *last >= first);
                person.until("message of its own", SOON, again).await?;
            }
            anyhow::Ok(())
        };
        self.talks(all).await
    }
}

/// Bodies of a sender rise.
pub fn body(name: &str, number: usize) -> String {
    format!("{name}-{number:06}")
}
