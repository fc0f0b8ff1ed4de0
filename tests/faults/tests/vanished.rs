//! A site of two nodes on one PostgreSQL, behind a real Prosody, federated with one on ejabberd. Each node is on a host
//! of its own, and five times the host of the one that serves vanishes while ten people talk: its cable is pulled, so
//! neither Prosody nor PostgreSQL nor the other node hears a word of an end.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use warren_faults::account::account;

use warren_faults::{Crowd, Ledger, SOON, Sites, run, spread};
use warren_test_netns::{Host, Lan};
use warren_test_postgres::{Durability, Server};
use warren_testkit::node::Node;
use warren_testkit::peers::{Site, World};

/// How often a host vanishes.
const TIMES: u32 = 5;
/// Ten people, each with ten messages a second.
const PEOPLE: usize = 5;
const EVERY: Duration = Duration::from_millis(10);
/// From the moment that all is well until the cable is pulled; each time a little later.
const UP: Duration = Duration::from_millis(600);
const LATER: Duration = Duration::from_millis(137);
/// From the moment that everybody speaks again until the cable is back; each time that much later, so that some of
/// the connections of the lost host have been given up by then, and some not.
const AWAY: Duration = Duration::from_millis(1500);
/// A node that is not heard of for so long is taken over.
const TTL: Duration = Duration::from_secs(1);
/// Until the other one has taken over and has the link, beyond that.
const LOADED: Duration = Duration::from_secs(2);

/// What Prosody says when it has a component.
const AUTHENTICATED: &str = "External component successfully authenticated";

#[test]
fn the_host_of_the_node_that_serves_vanishes() {
    run(async {
        let lan = Lan::new()?;
        let at = lan.addr();
        let postgres = spawn_blocking(move || Server::start_also_at(Durability::Disk, at)).await??;
        let url = postgres.seen_at(at, &postgres.database_url()?);
        let world = World::builder().prosody(move |config| config.components_at(at)).start().await?;
        let prosody = SocketAddr::from((at, world.prosody.component().port()));
        // All that is particular to nodes which share a site is here.
        let node = |pod: &str, host: &Host| {
            let config = Node::config(&world, Site::Wonderland)?;
            anyhow::Ok(config.through(prosody).sharing(&url, pod, "1s").on(host))
        };
        let first = node("first", &lan.host()?)?.start().await?;
        let mut other = node("second", &lan.host()?)?.start().await?;
        let denmark = Node::start(&world, Site::Denmark).await?;
        let mut sites = Sites { nodes: [first, denmark], world };
        let mut crowd = Crowd::joins(&sites, PEOPLE, EVERY).await?;
        let (mut at_the_room, mut at_the_user, mut until_it_ended) = (Vec::new(), Vec::new(), Vec::new());

        for time in 0..TIMES {
            crowd.talks(sleep(UP + LATER * time)).await;
            let lost = sites.node(Site::Wonderland).host().context("it has a host")?.clone();
            let gone = Instant::now();
            lost.unplug()?;
            // The other one takes over; the lost one is to come back and get its share of the rooms.
            std::mem::swap(sites.node_mut(Site::Wonderland), &mut other);
            crowd.talks(until_it_serves(sites.node(Site::Wonderland))).await?;
            at_the_room.push(gone.elapsed());
            let again = crowd.speaks_again(Some(Site::Wonderland)).await;
            again.with_context(|| format!("the other one: {}\n{}", other.report(), sites.report()))?;
            at_the_user.push(gone.elapsed());
            ensure!(other.child().is_alive(), "a node that hears nothing has ended:\n{}", other.report());

            crowd.talks(sleep(AWAY * time)).await;
            let authenticated = authentications(&sites)?;
            ensure!(authenticated == time as usize + 2, "{authenticated} links, and {time} hosts had vanished before");
            lost.plug()?;
            let back = Instant::now();
            let status = crowd.talks(other.child().wait(SOON)).await?;
            until_it_ended.push(back.elapsed());
            sleep(Duration::from_millis(100)).await; // lets the last output arrive
            let last = other.report();
            ensure!(status.code() == Some(1), "the lost node ended with {status}\n{last}");
            ensure!(last.contains("another node has taken over"), "it does not say why it ended\n{last}");
            crowd.talks(other.start_again()).await?;
            let after = authentications(&sites)?;
            ensure!(after == authenticated, "the lost node has taken the link back:\n{last}");
            ensure!(sites.node(Site::Wonderland).serves().await, "the new one does not serve:\n{}", sites.report());
        }
        // Nobody has left or came, nobody had to join again, and what was reflected is in both logs once.
        account(&sites, &crowd, &[]).await?;
        one_order(&sites, &crowd).await?;
        warren_testkit::figure!(
            "{TIMES} hosts vanished; until a node has the link again: {}",
            spread(&mut at_the_room)
        );
        warren_testkit::figure!("until everybody at the site has spoken and heard it: {}", spread(&mut at_the_user));
        warren_testkit::figure!("until a node that is back has ended: {}", spread(&mut until_it_ended));
        let longest = at_the_room.last().copied().unwrap_or_default();
        ensure!(longest <= TTL + LOADED, "nobody served for {longest:.1?}");
        other.stop().await?;
        let Sites { mut nodes, world } = sites;
        for node in &mut nodes {
            node.stop().await?;
        }
        world.stop().await
    });
}

async fn until_it_serves(node: &Node) -> Result<()> {
    let end = Instant::now() + SOON;
    while !node.has_link().await {
        ensure!(Instant::now() < end, "nobody takes over\n{}", node.report());
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// How often a node has got the link.
fn authentications(sites: &Sites) -> Result<usize> {
    let log = std::fs::read_to_string(sites.world.prosody.log())?;
    Ok(log.lines().filter(|line| line.contains(AUTHENTICATED)).count())
}

/// What a person has read of others came in the order of the log of its site; something may have come again.
async fn one_order(sites: &Sites, crowd: &Crowd) -> Result<()> {
    let ledger = Ledger::read(&sites.nodes).await?;
    for person in &crowd.people {
        let mut log = ledger.bodies(person.site).into_iter();
        let record = person.record();
        let mut known = std::collections::BTreeSet::new();
        // A body names its sender and is said once.
        for seen in record.read.iter().filter(|seen| known.insert(seen.body.as_str())) {
            ensure!(log.any(|body| body == seen.body), "{} has read {} out of order", person.name, seen.body);
        }
    }
    Ok(())
}
