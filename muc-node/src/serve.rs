//! `muc-node serve`: the parts, put together in the order in which they need one another.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::runtime;
use tokio::task::spawn_blocking;

use crate::admin::{self, Admin};
use crate::cluster::Cluster;
use crate::control::{self, Control, await_service};
use crate::driver::{Driver, Links};
use crate::health::Health;
use crate::listener::{self, ControlArgs, TlsArgs};
use crate::member::{Entry, Member, MemberArgs};
use crate::mesh::listen::MeshArgs;
use crate::metrics::Metrics;
use crate::stop::{Signals, stop};
use crate::store::StoreUrl;
use crate::{apply, clock, entropy, store};
use warren_mesh::grpc::{PeerOptions, Peers};
use warren_model::{Incarnation, Object, ServiceConfig};
use warren_pod::{Pod, Settings};
use warren_store::{Backend, Postgres, PostgresOptions, Reader};

/// What `serve` needs to know.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Directory of manifests (or one file) to apply before serving: MucService, FederationPeer, FederatedRoom and
    /// Secret, the same YAML that kubectl takes. What is stored and not in there any more is removed. Without it the
    /// node serves what is stored
    #[arg(long, env = "WARREN_MANIFESTS", value_name = "DIR")]
    manifests: Option<PathBuf>,
    /// Where everything is kept. sqlite:FILE for one node: the file is made if it is not there, and
    /// sqlite:FILE?max_page_count=N bounds it to N pages of 4 KiB. postgres://USER:PASSWORD@HOST/DATABASE for several
    /// nodes, each of which has a part of the rooms; of TLS it may hold sslmode and sslrootcert. Prefer the
    /// environment for a password
    #[arg(long, env = "WARREN_STORE", value_name = "URL")]
    store: StoreUrl,
    /// Where the admin listener answers /live, /ready and /metrics: an address and port, or "off"
    #[arg(long, env = "WARREN_ADMIN", value_name = "ADDR", default_value = "127.0.0.1:9180")]
    admin: AdminAddr,
    /// Longest wait between two attempts to reach the XMPP server, such as 500ms or 15s
    #[arg(long, env = "WARREN_RECONNECT_MAX", value_name = "TIME", default_value = "15s", value_parser = time)]
    reconnect_max: Duration,
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    mesh: MeshArgs,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    member: MemberArgs,
}

/// A node that waits for its service looks into the store so often.
const LOOK: Duration = Duration::from_millis(500);

/// A number and a unit, as in manifests.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "write a whole number and one of ms, s, m".to_owned();
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u32 = text[..at].parse().map_err(|_| wrong())?;
    let unit = match &text[at..] {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_mins(1),
        _ => return Err(wrong()),
    };
    Ok(unit * number)
}

/// An address, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AdminAddr(Option<SocketAddr>);

impl FromStr for AdminAddr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self(None)),
            _ => text.parse().map(|addr| Self(Some(addr))).map_err(|_| {
                "write an IP address and a port such as 127.0.0.1:9180, [::]:9180 or 0.0.0.0:9180, or off".to_owned()
            }),
        }
    }
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// One text for people.
pub fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().context("the event loop cannot start")?;
    let result = runtime.block_on(serve(args));
    // A start that was given up may still be at work; each of its steps is whole or nothing.
    runtime.shutdown_background();
    result
}

async fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let mut signals = Signals::install().context("signals cannot be handled")?;
    let health = Arc::new(Health::default());
    let mut member = None;
    let served = serve_as(args, &mut signals, &health, &mut member).await;
    if let Some(member) = member {
        // Whatever has ended us, another one may go on at once.
        spawn_blocking(|| member.leave()).await.context("the end of the beats")?;
    }
    served
}

async fn serve_as(
    args: &ServeArgs,
    signals: &mut Signals,
    health: &Arc<Health>,
    member: &mut Option<Member>,
) -> anyhow::Result<()> {
    let metrics = Metrics::default();
    let (mut driver, control, plan, _listening) = tokio::select! {
        biased;
        signal = signals.next() => {
            tracing::info!(signal, "stopped during the start");
            return Ok(());
        }
        begun = begin(args, health, &metrics, member) => begun?,
    };
    let signal = tokio::select! {
        biased;
        signal = signals.next() => signal,
        ended = serve_pod(args, &mut driver, &control, plan, health) => match ended? {},
    };
    tracing::info!(signal, "stopping");
    health.stopping();
    tokio::select! {
        stopped = stop(&mut driver) => stopped?,
        signal = signals.next() => tracing::warn!(signal, "a second signal: stopping without good-byes"),
    }
    if let Some(cluster) = driver.leave() {
        cluster.shutdown().await;
    }
    driver.stop();
    tracing::info!("stopped");
    Ok(())
}

