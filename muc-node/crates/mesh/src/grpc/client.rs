//! The side that calls, and the look at whether anybody is there.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, sleep, timeout};
use tonic::Streaming;
use tonic::transport::{Endpoint, Uri};
use warren_model::Incarnation;
use warren_tls::{ClientSide, Cut, Io};

use super::hello::Identity;
use super::hub::{Flow, Hub};
use super::proto::mesh_client::MeshClient;
use super::session::{Outbound, hear, said};
use super::{BACKOFF, MAX_MESSAGE, PATIENCE, WINDOW, proto};

/// The first wait that is one.
const FIRST: Duration = Duration::from_millis(25);

/// Waits between attempts: none, then twice as long each time.
#[derive(Default)]
struct Waits(Duration);

impl Waits {
    async fn wait(&mut self) {
        sleep(self.0).await;
        self.0 = (self.0 * 2).clamp(FIRST, BACKOFF);
    }
}

/// Keeps a session with a peer for as long as it is wanted.
pub(super) async fn call(
    hub: Arc<Hub>,
    identity: Arc<Identity>,
    security: ClientSide,
    keepalive: Duration,
    peer: Incarnation,
) {
    let mut waits = Waits::default();
    // There was a session, and nobody has been told yet that its address refuses.
    let mut lost = false;
    let mut complaint = String::new();
    while let Some(address) = hub.address(peer) {
        waits.wait().await;
        let caller = Caller { identity: &identity, security: &security, keepalive };
        match caller.session(&hub, peer, &address).await {
            Ok((id, flow, inbound)) => {
                let since = Instant::now();
                hear(hub.clone(), peer, id, flow, inbound).await;
                lost = true;
                complaint.clear();
                // One that ends as soon as it has begun is not begun again and again without a pause.
                if since.elapsed() >= BACKOFF {
                    waits = Waits::default();
                }
            }
            Err(Failed { refused, text }) => {
                if refused && lost {
                    lost = false;
                    hub.refused(peer);
                }
                if text == complaint {
                    tracing::debug!(%peer, address, text, "no session");
                } else {
                    tracing::warn!(%peer, address, text, "no session; it is tried again");
                    complaint = text;
                }
            }
        }
    }
}

/// After a session ended that the other side had called for: looks whether it is still there, until it has called again,
/// or is not wanted, or refuses.
pub(super) async fn look(hub: Arc<Hub>, peer: Incarnation) {
    let mut waits = Waits::default();
    while let Some(address) = hub.address(peer) {
        if hub.is_live(peer) {
            return;
        }
        waits.wait().await;
        let tried = reach(&address, TcpStream::connect::<SocketAddr>).await;
        if matches!(tried, Err(Failed { refused: true, .. })) {
            return hub.refused(peer);
        }
    }
}

/// Why there is no session.
struct Failed {
    /// Wherever it should be, somebody said that nobody listens there.
    refused: bool,
    text: String,
}

impl From<String> for Failed {
    fn from(text: String) -> Self {
        Self { refused: false, text }
    }
}

/// Connects to the first of a name's addresses that can be connected to.
async fn reach<T, F>(address: &str, connect: impl Fn(SocketAddr) -> F) -> Result<T, Failed>
where
    F: Future<Output = io::Result<T>>,
{
    let late = |_| format!("no answer within {} s", PATIENCE.as_secs());
    let addrs = timeout(PATIENCE, lookup_host(address)).await.map_err(late)?.map_err(|e| e.to_string())?;
    let mut failed = Failed { refused: true, text: String::new() };
    for addr in addrs {
        match timeout(PATIENCE, connect(addr)).await {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(error)) => {
                failed.refused &= error.kind() == io::ErrorKind::ConnectionRefused;
                failed.text = error.to_string();
            }
            Err(elapsed) => failed = late(elapsed).into(),
        }
    }
    if failed.text.is_empty() {
        return Err(format!("{address} has no address").into());
    }
    Err(failed)
}

struct Caller<'a> {
    identity: &'a Identity,
    security: &'a ClientSide,
    keepalive: Duration,
}

/// Cuts a connection that did not become a session.
struct Guard(Option<Cut>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(cut) = self.0.take() {
            cut.cut();
        }
    }
}

impl Caller<'_> {
    async fn session(
        &self,
        hub: &Hub,
        peer: Incarnation,
        address: &str,
    ) -> Result<(u64, Arc<Flow>, Streaming<proto::Frame>), Failed> {
        let connect = |addr| {
            let security = self.security.clone();
            async move { security.connect(addr).await }
        };
        let io = reach(address, connect).await?;
        let cut = io.cut();
        let mut guard = Guard(Some(cut.clone()));
        let (outbound, pipe, flow) = Outbound::new(self.identity.hello(peer));
        let (inbound, pod) = timeout(PATIENCE, self.hello(io, outbound, peer))
            .await
            .map_err(|_| format!("no hello within {} s", PATIENCE.as_secs()))??;
        let id = hub.begin(peer, pod, pipe, flow.clone(), cut);
        let id = id.ok_or_else(|| "it is not in the table any more".to_owned())?;
        // From now on it is the hub that cuts.
        guard.0 = None;
        Ok((id, flow, inbound))
    }

    async fn hello(
        &self,
        io: Io,
        outbound: Outbound,
        peer: Incarnation,
    ) -> Result<(Streaming<proto::Frame>, String), Failed> {
        // The connection is there already; the name is for the protocol alone.
        let channel = Endpoint::from_static("http://pod.invalid")
            .http2_keep_alive_interval(self.keepalive)
            .keep_alive_timeout(self.keepalive * 2)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .connect_with_connector(Connected(Some(io)))
            .await
            .map_err(|e| e.to_string())?;
        let mut client =
            MeshClient::new(channel).max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE);
        let mut inbound = client.session(outbound).await.map_err(|status| said(&status))?.into_inner();
        let first = inbound.message().await.map_err(|status| said(&status))?;
        let pod = self.identity.hear_called(first, peer).map_err(|wrong| wrong.to_string())?;
        Ok((inbound, pod))
    }
}

/// Gives a channel its one connection.
struct Connected(Option<Io>);

impl tower_service::Service<Uri> for Connected {
    type Response = TokioIo<Io>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let io = self.0.take().ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the connection has ended"));
        Box::pin(async move { io.map(TokioIo::new) })
    }
}
