//! Calls between small hosts on real servers: what is executed, how often, and what the caller learns.

mod calls;
mod cost;
mod era;
mod handler;
mod hostile;
mod losses;

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use nkeys::KeyPair;
use wasmcloud_core::error::ErrorKind;

use super::*;
use crate::edge::EdgeSettings;
use crate::membership::{EntityCounts, InventoryEntity, InventoryPart, InventorySource, MembershipSettings};
use crate::options::{ConnectionOptions, HostTrust, LatticeOptions};
use crate::session::{SessionSettings, Sessions};
use crate::testing::eventually;
use crate::transfer::TransferSettings;
use handler::{Handler, Ledger};

/// The greatest payload of the hosts of tests. Unit: bytes.
const MESSAGE_BYTES: usize = 8 << 20;

/// The actor that all hosts of a test run.
fn actor() -> WasmCloudEntity {
    WasmCloudEntity::Actor("MACTOR".to_owned())
}

/// What a host runs.
#[derive(Debug, Default)]
struct Source {
    version: AtomicU64,
    ids: Mutex<Vec<String>>,
}

impl Source {
    fn set(&self, ids: &[&str]) {
        *self.ids.lock().unwrap() = ids.iter().map(|id| (*id).to_owned()).collect();
        self.version.fetch_add(1, Ordering::SeqCst);
    }
}

impl InventorySource for Source {
    fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    fn counts(&self) -> EntityCounts {
        EntityCounts::default()
    }

    fn part(&self, offset: usize, limit: usize) -> InventoryPart {
        let entity = |id: &String| InventoryEntity { id: id.clone(), ..InventoryEntity::default() };
        let ids = self.ids.lock().unwrap();
        InventoryPart { version: self.version(), entities: ids.iter().skip(offset).take(limit).map(entity).collect() }
    }

    fn labels(&self) -> std::collections::BTreeMap<String, String> {
        std::collections::BTreeMap::new()
    }
}

/// How a host of a test is made.
struct Plan {
    server: String,
    key: KeyPair,
    ledger: Arc<Ledger>,
    calls_at_once: usize,
    ids: Vec<&'static str>,
    /// The handler, if it is another one.
    handler: Option<Arc<dyn CallHandler>>,
    /// Whether the host refuses all handshakes.
    no_sessions: bool,
    /// The seed of the cluster.
    cluster: Option<String>,
    set: fn(LatticeOptions) -> LatticeOptions,
}

impl Plan {
    /// A host that runs the actor.
    fn new(server: impl Into<String>, ledger: &Arc<Ledger>) -> Plan {
        Plan {
            server: server.into(),
            key: KeyPair::new_server(),
            ledger: ledger.clone(),
            calls_at_once: 1000,
            ids: vec!["MACTOR"],
            handler: None,
            no_sessions: false,
            cluster: None,
            set: |options| options,
        }
    }

    /// A host that runs nothing.
    fn caller(server: impl Into<String>) -> Plan {
        Plan { ids: Vec::new(), ..Plan::new(server, &Arc::default()) }
    }

    async fn start(self) -> Host {
        let Plan { server, key, ledger, calls_at_once, ids, handler: other, no_sessions, cluster, set } = self;
        let connection = ConnectionOptions::new(server)
            .connect_timeout(Duration::from_secs(2))
            .longest_delay(Duration::from_millis(100));
        let options = set(LatticeOptions::new(connection).heartbeat_interval(Duration::from_secs(5)));
        let options = match cluster {
            Some(seed) => options.cluster_seed(seed),
            None => options,
        };
        let key = Arc::new(key);
        let namespace = Namespace::new(options.namespace_name()).unwrap();
        let connection = Connection::start(options.calls_connection(), &namespace, "calls").unwrap();
        let source = Arc::new(Source::default());
        source.set(&ids);
        let membership = Membership::start(&options, membership_settings(&connection, &key, &source)).unwrap();
        let handler = Arc::new(Handler { ledger, ..Handler::default() });
        let transfers = Transfers::start(TransferSettings {
            namespace: namespace.clone(),
            connection: connection.clone(),
            host: key.public_key(),
            message_bytes: MESSAGE_BYTES,
            offered_bytes: 4 * MESSAGE_BYTES,
            fetched_bytes: 4 * MESSAGE_BYTES,
        });
        let rpc = Rpc::start(RpcSettings {
            background: tokio::runtime::Handle::current(),
            namespace,
            connection: connection.clone(),
            edge: edge(&options, &key, no_sessions),
            membership: membership.clone(),
            transfers: transfers.clone(),
            handler: other.unwrap_or_else(|| handler.clone()),
            calls_at_once,
        });
        let host = Host { key: key.public_key(), connection, membership, transfers, rpc, handler, source };
        host.open(&ids).await;
        host
    }
}

