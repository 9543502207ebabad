//! The thread of the lattice, with a tokio runtime of its own.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{Notify, oneshot, watch};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_lattice::{Connection, Namespace, Rpc};

use super::links::PendingLinks;
use super::remote_actors::RemoteActors;
use super::serving::Serving;
use super::{LatticeConfig, Node, children, registry_changes};

/// The time that the thread has to say goodbye to the server.
const FAREWELL: Duration = Duration::from_secs(2);

/// The thread of a lattice. Dropping it ends the thread.
pub(super) struct LatticeThread {
    end: watch::Sender<bool>,
    ended: watch::Receiver<bool>,
}

impl LatticeThread {
    /// Starts the thread, which begins to join.
    ///
    /// # Errors
    /// `InvalidArgument` for invalid options; `Io` if the thread cannot be created.
    pub(super) async fn start(config: LatticeConfig) -> Result<(LatticeThread, Arc<Node>)> {
        let (end, mut ending) = watch::channel(false);
        let (has_ended, ended) = watch::channel(false);
        let (started, node) = oneshot::channel();
        let run = move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(async move {
                    match begin(config) {
                        Ok(node) => {
                            // The host waits for the answer.
                            let _ = started.send(Ok(node.clone()));
                            let _ = ending.wait_for(|end| *end).await;
                            farewell(&node).await;
                        }
                        Err(error) => drop(started.send(Err(error))),
                    }
                }),
                Err(error) => drop(started.send(Err(cannot_start(error)))),
            }
            has_ended.send_replace(true);
        };
        std::thread::Builder::new().name("lattice".to_owned()).spawn(run).map_err(cannot_start)?;
        let gone = |error| Error::new(ErrorKind::Internal, "the thread of the lattice ended at once").caused_by(error);
        let node = node.await.map_err(gone)??;
        Ok((LatticeThread { end, ended }, node))
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

/// Starts the tasks of the lattice on the current runtime.
fn begin(config: LatticeConfig) -> Result<Arc<Node>> {
    let LatticeConfig { options, key, dispatch, supervisor, changes } = config;
    let namespace = Namespace::new(options.namespace_name())?;
    let connection = Connection::start(options.calls_connection(), &namespace, "calls")?;
    let serving = Serving::new(dispatch.clone());
    let rpc = Rpc::start(&options, key.clone(), connection.clone(), serving.clone(), *dispatch.limits())?;
    let node = Arc::new(Node {
        host_id: key.public_key().into(),
        namespace,
        dispatch,
        supervisor,
        changes,
        connection,
        rpc,
        registry: watch::Sender::new(None),
        actors: RemoteActors::new(),
        links: PendingLinks::default(),
        is_cordoned: AtomicBool::new(false),
        cordon_changed: Notify::new(),
    });
    serving.serve_for(&node);
    node.dispatch.join(Arc::new(super::calls::RemoteCalls::new(Arc::downgrade(&node), Handle::current())));
    tokio::spawn(children::follow(node.clone()));
    tokio::spawn(registry_changes::follow(node.clone(), options, key));
    Ok(node)
}

async fn farewell(node: &Node) {
    if let Err(error) = node.connection.close(FAREWELL).await {
        log::warn!("host {} left the lattice without a farewell: {error}", node.host_id);
    }
}

fn cannot_start(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "the thread of the lattice cannot be started").caused_by(error)
}
