//! The protocol over real sockets: what is said arrives, and only those who prove themselves may say it.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[path = "../../tls/tests/authority/mod.rs"]
mod authority;

use authority::Authority;
use futures::StreamExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use warren_control::grpc::tls::{ClientSide, Files, ServerSide};
use warren_control::grpc::{Client, Handler, Page, serve};
use warren_control::{Address, Answer, Applied, Failed, ObjectReport, Registry};
use warren_model::{
    Body, FlavourHint, Generation, Object, ObjectKind, ObjectName, PeerConfig, PeerRooms, PeerTimers, Vouch,
};

#[derive(Default)]
struct Pod {
    registry: Mutex<Registry>,
    /// No owner for a while.
    away: Mutex<bool>,
}

impl Handler for Pod {
    async fn apply(&self, object: Object) -> Result<Answer, Failed> {
        if *self.away.lock().unwrap() {
            return Err(Failed::Unavailable("no owner".to_owned()));
        }
        Ok(match self.registry.lock().unwrap().apply(object) {
            Ok(applied) => Answer::Done(applied),
            Err(refused) => Answer::Refused(refused.into()),
        })
    }

    async fn remove(&self, name: ObjectName, uid: String) -> Result<bool, Failed> {
        Ok(self.registry.lock().unwrap().remove(&name, &uid).is_some())
    }

    async fn page(&self, after: Option<ObjectName>, max: usize) -> Result<Page, Failed> {
        let registry = self.registry.lock().unwrap();
        let mut behind = registry.behind(after.as_ref());
        let objects = behind.by_ref().take(max).map(|o| ObjectReport {
            name: o.name.clone(),
            uid: o.uid.clone(),
            generation: o.generation,
            digest: o.digest.clone(),
            peerings: Vec::new(),
            occupied: false,
            connected: false,
            shard: Address::of(o).shard(),
        });
        Ok(Page { objects: objects.collect(), more: behind.next().is_some() })
    }
}

fn peer(name: &str, generation: i64) -> Object {
    Object {
        name: ObjectName { kind: ObjectKind::FederationPeer, namespace: "chat".to_owned(), name: name.to_owned() },
        uid: format!("uid-{name}"),
        generation: Generation(generation),
        digest: format!("{generation}"),
        body: Body::Peer(PeerConfig {
            domain: format!("{name}.lit").into(),
            vouch: Vouch::Any,
            rooms: PeerRooms::All,
            flavour: FlavourHint::Auto,
            timers: PeerTimers::default(),
            suspended: false,
        }),
    }
}

struct Served {
    addr: SocketAddr,
    pod: Arc<Pod>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn start(security: impl FnOnce(SocketAddr) -> ServerSide) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let pod = Arc::new(Pod::default());
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = serve(listener, security(addr), pod.clone(), "pod-0".to_owned(), 7, async {
        drop(stopped.await);
    });
    let task = tokio::spawn(async { serving.await.unwrap() });
    Served { addr, pod, stop, task }
}

async fn plain() -> (Served, Client) {
    let served = start(|addr| ServerSide::plaintext(addr).unwrap()).await;
    let client = Client::new(served.addr, ClientSide::plaintext(served.addr).unwrap());
    (served, client)
}

#[tokio::test]
async fn calls_are_answered() {
    let (served, client) = plain().await;
    let first = peer("denmark", 2);
    assert_eq!(client.apply(&first).await, Ok(Answer::Done(Applied::New)));
    assert_eq!(client.apply(&first).await, Ok(Answer::Done(Applied::Unchanged)));
    let rotated = Object { digest: "other".to_owned(), ..first.clone() };
    assert_eq!(client.apply(&rotated).await, Ok(Answer::Done(Applied::Changed)), "a rotated secret");
    let Ok(Answer::Refused(refusal)) = client.apply(&peer("denmark", 1)).await else { panic!("went back") };
    assert_eq!((refusal.reason.as_str(), refusal.field.as_str()), ("LowerGeneration", "metadata.generation"));
    let again = Object { uid: "another".to_owned(), ..first.clone() };
    let Ok(Answer::Refused(refusal)) = client.apply(&again).await else { panic!("two of one name") };
    assert_eq!(refusal.holder, Some((first.name.clone(), first.uid.clone())));

    *served.pod.away.lock().unwrap() = true;
    assert!(matches!(client.apply(&first).await, Err(Failed::Unavailable(_))));
    *served.pod.away.lock().unwrap() = false;

    assert_eq!(client.remove(&first.name, "another").await, Ok(false));
    assert_eq!(client.remove(&first.name, &first.uid).await, Ok(true));
    assert_eq!(client.remove(&first.name, &first.uid).await, Ok(false));
    let mut huge = peer("huge", 1);
    huge.digest = "x".repeat(3 << 20);
    let said = client.apply(&huge).await;
    assert!(matches!(said, Err(Failed::Protocol(_))), "a limit: {said:?}");
    served.stop.send(()).unwrap();
    served.task.await.unwrap();
    assert!(matches!(client.apply(&first).await, Err(Failed::Unavailable(_))), "nobody there");
}