fn membership_settings(connection: &Connection, key: &Arc<KeyPair>, source: &Arc<Source>) -> MembershipSettings {
    MembershipSettings {
        connection: connection.clone(),
        control: connection.clone(),
        key: key.clone(),
        software: "0.20.0".to_owned(),
        source: source.clone(),
        era_source: None,
    }
}

/// Returns the edge of a host with these options.
fn edge(options: &LatticeOptions, key: &Arc<KeyPair>, no_sessions: bool) -> Edge {
    let namespace = Namespace::new(options.namespace_name()).unwrap();
    let cluster_key = options.cluster_key().unwrap().map(Arc::new);
    let sessions = Sessions::new(SessionSettings {
        namespace: namespace.clone(),
        key: key.clone(),
        trust: if no_sessions { no_host() } else { options.host_trust().unwrap() },
        cluster_key: cluster_key.clone(),
        lifetime: options.session_time(),
        messages: options.session_message_count(),
        peers: 64,
    });
    Edge::new(EdgeSettings {
        namespace,
        key: key.clone(),
        cluster_key,
        trust: options.host_trust().unwrap(),
        sessions: Arc::new(sessions.unwrap()),
        message_bytes: MESSAGE_BYTES,
        window: options.window(),
    })
}

/// Returns the trust in a host that does not exist.
fn no_host() -> HostTrust {
    HostTrust::new([KeyPair::new_server().public_key()], [])
}

/// A host of a test.
struct Host {
    key: String,
    connection: Connection,
    membership: Membership,
    transfers: Transfers,
    rpc: Rpc,
    handler: Arc<Handler>,
    source: Arc<Source>,
}

impl Host {
    async fn open(&self, ids: &[&str]) {
        assert!(self.connection.joined().await);
        for id in ids {
            self.rpc.open(&WasmCloudEntity::Actor((*id).to_owned())).await.unwrap();
        }
    }

    /// Waits until this host knows that another one runs the actor.
    async fn finds(&self, other: &Host) {
        let is_found = || self.membership.hosts_of(&actor()).hosts.contains(&other.key);
        eventually("the host that runs the actor is known", is_found).await;
    }

    async fn call(&self, operation: &str, payload: Vec<u8>) -> Result<Vec<u8>> {
        self.call_within(operation, payload, Duration::from_secs(30)).await
    }

    async fn call_within(&self, operation: &str, payload: Vec<u8>, limit: Duration) -> Result<Vec<u8>> {
        self.rpc.call(outgoing(operation, payload, limit)).await
    }

    /// Leaves as a host does that is stopped.
    async fn leave(self) {
        self.membership.set_cordoned(true, true);
        self.rpc.close_all().await;
        let limit = Duration::from_secs(5);
        self.membership.leave(limit).await.unwrap();
        self.connection.close(limit).await.unwrap();
    }
}

fn outgoing(operation: &str, payload: Vec<u8>, limit: Duration) -> OutgoingCall {
    OutgoingCall {
        origin: WasmCloudEntity::Actor("MCALLER".to_owned()),
        target: actor(),
        operation: operation.to_owned(),
        payload,
        deadline: Instant::now() + limit,
        waiting: Vec::new(),
        trace: None,
    }
}
