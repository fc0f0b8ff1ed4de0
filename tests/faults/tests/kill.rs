//! Nodes that are killed while ten people talk, twenty times.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::{Instant, interval, sleep};
use warren_faults::{Client, Record, SOON, Sites, run};
use warren_testkit::peers::{Site, World};

/// How often a node is killed, the two in turn.
const KILLS: usize = 20;

/// Ten people, each with five messages a second.
const PEOPLE: usize = 5;
const EVERY: Duration = Duration::from_millis(20);

/// From a restart until the next kill; each time a little later, so that kills meet the pings and beats at all phases.
const UP: Duration = Duration::from_millis(700);
const LATER: Duration = Duration::from_millis(23);

/// From a kill until the restart.
const DOWN: Duration = Duration::from_millis(400);

/// These kills hit a node that has just come back and is catching up.
const AGAIN: [usize; 2] = [8, 11];

/// Whoever went offline meanwhile must be gone from the room within this time.
const GONE: Duration = Duration::from_secs(30);

/// Ten people who talk, one after the other, at an even pace.
struct Crowd {
    people: Vec<Client>,
    sent: usize,
}

impl Crowd {
    /// Talks for as long as `other` takes.
    async fn talks<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut due = interval(EVERY);
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
}

/// Bodies of a sender rise.
fn body(name: &str, number: usize) -> String {
    format!("{name}-{number:06}")
}

/// Somebody who went offline while a node was down.
struct Quit {
    name: String,
    /// When the node was there again.
    back: Instant,
}

#[test]
fn twenty_kills_lose_nothing_and_nobody() {
    run(async {
        let mut sites = Sites::start(World::start().await?, |config| config).await?;
        let mut people = Vec::new();
        for number in 0..PEOPLE {
            people.push(sites.joins(Site::Wonderland, &format!("w{number}")).await?);
            people.push(sites.joins(Site::Denmark, &format!("d{number}")).await?);
        }
        let mut crowd = Crowd { people, sent: 0 };
        let mut quits: Vec<Quit> = Vec::new();
        let mut slowest = Duration::ZERO;
        let began = Instant::now();

        for kill in 0..KILLS {
            // In turn; one that comes at once after another hits the same site.
            let site = Site::ALL[(kill - usize::from(AGAIN.contains(&kill))) % 2];
            // Somebody goes offline while the node is down: in good order, or with a reset connection.
            let quitter =
                if AGAIN.contains(&kill) { None } else { Some(sites.joins(site, &format!("q{kill:02}")).await?) };
            if !AGAIN.contains(&kill) {
                crowd.talks(sleep(UP + LATER * u32::try_from(kill)?)).await;
            }
            sites.node_mut(site).kill9().await?;
            crowd.talks(sleep(DOWN)).await;
            let quit = match quitter {
                Some(client) => {
                    let name = client.name.clone();
                    crowd.talks(client.quit(kill % 4 < 2)).await?;
                    Some(name)
                }
                None => None,
            };
            crowd.talks(sites.node_mut(site).start_again()).await?;
            let back = Instant::now();
            quits.extend(quit.map(|name| Quit { name, back }));

            if AGAIN.contains(&(kill + 1)) {
                continue;
            }
            // Everybody speaks again: something said from now on comes back.
            let spoken = crowd.sent;
            crowd.talks(sleep(EVERY * 2 * u32::try_from(PEOPLE)?)).await;
            let people: Vec<_> = crowd.people.iter().map(Client::watch).collect();
            let all = async {
                for mut person in people {
                    let first = body(person.name(), spoken);
                    person
                        .until("message after the restart", SOON, |record| {
                            record.reflected.keys().next_back().is_some_and(|last| *last >= first)
                        })
                        .await?;
                }
                anyhow::Ok(())
            };
            crowd.talks(all).await.with_context(|| format!("after kill {kill}, of {site:?}\n{}", sites.report()))?;
            slowest = slowest.max(back.elapsed());
        }
        let talked = began.elapsed();
        settle(&sites, &crowd, &quits).await?;
        account(&sites, &crowd, &quits).await?;
        println!(
            "{KILLS} kills in {talked:.1?}; everybody had spoken again {slowest:.1?} after a restart at the latest"
        );
        let Sites { mut nodes, world } = sites;
        for node in &mut nodes {
            node.stop().await?;
        }
        world.stop().await
    });
}

/// Waits until those who quit are gone from everybody's list.
async fn settle(sites: &Sites, crowd: &Crowd, quits: &[Quit]) -> Result<()> {
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

async fn account(sites: &Sites, crowd: &Crowd, quits: &[Quit]) -> Result<()> {
    let ledger = sites.agreed(Duration::from_secs(20)).await?;
    let records: Vec<_> = crowd.people.iter().map(|client| (client.name.as_str(), client.record())).collect();
    ledger.check(records.iter().map(|(name, record)| (*name, record))).with_context(|| sites.report())?;

    let sum = |count: fn(&Record) -> usize| records.iter().map(|(_, record)| count(record)).sum::<usize>();
    println!(
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
    println!("self-pings: {pings:?}; joins after the first: {}", sum(|record| record.rejoins));
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
    println!(
        "{} people went offline while a node was down; each was gone {latest:.1?} after the restart at the latest",
        quits.len()
    );
    Ok(())
}
