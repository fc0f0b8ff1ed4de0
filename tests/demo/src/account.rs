//! The account at the end: what both sites have in their logs, and what people saw.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use anyhow::{Result, ensure};
use warren_testkit::{
    node::{LogEntry, Node, room},
    peers::{Counters, Site},
};

use crate::actor::{Actor, Name, Screen};

/// Everything that is counted.
#[derive(Debug)]
pub struct Account {
    /// Messages in each site's log, in its order, by [`Site`].
    logs: [Vec<Name>; 2],
    /// Who saw what, and how many lines each has said.
    screens: Vec<(&'static str, Screen, usize)>,
    /// Bytes; `None`: nothing was cut.
    swallowed: Option<u64>,
}

impl Account {
    /// Reads both logs with `muc-node log` and takes the screens as they are.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub async fn take(nodes: &[Node; 2], actors: [&Actor; 2], border: Counters) -> Result<Self> {
        let logs = [nodes[0].log().await?, nodes[1].log().await?];
        Ok(Self::of(logs, actors, Some(border.swallowed_up + border.swallowed_down)))
    }

    /// From logs that were read.
    pub fn of(logs: [Vec<LogEntry>; 2], actors: [&Actor; 2], swallowed: Option<u64>) -> Self {
        let name = |entry: LogEntry| Name { nick: entry.nick, id: entry.client_id.unwrap_or(entry.id) };
        let logs = logs.map(|log| log.into_iter().filter(LogEntry::is_message).map(name).collect());
        let screens = actors.map(|actor| (actor.nick, actor.screen(), actor.said())).to_vec();
        Self { logs, screens, swallowed }
    }

    /// Whether both sites have the same messages.
    pub fn agrees(&self) -> bool {
        Site::ALL.into_iter().all(|site| self.only(site).is_empty())
    }

    /// Whether it is as it must be.
    ///
    /// # Errors
    /// Says what is not.
    pub fn check(&self) -> Result<()> {
        for site in Site::ALL {
            let (room, twice) = (room(site), self.twice(site));
            ensure!(twice.is_empty(), "more than once in the log of {room}: {twice:?}");
            let only = self.only(site);
            ensure!(only.is_empty(), "only in the log of {room}: {only:?}");
            for (nick, screen, _) in &self.screens {
                let log = self.set(site);
                let lost: Vec<_> = screen.shown.keys().filter(|message| !log.contains(message)).collect();
                ensure!(lost.is_empty(), "{nick} has read what the log of {room} does not hold: {lost:?}");
            }
        }
        for (nick, screen, said) in &self.screens {
            let answered = read_back(nick, screen) + screen.refused.len();
            // What a server had handed to a process that was killed, and was not reflected, nobody answers for.
            let unknown = said.checked_sub(answered);
            let known = if self.swallowed.is_some() { unknown == Some(0) } else { unknown.is_some() };
            ensure!(known, "{nick} has said {said} lines and knows of {answered} what became of them");
            ensure!(
                self.order(Site::Wonderland, nick) == self.order(Site::Denmark, nick),
                "the sites have the lines of {nick} in different orders"
            );
        }
        ensure!(self.swallowed != Some(0), "the proxy has swallowed nothing: there was no cut");
        Ok(())
    }

    fn set(&self, site: Site) -> BTreeSet<&Name> {
        self.logs[site as usize].iter().collect()
    }

    fn only(&self, site: Site) -> Vec<&Name> {
        self.set(site).difference(&self.set(site.other())).copied().collect()
    }

    fn twice(&self, site: Site) -> Vec<&Name> {
        let mut times: BTreeMap<&Name, usize> = BTreeMap::new();
        self.logs[site as usize].iter().for_each(|message| *times.entry(message).or_default() += 1);
        times.into_iter().filter(|(_, times)| *times > 1).map(|(message, _)| message).collect()
    }

    fn order(&self, site: Site, nick: &str) -> Vec<&Name> {
        self.logs[site as usize].iter().filter(|message| message.nick == nick).collect()
    }
}

/// How many of the own lines came back.
fn read_back(nick: &str, screen: &Screen) -> usize {
    screen.shown.keys().filter(|message| message.nick == nick).count()
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nWhat the sites have, as `muc-node log ROOM` prints it:")?;
        for site in Site::ALL {
            writeln!(
                f,
                "  {:32} {:3} messages, {} of them more than once, {} that the other site does not have",
                room(site),
                self.set(site).len(),
                self.twice(site).len(),
                self.only(site).len(),
            )?;
        }
        let mut difference = self.only(Site::Wonderland);
        difference.extend(self.only(Site::Denmark));
        match difference.as_slice() {
            [] => writeln!(f, "  difference of the two sets: empty")?,
            some => writeln!(f, "  difference of the two sets: {some:?}")?,
        }
        writeln!(f, "What people saw:")?;
        for (nick, screen, said) in &self.screens {
            writeln!(
                f,
                "  {nick:6} said {said} lines: {} came back from the room, {} refused by the server; saw {} messages, {} repeats",
                read_back(nick, screen),
                screen.refused.len(),
                screen.shown.len(),
                screen.repeats(),
            )?;
        }
        match self.swallowed {
            Some(bytes) => writeln!(f, "Bytes that the proxy swallowed: {bytes}"),
            None => Ok(()),
        }
    }
}
