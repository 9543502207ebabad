//! The thread of the lattice, with a tokio runtime of its own.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{oneshot, watch};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Node;
use super::foundation::{Foundation, FoundationConfig};

/// The time that the thread has to say goodbye to the server.
const FAREWELL: Duration = Duration::from_secs(2);

/// The thread of a lattice. Dropping it ends the thread.
pub(super) struct LatticeThread {
    end: watch::Sender<bool>,
    ended: watch::Receiver<bool>,
    runtime: Handle,
    /// What has to be closed at the end.
    node: Arc<OnceLock<Arc<Node>>>,
}

/// What a thread that has been started answers with.
struct Started {
    foundation: Foundation,
    runtime: Handle,
}

impl LatticeThread {
    /// Starts the thread, which begins to join.
    ///
    /// # Errors
    /// `InvalidArgument` for invalid options; `Io` if the thread cannot be created.
    pub(super) async fn start(config: FoundationConfig) -> Result<(LatticeThread, Foundation)> {
        let (end, mut ending) = watch::channel(false);
        let (has_ended, ended) = watch::channel(false);
        let (started, starting) = oneshot::channel();
        let node: Arc<OnceLock<Arc<Node>>> = Arc::default();
        let joined = node.clone();
        let run = move || {
            match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(async move {
                    let foundation = Foundation::lay(config);
                    let is_laid = foundation.is_ok();
                    // The host waits for the answer.
                    let runtime = Handle::current();
                    let _ = started.send(foundation.map(|foundation| Started { foundation, runtime }));
                    if is_laid {
                        let _ = ending.wait_for(|end| *end).await;
                    }
                    if let Some(node) = joined.get() {
                        farewell(node).await;
                    }
                }),
                Err(error) => drop(started.send(Err(cannot_start(error)))),
            }
            has_ended.send_replace(true);
        };
        std::thread::Builder::new().name("lattice".to_owned()).spawn(run).map_err(cannot_start)?;
        let gone = |error| Error::new(ErrorKind::Internal, "the thread of the lattice ended at once").caused_by(error);
        let Started { foundation, runtime } = starting.await.map_err(gone)??;
        Ok((LatticeThread { end, ended, runtime, node }, foundation))
    }

    /// Returns the runtime of the thread.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Sets what is to be closed at the end.
    pub(super) fn serve(&self, node: &Arc<Node>) {
        // A lattice is joined once.
        let _ = self.node.set(node.clone());
    }

    /// Ends the thread, and waits for its end.
    pub(super) async fn end(&self) {
        self.end.send_replace(true);
        // The sender is dropped when the thread has ended.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }
}

impl Drop for LatticeThread {
    fn drop(&mut self) {
        self.end.send_replace(true);
    }
}

async fn farewell(node: &Node) {
    node.control_interface.leave(node.control.state().is_joined()).await;
    node.advertisements.leave().await;
    if let Err(error) = node.membership.leave(FAREWELL).await {
        log::debug!("the lattice was not told that host {} leaves: {error}", node.host_id);
    }
    // Closing the same connection twice has no effect.
    for connection in [&node.control, &node.connection, &node.calls] {
        if let Err(error) = connection.close(FAREWELL).await {
            log::debug!("a connection of host {} ends without a farewell: {error}", node.host_id);
        }
    }
}

fn cannot_start(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "the thread of the lattice cannot be started").caused_by(error)
}
