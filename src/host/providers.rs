//! Starts and stops of capability providers.

use wasmcloud_core::entity::link_name;
use wasmcloud_core::error::{ErrorKind, Result};
use wasmcloud_core::identity::ProviderKey;
use wasmcloud_plugin::NativeCapability;
use wasmcloud_providers::Extras;

use super::Host;
use crate::supervisor::Command;
use crate::supervisor::restart::RestartPolicy;

impl Host {
    /// Starts a capability provider. Returns once it runs and the links that waited for it have been established or
    /// refused; [`Host::link_state`] tells which. A link that the provider has not accepted within 5 seconds stays
    /// [`Establishing`](crate::LinkState::Establishing) until it has, and delays no other link.
    ///
    /// # Errors
    /// - For a signed provider, `TokenExpired`, `TokenNotYetValid`, `Untrusted` or `Revoked`
    /// - `Unauthorized` if the authorizer refuses it
    /// - `ProviderAlreadyRunning`
    /// - `ProviderFailed` if it refuses to start
    /// - `HostNotRunning`
    pub async fn start_native_capability(&self, capability: NativeCapability) -> Result<()> {
        self.start_native_capability_with(capability, self.0.configuration.restart).await
    }

    /// Starts a capability provider with a restart policy of its own.
    ///
    /// # Errors
    /// Those of [`Host::start_native_capability`].
    pub async fn start_native_capability_with(
        &self,
        capability: NativeCapability,
        policy: RestartPolicy,
    ) -> Result<()> {
        let near = self.running()?.shards.current_or_next();
        let provider = capability.descriptor().clone();
        self.send(Command::StartProvider { capability, policy, near }).await?;
        self.0.references.add_image(provider.image.as_deref(), &provider.key.id);
        Ok(())
    }

    /// Stops a capability provider, by its public key or the reference to a registry that it was started from.
    ///
    /// The provider brings no new work, finishes the work in progress while it can still be called, and then releases
    /// everything. The host remembers its links for its next start. Work that exceeds the grace period
    /// ([`HostBuilder::with_stop_grace`](crate::HostBuilder::with_stop_grace)) is ended. The provider then has 5 more
    /// seconds to release what it holds.
    ///
    /// # Errors
    /// - `ProviderNotFound` or `HostNotRunning`
    /// - `InvalidArgument` if the provider serves another contract
    /// - `DeadlineExceeded` if it does not stop in time, or the provider's own error. It is stopped in both cases.
    pub async fn stop_provider(&self, provider_ref: &str, contract_id: &str, link: Option<String>) -> Result<()> {
        let key = self.running_provider(provider_ref, link_name(link.as_deref()));
        self.send(Command::StopProvider { key, contract_id: contract_id.to_owned() }).await
    }

    /// Starts the provider of extras under a link name, unless it runs.
    pub(super) async fn ensure_extras(&self, link_name: &str) -> Result<()> {
        let key = ProviderKey::new(Extras::PUBLIC_KEY, link_name);
        if self.0.dispatch.snapshot().providers.contains_key(&key) {
            return Ok(());
        }
        let extras = Extras::new(Some(link_name.to_owned())).capability()?;
        match self.start_native_capability(extras).await {
            // A concurrent link has started it.
            Err(error) if error.kind() == ErrorKind::ProviderAlreadyRunning => Ok(()),
            started => started,
        }
    }
}
