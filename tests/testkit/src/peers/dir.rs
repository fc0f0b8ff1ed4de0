//! The directory of a run, gone when the run is.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// A temporary directory that is removed when this value is dropped, and also when the process ends without
/// dropping it (a static, `abort`, SIGKILL): then by a small shell that waits for the end of a pipe from us.
#[derive(Debug)]
pub struct RunDir {
    dir: TempDir,
    janitor: Child,
}

impl RunDir {
    /// Makes a new directory. Its path is short, so that sockets fit into it.
    ///
    /// # Errors
    /// When the directory cannot be made or no `sh` can be started.
    pub fn new() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("warren-").tempdir().context("no directory for this run")?;
        // The pause lets servers that die with us finish their last write.
        let script = "trap '' INT TERM HUP; cat >/dev/null; [ -d \"$0\" ] || exit 0; sleep 0.5; rm -rf -- \"$0\"";
        let janitor = Command::new("sh")
            .args(["-c", script])
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start sh")?;
        Ok(Self { dir, janitor })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // A server that was killed a moment ago may still write: then the janitor gets the rest.
        if std::fs::remove_dir_all(self.dir.path()).is_ok() {
            drop(self.janitor.stdin.take());
            self.janitor.wait().ok();
        }
    }
}
