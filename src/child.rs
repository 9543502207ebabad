//! Children: the actors and providers that a supervisor starts, stops and restarts.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use wasmcloud_core::entity::{WasmCloudEntity, link_name};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::identity::ProviderKey;

/// An actor or provider that the supervisor starts and stops.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Child {
    Actor(Arc<str>),
    Provider(ProviderKey),
}

impl Child {
    /// Returns the child that an entity stands for.
    ///
    /// # Errors
    /// `InvalidArgument` for the host itself.
    pub(crate) fn of(entity: &WasmCloudEntity) -> Result<Child> {
        match entity {
            WasmCloudEntity::Actor(key) => Ok(Child::Actor(key.as_str().into())),
            WasmCloudEntity::Capability { id, link_name: name, .. } => {
                Ok(Child::Provider(ProviderKey::new(id, link_name(Some(name)))))
            }
            _ => Err(Error::new(ErrorKind::InvalidArgument, "a host is no actor or provider: ask for what runs on it")),
        }
    }

    /// Returns the key of an actor, for fields of log lines.
    pub(crate) fn actor(&self) -> Option<&str> {
        match self {
            Child::Actor(key) => Some(key),
            Child::Provider(_) => None,
        }
    }

    /// Returns the key and link name of a provider, for fields of log lines.
    pub(crate) fn provider(&self) -> Option<String> {
        match self {
            Child::Actor(_) => None,
            Child::Provider(key) => Some(key.joined()),
        }
    }

    /// Returns the kind of error for a second start of this child.
    pub(crate) fn runs_already(&self) -> ErrorKind {
        match self {
            Child::Actor(_) => ErrorKind::ActorAlreadyRunning,
            Child::Provider(_) => ErrorKind::ProviderAlreadyRunning,
        }
    }
}

impl std::fmt::Display for Child {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Child::Actor(key) => write!(f, "actor {key}"),
            Child::Provider(key) => key.fmt(f),
        }
    }
}

/// The children that have started, stopped, begun to stop or got other claims since the last look. It is as large as the
/// number of children at most.
#[derive(Debug, Default)]
pub(crate) struct ChildChanges {
    children: Mutex<HashSet<Child>>,
    any: Notify,
}

impl ChildChanges {
    pub(crate) fn add(&self, children: Vec<Child>) {
        if children.is_empty() {
            return;
        }
        self.children.lock().unwrap_or_else(PoisonError::into_inner).extend(children);
        self.any.notify_one();
    }

    /// Waits for changed children, and takes them.
    #[cfg(feature = "lattice")]
    pub(crate) async fn next(&self) -> HashSet<Child> {
        loop {
            let changed = std::mem::take(&mut *self.children.lock().unwrap_or_else(PoisonError::into_inner));
            if !changed.is_empty() {
                return changed;
            }
            self.any.notified().await;
        }
    }
}

/// The state of an actor or provider, as [`Host::inventory`](crate::Host::inventory) reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildState {
    /// It runs.
    Running,
    /// It crashed and is being replaced, or it was interrupted and could not be replaced yet.
    Restarting {
        /// Restart count within the policy's period, starting at 1. It is 0 after an interruption.
        attempt: u32,
    },
    /// It crashed more often than its policy allows. All calls fail until it is started again.
    Failed {
        /// The reason.
        reason: String,
    },
    /// Its token has ended. Calls to and from it are rejected.
    Expired,
    /// The host's trust policy no longer accepts it. Calls to and from it are rejected.
    Distrusted {
        /// The rule that it breaks.
        reason: String,
    },
    /// It is being stopped, and finishes the calls that have reached it.
    Stopping,
}
