//! Certificates of the nodes of a site, for tests in which they are on hosts of their own.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// The name that they are for.
pub const NAME: &str = "warren-mesh";

/// Certificate, key and authority in a directory: one set for all nodes there, made when it is asked for first.
///
/// # Errors
/// When they cannot be made or written.
pub fn files(dir: &Path) -> Result<[PathBuf; 3]> {
    let dir = dir.join("pki");
    let files = ["cert.pem", "key.pem", "ca.pem"].map(|name| dir.join(name));
    if files.iter().all(|file| file.is_file()) {
        return Ok(files);
    }
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let authority = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca = params.self_signed(&authority)?.pem();
    let issuer = Issuer::new(params, authority);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![NAME.to_owned()])?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let cert = params.signed_by(&key, &issuer)?.pem();
    for (file, text) in files.iter().zip([cert, key.serialize_pem(), ca]) {
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(files)
}
