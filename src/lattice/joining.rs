//! Joining: what a host runs once its lattice has a foundation. Calls have a connection of their own, on the shard that the
//! host was started on: a call of a session passes from no thread to another on its way to an actor there.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nkeys::KeyPair;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use wasmcloud_core::error::Result;
use wasmcloud_lattice::edge::{Edge, EdgeSettings};
use wasmcloud_lattice::rpc::{Rpc, RpcSettings};
use wasmcloud_lattice::session::{SessionSettings, Sessions};
use wasmcloud_lattice::{Connection, LatticeOptions};

use super::calls::RemoteCalls;
use super::control::ControlInterface;
use super::foundation::{Foundation, FoundationConfig};
use super::pending_links::PendingLinks;
use super::remote_actors::RemoteActors;
use super::serving::Serving;
use super::thread::LatticeThread;
use super::{Lattice, LatticeConfig, Node, RegistryState};
use super::{advertisements, children, control, events, host_claims, registry_changes};
use crate::dispatch::Dispatch;

/// How many other hosts may have a session with this one.
const PEERS: usize = 4096;

impl Lattice {
    /// Begins to join a lattice, in the background. The caller's runtime carries the calls.
    ///
    /// # Errors
    /// `InvalidArgument` for invalid options; `Io` if a thread cannot be created.
    pub(crate) async fn join(config: LatticeConfig) -> Result<Lattice> {
        config.options.validate()?;
        let LatticeConfig { options, key, dispatch, supervisor, shards, changes, restart, labels, handler } = config;
        let foundation =
            FoundationConfig { options: options.clone(), key: key.clone(), dispatch: dispatch.clone(), labels };
        let (thread, foundation) = LatticeThread::start(foundation).await?;
        let calls = Connection::start(options.calls_connection(), &foundation.namespace, "calls")?;
        let serving = Serving::new(dispatch.clone());
        let rpc = start_rpc(&options, &key, &foundation, &calls, &dispatch, &thread, serving.clone())?;
        let control_interface = ControlInterface::start(&options, &key, &foundation, handler, thread.runtime())?;
        let Foundation { namespace, connection, control, inventory, membership, advertisements, advertised, .. } =
            foundation;
        let trusts_any_host = options.host_trust()?.trusts_any();
        if trusts_any_host {
            log::warn!(
                "host {} trusts any host of its lattice: see LatticeOptions::trusted_host, or `wasmcloud run --trusted-host`",
                key.public_key()
            );
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
            calls,
            rpc,
            membership,
            #[cfg(feature = "telemetry")]
            silent: Default::default(),
            inventory,
            trusts_any_host,
            is_known: watch::Sender::new(false),
            registry: watch::Sender::new(RegistryState::Unknown),
            advertisements,
            actors: RemoteActors::new(),
            links: PendingLinks::default(),
            control_interface,
            is_cordoned: AtomicBool::new(false),
            cordon_changed: Notify::new(),
        });
        thread.serve(&node);
        serving.serve_for(&node);
        node.dispatch.join(Arc::new(RemoteCalls::new(Arc::downgrade(&node), Handle::current())));
        let runtime = thread.runtime();
        runtime.spawn(children::follow(node.clone()));
        runtime.spawn(events::follow(node.clone()));
        node.control_interface.follow(runtime.spawn(control::follow(node.clone())));
        runtime.spawn(advertisements::follow(node.clone(), advertised));
        runtime.spawn(host_claims::serve(node.clone()));
        runtime.spawn(host_claims::follow_without_registry(node.clone()));
        runtime.spawn(registry_changes::follow(node.clone(), options, key));
        Ok(Lattice { node, thread })
    }
}

/// Starts the calls between hosts, on the current runtime.
fn start_rpc(
    options: &LatticeOptions,
    key: &Arc<KeyPair>,
    foundation: &Foundation,
    calls: &Connection,
    dispatch: &Dispatch,
    thread: &LatticeThread,
    handler: Arc<Serving>,
) -> Result<Rpc> {
    let namespace = foundation.namespace.clone();
    let cluster_key = options.cluster_key()?.map(Arc::new);
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
        message_bytes: dispatch.limits().message_bytes,
        window: options.window(),
    });
    Ok(Rpc::start(RpcSettings {
        namespace,
        connection: calls.clone(),
        edge,
        membership: foundation.membership.clone(),
        transfers: foundation.transfers.clone(),
        handler,
        calls_at_once: dispatch.limits().calls_in_flight,
        background: thread.runtime().clone(),
    }))
}
