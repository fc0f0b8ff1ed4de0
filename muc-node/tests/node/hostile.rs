//! Hostile bytes from the server's side of the link. What users can cause is skipped and answered, and the stream goes
//! on; what breaks the stream ends it with the right error, and the node comes back. Memory stays where it was.
//!
//! Each case is tried 1,000 times; in a build for the desk, which is ten times slower, for a few seconds.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use warren_testkit::acceptor::Acceptor;

use crate::common::{ALICE, Node, PATIENCE, ROOM, SECRET, Site};

const TRIES: u32 = 1000;
const GROWTH: u64 = 8 << 20;
const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
                      xmlns:stream='http://etherx.jabber.org/streams' from='rooms.wonderland.lit' id='x'>";

fn enough(tries: u32, since: Instant) -> bool {
    tries >= TRIES || (cfg!(debug_assertions) && tries >= 3 && since.elapsed() > Duration::from_secs(4))
}

fn stanza(inner: &str) -> Vec<u8> {
    format!("<message type='groupchat' from='{ALICE}' to='{ROOM}' id='evil'>{inner}</message>").into_bytes()
}

fn nested() -> String {
    "<abcdef>".repeat(2200) + &"</abcdef>".repeat(2200)
}

fn attributes() -> String {
    let mut element = "<x xmlns='evil'".to_owned();
    for n in 0..100_000 {
        let _ = write!(element, " a{n}='x'");
    }
    element + "/>"
}

async fn start() -> (Acceptor, Site, Node) {
    let acceptor = Acceptor::bind(SECRET).await.unwrap();
    let site = Site::of(&acceptor);
    let mut args = site.args();
    args.extend(["--reconnect-max", "2ms"].map(str::to_owned));
    let node = Node::start(&args);
    (acceptor, site, node)
}

async fn read_until(socket: &mut TcpStream, wanted: &str) {
    let mut read = String::new();
    let mut buffer = vec![0; 16 << 10];
    while !read.contains(wanted) {
        let n = timeout(PATIENCE, socket.read(&mut buffer)).await.unwrap_or_else(|_| panic!("no {wanted} in {read}"));
        let n = n.unwrap_or_default();
        assert!(n > 0, "the stream has ended without {wanted}: {read}");
        read.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
}

/// Writes while the node may answer or hang up.
async fn send(socket: &mut TcpStream, bytes: &[u8]) {
    // A node that has heard enough does not read to the end.
    drop(timeout(PATIENCE, socket.write_all(bytes)).await.expect("the node neither reads nor ends"));
}

fn check_growth(what: &str, node: &Node, before: u64, tries: u32, since: Instant) {
    let after = node.resident();
    let grown = after.saturating_sub(before) >> 10;
    println!("{what}: {tries} tries in {:?}, {grown} KiB more resident", since.elapsed());
    assert!(after <= before + GROWTH, "{what}: {} KiB -> {} KiB", before >> 10, after >> 10);
}

/// One user's stanzas on one stream.
async fn is_skipped(what: &str, stanza: &[u8]) {
    let (acceptor, _site, node) = start().await;
    let (mut socket, _) = acceptor.accept_socket(PATIENCE).await.unwrap();
    node.said("the link is up").await;
    let (before, since, mut tries) = (node.resident(), Instant::now(), 0);
    while !enough(tries, since) {
        socket.write_all(stanza).await.unwrap();
        read_until(&mut socket, "policy-violation").await;
        tries += 1;
    }
    check_growth(what, &node, before, tries, since);
    // The stream is the same and works.
    let ping = format!(
        "<iq type='get' from='{ALICE}' to='rooms.wonderland.lit' id='alive'><ping xmlns='urn:xmpp:ping'/></iq>"
    );
    socket.write_all(ping.as_bytes()).await.unwrap();
    read_until(&mut socket, "id='alive'").await;
}

/// Ends the stream with `condition`, after the handshake and before it.
async fn is_fatal(what: &str, bytes: &[u8], condition: &str) {
    let (acceptor, _site, node) = start().await;
    drop(acceptor.accept_socket(PATIENCE).await.unwrap());
    let (before, since, mut tries) = (node.resident(), Instant::now(), 0);
    while !enough(tries, since) {
        let (mut socket, _) = acceptor.accept_socket(PATIENCE).await.unwrap();
        send(&mut socket, bytes).await;
        read_until(&mut socket, condition).await;
        tries += 1;
    }
    check_growth(&format!("{what}, after the handshake"), &node, before, tries, since);
}

/// Before the handshake anything but a handshake ends the stream.
async fn is_fatal_early(what: &str, bytes: &[u8]) {
    let (acceptor, _site, node) = start().await;
    drop(acceptor.accept_socket(PATIENCE).await.unwrap());
    let (before, since, mut tries) = (node.resident(), Instant::now(), 0);
    while !enough(tries, since) {
        for header in ["", HEADER] {
            let mut socket = acceptor.accept_raw(PATIENCE).await.unwrap();
            send(&mut socket, header.as_bytes()).await;
            send(&mut socket, bytes).await;
            read_until(&mut socket, "</stream:error></stream:stream>").await;
        }
        tries += 1;
    }
    check_growth(&format!("{what}, before the handshake"), &node, before, tries, since);
    // And it still takes a proper server.
    acceptor.accept_socket(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn nested_tags() {
    is_skipped("35 KB nested tags", &stanza(&nested())).await;
    is_fatal_early("35 KB nested tags", &stanza(&nested())).await;
}

#[tokio::test]
async fn a_stanza_of_10_mb() {
    let body = format!("<body>{}</body>", "x".repeat(10_000_000));
    is_skipped("10 MB stanza", &stanza(&body)).await;
    is_fatal_early("10 MB stanza", &stanza(&body)).await;
}

#[tokio::test]
async fn a_hundred_thousand_attributes() {
    is_skipped("100,000 attributes", &stanza(&attributes())).await;
    is_fatal_early("100,000 attributes", &stanza(&attributes())).await;
}

#[tokio::test]
async fn a_dtd() {
    let bomb = b"<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><x>&b;</x>";
    is_fatal("DTD", bomb, "restricted-xml").await;
    is_fatal_early("DTD", bomb).await;
}

#[tokio::test]
async fn invalid_utf8() {
    let bytes = [b"<message><body>".as_slice(), &[0xc3, 0x28, 0xff], b"</body></message>"].concat();
    is_fatal("invalid UTF-8", &bytes, "<stream:error>").await;
    is_fatal_early("invalid UTF-8", &bytes).await;
}
