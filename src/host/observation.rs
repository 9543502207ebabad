//! What embedders observe of a host: events, the inventory, health, and what runs.

use std::collections::HashMap;

use wasmcloud_claims::jwt::{self, Claims};
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::Result;
use wasmcloud_core::health::Health;

use super::{Host, Inventory};
use crate::event::Events;
use crate::supervisor::health::{CheckAll, CheckOne};

/// A running provider.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderDescription {
    /// The provider's public key.
    pub id: String,
    /// The contract that it serves.
    pub contract_id: String,
    /// The link name that it runs under.
    pub link_name: String,
    /// The name that its vendor gave it.
    pub name: String,
}

impl Host {
    /// Subscribes to the events of this host, beginning now. See [`Events`].
    pub fn events(&self) -> Events {
        self.0.dispatch.events().subscribe(None)
    }

    /// Subscribes to the events of one actor or provider and its links, beginning now. See [`Events`].
    pub fn monitor(&self, entity: WasmCloudEntity) -> Events {
        self.0.dispatch.events().subscribe(Some(entity))
    }

    /// Returns a point-in-time inventory without blocking.
    ///
    /// # Errors
    /// `HostNotRunning`.
    pub fn inventory(&self) -> Result<Inventory> {
        self.running()?;
        Ok(Inventory::of(&self.0.dispatch.snapshot()))
    }

    /// Checks the health of all actors and providers concurrently. All checks together take no longer than the deadline of
    /// one: see [`with_health_deadline`](crate::HostBuilder::with_health_deadline).
    ///
    /// A check delays no work. An actor whose instances all serve calls is [`Health::Busy`] and receives no check. The other
    /// actors and providers receive the operation `HealthRequest`. One without a handler for it is healthy, since it
    /// answered. One that crashes during its check is treated like one that crashes during a call.
    ///
    /// The host also checks at an interval: see [`with_health_interval`](crate::HostBuilder::with_health_interval).
    /// [`EventKind::HealthChanged`](crate::EventKind::HealthChanged) reports each result that differs from the previous one,
    /// and a first result other than [`Health::Healthy`]. [`Host::inventory`] contains the last result.
    ///
    /// # Errors
    /// `HostNotRunning`.
    pub async fn health(&self) -> Result<HashMap<WasmCloudEntity, Health>> {
        self.send(CheckAll).await
    }

    /// Checks the health of one actor or provider, as [`Host::health`] does.
    ///
    /// # Errors
    /// - `ActorNotFound`, `ActorStopped` or `ProviderNotFound`
    /// - `Busy` if it is being started, or was stopped during the check
    /// - `InvalidArgument` for the host itself, and for a provider of another contract
    /// - `HostNotRunning`
    pub async fn health_of(&self, entity: WasmCloudEntity) -> Result<Health> {
        self.send(CheckOne(entity)).await
    }

    /// Returns the public keys of the running actors.
    ///
    /// # Errors
    /// `HostNotRunning`.
    pub async fn actors(&self) -> Result<Vec<String>> {
        self.running()?;
        Ok(self.0.dispatch.snapshot().actors.keys().map(|key| key.to_string()).collect())
    }

    /// Returns the running providers.
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

    /// Returns the claims of the running actors.
    ///
    /// # Errors
    /// `HostNotRunning`.
    pub async fn actor_claims(&self) -> Result<Vec<Claims<jwt::Actor>>> {
        self.running()?;
        let snapshot = self.0.dispatch.snapshot();
        Ok(snapshot.actors.values().map(|actor| Claims::clone(&actor.identity.claims)).collect())
    }
}
