//! Certificates and keys of one API server.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// Names under which clients may know the server; the last is the first address of the service network.
const SERVER_NAMES: &[&str] = &[
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "127.0.0.1",
    "10.96.0.1",
];

/// A certificate with its key, PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key, PKCS #8.
    pub key: String,
}

/// The certificate authority of one API server, with the files the server wants. Keys are EC P-256.
#[derive(Debug)]
pub struct Pki {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    ca: String,
}

impl Pki {
    /// Makes all files in `dir`, which is created: `ca.crt`, `apiserver.crt`, `apiserver.key`, `sa.key` (service
    /// accounts' tokens are signed with it) and `sa.pub`.
    ///
    /// # Errors
    /// When `dir` cannot be written.
    pub fn new(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "warren test cluster");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_after = date_time_ymd(2040, 1, 1);
        let ca = params.self_signed(&key)?.pem();
        let pki = Self { dir: dir.to_owned(), issuer: Issuer::new(params, key), ca };
        pki.write("ca.crt", &pki.ca)?;
        let names = SERVER_NAMES.iter().map(ToString::to_string).collect();
        let server = pki.issue(names, "kube-apiserver", None, ExtendedKeyUsagePurpose::ServerAuth)?;
        pki.write("apiserver.crt", &server.certificate)?;
        pki.write("apiserver.key", &server.key)?;
        let accounts = KeyPair::generate()?;
        pki.write("sa.key", &accounts.serialize_pem())?;
        pki.write("sa.pub", &accounts.public_key_pem())?;
        Ok(pki)
    }

    /// A certificate for a client: the API server takes the common name for the user and the organisation for a group.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate.
    pub fn client(&self, user: &str, group: Option<&str>) -> Result<Identity> {
        self.issue(vec![], user, group, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// The authority's own certificate, PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// Path of one of the files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn issue(
        &self,
        names: Vec<String>,
        common_name: &str,
        organisation: Option<&str>,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Identity> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        if let Some(organisation) = organisation {
            params.distinguished_name.push(DnType::OrganizationName, organisation);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.not_after = date_time_ymd(2040, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Identity { certificate, key: key.serialize_pem() })
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}
