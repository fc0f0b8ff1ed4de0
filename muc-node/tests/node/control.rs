//! Configuration by gRPC: a node that begins with nothing, and is told everything by calls.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use futures::StreamExt;
use warren_control::grpc::Client;
use warren_control::grpc::tls::ClientSide;
use warren_control::{Answer, Applied, Failed};
use warren_model::{
    Body, ComponentConfig, Generation, Object, ObjectKind, ObjectName, RoomConfig, ServiceConfig, ServiceTimers,
};
use warren_testkit::acceptor::Acceptor;

use crate::common::{ALICE, Node, PATIENCE, ROOM, SECRET, Site, run};

const DOMAIN: &str = "rooms.wonderland.lit";

fn object(kind: ObjectKind, name: &str, generation: i64, body: Body) -> Object {
    let name = ObjectName { kind, namespace: "chat".to_owned(), name: name.to_owned() };
    let digest = serde_json::to_string(&body).unwrap();
    Object { uid: format!("uid-{}", name.name), name, generation: Generation(generation), digest, body }
}

fn service(domain: &str, server: SocketAddr, generation: i64) -> Object {
    let config = ServiceConfig {
        domain: domain.into(),
        home_domains: BTreeSet::from(["wonderland.lit".into()]),
        component: ComponentConfig { host: server.ip().to_string(), port: server.port(), secret: SECRET.to_owned() },
        timers: ServiceTimers::default(),
    };
    object(ObjectKind::MucService, domain, generation, Body::Service(config))
}

fn room(address: &str, generation: i64, title: &str) -> Object {
    let config = RoomConfig { title: title.to_owned(), affiliations: BTreeMap::new(), ..RoomConfig::default() };
    let body = Body::Room { jid: jid::BareJid::new(address).unwrap(), config, destroy_on_delete: false };
    object(ObjectKind::FederatedRoom, address.split('@').next().unwrap(), generation, body)
}

fn args(site: &Site) -> Vec<String> {
    ["serve", "--store", &site.store(), "--admin", "off", "--control", "127.0.0.1:0", "--control-plaintext"]
        .map(str::to_owned)
        .to_vec()
}

async fn client(node: &Node) -> Client {
    let line = node.said("the control listener is up").await;
    let addr = line.split("\"addr\":\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    Client::new(addr, ClientSide::plaintext(addr).unwrap())
}

fn reason(answer: Result<Answer, Failed>) -> String {
    match answer {
        Ok(Answer::Refused(refusal)) => refusal.reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn everything_comes_by_calls_and_stays() {
    let acceptor = Acceptor::bind(SECRET).await.unwrap();
    let server = acceptor.addr().unwrap();
    let site = Site::of(&acceptor);
    let mut node = Node::start(&args(&site));
    let pod = client(&node).await;
    // It does not know yet whom it serves.
    let early = pod.apply(&room(ROOM, 1, "Tea")).await;
    assert!(matches!(early, Err(Failed::Unavailable(_))), "{early:?}");
    assert_eq!(pod.list(&[]).await, Ok(vec![]));

    assert_eq!(pod.apply(&service(DOMAIN, server, 1)).await, Ok(Answer::Done(Applied::New)));
    let mut link = acceptor.accept(PATIENCE).await.unwrap();
    assert_eq!(pod.apply(&room(ROOM, 1, "Tea")).await, Ok(Answer::Done(Applied::New)));
    assert_eq!(pod.apply(&room(ROOM, 1, "Tea")).await, Ok(Answer::Done(Applied::Unchanged)));
    assert_eq!(pod.apply(&room(ROOM, 3, "More tea")).await, Ok(Answer::Done(Applied::Changed)));
    assert_eq!(reason(pod.apply(&room(ROOM, 2, "Tea")).await), "LowerGeneration");
    assert_eq!(reason(pod.apply(&room("lobby@other.lit", 1, "")).await), "OtherService");
    assert_eq!(reason(pod.apply(&service("other.lit", server, 1)).await), "OtherService");

    // What happens in the room is reported.
    let mut watch = Box::pin(pod.watch().await.unwrap());
    let mut occupied = None;
    link.join(ALICE, &format!("{ROOM}/Alice"), PATIENCE).await.unwrap();
    let until = Instant::now() + PATIENCE;
    while occupied != Some(true) {
        assert!(Instant::now() < until, "nobody is reported");
        let report = watch.next().await.unwrap().unwrap();
        for object in report.objects {
            match object.name.kind {
                ObjectKind::MucService => assert!(object.connected),
                _ => occupied = Some(object.occupied),
            }
        }
    }

    // It is stored: the next life needs nobody.
    node.signal("-TERM");
    drop(link);
    assert!(node.ended().await.success(), "{}", node.log());
    let node = Node::start(&args(&site));
    let pod = client(&node).await;
    let mut link = acceptor.accept(PATIENCE).await.unwrap();
    let listed: Vec<_> = pod.list(&[]).await.unwrap().into_iter().map(|(name, _, g, _)| (name.name, g.0)).collect();
    assert_eq!(listed, [(DOMAIN.to_owned(), 1), ("lobby".to_owned(), 3)]);
    link.join("bob@wonderland.lit/laptop", &format!("{ROOM}/Bob"), PATIENCE).await.unwrap();

    // Another server: the link goes there.
    let other = Acceptor::bind(SECRET).await.unwrap();
    assert_eq!(pod.apply(&service(DOMAIN, other.addr().unwrap(), 2)).await, Ok(Answer::Done(Applied::Changed)));
    other.accept(PATIENCE).await.unwrap();

    let gone = room(ROOM, 3, "");
    assert_eq!(pod.remove(&gone.name, "uid-of-another").await, Ok(false));
    assert_eq!(pod.remove(&gone.name, &gone.uid).await, Ok(true));
    assert_eq!(pod.list(&[]).await.unwrap().len(), 1);
    node.kill().await;
}

#[tokio::test]
async fn who_may_not_be_asked_is_not_listened_to() {
    let acceptor = Acceptor::bind(SECRET).await.unwrap();
    let site = Site::of(&acceptor);
    let store = site.store();
    let serve = ["serve", "--store", &store, "--admin", "off", "--control"];
    for (more, says) in [
        (&["127.0.0.1:0"][..], "--control-plaintext will do"),
        (&["0.0.0.0:0", "--control-plaintext"], "is for loopback"),
        (
            &["127.0.0.1:0", "--tls-cert", "nowhere.crt", "--tls-key", "nowhere.key", "--tls-ca", "nowhere.ca"],
            "nowhere.crt",
        ),
        (&["127.0.0.1:0", "--control-plaintext", "--manifests", "manifests"], "two masters"),
    ] {
        let said = run(&[&serve, more].concat(), site.dir.path()).await;
        assert!(said.code == 1 && said.err.contains(says), "{}", said.err);
    }
}
