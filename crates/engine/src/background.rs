//! Runs work on threads that neither a runtime nor the process waits for.
//!
//! A compiler cannot be interrupted within a function. tokio waits for its blocking threads when a runtime is dropped,
//! so compiling on them would delay the shutdown of a host.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;

use tokio::sync::oneshot;
use wasmcloud_core::error::{Error, ErrorKind, Result};

/// The name of the threads. Linux cuts names after 15 bytes.
const THREAD_NAME: &str = "wasm-module";

/// Cancels work when it is dropped.
#[derive(Debug, Default)]
struct CancelOnDrop(Arc<AtomicBool>);

/// Tells work that it has been cancelled. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Returns whether the work has been cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs work on a new thread and returns its result.
///
/// Dropping the returned future cancels the work: its flag is set, it runs until it checks the flag, and its result is
/// dropped on its thread.
///
/// # Errors
/// - `Busy` if the process can have no more threads
/// - `Internal` if the work panics
pub async fn run_in_background<T: Send + 'static>(work: impl FnOnce(CancelFlag) -> T + Send + 'static) -> Result<T> {
    let guard = CancelOnDrop::default();
    let cancelled = CancelFlag(guard.0.clone());
    let (answer, answered) = oneshot::channel();
    let spawned = Builder::new().name(THREAD_NAME.to_owned()).spawn(move || {
        let done = catch_unwind(AssertUnwindSafe(|| work(cancelled)));
        // If the receiver is gone, the result is dropped here.
        let _ = answer.send(done);
    });
    if let Err(error) = spawned {
        let message = "the system refuses another thread to prepare the module: raise the limit of threads, or try again \
                       later";
        return Err(Error::new(ErrorKind::Busy, message).caused_by(error));
    }
    match answered.await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) | Err(_) => {
            // The panic hook has written the text of the panic.
            let message = "the preparation of the module panicked; the panic's text is on standard error";
            Err(Error::new(ErrorKind::Internal, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn the_result_of_work_is_returned_and_a_panic_is_an_error() {
        assert_eq!(run_in_background(|_| 7).await.unwrap(), 7);
        let error = run_in_background(|_| -> () { panic!("deliberate panic") }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }

    #[actix_rt::test]
    async fn cancelled_work_sees_its_flag_and_its_result_is_dropped() {
        let (learned, learns) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = oneshot::channel();
        let mut work = Box::pin(run_in_background(move |cancelled| {
            begun.send(()).unwrap();
            while !cancelled.is_cancelled() {
                std::thread::yield_now();
            }
            learned
        }));
        assert!(futures_util::poll!(&mut work).is_pending());
        begins.await.unwrap();
        drop(work);
        // The sender is gone once the result has been dropped.
        assert!(learns.recv().is_err());
    }
}
