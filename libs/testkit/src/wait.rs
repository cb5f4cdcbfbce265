//! Waiting for a condition, with a deadline: what tests do instead of sleeping.

use std::{future::Future, time::Duration};

use tokio::time::Instant;

use crate::Error;

/// How often a condition is looked at.
const POLL_EVERY: Duration = Duration::from_millis(25);

/// Calls `condition` until it returns something, and returns that.
///
/// # Errors
/// [`Error::Timeout`], naming `what`, once `limit` has passed. A call that hangs is cut off then, too.
pub async fn wait_until<T, F, Fut>(
    what: &str,
    limit: Duration,
    mut condition: F,
) -> Result<T, Error>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + limit;
    let timeout = || Error::Timeout {
        what: what.to_owned(),
        waited: limit,
    };
    loop {
        match tokio::time::timeout_at(deadline, condition()).await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) if Instant::now() < deadline => tokio::time::sleep(POLL_EVERY).await,
            _ => return Err(timeout()),
        }
    }
}
