//! Who may speak control: mTLS from three files, which are read again when they change; or, on loopback and when
//! asked for, nothing at all.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

/// The files are looked at so often.
const LOOK: Duration = Duration::from_secs(5);
/// A connection must have proved itself within this time.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The one application protocol.
const H2: &[u8] = b"h2";

/// Where the certificates are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Our chain, PEM.
    pub cert: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Who may have signed the other side, PEM. Whoever has a certificate of it may declare anything.
    pub ca: PathBuf,
}

/// What the files held.
type Contents = [Vec<u8>; 3];

impl Files {
    fn read(&self) -> io::Result<Contents> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
        };
        Ok([read(&self.cert)?, read(&self.key)?, read(&self.ca)?])
    }
}

fn invalid(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, RootCertStore);

fn parse([cert, key, ca]: &Contents) -> io::Result<Identity> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(cert).collect::<Result<_, _>>().map_err(invalid)?;
    if chain.is_empty() {
        return Err(invalid("the certificate's file holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| invalid(format!("the key's file: {e}")))?;
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(ca) {
        roots.add(root.map_err(invalid)?).map_err(invalid)?;
    }
    if roots.is_empty() {
        return Err(invalid("the authorities' file holds no certificate"));
    }
    Ok((chain, key, roots))
}

/// Something made of the files, made again when they change. What cannot be used leaves the old one in force.
struct Reloading<T> {
    files: Files,
    make: fn(Identity) -> io::Result<T>,
    state: Mutex<State<T>>,
}

struct State<T> {
    contents: Contents,
    made: Arc<T>,
    looked: Instant,
}

impl<T> Reloading<T> {
    fn new(files: Files, make: fn(Identity) -> io::Result<T>) -> io::Result<Self> {
        let contents = files.read()?;
        let made = Arc::new(make(parse(&contents)?)?);
        let state = Mutex::new(State { contents, made, looked: Instant::now() });
        Ok(Self { files, make, state })
    }

    /// The newest that can be used. Reads three small files at most every [`LOOK`].
    fn get(&self) -> Arc<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOK {
            state.looked = Instant::now();
            let fresh = self.files.read().and_then(|contents| {
                if contents == state.contents {
                    return Ok(None);
                }
                let made = (self.make)(parse(&contents)?)?;
                Ok(Some((contents, made)))
            });
            match fresh {
                Ok(None) => {}
                Ok(Some((contents, made))) => {
                    tracing::info!(cert = %self.files.cert.display(), "new certificates are in use");
                    (state.contents, state.made) = (contents, Arc::new(made));
                }
                // A rotation that is under way, usually: it is looked at again.
                Err(error) => tracing::warn!(%error, "the certificates cannot be read again; the old ones stay in use"),
            }
        }
        state.made.clone()
    }
}

fn provider() -> Arc<tokio_rustls::rustls::crypto::CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn server(identity: Identity) -> io::Result<ServerConfig> {
    let (chain, key, roots) = identity;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build().map_err(invalid)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(invalid)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(invalid)?;
    config.alpn_protocols = vec![H2.to_vec()];
    Ok(config)
}

fn client(identity: Identity) -> io::Result<ClientConfig> {
    let (chain, key, roots) = identity;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(invalid)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(invalid)?;
    config.alpn_protocols = vec![H2.to_vec()];
    Ok(config)
}

/// The listening side.
#[derive(Clone)]
pub struct ServerSide(Option<Arc<Reloading<ServerConfig>>>);

impl ServerSide {
    /// Both sides prove who they are.
    ///
    /// # Errors
    /// When a file cannot be used; the text names it.
    pub fn mutual(files: Files) -> io::Result<Self> {
        Ok(Self(Some(Arc::new(Reloading::new(files, server)?))))
    }

    /// Nobody proves anything.
    ///
    /// # Errors
    /// When `addr` is not a loopback address: everybody who reaches it could declare what he likes.
    pub fn plaintext(addr: SocketAddr) -> io::Result<Self> {
        if addr.ip().is_loopback() {
            Ok(Self(None))
        } else {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{addr} is not a loopback address")))
        }
    }

    /// Connections that have proved themselves.
    pub(super) fn incoming(self, listener: TcpListener) -> impl Stream<Item = io::Result<Io<Boxed>>> {
        let (out, incoming) = mpsc::channel(16);
        tokio::spawn(async move {
            loop {
                let socket = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = out.closed() => return,
                };
                let socket = match socket {
                    Ok((socket, _)) => socket,
                    Err(error) => {
                        // Out of file descriptors, usually: it passes.
                        tracing::warn!(%error, "the control listener cannot accept");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        continue;
                    }
                };
                // Calls are small and waited for.
                drop(socket.set_nodelay(true));
                let (out, security) = (out.clone(), self.clone());
                tokio::spawn(async move {
                    match timeout(HANDSHAKE, security.prove(socket)).await {
                        Ok(Ok(io)) => drop(out.send(Ok(Io(io))).await),
                        Ok(Err(error)) => tracing::warn!(%error, "a control connection was not let in"),
                        Err(_) => tracing::warn!("a control connection was silent"),
                    }
                });
            }
        });
        ReceiverStream::new(incoming)
    }

    async fn prove(&self, socket: TcpStream) -> io::Result<Boxed> {
        Ok(match &self.0 {
            None => Box::pin(socket),
            Some(config) => Box::pin(TlsAcceptor::from(config.get()).accept(socket).await?),
        })
    }
}

