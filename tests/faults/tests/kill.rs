//! Nodes that are killed while ten people talk, twenty times.

use std::time::Duration;

use anyhow::Context;
use tokio::time::{Instant, sleep};
use warren_faults::account::{Quit, account, settle};
use warren_faults::{Crowd, Sites, run};
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

#[test]
fn twenty_kills_lose_nothing_and_nobody() {
    run(async {
        let mut sites = Sites::start(World::start().await?, |config| config).await?;
        let mut crowd = Crowd::joins(&sites, PEOPLE, EVERY).await?;
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
            let again = crowd.speaks_again(None).await;
            again.with_context(|| format!("after kill {kill}, of {site:?}\n{}", sites.report()))?;
            slowest = slowest.max(back.elapsed());
        }
        let talked = began.elapsed();
        settle(&sites, &crowd, &quits).await?;
        account(&sites, &crowd, &quits).await?;
        warren_testkit::figure!(
            "{KILLS} kills in {talked:.1?}; everybody had spoken again {slowest:.1?} after a restart at the latest"
        );
        let Sites { mut nodes, world } = sites;
        for node in &mut nodes {
            node.stop().await?;
        }
        world.stop().await
    });
}
