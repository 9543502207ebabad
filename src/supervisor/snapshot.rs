//! What runs and what is linked, at one moment: written by the supervisor alone, read by every call.
//!
//! The maps are persistent (they share structure with the snapshot before), so publishing a change costs the same
//! with one actor as with a hundred thousand.

use std::collections::HashSet;
use std::sync::Arc;

use actix::Addr;
use imbl::shared_ptr::DefaultSharedPtr;
use tokio::sync::Notify;

use super::child::Child;
use super::health::Health;
use super::link::{Link, LinkKey};
use super::placement::ActorOptions;
use super::restart::RestartPolicy;
use crate::actor::instances::Instances;
use crate::actor::mailbox::InstanceNumber;
use crate::auth::Standing;
use crate::capability::NativeCapability;
use crate::capability::provider_actor::ProviderActor;
use crate::engine::CompiledModule;
use crate::entity::WasmCloudEntity;
use crate::event::Subject;
use crate::jwt::{self, CapabilityProvider, Claims};
use crate::limits::Limits;
use crate::shard::ShardNumber;
use crate::text::escaped;

/// A persistent map. Each call looks names up, so they are hashed fast, though with a seed that nobody outside knows.
pub(crate) type Map<K, V> = imbl::GenericHashMap<K, V, foldhash::fast::RandomState, DefaultSharedPtr>;

/// Who an actor is, as its signed token says.
#[derive(Debug)]
pub(crate) struct ActorIdentity {
    pub(crate) key: Arc<str>,
    pub(crate) name: String,
    pub(crate) revision: i32,
    pub(crate) call_alias: Option<Arc<str>>,
    pub(crate) capabilities: HashSet<String>,
    pub(crate) claims: Arc<Claims<jwt::Actor>>,
    /// How others are told of it.
    pub(crate) entity: WasmCloudEntity,
    /// Whether it is still trusted.
    pub(crate) standing: Standing,
}

impl ActorIdentity {
    pub(crate) fn new(claims: Arc<Claims<jwt::Actor>>) -> ActorIdentity {
        let metadata = claims.metadata.as_ref();
        ActorIdentity {
            key: claims.subject.as_str().into(),
            name: claims.name(),
            revision: metadata.and_then(|metadata| metadata.rev).unwrap_or(0),
            call_alias: metadata.and_then(|metadata| metadata.call_alias.as_deref()).map(Arc::from),
            capabilities: metadata.and_then(|metadata| metadata.caps.clone()).unwrap_or_default().into_iter().collect(),
            entity: WasmCloudEntity::Actor(claims.subject.clone()),
            standing: Standing::default(),
            claims,
        }
    }

    /// How others are told of it.
    pub(crate) fn entity(&self) -> WasmCloudEntity {
        self.entity.clone()
    }

    /// What events about it name.
    pub(crate) fn subject(&self) -> Subject {
        Subject { entity: self.entity(), name: Some(self.name.clone()) }
    }

    /// Whether providers are told the same of another actor along with its links.
    pub(crate) fn is_bound_like(&self, other: &ActorIdentity) -> bool {
        let told = |identity: &ActorIdentity| {
            let claims = &identity.claims;
            let tags = claims.metadata.as_ref().and_then(|metadata| metadata.tags.clone()).unwrap_or_default();
            (identity.name.clone(), claims.issuer.clone(), identity.capabilities.clone(), tags, claims.expires)
        };
        told(self) == told(other)
    }
}

impl std::fmt::Display for ActorIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "actor {} ({})", self.key, escaped(&self.name))
    }
}

/// Who a provider is, and under which link name it runs.
#[derive(Debug)]
pub(crate) struct ProviderIdentity {
    pub(crate) key: ProviderKey,
    pub(crate) contract_id: String,
    pub(crate) claims: Claims<CapabilityProvider>,
    /// Whether the claims are those of a token that was verified. Otherwise the program vouches for them, and no date or
    /// policy concerns them.
    pub(crate) signed: bool,
    /// How others are told of it.
    pub(crate) entity: WasmCloudEntity,
    /// Whether it is still trusted.
    pub(crate) standing: Standing,
}

impl ProviderIdentity {
    pub(crate) fn new(
        key: ProviderKey,
        contract_id: String,
        claims: Claims<CapabilityProvider>,
        signed: bool,
    ) -> ProviderIdentity {
        let entity = WasmCloudEntity::Capability {
            id: key.id.to_string(),
            contract_id: contract_id.clone(),
            link_name: key.link_name.to_string(),
        };
        ProviderIdentity { key, contract_id, claims, signed, entity, standing: Standing::default() }
    }

    /// How others are told of it.
    pub(crate) fn entity(&self) -> WasmCloudEntity {
        self.entity.clone()
    }
}

impl ProviderIdentity {
    /// What events about it name.
    pub(crate) fn subject(&self) -> Subject {
        Subject { entity: self.entity(), name: Some(self.claims.name()) }
    }
}

impl std::fmt::Display for ProviderIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} for {}", self.key, escaped(&self.contract_id))
    }
}

