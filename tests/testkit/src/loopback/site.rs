//! One site: a `muc-node` process on a store that was filled beforehand, attached to an acceptor of ours.

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
const READY: Duration = Duration::from_secs(20);
const SECRET: &str = "secret";

/// A running site.
pub(super) struct Site {
    pub(super) domain: String,
    pub(super) link: Link,
    child: Child,
    _acceptor: Acceptor,
}

impl Site {
    /// Starts one and waits until it serves.
    pub(super) async fn start(decl: &SiteDecl, dir: &Path) -> Result<Self> {
        let acceptor = Acceptor::bind(SECRET).await?;
        let store = dir.join(format!("{}.db", decl.name));
        let port = acceptor.addr()?.port();
        fill(&store, decl, &ComponentConfig { host: "127.0.0.1".to_owned(), port, secret: SECRET.to_owned() })?;
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
        Ok(Self { domain: decl.domain.to_string(), link, child, _acceptor: acceptor })
    }

    /// Its output, for a failure.
    pub(super) fn report(&self) -> String {
        self.child.report()
    }
}

/// Writes what an operator would have applied.
pub fn fill(file: &Path, decl: &SiteDecl, server: &ComponentConfig) -> Result<()> {
    let mut store = Sqlite::open(file, Options::default()).context("the site's store")?;
    let ownership = store.take_over(Incarnation(1), UnixMs(1))?;
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
    let works: Vec<_> = bodies
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
        .collect();
    store.commit(ownership.lane, &works).map_err(|error| anyhow!("the site's store: {error}"))?;
    Ok(())
}
