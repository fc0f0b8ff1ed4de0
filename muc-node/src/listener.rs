//! The control listener: gRPC for the operator, on a thread of its own, in front of the loop that answers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, bail};
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use warren_control::grpc::{Handler, Page, serve};
use warren_control::{Answer, Applied, Change, Failed};
use warren_model::{Object, ObjectName};
use warren_pod::Outcome;
use warren_tls::{Files, ServerSide};

use crate::control::Control;

/// Where and with whom control is spoken.
#[derive(Clone, Debug, Args)]
pub struct ControlArgs {
    /// Where the operator's calls (gRPC) are taken: an address and port. Default: nowhere
    #[arg(long, env = "WARREN_CONTROL", value_name = "ADDR")]
    pub control: Option<SocketAddr>,
    /// Take calls without TLS; for loopback addresses only
    #[arg(long, env = "WARREN_CONTROL_PLAINTEXT", requires = "control", conflicts_with_all = ["tls_cert", "tls_key", "tls_ca"])]
    pub control_plaintext: bool,
}

/// How we prove who we are, to the operator and to other nodes.
#[derive(Clone, Debug, Args)]
pub struct TlsArgs {
    /// Our certificate and what leads to its authority, PEM; read again when it changes
    #[arg(long, env = "WARREN_TLS_CERT", value_name = "FILE", requires_all = ["tls_key", "tls_ca"])]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key, PEM
    #[arg(long, env = "WARREN_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Authorities whose certificates callers and other nodes must have, PEM. Each such caller may declare anything, and
    /// each such node may say anything in the name of any room
    #[arg(long, env = "WARREN_TLS_CA", value_name = "FILE", requires = "tls_cert")]
    pub tls_ca: Option<PathBuf>,
}

impl TlsArgs {
    /// The files, if they are given.
    pub fn files(&self) -> Option<Files> {
        match (&self.tls_cert, &self.tls_key, &self.tls_ca) {
            (Some(cert), Some(key), Some(ca)) => Some(Files { cert: cert.clone(), key: key.clone(), ca: ca.clone() }),
            _ => None,
        }
    }
}

impl ControlArgs {
    fn security(&self, addr: SocketAddr, tls: &TlsArgs) -> anyhow::Result<ServerSide> {
        match tls.files() {
            Some(files) => ServerSide::mutual(files).context("the control listener cannot use its certificates"),
            _ if self.control_plaintext => ServerSide::plaintext(addr)
                .context("--control-plaintext is for loopback: whoever reaches the listener could declare anything"),
            _ => bail!(
                "--control needs --tls-cert, --tls-key and --tls-ca; on a loopback address --control-plaintext will do"
            ),
        }
    }
}

/// A listener that runs. Dropped, it takes no more calls and answers those under way.
#[derive(Debug)]
pub struct Listening {
    _stop: oneshot::Sender<()>,
}

/// Binds and answers from now on, if an address is given. `pod`: our name in reports; `incarnation`: differs between
/// starts.
///
/// # Errors
/// One sentence.
pub fn start(
    args: &ControlArgs,
    tls: &TlsArgs,
    pod: &str,
    control: Control,
    incarnation: u64,
) -> anyhow::Result<Option<Listening>> {
    let Some(addr) = args.control else { return Ok(None) };
    let advice = || format!("the control listener cannot have {addr}: name another address with --control");
    let security = args.security(addr, tls)?;
    let listener = std::net::TcpListener::bind(addr).with_context(advice)?;
    listener.set_nonblocking(true).with_context(advice)?;
    let bound = listener.local_addr().with_context(advice)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no event loop for the control listener")?;
    let (stop, stopped) = oneshot::channel::<()>();
    let pod = pod.to_owned();
    let run = move || {
        runtime.block_on(async {
            let listener = match TcpListener::from_std(listener) {
                Ok(listener) => listener,
                Err(error) => return tracing::error!(%error, "the control listener does not start"),
            };
            let stopped = async { drop(stopped.await) };
            if let Err(error) = serve(listener, security, Arc::new(Loop(control)), pod, incarnation, stopped).await {
                tracing::error!(%error, "the control listener has ended");
            }
        });
    };
    thread::Builder::new().name("control".to_owned()).spawn(run).context("no thread for the control listener")?;
    tracing::info!(addr = %bound, tls = tls.tls_cert.is_some(), "the control listener is up");
    Ok(Some(Listening { _stop: stop }))
}

/// The loop of this pod as a handler: the pod passes on to another one what that decides.
struct Loop(Control);

impl Loop {
    async fn outcome(&self, change: Change) -> Result<Outcome, Failed> {
        Ok(self.0.call(change).await?.outcome().await?)
    }
}

impl Handler for Loop {
    async fn apply(&self, object: Object) -> Result<Answer, Failed> {
        match self.outcome(Change::Apply(Box::new(object))).await? {
            Outcome::Done(applied) => Ok(Answer::Done(applied)),
            Outcome::Refused(refusal) => Ok(Answer::Refused(refusal)),
            Outcome::Failed(why) => Err(Failed::Unavailable(why)),
        }
    }

    async fn remove(&self, name: ObjectName, uid: String) -> Result<bool, Failed> {
        match self.outcome(Change::Remove { name, uid }).await? {
            Outcome::Done(applied) => Ok(applied != Applied::Unchanged),
            Outcome::Refused(refusal) => Err(Failed::Protocol(refusal.message)),
            Outcome::Failed(why) => Err(Failed::Unavailable(why)),
        }
    }

    async fn page(&self, after: Option<ObjectName>, max: usize) -> Result<Page, Failed> {
        Ok(self.0.page(after, max).await?)
    }
}
