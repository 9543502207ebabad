//! The store that needs no server: one file, on threads of its own, since its library blocks.
//!
//! One thread writes, two read. What waits for the writer is changed in one transaction and made durable with one
//! another, so that many writes share the disk's slowness; none is acknowledged before it is durable. Readers see what was
//! made durable last.
//!
//! # Layout
//! - `database`: the opened database, and how it is opened again after a failure
//! - `writer`, `readers`: what the threads do
//! - `tables`, `record`: how keys, lists, sets and expiries are laid out
//! - `read_operations`, `write_operations`: the operations
//! - `open_stores`: which stores are open, and for how many links

mod database;
mod open_stores;
mod read_operations;
mod readers;
mod record;
mod tables;
mod write_operations;
mod writer;

use std::sync::Arc;

use crossbeam_channel::{Sender, TrySendError};
use tokio::sync::oneshot;

use super::config::StoreLocation;
use super::error::KeyValueError;
use super::payloads::{KeyValueOperation, KeyValueResponse};
use database::DatabaseFile;
pub(super) use open_stores::{OpenStores, StoreHandle};

/// How many calls wait for a thread before further ones are refused.
const QUEUE_LENGTH: usize = 8192;

/// A call, as it reaches a thread. Nobody waits for it any more when its answer has no receiver.
struct PendingOperation {
    operation: KeyValueOperation,
    answer: oneshot::Sender<Result<KeyValueResponse, KeyValueError>>,
}

/// What the writing thread is told.
enum WriterCommand {
    Execute(PendingOperation),
    /// Release the file and end, once what came before is done.
    Close(oneshot::Sender<()>),
}

/// An open store. Cheap to clone; its threads end when it is closed, or with the last clone.
#[derive(Clone)]
struct EmbeddedStore {
    writes: Sender<WriterCommand>,
    reads: Sender<PendingOperation>,
}

impl EmbeddedStore {
    /// Opens a store, on its own thread.
    ///
    /// # Errors
    /// A text that names the file, and what to do.
    async fn open(location: StoreLocation) -> Result<EmbeddedStore, String> {
        let (writes, tasks) = crossbeam_channel::bounded(QUEUE_LENGTH);
        let (reads, queue) = crossbeam_channel::bounded(QUEUE_LENGTH);
        let (opened, is_open) = oneshot::channel();
        let file = Arc::new(DatabaseFile::new(location));
        let thread = |error: std::io::Error| format!("cannot start a thread for the store: {error}");
        writer::start(file.clone(), tasks, opened).map_err(thread)?;
        readers::start(&file, &queue).map_err(thread)?;
        is_open.await.map_err(|_| "the store could not be opened".to_owned())??;
        Ok(EmbeddedStore { writes, reads })
    }

    async fn execute(&self, operation: KeyValueOperation) -> Result<KeyValueResponse, KeyValueError> {
        let (answer, answered) = oneshot::channel();
        let is_read_only = operation.is_read_only();
        let pending = PendingOperation { operation, answer };
        let sent = if is_read_only {
            self.reads.try_send(pending).map_err(|error| queue_error(&error))
        } else {
            self.writes.try_send(WriterCommand::Execute(pending)).map_err(|error| queue_error(&error))
        };
        sent?;
        answered.await.map_err(|_| KeyValueError::Unavailable("it failed over this call".to_owned()))?
    }

    /// Releases the file. What came before is still carried out.
    async fn close(self) {
        let (close, closed) = oneshot::channel();
        let writes = self.writes;
        // Waiting for room in a full channel is no work for a shard.
        let sent = tokio::task::spawn_blocking(move || writes.send(WriterCommand::Close(close))).await;
        if matches!(sent, Ok(Ok(()))) {
            // The thread answers or ends.
            let _ = closed.await;
        }
    }
}

fn queue_error<T>(error: &TrySendError<T>) -> KeyValueError {
    match error {
        TrySendError::Full(_) => KeyValueError::Busy,
        TrySendError::Disconnected(_) => KeyValueError::Unavailable("it was closed".to_owned()),
    }
}
