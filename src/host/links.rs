//! Changes of links.

use std::collections::HashMap;

use wasmcloud_core::entity::link_name;
use wasmcloud_core::error::Result;
use wasmcloud_providers::Extras;

use super::Host;
use crate::link::{LinkDefinition, LinkKey};
use crate::supervisor::Command;

impl Host {
    /// Links an actor to a provider, or changes the values of such a link.
    ///
    /// Where both run, the answer is the provider's own. Where one does not run yet, the link is kept and established
    /// when it starts. [`Extras`] are part of every host, and started by the first link to them.
    ///
    /// # Errors
    /// `InvalidArgument` for malformed keys and contracts, and for a provider of another contract; `CapabilityDenied`
    /// where the actor's claims do not include the contract; `Unauthorized`; `TokenExpired`, `Untrusted` or `Revoked` where
    /// an end that runs is not trusted any more; `LinkRefused` with the provider's reason;
    /// `HostNotRunning`. After an error, what was in effect before still is.
    pub async fn set_link(
        &self,
        actor: &str,
        contract_id: &str,
        link: Option<String>,
        provider_id: String,
        values: HashMap<String, String>,
    ) -> Result<()> {
        if provider_id == Extras::PUBLIC_KEY && contract_id == Extras::CONTRACT {
            self.provide_extras(link_name(link.as_deref())).await?;
        }
        self.ask(Command::SetLink(LinkDefinition {
            actor_id: actor.to_owned(),
            provider_id,
            link_name: link_name(link.as_deref()).to_owned(),
            contract_id: contract_id.to_owned(),
            values,
        }))
        .await
    }

    /// Removes a link. When this answers, what the provider held for it has been released.
    ///
    /// # Errors
    /// `NotLinked` where there is no such link; `HostNotRunning`; and what the provider itself fails with, though the
    /// link is gone then too.
    pub async fn remove_link(&self, actor: &str, contract_id: &str, link: Option<String>) -> Result<()> {
        self.ask(Command::RemoveLink(LinkKey::new(actor, contract_id, link_name(link.as_deref())))).await
    }
}
