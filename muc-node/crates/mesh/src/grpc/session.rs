//! What both sides of a session do once it is there.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tonic::{Status, Streaming};
use warren_model::Incarnation;

use super::PART;
use super::hub::{Flow, Hub, Pipe};
use super::parts::{Parts, Whole};
use super::proto::{self, frame::What};

/// What is said in one session: the hello, then what comes through the pipe. Frames that wait are taken together, and
/// written together.
pub(super) struct Outbound {
    hello: Option<proto::Frame>,
    parts: Parts,
    frames: UnboundedReceiver<(proto::Frame, usize)>,
    flow: Arc<Flow>,
}

impl Outbound {
    /// A queue that begins with this frame.
    pub fn new(hello: proto::Frame) -> (Self, Pipe, Arc<Flow>) {
        let (pipe, frames) = mpsc::unbounded_channel();
        let flow = Arc::new(Flow::default());
        (Self { hello: Some(hello), parts: Parts::default(), frames, flow: flow.clone() }, pipe, flow)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<proto::Frame>> {
        if let Some(hello) = self.hello.take() {
            return Poll::Ready(Some(hello));
        }
        if self.flow.has_ended() {
            return Poll::Ready(None);
        }
        if let Some(part) = self.parts.next() {
            return Poll::Ready(Some(part));
        }
        self.frames.poll_recv(cx).map(|taken| {
            let (frame, size) = taken?;
            self.flow.written(size);
            Some(if size > PART { self.parts.cut(&frame) } else { frame })
        })
    }
}

/// As a caller says it.
impl Stream for Outbound {
    type Item = proto::Frame;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<proto::Frame>> {
        self.poll(cx)
    }
}

/// As one who was called says it.
pub(super) struct Answering(pub Outbound);

impl Stream for Answering {
    type Item = Result<proto::Frame, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll(cx).map(|frame| frame.map(Ok))
    }
}

/// Hands in what comes until the session ends, and ends it.
pub(super) async fn hear(
    hub: Arc<Hub>,
    peer: Incarnation,
    id: u64,
    flow: Arc<Flow>,
    mut inbound: Streaming<proto::Frame>,
) {
    let mut whole = Whole::default();
    let why = loop {
        if !flow.readable().await {
            return;
        }
        let frame = match inbound.message().await {
            Ok(Some(message)) => match whole.put(message) {
                Ok(Some(frame)) => frame,
                Ok(None) => continue,
                Err(why) => break why.to_owned(),
            },
            Ok(None) => break "the other side has ended it".to_owned(),
            Err(status) => break said(&status),
        };
        match frame.what {
            None => break "it said something that is not known here".to_owned(),
            Some(What::Hello(_)) => break "it said hello twice".to_owned(),
            Some(_) if hub.frame(peer, id, frame) => {}
            Some(_) => return,
        }
    };
    hub.end(peer, id, &why);
}

/// A status with what it follows from, for people.
pub(super) fn said(status: &Status) -> String {
    let mut text = match status.message() {
        "" => format!("{:?}", status.code()),
        message => message.to_owned(),
    };
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}
