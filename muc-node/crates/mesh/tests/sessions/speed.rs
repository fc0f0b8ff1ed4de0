//! How much passes. Printed; what is checked is that it is not absurd.

use std::time::Duration;

use tokio::time::Instant;
use warren_mesh::grpc::Event;
use warren_tls::{ClientSide, ServerSide};

use crate::authority::Authority;
use crate::common::*;
use crate::security::sides;

async fn measure(name: &str, sides: [(ServerSide, ClientSide); 2]) {
    const FRAMES: u32 = 20_000;
    let [one, other] = sides;
    let (mut a, mut b) = (start_with(LOW, one, |_| {}), start_with(HIGH, other, |_| {}));
    introduce(&a, &b);
    a.connected(HIGH).await;
    b.connected(LOW).await;
    let since = Instant::now();
    let mut sent = 0;
    let mut taken = 0;
    while taken < FRAMES {
        // As a loop would: a batch at each turn, as long as not much waits.
        if sent < FRAMES && a.peers.queued_bytes(HIGH) < 1 << 20 {
            a.peers.send(HIGH, (0..50).map(|n| frame(n, 1024)).collect());
            sent += 50;
        }
        let Event::Frame(..) = b.next().await else { panic!("no frame") };
        taken += 1;
        while taken < FRAMES && b.events.try_recv().is_some() {
            taken += 1;
        }
    }
    let took = since.elapsed();
    let rate = f64::from(FRAMES) / took.as_secs_f64();
    let profile = if cfg!(debug_assertions) { "without optimisation" } else { "optimised" };
    println!("{name}: {rate:.0} frames of 1 KB a second ({profile})");
    assert!(took < Duration::from_mins(1), "{took:?}");
}

#[tokio::test]
async fn throughput() {
    measure("in the clear", [plain(), plain()]).await;
    let authority = Authority::new();
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    measure("TLS", [sides(&authority, dirs[0].path()), sides(&authority, dirs[1].path())]).await;
}
