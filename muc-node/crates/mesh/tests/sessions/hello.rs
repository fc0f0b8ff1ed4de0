//! Who is let in, and who is called.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tonic::transport::Endpoint;
use tonic::{Code, Request, Response, Status, Streaming};
use warren_mesh::grpc::proto::mesh_client::MeshClient;
use warren_mesh::grpc::proto::mesh_server::{Mesh, MeshServer};
use warren_mesh::grpc::proto::{self, frame::What};
use warren_mesh::grpc::{Event, VERSION};
use warren_model::Incarnation;

use crate::common::*;

fn hello(me: Incarnation, to: Incarnation) -> proto::Hello {
    let bytes = |incarnation: Incarnation| Bytes::copy_from_slice(&incarnation.0.to_be_bytes());
    proto::Hello {
        version: VERSION,
        incarnation: bytes(me),
        pod: "somebody".to_owned(),
        site: SITE.to_owned(),
        to: bytes(to),
    }
}

fn said(hello: proto::Hello) -> proto::Frame {
    proto::Frame { what: Some(What::Hello(hello)) }
}

type Says = mpsc::UnboundedSender<proto::Frame>;

/// Somebody who calls without being a node.
async fn call(node: &Node, first: proto::Frame) -> Result<(Says, Streaming<proto::Frame>), Status> {
    let channel = Endpoint::from_shared(format!("http://{}", node.addr)).unwrap().connect().await.unwrap();
    let (says, mut frames) = mpsc::unbounded_channel();
    says.send(first).unwrap();
    let frames = futures::stream::poll_fn(move |cx| frames.poll_recv(cx));
    let heard = MeshClient::new(channel).session(frames).await?;
    Ok((says, heard.into_inner()))
}

#[tokio::test]
async fn who_says_the_wrong_thing_first_is_told_so() {
    let mut node = start(HIGH);
    node.peers.set(BTreeMap::from([(LOW, "127.0.0.1:1".to_owned())]));
    let good = || hello(LOW, HIGH);
    let higher = Incarnation(HIGH.0 + 1);
    for (first, text) in [
        (frame(1, 1), "no hello"),
        (proto::Frame { what: None }, "no hello"),
        (said(proto::Hello { version: VERSION + 2, ..good() }), "version 3"),
        (said(proto::Hello { version: 0, ..good() }), "version 0"),
        (said(proto::Hello { site: "chat.elsewhere.lit".to_owned(), ..good() }), "another site"),
        (said(proto::Hello { incarnation: Bytes::from_static(b"short"), ..good() }), "16 bytes"),
        (said(hello(LOW, LOW)), "was called"),
        (said(hello(higher, HIGH)), "the lower incarnation calls"),
        (said(hello(HIGH, HIGH)), "the lower incarnation calls"),
    ] {
        let status = call(&node, first).await.map(drop).unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
        assert!(status.message().contains(text), "{text}: {}", status.message());
    }
    node.silent(Duration::from_millis(100)).await;
    // The next version may talk to this one.
    let (_says, mut heard) = call(&node, said(proto::Hello { version: VERSION + 1, ..good() })).await.unwrap();
    node.connected(LOW).await;
    assert!(matches!(heard.message().await, Ok(Some(proto::Frame { what: Some(What::Hello(_)) }))));
}

#[tokio::test]
async fn who_is_not_known_waits_for_a_table_that_has_him() {
    let mut node = start(HIGH);
    let since = Instant::now();
    let status = call(&node, said(hello(LOW, HIGH))).await.map(drop).unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(since.elapsed() >= Duration::from_secs(2), "{:?}", since.elapsed());
    let (called, ()) = tokio::join!(call(&node, said(hello(LOW, HIGH))), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        node.peers.set(BTreeMap::from([(LOW, "127.0.0.1:1".to_owned())]));
    });
    called.unwrap();
    node.connected(LOW).await;
}

#[tokio::test]
async fn a_second_session_takes_the_place_of_the_first() {
    let mut node = start(HIGH);
    node.peers.set(BTreeMap::from([(LOW, "127.0.0.1:1".to_owned())]));
    let (first, mut heard) = call(&node, said(hello(LOW, HIGH))).await.unwrap();
    node.connected(LOW).await;
    first.send(frame(1, 10)).unwrap();
    assert!(matches!(node.next().await, Event::Frame(..)));
    let (second, _heard) = call(&node, said(hello(LOW, HIGH))).await.unwrap();
    assert_eq!(node.next().await, Event::Disconnected(LOW));
    node.connected(LOW).await;
    let _ = first.send(frame(2, 10));
    second.send(frame(3, 10)).unwrap();
    assert_eq!(node.next().await, Event::Frame(LOW, frame(3, 10)));
    let ended = async { while let Ok(Some(_)) = heard.message().await {} };
    timeout(PATIENCE, ended).await.unwrap();
}

#[tokio::test]
async fn what_is_not_known_ends_the_session() {
    let mut node = start(HIGH);
    // Somebody listens there, so that nothing is refused.
    let there = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    node.peers.set(BTreeMap::from([(LOW, there.local_addr().unwrap().to_string())]));
    let part = |bytes: &'static [u8], more| {
        let part = proto::Part { bytes: Bytes::from_static(bytes), more };
        proto::Frame { what: Some(What::Part(part)) }
    };
    let unfinished = part(b"x", true);
    for bad in [proto::Frame { what: None }, said(hello(LOW, HIGH)), part(b"rubbish", false), unfinished] {
        let (says, mut heard) = call(&node, said(hello(LOW, HIGH))).await.unwrap();
        node.connected(LOW).await;
        says.send(frame(1, 1)).unwrap();
        says.send(bad).unwrap();
        says.send(frame(2, 1)).unwrap();
        assert_eq!(node.rest(LOW).await, [1]);
        let ended = async { while let Ok(Some(_)) = heard.message().await {} };
        timeout(PATIENCE, ended).await.unwrap();
    }
}

/// Answers each call with this.
struct Answers(proto::Frame);

#[tonic::async_trait]
impl Mesh for Answers {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<proto::Frame, Status>> + Send>>;

    async fn session(&self, _: Request<Streaming<proto::Frame>>) -> Result<Response<Self::SessionStream>, Status> {
        let said = futures::stream::iter([Ok(self.0.clone())]);
        Ok(Response::new(Box::pin(futures::StreamExt::chain(said, futures::stream::pending()))))
    }
}

#[tokio::test]
async fn who_answers_must_be_who_was_called() {
    let other = Incarnation(HIGH.0 + 1);
    for (answer, good) in [
        (said(hello(other, LOW)), false),
        (said(hello(HIGH, other)), false),
        (said(proto::Hello { version: VERSION + 2, ..hello(HIGH, LOW) }), false),
        (said(proto::Hello { site: String::new(), ..hello(HIGH, LOW) }), false),
        (frame(1, 1), false),
        (said(hello(HIGH, LOW)), true),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        drop(listener);
        let server = tonic::transport::Server::builder().add_service(MeshServer::new(Answers(answer))).serve(addr);
        let server = tokio::spawn(server);
        let mut node = start(LOW);
        node.peers.set(BTreeMap::from([(HIGH, addr.to_string())]));
        if good {
            node.connected(HIGH).await;
        } else {
            node.silent(Duration::from_millis(400)).await;
        }
        server.abort();
    }
}
