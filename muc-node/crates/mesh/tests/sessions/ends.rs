//! How sessions end, and begin again.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use warren_mesh::grpc::Event;

use crate::common::*;

async fn through_a_proxy(keepalive: Duration) -> (Node, Node, Proxy) {
    let change = |options: &mut warren_mesh::grpc::PeerOptions| options.keepalive = keepalive;
    let (mut a, mut b) = (start_with(LOW, plain(), change), start_with(HIGH, plain(), change));
    let proxy = Proxy::start(b.addr).await;
    a.peers.set(BTreeMap::from([(HIGH, proxy.addr.to_string())]));
    b.peers.set(BTreeMap::from([(LOW, a.addr.to_string())]));
    a.connected(HIGH).await;
    b.connected(LOW).await;
    (a, b, proxy)
}

#[tokio::test]
async fn a_session_that_is_cut_begins_again_at_once() {
    let (mut a, mut b, proxy) = through_a_proxy(Duration::from_secs(1)).await;
    for n in 0..5 {
        sleep(Duration::from_millis(1100)).await;
        let since = Instant::now();
        proxy.wire.send_replace(Wire::Cut(n));
        for (node, peer) in [(&mut a, HIGH), (&mut b, LOW)] {
            assert_eq!(node.next().await, Event::Disconnected(peer));
            node.connected(peer).await;
        }
        assert!(since.elapsed() < Duration::from_millis(900), "{:?}", since.elapsed());
        a.peers.send(HIGH, vec![frame(u64::from(n), 10)]);
        assert!(matches!(b.next().await, Event::Frame(..)));
    }
}

#[tokio::test]
async fn a_peer_that_dies_is_refused_whoever_called() {
    for dies in [HIGH, LOW] {
        let (mut a, mut b) = (start(LOW), start(HIGH));
        introduce(&a, &b);
        a.connected(HIGH).await;
        b.connected(LOW).await;
        let (gone, mut left) = if dies == HIGH { (b, a) } else { (a, b) };
        // In the middle of what it says.
        gone.peers.send(left.me, (0..20_000).map(|n| frame(n, 500)).collect());
        assert!(matches!(left.next().await, Event::Frame(..)));
        let since = Instant::now();
        drop(gone);
        let numbers = left.rest(dies).await;
        assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "in order, without a hole");
        assert_eq!(left.next().await, Event::Refused(dies));
        assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
        left.silent(Duration::from_millis(1500)).await;
    }
}

/// An address that refuses says nothing of a peer that was never there.
#[tokio::test]
async fn without_a_session_nothing_is_refused() {
    let mut a = start(LOW);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    a.peers.set(BTreeMap::from([(HIGH, nobody.to_string())]));
    a.silent(Duration::from_millis(1500)).await;
}

#[tokio::test]
async fn a_silent_peer_is_noticed_on_both_sides() {
    let keepalive = Duration::from_millis(300);
    let (mut a, mut b, proxy) = through_a_proxy(keepalive).await;
    // Idle sessions live on.
    a.silent(keepalive * 5).await;
    let since = Instant::now();
    proxy.wire.send_replace(Wire::Frozen);
    a.peers.send(HIGH, vec![frame(1, 10)]);
    assert_eq!(a.next().await, Event::Disconnected(HIGH));
    assert_eq!(b.next().await, Event::Disconnected(LOW));
    let took = since.elapsed();
    assert!(took > keepalive && took < keepalive * 8, "{took:?}");
    proxy.wire.send_replace(Wire::Cut(1));
    a.connected(HIGH).await;
    b.connected(LOW).await;
    proxy.wire.send_replace(Wire::Whole);
}

#[tokio::test]
async fn who_leaves_the_table_leaves_the_session() {
    let (mut a, mut b) = (start(LOW), start(HIGH));
    introduce(&a, &b);
    a.connected(HIGH).await;
    b.connected(LOW).await;
    b.peers.set(BTreeMap::new());
    assert_eq!(b.next().await, Event::Disconnected(LOW));
    assert_eq!(a.next().await, Event::Disconnected(HIGH));
    // It calls, and is not let in.
    sleep(Duration::from_millis(500)).await;
    b.silent(Duration::from_millis(100)).await;
    a.silent(Duration::from_millis(100)).await;
    b.peers.set(BTreeMap::from([(LOW, a.addr.to_string())]));
    a.connected(HIGH).await;
    b.connected(LOW).await;
    a.peers.set(BTreeMap::new());
    assert_eq!(a.next().await, Event::Disconnected(HIGH));
    assert_eq!(b.next().await, Event::Disconnected(LOW));
    a.silent(Duration::from_millis(500)).await;
}

#[tokio::test]
async fn who_does_not_take_what_he_is_told_loses_the_session() {
    let max = 8 << 20;
    let (mut a, mut b) = (start_with(LOW, plain(), |o| o.max_queued = max), start(HIGH));
    introduce(&a, &b);
    a.connected(HIGH).await;
    b.connected(LOW).await;
    let chunk = 256 << 10;
    let mut said = 0;
    // It takes nothing, so it reads no more than what is bounded there and in the sockets.
    while a.peers.queued_bytes(HIGH) < max / 2 {
        a.peers.send(HIGH, vec![frame(said, chunk)]);
        said += 1;
        assert!(said < 1000, "somebody takes it all");
        sleep(Duration::from_millis(2)).await;
    }
    // Slow is not lost.
    for n in 0..said {
        let Event::Frame(_, frame) = b.next().await else { panic!("no frame") };
        assert_eq!(number(&frame), n);
    }
    let mut said = 0;
    let ended = loop {
        a.peers.send(HIGH, vec![frame(said, chunk)]);
        said += 1;
        assert!(said < 1000, "somebody takes it all");
        if let Some(event) = a.events.try_recv() {
            break event;
        }
    };
    assert_eq!(ended, Event::Disconnected(HIGH));
    let numbers = b.rest(LOW).await;
    assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "in order, without a hole");
    a.connected(HIGH).await;
    b.connected(LOW).await;
    assert_eq!(a.peers.queued_bytes(HIGH), 0);
}
