//! How providers are started and stopped.

use actix::{Actor as _, Addr};

use super::Supervision;
use super::registry::{Child, serves};
use super::snapshot::{ProviderKey, RunningProvider};
use crate::capability::NativeCapability;
use crate::capability::provider_actor::{Lifecycle, ProviderActor};
use crate::error::{Error, ErrorKind, Result};
use crate::shard::ShardNumber;

impl Supervision {
    /// Makes a provider complete, then registers it and establishes the links that wait for it.
    pub(super) async fn start_provider(&self, capability: NativeCapability, near: ShardNumber) -> Result<()> {
        let identity = capability.identity().clone();
        let child = Child::Provider(identity.key.clone());
        let start = self.begin_start(child.clone())?;
        let (dispatch, shards) = (self.dispatch.clone(), self.shards.clone());
        let make = async move || Ok(ProviderActor::make(capability, dispatch, shards).await?.start());
        let address = self.shards.shard(near).run(make).await?;
        let running = RunningProvider { identity, address: address.clone() };
        if let Err(refusal) = self.change(|registry| registry.add_provider(running)) {
            end(&address).await?;
            return Err(refusal);
        }
        drop(start);
        self.establish_links_of(&child).await;
        Ok(())
    }

    pub(super) async fn stop_provider(&self, key: &ProviderKey, contract_id: &str) -> Result<()> {
        let running = self.registry.borrow().snapshot().providers.get(key).cloned();
        let running = running.ok_or_else(|| Error::new(ErrorKind::ProviderNotFound, format!("{key} does not run")))?;
        serves(&running.identity, contract_id)?;
        self.end_provider(key).await
    }

    /// Has a provider finish what it is at and release everything. Its links wait for its next start.
    pub(super) async fn end_provider(&self, key: &ProviderKey) -> Result<()> {
        let child = Child::Provider(key.clone());
        let running = self.registry.borrow().snapshot().providers.get(key).cloned();
        let _stop = self.begin_stop(child.clone())?;
        let Some(provider) = running else { return Ok(()) };
        let ended = end(&provider.address).await;
        // Changes of its links that are under way find it gone; only then are they set to wait.
        let links = self.registry.borrow().links_of(&child);
        for link in links {
            drop(self.lanes.enter(&link).await);
        }
        self.change(|registry| registry.take_provider(key));
        ended
    }
}

async fn end(address: &Addr<ProviderActor>) -> Result<()> {
    address.send(Lifecycle::Stop).await.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::ProviderFailed, "the provider had ended before it was stopped").caused_by(error))
    })
}