/// A store that was opened.
enum Store {
    /// It is ours alone.
    Alone(store::Opened),
    /// Other nodes work on it too.
    Shared(Box<Postgres>),
}

/// From settings to a pod that knows everything it knew before.
async fn begin(
    args: &ServeArgs,
    health: &Arc<Health>,
    metrics: &Metrics,
    member: &mut Option<Member>,
) -> anyhow::Result<(Driver, Control, apply::Plan, Option<listener::Listening>)> {
    if args.manifests.is_some() && args.control.control.is_some() {
        bail!("--manifests and --control are two masters: leave one out");
    }
    if args.mesh.mesh.is_some() && matches!(args.store, StoreUrl::Sqlite { .. }) {
        bail!("--mesh is for nodes that share a store (postgres://…); a node with sqlite: is alone");
    }
    args.mesh.security(&args.tls)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), store = %args.store, "starting");
    if let AdminAddr(Some(addr)) = args.admin {
        let admin = Admin { health: health.clone(), metrics: metrics.exposed() };
        let addr = admin::start(addr, admin)?;
        tracing::info!(%addr, "the admin listener is up");
    }
    // Before anything is opened: what is wrong here should not first take over from a node that works.
    let (manifests, awaited) = (args.manifests.clone(), args.control.control.is_some());
    blocking(move || wanted(manifests.as_deref()).map(drop)).await?;
    let me = Incarnation(u128::from_be_bytes(entropy::bytes()?));
    let (store, objects) = open(args, me).await?;
    let manifests = args.manifests.clone();
    let plan = blocking(move || apply::plan(&objects, wanted(manifests.as_deref())?, awaited)).await?;
    health.store_open();

    let incarnation = u64::from_be_bytes(entropy::bytes()?);
    let (control, mut calls) = control::channel();
    let listening = listener::start(&args.control, &args.tls, args.member.name(), control.clone(), incarnation)?;
    let (domain, first) = if let Some(service) = &plan.service {
        (service.domain.clone(), None)
    } else {
        tracing::info!("no MucService is stored: waiting for one");
        tokio::select! {
            called = await_service(&mut calls) => {
                let (service, call) = called.context("the control listener has ended")?;
                (service.domain, Some(call))
            }
            service = told_elsewhere(&store) => (service?.domain, None),
        }
    };

    let (opened, cluster) = match store {
        Store::Alone(opened) => (opened, None),
        Store::Shared(postgres) => {
            let (opened, cluster) = enter(args, (*postgres, me, &domain), health, member).await?;
            (opened, Some(cluster))
        }
    };
    let settings = Settings {
        me,
        alone: cluster.is_none(),
        epochs: opened.epochs.clone(),
        seed: entropy::bytes()?,
        lane: opened.lane,
        shard: warren_shard::Settings::default(),
        egress: warren_egress::Settings { incarnation, ..warren_egress::Settings::default() },
    };
    let mut opened = opened;
    let stored = std::mem::take(&mut opened.stored);
    tracing::info!(
        lane = %settings.lane,
        objects = stored.objects.len(),
        occupied_rooms = stored.occupied.len(),
        "the store is open"
    );
    let threads = opened.start()?;
    let mut requests = Vec::new();
    let pod = Pod::new(&domain, settings, stored, clock::now(), &mut requests);
    let mut driver = Driver::new(pod, requests, threads, calls, health.clone(), metrics.clone())?;
    driver.first(first);
    driver.join(cluster);
    Ok((driver, control, plan, listening))
}

