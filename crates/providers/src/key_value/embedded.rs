//! The embedded store: one file, with threads of its own, because the database library blocks.
//!
//! One thread writes and two read. The writer executes all waiting operations in one transaction, so that they share a flush.
//! A write is acknowledged once it is durable. Readers see the last durable state.
//!
//! # Layout
//! - `database`: opens the database, and reopens it after a failure
//! - `writer`, `readers`: the threads
//! - `tables`, `record`: the layout of keys, lists, sets and expiries
//! - `read_operations`, `write_operations`: the operations
//! - `open_stores`: the open stores, and the number of links that share each

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

/// Maximum number of operations that wait for a thread. Further ones fail with `Busy`.
const QUEUE_LENGTH: usize = 8192;

/// An operation that waits for a thread. The caller has cancelled it if the channel of its answer is closed.
struct PendingOperation {
    operation: KeyValueOperation,
    answer: oneshot::Sender<Result<KeyValueResponse, KeyValueError>>,
}

/// A command for the writing thread.
enum WriterCommand {
    Execute(PendingOperation),
    /// Closes the file and ends the thread, after the earlier commands.
    Close(oneshot::Sender<()>),
}

/// An open store. Cheap to clone. Its threads end when it is closed, or with the last clone.
#[derive(Clone)]
struct EmbeddedStore {
    writes: Sender<WriterCommand>,
    reads: Sender<PendingOperation>,
}

impl EmbeddedStore {
    /// Starts the threads of a store, and waits until its file is open.
    ///
    /// # Errors
    /// Names the file, and what to do.
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
        answered.await.map_err(|_| KeyValueError::Unavailable("it failed during this operation".to_owned()))?
    }

    /// Closes the file, after the operations that were sent before.
    async fn close(self) {
        let (close, closed) = oneshot::channel();
        let writes = self.writes;
        // Sending to a full channel blocks, which a shard thread must not do.
        let sent = tokio::task::spawn_blocking(move || writes.send(WriterCommand::Close(close))).await;
        if matches!(sent, Ok(Ok(()))) {
            // An error means that the thread has ended.
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
