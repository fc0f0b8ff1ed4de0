//! One site: a `muc-node` process on a store that was filled beforehand, attached to an acceptor of ours.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use warren_model::config::ComponentConfig;
use warren_model::{Body, Generation, Object, ObjectKind, ObjectName, ServiceConfig, ServiceTimers, Ticket, UnixMs};
use warren_store::{Backend, Incarnation, Options, Sqlite, Work};

use crate::acceptor::{Acceptor, Link};
use crate::node::binary;
use crate::peers::{Child, child::Program};
use crate::story::SiteDecl;

/// From the start of the process until its component has introduced itself, on a busy machine.
pub(super) const READY: Duration = Duration::from_secs(20);
pub(super) const SECRET: &str = "secret";

/// A running site.
pub(super) struct Site {
    pub(super) domain: String,
    pub(super) link: Link,
    nodes: Vec<Child>,
    _acceptor: Acceptor,
}

impl Site {
    /// Starts one and waits until it serves.
    pub(super) async fn start(decl: &SiteDecl, dir: &Path) -> Result<Self> {
        let acceptor = Acceptor::bind(SECRET).await?;
        let store = dir.join(format!("{}.db", decl.name));
        fill(&store, decl, &server_at(acceptor.addr()?))?;
        let mut child = Child::start(Program {
            name: binary()?,
            packages: "none: cargo build -p warren-muc-node",
            args: ["--log-format", "text", "serve", "--admin", "off", "--store"]
                .map(Into::into)
                .into_iter()
                .chain([format!("sqlite:{}", store.display()).into()])
                .collect(),
            env: vec![],
            logs: vec![],
        })
        .await?;
        let link = match acceptor.accept(READY).await {
            Ok(link) => link,
            Err(error) => {
                let alive = child.is_alive();
                return Err(anyhow!("site {} (alive: {alive}): {error:#}\n{}", decl.name, child.report()));
            }
        };
        Ok(Self::of(decl.domain.to_string(), link, vec![child], acceptor))
    }

    /// One that serves.
    pub(super) fn of(domain: String, link: Link, nodes: Vec<Child>, acceptor: Acceptor) -> Self {
        Self { domain, link, nodes, _acceptor: acceptor }
    }

    /// Its output, for a failure.
    pub(super) fn report(&self) -> String {
        self.nodes.iter().map(Child::report).collect()
    }
}

/// The server that an acceptor plays.
pub(super) fn server_at(addr: SocketAddr) -> ComponentConfig {
    ComponentConfig { host: addr.ip().to_string(), port: addr.port(), secret: SECRET.to_owned() }
}

/// Writes what an operator would have applied.
pub fn fill(file: &Path, decl: &SiteDecl, server: &ComponentConfig) -> Result<()> {
    let mut store = Sqlite::open(file, Options::default()).context("the site's store")?;
    let ownership = store.take_over(Incarnation(1), UnixMs(1))?;
    let works = declared(decl, server);
    store.commit(ownership.lane, &works).map_err(|error| anyhow!("the site's store: {error}"))?;
    Ok(())
}

/// The same as work for any store.
pub(super) fn declared(decl: &SiteDecl, server: &ComponentConfig) -> Vec<Work> {
    let service = ServiceConfig {
        domain: decl.domain.clone(),
        home_domains: decl.home.clone(),
        component: server.clone(),
        timers: ServiceTimers::default(),
    };
    let mut bodies = vec![(ObjectKind::MucService, "service".to_owned(), Body::Service(service))];
    for grant in &decl.allows {
        let name = grant.config.domain.to_string();
        bodies.push((ObjectKind::FederationPeer, name, Body::Peer(grant.config.clone())));
    }
    for room in &decl.rooms {
        let body = Body::Room { jid: room.jid.clone(), config: room.config.clone(), destroy_on_delete: false };
        bodies.push((ObjectKind::FederatedRoom, room.jid.to_string(), body));
    }
    bodies
        .into_iter()
        .zip(1..)
        .map(|((kind, name, body), ticket)| {
            let object = Object {
                uid: format!("{}/{name}", kind.as_str()),
                name: ObjectName { kind, namespace: "story".to_owned(), name },
                generation: Generation(1),
                digest: String::new(),
                body,
            };
            Work::Object { ticket: Ticket(ticket), object: Box::new(object) }
        })
        .collect()
}
