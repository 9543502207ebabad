//! Providers, and their instances: those that are being made, and the one that a provider has.

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

/// The instances that are being made, and how those crashed that did so before they were registered.
pub(super) type Expected = HashMap<InstanceNumber, Option<String>>;

impl Registry {
    /// Takes note that an instance is being made: from now on its crash is kept until it is registered.
    pub(in crate::supervisor) fn expect_instance(&mut self, instance: InstanceNumber) {
        self.expected.insert(instance, None);
    }

    /// Keeps the crash of an instance that is being made. Returns whether there is such an instance.
    pub(in crate::supervisor) fn keep_crash(&mut self, instance: InstanceNumber, cause: &str) -> bool {
        let Some(kept) = self.expected.get_mut(&instance) else { return false };
        kept.get_or_insert_with(|| cause.to_owned());
        true
    }

    /// Expects an instance no more: it is registered, or was never made. Returns how it crashed in the meantime, if it did.
    pub(in crate::supervisor) fn stop_expecting(&mut self, instance: InstanceNumber) -> Option<String> {
        self.expected.remove(&instance).flatten()
    }

    /// Puts another instance in the place of a provider's. It can be called over each link that is established with it.
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

    /// Has a provider that is being stopped take no more calls than those that belong to its own.
    pub(in crate::supervisor) fn close_provider(&mut self, key: &ProviderKey) {
        if let Some(provider) = self.snapshot.providers.get_mut(key) {
            provider.is_closing = true;
            self.changed.push(provider.changed.clone());
        }
    }

    /// Takes in a provider that has been made.
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
        self.note_expiry(Child::Provider(identity.key.clone()));
        self.record(Child::Provider(identity.key.clone()), policy, Blueprint::Provider(blueprint));
        Ok(())
    }

    /// Lets go of a provider. Its links wait for its next start.
    pub(in crate::supervisor) fn take_provider(&mut self, key: &ProviderKey) {
        self.forget_expiry(Child::Provider(key.clone()));
        let Some(provider) = self.snapshot.providers.remove(key) else { return };
        self.changed.push(provider.changed);
        let contract = &provider.identity.contract_id;
        match self.snapshot.contracts.get_mut(contract) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                self.snapshot.contracts.remove(contract);
            }
        }
        self.let_go(&Child::Provider(key.clone()));
    }
}
