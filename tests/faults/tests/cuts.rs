//! The path between the sites is cut: for longer than every timer, and for so short a time that only one stanza is lost.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::{Instant, sleep};
use warren_faults::{Client, SOON, Sites, run};
use warren_testkit::{
    node::Config,
    peers::{Mode, Site, World},
};

/// From the heal until both sites have everything.
const HEAL: Duration = Duration::from_secs(20);

/// As in the examples, but peers' occupants go after 5 s.
fn short_grace(config: Config) -> Config {
    config.replace("peeringGrace: 30s", "peeringGrace: 5s")
}

/// Ping intervals as on the internet: a cut of a fraction of a second fits between two.
fn long_intervals(config: Config) -> Config {
    config.replace("pingInterval: 500ms", "pingInterval: 5s").replace("pingIdle: 500ms", "pingIdle: 5s")
}

async fn alice_and_hamlet(sites: &Sites) -> Result<[Client; 2]> {
    let people = [sites.joins(Site::Wonderland, "alice").await?, sites.joins(Site::Denmark, "hamlet").await?];
    across(&people, "a-000").await?;
    Ok(people)
}

/// Everybody says something, and everybody else reads it.
async fn across(people: &[Client; 2], text: &str) -> Result<()> {
    for (speaker, reader) in [(0, 1), (1, 0)] {
        people[speaker].say(text);
        people[speaker].reflected(text, SOON).await?;
        people[reader].reads(text, HEAL).await?;
    }
    Ok(())
}

async fn check(sites: &Sites, people: &[Client; 2], messages: usize) -> Result<()> {
    let ledger = sites.agreed(HEAL).await?;
    let records = people.each_ref().map(|client| (client.name.as_str(), client.record()));
    ledger.check(records.iter().map(|(name, record)| (*name, record))).with_context(|| sites.report())?;
    for site in Site::ALL {
        let there = ledger.bodies(site).len();
        ensure!(there == messages, "{there} messages in the log of {site:?} and not {messages}");
    }
    for (name, record) in &records {
        ensure!(record.rejoins == 0, "{name} had to join again: {:?}", record.pings);
        ensure!(record.bounced.is_empty(), "{name} got errors: {:?}", record.bounced);
        let own = record.gone.iter().any(|(nick, _)| nick == name);
        ensure!(!own, "{name} was removed");
        warren_testkit::figure!("{name}: {} read, {} repeats on the screen", record.read.len(), record.repeats());
    }
    Ok(())
}

#[test]
fn a_cut_longer_than_every_timer_heals_to_exactly_once() {
    run(async {
        let sites = Sites::start(World::start().await?, short_grace).await?;
        let people = alice_and_hamlet(&sites).await?;
        let before = sites.world.border().counters();
        sites.world.border().set(Mode::Hole);
        let cut = Instant::now();
        let mut said = 1;
        // Suspect after 4 s, the peering after 2 s, the grace another 5 s, and some more.
        while cut.elapsed() < Duration::from_secs(14) {
            for client in &people {
                client.say(format!("c-{said:03}"));
            }
            said += 1;
            sleep(Duration::from_millis(250)).await;
        }
        let last = format!("c-{:03}", said - 1);
        for client in &people {
            client.reflected(&last, SOON).await?; // both went on talking
        }
        for (client, other) in [(0, "hamlet"), (1, "alice")] {
            let gone = people[client].record().gone.iter().filter(|(nick, _)| nick == other).count();
            ensure!(gone == 1, "{other} went {gone} times, as {} saw it", people[client].name);
        }
        let swallowed = sites.world.border().counters();
        sites.world.border().heal();
        let healed = Instant::now();
        people[0].reads(&last, HEAL).await.with_context(|| sites.report())?;
        people[1].reads(&last, HEAL).await.with_context(|| sites.report())?;
        warren_testkit::figure!(
            "long cut: {:.1?}, {said} messages from each; {} bytes swallowed; both have read the last {:.1?} after the heal",
            healed - cut,
            swallowed.swallowed_up + swallowed.swallowed_down - before.swallowed_up - before.swallowed_down,
            healed.elapsed(),
        );
        // Each sees the other come back, and they talk again.
        for (client, other) in [(0, "hamlet"), (1, "alice")] {
            people[client]
                .until(&format!("return of {other}"), SOON, |record| {
                    record.came.iter().any(|(nick, at)| nick == other && *at > healed)
                })
                .await?;
        }
        across(&people, "d-000").await?;
        check(&sites, &people, 2 * (said + 1)).await
    });
}

#[test]
fn a_short_cut_that_swallows_exactly_the_last_stanza_heals_to_exactly_once() {
    run(async {
        let sites = Sites::start(World::start().await?, long_intervals).await?;
        let people = alice_and_hamlet(&sites).await?;
        let mut messages = 2;
        for (speaker, reader, text) in [(0, 1, "b-000"), (1, 0, "b-001")] {
            quiet(&sites).await?;
            let before = sites.world.border().counters();
            sites.world.border().set(Mode::Hole);
            let cut = Instant::now();
            people[speaker].say(text);
            people[speaker].reflected(text, SOON).await?;
            let swallowed = loop {
                let now = sites.world.border().counters();
                let bytes = now.swallowed_up + now.swallowed_down - before.swallowed_up - before.swallowed_down;
                if bytes > 0 {
                    break bytes;
                }
                ensure!(cut.elapsed() < Duration::from_secs(2), "nothing was swallowed");
                sleep(Duration::from_millis(10)).await;
            };
            sleep(Duration::from_millis(50)).await;
            sites.world.border().heal();
            let healed = Instant::now();
            // Nothing is said after it: only the sites themselves can notice.
            people[reader].reads(text, HEAL).await.with_context(|| sites.report())?;
            warren_testkit::figure!(
                "short cut: {:.0?}, {swallowed} bytes swallowed; {} has read the lost message {:.1?} after the heal",
                healed - cut,
                people[reader].name,
                healed.elapsed()
            );
            messages += 1;
        }
        across(&people, "e-000").await?;
        check(&sites, &people, messages + 2).await
    });
}

/// Waits until nothing has passed the border for a while: all is acknowledged, the next ping is far.
async fn quiet(sites: &Sites) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(30);
    let mut last = (sites.world.border().counters(), Instant::now());
    while last.1.elapsed() < Duration::from_millis(1_500) {
        ensure!(Instant::now() < end, "the border does not become quiet");
        sleep(Duration::from_millis(50)).await;
        let now = sites.world.border().counters();
        if now != last.0 {
            last = (now, Instant::now());
        }
    }
    Ok(())
}
