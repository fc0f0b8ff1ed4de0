//! Output that is larger than what a turn writes goes on by itself.

use std::time::{Duration, Instant};

use warren_testkit::acceptor::Acceptor;

use crate::common::{PATIENCE, ROOM, SECRET, Site, groupchat};

#[tokio::test]
async fn a_burst_into_a_large_room_arrives_whole_and_at_once() {
    const USERS: usize = 150;
    const MESSAGES: usize = 60;
    let acceptor = Acceptor::bind(SECRET).await.unwrap();
    let site = Site::of(&acceptor);
    let node = site.serve();
    let mut link = acceptor.accept(PATIENCE).await.unwrap();
    let user = |n: usize| format!("u{n}@wonderland.lit/r");
    for n in 0..USERS {
        link.join(&user(n), &format!("{ROOM}/u{n}"), PATIENCE).await.unwrap();
    }
    link.inbox().take();
    let body = "x".repeat(500);
    let burst = (0..MESSAGES).map(|n| groupchat(&user(0), ROOM, &format!("m{n}"), &body)).collect::<Vec<_>>().concat();
    let since = Instant::now();
    link.send(burst).await.unwrap();
    let mut last = vec![None; USERS];
    while last.iter().any(|seen| *seen != Some(MESSAGES - 1)) {
        let stanza = link.recv(PATIENCE).await.unwrap().expect("the link stays");
        if stanza.name() != "message" {
            continue;
        }
        let number =
            |text: &str| text.trim_start_matches(['u', 'm']).split('@').next().unwrap().parse::<usize>().unwrap();
        let (to, n) = (number(stanza.attr("to").unwrap()), number(stanza.attr("id").unwrap()));
        assert_eq!(last[to].map_or(0, |seen: usize| seen + 1), n, "in order, each once");
        last[to] = Some(n);
    }
    // About 7 MB. A loop that waits for its next timer between two turns needs a second for each of them.
    let took = since.elapsed();
    println!("{} deliveries in {took:?}", USERS * MESSAGES);
    assert!(took < Duration::from_secs(5), "{took:?}:\n{}", node.log());
    node.kill().await;
}