/// What a provider is registered by: one provider may run under several link names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ProviderKey {
    pub(crate) id: Arc<str>,
    pub(crate) link_name: Arc<str>,
}

impl ProviderKey {
    pub(crate) fn new(id: &str, link_name: &str) -> ProviderKey {
        ProviderKey { id: id.into(), link_name: link_name.into() }
    }
}

impl std::fmt::Display for ProviderKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "provider {} (link name {})", self.id, escaped(&self.link_name))
    }
}

/// An actor that runs.
#[derive(Debug, Clone)]
pub(crate) struct RunningActor {
    pub(crate) identity: Arc<ActorIdentity>,
    pub(crate) instances: Instances,
    pub(crate) condition: Condition,
    pub(crate) blueprint: Arc<ActorBlueprint>,
    /// Whether it is being stopped: it serves what has reached it and what its providers are still working on, and
    /// nothing else.
    pub(crate) draining: bool,
}

/// A provider that runs.
#[derive(Debug, Clone)]
pub(crate) struct RunningProvider {
    pub(crate) identity: Arc<ProviderIdentity>,
    /// What of it there is now: it gets another number when it is made anew.
    pub(crate) instance: InstanceNumber,
    pub(crate) address: Addr<ProviderActor>,
    pub(crate) condition: Condition,
    pub(crate) blueprint: Arc<ProviderBlueprint>,
    /// Whether this instance has crashed: calls wait for the next one.
    pub(crate) is_down: bool,
    /// Whether it is being stopped and takes no more calls than those that belong to its own.
    pub(crate) is_closing: bool,
    /// Told when another state of the provider, or none, has been published.
    pub(crate) changed: Arc<Notify>,
}

impl RunningProvider {
    pub(crate) fn new(
        identity: Arc<ProviderIdentity>,
        instance: InstanceNumber,
        address: Addr<ProviderActor>,
        blueprint: Arc<ProviderBlueprint>,
    ) -> RunningProvider {
        let (condition, changed) = (Condition::Running, Arc::default());
        RunningProvider {
            identity,
            instance,
            address,
            condition,
            blueprint,
            is_down: false,
            is_closing: false,
            changed,
        }
    }
}

/// How what runs is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    Running,
    /// It crashed and is being replaced: the how manieth time within the period of its policy; 0 for what was interrupted.
    Restarting(u32),
    /// It crashed and stays down, for this reason.
    Failed(Arc<str>),
}

/// What further instances of an actor are made of.
pub(crate) struct ActorBlueprint {
    pub(crate) module: CompiledModule,
    pub(crate) options: ActorOptions,
    pub(crate) limits: Limits,
    /// The shard of whoever started it, or one in turn.
    pub(crate) near: ShardNumber,
}

impl std::fmt::Debug for ActorBlueprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ActorBlueprint").field("options", &self.options).finish_non_exhaustive()
    }
}

/// What a provider is made of anew.
#[derive(Debug)]
pub(crate) struct ProviderBlueprint {
    pub(crate) capability: NativeCapability,
    pub(crate) policy: RestartPolicy,
    pub(crate) near: ShardNumber,
}

/// Everything that a call is resolved and authorized by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    /// Whether the host runs: it does not before its start and after its stop.
    pub(crate) running: bool,
    pub(crate) actors: Map<Arc<str>, RunningActor>,
    pub(crate) providers: Map<ProviderKey, RunningProvider>,
    pub(crate) links: Map<LinkKey, Arc<Link>>,
    /// Call aliases, and who holds them.
    pub(crate) aliases: Map<Arc<str>, Arc<str>>,
    /// The contracts of the providers that run, and how many there are of each: no alias stands for one of them.
    pub(crate) contracts: Map<String, usize>,
    /// How what runs answered when it was last asked.
    pub(crate) health: Map<Child, Health>,
    /// Actors that ran and were stopped.
    pub(crate) stopped: imbl::HashSet<Arc<str>>,
}

impl Snapshot {
    /// The link over which an actor reaches a contract under a link name.
    pub(crate) fn link(&self, actor: &str, contract: &str, link_name: &str) -> Option<&Arc<Link>> {
        self.links.get(&(actor, contract, link_name))
    }

    /// Whether a provider has been given this actor: it may call those actors and no others.
    pub(crate) fn is_bound(&self, actor: &str, provider: &ProviderIdentity) -> bool {
        let link = self.link(actor, &provider.contract_id, &provider.key.link_name);
        link.is_some_and(|link| link.lets_call(&provider.key.id))
    }

    /// The provider that a link leads to, if it runs.
    pub(crate) fn provider_of(&self, link: &Link) -> Option<&RunningProvider> {
        let definition = &link.definition;
        self.providers.get(&(definition.provider_id.as_str(), definition.link_name.as_str()))
    }
}

/// Finding a provider by borrowed names.
impl equivalent::Equivalent<ProviderKey> for (&str, &str) {
    fn equivalent(&self, key: &ProviderKey) -> bool {
        *self.0 == *key.id && *self.1 == *key.link_name
    }
}
