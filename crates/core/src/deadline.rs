//! Waiting with a deadline.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use futures_util::poll;

/// The deadline passed before the work was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

/// Waits for work until a deadline. Work that completes at its first poll needs no timer, even after the deadline.
///
/// # Errors
/// Returns [`Elapsed`] if the deadline passes first. The work is then dropped.
pub async fn within<T>(deadline: Instant, work: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut work = pin!(work);
    if let Poll::Ready(done) = poll!(work.as_mut()) {
        return Ok(done);
    }
    tokio::time::timeout_at(deadline.into(), work).await.map_err(|_| Elapsed)
}
