//! A site of two nodes on one PostgreSQL, behind a real Prosody, federated with one on ejabberd: the node that serves is
//! killed twenty times while ten people talk.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use warren_faults::account::{Quit, account, settle};
use warren_faults::{Crowd, SOON, Sites, run};
use warren_test_postgres::{Durability, Server};
use warren_testkit::node::Node;
use warren_testkit::peers::{Site, World};

/// How often the node that serves is killed.
const KILLS: usize = 20;
/// Ten people, each with ten messages a second.
const PEOPLE: usize = 5;
const EVERY: Duration = Duration::from_millis(10);
/// From the moment that everybody speaks again until the next kill; each time a little later.
const UP: Duration = Duration::from_millis(300);
const LATER: Duration = Duration::from_millis(37);
/// A node that is not heard of for so long is taken over.
const TTL: Duration = Duration::from_secs(1);
/// Until the other one has taken over and has the link, beyond that.
const LOADED: Duration = Duration::from_secs(2);

#[test]
fn twenty_kills_of_the_node_that_serves() {
    run(async {
        let postgres = spawn_blocking(|| Server::start(Durability::Disk)).await??;
        let url = postgres.database_url()?;
        let world = World::start().await?;
        let shared = |pod: &str| Node::config(&world, Site::Wonderland).map(|config| config.sharing(&url, pod, "1s"));
        let first = shared("first")?.start().await?;
        let mut other = shared("second")?.stand_by().await?;
        let denmark = Node::start(&world, Site::Denmark).await?;
        let mut sites = Sites { nodes: [first, denmark], world };
        let mut crowd = Crowd::joins(&sites, PEOPLE, EVERY).await?;
        let mut quits: Vec<Quit> = Vec::new();
        let (mut at_the_room, mut at_the_user) = (Vec::new(), Vec::new());

        for kill in 0..KILLS {
            // Somebody goes offline while nobody serves.
            let quitter =
                if kill % 4 == 0 { Some(sites.joins(Site::Wonderland, &format!("q{kill:02}")).await?) } else { None };
            crowd.talks(sleep(UP + LATER * u32::try_from(kill)?)).await;
            let killed = Instant::now();
            sites.node_mut(Site::Wonderland).kill9().await?;
            // The other one takes over; the killed one is to come back as the one that stands by.
            std::mem::swap(sites.node_mut(Site::Wonderland), &mut other);
            let quit = match quitter {
                Some(client) => {
                    let name = client.name.clone();
                    crowd.talks(client.quit(kill % 8 == 0)).await?;
                    Some(name)
                }
                None => None,
            };
            crowd.talks(until_it_serves(sites.node(Site::Wonderland))).await?;
            at_the_room.push(killed.elapsed());
            let back = Instant::now();
            quits.extend(quit.map(|name| Quit { name, back }));
            let again = crowd.speaks_again(Some(Site::Wonderland)).await;
            again.with_context(|| format!("after kill {kill}\n{}\n{}", sites.report(), other.report()))?;
            at_the_user.push(killed.elapsed());
            crowd.talks(other.stand_by_again()).await?;
        }
        settle(&sites, &crowd, &quits).await?;
        account(&sites, &crowd, &quits).await?;
        println!("{KILLS} kills; until a node has the link again: {}", spread(&mut at_the_room));
        println!("until everybody at the site has spoken and heard it: {}", spread(&mut at_the_user));
        let longest = at_the_room.last().copied().unwrap_or_default();
        anyhow::ensure!(longest <= TTL + LOADED, "nobody served for {longest:.1?}");
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
    while !node.serves().await {
        anyhow::ensure!(Instant::now() < end, "nobody takes over\n{}", node.report());
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Median and maximum; sorts.
fn spread(times: &mut [Duration]) -> String {
    times.sort();
    let [median, longest] = [times.len() / 2, times.len() - 1].map(|at| times[at]);
    format!("median {median:.2?}, maximum {longest:.2?}")
}