/// The calling side.
#[derive(Clone)]
pub struct ClientSide(Option<(Arc<Reloading<ClientConfig>>, ServerName<'static>)>);

impl ClientSide {
    /// Both sides prove who they are; the pods' certificate is for `name`, whatever address they are reached at.
    ///
    /// # Errors
    /// When a file cannot be used or the name is none; the text says which.
    pub fn mutual(files: Files, name: &str) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).map_err(invalid)?;
        Ok(Self(Some((Arc::new(Reloading::new(files, client)?), name))))
    }

    /// From what the files hold, for callers that get it from somewhere else.
    ///
    /// # Errors
    /// As [`ClientSide::mutual`].
    pub fn from_pem(cert: &[u8], key: &[u8], ca: &[u8], name: &str) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).map_err(invalid)?;
        let contents = [cert.to_vec(), key.to_vec(), ca.to_vec()];
        let made = Arc::new(client(parse(&contents)?)?);
        let files = Files { cert: PathBuf::new(), key: PathBuf::new(), ca: PathBuf::new() };
        // Never looked at again: new contents make a new side.
        let looked = Instant::now() + Duration::from_hours(24 * 365 * 10);
        let reloading = Reloading { files, make: client, state: Mutex::new(State { contents, made, looked }) };
        Ok(Self(Some((Arc::new(reloading), name))))
    }

    /// Nobody proves anything.
    ///
    /// # Errors
    /// When `addr` is not a loopback address: passwords would pass in the clear.
    pub fn plaintext(addr: SocketAddr) -> io::Result<Self> {
        ServerSide::plaintext(addr).map(|_| Self(None))
    }

    pub(super) async fn connect(&self, addr: SocketAddr) -> io::Result<Io<Boxed>> {
        let socket = TcpStream::connect(addr).await?;
        drop(socket.set_nodelay(true));
        Ok(Io(match &self.0 {
            None => Box::pin(socket),
            Some((config, name)) => Box::pin(TlsConnector::from(config.get()).connect(name.clone(), socket).await?),
        }))
    }
}

/// A connection, in the clear or not.
pub(super) type Boxed = Pin<Box<dyn Both>>;

/// Reads and writes.
pub(super) trait Both: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Both for T {}

/// The wrapping that the server asks for.
pub(super) struct Io<T>(T);

impl<T> Connected for Io<T> {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Io<Boxed> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_read(cx, buf)
    }
}

impl AsyncWrite for Io<Boxed> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_shutdown(cx)
    }
}
