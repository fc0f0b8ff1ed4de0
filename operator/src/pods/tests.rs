//! Services on loopback whose pods come, end and hang.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use warren_control::Applied;
use warren_control::grpc::tls::ServerSide;
use warren_control::grpc::{Handler, Page, serve};
use warren_model::config::{FlavourHint, PeerRooms, PeerTimers, Vouch};
use warren_model::{Body, ObjectKind, PeerConfig, Shard};

use super::*;

#[allow(clippy::needless_pass_by_value, reason = "json! stands at the call")]
fn slice(namespace: &str, service: &str, ports: Value, endpoints: Value) -> EndpointSlice {
    serde_json::from_value(json!({
        "metadata": {"namespace": namespace, "labels": {CONTROL: service}},
        "addressType": "IPv4", "ports": ports, "endpoints": endpoints,
    }))
    .unwrap()
}

#[test]
fn endpoints_are_those_of_the_service_that_do_not_end() {
    let two = json!([{"name": "admin", "port": 1}, {"name": "control", "port": 2}]);
    let slices = [
        slice("a", "chat", two.clone(), json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": false}}])),
        slice("a", "chat", two.clone(), json!([{"addresses": ["10.0.0.2"], "conditions": {"terminating": true}}])),
        slice("a", "other", two.clone(), json!([{"addresses": ["10.0.0.3"]}])),
        slice("b", "chat", two, json!([{"addresses": ["10.0.0.4"]}])),
        slice("a", "chat", json!([{"port": 9}]), json!([{"addresses": ["pod.localhost"]}])),
        slice("a", "chat", json!([{"name": "x", "port": 9}, {"name": "y", "port": 8}]), json!([])),
    ];
    let found: Vec<_> = endpoints(&slices, &("a".to_owned(), "chat".to_owned())).into_iter().collect();
    let expected = [("10.0.0.1", 2), ("pod.localhost", 9)];
    assert_eq!(found, expected.map(|(host, port)| Endpoint { host: host.to_owned(), port }));
}

#[test]
fn each_is_tried_once_a_round_and_another_one_first() {
    let all: BTreeSet<_> = (1..=3).map(|port| Endpoint { host: "pod".to_owned(), port }).collect();
    let pick = |tried: &[u16], last| {
        let tried = tried.iter().map(|port| Endpoint { host: "pod".to_owned(), port: *port }).collect();
        let last = Endpoint { host: "pod".to_owned(), port: last };
        choose(&all, &tried, Some(&last)).map(|endpoint| endpoint.port)
    };
    assert_eq!(pick(&[1], 1), Some(2));
    assert_eq!(pick(&[3], 3), Some(1), "round");
    assert_eq!(pick(&[3, 1], 1), Some(2));
    assert_eq!(pick(&[1, 2, 3], 2), None);
    assert_eq!(pick(&[9], 9), Some(1), "one that is gone");
    let first: BTreeSet<_> = (0..100).filter_map(|_| choose(&all, &BTreeSet::new(), None)).collect();
    assert_eq!(first, all, "anyone may be the first");
}

/// A pod that knows one object and takes all others, or never answers.
struct Pod {
    name: ObjectName,
    hangs: bool,
    calls: AtomicUsize,
}

impl Handler for Pod {
    async fn apply(&self, _: Object) -> Result<Answer, Failed> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.hangs {
            std::future::pending::<()>().await;
        }
        Ok(Answer::Done(Applied::Changed))
    }
    async fn remove(&self, _: ObjectName, _: String) -> Result<bool, Failed> {
        Ok(true)
    }
    async fn page(&self, _: Option<ObjectName>, _: usize) -> Result<Page, Failed> {
        let report = ObjectReport {
            name: self.name.clone(),
            uid: "u".to_owned(),
            generation: Generation(1),
            digest: "d".to_owned(),
            peerings: Vec::new(),
            occupied: false,
            connected: true,
            shard: Shard(0),
        };
        Ok(Page { objects: vec![report], more: false })
    }
}

/// A pod on loopback; aborted, it is gone with its connections.
async fn pod(hangs: bool) -> (Endpoint, Arc<Pod>, tokio::runtime::Runtime) {
    let name = ObjectName { kind: ObjectKind::MucService, namespace: "a".to_owned(), name: "chat".to_owned() };
    let pod = Arc::new(Pod { name, hangs, calls: AtomicUsize::new(0) });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let listener = listener.into_std().unwrap();
    let handler = pod.clone();
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let security = ServerSide::plaintext(addr).unwrap();
        let life = u64::from(addr.port());
        serve(listener, security, handler, addr.to_string(), life, std::future::pending()).await.unwrap();
    });
    (Endpoint { host: addr.ip().to_string(), port: addr.port() }, pod, runtime)
}

