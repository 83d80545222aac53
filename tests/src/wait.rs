//! Waiting on a condition with a deadline.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until `look` gives a value; fails with what was waited for once `deadline` has passed.
///
/// # Errors
/// When the deadline passes first, or `look` itself fails.
pub async fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if Instant::now() >= end {
            bail!("waited {} s in vain for: {what}", deadline.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
