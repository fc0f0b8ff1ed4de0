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
use crate::control::{self, Control, await_service};
use crate::driver::{Driver, Fatal, Links};
use crate::health::Health;
use crate::listener::{self, ControlArgs};
use crate::member::{Member, MemberArgs};
use crate::metrics::Metrics;
use crate::stop::{Signals, stop};
use crate::store::StoreUrl;
use crate::{apply, clock, entropy, store};
use warren_model::{Incarnation, Object};
use warren_pod::{Pod, Settings};
use warren_store::{Postgres, PostgresOptions};

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
    /// nodes, of which one serves and the others stand by; of TLS it may hold sslmode and sslrootcert. Prefer the
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
    member: MemberArgs,
}

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
    driver.stop();
    tracing::info!("stopped");
    Ok(())
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
    tracing::info!(version = env!("CARGO_PKG_VERSION"), store = %args.store, "starting");
    if let AdminAddr(Some(addr)) = args.admin {
        let admin = Admin { health: health.clone(), metrics: metrics.exposed() };
        let addr = admin::start(addr, admin)?;
        tracing::info!(%addr, "the admin listener is up");
    }
    // Before anything is opened: what is wrong here should not first take over from a node that works.
    let (manifests, awaited) = (args.manifests.clone(), args.control.control.is_some());
    blocking(move || wanted(manifests.as_deref()).map(drop)).await?;
    let opened = match args.store.clone() {
        StoreUrl::Sqlite { path, max_pages } => blocking(move || store::open(&path, max_pages)).await?,
        StoreUrl::Postgres(dsn) => own(args, dsn, health, member).await?,
    };
    let manifests = args.manifests.clone();
    let (opened, plan) = blocking(move || {
        let plan = apply::plan(&opened.stored.objects, wanted(manifests.as_deref())?, awaited)?;
        Ok((opened, plan))
    })
    .await?;
    health.store_open();

    let incarnation = u64::from_be_bytes(entropy::bytes()?);
    let (control, mut calls) = control::channel();
    let listening = listener::start(&args.control, args.member.name(), control.clone(), incarnation)?;
    let (domain, first) = if let Some(service) = &plan.service {
        (service.domain.clone(), None)
    } else {
        tracing::info!("no MucService is stored: waiting for one");
        let (service, call) = await_service(&mut calls).await.context("the control listener has ended")?;
        (service.domain, Some(call))
    };

    let settings = Settings {
        epochs: opened.epochs.clone(),
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
    let (mut requests, mut entropies) = (Vec::new(), Ok(()));
    let entropy = || {
        entropy::bytes().unwrap_or_else(|e| {
            entropies = Err(e);
            [0; 48]
        })
    };
    let pod = Pod::new(&domain, settings, stored, entropy, clock::now(), &mut requests);
    entropies?;
    let mut driver = Driver::new(pod, requests, threads, calls, health.clone(), metrics.clone())?;
    driver.first(first);
    driver.depend_on(member.as_ref().map(Member::tenure));
    Ok((driver, control, plan, listening))
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

/// Enters a shared store and stands by until this node has everything.
async fn own(
    args: &ServeArgs,
    dsn: String,
    health: &Arc<Health>,
    member: &mut Option<Member>,
) -> anyhow::Result<store::Opened> {
    let (name, ttl) = args.member.check()?;
    let (name, me) = (name.to_owned(), Incarnation(u128::from_be_bytes(entropy::bytes()?)));
    let pulse = health.clone();
    let (postgres, entered, owned) = blocking(move || {
        let idle = (ttl / 2).min(Duration::from_secs(1));
        let postgres = Postgres::open(&dsn, PostgresOptions { idle, ..PostgresOptions::default() })?;
        // Beats that take long are of no use: others have given us up by then.
        let soon = PostgresOptions { connect: ttl / 3, answer: ttl / 3, idle: (ttl / 3).min(Duration::from_secs(1)) };
        let (entered, owned) = Member::start(postgres.cluster(soon), me, (&name, ttl), pulse)?;
        Ok((postgres, entered, owned))
    })
    .await?;
    tracing::info!(database = postgres.name(), incarnation = %me, "entered; standing by until it is our turn");
    *member = Some(entered);
    health.standby(true);
    let owned = owned.await.map_err(|_| Fatal::Closed)?;
    health.standby(false);
    blocking(move || store::begin(postgres, owned)).await
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
