//! Providers and their instances: those that are being started, and the present one of each provider.

use std::collections::HashMap;
use std::sync::Arc;

use wasmcloud_core::error::Result;
use wasmcloud_core::identity::InstanceNumber;
use wasmcloud_core::identity::ProviderKey;

use super::{Blueprint, Registry};
use crate::child::Child;
use crate::dispatch::provider_mailbox::ProviderMailbox;
use crate::dispatch::snapshot::RunningProvider;
use crate::supervisor::blueprint::ProviderBlueprint;

/// The instances that are being started, each with the cause of its crash if it crashed before its registration.
pub(super) type StartingInstances = HashMap<InstanceNumber, Option<String>>;

impl Registry {
    /// Records that an instance is being started. Until it is registered, its crash is kept.
    pub(in crate::supervisor) fn begin_registration(&mut self, instance: InstanceNumber) {
        self.starting.insert(instance, None);
    }

    /// Keeps the crash of an instance that is being started. Returns whether there is such an instance.
    pub(in crate::supervisor) fn record_early_crash(&mut self, instance: InstanceNumber, cause: &str) -> bool {
        let Some(kept) = self.starting.get_mut(&instance) else { return false };
        kept.get_or_insert_with(|| cause.to_owned());
        true
    }

    /// Records that an instance is registered, or was never started. Returns the cause of its crash in between, if any.
    pub(in crate::supervisor) fn end_registration(&mut self, instance: InstanceNumber) -> Option<String> {
        self.starting.remove(&instance).flatten()
    }

    /// Replaces the instance of a provider. It can be called over each link that is established with it.
    pub(in crate::supervisor) fn replace_provider(
        &mut self,
        key: &ProviderKey,
        instance: InstanceNumber,
        mailbox: ProviderMailbox,
    ) {
        if let Some(provider) = self.snapshot.providers.get_mut(key) {
            provider.instance = instance;
            provider.mailbox = mailbox;
            provider.is_down = false;
            self.changed.push(provider.changed.clone());
        }
    }

    /// Closes a provider that is being stopped. It then accepts only the calls that belong to its own calls.
    pub(in crate::supervisor) fn close_provider(&mut self, key: &ProviderKey) {
        if let Some(provider) = self.snapshot.providers.get_mut(key) {
            provider.is_closing = true;
            self.changed.push(provider.changed.clone());
        }
    }

    /// Registers a provider that has been created.
    pub(in crate::supervisor) fn add_provider(
        &mut self,
        provider: RunningProvider,
        blueprint: Arc<ProviderBlueprint>,
    ) -> Result<()> {
        self.expect_open()?;
        let identity = provider.identity.clone();
        let policy = blueprint.policy;
        *self.snapshot.contracts.entry(identity.contract_id.clone()).or_insert(0) += 1;
        self.snapshot.providers.insert(identity.key.clone(), provider);
        self.record_expiry(Child::Provider(identity.key.clone()));
        self.record(Child::Provider(identity.key.clone()), policy, Blueprint::Provider(blueprint));
        Ok(())
    }

    /// Removes a provider. Its links wait for its next start.
    pub(in crate::supervisor) fn remove_provider(&mut self, key: &ProviderKey) {
        self.remove_expiry(Child::Provider(key.clone()));
        let Some(provider) = self.snapshot.providers.remove(key) else { return };
        self.changed.push(provider.changed);
        let contract = &provider.identity.contract_id;
        match self.snapshot.contracts.get_mut(contract) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                self.snapshot.contracts.remove(contract);
            }
        }
        self.forget_child(&Child::Provider(key.clone()));
    }
}
