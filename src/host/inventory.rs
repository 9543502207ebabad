//! Point-in-time inventories of a host.

use wasmcloud_claims::TrustState;
use wasmcloud_core::health::Health;
use wasmcloud_core::identity::Image;

use crate::child::{Child, ChildState};
use crate::dispatch::snapshot::{Condition, RunningActor, RunningProvider, Snapshot, distrust_health};
use crate::link::LinkState;

/// The contents of a host at one point in time. [`Host::inventory`](crate::Host::inventory) returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inventory {
    /// The actors, sorted by public key.
    pub actors: Vec<ActorInventory>,
    /// The providers, sorted by public key and link name.
    pub providers: Vec<ProviderInventory>,
    /// All links that have been set, whether their actors and providers run or not. They are sorted by actor, contract and
    /// link name.
    pub links: Vec<LinkInventory>,
}

/// An actor in an [`Inventory`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActorInventory {
    /// The actor's public key.
    pub key: String,
    /// The name that its signer gave it.
    pub name: String,
    /// The name by which it can be called beside its key.
    pub call_alias: Option<String>,
    /// The revision of its code.
    pub revision: i32,
    /// The reference to a registry that its module came from, as it was given. `None` if it came from elsewhere.
    pub image_ref: Option<String>,
    /// The digest that the reference stood for when it was pulled.
    pub image_digest: Option<String>,
    /// The number of its instances.
    pub instances: usize,
    /// The number of calls in its mailboxes and in progress.
    pub calls: usize,
    /// The state of the actor.
    pub state: ChildState,
    /// The result of the last health check since its start, if there was one. See
    /// [`Host::health`](crate::Host::health).
    pub health: Option<Health>,
}

/// A provider in an [`Inventory`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderInventory {
    /// The provider's public key.
    pub id: String,
    /// The contract that it serves.
    pub contract_id: String,
    /// The link name that it runs under.
    pub link_name: String,
    /// The name that its vendor gave it.
    pub name: String,
    /// The revision of its claims. It is 0 if they name none.
    pub revision: i32,
    /// The reference to a registry that its archive came from, as it was given. `None` if it came from elsewhere.
    pub image_ref: Option<String>,
    /// The digest that the reference stood for when it was pulled.
    pub image_digest: Option<String>,
    /// The state of the provider.
    pub state: ChildState,
    /// The result of the last health check since its start, if there was one. See
    /// [`Host::health`](crate::Host::health).
    pub health: Option<Health>,
}

/// A link in an [`Inventory`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkInventory {
    /// The actor's public key.
    pub actor_id: String,
    /// The contract.
    pub contract_id: String,
    /// The link's name.
    pub link_name: String,
    /// The provider's public key.
    pub provider_id: String,
    /// The state of the link.
    pub state: LinkState,
}

impl Inventory {
    pub(super) fn of(snapshot: &Snapshot) -> Inventory {
        let mut actors: Vec<ActorInventory> =
            snapshot.actors.values().map(|running| actor(running, snapshot)).collect();
        actors.sort_by(|one, other| one.key.cmp(&other.key));
        let mut providers: Vec<ProviderInventory> =
            snapshot.providers.values().map(|running| provider(running, snapshot)).collect();
        providers.sort_by(|one, other| (&one.id, &one.link_name).cmp(&(&other.id, &other.link_name)));
        let link = |link: &std::sync::Arc<crate::link::Link>| LinkInventory {
            actor_id: link.definition.actor_id.clone(),
            contract_id: link.definition.contract_id.clone(),
            link_name: link.definition.link_name.clone(),
            provider_id: link.definition.provider_id.clone(),
            state: link.state.clone(),
        };
        let mut links: Vec<LinkInventory> = snapshot.links.values().map(link).collect();
        links.sort_by(|one, other| {
            (&one.actor_id, &one.contract_id, &one.link_name).cmp(&(
                &other.actor_id,
                &other.contract_id,
                &other.link_name,
            ))
        });
        Inventory { actors, providers, links }
    }
}

fn actor(actor: &RunningActor, snapshot: &Snapshot) -> ActorInventory {
    let identity = &actor.identity;
    let mailboxes = actor.instances.mailboxes();
    ActorInventory {
        key: identity.key.to_string(),
        name: identity.name.clone(),
        call_alias: identity.call_alias.as_deref().map(str::to_owned),
        revision: identity.revision,
        image_ref: reference(identity.image.as_deref()),
        image_digest: digest(identity.image.as_deref()),
        instances: mailboxes.len(),
        calls: mailboxes.iter().map(|mailbox| mailbox.load()).sum(),
        state: if actor.draining { ChildState::Stopping } else { state(&identity.trust, &actor.condition) },
        health: health(&identity.trust, &actor.condition, Child::Actor(identity.key.clone()), snapshot),
    }
}

fn provider(provider: &RunningProvider, snapshot: &Snapshot) -> ProviderInventory {
    let identity = &provider.identity;
    ProviderInventory {
        id: identity.key.id.to_string(),
        contract_id: identity.contract_id.clone(),
        link_name: identity.key.link_name.to_string(),
        name: identity.claims.name(),
        revision: identity.revision(),
        image_ref: reference(identity.image.as_deref()),
        image_digest: digest(identity.image.as_deref()),
        state: state(&identity.trust, &provider.condition),
        health: health(&identity.trust, &provider.condition, Child::Provider(identity.key.clone()), snapshot),
    }
}

fn reference(image: Option<&Image>) -> Option<String> {
    image.map(|image| image.reference.clone())
}

fn digest(image: Option<&Image>) -> Option<String> {
    image.and_then(|image| image.digest.clone())
}

/// Returns the health of a child that is known without a check.
fn health(trust: &TrustState, condition: &Condition, child: Child, snapshot: &Snapshot) -> Option<Health> {
    distrust_health(trust)
        .or_else(|| condition.health())
        .or_else(|| snapshot.health.get(&child).map(|check| check.health.clone()))
}

fn state(trust: &TrustState, condition: &Condition) -> ChildState {
    match trust.lost() {
        Some(distrust) if distrust.is_expiry() => return ChildState::Expired,
        Some(distrust) => return ChildState::Distrusted { reason: distrust.reason.clone() },
        None => {}
    }
    match condition {
        Condition::Running => ChildState::Running,
        Condition::Restarting(attempt) => ChildState::Restarting { attempt: *attempt },
        Condition::Failed(reason) => ChildState::Failed { reason: reason.to_string() },
    }
}
