//! Stories with real users: accounts on a real Prosody and a real ejabberd, each site a `muc-node` attached to its
//! server as a component, and nothing of ours in between.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use jid::Jid;
use minidom::Element;
use tokio::runtime::Runtime;
use warren_model::config::ComponentConfig;

use crate::loopback::fill;
use crate::node::{binary, get};
use crate::peers::{Child, Port, RunDir, Site, User, World, child::Program};
use crate::story::{Fault, Place, Scene, Seen, SiteDecl, Stage, Story, Until};

/// Nothing comes any more when nothing has come for so long, over two servers and their streams.
const QUIET: Duration = Duration::from_millis(250);
/// How long an expected stanza is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// From the start of a `muc-node` until it serves.
const READY: Duration = Duration::from_secs(20);
/// Between two looks at the inboxes.
const LOOK: Duration = Duration::from_millis(5);

/// The two servers; one for all stories of a run.
pub struct Servers {
    world: Option<World>,
    runtime: Runtime,
}

impl Servers {
    /// Starts them.
    pub fn start() -> Result<Rc<Self>> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let world = runtime.block_on(World::start())?;
        Ok(Rc::new(Self { world: Some(world), runtime }))
    }

    fn world(&self) -> Result<&World> {
        self.world.as_ref().context("the servers have been stopped")
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if let Some(world) = self.world.take() {
            // What fails now fails no story; the processes end with us in any case.
            self.runtime.block_on(world.stop()).ok();
        }
    }
}

/// One story on real servers.
pub struct RealStage {
    users: BTreeMap<String, User>,
    nodes: Vec<Child>,
    scene: Scene,
    servers: Rc<Servers>,
    dir: RunDir,
}

impl RealStage {
    /// Starts the sites' nodes and logs the users in.
    pub fn new(servers: &Rc<Servers>, story: &Story) -> Result<Self> {
        let dir = RunDir::new()?;
        let mut stage = Self {
            users: BTreeMap::new(),
            nodes: Vec::new(),
            scene: story.scene.clone(),
            servers: servers.clone(),
            dir,
        };
        for decl in &story.scene.sites {
            let node = servers.runtime.block_on(start(servers.world()?, decl, stage.dir.path()))?;
            stage.nodes.push(node);
        }
        for decl in &story.scene.users {
            let user = servers.runtime.block_on(login(servers.world()?, &decl.jid))?;
            stage.users.insert(decl.name.clone(), user);
        }
        Ok(stage)
    }

    fn look(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        for (name, user) in &mut self.users {
            for arrival in user.inbox().take() {
                // What a server says to its own user is no part of a story.
                let from = arrival.stanza.attr("from").and_then(|from| Jid::new(from).ok());
                if from.is_some_and(|from| self.scene.site(from.domain().as_str()).is_some()) {
                    seen.push(Seen { place: Place::User(name.clone()), stanza: arrival.stanza });
                }
            }
        }
        seen
    }
}

fn site_of(domain: &str) -> Result<Site> {
    let site = Site::ALL.into_iter().find(|site| site.domain() == domain || site.rooms() == domain);
    site.with_context(|| format!("{domain} is at none of the two servers"))
}

async fn start(world: &World, decl: &SiteDecl, dir: &std::path::Path) -> Result<Child> {
    let access = world.access(site_of(&decl.domain)?, &decl.domain)?;
    let server =
        ComponentConfig { host: access.addr.ip().to_string(), port: access.addr.port(), secret: access.secret };
    let store = dir.join(format!("{}.db", decl.name));
    fill(&store, decl, &server)?;
    let admin = Port::draw()?;
    let mut child = Child::start(Program {
        name: binary()?,
        packages: "none: cargo build -p warren-muc-node",
        args: ["--log-format", "text", "serve", "--store"]
            .map(Into::into)
            .into_iter()
            .chain([format!("sqlite:{}", store.display()).into()])
            .chain(["--admin".into(), admin.addr().to_string().into()])
            .collect(),
        env: vec![],
        logs: vec![],
    })
    .await?;
    let end = Instant::now() + READY;
    while !matches!(get(admin.addr(), "/ready").await, Ok((200, _))) {
        ensure!(Instant::now() < end && child.is_alive(), "site {} does not serve\n{}", decl.name, child.report());
        tokio::time::sleep(LOOK).await;
    }
    Ok(child)
}

async fn login(world: &World, jid: &Jid) -> Result<User> {
    let site = site_of(jid.domain().as_str())?;
    let name = jid.node().context("a user without a name")?.as_str();
    // It may be there from an earlier story.
    world.account(site, name).await.ok();
    let resource = jid.resource().context("a user at level real is a full JID")?;
    world.login(site, &format!("{name}/{resource}")).await
}

impl Stage for RealStage {
    fn send(&mut self, actor: &str, stanza: &Element) -> Result<()> {
        let user = self.users.get(actor).with_context(|| format!("there is no user {actor}"))?;
        self.servers.runtime.block_on(user.send_element(stanza.clone()))
    }

    fn collect(&mut self, until: Until<'_>) -> Result<Vec<Seen>> {
        let begin = Instant::now();
        let (mut last, mut all) = (begin, Vec::new());
        loop {
            let seen = self.look();
            if !seen.is_empty() {
                last = Instant::now();
            }
            all.extend(seen);
            let enough = match until {
                Until::At(place) => all.iter().any(|seen| seen.place == *place) || begin.elapsed() > PATIENCE,
                Until::Quiet => last.elapsed() > QUIET,
            };
            if enough {
                return Ok(all);
            }
            std::thread::sleep(LOOK);
        }
    }

    fn advance(&mut self, by: Duration) -> Result<()> {
        bail!("time ({by:?}) cannot be told with real users")
    }

    fn fault(&mut self, fault: &Fault) -> Result<()> {
        bail!("{fault:?} cannot be told with real users")
    }

    fn sees_wires(&self) -> bool {
        false
    }
}

impl Drop for RealStage {
    fn drop(&mut self) {
        let users = std::mem::take(&mut self.users);
        let nodes = std::mem::take(&mut self.nodes);
        self.servers.runtime.block_on(async {
            for user in users.into_values() {
                user.close().await.ok();
            }
            for mut node in nodes {
                node.kill().await.ok();
            }
        });
    }
}
