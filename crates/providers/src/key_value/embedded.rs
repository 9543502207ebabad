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

use super::config::Location;
use super::error::Refusal;
use super::payloads::{Answer, Operation};
use database::File;
pub(super) use open_stores::{Files, Lease};

/// How many calls wait for a thread before further ones are refused.
const WAITING: usize = 8192;

/// A call, as it reaches a thread. Nobody waits for it any more when its answer has no receiver.
struct Job {
    operation: Operation,
    answer: oneshot::Sender<Result<Answer, Refusal>>,
}

/// What the writing thread is told.
enum Task {
    Perform(Job),
    /// Release the file and end, once what came before is done.
    Close(oneshot::Sender<()>),
}

/// An open store. Cheap to clone; its threads end when it is closed, or with the last clone.
#[derive(Clone)]
struct Embedded {
    writes: Sender<Task>,
    reads: Sender<Job>,
}

impl Embedded {
    /// Opens a store, on its own thread.
    ///
    /// # Errors
    /// A text that names the file, and what to do.
    async fn open(location: Location) -> Result<Embedded, String> {
        let (writes, tasks) = crossbeam_channel::bounded(WAITING);
        let (reads, jobs) = crossbeam_channel::bounded(WAITING);
        let (opened, is_open) = oneshot::channel();
        let file = Arc::new(File::new(location));
        let thread = |error: std::io::Error| format!("cannot start a thread for the store: {error}");
        writer::start(file.clone(), tasks, opened).map_err(thread)?;
        readers::start(&file, &jobs).map_err(thread)?;
        is_open.await.map_err(|_| "the store could not be opened".to_owned())??;
        Ok(Embedded { writes, reads })
    }

    async fn perform(&self, operation: Operation) -> Result<Answer, Refusal> {
        let (answer, answered) = oneshot::channel();
        let only_reads = operation.only_reads();
        let job = Job { operation, answer };
        let sent = if only_reads {
            self.reads.try_send(job).map_err(|error| busy_or_gone(&error))
        } else {
            self.writes.try_send(Task::Perform(job)).map_err(|error| busy_or_gone(&error))
        };
        sent?;
        answered.await.map_err(|_| Refusal::Unavailable("it failed over this call".to_owned()))?
    }

    /// Releases the file. What came before is still carried out.
    async fn close(self) {
        let (close, closed) = oneshot::channel();
        let writes = self.writes;
        // Waiting for room in a full channel is no work for a shard.
        let told = tokio::task::spawn_blocking(move || writes.send(Task::Close(close))).await;
        if matches!(told, Ok(Ok(()))) {
            // The thread answers or ends.
            let _ = closed.await;
        }
    }
}

fn busy_or_gone<T>(error: &TrySendError<T>) -> Refusal {
    match error {
        TrySendError::Full(_) => Refusal::Busy,
        TrySendError::Disconnected(_) => Refusal::Unavailable("it was closed".to_owned()),
    }
}
