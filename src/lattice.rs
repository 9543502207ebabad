//! The lattice, as a host takes part in it: calls to and from other hosts, and the claims and links that they share.
//!
//! All but calls of sessions run on a thread of their own, so that no message of another host holds a shard for long. The crate
//! `wasmcloud-lattice` speaks with NATS; this connects it with what runs in the host.
//!
//! # Layout
//! - `thread`: the thread, and how it ends
//! - `foundation`, `joining`: what the thread runs from its start on, and what follows
//! - `inventory`: what other hosts learn of this one
//! - `advertisements`: what hosts and control clients of 2021 tell and ask
//! - `host_claims`: tokens of actors, asked of the host that runs them
//! - `events`: the lattice's changes, as events of the host
//! - `control`: the control interface of the host, and its events for operators
//! - `children`: makes known what starts and stops on this host
//! - `registry_changes`: applies what other hosts change
//! - `links`, `pending_links`: changes of links by this host, and those that others are still to be told of
//! - `serving`, `calls`: calls from and to other hosts
//! - `remote_actors`: the verified identities of actors on other hosts
//! - `view`, `silent`: the lattice as embedders and viewers see it

mod advertisements;
mod calls;
mod children;
mod control;
mod events;
mod foundation;
mod host_claims;
mod inventory;
mod joining;
mod links;
mod pending_links;
mod registry_changes;
mod remote_actors;
mod serving;
#[cfg(feature = "telemetry")]
mod silent;
mod thread;
mod view;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::Addr;
use nkeys::KeyPair;
use tokio::sync::{Notify, watch};
use wasmcloud_claims::jwt::{self, Claims};
use wasmcloud_claims::read_token;
use wasmcloud_control::ControlHandler;
#[cfg(feature = "telemetry")]
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_lattice::registry::{InterestHandle, Registry};
use wasmcloud_lattice::rpc::Rpc;
use wasmcloud_lattice::{Advertisements, Connection, LatticeOptions, Membership, Namespace};

use crate::child::ChildChanges;
use crate::dispatch::Dispatch;
#[cfg(feature = "telemetry")]
use crate::link::LinkDefinition;
use crate::shard::Shards;
use crate::supervisor::restart::RestartPolicy;
use crate::supervisor::{Command, Supervisor};
use control::ControlInterface;
pub(crate) use control::health_text;
use inventory::HostInventory;
use pending_links::PendingLinks;
use remote_actors::RemoteActors;
use thread::LatticeThread;
#[cfg(feature = "telemetry")]
pub(crate) use view::LatticeHosts;
pub use view::{LatticeCounts, LatticeEntity, LatticePeer, LatticeView};

/// What a host needs to join a lattice.
pub(crate) struct LatticeConfig {
    pub(crate) options: LatticeOptions,
    pub(crate) key: Arc<KeyPair>,
    pub(crate) dispatch: Dispatch,
    pub(crate) supervisor: Addr<Supervisor>,
    pub(crate) shards: Arc<Shards>,
    pub(crate) changes: Arc<ChildChanges>,
    /// The restart policy of providers that the host starts of its own accord.
    pub(crate) restart: RestartPolicy,
    pub(crate) labels: Labels,
    /// Answers and carries out what operators request.
    pub(crate) handler: Arc<dyn ControlHandler>,
}

/// Returns the labels of the host.
pub(crate) type Labels = Arc<dyn Fn() -> HashMap<String, String> + Send + Sync>;

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
    shards: Arc<Shards>,
    changes: Arc<ChildChanges>,
    restart: RestartPolicy,
    /// The connection of all but control and calls.
    connection: Connection,
    /// The connection of control. Often the same.
    control: Connection,
    /// The connection of the calls.
    calls: Connection,
    rpc: Rpc,
    membership: Membership,
    #[cfg(feature = "telemetry")]
    silent: silent::SilentHosts<wasmcloud_lattice::Peer>,
    inventory: Arc<HostInventory>,
    /// Whether other hosts are trusted without a key of theirs.
    trusts_any_host: bool,
    /// Whether the host and what it runs have been made known since the start.
    is_known: watch::Sender<bool>,
    registry: watch::Sender<RegistryState>,
    advertisements: Advertisements,
    actors: RemoteActors,
    links: PendingLinks,
    control_interface: ControlInterface,
    is_cordoned: AtomicBool,
    /// Notified when the host is cordoned or uncordoned.
    cordon_changed: Notify,
}

