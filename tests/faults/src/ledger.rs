//! Both logs of one room, compared.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Result, ensure};
use tokio::time::{Instant, sleep};
use warren_testkit::{
    node::{LogEntry, Node},
    peers::Site,
};

use crate::Record;

/// The logs of both sites, by [`Site`].
#[derive(Clone, Debug)]
pub struct Ledger {
    logs: [Vec<LogEntry>; 2],
}

impl Ledger {
    /// Reads both logs, now.
    ///
    /// # Errors
    /// When one cannot be read.
    pub async fn read(nodes: &[Node; 2]) -> Result<Self> {
        let (wonderland, denmark) = tokio::try_join!(nodes[0].log(), nodes[1].log())?;
        Ok(Self { logs: [wonderland, denmark] })
    }

    /// Reads both logs again and again until they hold the same messages.
    ///
    /// # Errors
    /// When they do not within `deadline`; says what is missing where.
    pub async fn agreed(nodes: &[Node; 2], deadline: Duration) -> Result<Self> {
        let end = Instant::now() + deadline;
        loop {
            let ledger = Self::read(nodes).await?;
            let missing = Site::ALL.map(|site| ledger.missing(site));
            if missing.iter().all(Vec::is_empty) {
                return Ok(ledger);
            }
            ensure!(
                Instant::now() < end,
                "after {deadline:?} the logs differ: missing in wonderland {:?}, missing in denmark {:?}",
                missing[0],
                missing[1]
            );
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// The whole log of a site.
    pub fn log(&self, site: Site) -> &[LogEntry] {
        &self.logs[site as usize]
    }

    /// The bodies of all messages in a site's log, in its order.
    pub fn bodies(&self, site: Site) -> Vec<&str> {
        self.messages(site).map(|(_, body)| body).collect()
    }

    /// How many entries of a kind a site's log has, as `join`.
    pub fn count(&self, site: Site, kind: &str) -> usize {
        self.log(site).iter().filter(|entry| entry.kind == kind).count()
    }

    /// Makes sure that both logs hold each message once, every sender's in the order of sending and the same at
    /// both; and everything that a sender has read back, under the id that everybody has seen. Bodies of a sender must rise, as `a-0001`, `a-0002`.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check<'a>(&self, records: impl IntoIterator<Item = (&'a str, &'a Record)>) -> Result<()> {
        for site in Site::ALL {
            let mut times: BTreeMap<(&str, &str), usize> = BTreeMap::new();
            self.messages(site).for_each(|message| *times.entry(message).or_default() += 1);
            let repeated: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
            ensure!(repeated.is_empty(), "in the log of {site:?} more than once: {repeated:?}");
            let missing = self.missing(site);
            ensure!(missing.is_empty(), "missing in the log of {site:?}: {missing:?}");
            for (nick, bodies) in self.by_sender(site) {
                let wrong = bodies.windows(2).find(|pair| pair[0] >= pair[1]);
                ensure!(wrong.is_none(), "{nick}'s messages are not in order in the log of {site:?}: {wrong:?}");
            }
        }
        let ids = |site: Site| self.log(site).iter().filter(|entry| entry.is_message()).map(|entry| &entry.id);
        ensure!(
            ids(Site::Wonderland).collect::<BTreeSet<_>>() == ids(Site::Denmark).collect(),
            "the sites have different ids for the same messages"
        );
        ensure!(
            self.by_sender(Site::Wonderland) == self.by_sender(Site::Denmark),
            "the orders of messages of a sender differ"
        );
        for (nick, record) in records {
            for site in Site::ALL {
                let logged: BTreeSet<&str> =
                    self.messages(site).filter(|(sender, _)| *sender == nick).map(|(_, body)| body).collect();
                let lost: Vec<_> = record.reflected.keys().filter(|body| !logged.contains(body.as_str())).collect();
                ensure!(lost.is_empty(), "{nick} has read back what the log of {site:?} does not hold: {lost:?}");
            }
            let ids = self.ids();
            for ((sender, body), seen) in &record.ids {
                let logged = ids.get(&(sender.as_str(), body.as_str()));
                let right = logged.is_some_and(|id| seen.iter().eq([*id]));
                ensure!(right, "{nick} has seen {body} of {sender} with the ids {seen:?}; the log has {logged:?}");
            }
        }
        Ok(())
    }

    fn messages(&self, site: Site) -> impl Iterator<Item = (&str, &str)> {
        let messages = self.log(site).iter().filter(|entry| entry.is_message());
        messages.map(|entry| (entry.nick.as_str(), entry.body.as_deref().unwrap_or_default()))
    }

    /// The id of each message, which must be the same at both sites.
    fn ids(&self) -> BTreeMap<(&str, &str), &str> {
        let rows = self.logs.iter().flatten().filter(|entry| entry.is_message());
        rows.map(|entry| ((entry.nick.as_str(), entry.body.as_deref().unwrap_or_default()), entry.id.as_str()))
            .collect()
    }

    fn by_sender(&self, site: Site) -> BTreeMap<&str, Vec<&str>> {
        let mut by_sender: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        self.messages(site).for_each(|(nick, body)| by_sender.entry(nick).or_default().push(body));
        by_sender
    }

    /// What the other site's log holds and this one's does not.
    fn missing(&self, site: Site) -> Vec<(&str, &str)> {
        let here: BTreeSet<_> = self.messages(site).collect();
        self.messages(site.other()).filter(|message| !here.contains(message)).collect()
    }
}
