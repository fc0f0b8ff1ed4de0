//! The two ends of a connection, and what each must prove.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use rustls_pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_stream::wrappers::ReceiverStream;

use crate::files::{Files, Identity, Reloading, invalid};
use crate::io::{Boxed, Io};

/// A connection must have proved itself within this time.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The one application protocol.
const H2: &[u8] = b"h2";

/// The listening side.
#[derive(Clone, Debug)]
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
        loopback(addr).map(|()| Self(None))
    }

    /// Connections that have proved themselves. `what` says in logs whose they are, such as "control". Must be called
    /// within a runtime.
    pub fn incoming(self, listener: TcpListener, what: &'static str) -> impl Stream<Item = io::Result<Io>> {
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
                        tracing::warn!(what, %error, "the listener cannot accept");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        continue;
                    }
                };
                // What is said is small and waited for.
                drop(socket.set_nodelay(true));
                let (out, security) = (out.clone(), self.clone());
                tokio::spawn(async move {
                    match timeout(HANDSHAKE, security.prove(socket)).await {
                        Ok(Ok(io)) => drop(out.send(Ok(Io::new(io))).await),
                        // Somebody looks whether we are there.
                        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                            tracing::debug!(what, %error, "a connection ended before it began");
                        }
                        Ok(Err(error)) => tracing::warn!(what, %error, "a connection was not let in"),
                        Err(_) => tracing::warn!(what, "a connection was silent"),
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
#[derive(Clone, Debug)]
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
        let reloading = Reloading::fixed([cert.to_vec(), key.to_vec(), ca.to_vec()], client)?;
        Ok(Self(Some((Arc::new(reloading), name))))
    }

    /// Nobody proves anything.
    ///
    /// # Errors
    /// When `addr` is not a loopback address: passwords would pass in the clear.
    pub fn plaintext(addr: SocketAddr) -> io::Result<Self> {
        loopback(addr).map(|()| Self(None))
    }

    /// Connects and proves.
    ///
    /// # Errors
    /// [`io::ErrorKind::ConnectionRefused`] if nobody listens there; whatever else went wrong. Without TLS also when
    /// `addr` is not a loopback address.
    pub async fn connect(&self, addr: SocketAddr) -> io::Result<Io> {
        if self.0.is_none() {
            loopback(addr)?;
        }
        let socket = TcpStream::connect(addr).await?;
        drop(socket.set_nodelay(true));
        Ok(Io::new(match &self.0 {
            None => Box::pin(socket),
            Some((config, name)) => Box::pin(TlsConnector::from(config.get()).connect(name.clone(), socket).await?),
        }))
    }
}

/// Nobody proves anything there, so only this machine may be there.
fn loopback(addr: SocketAddr) -> io::Result<()> {
    if addr.ip().is_loopback() {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{addr} is not a loopback address")))
    }
}

fn provider() -> Arc<CryptoProvider> {
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
