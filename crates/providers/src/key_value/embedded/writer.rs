//! The thread that changes a store: batches of calls, one durable transaction each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};
use redb::ReadableDatabase;
use tokio::sync::oneshot;
use wasmcloud_core::error::{panic_text, printable};

use super::database::File;
use super::tables::{Failure, Snapshot, Tables};
use super::{Job, Task};
use crate::key_value::error::Refusal;
use crate::key_value::payloads::Answer;

/// How many calls share a transaction at most.
const BATCH: usize = 1024;

/// How many bytes of values share a transaction, but for the last value.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// How long a batch waits for others at most, however long the last one took: a disk may have stood still.
const LONGEST_WAIT: Duration = Duration::from_millis(5);

/// How often expired keys are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

type Outcome = Result<Answer, Refusal>;

/// Who waits for an answer, and what it is.
type Answered = (oneshot::Sender<Outcome>, Outcome);

/// Starts the thread, which opens the store, and tells how that went.
pub(super) fn start(
    file: Arc<File>,
    tasks: Receiver<Task>,
    opened: oneshot::Sender<Result<(), String>>,
) -> std::io::Result<()> {
    let work = move || {
        let open = file.open();
        let is_open = open.is_ok();
        // Where nobody waits for the store any more, nobody has it either.
        if opened.send(open).is_ok() && is_open {
            let last = Written { calls: 0, time: Duration::ZERO };
            Writer { file: &file, last_sweep: Instant::now(), last }.work(&tasks);
        }
        file.close();
    };
    std::thread::Builder::new().name("keyvalue-writer".to_owned()).spawn(work)?;
    Ok(())
}

struct Writer<'a> {
    file: &'a File,
    last_sweep: Instant,
    last: Written,
}

/// A batch that was written.
#[derive(Clone, Copy)]
struct Written {
    calls: usize,
    /// How long it took until it was durable.
    time: Duration,
}

/// What to do once a batch has been gathered.
enum Next {
    GoOn,
    Close(oneshot::Sender<()>),
}

