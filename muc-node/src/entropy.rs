//! Random bits, which the pure parts are given.

use anyhow::Context;

/// `N` fresh random bytes.
///
/// # Errors
/// When the system has none.
pub fn bytes<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).context("the system gives no random bytes")?;
    Ok(bytes)
}
