//! Snapshots of what runs and what is linked. The supervisor publishes them, and every call reads one.
//!
//! The maps are persistent, so consecutive snapshots share structure. The cost of publishing a change does not depend on the
//! number of actors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use imbl::shared_ptr::DefaultSharedPtr;
use tokio::sync::Notify;
use wasmcloud_claims::TrustState;
use wasmcloud_core::health::Health;
use wasmcloud_core::identity::{InstanceNumber, ProviderKey, ProviderKeyRef};

use super::instances::Instances;
use super::provider_mailbox::ProviderMailbox;
use crate::child::Child;
use crate::identity::{ActorIdentity, ProviderIdentity};
use crate::instruments::EntityInstruments;
use crate::link::{Link, LinkKey};

/// A persistent map with fast, seeded hashing: each call looks names up.
pub(crate) type Map<K, V> = imbl::GenericHashMap<K, V, foldhash::fast::RandomState, DefaultSharedPtr>;

/// A running actor.
#[derive(Debug, Clone)]
pub(crate) struct RunningActor {
    pub(crate) identity: Arc<ActorIdentity>,
    pub(crate) instances: Instances,
    pub(crate) instruments: EntityInstruments,
    pub(crate) condition: Condition,
    /// Whether it is being stopped. It then serves the calls that have reached it and those that its providers still
    /// deliver, and no others.
    pub(crate) draining: bool,
}

/// A running provider.
#[derive(Debug, Clone)]
pub(crate) struct RunningProvider {
    pub(crate) identity: Arc<ProviderIdentity>,
    /// The present instance. A restart changes its number.
    pub(crate) instance: InstanceNumber,
    pub(crate) mailbox: ProviderMailbox,
    pub(crate) instruments: EntityInstruments,
    pub(crate) condition: Condition,
    /// Whether this instance has crashed: calls wait for the next one.
    pub(crate) is_down: bool,
    /// Whether it is being stopped. It then takes no calls except those that belong to its own calls.
    pub(crate) is_closing: bool,
    /// Notified when another state of the provider, or its removal, has been published.
    pub(crate) changed: Arc<Notify>,
}

impl RunningActor {
    pub(crate) fn new(
        identity: Arc<ActorIdentity>,
        instances: Instances,
        instruments: EntityInstruments,
    ) -> RunningActor {
        RunningActor { identity, instances, instruments, condition: Condition::Running, draining: false }
    }
}

impl RunningProvider {
    pub(crate) fn new(
        identity: Arc<ProviderIdentity>,
        instance: InstanceNumber,
        mailbox: ProviderMailbox,
        instruments: EntityInstruments,
    ) -> RunningProvider {
        RunningProvider {
            identity,
            instance,
            mailbox,
            instruments,
            condition: Condition::Running,
            is_down: false,
            is_closing: false,
            changed: Arc::default(),
        }
    }
}

/// Whether a child runs, is being replaced, or has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    Running,
    /// It crashed and is being replaced. The number is the restart count within its policy's period, 0 after an interruption.
    Restarting(u32),
    /// It crashed and stays down, for this reason.
    Failed(Arc<str>),
}

impl Condition {
    /// Returns the health of a child that is down and cannot be asked.
    pub(crate) fn health(&self) -> Option<Health> {
        let reason = match self {
            Condition::Running => return None,
            Condition::Restarting(0) => "it was interrupted, and could not be replaced so far".to_owned(),
            Condition::Restarting(attempt) => format!("it crashed and is being restarted, attempt {attempt}"),
            Condition::Failed(reason) => format!("it has failed: {reason}"),
        };
        Some(Health::Unhealthy { reason })
    }
}

/// The last health check of a child.
#[derive(Debug, Clone)]
pub(crate) struct LastCheck {
    pub(crate) health: Health,
    /// When it was checked. It changes in place: a check that finds what the last one found is no news for calls.
    at: Arc<AtomicU64>,
}

impl LastCheck {
    /// Returns a check with this result, made now.
    pub(crate) fn now(health: Health) -> LastCheck {
        let check = LastCheck { health, at: Arc::default() };
        check.repeat();
        check
    }

    /// Records that another check, made now, has had the same result.
    pub(crate) fn repeat(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.at.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns when the child was checked. Unit: milliseconds since 1970.
    #[cfg_attr(not(feature = "telemetry"), expect(dead_code, reason = "only telemetry tells it"))]
    pub(crate) fn at(&self) -> u64 {
        self.at.load(Ordering::Relaxed)
    }
}

/// Returns the health of a child that has lost trust and is not asked.
pub(crate) fn distrust_health(trust: &TrustState) -> Option<Health> {
    trust.lost().map(|distrust| Health::Unhealthy { reason: distrust.reason.clone() })
}

/// The state by which calls are resolved and authorized.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    /// Whether the host runs. False before its start and after its stop.
    pub(crate) running: bool,
    pub(crate) actors: Map<Arc<str>, RunningActor>,
    pub(crate) providers: Map<ProviderKey, RunningProvider>,
    pub(crate) links: Map<LinkKey, Arc<Link>>,
    /// The call aliases and the actors that hold them.
    pub(crate) aliases: Map<Arc<str>, Arc<str>>,
    /// The contracts of running providers, and the number of providers for each. None of them can be an alias.
    pub(crate) contracts: Map<String, usize>,
    /// The results of the last health checks.
    pub(crate) health: Map<Child, LastCheck>,
    /// Actors on other hosts that are linked to providers on this one, by their verified tokens.
    pub(crate) remote_actors: Map<Arc<str>, Arc<ActorIdentity>>,
    /// Actors that ran and were stopped.
    pub(crate) stopped: imbl::HashSet<Arc<str>>,
}

impl Snapshot {
    /// Returns the link over which an actor reaches a contract under a link name.
    pub(crate) fn link(&self, actor: &str, contract: &str, link_name: &str) -> Option<&Arc<Link>> {
        self.links.get(&(actor, contract, link_name))
    }

    /// Returns whether a provider may call an actor over a link.
    pub(crate) fn is_bound(&self, actor: &str, provider: &ProviderIdentity) -> bool {
        let link = self.link(actor, &provider.contract_id, &provider.key.link_name);
        link.is_some_and(|link| link.allows_calls_of(&provider.key.id))
    }

    /// Returns the provider of a link, if it runs.
    pub(crate) fn provider_of(&self, link: &Link) -> Option<&RunningProvider> {
        let definition = &link.definition;
        self.providers.get(&ProviderKeyRef { id: &definition.provider_id, link_name: &definition.link_name })
    }
}
