//! A host on a thread of its own, for programs without an actix `System`.

use std::future::Future;

use tokio::sync::{oneshot, watch};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Host;

/// The thread that a host made to start on.
#[derive(Debug)]
pub(super) struct OwnThread {
    /// Closed by the end of the thread.
    alive: watch::Receiver<()>,
}

impl OwnThread {
    /// Makes a thread with a `System`, and starts the host there. The thread ends when the host has stopped.
    ///
    /// # Errors
    /// Those of [`Host::start`]; `Io` where the thread or its runtime cannot be made.
    pub(super) async fn start(host: Host) -> Result<()> {
        let (started, start) = oneshot::channel();
        let (until_the_end, alive) = watch::channel(());
        let run = move || {
            // Dropped last of all.
            let _until_the_end = until_the_end;
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    // The caller may have given up.
                    let _ = started.send(Err(failure("its runtime cannot be made", error)));
                    return;
                }
            };
            actix_rt::System::with_tokio_rt(move || runtime).block_on(serve(host, OwnThread { alive }, started));
        };
        let thread = std::thread::Builder::new().name("wasmcloud-host".to_owned()).spawn(run);
        thread.map_err(|error| failure("it cannot be made", error))?;
        start.await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "the thread of the host panicked while the host was started"))
        })
    }

    /// Waits for the thread to end.
    pub(super) fn end(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut alive = self.alive.clone();
        // Nothing is ever sent, so this is an error: that of the end.
        async move { while alive.changed().await.is_ok() {} }
    }
}

/// Starts the host, says so, and stays until it has stopped.
async fn serve(host: Host, thread: OwnThread, started: oneshot::Sender<Result<()>>) {
    let outcome = host.start_here(Some(thread)).await;
    let shards = host.0.running.get().map(|running| running.shards.clone());
    // This handle must not keep the host from being stopped with the last one of its embedder.
    drop(host);
    let running = outcome.is_ok();
    // The caller may have given up: then the host stops with the last of its handles.
    let _ = started.send(outcome);
    if let Some(shards) = shards.filter(|_| running) {
        shards.ended().await;
    }
}

fn failure(what: &str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("the host was to have a thread of its own, and {what}")).caused_by(error)
}
