//! Runs file operations on threads that may block.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use tokio::task::JoinHandle;

use super::error::BlobStoreError;

/// Runs `work` on a thread that may block, and waits for it.
pub(super) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobStoreError> + Send + 'static,
) -> Result<T, BlobStoreError> {
    start_blocking(work).await
}

/// Starts `work` on a thread that may block, without waiting for it.
pub(super) fn start_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobStoreError> + Send + 'static,
) -> BlockingTask<T> {
    BlockingTask(tokio::task::spawn_blocking(work))
}

/// Work on a thread that may block. Dropping this does not stop it.
#[derive(Debug)]
pub(super) struct BlockingTask<T>(JoinHandle<Result<T, BlobStoreError>>);

impl<T> BlockingTask<T> {
    pub(super) fn is_done(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for BlockingTask<T> {
    type Output = Result<T, BlobStoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let panicked = |_| Err(BlobStoreError::Unavailable("it panicked during this operation".to_owned()));
        self.0.poll_unpin(context).map(|done| done.unwrap_or_else(panicked))
    }
}