/// Opens the store, and reads what is declared.
async fn open(args: &ServeArgs, me: Incarnation) -> anyhow::Result<(Store, Vec<Object>)> {
    match args.store.clone() {
        StoreUrl::Sqlite { path, max_pages } => {
            let opened = blocking(move || store::open(&path, max_pages, me)).await?;
            let objects = opened.stored.objects.clone();
            Ok((Store::Alone(opened), objects))
        }
        StoreUrl::Postgres(dsn) => {
            let (_, ttl) = args.member.check()?;
            if args.mesh.mesh.is_none() {
                bail!("--mesh is missing: nodes that share a store speak to one another, even while there is only one");
            }
            blocking(move || {
                let idle = (ttl / 2).min(Duration::from_secs(1));
                let mut postgres = Postgres::open(&dsn, PostgresOptions { idle, ..PostgresOptions::default() })?;
                let objects = postgres.objects()?;
                Ok((Store::Shared(Box::new(postgres)), objects))
            })
            .await
        }
    }
}

/// Another node of the same store was told which service it is.
async fn told_elsewhere(store: &Store) -> anyhow::Result<ServiceConfig> {
    let Store::Shared(postgres) = store else { return std::future::pending().await };
    loop {
        tokio::time::sleep(LOOK).await;
        let mut reader = match postgres.reader() {
            Ok(reader) => reader,
            Err(error) => {
                tracing::warn!(%error, "the store cannot be looked into: tried again");
                continue;
            }
        };
        let service = blocking(move || {
            let objects = reader.objects()?;
            Ok(apply::one_service("the store", &objects).ok())
        });
        if let Some(service) = service.await? {
            return Ok(service);
        }
    }
}

/// Enters a store that other nodes work on.
async fn enter(
    args: &ServeArgs,
    (postgres, me, domain): (Postgres, Incarnation, &str),
    health: &Arc<Health>,
    member: &mut Option<Member>,
) -> anyhow::Result<(store::Opened, Cluster)> {
    let (name, ttl) = args.member.check()?;
    let bound = args.mesh.bind(&args.tls)?.context("--mesh is missing")?;
    let options = PeerOptions::new(me, (name, domain), bound.listener, (bound.server, bound.client));
    let sessions = Peers::start(options).context("no sessions with other nodes")?;
    let address = bound.address;
    tracing::info!(address, "other nodes are spoken to");
    let links = vec![warren_model::Path::new(domain, "")];
    let entry = Entry { me, name: name.to_owned(), address, ttl, links };
    let pulse = health.clone();
    let (opened, entered, news) = blocking(move || {
        // Beats that take long are of no use: others have given us up by then.
        let soon = PostgresOptions { connect: ttl / 3, answer: ttl / 3, idle: (ttl / 3).min(Duration::from_secs(1)) };
        let connections = (postgres.cluster(soon), postgres.cluster(soon));
        let (entered, lane, news) = Member::start(connections, &entry, pulse)?;
        tracing::info!(database = postgres.name(), incarnation = %me, "entered");
        Ok((store::begin(postgres, lane)?, entered, news))
    })
    .await?;
    let cluster = Cluster::new(me, (entered.handle(), entered.tenure(), news), sessions);
    *member = Some(entered);
    Ok((opened, cluster))
}

/// Reading files and waiting for disks and databases, away from the loop, which listens to signals.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> anyhow::Result<T> {
    spawn_blocking(work).await.context("the start has failed")?
}

/// What the manifests say, with their directory.
fn wanted(manifests: Option<&Path>) -> anyhow::Result<Option<(&Path, Vec<Object>)>> {
    let Some(dir) = manifests else { return Ok(None) };
    let objects = apply::read(dir)?;
    apply::one_service(&dir.display().to_string(), &objects)?;
    Ok(Some((dir, objects)))
}

/// Applies the manifests, then connects and serves.
async fn serve_pod(
    args: &ServeArgs,
    driver: &mut Driver,
    control: &Control,
    plan: apply::Plan,
    health: &Health,
) -> anyhow::Result<std::convert::Infallible> {
    if !plan.changes.is_empty() {
        tokio::select! {
            biased;
            ended = driver.run() => match ended? {},
            applied = apply::carry_out(control, plan.changes) => applied?,
        }
    }
    health.manifests_applied();
    let seed = u64::from_be_bytes(entropy::bytes()?);
    driver.connect(Links { retry_max: args.reconnect_max, seed });
    match driver.run().await? {}
}
