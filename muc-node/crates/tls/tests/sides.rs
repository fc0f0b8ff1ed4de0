//! Over real sockets: only those who prove themselves get through, and new files are used without a restart.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod authority;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use authority::Authority;
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use warren_tls::{ClientSide, Files, ServerSide};

const HOST: &str = "rooms-control.chat.svc";

/// Says back what it hears.
async fn echo(security: ServerSide) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut incoming = Box::pin(security.incoming(listener, "test"));
        while let Some(io) = incoming.next().await {
            let mut io = io.unwrap();
            tokio::spawn(async move {
                let mut byte = [0];
                while io.read_exact(&mut byte).await.is_ok() && io.write_all(&byte).await.is_ok() {
                    io.flush().await.unwrap();
                }
            });
        }
    });
    addr
}

async fn call(addr: SocketAddr, side: &ClientSide) -> io::Result<u8> {
    let mut io = side.connect(addr).await?;
    io.write_all(b"x").await?;
    io.flush().await?;
    let mut byte = [0];
    tokio::time::timeout(Duration::from_secs(5), io.read_exact(&mut byte)).await.map_err(io::Error::other)??;
    // Whoever speaks TLS answers the clear with an alert.
    if &byte == b"x" { Ok(byte[0]) } else { Err(io::Error::other("that is not what was said")) }
}

#[tokio::test]
async fn plaintext_is_for_loopback() {
    for (addr, ok) in [("127.0.0.1:1", true), ("[::1]:1", true), ("10.0.0.1:1", false), ("0.0.0.0:1", false)] {
        let addr = addr.parse().unwrap();
        assert_eq!((ServerSide::plaintext(addr).is_ok(), ClientSide::plaintext(addr).is_ok()), (ok, ok), "{addr}");
    }
    let addr = echo(ServerSide::plaintext("127.0.0.1:1".parse().unwrap()).unwrap()).await;
    let side = ClientSide::plaintext(addr).unwrap();
    assert_eq!(call(addr, &side).await.unwrap(), b'x');
    let error = call("192.0.2.1:1".parse().unwrap(), &side).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
}

#[tokio::test]
async fn both_sides_prove_themselves() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let dirs: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let pod = ours.write(dirs[0].path(), HOST);
    let addr = echo(ServerSide::mutual(pod.clone()).unwrap()).await;
    let caller = ours.write(dirs[1].path(), "caller");
    let mutual = |files: &Files, host: &str| ClientSide::mutual(files.clone(), host).unwrap();

    assert_eq!(call(addr, &mutual(&caller, HOST)).await.unwrap(), b'x');
    assert!(call(addr, &mutual(&caller, "other.chat.svc")).await.is_err(), "another host");
    assert!(call(addr, &ClientSide::plaintext(addr).unwrap()).await.is_err(), "no TLS");
    let mut stranger = theirs.write(dirs[2].path(), "caller");
    assert!(call(addr, &mutual(&stranger, HOST)).await.is_err(), "the listener is not known");
    stranger.ca = caller.ca.clone();
    assert!(call(addr, &mutual(&stranger, HOST)).await.is_err(), "the caller is not known");
    let pem = [&caller.cert, &caller.key, &caller.ca].map(|path| std::fs::read(path).unwrap());
    assert!(call(addr, &ClientSide::from_pem(&pem[0], &pem[1], &pem[2], HOST).unwrap()).await.is_ok());
    let error = ClientSide::from_pem(b"", &pem[1], &pem[2], HOST).err().unwrap();
    assert!(error.to_string().contains("no certificate"), "{error}");
    let error = ServerSide::mutual(Files { key: dirs[0].path().join("none"), ..pod.clone() }).err().unwrap();
    assert!(error.to_string().contains("none"), "{error}");

    // New files are used without a restart, on both sides; broken ones leave the old in force.
    let lasting = mutual(&caller, HOST);
    std::fs::write(&pod.cert, "broken").unwrap();
    tokio::time::sleep(Duration::from_millis(5500)).await;
    assert!(call(addr, &lasting).await.is_ok());
    theirs.write(dirs[0].path(), HOST);
    theirs.write(dirs[1].path(), "caller");
    stranger = theirs.write(dirs[2].path(), "caller");
    tokio::time::sleep(Duration::from_millis(5500)).await;
    assert!(call(addr, &mutual(&stranger, HOST)).await.is_ok());
    assert!(call(addr, &lasting).await.is_ok(), "the same side with the new files");
    assert!(call(addr, &ClientSide::from_pem(&pem[0], &pem[1], &pem[2], HOST).unwrap()).await.is_err());
}

#[tokio::test]
async fn a_cut_ends_a_connection_that_waits() {
    let addr = echo(ServerSide::plaintext("127.0.0.1:1".parse().unwrap()).unwrap()).await;
    let mut io = ClientSide::plaintext(addr).unwrap().connect(addr).await.unwrap();
    let cut = io.cut();
    let waiting = tokio::spawn(async move { io.read_u8().await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    cut.cut();
    let error = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
}
