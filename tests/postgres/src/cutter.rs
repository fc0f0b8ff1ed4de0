//! A proxy that understands enough of the protocol to cut a connection at a statement.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What happens when a statement is seen. Each order holds for one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It does not reach the server, and neither does anything after it.
    Before,
    /// The server does it, and its answer is lost.
    After,
    /// As `Before`, but nobody is told: both ends wait.
    Silently,
    /// The server gets half of its message, and nobody is told.
    Halfway,
    /// The server does it, but does not hear that this was all of it, so it neither answers nor counts as idle. Nobody
    /// is told.
    Unfinished,
}

/// A proxy in front of a server. It speaks no TLS.
#[derive(Debug)]
pub struct Cutter {
    at: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    order: Mutex<Option<(String, Cut)>>,
    cuts: AtomicUsize,
    closed: AtomicBool,
}

impl Cutter {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When there is none.
    pub fn start(upstream: SocketAddr) -> io::Result<Self> {
        Self::relay_from(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, upstream)
    }

    /// Takes connections from this listener. Those to the server are made by threads that this thread begins: if it is
    /// in another network, so are they.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn relay_from(listener: TcpListener, upstream: SocketAddr) -> io::Result<Self> {
        let at = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream,
            order: Mutex::new(None),
            cuts: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if own.closed.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(client) = client {
                    let shared = Arc::clone(&own);
                    thread::spawn(move || drop(shared.relay(&client)));
                }
            }
        });
        Ok(Self { at, shared })
    }

    /// Where to connect.
    pub fn port(&self) -> u16 {
        self.at.port()
    }

    /// The next statement that begins with this text cuts its connection.
    pub fn cut(&self, statement: &str, how: Cut) {
        *self.shared.order.lock().unwrap_or_else(PoisonError::into_inner) = Some((statement.to_owned(), how));
    }

    /// How many connections were cut.
    pub fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(self.at);
    }
}

impl Shared {
    fn relay(&self, client: &TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(self.upstream)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let deaf = Arc::new(AtomicBool::new(false));
        let answers = {
            let (from, to, deaf) = (server.try_clone()?, client.try_clone()?, Arc::clone(&deaf));
            thread::spawn(move || drop(answers(from, to, &deaf)))
        };
        let ended = self.questions(client, &server, &deaf);
        if !matches!(ended, Ok(Some(Cut::Silently | Cut::Halfway | Cut::Unfinished))) {
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
        let _ = answers.join();
        ended.map(drop)
    }

    /// From the client to the server, message by message.
    fn questions(&self, client: &TcpStream, mut server: &TcpStream, deaf: &AtomicBool) -> io::Result<Option<Cut>> {
        let mut from = io::BufReader::with_capacity(1 << 16, client);
        // The first message has no kind.
        let mut startup = vec![0; 4];
        from.read_exact(&mut startup)?;
        let length = length(&startup);
        startup.resize(length, 0);
        from.read_exact(&mut startup[4..])?;
        server.write_all(&startup)?;
        let mut statements: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
        loop {
            let Ok(mut message) = read_message(&mut from) else { return Ok(None) };
            let mut parts = message[5..].split(|byte| *byte == 0);
            let (first, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let seen = match message[0] {
                // Parse: name, text.
                b'P' => {
                    statements.insert(first.to_vec(), second.to_vec());
                    None
                }
                // Bind: portal, name.
                b'B' => statements.get(second).map(|text| String::from_utf8_lossy(text).into_owned()),
                // Query: text.
                b'Q' => Some(String::from_utf8_lossy(first).into_owned()),
                _ => None,
            };
            let order = {
                let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
                match &*order {
                    Some((text, _)) if seen.as_ref().is_some_and(|seen| seen.starts_with(text)) => {
                        order.take().map(|(_, how)| how)
                    }
                    _ => None,
                }
            };
            match order {
                None => server.write_all(&message)?,
                Some(Cut::After) => {
                    deaf.store(true, Ordering::Relaxed);
                    server.write_all(&message)?;
                    // What belongs to it follows: Execute and Sync.
                    client.set_read_timeout(Some(Duration::from_millis(200)))?;
                    let _ = io::copy(&mut from, &mut server);
                    thread::sleep(Duration::from_millis(200));
                    self.cuts.fetch_add(1, Ordering::Relaxed);
                    return Ok(Some(Cut::After));
                }
                Some(how) => {
                    if how == Cut::Halfway {
                        server.write_all(&message[..message.len() / 2])?;
                    }
                    // Bind and what follows, but for Sync.
                    while how == Cut::Unfinished && message[0] != b'S' {
                        server.write_all(&message)?;
                        message = read_message(&mut from)?;
                    }
                    deaf.store(true, Ordering::Relaxed);
                    self.cuts.fetch_add(1, Ordering::Relaxed);
                    return Ok(Some(how));
                }
            }
        }
    }
}

fn answers(mut from: TcpStream, mut to: TcpStream, deaf: &AtomicBool) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            // The end of a silent cut is not told either.
            return if deaf.load(Ordering::Relaxed) { Ok(()) } else { to.shutdown(Shutdown::Both) };
        }
        if !deaf.load(Ordering::Relaxed) {
            to.write_all(&buffer[..read])?;
        }
    }
}

/// Kind, length and content.
fn read_message(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut message = vec![0; 5];
    from.read_exact(&mut message)?;
    let length = length(&message[1..]) + 1;
    message.resize(length, 0);
    from.read_exact(&mut message[5..])?;
    Ok(message)
}

fn length(bytes: &[u8]) -> usize {
    bytes.get(..4).and_then(|b| b.try_into().ok()).map_or(4, |b| u32::from_be_bytes(b) as usize).max(4)
}
