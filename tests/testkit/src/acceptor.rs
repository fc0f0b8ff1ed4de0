//! A server that is none: the accepting side of component links (XEP-0114), for tests of `muc-node` that want to say
//! every byte themselves.
//!
//! [`Acceptor::accept`] takes one connection through the handshake; call it again for the reconnect. What the node
//! sends is read at once into an inbox, and, unless told otherwise, the plumbing is answered as a server and its
//! neighbours would: pings to a bare domain get a result, the node's pings to itself come back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use minidom::Element;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::peers::inbox::{Arrival, Inbox};
use crate::peers::xml::{Incoming, StreamReader};

const STREAM_ID: &str = "c0ffee";

/// Listens for components on a port of its own.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
    secret: String,
    answers: bool,
}

/// An accepted link. Dropping it closes the connection without a word, as a killed server does.
#[derive(Debug)]
pub struct Link {
    domain: String,
    write: Arc<Mutex<OwnedWriteHalf>>,
    reader: JoinHandle<()>,
    inbox: Inbox,
}

impl Acceptor {
    /// Listens on 127.0.0.1. Components must know `secret`.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn bind(secret: &str) -> Result<Self> {
        Self::bind_to("127.0.0.1:0".parse()?, secret).await
    }

    /// The same on an address that was used before.
    ///
    /// # Errors
    /// When it is taken.
    pub async fn bind_to(addr: SocketAddr, secret: &str) -> Result<Self> {
        let listener = TcpListener::bind(addr).await.with_context(|| format!("{addr}"))?;
        Ok(Self { listener, secret: secret.to_owned(), answers: true })
    }

    /// Leaves pings unanswered.
    #[must_use]
    pub fn mute(mut self) -> Self {
        self.answers = false;
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn addr(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// The next connection as it is, before anything is said.
    ///
    /// # Errors
    /// When none comes within `deadline`.
    pub async fn accept_raw(&self, deadline: Duration) -> Result<TcpStream> {
        let accepted = timeout(deadline, self.listener.accept()).await;
        let (socket, _) = accepted.map_err(|_| anyhow!("no component came within {deadline:?}"))??;
        socket.set_nodelay(true)?;
        Ok(socket)
    }

    /// The next connection, as far as the end of the handshake; what comes after it is unread.
    ///
    /// # Errors
    /// When none comes within `deadline`, or it does not know the secret.
    pub async fn accept_socket(&self, deadline: Duration) -> Result<(TcpStream, String)> {
        let mut socket = self.accept_raw(deadline).await?;
        let domain = timeout(deadline, handshake(&mut socket, &self.secret)).await;
        Ok((socket, domain.map_err(|_| anyhow!("no handshake within {deadline:?}"))??))
    }

    /// The next link, ready for stanzas.
    ///
    /// # Errors
    /// As [`Acceptor::accept_socket`].
    pub async fn accept(&self, deadline: Duration) -> Result<Link> {
        let (socket, domain) = self.accept_socket(deadline).await?;
        let (read, write) = socket.into_split();
        let write = Arc::new(Mutex::new(write));
        let (arrivals, inbox) = Inbox::new(format!("the server of {domain}"));
        let answers = self.answers.then(|| write.clone());
        let reader = tokio::spawn(fill(read, answers, arrivals));
        Ok(Link { domain, write, reader, inbox })
    }
}

impl Link {
    /// The component's domain.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Writes raw text or bytes to the stream.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&self, xml: impl AsRef<[u8]>) -> Result<()> {
        self.write.lock().await.write_all(xml.as_ref()).await.context("the component is gone")
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

    /// What has arrived, for all other ways of reading. The answered plumbing is not in it.
    pub fn inbox(&mut self) -> &mut Inbox {
        &mut self.inbox
    }

    /// A user joins a room: sends it and waits for the subject, which comes last.
    ///
    /// # Errors
    /// When the room does not let the user in within `deadline`.
    pub async fn join(&mut self, user: &str, seat: &str, deadline: Duration) -> Result<()> {
        self.send(format!(
            "<presence from='{user}' to='{seat}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ))
        .await?;
        let subject = |stanza: &Element| {
            stanza.attr("to") == Some(user)
                && (stanza.attr("type") == Some("error") || stanza.children().any(|child| child.name() == "subject"))
        };
        let stanza = self.expect(&format!("subject for {user}"), deadline, subject).await?;
        ensure!(stanza.attr("type") != Some("error"), "{user} is not let in: {}", String::from(&stanza));
        Ok(())
    }

    /// Waits until the component has ended its stream, ends ours, and returns what came until then.
    ///
    /// # Errors
    /// When it does not end within `deadline`.
    pub async fn ended(mut self, deadline: Duration) -> Result<Vec<Arrival>> {
        let ended = timeout(deadline, &mut self.reader).await;
        ended.map_err(|_| anyhow!("{} does not end its stream within {deadline:?}", self.domain))??;
        self.send("</stream:stream>").await.ok();
        Ok(self.inbox.take())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Answers the header and checks the handshake. Returns the domain that the component wants to be.
async fn handshake(socket: &mut TcpStream, secret: &str) -> Result<String> {
    let mut reader = StreamReader::default();
    let domain = match next(socket, &mut reader).await? {
        Incoming::Header(header) => header.attr("to").unwrap_or_default().to_owned(),
        other => bail!("no stream header but {other:?}"),
    };
    let header = format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
         xmlns:stream='http://etherx.jabber.org/streams' from='{domain}' id='{STREAM_ID}'>"
    );
    socket.write_all(header.as_bytes()).await?;
    let expected = data_encoding::HEXLOWER.encode(&Sha1::digest(format!("{STREAM_ID}{secret}")));
    match next(socket, &mut reader).await? {
        Incoming::Stanza(stanza) if stanza.name() == "handshake" && stanza.text() == expected => {}
        Incoming::Stanza(stanza) if stanza.name() == "handshake" => {
            let error = "<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
            socket.write_all(format!("{error}</stream:stream>").as_bytes()).await?;
            bail!("{domain} does not know the secret");
        }
        other => bail!("no handshake but {other:?}"),
    }
    socket.write_all(b"<handshake/>").await?;
    Ok(domain)
}

/// The next thing. Before the handshake is answered nothing follows it, so nothing is lost.
async fn next(socket: &mut TcpStream, reader: &mut StreamReader) -> Result<Incoming> {
    let mut buffer = [0; 4096];
    loop {
        let read = socket.read(&mut buffer).await?;
        ensure!(read > 0, "the component closed the connection");
        if let Some(first) = reader.feed(&buffer[..read])?.into_iter().next() {
            return Ok(first);
        }
    }
}

async fn fill(
    mut read: OwnedReadHalf,
    answers: Option<Arc<Mutex<OwnedWriteHalf>>>,
    arrivals: mpsc::UnboundedSender<Arrival>,
) {
    // The header was read before: the reader wants one of its own.
    let mut reader = StreamReader::default();
    let header = "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'>";
    if reader.feed(header.as_bytes()).is_err() {
        return;
    }
    let mut buffer = vec![0; 64 << 10];
    loop {
        let Ok(1..) = read.read(&mut buffer).await.inspect(|n| buffer.truncate(*n)) else { return };
        let Ok(complete) = reader.feed(&buffer) else { return };
        buffer.resize(64 << 10, 0);
        for incoming in complete {
            let Incoming::Stanza(stanza) = incoming else { return };
            if let (Some(write), Some(answer)) = (&answers, answer(&stanza)) {
                // A component that went away needs no answer.
                write.lock().await.write_all(answer.as_bytes()).await.ok();
            } else {
                arrivals.send(Arrival { at: Instant::now(), stanza }).ok();
            }
        }
    }
}

/// What a server makes of the plumbing; `None` for everything else.
fn answer(stanza: &Element) -> Option<String> {
    let (from, to, id) = (stanza.attr("from")?, stanza.attr("to")?, stanza.attr("id")?);
    let ping = stanza.name() == "iq" && stanza.attr("type") == Some("get") && stanza.has_child("ping", "urn:xmpp:ping");
    if !ping || to.contains(['@', '/']) {
        return None;
    }
    Some(if from == to {
        format!("<iq type='get' from='{from}' to='{to}' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>")
    } else {
        format!("<iq type='result' from='{to}' to='{from}' id='{id}'/>")
    })
}
