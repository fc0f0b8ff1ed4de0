//! Two nodes that share a PostgreSQL. Whatever ends one of them, nobody has to join again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use minidom::Element;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use warren_test_postgres::{Durability, Server};
use warren_testkit::acceptor::{Acceptor, Link};

use crate::common::{ALICE, BOB, Node, PATIENCE, ROOM, SECRET, Site, groupchat, run};

const TTL: Duration = Duration::from_secs(1);

/// A server of its own: some tests stop it.
async fn postgres() -> Server {
    spawn_blocking(|| Server::start(Durability::Memory)).await.unwrap().unwrap_or_else(|error| panic!("{error:#}"))
}

/// Nodes that share a store and a server to connect to.
struct Sharing {
    acceptor: Acceptor,
    site: Site,
    url: String,
}

impl Sharing {
    async fn on(postgres: &Server) -> Self {
        let acceptor = Acceptor::bind(SECRET).await.unwrap();
        let site = Site::of(&acceptor);
        let url = postgres.database_url().unwrap();
        Self { acceptor, site, url }
    }

    fn serve(&self, name: &str) -> Node {
        let mut args = self.site.args();
        let store = args.iter().position(|arg| arg == "--store").unwrap();
        args[store + 1].clone_from(&self.url);
        args.extend(["--pod", name, "--ttl", "1s", "--reconnect-max", "100ms"].map(str::to_owned));
        args.extend(["--mesh", "127.0.0.1:0", "--mesh-plaintext"].map(str::to_owned));
        Node::start(&args)
    }

    /// A node that has the link, and one beside it.
    async fn pair(&self) -> (Node, Node, Link) {
        let first = self.serve("first");
        let mut link = self.link().await;
        link.join(ALICE, &format!("{ROOM}/Alice"), PATIENCE).await.unwrap();
        link.join(BOB, &format!("{ROOM}/Bob"), PATIENCE).await.unwrap();
        let second = self.serve("second");
        second.said("a session with another node").await;
        (first, second, link)
    }

    async fn link(&self) -> Link {
        self.acceptor.accept(PATIENCE).await.unwrap()
    }

    /// Ids of the messages in the room's log, in order.
    async fn log(&self) -> Vec<String> {
        let said = run(&["log", ROOM, "--store", &self.url, "--format", "json"], self.site.dir.path()).await;
        assert_eq!(said.code, 0, "{}", said.err);
        let entries = said.out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        entries
            .filter(|entry| entry["kind"] == "message")
            .map(|entry| entry["client_id"].as_str().unwrap_or_else(|| panic!("{entry}")).to_owned())
            .collect()
    }
}

fn message<'a>(to: &'a str, id: &'a str) -> impl Fn(&Element) -> bool + 'a {
    move |s| s.name() == "message" && s.attr("to") == Some(to) && s.attr("id") == Some(id)
}

/// Alice speaks, and both hear it. She never joins again.
async fn talk(link: &mut Link, id: &str) {
    link.send(groupchat(ALICE, ROOM, id, id)).await.unwrap();
    for user in [ALICE, BOB] {
        link.expect(&format!("{id} at {user}"), PATIENCE, message(user, id)).await.unwrap();
    }
}

/// No presence says that somebody has gone or come.
async fn nobody_flaps(link: &mut Link) {
    let flaps = |s: &Element| s.name() == "presence" && s.attr("type").is_some();
    link.inbox().expect_none("a leave", Duration::from_millis(300), flaps).await.unwrap();
}

#[tokio::test]
async fn a_killed_node_is_taken_over_and_nobody_notices() {
    let postgres = postgres().await;
    let sharing = Sharing::on(&postgres).await;
    let (mut first, mut second, mut link) = sharing.pair().await;
    talk(&mut link, "m0").await;
    let mut expected = vec!["m0".to_owned()];
    for round in 1..=5 {
        // In the middle of a talk, of which only what is reflected counts.
        for n in 0..20 {
            link.send(groupchat(ALICE, ROOM, &format!("r{round}-{n}"), "tea")).await.unwrap();
        }
        link.expect("reflection", PATIENCE, message(ALICE, &format!("r{round}-5"))).await.unwrap();
        let killed = Instant::now();
        first.kill().await;
        let mut next = sharing.link().await;
        let gap = killed.elapsed();
        println!("kill {round}: another node has the link after {gap:?}");
        assert!(gap < TTL + Duration::from_secs(2), "{gap:?}");
        // All that Alice's server was sent before the end of the link counts as reflected.
        let prefix = format!("r{round}-");
        let mut reflected: Vec<u32> = link
            .inbox()
            .take()
            .into_iter()
            .filter(|arrival| arrival.stanza.attr("to") == Some(ALICE))
            .filter_map(|arrival| arrival.stanza.attr("id")?.strip_prefix(&prefix)?.parse().ok())
            .chain([5])
            .collect();
        reflected.sort_unstable();
        talk(&mut next, &format!("m{round}")).await;
        nobody_flaps(&mut next).await;
        expected.extend(reflected.into_iter().map(|n| format!("{prefix}{n}")));
        expected.push(format!("m{round}"));
        link = next;
        first = std::mem::replace(&mut second, sharing.serve(&format!("again-{round}")));
        second.said("a session with another node").await;
    }
    let log = sharing.log().await;
    let mut sorted = log.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), log.len(), "an id is twice in the log: {log:?}");
    let mut at = 0;
    for id in &expected {
        let found = log[at..].iter().position(|logged| logged == id);
        at += found.unwrap_or_else(|| panic!("{id} was reflected and is not in its place in the log: {log:?}"));
    }
}

