//! The one bridge between the shards and code that blocks: threads that run a provider's work.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use tokio::sync::oneshot;
use wasmcloud_core::error::{BoxedError, Error, ErrorKind, Result, panic_text};

use crate::descriptor::ProviderDescriptor;

/// How many calls a blocking provider serves at once.
pub const CALL_THREADS: usize = 4;

/// How many calls wait for a thread before further ones are refused.
const WAITING: usize = 1024;

/// Something for a thread to do.
pub type Job = Box<dyn FnOnce() + Send>;

/// The threads of one provider. They end when this is dropped and what they were given is done.
#[derive(Debug)]
pub struct Threads {
    calls: Sender<Job>,
    /// Links, start and stop have a thread of their own: calls that hang cannot hold them up.
    lifecycle: Sender<Job>,
    /// So have health checks: neither can calls that hang hold them up, nor they the calls.
    health: Sender<Job>,
    /// Held once more by each call that is served or waits for a thread.
    at_work: Arc<()>,
}

impl Threads {
    /// Starts the threads of a provider.
    ///
    /// # Errors
    /// `Io` where the operating system has none to give.
    pub fn start(provider: &ProviderDescriptor) -> Result<Threads> {
        let contract = &provider.contract_id;
        let thread_error = |error: std::io::Error| {
            Error::new(ErrorKind::Io, format!("cannot start a thread for {provider}")).caused_by(error)
        };
        let (calls, waiting_calls) = crossbeam_channel::bounded(WAITING);
        for number in 0..CALL_THREADS {
            work_off(format!("provider-{number}-{contract}"), &waiting_calls).map_err(thread_error)?;
        }
        let (lifecycle, waiting_lifecycle) = crossbeam_channel::unbounded();
        work_off(format!("provider-{contract}"), &waiting_lifecycle).map_err(thread_error)?;
        let (health, waiting_health) = crossbeam_channel::bounded(1);
        work_off(format!("provider-health-{contract}"), &waiting_health).map_err(thread_error)?;
        Ok(Threads { calls, lifecycle, health, at_work: Arc::default() })
    }

    /// Runs a call, of which several run at once.
    pub async fn call<T: Send + 'static>(
        &self,
        deadline: Option<Instant>,
        serve: impl FnOnce() -> Result<T, BoxedError> + Send + 'static,
    ) -> Result<T, BoxedError> {
        let at_work = self.at_work.clone();
        run(&self.calls, move || {
            let _at_work = at_work;
            // A call whose time ran out while it waited for a thread is nobody's any more.
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err("the call's time was up before a thread was free for it".into());
            }
            serve()
        })
        .await
    }

    /// Runs what comes one after the other: starts, stops, and what concerns links.
    pub async fn in_turn<T: Send + 'static>(
        &self,
        part: impl FnOnce() -> Result<T, BoxedError> + Send + 'static,
    ) -> Result<T, BoxedError> {
        run(&self.lifecycle, part).await
    }

    /// Has something done after everything before it, and does not wait.
    pub fn leave(&self, work: impl FnOnce() + Send + 'static) {
        // Without the thread, there is nobody who could do it.
        let _ = self.lifecycle.send(Box::new(work));
    }

    /// Runs a health check.
    ///
    /// # Errors
    /// `Busy` while calls have all the threads, `DeadlineExceeded` where the last checks still go on.
    pub async fn check(&self, ask: impl FnOnce() -> Result<(), BoxedError> + Send + 'static) -> Result<(), BoxedError> {
        // These threads hold it, too.
        if Arc::strong_count(&self.at_work) > CALL_THREADS {
            return Err(Error::new(ErrorKind::Busy, "all of its threads have calls").into());
        }
        if self.health.is_full() {
            let message = "it has not answered the last health checks yet";
            return Err(Error::new(ErrorKind::DeadlineExceeded, message).into());
        }
        run(&self.health, ask).await
    }
}

/// Has a thread do something, and waits for it.
async fn run<T: Send + 'static>(
    threads: &Sender<Job>,
    part: impl FnOnce() -> Result<T, BoxedError> + Send + 'static,
) -> Result<T, BoxedError> {
    let (answer, answered) = oneshot::channel();
    let job = Box::new(move || {
        // What has been given up while it waited for its turn must not come about later, beside what was done since.
        if answer.is_closed() {
            return;
        }
        let done = catch_unwind(AssertUnwindSafe(part));
        // Nobody listens any more where the caller's time was up.
        let _ = answer.send(done.unwrap_or_else(|panic| Err(panicked(&*panic).into())));
    });
    threads.try_send(job).map_err(|error| match error {
        TrySendError::Full(_) => Error::new(ErrorKind::Busy, format!("{WAITING} calls wait for the provider")),
        TrySendError::Disconnected(_) => Error::new(ErrorKind::ProviderNotFound, "the provider was stopped"),
    })?;
    answered.await.map_err(|_| Error::new(ErrorKind::ProviderNotFound, "the provider was stopped"))?
}

/// Starts a thread that works off jobs until nobody can send one any more.
pub fn work_off(name: String, jobs: &Receiver<Job>) -> std::io::Result<()> {
    let jobs = jobs.clone();
    std::thread::Builder::new().name(name).spawn(move || jobs.iter().for_each(|job| job()))?;
    Ok(())
}

/// A panic as an error.
pub fn panicked(panic: &(dyn Any + Send)) -> Error {
    Error::new(ErrorKind::ProviderPanicked, format!("the provider panicked: {}", panic_text(panic)))
}
