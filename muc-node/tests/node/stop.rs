//! An orderly end.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use warren_testkit::acceptor::Acceptor;

use crate::common::{ALICE, BOB, PATIENCE, ROOM, SECRET, Site, groupchat, run};

#[tokio::test]
async fn sigterm_without_a_server_ends_at_once() {
    let acceptor = Acceptor::bind(SECRET).await.unwrap();
    let site = Site::of(&acceptor);
    drop(acceptor);
    let mut node = site.serve();
    node.said("cannot connect to the server").await;
    let start = Instant::now();
    node.signal("-TERM");
    assert_eq!(node.ended().await.code(), Some(0), "{}", node.log());
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn sigterm_under_load_loses_nothing_that_was_shown_or_read() {
    let acceptor = Acceptor::bind(SECRET).await.unwrap();
    let site = Site::of(&acceptor);
    let mut node = site.serve();
    let mut link = acceptor.accept(PATIENCE).await.unwrap();
    link.join(ALICE, &format!("{ROOM}/Alice"), PATIENCE).await.unwrap();
    link.join(BOB, &format!("{ROOM}/Bob"), PATIENCE).await.unwrap();
    for n in 0..500 {
        if n == 250 {
            node.signal("-TERM");
        }
        link.send(groupchat(ALICE, ROOM, &format!("m{n}"), &format!("number {n}"))).await.unwrap();
    }
    let arrivals = link.ended(PATIENCE).await.unwrap();
    assert_eq!(node.ended().await.code(), Some(0), "{}", node.log());
    let shown: Vec<_> = arrivals
        .iter()
        .map(|arrival| &arrival.stanza)
        .filter(|stanza| stanza.attr("to") == Some(BOB) && stanza.has_child("body", "jabber:component:accept"))
        .map(|stanza| stanza.attr("id").unwrap().to_owned())
        .collect();
    let log = run(&["log", ROOM, "--store", &site.store(), "--format", "json"], site.dir.path()).await;
    let logged: Vec<_> =
        log.out.lines().filter_map(|line| line.split("\"client_id\":\"").nth(1)?.split('"').next()).collect();
    assert!(shown.len() <= logged.len(), "{} shown, {} logged", shown.len(), logged.len());
    assert!(logged.iter().zip(&shown).all(|(logged, shown)| logged == shown), "shown and logged in one order");
    assert_eq!(logged, (0..logged.len()).map(|n| format!("m{n}")).collect::<Vec<_>>(), "no holes");
    // What was sent before our end of the stream has come too: the node reads on until the server ends its stream.
    assert_eq!(logged.len(), 500, "{} shown", shown.len());
}

#[tokio::test]
async fn it_reads_on_after_its_end_of_the_stream() {
    let acceptor = Acceptor::bind(SECRET).await.unwrap();
    let site = Site::of(&acceptor);
    let mut node = site.serve();
    let (mut socket, _) = acceptor.accept_socket(PATIENCE).await.unwrap();
    node.said("the link is up").await;
    node.signal("-TERM");
    let mut read = String::new();
    while !read.contains("</stream:stream>") {
        let mut buffer = [0; 4096];
        let n = tokio::io::AsyncReadExt::read(&mut socket, &mut buffer).await.unwrap();
        assert!(n > 0, "no end of the stream: {read}");
        read.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    // A server that takes its time, and has something left to say.
    sleep(Duration::from_secs(3)).await;
    let join =
        format!("<presence from='{ALICE}' to='{ROOM}/Alice'><x xmlns='http://jabber.org/protocol/muc'/></presence>");
    let late = join + &groupchat(ALICE, ROOM, "late", "too late?") + "</stream:stream>";
    tokio::io::AsyncWriteExt::write_all(&mut socket, late.as_bytes()).await.unwrap();
    assert_eq!(node.ended().await.code(), Some(0), "{}", node.log());
    let log = run(&["log", ROOM, "--store", &site.store()], site.dir.path()).await;
    assert!(log.out.contains("too late?"), "{}", log.out);
}
