//! The state of a host in JSON, as the dashboard and `wasmcloud top` show it.
//!
//! ```
//! use wasmcloud_telemetry::state::Lifecycle;
//!
//! assert_eq!(serde_json::to_string(&Lifecycle::Restarting)?, "\"restarting\"");
//! # Ok::<(), serde_json::Error>(())
//! ```

mod event;

use std::collections::BTreeMap;

pub use event::EventRecord;
use serde::{Deserialize, Serialize};

/// The numbers of calls in each of the last 60 seconds, the oldest first.
pub type Rate = Vec<u64>;

/// The state of a host at one time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HostState {
    /// When the state was read. Unit: milliseconds since 1970.
    pub at: u64,
    /// The host itself.
    pub host: ThisHost,
    /// The hosts of its lattice, with itself.
    pub hosts: Vec<LatticeHost>,
    /// The actors that it runs.
    pub actors: Vec<ActorState>,
    /// The providers that it runs.
    pub providers: Vec<ProviderState>,
    /// The links of its actors and providers.
    pub links: Vec<LinkState>,
    /// Its last events, the oldest first. At most 500.
    pub events: Vec<EventRecord>,
}

/// The host that tells its state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ThisHost {
    /// Its public key.
    pub id: String,
    /// The version of the host's software.
    pub version: String,
    /// Unit: milliseconds since 1970.
    pub started_at: u64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it takes no new actors and providers from auctions.
    pub cordoned: bool,
    /// Whether it is being stopped.
    pub draining: bool,
    /// How many threads run actors and providers.
    pub shards: usize,
    /// Calls of all actors and providers.
    pub calls_per_second: Rate,
    /// How long calls of the last minute took. `None` without calls.
    pub latency_us: Option<Latency>,
    /// The resident memory of the process. Unit: bytes. `None` if it is unknown.
    pub memory_bytes: Option<u64>,
    /// Its lattice. `None` for a host on its own.
    pub lattice: Option<LatticeStanding>,
}

/// How long calls took. Unit: microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// The median.
    pub p50: u64,
    /// The time within which 99 of 100 calls were answered.
    pub p99: u64,
}

/// The connection of a host with its lattice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatticeStanding {
    /// The namespace.
    pub namespace: String,
    /// `joined`, `joining`, `alone` or `lost`.
    pub state: String,
    /// When the state began. Unit: milliseconds since 1970.
    pub since: u64,
}

/// A host of the lattice, as the telling host knows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LatticeHost {
    /// Its public key.
    pub id: String,
    /// Whether it is the host that tells.
    pub is_self: bool,
    /// `up`, `down` or `left`.
    pub state: String,
    /// Whether it is a host of 2021.
    pub era: bool,
    /// The version of its software. Empty if it is unknown.
    pub version: String,
    /// Unit: seconds.
    pub uptime_s: u64,
    /// When it was last heard of. Unit: milliseconds since 1970.
    pub heard_at: u64,
    /// The time of a message there and back. Unit: microseconds. `None` if it was not measured.
    pub round_trip_us: Option<u64>,
    /// Whether it takes no new actors and providers from auctions.
    pub cordoned: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How many actors it runs.
    pub actors: usize,
    /// How many providers it runs.
    pub providers: usize,
}

/// Whether a child runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Lifecycle {
    /// It runs.
    #[default]
    Running,
    /// It is being started.
    Starting,
    /// It crashed and is being replaced.
    Restarting,
    /// It crashed and stays down.
    Failed,
    /// It is being stopped.
    Stopping,
}

/// The result of the last health check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HealthState {
    /// It is healthy.
    Healthy,
    /// It had calls to serve, and was not checked.
    Busy,
    /// It is unhealthy, or did not answer.
    Unhealthy,
    /// It was not checked yet.
    #[default]
    Unknown,
}

