//! Start-up failures: one clear sentence, exit 1, nothing lost. SIGTERM during the start: exit 0.

use std::time::Duration;

use rusqlite::Connection;
use tokio::net::TcpListener;
use tokio::time::sleep;
use warren_testkit::acceptor::Acceptor;

use crate::common::{ALICE, Node, PATIENCE, ROOM, SECRET, Site, get, groupchat, run};

/// A site on which a message was sent, so that there is something to lose.
async fn lived() -> (Acceptor, Site) {
    let acceptor = Acceptor::bind(SECRET).await.unwrap();
    let site = Site::of(&acceptor);
    let mut node = site.serve();
    let mut link = acceptor.accept(PATIENCE).await.unwrap();
    link.join(ALICE, &format!("{ROOM}/Alice"), PATIENCE).await.unwrap();
    link.send(groupchat(ALICE, ROOM, "m1", "precious")).await.unwrap();
    link.expect("reflection", PATIENCE, |s| s.name() == "message" && s.attr("id") == Some("m1")).await.unwrap();
    node.signal("-TERM");
    drop(link);
    assert!(node.ended().await.success(), "{}", node.log());
    (acceptor, site)
}

async fn keeps_the_message(site: &Site) {
    let log = run(&["log", ROOM, "--store", &site.store()], site.dir.path()).await;
    assert!(log.code == 0 && log.out.contains("precious"), "{}{}", log.out, log.err);
}

/// Exit 1, and the last line says it; no backtrace.
async fn refuses(mut node: Node, says: &[&str]) {
    assert_eq!(node.ended().await.code(), Some(1), "{}", node.log());
    let log = node.log();
    let last = &log[log.rfind("muc-node: ").unwrap_or_else(|| panic!("no sentence:\n{log}"))..];
    for text in says {
        assert!(last.contains(text), "not {text:?} in:\n{log}");
    }
    assert!(!log.contains("panicked") && !log.contains("stack backtrace"), "{log}");
}

#[tokio::test]
async fn a_store_in_use_is_named_with_its_holder() {
    let (_acceptor, site) = lived().await;
    let first = site.serve();
    first.said("the store is open").await;
    let pid = format!("(pid {})", first.pid());
    refuses(site.serve(), &["is in use by another process", &pid, "stop that process first"]).await;
    first.kill().await;
    keeps_the_message(&site).await;
}

#[tokio::test]
async fn a_store_of_a_later_version_is_left_alone() {
    let (_acceptor, site) = lived().await;
    Connection::open(site.file()).unwrap().execute("UPDATE meta SET schema = 99", []).unwrap();
    refuses(site.serve(), &["has schema 99", "run the version that wrote it"]).await;
    Connection::open(site.file()).unwrap().execute("UPDATE meta SET schema = 1", []).unwrap();
    keeps_the_message(&site).await;
}

#[tokio::test]
async fn a_full_store_says_so() {
    let (acceptor, site) = lived().await;
    let conn = Connection::open(site.file()).unwrap();
    // Full to the last byte: what the start wants to write does not fit.
    conn.execute_batch("CREATE TABLE ballast (x BLOB); INSERT INTO ballast VALUES (zeroblob(100000));").unwrap();
    let pages: u32 = conn.query_row("PRAGMA page_count", [], |r| r.get(0)).unwrap();
    drop(conn);
    // A start writes little, so it may take a few until there is no room for the next.
    let mut args = site.args();
    let store = args.iter().position(|arg| arg.starts_with("sqlite:")).unwrap();
    args[store] = format!("{}?max_page_count={pages}", site.store());
    // A new room needs pages that are not there.
    site.declare_rooms(200, &format!("  description: {}\n", "x".repeat(900)));
    refuses(Node::start(&args), &["full"]).await;
    keeps_the_message(&site).await;
    // With room again, it goes on.
    let node = site.serve();
    let _link = acceptor.accept(PATIENCE).await.unwrap();
    node.kill().await;
}

#[tokio::test]
async fn a_file_that_is_no_store_is_left_alone() {
    let acceptor = Acceptor::bind(SECRET).await.unwrap();
    let site = Site::of(&acceptor);
    std::fs::write(site.file(), "this is a diary, and long enough to be looked at as a database by anybody").unwrap();
    refuses(site.serve(), &["is not a Warren store"]).await;
    assert!(std::fs::read_to_string(site.file()).unwrap().starts_with("this is a diary"));
}

#[tokio::test]
async fn a_store_in_a_directory_that_is_not_there() {
    let acceptor = Acceptor::bind(SECRET).await.unwrap();
    let site = Site::of(&acceptor);
    let mut args = site.args();
    args[4] = format!("sqlite:{}/none/rooms.db", site.dir.path().display());
    refuses(Node::start(&args), &["cannot be opened", "check that its directory exists"]).await;
}

