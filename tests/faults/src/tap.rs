//! A proxy that keeps what it passes: the wire between a node and its server.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Result, bail};
use minidom::Element;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::AbortHandle,
    time::{Instant, sleep},
};
use warren_testkit::peers::xml::{Incoming, StreamReader};

/// Takes connections, passes them on and keeps the stanzas of both directions, in order.
#[derive(Debug)]
pub struct Tap {
    addr: SocketAddr,
    kept: Arc<[Mutex<Vec<Element>>; 2]>,
    acceptor: AbortHandle,
}

/// Which way a stanza goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the node to its server.
    Out,
    /// From the server to the node.
    In,
}

impl Tap {
    /// Starts it before `upstream`.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let kept = Arc::new([const { Mutex::new(Vec::new()) }; 2]);
        let acceptor = tokio::spawn(accept(listener, upstream, kept.clone())).abort_handle();
        Ok(Self { addr, kept, acceptor })
    }

    /// Where to connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// All stanzas that went this way and that `wanted` accepts.
    pub fn stanzas(&self, way: Way, wanted: impl Fn(&Element) -> bool) -> Vec<Element> {
        let kept = self.kept[way as usize].lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().filter(|stanza| wanted(stanza)).cloned().collect()
    }

    /// The last stanzas of both directions, newest first, for people.
    pub fn report(&self) -> String {
        let last =
            |way| self.stanzas(way, |_| true).iter().rev().take(12).map(String::from).collect::<Vec<_>>().join("\n");
        format!("--- sent by the node\n{}\n--- received by the node\n{}", last(Way::Out), last(Way::In))
    }

    /// The first of them; waits for it.
    ///
    /// # Errors
    /// When none comes within `deadline`.
    pub async fn expect(
        &self,
        what: &str,
        way: Way,
        deadline: Duration,
        wanted: impl Fn(&Element) -> bool,
    ) -> Result<Element> {
        let end = Instant::now() + deadline;
        loop {
            if let Some(first) = self.stanzas(way, &wanted).into_iter().next() {
                return Ok(first);
            }
            if Instant::now() > end {
                bail!("no {what} on the wire within {deadline:?}\n{}", self.report());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn accept(listener: TcpListener, upstream: SocketAddr, kept: Arc<[Mutex<Vec<Element>>; 2]>) {
    while let Ok((node, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(upstream).await else { continue };
        let ((from_node, to_node), (from_server, to_server)) = (node.into_split(), server.into_split());
        tokio::spawn(pass(from_node, to_server, kept.clone(), Way::Out));
        tokio::spawn(pass(from_server, to_node, kept.clone(), Way::In));
    }
}

/// One direction. An end of either side ends it; the other direction sees that by itself.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, kept: Arc<[Mutex<Vec<Element>>; 2]>, way: Way) {
    let mut reader = StreamReader::default();
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let complete = reader.feed(&buffer[..read]).unwrap_or_default();
        let stanzas = complete.into_iter().filter_map(|incoming| match incoming {
            Incoming::Stanza(stanza) => Some(stanza),
            Incoming::Header(_) | Incoming::End => None,
        });
        kept[way as usize].lock().unwrap_or_else(PoisonError::into_inner).extend(stanzas);
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
