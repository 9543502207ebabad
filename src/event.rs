//! Lifecycle events of a host.
//!
//! ```
//! use wasmcloud_host::{EventKind, HostBuilder};
//!
//! # #[actix_rt::main]
//! # async fn main() -> wasmcloud_host::Result<()> {
//! let host = HostBuilder::new().build();
//! let mut events = host.events();
//! host.start().await?;
//! host.stop().await;
//! assert_eq!(events.next().await.map(|event| event.kind), Some(EventKind::HostStarted));
//! assert_eq!(events.next().await.map(|event| event.kind), Some(EventKind::HostStopped));
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//! - `bus`: the bus that events are emitted on
//! - `subscription`: a subscriber's end of it

mod bus;
mod subscription;
pub(crate) use bus::{DEFAULT_BUFFER, EventBus};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
pub use subscription::Events;
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::ErrorKind;
use wasmcloud_core::health::Health;
use wasmcloud_core::identity::Image;
use wasmcloud_core::text::escaped;

/// An event in the life of a host, or of an actor or provider.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// The time of the event.
    pub at: SystemTime,
    /// The actor or provider that the event is about, or the host.
    pub entity: WasmCloudEntity,
    /// The name that its signer gave the actor or provider. `None` for the host, and for a child that was never
    /// started.
    pub name: Option<String>,
    /// The reference to a registry that the actor or provider was started from. `None` if it came from elsewhere, and for
    /// the host.
    pub image_ref: Option<String>,
    /// The kind of the event.
    pub kind: EventKind,
}

/// The kind of an [`Event`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// The host has started.
    HostStarted,
    /// The host has stopped, after everything that ran on it.
    HostStopped,
    /// An actor or provider has started.
    Started,
    /// A running actor or provider was stopped.
    Stopped,
    /// An instance of an actor, or a provider, has crashed.
    Crashed {
        /// The cause of the crash.
        cause: String,
    },
    /// An instance of an actor was lost without having crashed: its deadline passed while it waited for others, or the host
    /// had no room to replace it. It is replaced at once, which does not count as a restart. If the replacement fails, each
    /// call tries again, and without calls the host tries once a second.
    Interrupted {
        /// The cause of the interruption.
        cause: String,
    },
    /// A crashed or interrupted instance was replaced.
    Restarted {
        /// Restart count within the policy's period, starting at 1. It is 0 after an interruption, and for an instance that
        /// is replaced only to finish its calls before a stop or an update.
        attempt: u32,
        /// The delay before the restart.
        delay: Duration,
    },
    /// An actor or provider crashed more often than its policy allows. It is not restarted, and its calls fail until it is
    /// started again.
    Failed {
        /// The rule of the policy that applied.
        reason: String,
    },
    /// An actor runs another revision, or the same one with other options.
    Updated {
        /// The revision before the update.
        from: i32,
        /// The revision after the update.
        to: i32,
    },
    /// An update of an actor was refused or failed. The previous revision keeps running.
    UpdateRefused {
        /// The reason of the refusal or failure.
        reason: String,
    },
    /// A new revision of an actor or provider failed its probation, and the previous revision runs again. See
    /// [`ApplyOptions::probation`](crate::ApplyOptions::probation).
    UpdateRolledBack {
        /// The revision that failed.
        from: i32,
        /// The revision that runs again.
        to: i32,
        /// What the new revision did.
        reason: String,
    },
    /// The number of an actor's instances has changed.
    Scaled {
        /// The number after the change.
        instances: usize,
    },
    /// A link of the actor was established.
    Linked {
        /// The contract.
        contract_id: String,
        /// The link's name.
        link_name: String,
        /// The provider's public key.
        provider_id: String,
    },
    /// A link of the actor was removed.
    Unlinked {
        /// The contract.
        contract_id: String,
        /// The link's name.
        link_name: String,
    },
    /// A link of the actor could not be established.
    LinkRefused {
        /// The contract.
        contract_id: String,
        /// The link's name.
        link_name: String,
        /// The reason of the refusal.
        reason: String,
    },
    /// A link of the actor was changed here and on another host at the same time, while they were not connected. The change
    /// of the other host is in effect.
    #[cfg(feature = "lattice")]
    LinkConflict {
        /// The contract.
        contract_id: String,
        /// The link's name.
        link_name: String,
        /// How the two changes differ.
        reason: String,
    },
    /// The host has joined its lattice, has lost the connection, or could not connect. Local work goes on in each state.
    #[cfg(feature = "lattice")]
    LatticeChanged {
        /// The state now.
        state: wasmcloud_lattice::LatticeState,
    },
    /// Another host of the lattice is there, for the first time or again.
    #[cfg(feature = "lattice")]
    PeerUp {
        /// The public key of the other host.
        host: String,
    },
    /// Another host of the lattice was silent for two heartbeats. What it runs is not called any more.
    #[cfg(feature = "lattice")]
    PeerDown {
        /// The public key of the other host.
        host: String,
    },
    /// Another host has left the lattice.
    #[cfg(feature = "lattice")]
    PeerLeft {
        /// The public key of the other host.
        host: String,
    },
    /// The host reads messages of the lattice too slowly, and some were dropped.
    #[cfg(feature = "lattice")]
    SlowConsumer,
    /// The NATS server does not let the host publish on a subject, or subscribe to it.
    #[cfg(feature = "lattice")]
    LatticeDenied {
        /// The subject.
        subject: String,
    },
    /// The token of an actor or provider has expired. It keeps running, but calls to and from it are rejected until it is
    /// updated or started again with a valid token.
    Expired,
    /// The host's trust policy no longer accepts an actor or provider. It keeps running, but calls to and from it are
    /// rejected.
    Distrusted {
        /// The rule of the policy that it breaks.
        reason: String,
    },
    /// The host's trust policy accepts an actor or provider again.
    Trusted,
    /// The result of a health check differs from the previous one.
    HealthChanged {
        /// The result of the check.
        health: Health,
    },
    /// An actor breached a limit. For each actor and limit, at most one event a second is emitted.
    LimitBreached {
        /// The kind of the error that the caller got.
        limit: ErrorKind,
        /// The text of the error that the caller got.
        message: String,
    },
    /// An experiment injected a fault into an actor or provider. The events that the fault causes follow.
    #[cfg(feature = "experiments")]
    Injected {
        /// The injected fault.
        fault: crate::InjectedFault,
    },
    /// The subscriber was too slow, and events were dropped.
    Lagged {
        /// The number of dropped events.
        missed: u64,
    },
}