fn object() -> Object {
    Object {
        name: ObjectName { kind: ObjectKind::FederationPeer, namespace: "a".to_owned(), name: "p".to_owned() },
        uid: "p".to_owned(),
        generation: Generation(1),
        digest: "d".to_owned(),
        body: Body::Peer(PeerConfig {
            domain: "denmark.lit".into(),
            vouch: Vouch::Any,
            rooms: PeerRooms::default(),
            flavour: FlavourHint::default(),
            timers: PeerTimers::default(),
            suspended: false,
        }),
    }
}

async fn connected(heard: &mut mpsc::UnboundedReceiver<Heard>) {
    let until = async { while !matches!(heard.recv().await, Some(Heard::Connected(_))) {} };
    timeout(Duration::from_secs(20), until).await.expect("a pod is heard");
}

#[tokio::test]
async fn one_pod_is_asked_while_it_answers_and_then_another_one() {
    let service: ServiceKey = ("a".to_owned(), "chat".to_owned());
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(pod(false).await);
    }
    let (heard, mut hears) = mpsc::unbounded_channel();
    let pods = Pods::new(heard);
    let mut endpoints: BTreeSet<_> = all.iter().map(|(endpoint, ..)| endpoint.clone()).collect();
    let wanted =
        |endpoints: &BTreeSet<Endpoint>| HashMap::from([(service.clone(), (endpoints.clone(), Security::Plain))]);
    assert!(pods.apply(&service, &object()).await.is_none(), "nobody is known");
    pods.sync(wanted(&endpoints));
    for left in (1..=3).rev() {
        connected(&mut hears).await;
        pods.sync(wanted(&endpoints));
        let view = pods.view(&service, &object());
        assert!(view.nodes && !view.current, "what another pod has acknowledged is asked again: {view:?}");
        for _ in 0..5 {
            assert_eq!(pods.apply(&service, &object()).await, Some(Ok(Answer::Done(Applied::Changed))));
        }
        assert!(pods.view(&service, &object()).current);
        assert_eq!(pods.reported(&service).len(), 1, "one has told, not each");
        let at =
            all.iter().position(|(_, pod, _)| pod.calls.load(Ordering::Relaxed) == 5).expect("all five went to one");
        assert_eq!(all.iter().filter(|(_, pod, _)| pod.calls.load(Ordering::Relaxed) > 0).count(), 1);
        let (endpoint, _, runtime) = all.remove(at);
        if left == 2 {
            // It is to end: nobody waits until it has.
            endpoints.remove(&endpoint);
            pods.sync(wanted(&endpoints));
            std::mem::forget(runtime);
        } else {
            runtime.shutdown_background();
        }
    }
    timeout(Duration::from_secs(5), async {
        while pods.reachable(&service) {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("nobody is left");
    assert!(!pods.view(&service, &object()).nodes);
}

#[tokio::test]
async fn a_pod_that_does_not_answer_is_not_asked_again() {
    let service: ServiceKey = ("a".to_owned(), "chat".to_owned());
    let (hanging, first, one) = pod(true).await;
    let (heard, mut hears) = mpsc::unbounded_channel();
    let pods = Pods::new(heard);
    pods.sync(HashMap::from([(service.clone(), (BTreeSet::from([hanging.clone()]), Security::Plain))]));
    connected(&mut hears).await;
    let (good, second, other) = pod(false).await;
    pods.sync(HashMap::from([(service.clone(), (BTreeSet::from([hanging, good]), Security::Plain))]));
    let answer = pods.apply(&service, &object()).await;
    assert!(matches!(answer, Some(Err(Failed::Unavailable(_)))), "{answer:?}");
    connected(&mut hears).await;
    assert_eq!(pods.apply(&service, &object()).await, Some(Ok(Answer::Done(Applied::Changed))));
    assert_eq!((first.calls.load(Ordering::Relaxed), second.calls.load(Ordering::Relaxed)), (1, 1));
    one.shutdown_background();
    other.shutdown_background();
}

#[tokio::test]
async fn localhost_is_here() {
    for host in ["localhost", "pod-0.localhost", "127.0.0.1"] {
        let endpoint = Endpoint { host: host.to_owned(), port: 5 };
        assert_eq!(resolve(&endpoint).await.unwrap(), "127.0.0.1:5".parse().unwrap());
    }
}
