//! A certificate authority for one run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// A CA that writes its certificates into one directory, as Prosody and ejabberd want them:
/// `NAME.crt`, `NAME.key` and `NAME.pem` (both), with `ca.pem` beside them.
#[derive(Debug)]
pub struct Ca {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Ca {
    /// Makes a new CA in `dir`, which is created.
    ///
    /// # Errors
    /// When `dir` cannot be written.
    pub fn new(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_after = date_time_ymd(2040, 1, 1);
        let pem = params.self_signed(&key)?.pem();
        std::fs::write(dir.join("ca.pem"), &pem)?;
        Ok(Self { dir: dir.to_owned(), issuer: Issuer::new(params, key), pem })
    }

    /// Writes a certificate for these DNS names; the first one names the files. Returns the path of the `.pem`.
    ///
    /// It serves for both ends of a connection: ejabberd 23.01 refuses EXTERNAL without `clientAuth`.
    ///
    /// # Errors
    /// When there is no name, a name is no DNS name, or the files cannot be written.
    pub fn issue(&self, names: &[&str]) -> Result<PathBuf> {
        self.issue_for(names, &[ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth])
    }

    /// As [`Ca::issue`], for servers only, which is all that public CAs give out since 2026.
    ///
    /// # Errors
    /// As [`Ca::issue`].
    pub fn issue_server_only(&self, names: &[&str]) -> Result<PathBuf> {
        self.issue_for(names, &[ExtendedKeyUsagePurpose::ServerAuth])
    }

    /// The CA's own certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The file with [`Ca::pem`].
    pub fn path(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// The directory of all certificates.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn issue_for(&self, names: &[&str], usages: &[ExtendedKeyUsagePurpose]) -> Result<PathBuf> {
        ensure!(!names.is_empty(), "a certificate needs a name");
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, names[0]);
        params.extended_key_usages = usages.to_vec();
        params.not_after = date_time_ymd(2040, 1, 1); // rcgen's default, the year 4096, crashes ejabberd
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        let key = key.serialize_pem();
        let file = |ending: &str| self.dir.join(format!("{}.{ending}", names[0]));
        std::fs::write(file("crt"), &certificate)?;
        std::fs::write(file("key"), &key)?;
        std::fs::write(file("pem"), certificate + &key)?;
        Ok(file("pem"))
    }
}
