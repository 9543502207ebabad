//! The thread that writes to a store. It executes batches of operations, in one durable transaction each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};
use redb::ReadableDatabase;
use tokio::sync::oneshot;
use wasmcloud_core::error::{panic_text, printable};

use super::database::DatabaseFile;
use super::tables::{Snapshot, TableError, Tables};
use super::{PendingOperation, WriterCommand};
use crate::key_value::error::KeyValueError;
use crate::key_value::payloads::KeyValueResponse;

/// Maximum number of operations in a transaction.
const MAX_BATCH_CALLS: usize = 1024;

/// Size of values after which no further operation is added to a transaction. Unit: bytes.
const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;

/// Maximum time that a batch waits for further operations, even if the last one took long because the disk stalled.
const MAX_BATCH_WAIT: Duration = Duration::from_millis(5);

/// Interval at which expired keys are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

type Outcome = Result<KeyValueResponse, KeyValueError>;

/// Starts the thread. It opens the store first, and sends the outcome to `opened`.
pub(super) fn start(
    file: Arc<DatabaseFile>,
    tasks: Receiver<WriterCommand>,
    opened: oneshot::Sender<Result<(), String>>,
) -> std::io::Result<()> {
    let work = move || {
        let open = file.open();
        let is_open = open.is_ok();
        // If the receiver has been dropped, the store is not in use.
        if opened.send(open).is_ok() && is_open {
            let last = BatchStats { calls: 0, time: Duration::ZERO };
            Writer { file: &file, last_sweep: Instant::now(), last }.run(&tasks);
        }
        file.close();
    };
    std::thread::Builder::new().name("keyvalue-writer".to_owned()).spawn(work)?;
    Ok(())
}

struct Writer<'a> {
    file: &'a DatabaseFile,
    last_sweep: Instant,
    last: BatchStats,
}

/// The size and duration of the last batch.
#[derive(Clone, Copy)]
struct BatchStats {
    calls: usize,
    /// Time until the batch was durable.
    time: Duration,
}

/// The action after a batch.
enum AfterBatch {
    Continue,
    Close(oneshot::Sender<()>),
}

