//! Auctions: which hosts could run an actor or a provider. A host that could not does not answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Asks which hosts could run an actor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorAuctionRequest {
    /// The reference of the actor in a registry.
    pub actor_ref: String,
    /// The labels that the host must have.
    pub constraints: BTreeMap<String, String>,
}

/// Tells that a host could run an actor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorAuctionAck {
    /// The reference of the request.
    pub actor_ref: String,
    /// The labels of the request.
    pub constraints: BTreeMap<String, String>,
    /// The public key of the host.
    pub host_id: String,
}

/// Asks which hosts could run a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderAuctionRequest {
    /// The reference of the provider in a registry, or `builtin:` and the name of one that comes with the host.
    pub provider_ref: String,
    /// The link name that it is to run under.
    pub link_name: String,
    /// The labels that the host must have.
    pub constraints: BTreeMap<String, String>,
}

/// Tells that a host could run a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderAuctionAck {
    /// The reference of the request.
    pub provider_ref: String,
    /// The link name of the request.
    pub link_name: String,
    /// The public key of the host.
    pub host_id: String,
}
