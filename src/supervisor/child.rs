//! What the supervisor starts, stops and restarts, and how it is.

use std::sync::Arc;

use super::snapshot::ProviderKey;
use crate::entity::{WasmCloudEntity, link_name};
use crate::error::{Error, ErrorKind, Result};

/// Something that the supervisor starts and stops.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Child {
    Actor(Arc<str>),
    Provider(ProviderKey),
}

impl Child {
    /// Whom somebody from outside means.
    ///
    /// # Errors
    /// `InvalidArgument` where it is nothing that is started and stopped in a host.
    pub(super) fn of(entity: &WasmCloudEntity) -> Result<Child> {
        match entity {
            WasmCloudEntity::Actor(key) => Ok(Child::Actor(key.as_str().into())),
            WasmCloudEntity::Capability { id, link_name: name, .. } => {
                Ok(Child::Provider(ProviderKey::new(id, link_name(Some(name)))))
            }
            WasmCloudEntity::Host => {
                Err(Error::new(ErrorKind::InvalidArgument, "a host is no actor or provider: ask for what runs on it"))
            }
        }
    }

    pub(super) fn runs_already(&self) -> ErrorKind {
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

/// How an actor or a provider is, as [`Host::inventory`](crate::Host::inventory) tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildState {
    /// It runs.
    Running,
    /// It crashed, and is being replaced; or it was interrupted, and could not be made again so far.
    Restarting {
        /// The how manieth restart within the period of its policy it is, from 1 on; 0 for what was interrupted.
        attempt: u32,
    },
    /// It crashed more often than its policy allows, and fails all calls until it is started again.
    Failed {
        /// Why.
        reason: String,
    },
    /// Its token has ended. It cannot be called, and cannot call anybody.
    Expired,
    /// The host's trust policy does not accept it any more. It cannot be called, and cannot call anybody.
    Distrusted {
        /// Which rule it breaches.
        reason: String,
    },
    /// It is being stopped: it finishes what has reached it.
    Stopping,
}
