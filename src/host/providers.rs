//! Starts and stops of capability providers.

use wasmcloud_core::entity::link_name;
use wasmcloud_core::error::{ErrorKind, Result};
use wasmcloud_core::identity::ProviderKey;
use wasmcloud_plugin::NativeCapability;
use wasmcloud_providers::Extras;

use super::Host;
#[cfg(doc)]
use super::HostBuilder;
use crate::supervisor::Command;
use crate::supervisor::restart::RestartPolicy;

impl Host {
    /// Starts a capability provider. When this answers `Ok`, it runs, and the links that waited for it have been
    /// established or refused (see [`Host::link_state`]). A link that the provider has not taken within 5 seconds is
    /// [`Establishing`](crate::LinkState::Establishing) until it has; it holds up no other link.
    ///
    /// # Errors
    /// For a signed provider, `TokenExpired`, `TokenNotYetValid`, `Untrusted` or `Revoked`; `Unauthorized`;
    /// `ProviderAlreadyRunning`; `ProviderFailed` where it refuses to start; `HostNotRunning`.
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
        self.ask(Command::StartProvider { capability, policy, near }).await
    }

    /// Stops a capability provider. It brings no new work and finishes what is under way while it can still be called, then
    /// releases everything. Its links remain known, for its next start. What takes longer than the period of grace
    /// ([`HostBuilder::with_stop_grace`]) is ended, and the provider has 5 seconds more to release what it holds.
    ///
    /// # Errors
    /// `ProviderNotFound`; `InvalidArgument` where it serves another contract; `HostNotRunning`; `DeadlineExceeded` where it
    /// does not stop; and what the provider itself fails with. It is gone then too.
    pub async fn stop_provider(&self, provider_ref: &str, contract_id: &str, link: Option<String>) -> Result<()> {
        let key = ProviderKey::new(provider_ref, link_name(link.as_deref()));
        self.ask(Command::StopProvider { key, contract_id: contract_id.to_owned() }).await
    }

    /// Starts the provider of extras under this link name, unless it runs.
    pub(super) async fn provide_extras(&self, link_name: &str) -> Result<()> {
        let key = ProviderKey::new(Extras::PUBLIC_KEY, link_name);
        if self.0.dispatch.snapshot().providers.contains_key(&key) {
            return Ok(());
        }
        let extras = Extras::new(Some(link_name.to_owned())).capability()?;
        match self.start_native_capability(extras).await {
            // Another link has had it started in the meantime.
            Err(error) if error.kind() == ErrorKind::ProviderAlreadyRunning => Ok(()),
            started => started,
        }
    }
}
