//! After kill -9 and a restart everything is as before: nobody has to join again.

use std::time::Duration;

use minidom::Element;
use warren_testkit::acceptor::{Acceptor, Link};

use crate::common::{ALICE, BOB, PATIENCE, ROOM, SECRET, Site, groupchat, run};

fn message<'a>(to: &'a str, id: &'a str) -> impl Fn(&Element) -> bool + 'a {
    move |s| s.name() == "message" && s.attr("to") == Some(to) && s.attr("id") == Some(id)
}

/// The seat is taken by this user, as far as the room knows (XEP-0410).
async fn is_in(link: &mut Link, user: &str, nick: &str) {
    let id = format!("self-{nick}");
    let ping = format!("<iq type='get' from='{user}' to='{ROOM}/{nick}' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>");
    link.send(ping).await.unwrap();
    let answer = link.expect("self-ping's answer", PATIENCE, |s| s.attr("id") == Some(&id)).await.unwrap();
    assert_eq!(answer.attr("type"), Some("result"), "{user} is in the room: {}", String::from(&answer));
}

#[tokio::test]
async fn kill_and_restart_look_like_nothing() {
    let acceptor = Acceptor::bind(SECRET).await.unwrap();
    let site = Site::of(&acceptor);
    let node = site.serve();
    let mut link = acceptor.accept(PATIENCE).await.unwrap();
    link.join(ALICE, &format!("{ROOM}/Alice"), PATIENCE).await.unwrap();
    link.join(BOB, &format!("{ROOM}/Bob"), PATIENCE).await.unwrap();
    link.send(format!("<message type='groupchat' from='{ALICE}' to='{ROOM}' id='s1'><subject>Tea</subject></message>"))
        .await
        .unwrap();
    link.expect("subject", PATIENCE, message(BOB, "s1")).await.unwrap();
    // Bob is made a moderator; it is his for as long as he stays.
    link.send(format!(
        "<iq type='set' from='{ALICE}' to='{ROOM}' id='role'><query xmlns='http://jabber.org/protocol/muc#admin'>\
         <item nick='Bob' role='moderator'/></query></iq>"
    ))
    .await
    .unwrap();
    link.expect("role", PATIENCE, |s| s.attr("id") == Some("role") && s.attr("type") == Some("result")).await.unwrap();
    for n in 0..20 {
        link.send(groupchat(ALICE, ROOM, &format!("m{n}"), &format!("number {n}"))).await.unwrap();
    }
    link.expect("reflection", PATIENCE, message(ALICE, "m19")).await.unwrap();
    link.inbox().take();

    node.kill().await;
    drop(link);
    let node = site.serve();
    let mut link = acceptor.accept(PATIENCE).await.unwrap();
    is_in(&mut link, ALICE, "Alice").await;
    is_in(&mut link, BOB, "Bob").await;
    link.send(groupchat(BOB, ROOM, "again", "still here")).await.unwrap();
    link.expect("Bob's message at Alice's", PATIENCE, message(ALICE, "again")).await.unwrap();
    // What may not have arrived before the kill is sent again; nobody is said to have gone.
    let flaps = |s: &Element| s.name() == "presence" && s.attr("type").is_some();
    link.inbox().expect_none("a leave", Duration::from_millis(500), flaps).await.unwrap();

    // Who comes later finds the subject and the history, and Bob as a moderator.
    let carol = "carol@wonderland.lit/x";
    link.send(format!(
        "<presence from='{carol}' to='{ROOM}/Carol'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    ))
    .await
    .unwrap();
    let bob = link
        .expect("Bob's presence", PATIENCE, |s| {
            s.attr("to") == Some(carol) && s.attr("from") == Some(&format!("{ROOM}/Bob"))
        })
        .await
        .unwrap();
    assert!(String::from(&bob).contains("moderator"), "{}", String::from(&bob));
    for n in 0..20 {
        link.expect("history", PATIENCE, message(carol, &format!("m{n}"))).await.unwrap();
    }
    let subject = link
        .expect("subject", PATIENCE, |s| s.attr("to") == Some(carol) && s.children().any(|c| c.name() == "subject"))
        .await
        .unwrap();
    assert!(String::from(&subject).contains("Tea"));
    node.kill().await;
}

#[tokio::test]
async fn what_was_reflected_is_in_the_log_whenever_the_node_is_killed() {
    let acceptor = Acceptor::bind(SECRET).await.unwrap();
    let site = Site::of(&acceptor);
    let mut reflected = Vec::new();
    for round in 0..5 {
        let node = site.serve();
        let mut link = acceptor.accept(PATIENCE).await.unwrap();
        if round == 0 {
            link.join(ALICE, &format!("{ROOM}/Alice"), PATIENCE).await.unwrap();
        }
        for n in 0..200 {
            link.send(groupchat(ALICE, ROOM, &format!("r{round}m{n}"), "x")).await.unwrap();
        }
        let id = format!("r{round}m{}", 20 * round);
        link.expect("reflection", PATIENCE, message(ALICE, &id)).await.unwrap();
        node.kill().await;
        reflected.push(id);
        let arrivals = link.inbox().collect(Duration::from_millis(200)).await;
        reflected.extend(
            arrivals.iter().filter_map(|a| a.stanza.attr("id")).filter(|id| id.starts_with('r')).map(str::to_owned),
        );
    }
    // While it runs, too.
    let node = site.serve();
    let _link = acceptor.accept(PATIENCE).await.unwrap();
    let log = run(&["log", ROOM, "--store", &site.store(), "--format", "json"], site.dir.path()).await;
    for id in &reflected {
        assert!(log.out.contains(&format!("\"client_id\":\"{id}\"")), "{id} was shown and is not in the log");
    }
    node.kill().await;
}