#[tokio::test]
async fn a_taken_admin_port_is_named() {
    let (_acceptor, site) = lived().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let mut args = site.args();
    *args.last_mut().unwrap() = addr.clone();
    refuses(Node::start(&args), &[&addr, "--admin"]).await;
    keeps_the_message(&site).await;
}

#[tokio::test]
async fn manifests_that_are_wrong_change_nothing() {
    let (_acceptor, site) = lived().await;
    let good = std::fs::read_to_string(site.manifests().join("site.yaml")).unwrap();
    let cases: &[(&str, String, &[&str])] = &[
        ("secret", good.replace("kind: Secret", "kind: ConfigMap"), &["there is no Secret \"component\"", "help:"]),
        ("typo", good.replace("homeDomains", "homeDomain"), &["homeDomain", "site.yaml:", "did you mean"]),
        ("no service", "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n".to_owned(), &["there is no MucService"]),
        ("domain", good.replace("domain: rooms.", "domain: halls."), &["the address is immutable"]),
        (
            "two services",
            good.clone()
                + "---\n"
                + &good
                    .replace("rooms.w", "halls.w")
                    .replace("chat}", "other}")
                    .replace("lobby", "hall")
                    .replace("component}", "component2}")
                    .replace("name: component,", "name: component2,"),
            &["there are 2 MucServices", "default/chat, default/other"],
        ),
    ];
    for (what, yaml, says) in cases {
        site.declare("site.yaml", yaml);
        let node = site.serve();
        println!("{what}");
        refuses(node, says).await;
    }
    std::fs::remove_file(site.manifests().join("site.yaml")).unwrap();
    refuses(site.serve(), &["holds no manifests"]).await;
    std::fs::remove_dir(site.manifests()).unwrap();
    refuses(site.serve(), &["cannot be read", "check the path"]).await;
    keeps_the_message(&site).await;
}

#[tokio::test]
async fn without_manifests_it_serves_what_is_stored() {
    let (acceptor, site) = lived().await;
    let args: Vec<_> = ["serve", "--store", &site.store(), "--admin", "off"].into_iter().map(str::to_owned).collect();
    let node = Node::start(&args);
    assert_eq!(acceptor.accept(PATIENCE).await.unwrap().domain(), "rooms.wonderland.lit");
    node.kill().await;
    let empty = tempfile::tempdir().unwrap();
    let said = run(&["serve", "--store", "sqlite:new.db", "--admin", "off"], empty.path()).await;
    assert_eq!(said.code, 1);
    assert!(said.err.contains("there is no MucService in the store"), "{}", said.err);
}

#[tokio::test]
async fn sigterm_during_the_start_is_an_orderly_end() {
    let (_acceptor, site) = lived().await;
    for after in [0, 1, 2, 4, 8, 16, 32, 64] {
        let mut node = site.serve();
        node.listens_to_signals().await;
        sleep(Duration::from_millis(after)).await;
        node.signal("-TERM");
        assert_eq!(node.ended().await.code(), Some(0), "after {after} ms:\n{}", node.log());
    }
    keeps_the_message(&site).await;
}

#[tokio::test]
async fn readiness_follows_the_link() {
    let acceptor = Acceptor::bind(SECRET).await.unwrap();
    let site = Site::of(&acceptor);
    let node = site.serve();
    let admin = node.admin().await;
    assert_eq!(get(admin, "/live").await.0, 200);
    let (status, missing) = get(admin, "/ready").await;
    assert!(status == 503 && missing.contains("link:"), "{status} {missing}");
    let link = acceptor.accept(PATIENCE).await.unwrap();
    node.said("the link is up").await;
    assert_eq!(get(admin, "/ready").await, (200, "ready\n".to_owned()));
    drop(link);
    node.said("the link is down").await;
    assert_eq!(get(admin, "/ready").await.0, 503);
    let _again = acceptor.accept(PATIENCE).await.unwrap();
    sleep(Duration::from_millis(1500)).await;
    let (status, metrics) = get(admin, "/metrics").await;
    assert_eq!(status, 200);
    for line in
        ["warren_link_connects_total 2", "warren_link_online 1", "warren_rooms_loaded ", "warren_deliveries_total "]
    {
        assert!(metrics.contains(line), "no {line:?} in\n{metrics}");
    }
    assert!(!metrics.contains("lobby"), "no room in metrics");
    assert_eq!(get(admin, "/").await.0, 404);
}

#[tokio::test]
async fn a_wrong_secret_is_explained_and_tried_again() {
    let acceptor = Acceptor::bind("another").await.unwrap();
    let site = Site::of(&acceptor);
    let node = site.serve();
    assert!(acceptor.accept(PATIENCE).await.is_err());
    node.said("the secret of component rooms.wonderland.lit was refused by the server").await;
    assert!(acceptor.accept(PATIENCE).await.is_err(), "tried again");
    assert!(!node.log().contains(SECRET), "the secret is in the log");
}
