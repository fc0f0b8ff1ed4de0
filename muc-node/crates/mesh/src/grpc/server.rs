//! The side that is called.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};
use warren_model::Incarnation;
use warren_tls::{Cut, ServerSide};

use super::hello::{Identity, Wrong};
use super::hub::Hub;
use super::proto::mesh_server::{Mesh, MeshServer};
use super::session::{Answering, Outbound, hear};
use super::{MAX_MESSAGE, PATIENCE, UNKNOWN, WINDOW, proto};

/// Takes calls until `stop` is done.
pub(super) async fn serve(
    listener: TcpListener,
    security: ServerSide,
    hub: Arc<Hub>,
    identity: Arc<Identity>,
    keepalive: Duration,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let service = MeshServer::new(Called { hub, identity })
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(keepalive))
        .http2_keepalive_timeout(Some(keepalive * 2))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        // One session; a second one is a mistake and told so.
        .max_concurrent_streams(2)
        .add_service(service)
        .serve_with_incoming_shutdown(security.incoming(listener, "mesh"), stop)
        .await
        .map_err(io::Error::other)
}

struct Called {
    hub: Arc<Hub>,
    identity: Arc<Identity>,
}

impl From<Wrong> for Status {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            // Our table may be older than theirs.
            Wrong::Unknown(_) => Self::unavailable(wrong.to_string()),
            _ => Self::failed_precondition(wrong.to_string()),
        }
    }
}

#[tonic::async_trait]
impl Mesh for Called {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<proto::Frame, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<proto::Frame>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let cut = request.extensions().get::<Cut>().cloned().ok_or_else(|| Status::internal("no connection"))?;
        let mut inbound = request.into_inner();
        let first = timeout(PATIENCE, inbound.message()).await.map_err(|_| Status::from(Wrong::NoHello))??;
        let (peer, pod) = self.identity.hear_caller(first).inspect_err(|wrong| {
            tracing::warn!(%wrong, "a node that called is not talked to");
        })?;
        let (outbound, pipe, flow) = Outbound::new(self.identity.hello(peer));
        self.known(peer).await?;
        let id = self.hub.begin(peer, pod, pipe, flow.clone(), cut).ok_or(Wrong::Unknown(peer))?;
        tokio::spawn(hear(self.hub.clone(), peer, id, flow, inbound));
        Ok(Response::new(Box::pin(Answering(outbound))))
    }
}

impl Called {
    /// Waits until the table has it.
    async fn known(&self, peer: Incarnation) -> Result<(), Wrong> {
        let mut changed = self.hub.changed.subscribe();
        let known = changed.wait_for(|_| self.hub.address(peer).is_some());
        match timeout(UNKNOWN, known).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Wrong::Unknown(peer)),
        }
    }
}
