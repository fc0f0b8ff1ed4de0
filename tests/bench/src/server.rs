//! The server at the other end of the node's link: handshake, answers to pings, counting.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;

use anyhow::{Result, ensure};
use data_encoding::HEXLOWER;
use sha1::{Digest, Sha1};

use crate::time;

/// Our end of the link.
pub struct Link {
    /// To the thread that writes: what we play and the answers to pings must not end up inside one another, and
    /// whoever waits for the socket must not keep the other from reading.
    pub write: Sender<Vec<u8>>,
    /// What has arrived.
    pub seen: Seen,
}

/// Stanzas that have arrived.
#[derive(Clone, Default)]
pub struct Seen {
    /// With a body.
    pub messages: Arc<AtomicU64>,
    /// With an empty subject: the end of a join.
    pub subjects: Arc<AtomicU64>,
}

impl Link {
    /// Takes the node's connection and shakes hands.
    pub fn accept(listener: &TcpListener, domain: &str, secret: &str) -> Result<Self> {
        Self::listen(listener.accept()?.0, domain, secret, |_| {})
    }

    /// Shakes hands on this connection. `each` gets whole tags as they come, some at a time.
    pub fn listen(
        mut socket: TcpStream,
        domain: &str,
        secret: &str,
        each: impl FnMut(&str) + Send + 'static,
    ) -> Result<Self> {
        socket.set_nodelay(true)?;
        let mut heard = String::new();
        until(&mut socket, &mut heard, ">")?;
        while !heard.contains("jabber:component:accept") {
            until(&mut socket, &mut heard, ">")?;
        }
        let header = format!(
            "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' \
             from='{domain}' id='1'>"
        );
        socket.write_all(header.as_bytes())?;
        until(&mut socket, &mut heard, "</handshake>")?;
        ensure!(heard.contains(&HEXLOWER.encode(&Sha1::digest(format!("1{secret}")))), "the node's handshake is wrong");
        socket.write_all(b"<handshake/>")?;
        let (write, orders) = mpsc::channel::<Vec<u8>>();
        let (read, answer, seen) = (socket.try_clone()?, write.clone(), Seen::default());
        thread::spawn(move || {
            // Until the node is gone, which the run notices by itself.
            while orders.recv().is_ok_and(|bytes| socket.write_all(&bytes).is_ok()) {}
        });
        let counted = seen.clone();
        thread::spawn(move || hear(read, &counted, &answer, each));
        Ok(Self { write, seen })
    }
}

/// Counts what comes and answers pings, until the other end hangs up.
fn hear(mut socket: TcpStream, seen: &Seen, answer: &Sender<Vec<u8>>, mut each: impl FnMut(&str)) {
    let mut buffer = vec![0; 256 << 10];
    let mut text = String::new();
    while let Ok(n @ 1..) = socket.read(&mut buffer) {
        text.push_str(&String::from_utf8_lossy(&buffer[..n]));
        let Some(end) = text.rfind('>') else { continue };
        let rest = text.split_off(end + 1);
        each(&text);
        let count = |what: &str| text.matches(what).count() as u64;
        seen.messages.fetch_add(count("</body>"), Ordering::Relaxed);
        seen.subjects.fetch_add(count("<subject/>"), Ordering::Relaxed);
        for ping in text.split("<iq ").skip(1) {
            let attr = |name: &str| {
                ping.split(&format!("{name}='")).nth(1).and_then(|rest| rest.split('\'').next()).unwrap_or_default()
            };
            let (from, to, id) = (attr("from"), attr("to"), attr("id"));
            let reply = if from == to {
                format!("<iq type='get' from='{to}' to='{from}' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>")
            } else {
                format!("<iq type='result' from='{to}' to='{from}' id='{id}'/>")
            };
            answer.send(reply.into_bytes()).ok();
        }
        text = rest;
    }
}

fn until(socket: &mut TcpStream, heard: &mut String, what: &str) -> Result<()> {
    let mut buffer = [0; 4096];
    let from = heard.len();
    while !heard[from..].contains(what) {
        let n = socket.read(&mut buffer)?;
        ensure!(n > 0, "the node has closed the connection");
        heard.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    Ok(())
}

/// CPU nanoseconds of copying one delivery of the size that the node makes and writing it to a loopback socket, 64 KiB
/// at a time. The same server reads it as reads from the node: what the kernel charges the writer with depends on
/// how fast the reader is.
pub fn loopback_limit() -> Result<f64> {
    const SIZE: usize = 560;
    const COUNT: u32 = 400_000;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut socket = TcpStream::connect(listener.local_addr()?)?;
    socket.set_nodelay(true)?;
    let (peer, _) = listener.accept()?;
    let reader = thread::spawn(move || hear(peer, &Seen::default(), &mpsc::channel().0, |_| {}));
    let mut stanza = b"<message><body>".to_vec();
    stanza.resize(SIZE - b"</body></message>".len(), b'x');
    stanza.extend_from_slice(b"</body></message>");
    let mut buffer = Vec::with_capacity(65 << 10);
    let begin = time::thread();
    for _ in 0..COUNT {
        buffer.extend_from_slice(&stanza);
        if buffer.len() >= 64 << 10 {
            socket.write_all(&buffer)?;
            buffer.clear();
        }
    }
    let spent = time::thread().saturating_sub(begin);
    drop(socket);
    reader.join().ok();
    Ok(spent.as_secs_f64() * 1e9 / f64::from(COUNT))
}
