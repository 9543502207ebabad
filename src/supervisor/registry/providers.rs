//! Providers, and their instances: those that are being made, and the one that a provider has.

use std::collections::HashMap;

use actix::Addr;

use super::Registry;
use crate::actor::mailbox::InstanceNumber;
use crate::capability::provider_actor::ProviderActor;
use crate::error::Result;
use crate::supervisor::child::Child;
use crate::supervisor::snapshot::{ProviderKey, RunningProvider};

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
        address: Addr<ProviderActor>,
    ) {
        if let Some(provider) = self.snapshot.providers.get_mut(key) {
            (provider.instance, provider.address, provider.is_down) = (instance, address, false);
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
    pub(in crate::supervisor) fn add_provider(&mut self, provider: RunningProvider) -> Result<()> {
        self.expect_open()?;
        let (identity, policy) = (provider.identity.clone(), provider.blueprint.policy);
        *self.snapshot.contracts.entry(identity.contract_id.clone()).or_insert(0) += 1;
        self.snapshot.providers.insert(identity.key.clone(), provider);
        self.note_expiry(Child::Provider(identity.key.clone()));
        self.record(Child::Provider(identity.key.clone()), policy);
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
