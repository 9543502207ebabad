//! Hosts, claims and the inventories of 2021.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A host, as in 2021.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The public key.
    pub id: String,
    /// How long it has run. Unit: seconds.
    pub uptime: u64,
}

/// A host and what it tells about itself. Hosts of 2021 tell their key and uptime only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSummary {
    /// The public key.
    pub id: String,
    /// How long it has run. Unit: seconds.
    pub uptime: u64,
    /// The version of its software. `None` for hosts of 2021.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Whether it accepts nothing new from the lattice.
    #[serde(default)]
    pub cordoned: bool,
    /// The number of actors that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actors: Option<usize>,
    /// The number of providers that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub providers: Option<usize>,
    /// The number of links that it knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<usize>,
    /// How many current hosts it knows to be up, itself included. A client knows by it whether all have answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_hosts: Option<usize>,
    /// How many hosts of 2021 it has heard lately.
    #[serde(default)]
    pub known_hosts_of_2021: usize,
}

/// What a host runs, as in 2021.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostInventory {
    /// The public key of the host.
    pub host_id: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The actors.
    pub actors: Vec<ActorDescription>,
    /// The providers.
    pub providers: Vec<ProviderDescription>,
}

/// An actor in the inventory of 2021.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorDescription {
    /// The public key.
    pub id: String,
    /// The reference that it was started by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_ref: Option<String>,
    /// The name in its claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The revision in its claims, or 0.
    #[serde(default)]
    pub revision: i32,
}

/// A provider in the inventory of 2021.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderDescription {
    /// The public key.
    pub id: String,
    /// The link name that it runs under.
    pub link_name: String,
    /// The reference that it was started by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_ref: Option<String>,
    /// The name in its claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The revision in its claims, or 0.
    #[serde(default)]
    pub revision: i32,
}

/// The claims that a host knows, as in 2021.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimsList {
    /// The claims of each actor.
    pub claims: Vec<ClaimsValues>,
}

/// The claims of an actor: `sub`, `iss`, `caps` (comma separated), `rev` and `version`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimsValues {
    /// The values by their names.
    pub values: BTreeMap<String, String>,
}
