//! Where the programs of the cluster are.

use std::{path::PathBuf, process::Command, sync::OnceLock};

use anyhow::{Context, Result, bail, ensure};

/// The script that builds the programs and knows where they lie.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/build-tools");

/// Paths of kube-apiserver, etcd and kubectl, built by `make cluster-tools`.
#[derive(Clone, Copy, Debug)]
pub struct Programs {
    /// The API server.
    pub kube_apiserver: &'static str,
    /// Its store.
    pub etcd: &'static str,
    /// The command line client of the same version.
    pub kubectl: &'static str,
}

impl Programs {
    /// Finds them: in the directory `TESTCLUSTER_BIN`, or else in the cache.
    ///
    /// # Errors
    /// When one is missing: one sentence that names the target of the Makefile that builds them.
    pub fn find() -> Result<Self> {
        static FOUND: OnceLock<Programs> = OnceLock::new();
        if let Some(found) = FOUND.get() {
            return Ok(*found);
        }
        let dir = directory()?;
        let path = |name: &str| -> Result<&'static str> {
            let path = dir.join(name);
            if !path.is_file() {
                bail!("{name} is not in {}: `make cluster-tools` builds it (once, some minutes)", dir.display());
            }
            let path = path.into_os_string().into_string();
            Ok(path.map_err(|path| anyhow::anyhow!("{} is not UTF-8", path.display()))?.leak())
        };
        let found = Self { kube_apiserver: path("kube-apiserver")?, etcd: path("etcd")?, kubectl: path("kubectl")? };
        Ok(*FOUND.get_or_init(|| found))
    }
}

fn directory() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("TESTCLUSTER_BIN").filter(|dir| !dir.is_empty()) {
        return Ok(dir.into());
    }
    let output = Command::new(SCRIPT).arg("--where").output().with_context(|| format!("cannot run {SCRIPT}"))?;
    ensure!(output.status.success(), "{SCRIPT} --where: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim_end().into())
}
