//! The operator's side.

use std::net::SocketAddr;
use std::time::Duration;

use futures::Stream;
use hyper_util::rt::TokioIo;
use prost::Message as _;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};
use warren_model::{Generation, Object, ObjectName, Shard};

use super::convert::{Malformed, object};
use super::proto::control_client::ControlClient;
use super::tls::ClientSide;
use super::{MAX_ANSWER, MAX_REQUEST, proto};
use crate::{Answer, Failed, ObjectReport};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a call may take. The owner's store may be slow; what takes longer is asked again.
const CALL: Duration = Duration::from_secs(15);
/// A connection that is silent for so long is asked for a sign of life, and given up after as long again.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Calls one pod. Clones share the connection, which comes back by itself.
#[derive(Clone, Debug)]
pub struct Client {
    calls: ControlClient<Channel>,
    addr: SocketAddr,
}

/// One message of a watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodReport {
    /// Which pod speaks.
    pub pod: String,
    /// Which life of it; another one knows nothing of what this one has said.
    pub incarnation: u64,
    /// The newest state of these objects.
    pub objects: Vec<ObjectReport>,
    /// These are not applied any more.
    pub removed: Vec<ObjectName>,
    /// Everything has been said once.
    pub complete: bool,
}

impl From<Status> for Failed {
    fn from(status: Status) -> Self {
        let text = format!("{}: {}", status.code(), status.message());
        match status.code() {
            Code::InvalidArgument
            | Code::Unimplemented
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::OutOfRange
            | Code::ResourceExhausted => Self::Protocol(text),
            _ => Self::Unavailable(text),
        }
    }
}

impl From<Malformed> for Failed {
    fn from(malformed: Malformed) -> Self {
        Self::Protocol(malformed.to_string())
    }
}

impl Client {
    /// A client for the pod at `addr`; the connection is made by the first call.
    pub fn new(addr: SocketAddr, security: ClientSide) -> Self {
        let connector = Connector { addr, security };
        // The connector knows where to go; the name is for the protocol alone.
        let channel = Endpoint::from_static("http://pod.invalid")
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .keep_alive_while_idle(true)
            .connect_with_connector_lazy(connector);
        let calls =
            ControlClient::new(channel).max_decoding_message_size(MAX_ANSWER).max_encoding_message_size(MAX_REQUEST);
        Self { calls, addr }
    }

    /// Which pod.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Declares an object; the answer is the acknowledgement.
    ///
    /// # Errors
    /// [`Failed`]; the call may be made again.
    pub async fn apply(&self, what: &Object) -> Result<Answer, Failed> {
        let request = proto::ApplyRequest { object: Some(object(what)) };
        let size = request.encoded_len();
        if size > MAX_REQUEST {
            return Err(Failed::Protocol(format!("{}: {size} bytes are too many for one call", what.name)));
        }
        let answer = within(self.calls.clone().apply(request)).await?;
        Ok(Answer::try_from(answer)?)
    }

    /// Takes an object away; whether there was one.
    ///
    /// # Errors
    /// [`Failed`]; the call may be made again.
    pub async fn remove(&self, name: &ObjectName, uid: &str) -> Result<bool, Failed> {
        let request = proto::RemoveRequest { name: Some(name.into()), uid: uid.to_owned() };
        Ok(within(self.calls.clone().remove(request)).await?.removed)
    }

    /// Name, uid, generation and digest of what is applied in these shards; none: in all.
    ///
    /// # Errors
    /// [`Failed`]; the call may be made again.
    pub async fn list(&self, shards: &[Shard]) -> Result<Vec<(ObjectName, String, Generation, String)>, Failed> {
        let request = proto::ListRequest { shards: shards.iter().map(|s| s.0).collect() };
        let mut stream = within(self.calls.clone().list(request)).await?;
        let mut all = Vec::new();
        while let Some(piece) = stream.message().await? {
            for entry in piece.entries {
                let name = entry.name.ok_or_else(|| Failed::Protocol("an entry without a name".to_owned()))?;
                let version = entry.version.unwrap_or_default();
                all.push((ObjectName::try_from(name)?, entry.uid, Generation(version.generation), version.digest));
            }
        }
        Ok(all)
    }

    /// What the pod has to say: first of everything, then of what changes.
    ///
    /// # Errors
    /// [`Failed`], also as the last item of the stream.
    pub async fn watch(&self) -> Result<impl Stream<Item = Result<PodReport, Failed>> + Send + use<>, Failed> {
        let stream = within(self.calls.clone().watch(proto::WatchRequest {})).await?;
        Ok(futures::stream::unfold(Some(stream), |stream| async {
            let mut stream = stream?;
            match stream.message().await {
                Ok(Some(report)) => Some((understand(report), Some(stream))),
                Ok(None) => None,
                Err(status) => Some((Err(status.into()), None)),
            }
        }))
    }
}

fn understand(report: proto::Report) -> Result<PodReport, Failed> {
    Ok(PodReport {
        pod: report.pod,
        incarnation: report.incarnation,
        objects: report.objects.into_iter().map(ObjectReport::try_from).collect::<Result<_, _>>()?,
        removed: report.removed.into_iter().map(ObjectName::try_from).collect::<Result<_, _>>()?,
        complete: report.complete,
    })
}

async fn within<T>(call: impl Future<Output = Result<tonic::Response<T>, Status>>) -> Result<T, Failed> {
    match tokio::time::timeout(CALL, call).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(Failed::Unavailable(format!("no answer within {} s", CALL.as_secs()))),
    }
}

/// Makes the connection of a channel.
#[derive(Clone)]
struct Connector {
    addr: SocketAddr,
    security: ClientSide,
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<super::tls::Io>;
    type Error = std::io::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { addr, security } = self.clone();
        Box::pin(async move { security.connect(addr).await.map(TokioIo::new) })
    }
}
