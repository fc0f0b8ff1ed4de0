//! Two real nodes behind real Prosody and ejabberd, killed, cut off and attacked.
//!
//! Here is what the tests share: two sites that are one room, users who behave as real clients do, a client without
//! manners, and the account of both logs.

use std::time::Duration;

use anyhow::{Context, Result};
use warren_testkit::{
    node::{Config, Node},
    peers::{Site, World},
};

pub mod account;
pub mod client;
pub mod crowd;
pub mod ledger;
pub mod raw;
pub mod tap;

pub use client::{Client, Record};
pub use crowd::Crowd;
pub use ledger::Ledger;
pub use raw::RawUser;
pub use tap::Tap;

/// How long something may take that nothing delays, on a busy machine.
pub const SOON: Duration = Duration::from_secs(10);

/// No test takes longer.
const LIMIT: Duration = Duration::from_secs(170);

/// The two servers and a node at each.
#[derive(Debug)]
pub struct Sites {
    /// The nodes, by [`Site`]. Before the servers, so that they are gone first.
    pub nodes: [Node; 2],
    /// The servers.
    pub world: World,
}

impl Sites {
    /// Starts the two sites of `examples/demo`; `change` may change their manifests.
    ///
    /// # Errors
    /// When a server or a node does not come up.
    pub async fn start(world: World, change: impl Fn(Config) -> Config) -> Result<Self> {
        let [wonderland, denmark] = Site::ALL.map(|site| Node::config(&world, site).map(&change));
        let (wonderland, denmark) = tokio::try_join!(wonderland?.start(), denmark?.start())?;
        Ok(Self { nodes: [wonderland, denmark], world })
    }

    /// The node of a site.
    pub fn node(&self, site: Site) -> &Node {
        &self.nodes[site as usize]
    }

    /// The node of a site, to be killed.
    pub fn node_mut(&mut self, site: Site) -> &mut Node {
        &mut self.nodes[site as usize]
    }

    /// Makes an account at a site and lets it join the room of that site. The nick is the name.
    ///
    /// # Errors
    /// When it does not get in.
    pub async fn joins(&self, site: Site, name: &str) -> Result<Client> {
        let user = self.world.user(site, name).await?;
        Client::join(user, site, self.node(site).room(), name).await.with_context(|| self.report())
    }

    /// What both nodes said last.
    pub fn report(&self) -> String {
        self.nodes.each_ref().map(Node::report).join("\n")
    }

    /// Both logs, as soon as they hold the same messages.
    ///
    /// # Errors
    /// When they do not within `deadline`; says what is missing where.
    pub async fn agreed(&self, deadline: Duration) -> Result<Ledger> {
        Ledger::agreed(&self.nodes, deadline).await.with_context(|| self.report())
    }
}

/// Runs a test.
///
/// # Panics
/// When the test fails or takes too long.
pub fn run(test: impl Future<Output = Result<()>>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outcome = runtime.expect("a tokio runtime").block_on(async { tokio::time::timeout(LIMIT, test).await });
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => panic!("{error:#}"),
        Err(elapsed) => panic!("not done after {LIMIT:?}: {elapsed}"),
    }
}

/// Median and maximum, for people; sorts.
pub fn spread(times: &mut [Duration]) -> String {
    times.sort();
    let at = |place: usize| times.get(place).copied().unwrap_or_default();
    format!("median {:.2?}, maximum {:.2?}", at(times.len() / 2), at(times.len().saturating_sub(1)))
}
