//! The thread of the lattice, with a tokio runtime of its own.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use nkeys::KeyPair;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_lattice::edge::{Edge, EdgeSettings};
use wasmcloud_lattice::rpc::{Rpc, RpcSettings};
use wasmcloud_lattice::session::{SessionSettings, Sessions};
use wasmcloud_lattice::{
    Advertisements, Connection, LatticeOptions, Membership, MembershipSettings, Namespace, TransferSettings, Transfers,
};

use super::inventory::HostInventory;
use super::pending_links::PendingLinks;
use super::remote_actors::RemoteActors;
use super::serving::Serving;
use super::{LatticeConfig, Node, RegistryState, advertisements, children, events, host_claims, registry_changes};
use crate::dispatch::Dispatch;

/// The time that the thread has to say goodbye to the server.
const FAREWELL: Duration = Duration::from_secs(2);

/// How many other hosts may have a session with this one.
const PEERS: usize = 4096;

/// How many payloads of the greatest length are moved in chunks at the same time.
const TRANSFERS: usize = 4;

/// How many advertisements wait to be applied. Further ones are dropped.
const ADVERTISED: usize = 16 * 1024;

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
    let LatticeConfig { options, key, dispatch, supervisor, shards, changes, restart, labels } = config;
    let namespace = Namespace::new(options.namespace_name())?;
    let connection = Connection::start(options.calls_connection(), &namespace, "calls")?;
    let control = if options.is_control_separate() {
        Connection::start(options.control_connection_options(), &namespace, "control")?
    } else {
        connection.clone()
    };
    let inventory = Arc::new(HostInventory::new(dispatch.clone(), labels));
    let membership = Membership::start(
        &options,
        MembershipSettings {
            connection: connection.clone(),
            control: control.clone(),
            key: key.clone(),
            software: env!("CARGO_PKG_VERSION").to_owned(),
            source: inventory.clone(),
            era_source: Some(inventory.clone()),
        },
    )?;
    let serving = Serving::new(dispatch.clone());
    let rpc = start_rpc(&options, &key, &connection, &membership, &dispatch, serving.clone())?;
    let (advertised, receiver) = mpsc::channel(ADVERTISED);
    let advertisements = Advertisements::start(
        &options,
        &key.public_key(),
        connection.clone(),
        control.clone(),
        inventory.clone(),
        advertised,
    )?;
    let trusts_any_host = options.host_trust()?.trusts_any();
    if trusts_any_host {
        log::warn!("host {} trusts any host of its lattice: see LatticeOptions::trusted_host", key.public_key());
    }
    let node = Arc::new(Node {
        host_id: key.public_key().into(),
        namespace,
        dispatch,
        supervisor,
        shards,
        changes,
        restart,
        connection,
        control,
        rpc,
        membership,
        inventory,
        trusts_any_host,
        is_known: watch::Sender::new(false),
        registry: watch::Sender::new(RegistryState::Unknown),
        advertisements,
        actors: RemoteActors::new(),
        links: PendingLinks::default(),
        is_cordoned: AtomicBool::new(false),
        cordon_changed: Notify::new(),
    });
    serving.serve_for(&node);
    node.dispatch.join(Arc::new(super::calls::RemoteCalls::new(Arc::downgrade(&node), Handle::current())));
    tokio::spawn(children::follow(node.clone()));
    tokio::spawn(events::follow(node.clone()));
    tokio::spawn(advertisements::follow(node.clone(), receiver));
    tokio::spawn(host_claims::serve(node.clone()));
    tokio::spawn(host_claims::follow_without_registry(node.clone()));
    tokio::spawn(registry_changes::follow(node.clone(), options, key));
    Ok(node)
}

/// Starts the calls between hosts.
fn start_rpc(
    options: &LatticeOptions,
    key: &Arc<KeyPair>,
    connection: &Connection,
    membership: &Membership,
    dispatch: &Dispatch,
    handler: Arc<Serving>,
) -> Result<Rpc> {
    let namespace = Namespace::new(options.namespace_name())?;
    let cluster_key = options.cluster_key()?.map(Arc::new);
    let message_bytes = dispatch.limits().message_bytes;
    let sessions = Sessions::new(SessionSettings {
        namespace: namespace.clone(),
        key: key.clone(),
        trust: options.host_trust()?,
        cluster_key: cluster_key.clone(),
        lifetime: options.session_time(),
        messages: options.session_message_count(),
        peers: PEERS,
    })?;
    let edge = Edge::new(EdgeSettings {
        namespace: namespace.clone(),
        key: key.clone(),
        cluster_key,
        trust: options.host_trust()?,
        sessions: Arc::new(sessions),
        message_bytes,
        window: options.window(),
    });
    let transfers = Transfers::start(TransferSettings {
        namespace: namespace.clone(),
        connection: connection.clone(),
        host: key.public_key(),
        message_bytes,
        offered_bytes: message_bytes.saturating_mul(TRANSFERS),
        fetched_bytes: message_bytes.saturating_mul(TRANSFERS),
    });
    Ok(Rpc::start(RpcSettings {
        namespace,
        connection: connection.clone(),
        edge,
        membership: membership.clone(),
        transfers,
        handler,
        calls_at_once: dispatch.limits().calls_in_flight,
    }))
}

async fn farewell(node: &Node) {
    node.advertisements.leave().await;
    if let Err(error) = node.membership.leave(FAREWELL).await {
        log::debug!("the lattice was not told that host {} leaves: {error}", node.host_id);
    }
    // Closing the same connection twice has no effect.
    let _ = node.control.close(FAREWELL).await;
    if let Err(error) = node.connection.close(FAREWELL).await {
        log::warn!("host {} left the lattice without a farewell: {error}", node.host_id);
    }
}

fn cannot_start(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "the thread of the lattice cannot be started").caused_by(error)
}
