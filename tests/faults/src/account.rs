//! What is counted after nodes were killed while a crowd talked.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::Instant;
use warren_testkit::peers::Site;

use crate::{Crowd, Record, Sites};

/// Whoever went offline meanwhile must be gone from the room within this time.
const GONE: Duration = Duration::from_secs(30);

/// Somebody who went offline while a node was down.
#[derive(Debug)]
pub struct Quit {
    /// The nick.
    pub name: String,
    /// When the node was there again.
    pub back: Instant,
}

/// Waits until those who quit are gone from everybody's list.
///
/// # Errors
/// Says who is still listed, and by whom.
pub async fn settle(sites: &Sites, crowd: &Crowd, quits: &[Quit]) -> Result<()> {
    for Quit { name, back } in quits {
        let left = GONE.saturating_sub(back.elapsed()).max(Duration::from_secs(1));
        for person in &crowd.people {
            let gone = |record: &Record| record.gone.iter().any(|(nick, _)| nick == name);
            if let Err(error) = person.until(&format!("leave of {name}"), left, gone).await {
                let logs = [sites.node(Site::Wonderland).log().await?, sites.node(Site::Denmark).log().await?];
                let of = logs.map(|log| log.into_iter().filter(|entry| entry.nick == *name).collect::<Vec<_>>());
                return Err(error.context(format!("the logs have of it {of:#?}\n{}", sites.report())));
            }
        }
    }
    Ok(())
}

/// Compares both logs, and what everybody has read: nothing lost, nothing twice, one order of each sender, nobody
/// removed, nobody joined again.
///
/// # Errors
/// Says what is wrong.
pub async fn account(sites: &Sites, crowd: &Crowd, quits: &[Quit]) -> Result<()> {
    let ledger = sites.agreed(Duration::from_secs(20)).await?;
    let records: Vec<_> = crowd.people.iter().map(|client| (client.name.as_str(), client.record())).collect();
    ledger.check(records.iter().map(|(name, record)| (*name, record))).with_context(|| sites.report())?;

    let sum = |count: fn(&Record) -> usize| records.iter().map(|(_, record)| count(record)).sum::<usize>();
    warren_testkit::figure!(
        "{} sent; {} read back by their senders, {} of them twice; {} refused by the servers while the node was down; \
         in the log of each site: {}; repeats on screens: {}",
        crowd.sent,
        sum(|record| record.reflected.len()),
        sum(|record| record.reflected.values().filter(|times| **times > 1).count()),
        sum(|record| record.bounced.len()),
        ledger.bodies(Site::Wonderland).len(),
        sum(Record::repeats),
    );
    ensure!(sum(|record| record.reflected.len()) > crowd.sent / 2, "most of what was said was never read back");
    let pings = records.iter().fold(std::collections::BTreeMap::new(), |mut sum, (_, record)| {
        record.pings.iter().for_each(|(answer, times)| *sum.entry(answer.as_str()).or_insert(0) += times);
        sum
    });
    warren_testkit::figure!("self-pings: {pings:?}; joins after the first: {}", sum(|record| record.rejoins));
    ensure!(sum(|record| record.rejoins) == 0, "somebody had to join again: {pings:?}");

    for (name, record) in &records {
        let removed: Vec<_> = record
            .gone
            .iter()
            .map(|(nick, _)| nick)
            .filter(|nick| records.iter().any(|(live, _)| live == nick))
            .collect();
        ensure!(removed.is_empty(), "{name} has seen people go who are there: {removed:?}");
    }
    for site in Site::ALL {
        let (joins, leaves) = (ledger.count(site, "join"), ledger.count(site, "leave"));
        ensure!(
            joins == records.len() + quits.len() && leaves == quits.len(),
            "{joins} joins and {leaves} leaves in the log of {site:?}, of {} people of whom {} quit",
            records.len() + quits.len(),
            quits.len()
        );
    }
    let mut latest = Duration::ZERO;
    for Quit { name, back } in quits {
        let first = |record: &Record| record.gone.iter().find(|(nick, _)| nick == name).map(|(_, at)| *at);
        let last = records.iter().filter_map(|(_, record)| first(record)).max().context("nobody has seen it")?;
        let late = last.saturating_duration_since(*back);
        ensure!(late <= GONE, "{name} was gone {late:.1?} after the restart");
        latest = latest.max(late);
    }
    warren_testkit::figure!(
        "{} people went offline while a node was down; each was gone {latest:.1?} after the restart at the latest",
        quits.len()
    );
    Ok(())
}
