//! Certificates, keys and authorities from three files, read again when they change.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::time::Instant;
use tokio_rustls::rustls::RootCertStore;

/// The files are looked at so often.
const LOOK: Duration = Duration::from_secs(5);

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
pub(crate) type Contents = [Vec<u8>; 3];

impl Files {
    fn read(&self) -> io::Result<Contents> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
        };
        Ok([read(&self.cert)?, read(&self.key)?, read(&self.ca)?])
    }
}

pub(crate) fn invalid(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

pub(crate) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, RootCertStore);

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
pub(crate) struct Reloading<T> {
    files: Files,
    make: fn(Identity) -> io::Result<T>,
    state: Mutex<State<T>>,
}

struct State<T> {
    contents: Contents,
    made: Arc<T>,
    looked: Instant,
}

impl<T> std::fmt::Debug for Reloading<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Reloading").field(&self.files).finish()
    }
}

impl<T> Reloading<T> {
    pub(crate) fn new(files: Files, make: fn(Identity) -> io::Result<T>) -> io::Result<Self> {
        let contents = files.read()?;
        let made = Arc::new(make(parse(&contents)?)?);
        let state = Mutex::new(State { contents, made, looked: Instant::now() });
        Ok(Self { files, make, state })
    }

    /// From what the files hold, never read again: new contents make a new one.
    pub(crate) fn fixed(contents: Contents, make: fn(Identity) -> io::Result<T>) -> io::Result<Self> {
        let made = Arc::new(make(parse(&contents)?)?);
        let files = Files { cert: PathBuf::new(), key: PathBuf::new(), ca: PathBuf::new() };
        let looked = Instant::now() + Duration::from_hours(24 * 365 * 10);
        Ok(Self { files, make, state: Mutex::new(State { contents, made, looked }) })
    }

    /// The newest that can be used. Reads three small files at most every [`LOOK`].
    pub(crate) fn get(&self) -> Arc<T> {
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
