//! A host on a thread of its own, for programs without an actix `System`.

use std::future::Future;

use tokio::sync::{oneshot, watch};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Host;

/// The thread that was created for a host.
#[derive(Debug)]
pub(super) struct OwnThread {
    /// Closed by the end of the thread.
    alive: watch::Receiver<()>,
}

impl OwnThread {
    /// Creates a thread with a `System` and starts the host there. The thread ends when the host has stopped.
    ///
    /// # Errors
    /// Those of [`Host::start`]; `Io` if the thread or its runtime cannot be created.
    pub(super) async fn start(host: Host) -> Result<()> {
        let (started, start) = oneshot::channel();
        let (thread_guard, alive) = watch::channel(());
        let run = move || {
            // Dropped last, so that `end` returns only when everything else is gone.
            let _thread_guard = thread_guard;
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    // The caller may have dropped its future.
                    let _ = started.send(Err(failure("its runtime cannot be created", error)));
                    return;
                }
            };
            actix_rt::System::with_tokio_rt(move || runtime).block_on(run_host(host, OwnThread { alive }, started));
        };
        let thread = std::thread::Builder::new().name("wasmcloud-host".to_owned()).spawn(run);
        thread.map_err(|error| failure("it cannot be created", error))?;
        start.await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "the thread of the host panicked while the host was started"))
        })
    }

    /// Waits for the thread to end.
    pub(super) fn end(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut alive = self.alive.clone();
        // The sender never sends: an error means that the thread has dropped it.
        async move { while alive.changed().await.is_ok() {} }
    }
}

/// Starts the host, sends the outcome, and returns when the host has stopped.
async fn run_host(host: Host, thread: OwnThread, started: oneshot::Sender<Result<()>>) {
    let outcome = host.start_here(Some(thread)).await;
    let shards = host.0.running.get().map(|running| running.shards.clone());
    // Dropped, so that the host stops with the last handle of its embedder.
    drop(host);
    let running = outcome.is_ok();
    // The caller may have dropped its future: the host then stops with the last of its handles.
    let _ = started.send(outcome);
    if let Some(shards) = shards.filter(|_| running) {
        shards.ended().await;
    }
}

fn failure(what: &str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("cannot start the host on a thread of its own: {what}")).caused_by(error)
}
