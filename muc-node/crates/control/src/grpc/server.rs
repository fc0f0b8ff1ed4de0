//! The pod's side: messages to calls of a [`Handler`], and its pages to streams.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use warren_model::{Object, ObjectName};

use super::convert::{Malformed, entry, pieces, report};
use super::proto::control_server::{Control, ControlServer};
use super::{MAX_ANSWER, MAX_REQUEST, proto, tls};
use crate::{Answer, Failed, ObjectReport};

/// A watch looks at everything so often.
const LOOK: Duration = Duration::from_secs(1);
/// Objects of one page: the pod's loop gives one without a pause.
const PAGE: usize = 500;
/// An idle connection is asked for a sign of life so often.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Some objects in the order of their names, and whether there are more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// What the pod says of them.
    pub objects: Vec<ObjectReport>,
    /// There are more behind the last of them.
    pub more: bool,
}

/// What answers the calls: in a pod, the loop that owns it.
///
/// This is where routing goes: a handler that does not own the shard of an object passes the call on to the pod
/// that does, and answers `Failed::Unavailable` while there is none.
pub trait Handler: Send + Sync + 'static {
    /// Declares an object. Answered when it is durable.
    fn apply(&self, object: Object) -> impl Future<Output = Result<Answer, Failed>> + Send;
    /// Takes an object away; whether there was one.
    fn remove(&self, name: ObjectName, uid: String) -> impl Future<Output = Result<bool, Failed>> + Send;
    /// At most `max` of the objects behind `after`.
    fn page(&self, after: Option<ObjectName>, max: usize) -> impl Future<Output = Result<Page, Failed>> + Send;
}

/// Answers until `stop` is done: no new calls then, and those under way are answered.
///
/// `pod` and `incarnation` name the speaker in reports.
///
/// # Errors
/// When the listener fails.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    security: tls::ServerSide,
    handler: Arc<H>,
    pod: String,
    incarnation: u64,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), tonic::transport::Error> {
    let (ended, ending) = tokio::sync::watch::channel(false);
    let service = ControlServer::new(Adapter { handler, pod, incarnation, ending })
        .max_decoding_message_size(MAX_REQUEST)
        .max_encoding_message_size(MAX_ANSWER);
    let stop = async move {
        stop.await;
        // Watches never end by themselves.
        let _ = ended.send(true);
    };
    tonic::transport::Server::builder()
        .concurrency_limit_per_connection(256)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .add_service(service)
        .serve_with_incoming_shutdown(security.incoming(listener, "control"), stop)
        .await
}

struct Adapter<H> {
    handler: Arc<H>,
    pod: String,
    incarnation: u64,
    ending: tokio::sync::watch::Receiver<bool>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl From<Malformed> for Status {
    fn from(malformed: Malformed) -> Self {
        Self::invalid_argument(malformed.to_string())
    }
}

impl From<Failed> for Status {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Unavailable(why) => Self::unavailable(why),
            Failed::Protocol(why) => Self::internal(why),
        }
    }
}

#[tonic::async_trait]
impl<H: Handler> Control for Adapter<H> {
    async fn apply(&self, request: Request<proto::ApplyRequest>) -> Result<Response<proto::ApplyResponse>, Status> {
        let object = request.into_inner().object.ok_or_else(|| Malformed("object is missing".to_owned()))?;
        let answer = self.handler.apply(Object::try_from(object)?).await?;
        Ok(Response::new(answer.into()))
    }

    async fn remove(&self, request: Request<proto::RemoveRequest>) -> Result<Response<proto::RemoveResponse>, Status> {
        let proto::RemoveRequest { name, uid } = request.into_inner();
        let name = ObjectName::try_from(name.ok_or_else(|| Malformed("name is missing".to_owned()))?)?;
        let removed = self.handler.remove(name, uid).await?;
        Ok(Response::new(proto::RemoveResponse { removed }))
    }

    type ListStream = Answers<proto::ListResponse>;

    async fn list(&self, request: Request<proto::ListRequest>) -> Result<Response<Self::ListStream>, Status> {
        let shards = request.into_inner().shards;
        let (out, answers) = mpsc::channel(2);
        let handler = self.handler.clone();
        tokio::spawn(async move {
            let mut walk = Walk::default();
            while let Some(page) = walk.next(&*handler).await {
                let said = match page {
                    Ok(page) => {
                        let wanted = page.iter().filter(|r| shards.is_empty() || shards.contains(&r.shard.0));
                        pieces(wanted.map(entry).collect()).into_iter().map(Ok).collect()
                    }
                    Err(failed) => vec![Err(Status::from(failed))],
                };
                for piece in said {
                    let message = piece.map(|entries| proto::ListResponse { entries });
                    if out.send(message).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    type WatchStream = Answers<proto::Report>;

    async fn watch(&self, _: Request<proto::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (out, answers) = mpsc::channel(2);
        let handler = self.handler.clone();
        let mut ending = self.ending.clone();
        let empty = proto::Report { pod: self.pod.clone(), incarnation: self.incarnation, ..proto::Report::default() };
        tokio::spawn(async move {
            let watching = watch(&*handler, &out, &empty);
            let ended = async { drop(ending.wait_for(|ended| *ended).await) };
            tokio::select! {
                () = watching => {}
                () = ended => {
                    drop(out.send(Err(Status::unavailable("the pod stops"))).await);
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

/// Goes through all objects page by page, so that the loop does other work between two pages.
#[derive(Default)]
struct Walk {
    after: Option<ObjectName>,
    done: bool,
}

impl Walk {
    async fn next<H: Handler>(&mut self, handler: &H) -> Option<Result<Vec<ObjectReport>, Failed>> {
        if self.done {
            return None;
        }
        let page = match handler.page(self.after.take(), PAGE).await {
            Ok(page) => page,
            Err(failed) => {
                self.done = true;
                return Some(Err(failed));
            }
        };
        self.after = page.objects.last().map(|o| o.name.clone());
        self.done = !page.more || self.after.is_none();
        Some(Ok(page.objects))
    }
}

/// Sends what has changed since the last look, for ever. A slow reader gets the newest state later, never a queue.
async fn watch<H: Handler>(handler: &H, out: &mpsc::Sender<Result<proto::Report, Status>>, empty: &proto::Report) {
    let mut known: BTreeMap<ObjectName, ObjectReport> = BTreeMap::new();
    let mut complete = false;
    loop {
        let mut walk = Walk::default();
        let mut seen: BTreeMap<ObjectName, ObjectReport> = BTreeMap::new();
        while let Some(page) = walk.next(handler).await {
            let page = match page {
                Ok(page) => page,
                Err(failed) => return drop(out.send(Err(failed.into())).await),
            };
            let changed: Vec<_> = page.iter().filter(|r| known.get(&r.name) != Some(r)).map(report).collect();
            for objects in pieces(changed) {
                if out.send(Ok(proto::Report { objects, ..empty.clone() })).await.is_err() {
                    return;
                }
            }
            seen.extend(page.into_iter().map(|r| (r.name.clone(), r)));
        }
        let removed: Vec<proto::Name> = known.keys().filter(|name| !seen.contains_key(*name)).map(Into::into).collect();
        known = seen;
        if !removed.is_empty() || !complete {
            let end = proto::Report { removed, complete: true, ..empty.clone() };
            if out.send(Ok(end)).await.is_err() {
                return;
            }
        }
        complete = true;
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = out.closed() => return,
        }
    }
}
