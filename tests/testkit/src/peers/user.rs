//! Real accounts, driven by tokio-xmpp.

use std::{
    borrow::Cow,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context as TaskContext, Poll, Waker, ready},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use futures::StreamExt;
use jid::{FullJid, Jid};
use minidom::Element;
use sasl::common::ChannelBinding;
use tokio::{
    io::{AsyncRead, AsyncWrite, BufStream, ReadBuf},
    net::TcpStream,
    sync::{Notify, mpsc, oneshot},
    time::{Instant, timeout},
};
use tokio_xmpp::{
    Error, Stanza,
    connect::ServerConnector,
    stanzastream::{Event, StanzaStream, StreamEvent},
    xmlstream::{PendingFeaturesRecv, StreamHeader, Timeouts, initiate_stream},
};

use super::{
    inbox::{Arrival, Inbox},
    xml,
};

/// A user who is logged in, over plain TCP. He answers nothing by himself.
///
/// The connection is never made again behind your back: when it ends, [`User::recv`] returns `None`.
#[derive(Debug)]
pub struct User {
    jid: FullJid,
    commands: mpsc::Sender<Command>,
    wire: Arc<Wire>,
    inbox: Inbox,
    ids: AtomicU64,
}

#[derive(Debug)]
enum Command {
    Send(Box<Stanza>),
    Close(oneshot::Sender<()>),
}

impl User {
    /// Logs in at `addr`. `jid` may hold a resource. No presence is sent.
    ///
    /// # Errors
    /// When it does not succeed within `deadline`, or at once when the server refuses (a wrong password).
    pub async fn login(addr: SocketAddr, jid: &str, password: &str, deadline: Duration) -> Result<Self> {
        let account: Jid = jid.parse().with_context(|| format!("{jid} is no JID"))?;
        let wire = Arc::new(Wire::new(addr));
        let connector = Plain(wire.clone());
        let mut stream = StanzaStream::new_c2s(connector, account, password.to_owned(), Timeouts::tight(), 256);
        let online = async {
            loop {
                tokio::select! {
                    () = wire.lost.notified() => bail!("the server refused the login or closed the connection"),
                    event = stream.next() => match event {
                        Some(Event::Stream(StreamEvent::Reset { bound_jid, .. })) => return Ok(bound_jid),
                        Some(_) => {}
                        None => bail!("the stream ended"),
                    }
                }
            }
        };
        let bound = timeout(deadline, online).await.map_err(|_| anyhow!("not online within {deadline:?}")).flatten();
        let bound = match bound {
            Ok(bound) => bound,
            Err(error) => {
                wire.cut(true); // else tokio-xmpp would try for ever
                return Err(error.context(format!("login of {jid} at {addr}")));
            }
        };
        let jid = bound.try_into_full().map_err(|bare| anyhow!("{bare}: bound without a resource"))?;
        let (arrivals, inbox) = Inbox::new(jid.to_string());
        let (commands, todo) = mpsc::channel(64);
        tokio::spawn(own(stream, wire.clone(), todo, arrivals));
        Ok(Self { jid, commands, wire, inbox, ids: AtomicU64::new(1) })
    }

    /// The full JID the server has bound.
    pub fn jid(&self) -> &FullJid {
        &self.jid
    }

    /// The JID without its resource.
    pub fn bare(&self) -> String {
        self.jid.to_bare().to_string()
    }

    /// An id that this user has not used before.
    pub fn fresh_id(&self) -> String {
        format!("u{}", self.ids.fetch_add(1, Relaxed))
    }

    /// Sends a stanza given as text; without an `xmlns` it is in `jabber:client`.
    ///
    /// # Errors
    /// When it is no stanza, or the connection is gone.
    pub async fn send(&self, stanza: &str) -> Result<()> {
        self.send_element(xml::element(stanza)?).await
    }

    /// Sends a stanza.
    ///
    /// # Errors
    /// When it is no stanza, or the connection is gone.
    pub async fn send_element(&self, stanza: Element) -> Result<()> {
        let stanza = Box::new(stanza_of(stanza)?);
        self.commands.send(Command::Send(stanza)).await.map_err(|_| anyhow!("{}: the connection is gone", self.jid))
    }

    /// The next stanza; `None` when the connection has ended and all was read.
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

    /// Sends the first presence and waits for its echo: after it, messages to the bare JID arrive.
    ///
    /// # Errors
    /// When the echo does not come within `deadline`.
    pub async fn available(&mut self, deadline: Duration) -> Result<()> {
        let id = self.fresh_id();
        self.send(&format!("<presence id='{id}'/>")).await?;
        let me = self.jid.to_string();
        self.expect("echo of the presence", deadline, |stanza| {
            stanza.name() == "presence" && stanza.attr("from") == Some(&me) && stanza.attr("id") == Some(&id)
        })
        .await?;
        Ok(())
    }

    /// Joins a room (XEP-0045, no history) and returns our own presence there (status 110).
    ///
    /// # Errors
    /// When the room refuses, with its error, or does not answer within `deadline`.
    pub async fn join(&mut self, room: &str, nick: &str, deadline: Duration) -> Result<Element> {
        let seat = format!("{room}/{nick}");
        self.send(&format!(
            "<presence to='{seat}'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>"
        ))
        .await?;
        let own = self
            .expect(&format!("own presence in {room}"), deadline, |stanza| {
                let from = stanza.attr("from").unwrap_or_default();
                let refused = stanza.attr("type") == Some("error") && from.starts_with(room);
                stanza.name() == "presence" && (refused || from.starts_with(room) && has_status(stanza, "110"))
            })
            .await?;
        match xml::error_of(&own) {
            None => Ok(own),
            Some(error) => bail!("{} may not join {room}: {error:?}", self.jid),
        }
    }