#[tokio::test]
async fn a_node_that_is_stopped_hands_over_at_once() {
    let postgres = postgres().await;
    let sharing = Sharing::on(&postgres).await;
    let (mut first, second, mut link) = sharing.pair().await;
    talk(&mut link, "m1").await;
    link.inbox().take();
    first.signal("-TERM");
    let ended = link.ended(PATIENCE).await.unwrap();
    assert!(!ended.iter().any(|arrival| arrival.stanza.name() == "presence"), "{ended:?}");
    let stopped = Instant::now();
    assert!(first.ended().await.success(), "{}", first.log());
    let mut link = sharing.link().await;
    println!("a stop: another node has the link {:?} after the end of the old one", stopped.elapsed());
    assert!(stopped.elapsed() < TTL, "its good-bye was not heard:\n{}", second.log());
    talk(&mut link, "m2").await;
    nobody_flaps(&mut link).await;
    assert_eq!(sharing.log().await, ["m1", "m2"]);
}

#[tokio::test]
async fn a_frozen_node_finds_itself_replaced() {
    let postgres = postgres().await;
    let sharing = Sharing::on(&postgres).await;
    let (mut first, _second, mut link) = sharing.pair().await;
    talk(&mut link, "m1").await;
    // It may be in the middle of a commit.
    link.send(groupchat(ALICE, ROOM, "m2", "frozen")).await.unwrap();
    first.signal("-STOP");
    let frozen = Instant::now();
    let mut next = sharing.link().await;
    println!("a frozen node: another one has the link after {:?}", frozen.elapsed());
    // A server that takes the new link closes the old one.
    drop(link);
    talk(&mut next, "m3").await;
    sleep((2 * TTL).saturating_sub(frozen.elapsed())).await;
    first.signal("-CONT");
    let status = first.ended().await;
    assert_eq!(status.code(), Some(1), "{}", first.log());
    assert!(first.log().contains("another node has taken over"), "{}", first.log());
    talk(&mut next, "m4").await;
    nobody_flaps(&mut next).await;
    let log = sharing.log().await;
    let order: Vec<&str> = log.iter().map(String::as_str).filter(|id| *id != "m2").collect();
    assert_eq!(order, ["m1", "m3", "m4"], "and the message of the freeze is there once or not at all: {log:?}");
    assert!(log.iter().filter(|id| *id == "m2").count() <= 1);
}

#[tokio::test]
async fn an_outage_of_the_database_is_a_pause() {
    let postgres = postgres().await;
    let sharing = Sharing::on(&postgres).await;
    let (first, second, mut link) = sharing.pair().await;
    talk(&mut link, "m1").await;
    postgres.freeze(true).unwrap();
    sleep(3 * TTL).await;
    // What needs no store is answered meanwhile (XEP-0410), unless something of the room waits for it.
    link.send(format!("<iq type='get' from='{ALICE}' to='{ROOM}/Alice' id='self'><ping xmlns='urn:xmpp:ping'/></iq>"))
        .await
        .unwrap();
    let answer = link.expect("self-ping's answer", PATIENCE, |s| s.attr("id") == Some("self")).await.unwrap();
    assert_eq!(answer.attr("type"), Some("result"), "{}", String::from(&answer));
    link.send(groupchat(ALICE, ROOM, "m2", "when it is back")).await.unwrap();
    sleep(TTL).await;
    postgres.freeze(false).unwrap();
    link.expect("the message that waited", PATIENCE, message(BOB, "m2")).await.unwrap();
    sleep(3 * TTL).await;
    talk(&mut link, "m3").await;
    nobody_flaps(&mut link).await;
    for node in [&first, &second] {
        assert!(!node.log().contains("was taken over"), "a land grab:\n{}", node.log());
    }
    assert_eq!(sharing.log().await, ["m1", "m2", "m3"]);
}

#[tokio::test]
async fn a_shared_store_wants_a_name() {
    let server: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let site = Site::new(server);
    let manifests = site.manifests().display().to_string();
    let args =
        ["serve", "--manifests", &manifests, "--store", "postgres://warren:carrot@127.0.0.1:9/x", "--admin", "off"];
    let said = run(&args, site.dir.path()).await;
    assert_eq!(said.code, 1);
    assert!(said.err.contains("--pod is missing"), "{}", said.err);
    let named = [&args[..], &["--pod", "a"]].concat();
    let said = run(&named, site.dir.path()).await;
    assert_eq!(said.code, 1);
    assert!(said.err.contains("--mesh is missing"), "{}", said.err);
    let named = [&named[..], &["--mesh", "127.0.0.1:0", "--mesh-plaintext"]].concat();
    let said = run(&named, site.dir.path()).await;
    assert_eq!(said.code, 1);
    assert!(said.err.contains("127.0.0.1:9") && !said.err.contains("carrot"), "{}", said.err);
}