impl Writer<'_> {
    /// Executes commands until the store is closed or its last clone is dropped.
    fn run(mut self, tasks: &Receiver<WriterCommand>) {
        loop {
            let mut batch = Vec::new();
            let next = match tasks.recv_deadline(self.last_sweep + SWEEP_INTERVAL) {
                Ok(WriterCommand::Execute(pending)) => collect_batch(pending, tasks, &mut batch, self.last),
                Ok(WriterCommand::Close(close)) => AfterBatch::Close(close),
                Err(RecvTimeoutError::Timeout) => AfterBatch::Continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if !batch.is_empty() {
                let (calls, begin) = (batch.len(), Instant::now());
                let answers = self.write(batch);
                self.last = BatchStats { calls, time: begin.elapsed() };
                for (answer, outcome) in answers {
                    // The caller may have cancelled the operation.
                    let _ = answer.send(outcome);
                }
            }
            self.remove_expired();
            if let AfterBatch::Close(close) = next {
                self.file.close();
                // The caller may have been cancelled.
                let _ = close.send(());
                return;
            }
        }
    }

    /// Executes a batch. Returns the outcome of each operation once all of them are durable.
    fn write(&self, batch: Vec<PendingOperation>) -> impl Iterator<Item = (oneshot::Sender<Outcome>, Outcome)> + use<> {
        let mut outcomes = Vec::with_capacity(batch.len());
        let (operations, answers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|PendingOperation { operation, answer }| (operation, answer)).unzip();
        let written = self.change(|tables| {
            for operation in operations {
                outcomes.push(match tables.write(operation) {
                    Ok(answer) => Ok(answer),
                    Err(TableError::Rejected(refusal)) => Err(refusal),
                    Err(failure) => return Err(failure),
                });
            }
            Ok(())
        });
        let outcomes: Vec<Outcome> = match written {
            Ok(()) => outcomes,
            Err(error) => answers.iter().map(|_| Err(KeyValueError::Unavailable(error.clone()))).collect(),
        };
        answers.into_iter().zip(outcomes)
    }

    /// Removes expired keys once per interval, and reopens a store that failed.
    fn remove_expired(&mut self) {
        if self.last_sweep.elapsed() < SWEEP_INTERVAL {
            return;
        }
        self.last_sweep = Instant::now();
        let mut expired = self.has_expired();
        while let Ok(true) = expired {
            expired = self.change(|tables| tables.remove_expired());
        }
        if let Err(error) = expired.and_then(|_| if self.file.get().is_none() { self.file.open() } else { Ok(()) }) {
            log::error!("the key-value store is unavailable, and will be reopened: {error}");
        }
    }

    /// Returns whether a key has expired. Most of the time none has, so that no write transaction is needed.
    fn has_expired(&self) -> Result<bool, String> {
        let look = || -> Result<bool, redb::Error> {
            let database = self.file.get();
            let Some(database) = database.as_ref() else { return Ok(false) };
            let snapshot = Snapshot::open(&database.begin_read()?)?;
            let mut expired = snapshot.expiries.range(..(snapshot.now, &b""[..]))?;
            Ok(expired.next().transpose()?.is_some())
        };
        let looked = catch_unwind(AssertUnwindSafe(look));
        let looked = looked.unwrap_or_else(|panic| Err(redb::Error::Corrupted(panic_text(&*panic))));
        looked.map_err(|error| self.recover("read", &error))
    }

    /// Changes the store in a durable transaction. Reopens the store if that fails.
    ///
    /// # Errors
    /// Says why the store is unchanged.
    fn change<T>(&self, change: impl FnOnce(&mut Tables<'_>) -> Result<T, TableError>) -> Result<T, String> {
        if self.file.get().is_none() {
            self.file.open()?;
        }
        let changed = catch_unwind(AssertUnwindSafe(|| self.commit(change)));
        let changed = changed.unwrap_or_else(|panic| Err(redb::Error::Corrupted(panic_text(&*panic))));
        changed.map_err(|error| self.recover("written", &error))
    }

    /// Reopens the store after a failure, and describes the failure.
    fn recover(&self, what: &str, error: &redb::Error) -> String {
        let error = printable(error.to_string().as_bytes());
        log::error!("the key-value store could not be {what}, and is reopened: {error}");
        if let Err(error) = self.file.open() {
            log::error!("{}", printable(error.as_bytes()));
        }
        format!("it could not be {what}: {error}")
    }

    fn commit<T>(&self, change: impl FnOnce(&mut Tables<'_>) -> Result<T, TableError>) -> Result<T, redb::Error> {
        let database = self.file.get();
        let database = database.as_ref().ok_or(redb::Error::DatabaseClosed)?;
        let mut transaction = database.begin_write()?;
        // Reopening after a crash takes constant time, and bytes of hostile values cannot be mistaken for a commit.
        transaction.set_quick_repair(true);
        let changed = {
            let mut tables = Tables::open(&transaction)?;
            change(&mut tables)
        };
        match changed {
            Ok(changed) => {
                transaction.commit()?;
                Ok(changed)
            }
            Err(TableError::Database(error)) => Err(error),
            // Does not happen: rejections are outcomes of single operations.
            Err(TableError::Rejected(refusal)) => Err(redb::Error::Corrupted(refusal.to_string())),
        }
    }
}

/// Collects the waiting operations, except for cancelled ones.
///
/// The callers of the last batch are likely to call again. So the batch waits until it has as many operations as the last one,
/// but no longer than that took. Otherwise the first caller would get a transaction of its own, and all others would wait for
/// two.
fn collect_batch(
    first: PendingOperation,
    tasks: &Receiver<WriterCommand>,
    batch: &mut Vec<PendingOperation>,
    last: BatchStats,
) -> AfterBatch {
    let mut bytes = 0;
    let mut next = Some(first);
    let deadline = Instant::now() + last.time.min(MAX_BATCH_WAIT);
    loop {
        if let Some(pending) = next.take().filter(|pending| !pending.answer.is_closed()) {
            bytes += pending.operation.value().map_or(0, str::len);
            batch.push(pending);
        }
        if batch.len() >= MAX_BATCH_CALLS || bytes >= MAX_BATCH_BYTES {
            return AfterBatch::Continue;
        }
        let task = match tasks.try_recv() {
            Err(TryRecvError::Empty) if batch.len() < last.calls => tasks.recv_deadline(deadline).ok(),
            task => task.ok(),
        };
        match task {
            Some(WriterCommand::Execute(pending)) => next = Some(pending),
            Some(WriterCommand::Close(close)) => return AfterBatch::Close(close),
            None => return AfterBatch::Continue,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_value::payloads::KeyValueOperation;

    fn pending() -> (PendingOperation, oneshot::Receiver<Outcome>) {
        let (answer, answered) = oneshot::channel();
        (PendingOperation { operation: KeyValueOperation::Delete { key: "key".to_owned() }, answer }, answered)
    }

    #[test]
    fn a_batch_has_the_waiting_operations_and_ends_with_the_store() {
        let (send, tasks) = crossbeam_channel::unbounded();
        let ((first, _first), (second, _second), (third, gone)) = (pending(), pending(), pending());
        let (close, _closed) = oneshot::channel();
        drop(gone);
        for task in [WriterCommand::Execute(second), WriterCommand::Execute(third), WriterCommand::Close(close)] {
            assert!(send.send(task).is_ok());
        }
        let mut batch = Vec::new();
        let last = BatchStats { calls: 8, time: Duration::from_secs(24 * 60 * 60) };
        assert!(matches!(collect_batch(first, &tasks, &mut batch, last), AfterBatch::Close(_)));
        assert_eq!(batch.len(), 2);
    }

    #[test]
    fn a_batch_waits_briefly_even_after_a_stalled_disk() {
        let (send, tasks) = crossbeam_channel::unbounded();
        let (first, _answered) = pending();
        let last = BatchStats { calls: 2, time: Duration::from_secs(24 * 60 * 60) };
        let mut batch = Vec::new();
        assert!(matches!(collect_batch(first, &tasks, &mut batch, last), AfterBatch::Continue));
        assert_eq!(batch.len(), 1);
        drop(send);
    }
}
