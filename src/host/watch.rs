//! What embedders can know of a host: what runs, how it is, what joins it, and what happens.

use std::collections::HashMap;

use wasmcloud_claims::jwt::{self, Claims};
use wasmcloud_core::entity::{WasmCloudEntity, link_name};
use wasmcloud_core::error::Result;
use wasmcloud_core::health::Health;

use super::{Host, Inventory};
use crate::event::Events;
use crate::link::{LinkDefinition, LinkState};
use crate::supervisor::health::{CheckAll, CheckOne};

/// A provider that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderDescription {
    /// Its public key.
    pub id: String,
    /// The contract that it serves.
    pub contract_id: String,
    /// The link name that it runs under.
    pub link_name: String,
    /// The name that its vendor gave it.
    pub name: String,
}

impl Host {
    /// What happens in this host from now on. See [`Events`].
    pub fn events(&self) -> Events {
        self.0.dispatch.events().subscribe(None)
    }

    /// What happens to one actor or provider from now on, its links included.
    pub fn monitor(&self, entity: WasmCloudEntity) -> Events {
        self.0.dispatch.events().subscribe(Some(entity))
    }

    /// All that runs, and how it is, at this moment. It waits for nobody.
    ///
    /// # Errors
    /// `HostNotRunning`.
    pub fn inventory(&self) -> Result<Inventory> {
        self.running()?;
        Ok(Inventory::of(&self.0.dispatch.snapshot()))
    }

    /// Asks everything that runs how it is, all at once, and waits for the answers no longer than for one: see
    /// [`with_health_deadline`](crate::HostBuilder::with_health_deadline). It holds up no work: an actor whose instances
    /// all have calls is [`Health::Busy`], and not asked. The others are asked with the operation `HealthRequest`. One
    /// that has no handler for it has answered, and is healthy; one that crashes over it has crashed.
    ///
    /// The host asks regularly by itself, too: see [`with_health_interval`](crate::HostBuilder::with_health_interval).
    /// When an answer is another one than the last, [`EventKind::HealthChanged`](crate::EventKind::HealthChanged) is
    /// told, and so is a first answer other than [`Health::Healthy`]; [`Host::inventory`] tells the last one.
    ///
    /// # Errors
    /// `HostNotRunning`.
    pub async fn health(&self) -> Result<HashMap<WasmCloudEntity, Health>> {
        self.ask(CheckAll).await
    }

    /// Asks one actor or provider how it is, as [`Host::health`] does.
    ///
    /// # Errors
    /// `ActorNotFound`, `ActorStopped`, `ProviderNotFound`; `Busy` where it is just being started, or was stopped
    /// meanwhile; `InvalidArgument` for a provider of another contract, and for the host; `HostNotRunning`.
    pub async fn health_of(&self, entity: WasmCloudEntity) -> Result<Health> {
        self.ask(CheckOne(entity)).await
    }

    /// The public keys of the actors that run.
    ///
    /// # Errors
    /// `HostNotRunning`.
    pub async fn actors(&self) -> Result<Vec<String>> {
        self.running()?;
        Ok(self.0.dispatch.snapshot().actors.keys().map(|key| key.to_string()).collect())
    }

    /// The providers that run.
    ///
    /// # Errors
    /// `HostNotRunning`.
    pub async fn providers(&self) -> Result<Vec<ProviderDescription>> {
        self.running()?;
        let snapshot = self.0.dispatch.snapshot();
        let identities = snapshot.providers.values().map(|provider| &provider.identity);
        Ok(identities
            .map(|identity| ProviderDescription {
                id: identity.key.id.to_string(),
                contract_id: identity.contract_id.clone(),
                link_name: identity.key.link_name.to_string(),
                name: identity.claims.name(),
            })
            .collect())
    }

    /// The claims of the actors that run.
    ///
    /// # Errors
    /// `HostNotRunning`.
    pub async fn actor_claims(&self) -> Result<Vec<Claims<jwt::Actor>>> {
        self.running()?;
        let snapshot = self.0.dispatch.snapshot();
        Ok(snapshot.actors.values().map(|actor| Claims::clone(&actor.identity.claims)).collect())
    }

    /// All links that have been set and not removed, established or not.
    ///
    /// # Errors
    /// `HostNotRunning`.
    pub async fn link_definitions(&self) -> Result<Vec<LinkDefinition>> {
        self.running()?;
        let snapshot = self.0.dispatch.snapshot();
        Ok(snapshot.links.values().map(|link| LinkDefinition::clone(&link.definition)).collect())
    }

    /// How far a link has come, or nothing where there is none.
    pub fn link_state(&self, actor: &str, contract_id: &str, link: Option<&str>) -> Option<LinkState> {
        let snapshot = self.0.dispatch.snapshot();
        snapshot.link(actor, contract_id, link_name(link)).map(|link| link.state.clone())
    }
}
