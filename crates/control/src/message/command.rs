//! Orders to one host, and their acknowledgements. [`Outcome`] is part of each acknowledgement.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::outcome::{Outcome, RequestOptions};

/// Starts an actor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartActorCommand {
    /// The reference of the actor in a registry.
    pub actor_ref: String,
    /// The public key of the host.
    pub host_id: String,
    /// The number of instances. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<usize>,
    /// What any request may carry.
    #[serde(flatten)]
    pub options: RequestOptions,
}

/// Acknowledges the start of an actor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartActorAck {
    /// The public key of the host.
    pub host_id: String,
    /// The reference of the request.
    pub actor_ref: String,
    /// The outcome.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Starts a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartProviderCommand {
    /// The public key of the host.
    pub host_id: String,
    /// The reference of the provider in a registry, or `builtin:` and the name of one that comes with the host.
    pub provider_ref: String,
    /// The link name that it runs under.
    pub link_name: String,
    /// What any request may carry.
    #[serde(flatten)]
    pub options: RequestOptions,
}

/// Acknowledges the start of a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartProviderAck {
    /// The public key of the host.
    pub host_id: String,
    /// The reference of the request.
    pub provider_ref: String,
    /// The outcome.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Stops an actor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopActorCommand {
    /// The public key of the host.
    pub host_id: String,
    /// The public key of the actor (`M...`), or the reference that it was started by.
    pub actor_ref: String,
    /// What any request may carry.
    #[serde(flatten)]
    pub options: RequestOptions,
}

/// Stops a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopProviderCommand {
    /// The public key of the host.
    pub host_id: String,
    /// The public key of the provider (`V...`), or the reference that it was started by.
    pub provider_ref: String,
    /// The link name that it runs under.
    pub link_name: String,
    /// The contract that it serves. Empty for the one that it serves, whichever it is.
    pub contract_id: String,
    /// What any request may carry.
    #[serde(flatten)]
    pub options: RequestOptions,
}

/// Acknowledges a stop of an actor or a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopAck {
    /// The outcome.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Replaces an actor with another revision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateActorCommand {
    /// The public key of the host.
    pub host_id: String,
    /// The public key of the actor (`M...`).
    pub actor_id: String,
    /// The reference of the other revision in a registry.
    pub new_actor_ref: String,
    /// What any request may carry.
    #[serde(flatten)]
    pub options: RequestOptions,
}

/// Acknowledges an update. It has no `failure` if there is none, as in 2021.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateActorAck {
    /// Whether the update is done or in progress. Hosts of 2021 tell no more.
    pub accepted: bool,
    /// Why the update failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The name of the error's kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The kind of the event that will tell the outcome, if the update is in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The identifier of the request, which that event repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

impl From<Outcome> for UpdateActorAck {
    fn from(outcome: Outcome) -> UpdateActorAck {
        let Outcome { failure, kind, event, request, .. } = outcome;
        UpdateActorAck { accepted: failure.is_none(), failure, kind, event, request }
    }
}

impl From<UpdateActorAck> for Outcome {
    fn from(ack: UpdateActorAck) -> Outcome {
        let UpdateActorAck { accepted, failure, kind, event, request } = ack;
        let refused = || (!accepted).then(|| "the host does not run the actor: is not running".to_owned());
        let is_pending = event.is_some().then_some(accepted);
        Outcome { failure: failure.or_else(refused), kind, accepted: is_pending, event, request }
    }
}

/// Changes the number of an actor's instances.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaleActorCommand {
    /// The public key of the actor (`M...`), or the reference that it was started by.
    pub actor_ref: String,
    /// The number of instances. Minimum: 1.
    pub instances: usize,
    /// What any request may carry.
    #[serde(flatten)]
    pub options: RequestOptions,
}

/// Sets and removes labels of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelsCommand {
    /// The labels to set.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// The names of the labels to remove.
    #[serde(default)]
    pub remove: Vec<String>,
    /// What any request may carry.
    #[serde(flatten)]
    pub options: RequestOptions,
}

/// Cordons, uncordons, drains or stops a host. The request may also be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCommand {
    /// How long a drain waits for calls in progress. Default: the grace period of the host. Unit: milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_ms: Option<u64>,
    /// What any request may carry.
    #[serde(flatten)]
    pub options: RequestOptions,
}

/// Acknowledges an order that 2021 did not know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandAck {
    /// The public key of the host that answers.
    pub host_id: String,
    /// The outcome.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Plans or applies a manifest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ManifestCommand {
    /// The manifest, by the schema of manifests. It refers to registries and providers that come with the host, not to files.
    pub manifest: Value,
    /// Whether what an earlier application of the same manifest started, and the manifest no longer names, is removed.
    #[serde(default)]
    pub prune: bool,
    /// What any request may carry.
    #[serde(flatten)]
    pub options: RequestOptions,
}

/// Acknowledges a plan or an application of a manifest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ManifestAck {
    /// The public key of the host that answers. Empty in an answer to a request that it could not read or does not serve.
    #[serde(default)]
    pub host_id: String,
    /// The plan, or what was applied. `None` after a failure, and while the outcome is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// The outcome.
    #[serde(flatten)]
    pub outcome: Outcome,
}
