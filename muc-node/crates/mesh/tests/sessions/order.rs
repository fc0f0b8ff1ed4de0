//! What is said arrives, in order, in the session that it was said in.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;
use warren_mesh::grpc::{Event, PeerOptions, Peers};

use crate::common::*;

#[tokio::test]
async fn frames_arrive_in_order_both_ways() {
    let (mut a, mut b) = (start(LOW), start(HIGH));
    introduce(&a, &b);
    a.connected(HIGH).await;
    b.connected(LOW).await;
    for n in 0..100 {
        a.peers.send(HIGH, (0..20).map(|i| frame(n * 20 + i, 300)).collect());
        b.peers.send(LOW, (0..20).map(|i| frame(n * 20 + i, 3000)).collect());
    }
    for n in 0..2000 {
        for (node, peer) in [(&mut a, HIGH), (&mut b, LOW)] {
            let Event::Frame(from, said) = node.next().await else { panic!("no frame") };
            assert_eq!((from, number(&said)), (peer, n));
        }
    }
    assert_eq!((a.peers.queued_bytes(HIGH), b.peers.queued_bytes(LOW)), (0, 0));
}

#[tokio::test]
async fn the_longest_frame_passes_and_a_longer_one_ends_the_session() {
    let (mut a, mut b) = (start(LOW), start(HIGH));
    introduce(&a, &b);
    a.connected(HIGH).await;
    b.connected(LOW).await;
    let room = warren_mesh::grpc::MAX_FRAME - 64;
    a.peers.send(HIGH, vec![frame(1, room), frame(2, 1)]);
    for n in [1, 2] {
        let Event::Frame(_, said) = b.next().await else { panic!("no frame") };
        assert_eq!(number(&said), n);
    }
    // Neither a message more nor a byte less than what goes in one.
    for size in (-40..40).map(|more| (1_usize << 20).saturating_add_signed(more)) {
        a.peers.send(HIGH, vec![frame(5, size)]);
        assert_eq!(b.next().await, Event::Frame(LOW, frame(5, size)));
    }
    a.peers.send(HIGH, vec![frame(3, room + 64), frame(4, 1)]);
    assert_eq!(a.next().await, Event::Disconnected(HIGH));
    assert_eq!(b.next().await, Event::Disconnected(LOW));
    a.connected(HIGH).await;
    b.connected(LOW).await;
}

/// Whoever has not heard that a session is over does not speak into the next one.
#[tokio::test]
async fn nothing_is_said_in_a_session_that_is_not_known_yet() {
    let (mut a, mut b) = (start(LOW), start(HIGH));
    a.peers.send(HIGH, vec![frame(0, 1)]);
    let proxy = Proxy::start(b.addr).await;
    a.peers.set(BTreeMap::from([(HIGH, proxy.addr.to_string())]));
    b.peers.set(BTreeMap::from([(LOW, a.addr.to_string())]));
    b.connected(LOW).await;
    // The beginning has not been taken.
    a.peers.send(HIGH, vec![frame(1, 1)]);
    a.connected(HIGH).await;
    a.peers.send(HIGH, vec![frame(2, 1)]);
    let Event::Frame(_, said) = b.next().await else { panic!("no frame") };
    assert_eq!(number(&said), 2);
    proxy.wire.send_replace(Wire::Cut(1));
    assert_eq!(b.next().await, Event::Disconnected(LOW));
    b.connected(LOW).await;
    sleep(Duration::from_millis(200)).await;
    // There is a new session, and the end of the old one has not been taken.
    a.peers.send(HIGH, vec![frame(3, 1)]);
    assert_eq!(a.next().await, Event::Disconnected(HIGH));
    a.peers.send(HIGH, vec![frame(4, 1)]);
    a.connected(HIGH).await;
    a.peers.send(HIGH, vec![frame(5, 1)]);
    let Event::Frame(_, said) = b.next().await else { panic!("no frame") };
    assert_eq!(number(&said), 5);
}

#[tokio::test]
async fn shutdown_says_what_waits() {
    let (mut a, mut b) = (start(LOW), start(HIGH));
    introduce(&a, &b);
    a.connected(HIGH).await;
    b.connected(LOW).await;
    a.peers.send(HIGH, (0..3000).map(|n| frame(n, 1000)).collect());
    let Node { peers, mut events, .. } = a;
    tokio::join!(peers.shutdown(), async {
        assert_eq!(b.rest(LOW).await, (0..3000).collect::<Vec<_>>());
    });
    assert_eq!(events.recv().await, Some(Event::Disconnected(HIGH)));
    assert_eq!(events.recv().await, None, "it is over");
    assert_eq!(b.next().await, Event::Refused(LOW));
}

/// The caller's runtime will do as well.
#[tokio::test]
async fn on_a_runtime_that_there_is() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let here = tokio::runtime::Handle::current();
    let (peers, events) = Peers::start_on(&here, PeerOptions::new(HIGH, ("pod", SITE), listener, plain())).unwrap();
    let (mut a, mut b) = (start(LOW), Node { me: HIGH, peers, events, addr });
    introduce(&a, &b);
    a.connected(HIGH).await;
    b.connected(LOW).await;
    b.peers.shutdown().await;
    assert_eq!(a.next().await, Event::Disconnected(HIGH));
    assert_eq!(a.next().await, Event::Refused(HIGH));
}