impl Writer<'_> {
    /// Works until the store is closed, or nobody has it any more.
    fn work(mut self, tasks: &Receiver<Task>) {
        loop {
            let mut batch = Vec::new();
            let next = match tasks.recv_deadline(self.last_sweep + SWEEP_INTERVAL) {
                Ok(Task::Perform(job)) => gather(job, tasks, &mut batch, self.last),
                Ok(Task::Close(close)) => Next::Close(close),
                Err(RecvTimeoutError::Timeout) => Next::GoOn,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if !batch.is_empty() {
                let (calls, begin) = (batch.len(), Instant::now());
                let answers = self.write(batch);
                self.last = Written { calls, time: begin.elapsed() };
                for (answer, outcome) in answers {
                    // Nobody listens any more where the call's time was up.
                    let _ = answer.send(outcome);
                }
            }
            self.sweep();
            if let Next::Close(close) = next {
                self.file.close();
                // Who asked may be gone.
                let _ = close.send(());
                return;
            }
        }
    }

    /// Carries out a batch, and tells what to answer, once all of it is durable.
    fn write(&self, batch: Vec<Job>) -> impl Iterator<Item = Answered> + use<> {
        let mut outcomes = Vec::with_capacity(batch.len());
        let (operations, answers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|Job { operation, answer }| (operation, answer)).unzip();
        let written = self.change(|tables| {
            for operation in operations {
                outcomes.push(match tables.write(operation) {
                    Ok(answer) => Ok(answer),
                    Err(Failure::Refused(refusal)) => Err(refusal),
                    Err(failure) => return Err(failure),
                });
            }
            Ok(())
        });
        let outcomes: Vec<Outcome> = match written {
            Ok(()) => outcomes,
            Err(error) => answers.iter().map(|_| Err(Refusal::Unavailable(error.clone()))).collect(),
        };
        answers.into_iter().zip(outcomes)
    }

    /// Removes what has expired, and opens again what could not be, now and then.
    fn sweep(&mut self) {
        if self.last_sweep.elapsed() < SWEEP_INTERVAL {
            return;
        }
        self.last_sweep = Instant::now();
        let mut expired = self.has_expired();
        while let Ok(true) = expired {
            expired = self.change(|tables| tables.sweep());
        }
        if let Err(error) = expired.and_then(|_| if self.file.get().is_none() { self.file.open() } else { Ok(()) }) {
            log::error!("the key-value store fails, and is tried again soon: {error}");
        }
    }

    /// Whether there is something to sweep. Most of the time there is not, and nothing needs to be written.
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

    /// Changes the store durably, or not at all.
    ///
    /// # Errors
    /// Why it could not be changed. The store is opened again then.
    fn change<T>(&self, change: impl FnOnce(&mut Tables<'_>) -> Result<T, Failure>) -> Result<T, String> {
        if self.file.get().is_none() {
            self.file.open()?;
        }
        let changed = catch_unwind(AssertUnwindSafe(|| self.commit(change)));
        let changed = changed.unwrap_or_else(|panic| Err(redb::Error::Corrupted(panic_text(&*panic))));
        changed.map_err(|error| self.recover("written", &error))
    }

    /// Opens the store again after a failure, and describes the failure.
    fn recover(&self, what: &str, error: &redb::Error) -> String {
        let error = printable(error.to_string().as_bytes());
        log::error!("the key-value store could not be {what}, and is opened again: {error}");
        if let Err(error) = self.file.open() {
            log::error!("{}", printable(error.as_bytes()));
        }
        format!("it could not be {what}: {error}")
    }

    fn commit<T>(&self, change: impl FnOnce(&mut Tables<'_>) -> Result<T, Failure>) -> Result<T, redb::Error> {
        let database = self.file.get();
        let database = database.as_ref().ok_or(redb::Error::DatabaseClosed)?;
        let mut transaction = database.begin_write()?;
        // After a crash the store is open at once, however large it is, and what hostile values were written just before
        // cannot pass for a commit.
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
            Err(Failure::Store(error)) => Err(error),
            // Refusals are outcomes of single calls, and end there.
            Err(Failure::Refused(refusal)) => Err(redb::Error::Corrupted(refusal.to_string())),
        }
    }
}

/// Adds what else is waiting to a batch, but for calls that nobody waits for any more.
///
/// Whoever was answered after the last batch is likely to be about to call again. So for as long as that one took at most, as
/// many as it had are waited for: otherwise the first to come back would have a transaction for itself, and all others would
/// wait for two.
fn gather(first: Job, tasks: &Receiver<Task>, batch: &mut Vec<Job>, last: Written) -> Next {
    let mut bytes = 0;
    let mut next = Some(first);
    let patience = Instant::now() + last.time.min(LONGEST_WAIT);
    loop {
        if let Some(job) = next.take().filter(|job| !job.answer.is_closed()) {
            bytes += job.operation.value().map_or(0, str::len);
            batch.push(job);
        }
        if batch.len() >= BATCH || bytes >= BATCH_BYTES {
            return Next::GoOn;
        }
        let task = match tasks.try_recv() {
            Err(TryRecvError::Empty) if batch.len() < last.calls => tasks.recv_deadline(patience).ok(),
            task => task.ok(),
        };
        match task {
            Some(Task::Perform(job)) => next = Some(job),
            Some(Task::Close(close)) => return Next::Close(close),
            None => return Next::GoOn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_value::payloads::Operation;

    fn job() -> (Job, oneshot::Receiver<Outcome>) {
        let (answer, answered) = oneshot::channel();
        (Job { operation: Operation::Delete { key: "key".to_owned() }, answer }, answered)
    }

    #[test]
    fn a_batch_takes_what_is_there_and_ends_with_the_store() {
        let (send, tasks) = crossbeam_channel::unbounded();
        let ((first, _first), (second, _second), (third, gone)) = (job(), job(), job());
        let (close, _closed) = oneshot::channel();
        drop(gone);
        for task in [Task::Perform(second), Task::Perform(third), Task::Close(close)] {
            assert!(send.send(task).is_ok());
        }
        let mut batch = Vec::new();
        let last = Written { calls: 8, time: Duration::from_secs(24 * 60 * 60) };
        assert!(matches!(gather(first, &tasks, &mut batch, last), Next::Close(_)));
        assert_eq!(batch.len(), 2);
    }

    #[test]
    fn nobody_waits_for_long_after_a_disk_that_stood_still() {
        let (send, tasks) = crossbeam_channel::unbounded();
        let (first, _answered) = job();
        let last = Written { calls: 2, time: Duration::from_secs(24 * 60 * 60) };
        let mut batch = Vec::new();
        assert!(matches!(gather(first, &tasks, &mut batch, last), Next::GoOn));
        assert_eq!(batch.len(), 1);
        drop(send);
    }
}
