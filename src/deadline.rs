//! Waiting with a limit, at no cost for work that is done at once.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use futures_util::poll;

/// The time that work was given is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Elapsed;

/// Waits for work until a deadline. A timer is set only when the work does not end at its first poll, so that a
/// guest which computes without asking the host for anything pays for none.
pub(crate) async fn within<T>(deadline: Instant, work: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut work = pin!(work);
    if let Poll::Ready(done) = poll!(work.as_mut()) {
        return Ok(done);
    }
    tokio::time::timeout_at(deadline.into(), work).await.map_err(|_| Elapsed)
}
