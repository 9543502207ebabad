//! The threads that read a store. Each operation sees the last durable state.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::Receiver;
use redb::ReadableDatabase;
use wasmcloud_core::error::panic_text;

use super::PendingOperation;
use super::database::DatabaseFile;
use super::read_operations::read;
use super::tables::{Snapshot, TableError};
use crate::key_value::error::KeyValueError;
use crate::key_value::payloads::{KeyValueOperation, KeyValueResponse};

/// More than one, so that a large operation delays others less.
const THREADS: usize = 2;

/// Maximum number of operations that share a snapshot.
const MAX_BATCH_CALLS: usize = 64;

/// Starts the threads. They end when the channel is closed.
pub(super) fn start(file: &Arc<DatabaseFile>, queue: &Receiver<PendingOperation>) -> std::io::Result<()> {
    for number in 0..THREADS {
        let (file, queue) = (file.clone(), queue.clone());
        let work = move || {
            while let Ok(first) = queue.recv() {
                answer(&file, first, &queue);
            }
        };
        std::thread::Builder::new().name(format!("keyvalue-reader-{number}")).spawn(work)?;
    }
    Ok(())
}

/// Executes an operation, and the ones that wait behind it.
fn answer(file: &DatabaseFile, first: PendingOperation, queue: &Receiver<PendingOperation>) {
    let mut snapshot = None;
    let mut next = Some(first);
    for _ in 0..MAX_BATCH_CALLS {
        let Some(PendingOperation { operation, answer }) = next.take() else { break };
        // Cancelled operations are skipped.
        if !answer.is_closed() {
            let _ = answer.send(outcome(file, &mut snapshot, &operation));
        }
        next = queue.try_recv().ok();
    }
    // The batch is full, but this operation was already taken from the channel.
    if let Some(pending) = next {
        let _ = pending.answer.send(outcome(file, &mut snapshot, &pending.operation));
    }
}

fn outcome(
    file: &DatabaseFile,
    snapshot: &mut Option<Snapshot>,
    operation: &KeyValueOperation,
) -> Result<KeyValueResponse, KeyValueError> {
    let reading = catch_unwind(AssertUnwindSafe(|| {
        let snapshot = match snapshot {
            Some(snapshot) => snapshot,
            None => snapshot.insert(open_snapshot(file)?),
        };
        read(snapshot, operation)
    }));
    match reading {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(TableError::Rejected(refusal))) => Err(refusal),
        Ok(Err(TableError::Database(error))) => {
            Err(KeyValueError::Unavailable(format!("it could not be read: {error}")))
        }
        Err(panic) => Err(KeyValueError::Unavailable(format!("it could not be read: {}", panic_text(&*panic)))),
    }
}

fn open_snapshot(file: &DatabaseFile) -> Result<Snapshot, TableError> {
    let database = file.get();
    let Some(database) = database.as_ref() else { return Err(redb::Error::DatabaseClosed.into()) };
    Ok(Snapshot::open(&database.begin_read().map_err(redb::Error::from)?)?)
}
