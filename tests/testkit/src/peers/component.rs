//! A component (XEP-0114) that is not Warren's: written on the bare socket, for tests of faults.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use minidom::Element;
use sha1::{Digest, Sha1};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, mpsc},
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{
    inbox::{Arrival, Inbox},
    xml::{Incoming, StreamReader},
};

const HANDSHAKE: Duration = Duration::from_secs(10);

/// A component's connection. It answers nothing by itself, no ping either.
#[derive(Debug)]
pub struct Component {
    domain: String,
    write: Mutex<OwnedWriteHalf>,
    reader: JoinHandle<OwnedReadHalf>,
    stop: mpsc::Sender<()>,
    inbox: Inbox,
}

impl Component {
    /// Connects as `domain`.
    ///
    /// # Errors
    /// When the server refuses; the error holds its stream error (`conflict`, `not-authorized` …).
    pub async fn connect(addr: SocketAddr, domain: &str, secret: &str) -> Result<Self> {
        let attempt = async {
            let mut socket = TcpStream::connect(addr).await?;
            socket.set_nodelay(true)?;
            let mut reader = StreamReader::default();
            let header = format!(
                "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
                 xmlns:stream='http://etherx.jabber.org/streams' to='{domain}'>"
            );
            socket.write_all(header.as_bytes()).await?;
            let id = match next(&mut socket, &mut reader).await?.pop_front() {
                Some(Incoming::Header(header)) => header.attr("id").unwrap_or_default().to_owned(),
                other => bail!("no stream header but {other:?}"),
            };
            let digest = data_encoding::HEXLOWER.encode(&Sha1::digest(format!("{id}{secret}")));
            socket.write_all(format!("<handshake>{digest}</handshake>").as_bytes()).await?;
            let mut answer = next(&mut socket, &mut reader).await?;
            match answer.pop_front() {
                Some(Incoming::Stanza(first)) if first.name() == "handshake" => Ok((socket, reader, answer)),
                Some(Incoming::Stanza(first)) => bail!("refused: {}", String::from(&first)),
                other => bail!("no handshake but {other:?}"),
            }
        };
        let connected = timeout(HANDSHAKE, attempt).await;
        let (socket, parser, early) = connected
            .map_err(|_| anyhow!("no answer within {HANDSHAKE:?}"))
            .flatten()
            .with_context(|| format!("component {domain} at {addr}"))?;
        let (read, write) = socket.into_split();
        let (arrivals, inbox) = Inbox::new(domain);
        let (stop, stopped) = mpsc::channel(1);
        let early = early.into_iter().collect();
        let reader = tokio::spawn(fill(read, parser, early, arrivals, stopped));
        Ok(Self { domain: domain.to_owned(), write: Mutex::new(write), reader, stop, inbox })
    }

    /// Its domain.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Writes raw text to the stream.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&self, xml: &str) -> Result<()> {
        self.write.lock().await.write_all(xml.as_bytes()).await.with_context(|| format!("{} sends", self.domain))
    }

    /// The next stanza, in the namespace `jabber:component:accept`; `None` when the stream has ended.
    ///
    /// # Errors
    /// When nothing comes within `deadline`.
    pub async fn recv(&mut self, deadline: Duration) -> Result<Option<Element>> {
        self.inbox.recv(deadline).await
    }

    /// The first stanza that `wanted` accepts; all others stay to be read. See [`Inbox::expect`].
    ///
    /// # Errors
    /// When none comes within `deadline`.
    pub async fn expect(
        &mut self,
        what: &str,
        deadline: Duration,
        wanted: impl Fn(&Element) -> bool,
    ) -> Result<Element> {
        self.inbox.expect(what, deadline, wanted).await
    }

    /// What has arrived, for all other ways of reading.
    pub fn inbox(&mut self) -> &mut Inbox {
        &mut self.inbox
    }

    /// Pings `to` from the bare domain and returns the answer, `result` or `error`.
    ///
    /// # Errors
    /// When none comes within `deadline`.
    pub async fn ping(&mut self, to: &str, id: &str, deadline: Duration) -> Result<Element> {
        let domain = self.domain.clone();
        self.send(&ping(&domain, to, id)).await?;
        self.expect(&format!("answer to ping {id}"), deadline, |stanza| {
            stanza.name() == "iq" && stanza.attr("id") == Some(id) && stanza.attr("type") != Some("get")
        })
        .await
    }

    /// Closes the stream in good order and returns what arrived until then.
    ///
    /// # Errors
    /// When the server does not close within a few seconds.
    pub async fn close(mut self) -> Result<Vec<Arrival>> {
        self.send("</stream:stream>").await?;
        self.write.get_mut().shutdown().await.ok();
        let reader = timeout(Duration::from_secs(5), &mut self.reader).await;
        reader.map_err(|_| anyhow!("{}: the server does not close the stream", self.domain))??;
        Ok(self.inbox.take())
    }

    /// Ends the connection with a reset (RST), as a crash of the machine's neighbour would.
    pub async fn kill(self) {
        self.write.lock().await.as_ref().set_zero_linger().ok();
        self.drop_socket().await;
    }

    /// Ends the connection with a FIN and without `</stream:stream>`, as a killed process does.
    pub async fn hang_up(self) {
        self.drop_socket().await;
    }

    async fn drop_socket(self) {
        drop(self.stop);
        self.write.into_inner().forget(); // no shutdown of its own: dropping the other half closes all at once
        drop(self.reader.await);
    }
}

/// A ping (XEP-0199), as text.
pub fn ping(from: &str, to: &str, id: &str) -> String {
    format!("<iq type='get' from='{from}' to='{to}' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>")
}

async fn next(socket: &mut TcpStream, reader: &mut StreamReader) -> Result<std::collections::VecDeque<Incoming>> {
    let mut buffer = [0; 4096];
    loop {
        let read = socket.read(&mut buffer).await?;
        if read == 0 {
            bail!("the server closed the connection");
        }
        let complete = reader.feed(&buffer[..read])?;
        if !complete.is_empty() {
            return Ok(complete.into());
        }
    }
}

async fn fill(
    mut read: OwnedReadHalf,
    mut parser: StreamReader,
    early: Vec<Incoming>,
    arrivals: mpsc::UnboundedSender<Arrival>,
    mut stopped: mpsc::Receiver<()>,
) -> OwnedReadHalf {
    let mut complete = early;
    let mut buffer = vec![0; 64 << 10];
    loop {
        for incoming in complete {
            let Incoming::Stanza(stanza) = incoming else { return read };
            arrivals.send(Arrival { at: Instant::now(), stanza }).ok();
        }
        let read_bytes = tokio::select! {
            read_bytes = read.read(&mut buffer) => read_bytes,
            _ = stopped.recv() => return read,
        };
        complete = match read_bytes {
            Ok(1..) => match parser.feed(&buffer[..read_bytes.unwrap_or_default()]) {
                Ok(complete) => complete,
                Err(_) => return read,
            },
            _ => return read,
        };
    }
}