#[tokio::test]
async fn lists_are_whole_and_by_shard() {
    let (_served, client) = plain().await;
    for i in 0..1234 {
        client.apply(&peer(&format!("p{i}"), 1)).await.unwrap();
    }
    let all = client.list(&[]).await.unwrap();
    assert_eq!(all.len(), 1234);
    assert!(all.windows(2).all(|w| w[0].0 < w[1].0));
    let shard = Address::of(&peer("p5", 1)).shard();
    let some = client.list(&[shard]).await.unwrap();
    assert!(some.len() < 50 && some.iter().any(|(name, ..)| name.name == "p5"), "{}", some.len());
}

#[tokio::test]
async fn a_watch_says_everything_and_then_what_changes() {
    let (served, client) = plain().await;
    for i in 0..700 {
        client.apply(&peer(&format!("p{i}"), 1)).await.unwrap();
    }
    let mut watch = Box::pin(client.watch().await.unwrap());
    let mut objects = 0;
    loop {
        let report = watch.next().await.unwrap().unwrap();
        assert_eq!((report.pod.as_str(), report.incarnation), ("pod-0", 7));
        objects += report.objects.len();
        if report.complete {
            break;
        }
    }
    assert_eq!(objects, 700);
    client.apply(&peer("p3", 2)).await.unwrap();
    let report = watch.next().await.unwrap().unwrap();
    assert_eq!((report.objects.len(), report.objects[0].generation), (1, Generation(2)));
    let gone = peer("p4", 1);
    client.remove(&gone.name, &gone.uid).await.unwrap();
    let report = watch.next().await.unwrap().unwrap();
    assert_eq!((report.objects.len(), report.removed), (0, vec![gone.name]));
    // The end of the pod is the end of the watch, at once.
    served.stop.send(()).unwrap();
    assert!(matches!(watch.next().await, Some(Err(Failed::Unavailable(_)))));
    tokio::time::timeout(Duration::from_secs(5), served.task).await.unwrap().unwrap();
}

const HOST: &str = "rooms-control.chat.svc";

#[tokio::test]
async fn both_sides_prove_themselves() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let dirs: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let pod = ours.write(dirs[0].path(), HOST);
    let served = start(|_| ServerSide::mutual(pod.clone()).unwrap()).await;
    let operator = ours.write(dirs[1].path(), "operator");
    let call = |side: ClientSide| async move { Client::new(served.addr, side).apply(&peer("denmark", 1)).await };
    let mutual = |files: &Files, host: &str| ClientSide::mutual(files.clone(), host).unwrap();

    assert_eq!(call(mutual(&operator, HOST)).await, Ok(Answer::Done(Applied::New)));
    assert!(matches!(call(mutual(&operator, "other.chat.svc")).await, Err(Failed::Unavailable(_))), "another host");
    assert!(matches!(call(ClientSide::plaintext(served.addr).unwrap()).await, Err(Failed::Unavailable(_))), "no TLS");
    let mut stranger = theirs.write(dirs[2].path(), "operator");
    assert!(matches!(call(mutual(&stranger, HOST)).await, Err(Failed::Unavailable(_))), "the pod is not known");
    stranger.ca = operator.ca.clone();
    assert!(matches!(call(mutual(&stranger, HOST)).await, Err(Failed::Unavailable(_))), "the caller is not known");
}
