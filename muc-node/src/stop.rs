//! An orderly end: everything that was read is processed, durable and written; then the stream is ended, and what the
//! server still sends before it ends its own is processed too.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::driver::{Driver, Fatal};

/// So long at most until what was read is durable and written.
const DRAIN: Duration = Duration::from_secs(10);
/// So long at most until the server has ended its stream; the stream itself waits for 5 s.
const CLOSE: Duration = Duration::from_secs(7);
/// So long at most until what came last is durable.
const SETTLE: Duration = Duration::from_secs(5);

/// SIGTERM and SIGINT.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on these signals do not kill the process.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn install() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next one, by name.
    pub async fn next(&mut self) -> &'static str {
        // Neither ever ends.
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Brings the pod to rest.
///
/// # Errors
/// When the store is lost meanwhile.
pub async fn stop(driver: &mut Driver) -> Result<(), Fatal> {
    driver.rest(true);
    driver.run_while(DRAIN, |driver| !(driver.is_durable() && driver.is_flushed())).await?;
    if let Some(link) = driver.link() {
        link.end();
    }
    driver.rest(false);
    driver.run_while(CLOSE, |driver| !driver.is_off()).await?;
    driver.write_down()?;
    if driver.cluster().is_some() {
        // Before others have the link: what they read must not come before what was read here.
        driver.run_while(SETTLE, |driver| !driver.is_durable()).await?;
        // What others own by then is said to them, and they say when they have it.
        driver.drain()?;
        driver.run_while(SETTLE, |driver| !driver.is_handed_over()).await?;
    }
    driver.run_while(SETTLE, |driver| !driver.is_durable()).await?;
    let left = driver.pod().uncommitted_bytes();
    if left > 0 {
        tracing::warn!(bytes = left, "not everything that came last is durable; nobody was shown any of it");
    }
    Ok(())
}
