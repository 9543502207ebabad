//! The threads that read a store: each call sees what was made durable last.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::Receiver;
use redb::ReadableDatabase;
use wasmcloud_core::error::panic_text;

use super::Job;
use super::database::File;
use super::read_operations::read;
use super::tables::{Failure, Snapshot};
use crate::key_value::error::Refusal;
use crate::key_value::payloads::{Answer, Operation};

/// Two, so that who asks for much holds up others less.
const THREADS: usize = 2;

/// How many calls see the same snapshot at most.
const BATCH: usize = 64;

/// Starts the threads. They end when nobody can send them anything any more.
pub(super) fn start(file: &Arc<File>, jobs: &Receiver<Job>) -> std::io::Result<()> {
    for number in 0..THREADS {
        let (file, jobs) = (file.clone(), jobs.clone());
        let work = move || {
            while let Ok(first) = jobs.recv() {
                answer(&file, first, &jobs);
            }
        };
        std::thread::Builder::new().name(format!("keyvalue-reader-{number}")).spawn(work)?;
    }
    Ok(())
}

/// Answers a call, and those that wait for the same.
fn answer(file: &File, first: Job, jobs: &Receiver<Job>) {
    let mut snapshot = None;
    let mut next = Some(first);
    for _ in 0..BATCH {
        let Some(Job { operation, answer }) = next.take() else { break };
        // Nobody listens any more where the call's time was up.
        if !answer.is_closed() {
            let _ = answer.send(outcome(file, &mut snapshot, &operation));
        }
        next = jobs.try_recv().ok();
    }
    // What is left waits for the next turn of whichever thread is free.
    if let Some(job) = next {
        let _ = job.answer.send(outcome(file, &mut snapshot, &job.operation));
    }
}

fn outcome(file: &File, snapshot: &mut Option<Snapshot>, operation: &Operation) -> Result<Answer, Refusal> {
    let reading = catch_unwind(AssertUnwindSafe(|| {
        let snapshot = match snapshot {
            Some(snapshot) => snapshot,
            None => snapshot.insert(look(file)?),
        };
        read(snapshot, operation)
    }));
    match reading {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(Failure::Refused(refusal))) => Err(refusal),
        Ok(Err(Failure::Store(error))) => Err(Refusal::Unavailable(format!("it could not be read: {error}"))),
        Err(panic) => Err(Refusal::Unavailable(format!("it could not be read: {}", panic_text(&*panic)))),
    }
}

fn look(file: &File) -> Result<Snapshot, Failure> {
    let database = file.get();
    let Some(database) = database.as_ref() else { return Err(redb::Error::DatabaseClosed.into()) };
    Ok(Snapshot::open(&database.begin_read().map_err(redb::Error::from)?)?)
}
