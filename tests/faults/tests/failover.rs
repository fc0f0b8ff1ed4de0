//! A site of three nodes on one PostgreSQL, behind a real Prosody, federated with one on ejabberd: the node that decides for
//! the room, and the node that has the link, are killed again and again while ten people talk.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use warren_faults::account::{Quit, account, settle};
use warren_faults::client::Watch;
use warren_faults::{Client, Crowd, Record, SOON, Sites, run, spread};
use warren_test_postgres::{Durability, Server};
use warren_testkit::node::Node;
use warren_testkit::peers::{Site, World};

/// Ten people, each with ten messages a second.
const PEOPLE: usize = 5;
const EVERY: Duration = Duration::from_millis(10);
/// From the moment that all nodes are there until the next kill; each time a little later.
const UP: Duration = Duration::from_millis(300);
const LATER: Duration = Duration::from_millis(37);
/// Nobody may be without a node that answers for him for longer, whoever is killed.
const LONGEST: Duration = Duration::from_secs(2);

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// The node that decides for the room.
    Owner,
    /// The node with the stream to the server.
    Link,
}

impl Target {
    async fn is(self, node: &Node) -> bool {
        match self {
            Self::Owner => node.owns_room().await,
            Self::Link => node.has_link().await,
        }
    }
}

#[test]
fn twenty_kills_of_the_node_that_decides() {
    kills(20, Target::Owner);
}

#[test]
fn ten_kills_of_the_node_with_the_link() {
    kills(10, Target::Link);
}

/// The nodes of the site: the one that `Sites` knows, and two more.
struct Nodes {
    sites: Sites,
    others: Vec<Node>,
}

impl Nodes {
    fn all(&mut self) -> Vec<&mut Node> {
        let Sites { nodes: [first, _], .. } = &mut self.sites;
        std::iter::once(first).chain(&mut self.others).collect()
    }

    async fn find(&mut self, target: Target) -> Result<usize> {
        let end = Instant::now() + SOON;
        while Instant::now() < end {
            for (at, node) in self.all().into_iter().enumerate() {
                if target.is(node).await {
                    return Ok(at);
                }
            }
            sleep(Duration::from_millis(5)).await;
        }
        anyhow::bail!("no node is {target:?}\n{}", self.report())
    }

    fn report(&mut self) -> String {
        self.all().iter().map(|node| node.report()).collect::<Vec<_>>().join("\n")
    }
}

/// Waits until somebody who has joined is on everybody's list.
async fn all_see(watches: &[Watch], name: &str) -> Result<()> {
    for mut watch in watches.iter().cloned() {
        let came = |record: &Record| record.came.iter().any(|(nick, _)| nick == name);
        watch.until(&format!("join of {name}"), SOON, came).await?;
    }
    Ok(())
}

fn kills(count: usize, target: Target) {
    run(async {
        let postgres = spawn_blocking(|| Server::start(Durability::Disk)).await??;
        let url = postgres.database_url()?;
        let world = World::start().await?;
        let shared = |pod: &str| Node::config(&world, Site::Wonderland).map(|config| config.sharing(&url, pod, "1s"));
        // The first one gets the link.
        let first = shared("hatter")?.start().await?;
        let others = vec![shared("hare")?.start().await?, shared("dormouse")?.start().await?];
        let denmark = Node::start(&world, Site::Denmark).await?;
        let mut nodes = Nodes { sites: Sites { nodes: [first, denmark], world }, others };
        let mut crowd = Crowd::joins(&nodes.sites, PEOPLE, EVERY).await?;
        let watches: Vec<Watch> = crowd.people.iter().map(Client::watch).collect();
        let mut quits: Vec<Quit> = Vec::new();
        let (mut at_the_room, mut at_the_user, mut both) = (Vec::new(), Vec::new(), 0);

        for kill in 0..count {
            // Somebody goes offline while nobody answers for him.
            let name = format!("q{kill:02}");
            let quitter = nodes.sites.joins(Site::Wonderland, &name).await?;
            crowd.talks(all_see(&watches, &name)).await.with_context(|| nodes.report())?;
            crowd.talks(sleep(UP + LATER * u32::try_from(kill)?)).await;
            let victim = crowd.talks(nodes.find(target)).await?;
            let killed = Instant::now();
            both += usize::from(nodes.all()[victim].owns_room().await && nodes.all()[victim].has_link().await);
            nodes.all()[victim].kill9().await?;
            crowd.talks(quitter.quit(kill % 2 == 0)).await?;
            crowd.talks(nodes.find(target)).await.with_context(|| format!("after kill {kill}"))?;
            at_the_room.push(killed.elapsed());
            let back = Instant::now();
            quits.push(Quit { name, back });
            let again = crowd.speaks_again(Some(Site::Wonderland)).await;
            again.with_context(|| format!("after kill {kill}\n{}", nodes.report()))?;
            at_the_user.push(killed.elapsed());
            crowd.talks(nodes.all().remove(victim).start_again()).await?;
        }
        settle(&nodes.sites, &crowd, &quits).await?;
        account(&nodes.sites, &crowd, &quits).await.with_context(|| nodes.report())?;
        warren_testkit::figure!(
            "{count} kills of {target:?}, {both} of which hit both; until another one is: {}",
            spread(&mut at_the_room)
        );
        warren_testkit::figure!("until everybody at the site has spoken and heard it: {}", spread(&mut at_the_user));
        let longest = at_the_room.last().copied().unwrap_or_default();
        anyhow::ensure!(longest <= LONGEST, "nobody was {target:?} for {longest:.1?}");
        let Nodes { sites: Sites { mut nodes, world }, others } = nodes;
        for node in others.into_iter().collect::<Vec<_>>().iter_mut().chain(&mut nodes) {
            node.stop().await?;
        }
        world.stop().await
    });
}
