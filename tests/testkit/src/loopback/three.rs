//! One site of three `muc-node` processes on one PostgreSQL: one has the link, the others the rooms.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail, ensure};
use jid::BareJid;
use tokio::runtime::Runtime;
use tokio::time::sleep;
use warren_mesh::place;
use warren_model::ids::SHARDS;
use warren_model::{Epoch, Incarnation, Path, Shard, Thing, UnixMs};
use warren_store::{Assignment, Backend, Claim, Cluster, Join, Postgres, PostgresCluster, PostgresOptions};
use warren_test_postgres::Server;

use super::site::{READY, SECRET, Site, declared, server_at};
use crate::acceptor::Acceptor;
use crate::node::{binary, get};
use crate::peers::{Child, child::Program};
use crate::story::{Do, SiteDecl, Story};

/// Between two looks at nodes that come up.
const LOOK: Duration = Duration::from_millis(30);
/// A node gives up its start when the store does not answer within a third of it.
const TTL: &str = "3s";
/// The member that holds everything until all nodes have entered.
const HOLDER: Incarnation = Incarnation(1);

/// Starts three and waits until they serve, each with its part: the first one has the link and none of the story's rooms.
///
/// Nodes that come one by one would move shards for seconds. So a member that is none claims everything first, and ends
/// when all three have entered, as a node does at SIGTERM: it hands over everything in one transaction.
pub(super) fn start(runtime: &Runtime, postgres: &Server, decl: &SiteDecl, story: &Story) -> Result<Site> {
    let acceptor = runtime.block_on(Acceptor::bind(SECRET))?;
    let url = postgres.database_url()?;
    let mut holder = Holder::enter(&url, decl, acceptor.addr()?)?;
    let rooms = rooms(decl, story);
    let names = names(&rooms)?;
    let mut nodes = Vec::new();
    for name in &names {
        nodes.push(runtime.block_on(node(&url, name))?);
    }
    let placed = holder.wait_for(&names).and_then(|pods| holder.hand_over(&pods, &names[0]));
    let served = placed.and_then(|()| {
        runtime.block_on(async {
            let link = acceptor.accept(READY).await?;
            settled(&nodes, &rooms).await?;
            Ok(link)
        })
    });
    match served {
        Ok(link) => Ok(Site::of(decl.domain.to_string(), link, nodes, acceptor)),
        Err(error) => {
            let reports: Vec<String> = nodes.iter().map(Child::report).collect();
            Err(anyhow!("site {}: {error:#}\n{}", decl.name, reports.join("\n")))
        }
    }
}

/// What a story speaks of at a site: its rooms, and the service itself.
fn rooms(decl: &SiteDecl, story: &Story) -> BTreeSet<BareJid> {
    let mut rooms: BTreeSet<BareJid> = decl.rooms.iter().map(|room| room.jid.clone()).collect();
    rooms.extend(BareJid::new(&decl.domain));
    for step in &story.steps {
        match &step.what {
            Do::Join { room, .. } => {
                rooms.insert(room.clone());
            }
            Do::Send { stanzas, .. } => {
                let to = stanzas.iter().filter_map(|stanza| stanza.attr("to")).filter_map(|to| jid::Jid::new(to).ok());
                rooms.extend(to.map(|to| to.to_bare()));
            }
            _ => {}
        }
    }
    rooms.retain(|room| *room.domain().as_str() == *decl.domain);
    rooms
}

/// Three names for which placement gives the first node none of these.
fn names(rooms: &BTreeSet<BareJid>) -> Result<[String; 3]> {
    for n in 0..10_000 {
        let names = ["link", "one", "two"].map(|part| format!("{part}-{n}"));
        let numbered = names.iter().zip(1..).map(|(name, n)| (Box::from(name.as_str()), Incarnation(n))).collect();
        let placement = place(&numbered).context("no placement")?;
        if rooms.iter().all(|room| placement.shard(Shard::of(room)) != Incarnation(1)) {
            return Ok(names);
        }
    }
    bail!("no names keep {} rooms from the first node", rooms.len())
}

async fn node(url: &str, name: &str) -> Result<Child> {
    let fixed =
        ["--log-format", "text", "serve", "--admin", "127.0.0.1:0", "--mesh", "127.0.0.1:0", "--mesh-plaintext"];
    let own = ["--ttl", TTL, "--store", url, "--pod", name];
    Child::start(Program {
        name: binary()?,
        packages: "none: cargo build -p warren-muc-node",
        args: fixed.into_iter().chain(own).map(Into::into).collect(),
        env: vec![],
        logs: vec![],
    })
    .await
}

