//! Whole inventories, in pages: a host may run more than a message holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Asks for a page of an inventory. The request may also be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRequest {
    /// How many entries are passed over. Default: 0.
    #[serde(default)]
    pub offset: usize,
    /// The most entries of the page. It holds fewer if they do not fit into a message. Default: 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A page of an inventory. Actors come first, in the order of their keys, and then providers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InventoryPage {
    /// The public key of the host.
    pub host_id: String,
    /// The version of the host's software.
    pub version: String,
    /// How long the host has run. Unit: seconds.
    pub uptime: u64,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// Whether the host accepts nothing new from the lattice.
    pub cordoned: bool,
    /// The limits of the host.
    pub limits: HostLimits,
    /// The number that changes with each start and stop. Pages of different numbers do not belong together.
    pub revision: u64,
    /// The number of entries of all pages.
    pub total: usize,
    /// The offset of the next page. `None` after the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<usize>,
    /// The entries of the page. The last field, since it is as long as the message allows.
    pub entries: Vec<EntityEntry>,
}

/// The limits of a host. Each actor can have others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLimits {
    /// The linear memory of an instance. Unit: bytes.
    pub memory_bytes: u64,
    /// The largest payload of a call. Unit: bytes.
    pub message_bytes: usize,
    /// The largest module. Unit: bytes.
    pub module_bytes: usize,
    /// The time that a call may take. Unit: milliseconds.
    pub call_deadline_ms: u64,
    /// The most calls at a time.
    pub calls_in_flight: usize,
}

/// An actor or provider of an inventory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityEntry {
    /// `actor` or `provider`.
    pub kind: String,
    /// The public key.
    pub id: String,
    /// The name in its claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The reference that it was started by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_ref: Option<String>,
    /// The digest that the reference stood for when it was pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// The revision in its claims, or 0.
    #[serde(default)]
    pub revision: i32,
    /// `running`, `restarting`, `failed`, `expired`, `distrusted` or `stopping`.
    pub state: String,
    /// Why it is in this state, if that needs a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The result of the last health check: `healthy`, `busy`, `unanswered`, or `unhealthy` with a colon and the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    /// How often it was restarted after crashes since its start.
    #[serde(default)]
    pub restarts: u64,
    /// The number of an actor's instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<usize>,
    /// The number of calls in an actor's mailboxes and in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<usize>,
    /// The call alias of an actor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_alias: Option<String>,
    /// The contract of a provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_id: Option<String>,
    /// The link name of a provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_name: Option<String>,
}

/// The whole inventory of a host: all pages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WholeInventory {
    /// The public key of the host.
    pub host_id: String,
    /// The version of the host's software. `None` for hosts of 2021.
    pub version: Option<String>,
    /// How long the host has run. `None` for hosts of 2021. Unit: seconds.
    pub uptime: Option<u64>,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// Whether the host accepts nothing new from the lattice.
    pub cordoned: bool,
    /// The limits of the host. `None` for hosts of 2021.
    pub limits: Option<HostLimits>,
    /// The actors, in the order of their keys.
    pub actors: Vec<EntityEntry>,
    /// The providers, in the order of their keys and link names.
    pub providers: Vec<EntityEntry>,
}
