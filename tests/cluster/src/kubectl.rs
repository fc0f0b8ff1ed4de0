//! kubectl, as users run it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

/// No call takes longer.
const LIMIT: Duration = Duration::from_mins(1);

/// kubectl for one user. It reads no configuration but the given one and keeps its caches in the run's directory.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: &'static str,
    kubeconfig: PathBuf,
    home: PathBuf,
}

/// What a call has said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Whether it exited with 0.
    pub ok: bool,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Kubectl {
    pub(crate) fn new(program: &'static str, kubeconfig: &Path, home: &Path) -> Self {
        Self { program, kubeconfig: kubeconfig.to_owned(), home: home.to_owned() }
    }

    /// Runs it and returns its output.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub async fn run(&self, args: &[&str]) -> Result<String> {
        self.run_with(args, "").await
    }

    /// As [`Kubectl::run`], with `input` on standard input (`-f -`).
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub async fn run_with(&self, args: &[&str], input: &str) -> Result<String> {
        let answer = self.ask(args, input).await?;
        ensure!(answer.ok, "kubectl {}: {}", args.join(" "), answer.stderr.trim_end());
        Ok(answer.stdout)
    }

    /// Runs what must fail and returns what it said on standard error.
    ///
    /// # Errors
    /// When it succeeds.
    pub async fn refused(&self, args: &[&str], input: &str) -> Result<String> {
        let answer = self.ask(args, input).await?;
        ensure!(!answer.ok, "kubectl {} was not refused: {}", args.join(" "), answer.stdout.trim_end());
        Ok(answer.stderr)
    }

    /// Runs it, whatever comes of it.
    ///
    /// # Errors
    /// When it cannot be started or does not end.
    pub async fn ask(&self, args: &[&str], input: &str) -> Result<Answer> {
        let mut child = Command::new(self.program)
            .args(args)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.home)
            .env("KUBECACHEDIR", self.home.join("kubectl-cache"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program))?;
        let stdin = child.stdin.take();
        // Both at once: it may answer while it still reads.
        let write = async {
            if let Some(mut stdin) = stdin {
                // It may end without reading; then its answer says why.
                stdin.write_all(input.as_bytes()).await.ok();
            }
        };
        let talk = async { tokio::join!(write, child.wait_with_output()).1 };
        let Ok(output) = timeout(LIMIT, talk).await else {
            bail!("kubectl {} has not ended after {LIMIT:?}", args.join(" "));
        };
        let output = output?;
        Ok(Answer {
            ok: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}
