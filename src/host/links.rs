//! Links: their changes, definitions and states.

use std::collections::HashMap;

use wasmcloud_core::entity::link_name;
use wasmcloud_core::error::Result;
use wasmcloud_providers::Extras;

use super::Host;
use crate::link::{LinkDefinition, LinkKey, LinkState};
use crate::supervisor::Command;

impl Host {
    /// Links an actor to a provider, or changes the values of the link.
    ///
    /// The actor is given by its public key, or by a reference to an OCI registry. A reference stands for the actor that was
    /// started from it here or elsewhere in the lattice; otherwise the actor is pulled to learn its key, and not started.
    ///
    /// In a lattice the link is known to all hosts that run the actor or the provider.
    ///
    /// If both run, the result is the provider's answer. Otherwise the link is kept, and established once both run.
    /// [`Extras`] are part of every host; the first link to them starts them.
    ///
    /// # Errors
    /// After any error the previous link, if there was one, stays in effect.
    ///
    /// - `InvalidArgument` if a key or contract is malformed, or the provider serves another contract
    /// - `CapabilityDenied` if the actor's claims do not include the contract
    /// - `Unauthorized` if the authorizer refuses the link
    /// - `TokenExpired`, `Untrusted` or `Revoked` if the actor or the provider has lost trust
    /// - `LinkRefused` with the provider's reason
    /// - those of [`Host::start_actor_from_registry`] that concern registries, for a reference that is not known
    /// - `RegistryConflict` if other hosts of the lattice keep changing the same link
    /// - `HostNotRunning`
    pub async fn set_link(
        &self,
        actor: &str,
        contract_id: &str,
        link: Option<String>,
        provider_id: String,
        values: HashMap<String, String>,
    ) -> Result<()> {
        self.running()?;
        let actor_id = self.resolve_actor(actor).await?;
        if provider_id == Extras::PUBLIC_KEY && contract_id == Extras::CONTRACT {
            self.ensure_extras(link_name(link.as_deref())).await?;
        }
        let definition = LinkDefinition {
            actor_id,
            provider_id,
            link_name: link_name(link.as_deref()).to_owned(),
            contract_id: contract_id.to_owned(),
            values,
        };
        #[cfg(feature = "lattice")]
        if let Some(lattice) = self.joined_lattice() {
            return lattice.set_link(definition).await;
        }
        self.send(Command::SetLink(definition)).await
    }

    /// Removes a link. Returns once the provider has released what it held for it.
    ///
    /// # Errors
    /// `NotLinked` if the link does not exist; `HostNotRunning`; or the provider's own error, after which the link is
    /// removed all the same.
    pub async fn remove_link(&self, actor: &str, contract_id: &str, link: Option<String>) -> Result<()> {
        let key = LinkKey::new(actor, contract_id, link_name(link.as_deref()));
        self.running()?;
        #[cfg(feature = "lattice")]
        if let Some(lattice) = self.joined_lattice() {
            return lattice.remove_link(key).await;
        }
        self.send(Command::RemoveLink(key)).await
    }

    /// Returns all links that have been set and not removed, whether they are established or not. Values that are secrets of
    /// a manifest are replaced by `(secret)`.
    ///
    /// # Errors
    /// `HostNotRunning`.
    pub async fn link_definitions(&self) -> Result<Vec<LinkDefinition>> {
        self.running()?;
        let snapshot = self.0.dispatch.snapshot();
        Ok(snapshot.links.values().map(|link| link.definition.listed()).collect())
    }

    /// Returns the state of a link, or `None` if the link does not exist.
    pub fn link_state(&self, actor: &str, contract_id: &str, link: Option<&str>) -> Option<LinkState> {
        let snapshot = self.0.dispatch.snapshot();
        snapshot.link(actor, contract_id, link_name(link)).map(|link| link.state.clone())
    }
}
