//! What a stranger sees: flags, environment variables and exit codes.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tracing_subscriber::EnvFilter;

use crate::admin::{self, Ready};
use crate::api::Writer;
use crate::engine::{self, Settings};
use crate::lease::Election;
use crate::metrics::Metrics;
use crate::stores::Watching;

/// What was under way may take so long when the process is to end.
const LAST: Duration = Duration::from_secs(2);

/// Turns MucServices, FederationPeers and FederatedRooms into running chat rooms, and says in their status how they are.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "warren-operator",
    version,
    max_term_width = 100,
    after_help = "\
Exit codes: 0 after SIGTERM; 1 when something is wrong, also when leadership is lost, with the reason on standard error; \
2 when the command line is wrong."
)]
pub struct Args {
    /// Which API server, and who we are there. Default: where the process runs
    #[arg(long, env = "KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The one namespace that is looked at. Default: all
    #[arg(long, env = "WARREN_NAMESPACE", value_name = "NAME")]
    namespace: Option<String>,
    /// Namespace of the Lease that says who leads
    #[arg(long, env = "WARREN_LEASE_NAMESPACE", value_name = "NAME", default_value = "warren-system")]
    lease_namespace: String,
    /// Name of that Lease
    #[arg(long, env = "WARREN_LEASE", value_name = "NAME", default_value = "warren-operator")]
    lease: String,
    /// Our name in the Lease and in Events. Default: the host's
    #[arg(long, env = "WARREN_POD", value_name = "NAME")]
    pod: Option<String>,
    /// Image of the pods of services that name none
    #[arg(long, env = "WARREN_IMAGE", value_name = "IMAGE", default_value = "warren/muc-node:latest")]
    image: String,
    /// Speak to pods without TLS where a MucService names no certificates; loopback addresses only
    #[arg(long, env = "WARREN_CONTROL_PLAINTEXT")]
    control_plaintext: bool,
    /// Statuses that are written in a second at most; ten times as many at once after a quiet time
    #[arg(long, env = "WARREN_STATUS_RATE", value_name = "N", default_value = "20")]
    status_rate: u32,
    /// Where /live, /ready and /metrics are answered
    #[arg(long, env = "WARREN_ADMIN", value_name = "ADDR", default_value = "127.0.0.1:9181")]
    admin: SocketAddr,
    /// What is logged, such as info or "info,warren_operator=debug"
    #[arg(long, env = "WARREN_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
}

/// Runs until SIGTERM or SIGINT, or until something is wrong.
pub fn run(args: &Args) -> ExitCode {
    let result = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("no runtime")
        .and_then(|runtime| {
            let result = runtime.block_on(operate(args));
            runtime.shutdown_background();
            result
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If nobody reads it, the code still says it.
            let _ = writeln!(io::stderr(), "warren-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn client(args: &Args) -> anyhow::Result<Client> {
    let mut config = match &args.kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path).with_context(|| path.display().to_string())?;
            Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?
        }
        None => Config::incluster().context("this is no pod: say --kubeconfig")?,
    };
    // Retries are ours: the client's own would hold an object for minutes.
    config.default_retry = false;
    Client::try_from(config).context("no client for the API server")
}

async fn operate(args: &Args) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&args.log).context("--log")?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false).init();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let mut stop = std::pin::pin!(stop);

    let metrics = Metrics::default();
    let ready = Ready::default();
    let addr = admin::start(args.admin, ready.clone(), metrics.clone()).await?;
    tracing::info!(%addr, version = env!("CARGO_PKG_VERSION"), "the admin listener is up");
    let client = client(args).await?;
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    let pod = args.pod.clone().unwrap_or_else(host);
    let mut random = [0; 4];
    getrandom::fill(&mut random).map_err(|e| anyhow::anyhow!("no randomness: {e}"))?;
    let me = format!("{pod}-{:08x}", u32::from_be_bytes(random));

    let watching = Watching::start(&client, args.namespace.as_deref());
    tokio::select! {
        () = watching.stores.ready() => {}
        () = &mut stop => return Ok(()),
    }
    ready.set();
    tracing::info!("everything has been listed");

    let (election, mut leadership) =
        Election::new(client.clone(), &args.lease_namespace, &args.lease, me, metrics.clone());
    let settings = Settings { image: args.image.clone(), plaintext: args.control_plaintext };
    let lead = async {
        let standing = election.run();
        let leading = async {
            leadership.gained().await;
            metrics.leads(true);
            let writer = Writer::new(client, leadership.clone(), metrics.clone(), args.status_rate, pod);
            let working = engine::run(writer, watching.stores, watching.changed, metrics.clone(), settings);
            tokio::select! {
                () = working => "a part of the operator has ended",
                () = leadership.lost() => "another process may lead now: this one ends, and begins anew",
            }
        };
        tokio::select! {
            () = standing => "the election has ended",
            why = leading => why,
        }
    };
    tokio::select! {
        why = lead => bail!(why),
        () = &mut stop => {}
    }
    tracing::info!("stopping");
    // Everything that writes is dropped by now.
    drop(timeout(LAST * 2, election.release()).await);
    Ok(())
}
