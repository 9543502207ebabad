//! The events of current hosts: one JSON object each, on `wasmbus.ctl.<namespace>.event.<host>.<kind>`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The kinds of events. Newer hosts may send others.
pub mod kinds {
    /// The host has started, and takes part in the lattice.
    pub const HOST_STARTED: &str = "host_started";
    /// The host has stopped.
    pub const HOST_STOPPED: &str = "host_stopped";
    /// The host accepts nothing new from the lattice.
    pub const HOST_CORDONED: &str = "host_cordoned";
    /// The host accepts calls and starts from the lattice again.
    pub const HOST_UNCORDONED: &str = "host_uncordoned";
    /// The host finishes its calls of the lattice, or stops.
    pub const HOST_DRAINING: &str = "host_draining";
    /// Labels of the host were set or removed.
    pub const HOST_LABELED: &str = "host_labeled";
    /// An actor has started.
    pub const ACTOR_STARTED: &str = "actor_started";
    /// An actor was stopped.
    pub const ACTOR_STOPPED: &str = "actor_stopped";
    /// An actor could not be started.
    pub const ACTOR_START_FAILED: &str = "actor_start_failed";
    /// An instance of an actor has crashed.
    pub const ACTOR_CRASHED: &str = "actor_crashed";
    /// A crashed instance of an actor was replaced.
    pub const ACTOR_RESTARTED: &str = "actor_restarted";
    /// An actor crashed too often, and stays down.
    pub const ACTOR_FAILED: &str = "actor_failed";
    /// The number of an actor's instances has changed.
    pub const ACTOR_SCALED: &str = "actor_scaled";
    /// An actor is about to be updated.
    pub const UPDATE_BEGAN: &str = "update_began";
    /// An actor runs another revision.
    pub const ACTOR_UPDATED: &str = "actor_updated";
    /// An update was refused or failed. The previous revision runs on.
    pub const UPDATE_REFUSED: &str = "update_refused";
    /// A new revision failed after its update, and the previous one is back.
    pub const UPDATE_ROLLED_BACK: &str = "update_rolled_back";
    /// A provider has started.
    pub const PROVIDER_STARTED: &str = "provider_started";
    /// A provider was stopped.
    pub const PROVIDER_STOPPED: &str = "provider_stopped";
    /// A provider could not be started.
    pub const PROVIDER_START_FAILED: &str = "provider_start_failed";
    /// A provider has crashed.
    pub const PROVIDER_CRASHED: &str = "provider_crashed";
    /// A crashed provider was replaced.
    pub const PROVIDER_RESTARTED: &str = "provider_restarted";
    /// A provider crashed too often, and stays down.
    pub const PROVIDER_FAILED: &str = "provider_failed";
    /// A link was established.
    pub const LINK_ESTABLISHED: &str = "link_established";
    /// A link was removed.
    pub const LINK_REMOVED: &str = "link_removed";
    /// A link could not be established.
    pub const LINK_REFUSED: &str = "link_refused";
    /// An actor breached a limit.
    pub const LIMIT_BREACHED: &str = "limit_breached";
    /// The health of an actor or provider has changed.
    pub const HEALTH_CHANGED: &str = "health_changed";
    /// The token of an actor or provider has expired, or the trust policy no longer accepts it.
    pub const DISTRUSTED: &str = "distrusted";
    /// An actor or provider is trusted again.
    pub const TRUSTED: &str = "trusted";
    /// Another host has come.
    pub const PEER_UP: &str = "peer_up";
    /// Another host is silent or has left.
    pub const PEER_DOWN: &str = "peer_down";
    /// A request is still being carried out.
    pub const PROGRESS: &str = "progress";
    /// A request that was accepted has been carried out, or has failed.
    pub const REQUEST_FINISHED: &str = "request_finished";
    /// The host could not keep up, and some events were not published.
    pub const LAGGED: &str = "lagged";
    /// Any event without a kind of its own here.
    pub const OTHER: &str = "other";
}

/// An event of a host. Which fields there are depends on the kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ControlEvent {
    /// The kind: see [`kinds`].
    pub kind: String,
    /// The public key of the host.
    pub host: String,
    /// The time of the event. Unit: milliseconds since 1970.
    pub at: u64,
    /// The identifier of the request that the event belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The public key of the actor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The public key of the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The contract of the provider or the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_id: Option<String>,
    /// The link name of the provider or the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_name: Option<String>,
    /// The name in the claims of the actor or provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The reference in a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_ref: Option<String>,
    /// What failed and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The name of the error's kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_kind: Option<String>,
    /// What else the kind tells, such as `old_revision`, `new_revision`, `instances` or `elapsed_ms`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub detail: BTreeMap<String, Value>,
}

impl ControlEvent {
    /// Returns an event of a kind. The service of a host fills in the host and the time.
    pub fn new(kind: &str) -> ControlEvent {
        ControlEvent { kind: kind.to_owned(), ..ControlEvent::default() }
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> ControlEvent {
        self.detail.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a failure.
    #[must_use]
    pub fn failed(mut self, error: &wasmcloud_core::error::Error) -> ControlEvent {
        self.failure = Some(error.to_string());
        self.error_kind = Some(error.kind().name().to_owned());
        self
    }

    /// Returns whether the event tells of a failure.
    pub fn is_failure(&self) -> bool {
        self.failure.is_some()
    }
}

/// Which events a client wants. Default: all of the namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// The public key of the only host.
    pub host: Option<String>,
    /// The only kind.
    pub kind: Option<String>,
}
