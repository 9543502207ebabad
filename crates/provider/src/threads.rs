//! The threads that run the blocking code of a provider. Shards wait for them without blocking.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use tokio::sync::oneshot;
use wasmcloud_core::error::{BoxedError, Error, ErrorKind, Result, panic_text};

use crate::descriptor::ProviderDescriptor;

/// How many calls a blocking provider serves concurrently.
pub const CALL_THREADS: usize = 4;

/// How many jobs wait for a thread before further ones are refused.
const QUEUE_LENGTH: usize = 1024;

/// A job for a thread.
pub type Job = Box<dyn FnOnce() + Send>;

/// The threads of one provider. They end when this is dropped and all queued jobs are done.
#[derive(Debug)]
pub struct Threads {
    calls: Sender<Job>,
    /// Starts, stops and changes of links have a thread of their own, so that calls that hang do not delay them.
    lifecycle: Sender<Job>,
    /// Health checks have a thread of their own, so that checks and calls that hang do not delay each other.
    health: Sender<Job>,
    /// Each call that is queued or being served holds a reference to this, so that the references count the calls.
    active_calls: Arc<()>,
}

impl Threads {
    /// Starts the threads of a provider.
    ///
    /// # Errors
    /// `Io` if the operating system cannot start a thread.
    pub fn start(provider: &ProviderDescriptor) -> Result<Threads> {
        let contract = &provider.contract_id;
        let thread_error = |error: std::io::Error| {
            Error::new(ErrorKind::Io, format!("cannot start a thread for {provider}")).caused_by(error)
        };
        let (calls, call_queue) = crossbeam_channel::bounded(QUEUE_LENGTH);
        for number in 0..CALL_THREADS {
            spawn_worker(format!("provider-{number}-{contract}"), &call_queue).map_err(thread_error)?;
        }
        let (lifecycle, lifecycle_queue) = crossbeam_channel::unbounded();
        spawn_worker(format!("provider-{contract}"), &lifecycle_queue).map_err(thread_error)?;
        let (health, health_queue) = crossbeam_channel::bounded(1);
        spawn_worker(format!("provider-health-{contract}"), &health_queue).map_err(thread_error)?;
        Ok(Threads { calls, lifecycle, health, active_calls: Arc::default() })
    }

    /// Runs a call. Up to [`CALL_THREADS`] calls run concurrently.
    ///
    /// # Errors
    /// `Busy` if too many calls wait, an error if the deadline passes before a thread is free, `ProviderPanicked` if the call
    /// panics, and the errors of the call.
    pub async fn run_call<T: Send + 'static>(
        &self,
        deadline: Option<Instant>,
        call: impl FnOnce() -> Result<T, BoxedError> + Send + 'static,
    ) -> Result<T, BoxedError> {
        let active_call = self.active_calls.clone();
        run(&self.calls, move || {
            let _active_call = active_call;
            // The caller of a call past its deadline has an error already.
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err("the deadline of the call passed before a thread was free for it".into());
            }
            call()
        })
        .await
    }

    /// Runs a start, a stop or a change of a link, after all earlier ones.
    ///
    /// # Errors
    /// `ProviderPanicked` if the job panics, and the errors of the job.
    pub async fn run_in_order<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, BoxedError> + Send + 'static,
    ) -> Result<T, BoxedError> {
        run(&self.lifecycle, job).await
    }

    /// Queues a job after all starts, stops and changes of links, without waiting for it.
    pub fn enqueue(&self, job: impl FnOnce() + Send + 'static) {
        // Sending fails only if the thread has ended. Then the job cannot run.
        let _ = self.lifecycle.send(Box::new(job));
    }

    /// Runs a health check.
    ///
    /// # Errors
    /// `Busy` if all threads for calls are in use, `DeadlineExceeded` if the last checks have not ended, and the errors of the
    /// check.
    pub async fn run_health_check(
        &self,
        check: impl FnOnce() -> Result<(), BoxedError> + Send + 'static,
    ) -> Result<(), BoxedError> {
        // One reference is that of `self`.
        if Arc::strong_count(&self.active_calls) > CALL_THREADS {
            return Err(Error::new(ErrorKind::Busy, "all of its threads serve calls").into());
        }
        if self.health.is_full() {
            let message = "it has not answered the last health checks yet";
            return Err(Error::new(ErrorKind::DeadlineExceeded, message).into());
        }
        run(&self.health, check).await
    }
}

/// Runs a job on a thread, and waits for its result.
async fn run<T: Send + 'static>(
    queue: &Sender<Job>,
    job: impl FnOnce() -> Result<T, BoxedError> + Send + 'static,
) -> Result<T, BoxedError> {
    let (sender, receiver) = oneshot::channel();
    let job = Box::new(move || {
        // A job that was cancelled while it was queued must not run after jobs that the caller has queued since.
        if sender.is_closed() {
            return;
        }
        let result = catch_unwind(AssertUnwindSafe(job));
        // The receiver is dropped if the caller's deadline has passed.
        let _ = sender.send(result.unwrap_or_else(|panic| Err(panic_error(&*panic).into())));
    });
    queue.try_send(job).map_err(|error| match error {
        TrySendError::Full(_) => {
            Error::new(ErrorKind::Busy, format!("{QUEUE_LENGTH} calls wait for the provider: call again later"))
        }
        TrySendError::Disconnected(_) => Error::new(ErrorKind::ProviderNotFound, "the provider was stopped"),
    })?;
    receiver.await.map_err(|_| Error::new(ErrorKind::ProviderNotFound, "the provider was stopped"))?
}

/// Starts a thread that runs jobs from a queue until all senders are dropped.
///
/// # Errors
/// If the operating system cannot start a thread.
pub fn spawn_worker(name: String, jobs: &Receiver<Job>) -> std::io::Result<()> {
    let jobs = jobs.clone();
    std::thread::Builder::new().name(name).spawn(move || jobs.iter().for_each(|job| job()))?;
    Ok(())
}

/// Returns the error for a panic of a provider.
pub fn panic_error(panic: &(dyn Any + Send)) -> Error {
    Error::new(ErrorKind::ProviderPanicked, format!("the provider panicked: {}", panic_text(panic)))
}