/// Lists the kinds with their words. A kind that is missing here does not compile.
macro_rules! kinds {
    ($($(#[$feature:meta])? $kind:ident => $word:literal,)*) => {
        impl EventKind {
            /// The words for all kinds.
            pub(crate) const WORDS: &[&str] = &[$($(#[$feature])? $word,)*];

            /// Returns the word for the kind in metrics and on the dashboard, as in `update_refused`. Words do not change between
            /// releases.
            pub fn word(&self) -> &'static str {
                match self {
                    $($(#[$feature])? EventKind::$kind { .. } => $word,)*
                }
            }
        }
    };
}

kinds! {
    HostStarted => "host_started",
    HostStopped => "host_stopped",
    Started => "started",
    Stopped => "stopped",
    Crashed => "crashed",
    Interrupted => "interrupted",
    Restarted => "restarted",
    Failed => "failed",
    Updated => "updated",
    UpdateRefused => "update_refused",
    UpdateRolledBack => "update_rolled_back",
    Scaled => "scaled",
    Linked => "linked",
    Unlinked => "unlinked",
    LinkRefused => "link_refused",
    #[cfg(feature = "lattice")]
    LinkConflict => "link_conflict",
    #[cfg(feature = "lattice")]
    LatticeChanged => "lattice_changed",
    #[cfg(feature = "lattice")]
    PeerUp => "peer_up",
    #[cfg(feature = "lattice")]
    PeerDown => "peer_down",
    #[cfg(feature = "lattice")]
    PeerLeft => "peer_left",
    #[cfg(feature = "lattice")]
    SlowConsumer => "slow_consumer",
    #[cfg(feature = "lattice")]
    LatticeDenied => "lattice_denied",
    Expired => "expired",
    Distrusted => "distrusted",
    Trusted => "trusted",
    HealthChanged => "health_changed",
    LimitBreached => "limit_breached",
    #[cfg(feature = "experiments")]
    Injected => "injected",
    Lagged => "lagged",
}

impl Event {
    fn now(subject: impl Into<Subject>, kind: EventKind) -> Event {
        let Subject { entity, name, image } = subject.into();
        let image_ref = image.map(|image| image.reference.clone());
        Event { at: SystemTime::now(), entity, name, image_ref, kind }
    }
}

/// The subject of an event: an entity, and its name if it has one.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) entity: WasmCloudEntity,
    pub(crate) name: Option<String>,
    pub(crate) image: Option<Arc<Image>>,
}

impl From<WasmCloudEntity> for Subject {
    fn from(entity: WasmCloudEntity) -> Subject {
        Subject { entity, name: None, image: None }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.entity)?;
        match &self.name {
            Some(name) => write!(f, " ({})", escaped(name)),
            None => Ok(()),
        }
    }
}
