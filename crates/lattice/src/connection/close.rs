//! The end of a connection.

use std::time::Duration;

use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Connection;
use super::subscription::unavailable;

impl Connection {
    /// Closes the connection within a time: waits until the server has read all that was sent, then ends all subscriptions.
    /// A client that the embedder supplied stays open. The connection is closed in any case.
    ///
    /// # Errors
    /// `LatticeUnavailable` if the server did not confirm what was sent. It may be lost.
    pub async fn close(&self, limit: Duration) -> Result<()> {
        let outcome = tokio::time::timeout(limit, self.finish(limit)).await;
        self.shared.close();
        outcome.unwrap_or_else(|_| {
            let message = format!("the connection with the lattice did not end within {limit:?}: messages may be lost");
            Err(Error::new(ErrorKind::LatticeUnavailable, message))
        })
    }

    /// Closes the connection at once. What the server has not read is lost. A client that the embedder supplied stays open.
    pub fn abandon(&self) {
        self.shared.close();
    }

    async fn finish(&self, limit: Duration) -> Result<()> {
        if self.shared.client().is_none() {
            // Nothing was ever sent.
            return Ok(());
        }
        self.round_trip(limit).await?;
        if self.is_ready {
            return Ok(());
        }
        let mut closed = self.shared.closed();
        let failed = |error| unavailable("the connection with the lattice cannot be drained".to_owned(), error);
        self.client()?.drain().await.map_err(failed)?;
        // The sender lives as long as the connection, so waiting does not fail.
        let _ = closed.wait_for(|is_closed| *is_closed).await;
        Ok(())
    }
}