/// Whether there is a registry.
#[derive(Debug, Clone)]
enum RegistryState {
    /// The host has not been able to open it yet.
    Unknown,
    /// The NATS server has no JetStream.
    Missing,
    Open(OpenRegistry),
}

/// An open registry, and what the host watches in it.
#[derive(Debug, Clone)]
struct OpenRegistry {
    registry: Registry,
    interest: InterestHandle,
}

impl Lattice {
    /// Returns the lattice as it is known now.
    pub(crate) fn view(&self) -> LatticeView {
        LatticeView::of(&self.node)
    }

    /// Returns the hosts of the lattice as they are known now.
    #[cfg(feature = "telemetry")]
    pub(crate) fn hosts(&self) -> LatticeHosts {
        LatticeHosts::of(&self.node)
    }

    /// Returns another host that runs the provider of a link, if one does.
    #[cfg(feature = "telemetry")]
    pub(crate) fn host_of_provider(&self, link: &LinkDefinition) -> Option<String> {
        let LinkDefinition { provider_id, contract_id, link_name, .. } = link;
        let (id, contract_id, link_name) = (provider_id.clone(), contract_id.clone(), link_name.clone());
        let provider = WasmCloudEntity::Capability { id, contract_id, link_name };
        self.node.membership.hosts_of(&provider).hosts.into_iter().next()
    }

    /// Returns the public key of the actor or provider that a reference stands for, if a host has started it by that.
    pub(crate) async fn reference(&self, reference: &str) -> Result<Option<String>> {
        self.node.registry()?.registry.reference(reference).await
    }

    /// Returns the claims of an actor, by its token in the registry.
    pub(crate) async fn claims_of_actor(&self, key: &str) -> Result<Option<Claims<jwt::Actor>>> {
        if self.node.has_no_registry() {
            return Ok(None);
        }
        let record = self.node.registry()?.registry.claims(key).await?;
        record.map(|record| read_token(&record.token)).transpose()
    }

    /// Cordons the host, or lets it take calls of the lattice again.
    pub(crate) async fn set_cordoned(&self, is_cordoned: bool) -> Result<()> {
        if self.node.is_cordoned.swap(is_cordoned, Ordering::SeqCst) != is_cordoned {
            self.node.rpc.set_cordoned(is_cordoned);
            self.node.membership.set_cordoned(is_cordoned, false);
            self.node.cordon_changed.notify_one();
            self.node.tell_cordon(is_cordoned).await;
        }
        Ok(())
    }

    /// Applies a new trust policy to actors of other hosts that call this one.
    pub(crate) fn trust_changed(&self) {
        self.node.actors.forget();
    }

    /// Takes no more calls from the lattice, and waits until those in progress are answered, but no longer than `limit`.
    pub(crate) async fn leave(&self, limit: Duration) {
        self.node.membership.set_cordoned(true, true);
        if tokio::time::timeout(limit, self.node.rpc.close_all()).await.is_err() {
            let calls = self.node.rpc.in_progress();
            log::warn!("host {} leaves the lattice while it serves {calls} calls of other hosts", self.node.host_id);
        }
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
        let message = match self.registry_state() {
            RegistryState::Open(open) => return Ok(open),
            RegistryState::Unknown => "the registry of the lattice is not open yet",
            RegistryState::Missing => "the lattice has no registry: the NATS server has no JetStream",
        };
        Err(Error::new(ErrorKind::LatticeUnavailable, message))
    }

    /// Returns whether there is a registry. It holds no lock: a second look while a change waits would never end.
    fn registry_state(&self) -> RegistryState {
        self.registry.borrow().clone()
    }

    /// Returns whether the lattice has no registry, so that links and claims travel by advertisements alone.
    fn has_no_registry(&self) -> bool {
        matches!(self.registry_state(), RegistryState::Missing)
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
