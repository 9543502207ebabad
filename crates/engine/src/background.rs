//! Work on threads of its own, which nothing waits for: neither the end of a runtime nor that of the process.
//!
//! A compiler cannot be interrupted inside of a function. tokio waits for its blocking threads when a runtime is dropped, so
//! compiling there would have a host's end wait for the compiler.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;

use tokio::sync::oneshot;
use wasmcloud_core::error::{Error, ErrorKind, Result};

/// The name of the threads, of which Linux shows 15 bytes.
const THREAD_NAME: &str = "wasm-module";

/// Whether work is still waited for. It is given up when this is dropped.
#[derive(Debug, Default)]
struct Interest(Arc<AtomicBool>);

/// Tells work that it has been given up. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    pub fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does work on a thread of its own, and answers with what it yields. When this future is dropped, the work is told so, goes
/// on until it looks, and what it yields is dropped on its thread.
///
/// # Errors
/// `Busy` where the process can have no more threads, and `Internal` where the work panics.
pub async fn in_background<T: Send + 'static>(work: impl FnOnce(CancelFlag) -> T + Send + 'static) -> Result<T> {
    let interest = Interest::default();
    let cancelled = CancelFlag(interest.0.clone());
    let (answer, answered) = oneshot::channel();
    let spawned = Builder::new().name(THREAD_NAME.to_owned()).spawn(move || {
        let done = catch_unwind(AssertUnwindSafe(|| work(cancelled)));
        // Where nothing waits for it, it is dropped here.
        let _ = answer.send(done);
    });
    if let Err(error) = spawned {
        return Err(Error::new(ErrorKind::Busy, "there is no thread to compile a module on").caused_by(error));
    }
    match answered.await {
        Ok(Ok(done)) => Ok(done),
        // The panic's message has been written by the panic hook.
        Ok(Err(_)) | Err(_) => Err(Error::new(ErrorKind::Internal, "the compiler panicked")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn work_answers_and_a_panic_is_an_error() {
        assert_eq!(in_background(|_| 7).await.unwrap(), 7);
        let error = in_background(|_| -> () { panic!("deliberate panic") }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }

    #[actix_rt::test]
    async fn work_that_is_given_up_learns_of_it_and_what_it_yields_is_dropped() {
        let (learned, learns) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = oneshot::channel();
        let mut work = Box::pin(in_background(move |cancelled| {
            begun.send(()).unwrap();
            while !cancelled.is_so() {
                std::thread::yield_now();
            }
            learned
        }));
        assert!(futures_util::poll!(&mut work).is_pending());
        begins.await.unwrap();
        drop(work);
        // The sender is gone once what the work yields has been dropped.
        assert!(learns.recv().is_err());
    }
}
