//! Certificates of tests, also of other crates.

use std::path::Path;

use warren_tls::Files;

/// An authority of its own.
pub struct Authority(rcgen::CertifiedIssuer<'static, rcgen::KeyPair>);

impl Authority {
    /// With a new key.
    pub fn new() -> Self {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes a certificate for `host`, its key, and the authority into `dir`.
    pub fn write(&self, dir: &Path, host: &str) -> Files {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        let write = |name: &str, text: String| {
            std::fs::write(dir.join(name), text).unwrap();
            dir.join(name)
        };
        Files {
            cert: write("tls.crt", cert.pem()),
            key: write("tls.key", key.serialize_pem()),
            ca: write("ca.crt", self.0.pem()),
        }
    }
}
