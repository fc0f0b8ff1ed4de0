//! Over TLS, with certificates that change.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;
use warren_mesh::grpc::Event;
use warren_tls::{ClientSide, ServerSide};

use crate::authority::Authority;
use crate::common::*;

const HOST: &str = "rooms-mesh.chat.svc";

pub fn sides(authority: &Authority, dir: &Path) -> (ServerSide, ClientSide) {
    let files = authority.write(dir, HOST);
    (ServerSide::mutual(files.clone()).unwrap(), ClientSide::mutual(files, HOST).unwrap())
}

#[tokio::test]
async fn both_prove_themselves_with_the_newest_certificates() {
    let (old, new) = (Authority::new(), Authority::new());
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let mut a = start_with(LOW, sides(&old, dirs[0].path()), |_| {});
    let mut b = start_with(HIGH, sides(&old, dirs[1].path()), |_| {});
    let proxy = Proxy::start(b.addr).await;
    a.peers.set(BTreeMap::from([(HIGH, proxy.addr.to_string())]));
    b.peers.set(BTreeMap::from([(LOW, a.addr.to_string())]));
    a.connected(HIGH).await;
    b.connected(LOW).await;
    a.peers.send(HIGH, (0..100).map(|n| frame(n, 1000)).collect());
    for n in 0..100 {
        assert_eq!(b.next().await, Event::Frame(LOW, frame(n, 1000)));
    }

    // One side has the new authority alone: no session, until the other one has it as well.
    new.write(dirs[0].path(), HOST);
    sleep(Duration::from_millis(5500)).await;
    a.silent(Duration::from_millis(1)).await;
    proxy.wire.send_replace(Wire::Cut(1));
    assert_eq!(a.next().await, Event::Disconnected(HIGH));
    assert_eq!(b.next().await, Event::Disconnected(LOW));
    a.silent(Duration::from_millis(500)).await;
    new.write(dirs[1].path(), HOST);
    a.connected(HIGH).await;
    b.connected(LOW).await;

    // Nobody else is let in, with or without a certificate.
    for sides in [sides(&old, dirs[2].path()), plain()] {
        let mut stranger = start_with(LOW, sides, |_| {});
        stranger.peers.set(BTreeMap::from([(HIGH, b.addr.to_string())]));
        stranger.silent(Duration::from_millis(400)).await;
    }
    b.silent(Duration::from_millis(1)).await;
}