    /// Pings our own seat in a room (XEP-0410) and returns the answer, `result` or `error`.
    ///
    /// # Errors
    /// When none comes within `deadline`.
    pub async fn self_ping(&mut self, seat: &str, deadline: Duration) -> Result<Element> {
        let id = self.fresh_id();
        self.send(&format!("<iq type='get' to='{seat}' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>")).await?;
        self.expect("answer to the self-ping", deadline, |stanza| {
            stanza.name() == "iq" && stanza.attr("id") == Some(&id) && stanza.attr("type") != Some("get")
        })
        .await
    }

    /// Closes the stream in good order.
    ///
    /// # Errors
    /// When that takes longer than a few seconds.
    pub async fn close(self) -> Result<()> {
        let (done, closed) = oneshot::channel();
        if self.commands.send(Command::Close(done)).await.is_ok() {
            timeout(Duration::from_secs(20), closed)
                .await
                .with_context(|| format!("{} does not get closed", self.jid))?
                .ok();
        }
        self.wire.cut(false);
        Ok(())
    }

    /// Drops the TCP connection with a reset (RST).
    pub fn kill(self) {
        self.wire.cut(true);
    }

    /// Drops the TCP connection with a FIN and without `</stream:stream>`.
    pub fn hang_up(self) {
        self.wire.cut(false);
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.wire.cut(false);
    }
}

/// Whether a presence of a room carries this status code.
pub fn has_status(presence: &Element, code: &str) -> bool {
    let of_muc = presence.children().filter(|child| child.is("x", "http://jabber.org/protocol/muc#user"));
    of_muc.flat_map(Element::children).any(|child| child.name() == "status" && child.attr("code") == Some(code))
}

/// The one task that owns the stream: sharing it loses wake-ups.
async fn own(
    mut stream: StanzaStream,
    wire: Arc<Wire>,
    mut commands: mpsc::Receiver<Command>,
    arrivals: mpsc::UnboundedSender<Arrival>,
) {
    loop {
        tokio::select! {
            () = wire.lost.notified() => return,
            command = commands.recv() => match command {
                Some(Command::Send(stanza)) => drop(stream.send(stanza).await),
                Some(Command::Close(done)) => {
                    stream.close().await;
                    done.send(()).ok();
                    return;
                }
                None => return,
            },
            event = stream.next() => match event {
                Some(Event::Stanza(stanza)) => {
                    let stanza = match stanza {
                        Stanza::Message(message) => message.into(),
                        Stanza::Presence(presence) => presence.into(),
                        Stanza::Iq(iq) => iq.into(),
                    };
                    arrivals.send(Arrival { at: Instant::now(), stanza }).ok();
                }
                Some(Event::Stream(_)) => {}
                None => return,
            },
        }
    }
}

fn stanza_of(stanza: Element) -> Result<Stanza> {
    let text = String::from(&stanza);
    let typed = match stanza.name() {
        "message" => xmpp_parsers::message::Message::try_from(stanza).map(Stanza::from),
        "presence" => xmpp_parsers::presence::Presence::try_from(stanza).map(Stanza::from),
        "iq" => xmpp_parsers::iq::Iq::try_from(stanza).map(Stanza::from),
        _ => bail!("no stanza: {text}"),
    };
    typed.map_err(|error| anyhow!("{error:?} in {text}"))
}

/// One TCP connection that can be cut from outside and is never made twice.
#[derive(Debug)]
struct Wire {
    addr: SocketAddr,
    socket: Mutex<Option<TcpStream>>,
    reader: Mutex<Option<Waker>>,
    used: AtomicBool,
    /// Told when a second connection would be needed.
    lost: Notify,
}

impl Wire {
    fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            socket: Mutex::default(),
            reader: Mutex::default(),
            used: AtomicBool::new(false),
            lost: Notify::new(),
        }
    }

    fn cut(&self, reset: bool) {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(socket) = socket
            && reset
        {
            socket.set_zero_linger().ok();
        }
        self.used.store(true, Relaxed);
        self.lost.notify_one();
        if let Some(reader) = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take() {
            reader.wake();
        }
    }
}

#[derive(Clone, Debug)]
struct Plain(Arc<Wire>);

impl ServerConnector for Plain {
    type Stream = BufStream<Tap>;

    async fn connect(
        &self,
        jid: &Jid,
        ns: &'static str,
        timeouts: Timeouts,
    ) -> Result<(PendingFeaturesRecv<Self::Stream>, ChannelBinding), Error> {
        let wire = &self.0;
        if wire.used.swap(true, Relaxed) {
            wire.lost.notify_one();
            return std::future::pending().await; // an error would only be tried again, with a line in the log
        }
        let socket = TcpStream::connect(wire.addr).await?;
        socket.set_nodelay(true)?;
        *wire.socket.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
        let header = StreamHeader { to: Some(Cow::Owned(jid.domain().to_string())), from: None, id: None };
        let stream = initiate_stream(BufStream::new(Tap(wire.clone())), ns, header, timeouts).await?;
        Ok((stream, ChannelBinding::None))
    }
}

/// The socket of a [`Wire`], as long as it has one.
#[derive(Debug)]
struct Tap(Arc<Wire>);

impl Tap {
    fn with<T>(&self, act: impl FnOnce(Pin<&mut TcpStream>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match self.0.socket.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(socket) => act(Pin::new(socket)),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }
}

impl AsyncRead for Tap {
    fn poll_read(self: Pin<&mut Self>, cx: &mut TaskContext<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        *self.0.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        ready!(self.with(|socket| socket.poll_read(cx, buf)))?;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(self: Pin<&mut Self>, cx: &mut TaskContext<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|socket| socket.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.with(|socket| socket.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.with(|socket| socket.poll_shutdown(cx))
    }
}