/// Whether the trust policy accepts an actor or provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustStanding {
    /// Whether it is trusted.
    pub trusted: bool,
    /// Why it is not.
    pub reason: Option<String>,
    /// When it lost trust. Unit: milliseconds since 1970.
    pub since: Option<u64>,
}

/// What is known of an actor or a provider alike.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// Whether it runs.
    pub state: Lifecycle,
    /// Why it does not run, with the cause of the last crash.
    pub reason: Option<String>,
    /// When the state began. Unit: milliseconds since 1970.
    pub since: u64,
    /// The result of the last health check.
    pub health: HealthState,
    /// When it was checked. Unit: milliseconds since 1970.
    pub health_at: Option<u64>,
    /// When the health began to be what it is. Unit: milliseconds since 1970.
    pub health_since: Option<u64>,
    /// How often it was restarted.
    pub restarts: u64,
    /// How often it crashed.
    pub crashes: u64,
    /// Calls since it was started.
    pub calls: u64,
    /// Calls that failed since it was started.
    pub errors: u64,
    /// Calls that failed in the last minute.
    pub errors_last_minute: u64,
    /// Calls of the last minute.
    pub rate: Rate,
    /// The median of the time that calls of the last minute took. Unit: microseconds.
    pub p50_us: Option<u64>,
    /// The time within which 99 of 100 calls of the last minute were answered. Unit: microseconds.
    pub p99_us: Option<u64>,
    /// When the figures were read. Unit: milliseconds since 1970.
    pub measured_at: u64,
}

/// An actor on the telling host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ActorState {
    /// Its public key.
    pub id: String,
    /// The name that its signer gave it.
    pub name: String,
    /// Its call alias.
    pub alias: Option<String>,
    /// Its revision.
    pub revision: i32,
    /// The version that its signer gave it.
    pub version: String,
    /// The public key of its issuer.
    pub issuer: String,
    /// The reference to a registry that it was started from.
    pub image_ref: Option<String>,
    /// The contracts in its claims.
    pub capabilities: Vec<String>,
    /// The tags in its claims.
    pub tags: Vec<String>,
    /// When its token expires. Unit: milliseconds since 1970.
    pub expires_at: Option<u64>,
    /// Whether it is trusted.
    pub trust: TrustStanding,
    /// How many instances are meant to run.
    pub instances: usize,
    /// How many instances run.
    pub instances_running: usize,
    /// The linear memory of all instances. Unit: bytes.
    pub memory_bytes: u64,
    /// Calls that wait in its mailboxes.
    pub mailbox: usize,
    /// Calls that its instances serve.
    pub in_flight: usize,
    /// What actors and providers have in common.
    #[serde(flatten)]
    pub activity: Activity,
}

/// A provider on the telling host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProviderState {
    /// Its public key and link name: `V.../default`.
    pub key: String,
    /// Its public key.
    pub id: String,
    /// Its link name.
    pub link_name: String,
    /// The contract that it serves.
    pub contract_id: String,
    /// Its name.
    pub name: String,
    /// Its vendor.
    pub vendor: String,
    /// The reference to a registry that it was started from.
    pub image_ref: Option<String>,
    /// `in_process` or `process`.
    pub isolation: String,
    /// Whether it is trusted.
    pub trust: TrustStanding,
    /// What actors and providers have in common.
    #[serde(flatten)]
    pub activity: Activity,
}

/// A link on the telling host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    /// The actor, contract and link name: `M.../wasmcloud:keyvalue/default`.
    pub key: String,
    /// The public key of the actor.
    pub actor: String,
    /// The public key of the provider.
    pub provider: String,
    /// The contract.
    pub contract_id: String,
    /// The link's name.
    pub link_name: String,
    /// `established`, `pending` or `refused`.
    pub state: String,
    /// Why it was refused, or what it waits for.
    pub reason: Option<String>,
    /// When the state began. Unit: milliseconds since 1970.
    pub since: u64,
    /// The names of its values. The values are not told.
    pub values: Vec<String>,
}
