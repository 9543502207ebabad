//! The lattice, as a host takes part in it: calls to and from other hosts, and the claims and links that they share.
//!
//! Everything here runs on a thread of its own, so that no message of another host holds a shard. The crate
//! `wasmcloud-lattice` speaks with NATS; this connects it with what runs in the host.
//!
//! # Layout
//! - `thread`: the thread, and how it ends
//! - `children`: makes known what starts and stops on this host
//! - `registry_changes`: applies what other hosts change
//! - `links`: changes of links by this host
//! - `serving`, `calls`: calls from and to other hosts
//! - `remote_actors`: the verified identities of actors on other hosts
//! - `view`: the lattice as embedders see it

mod calls;
mod children;
mod links;
mod registry_changes;
mod remote_actors;
mod serving;
mod thread;
mod view;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use actix::Addr;
use nkeys::KeyPair;
use tokio::sync::{Notify, watch};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_lattice::{Connection, InterestHandle, LatticeOptions, Namespace, Registry, Rpc};

use crate::child::ChildChanges;
use crate::dispatch::Dispatch;
use crate::supervisor::{Command, Supervisor};
use links::PendingLinks;
use remote_actors::RemoteActors;
use thread::LatticeThread;
pub use view::LatticeView;

/// What a host needs to join a lattice.
pub(crate) struct LatticeConfig {
    pub(crate) options: LatticeOptions,
    pub(crate) key: Arc<KeyPair>,
    pub(crate) dispatch: Dispatch,
    pub(crate) supervisor: Addr<Supervisor>,
    pub(crate) changes: Arc<ChildChanges>,
}

/// A host's part in a lattice.
pub(crate) struct Lattice {
    node: Arc<Node>,
    thread: LatticeThread,
}

/// What the tasks of the lattice share.
struct Node {
    host_id: Arc<str>,
    namespace: Namespace,
    dispatch: Dispatch,
    supervisor: Addr<Supervisor>,
    changes: Arc<ChildChanges>,
    connection: Connection,
    rpc: Rpc,
    /// The registry, once it has been opened.
    registry: watch::Sender<Option<OpenRegistry>>,
    actors: RemoteActors,
    links: PendingLinks,
    is_cordoned: AtomicBool,
    /// Notified when the host is cordoned or uncordoned.
    cordon_changed: Notify,
}

/// An open registry, and what the host watches in it.
#[derive(Debug, Clone)]
struct OpenRegistry {
    registry: Registry,
    interest: InterestHandle,
}

impl Lattice {
    /// Begins to join a lattice, in the background.
    ///
    /// # Errors
    /// `InvalidArgument` for invalid options; `Io` if a thread cannot be created.
    pub(crate) async fn join(config: LatticeConfig) -> Result<Lattice> {
        config.options.validate()?;
        let (thread, node) = LatticeThread::start(config).await?;
        Ok(Lattice { node, thread })
    }

    /// Returns the lattice as it is known now.
    pub(crate) fn view(&self) -> LatticeView {
        LatticeView::of(&self.node)
    }

    /// Leaves the lattice: no more calls come from it. Calls in progress can still be finished.
    pub(crate) async fn leave(&self) {
        self.node.rpc.close_all().await;
    }

    /// Ends the thread of the lattice.
    pub(crate) async fn end(&self) {
        self.thread.end().await;
    }
}

impl Node {
    /// Returns the registry.
    ///
    /// # Errors
    /// `LatticeUnavailable` if the host has not joined yet, or has lost the connection.
    fn registry(&self) -> Result<OpenRegistry> {
        self.connection.client()?;
        self.registry.borrow().clone().ok_or_else(|| {
            let message = "the registry of the lattice is not open yet, or the NATS server has no JetStream";
            Error::new(ErrorKind::LatticeUnavailable, message)
        })
    }

    /// Requests a change of the supervisor.
    async fn request(&self, command: Command) -> Result<()> {
        self.supervisor.send(command).await.unwrap_or_else(|error| {
            let message = format!("host {} has ended", self.host_id);
            Err(Error::new(ErrorKind::HostNotRunning, message).caused_by(error))
        })
    }
}

impl std::fmt::Debug for Lattice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lattice").field("namespace", &self.node.namespace.as_str()).finish_non_exhaustive()
    }
}
