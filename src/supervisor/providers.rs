//! How providers are started and stopped.

use actix::Actor as _;

use super::Supervision;
use super::link::LinkState;
use super::registry::{Child, serves};
use super::snapshot::{ProviderKey, RunningProvider};
use crate::capability::NativeCapability;
use crate::capability::provider_actor::{Lifecycle, ProviderActor};
use crate::error::{Error, ErrorKind, Result};
use crate::shard::ShardNumber;

impl Supervision {
    /// Makes a provider complete, then registers it and establishes the links that wait for it.
    pub(super) async fn start_provider(&self, capability: NativeCapability, shard: ShardNumber) -> Result<()> {
        let child = Child::Provider(capability.identity().key.clone());
        self.change(|registry| registry.begin_start(&child))?;
        let started = self.make_provider(capability, shard).await;
        self.change(|registry| registry.end_transition(&child));
        started?;
        self.establish_links_of(&child).await;
        Ok(())
    }

    async fn make_provider(&self, capability: NativeCapability, shard: ShardNumber) -> Result<()> {
        let identity = capability.identity().clone();
        let (dispatch, shards) = (self.dispatch.clone(), self.shards.clone());
        let make = async move || Ok(ProviderActor::make(capability, dispatch, shards).await?.start());
        let address = self.shards.run(shard, make).await?;
        let running = RunningProvider { identity, address: address.clone() };
        let added = self.change(|registry| registry.add_provider(running));
        if added.is_err() {
            address.do_send(Lifecycle::Stop);
        }
        added
    }

    pub(super) async fn stop_provider(&self, key: &ProviderKey, contract_id: &str) -> Result<()> {
        let running = self.registry.borrow().snapshot().providers.get(key).cloned();
        let running = running.ok_or_else(|| Error::new(ErrorKind::ProviderNotFound, format!("{key} does not run")))?;
        serves(&running.identity, contract_id)?;
        self.end_provider(key).await
    }

    /// Takes the provider out of reach of new calls, has it release everything, and lets its links wait for another
    /// start.
    pub(super) async fn end_provider(&self, key: &ProviderKey) -> Result<()> {
        let child = Child::Provider(key.clone());
        self.change(|registry| registry.begin_stop(&child))?;
        let links = self.registry.borrow().links_of(&child);
        let provider = self.change(|registry| registry.take_provider(key));
        let stopped = match provider {
            Some(provider) => provider.address.send(Lifecycle::Stop).await.unwrap_or_else(|error| {
                Err(Error::new(ErrorKind::ProviderFailed, format!("{key} had ended before")).caused_by(error))
            }),
            None => Ok(()),
        };
        for link in links {
            let _lane = self.lanes.enter(&link).await;
            self.change(|registry| {
                if let Some(link) = registry.link(&link) {
                    registry.put_link(link.definition.clone(), LinkState::Pending);
                }
            });
        }
        self.change(|registry| registry.end_transition(&child));
        stopped
    }
}
