//! How tests run.

use std::{sync::OnceLock, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    runtime::Runtime,
    sync::OnceCell,
    time::{Instant, sleep},
};

use crate::{apiserver::ApiServer, cluster::Cluster};

/// No test takes longer, the start of a server included; `WARREN_IDLE_SECONDS`, where a test idles, come on top.
const LIMIT: Duration = Duration::from_secs(110);
/// How long [`eventually`] waits on a busy machine.
const SOON: Duration = Duration::from_secs(15);

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a tokio runtime")
    })
}

/// Runs a test against the one cluster of this test binary, which the first test starts. The definitions of the three
/// kinds are installed. Tests share it: each works in a [`crate::Namespace`] of its own.
///
/// # Panics
/// When the test fails, when it takes too long, or when there is no cluster.
pub fn shared(test: impl AsyncFnOnce(&'static Cluster) -> Result<()>) {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    run(async { test(CLUSTER.get_or_try_init(Cluster::find).await?).await });
}

/// Runs a test against an API server of its own, for tests that stop or kill it; no definitions are installed.
///
/// # Panics
/// When the test fails, when it takes too long, or when the server does not start.
pub fn alone(test: impl AsyncFnOnce(ApiServer) -> Result<()>) {
    run(async { test(ApiServer::start().await?).await });
}

/// Runs a test.
///
/// # Panics
/// When the test fails or takes too long.
pub fn run(test: impl Future<Output = Result<()>>) {
    run_longer(Duration::ZERO, test);
}

/// Runs a test that does nothing but wait for `more` of its time.
///
/// # Panics
/// When the test fails or takes too long.
pub fn run_longer(more: Duration, test: impl Future<Output = Result<()>>) {
    let idle = std::env::var("WARREN_IDLE_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or_default();
    let limit = LIMIT + more + Duration::from_secs(idle);
    let outcome = runtime().block_on(async { tokio::time::timeout(limit, test).await });
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => panic!("{error:#}"),
        Err(elapsed) => panic!("not done after {limit:?}: {elapsed}"),
    }
}

/// Tries until it succeeds, for 15 seconds.
///
/// # Errors
/// The last error.
pub async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let end = Instant::now() + SOON;
    loop {
        match attempt().await {
            Err(error) if Instant::now() > end => return Err(error).context(format!("not after {SOON:?}: {what}")),
            Err(_) => sleep(Duration::from_millis(50)).await,
            done => return done,
        }
    }
}