/// Waits until all serve, and each room has one owner, which is not the first node.
async fn settled(nodes: &[Child], rooms: &BTreeSet<BareJid>) -> Result<()> {
    let mut admins: Vec<SocketAddr> = Vec::new();
    for node in nodes {
        let line = node.line_with("the admin listener is up").context("no admin listener")?;
        let addr = line.split_whitespace().find_map(|word| word.strip_prefix("addr=")?.parse().ok());
        admins.push(addr.with_context(|| format!("no address in {line:?}"))?);
    }
    let begin = Instant::now();
    loop {
        let missing = missing(&admins, rooms).await?;
        let Some(missing) = missing else { return Ok(()) };
        ensure!(begin.elapsed() < READY, "{missing}");
        sleep(LOOK).await;
    }
}

/// What is not as it should be yet.
async fn missing(admins: &[SocketAddr], rooms: &BTreeSet<BareJid>) -> Result<Option<String>> {
    for admin in admins {
        let (status, body) = get(*admin, "/ready").await?;
        if status != 200 {
            return Ok(Some(body));
        }
    }
    for room in rooms {
        let mut owners = Vec::new();
        for admin in admins {
            owners.push(get(*admin, &format!("/owner?room={room}")).await?.0 == 200);
        }
        if owners.first() != Some(&false) || owners.iter().filter(|owner| **owner).count() != 1 {
            return Ok(Some(format!("owners of {room}, of which the first has the link: {owners:?}")));
        }
    }
    Ok(None)
}

/// A member of the cluster that is no node.
struct Holder {
    domain: Box<str>,
    cluster: PostgresCluster,
    _store: Postgres,
}

impl Holder {
    /// Enters an empty store, writes what an operator would have applied, and owns everything.
    fn enter(url: &str, decl: &SiteDecl, server: SocketAddr) -> Result<Self> {
        let mut store = Postgres::open(url, PostgresOptions::default()).context("the site's store")?;
        let mut cluster = store.cluster(PostgresOptions::default());
        let join = Join { name: "holder".into(), incarnation: HOLDER, address: Box::default(), lanes: 1 };
        let lane = cluster.join(&join)?.lanes.first().context("no lane")?.lane;
        let works = declared(decl, &server_at(server));
        store.commit(lane, &works).map_err(|error| anyhow!("the site's store: {error}"))?;
        let claims: Vec<Claim> = things(&decl.domain)
            .map(|thing| Claim { assignment: Assignment { thing, to: HOLDER }, seen: Epoch(0) })
            .collect();
        let claimed = cluster.claim(HOLDER, &claims, now())?.map_err(|_| anyhow!("the holder is closed"))?;
        ensure!(claimed.len() == claims.len(), "{} of {} things were claimed", claimed.len(), claims.len());
        Ok(Self { domain: decl.domain.clone(), cluster, _store: store })
    }

    /// Beats until pods of these names have entered.
    fn wait_for(&mut self, names: &[String]) -> Result<BTreeMap<Box<str>, Incarnation>> {
        let begin = Instant::now();
        loop {
            ensure!(self.cluster.beat(HOLDER)?, "the nodes took the holder for dead");
            let pods = self.cluster.pods()?.into_iter().filter(|pod| pod.incarnation != HOLDER);
            let pods: BTreeMap<_, _> = pods.map(|pod| (pod.name, pod.incarnation)).collect();
            if pods.len() == names.len() {
                return Ok(pods);
            }
            ensure!(begin.elapsed() < READY, "only these nodes have entered: {:?}", pods.keys());
            std::thread::sleep(LOOK);
        }
    }

    /// Ends: shards go to their places, the link to the node of this name.
    fn hand_over(&mut self, pods: &BTreeMap<Box<str>, Incarnation>, link: &str) -> Result<()> {
        let placement = place(pods).context("no placement")?;
        let link = *pods.get(link).with_context(|| format!("{link} has not entered"))?;
        let assign: Vec<Assignment> = things(&self.domain)
            .map(|thing| match placement.of(thing) {
                (thing @ Thing::Link(_), _) => Assignment { thing, to: link },
                (thing @ Thing::Shard(_), to) => Assignment { thing, to },
            })
            .collect();
        let given = self.cluster.hand_over(HOLDER, &assign, now())?.map_err(|_| anyhow!("the holder was closed"))?;
        ensure!(given.len() == assign.len(), "{} of {} things were given", given.len(), assign.len());
        Ok(())
    }
}

/// Everything that has an owner.
fn things(domain: &str) -> impl Iterator<Item = Thing> {
    (0..SHARDS).map(|n| Thing::Shard(Shard(n))).chain([Thing::Link(Path::new(domain, ""))])
}

fn now() -> UnixMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMs(u64::try_from(since.as_millis()).unwrap_or_default())
}
