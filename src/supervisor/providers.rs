//! How providers are started, restarted and stopped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor as _, Addr};

use super::Supervision;
use super::child::Child;
use super::registry::serves;
use super::restart::Verdict;
use super::snapshot::{Condition, ProviderBlueprint, ProviderKey, RunningProvider};
use crate::actor::mailbox::InstanceNumber;
use crate::capability::provider_actor::{Lifecycle, ProviderActor};
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventKind;

/// How long the calls that a provider is serving may take to end when it is restarted.
const RESTART_GRACE: Duration = Duration::from_secs(1);

impl Supervision {
    /// Makes a provider complete, then registers it and establishes the links that wait for it. One that has failed is
    /// stopped before.
    pub(super) async fn start_provider(&self, mut blueprint: ProviderBlueprint) -> Result<()> {
        // How it stands is this start's own: the capability may run in another host too.
        blueprint.capability = blueprint.capability.renewed();
        let identity = blueprint.capability.identity().clone();
        self.expect_provider_loadable(&identity).await?;
        let child = Child::Provider(identity.key.clone());
        if self.registry.borrow().has_failed(&child) {
            self.end_provider(&identity.key).await?;
        }
        let start = self.begin_start(child.clone())?;
        let blueprint = Arc::new(blueprint);
        let (instance, address) = self.make_provider(&blueprint).await?;
        let condition = Condition::Running;
        let running = RunningProvider { identity, instance, address: address.clone(), condition, blueprint };
        let trusted = self.expect_provider_trusted(&running.identity);
        if let Err(refusal) = trusted.and_then(|()| self.change(|registry| registry.add_provider(running))) {
            end(&address, self.grace).await?;
            return Err(refusal);
        }
        self.tell(&child, EventKind::Started);
        drop(start);
        self.establish_links_of(&child).await;
        Ok(())
    }

    async fn make_provider(&self, blueprint: &ProviderBlueprint) -> Result<(InstanceNumber, Addr<ProviderActor>)> {
        let instance = self.next_instance();
        let (made, dispatch) = ((blueprint.capability.clone(), instance), self.dispatch.clone());
        let (shards, supervisor) = (self.shards.clone(), self.address()?);
        let make = async move || Ok(ProviderActor::make(made, dispatch, shards, supervisor).await?.start());
        Ok((instance, self.shards.shard(blueprint.near).run(make).await?))
    }

    /// Makes a provider anew of which this instance has crashed, and tells it of its links again.
    pub(super) async fn restart_provider(
        &self,
        (key, instance): (&ProviderKey, InstanceNumber),
        mut attempt: u32,
        mut delay: Duration,
    ) {
        let child = Child::Provider(key.clone());
        let mut in_a_row = 1;
        loop {
            tokio::time::sleep(delay).await;
            // Whoever is stopping it has no use for another one.
            let Ok(change) = self.begin_replacement(child.clone()) else { return };
            // It may have been stopped and started meanwhile.
            if !self.registry.borrow().is_current(&child, instance) {
                return;
            }
            let remade = self.remake_provider(&child, key).await;
            drop(change);
            match remade {
                Ok(()) => {
                    self.establish_links_of(&child).await;
                    // It may have crashed again over its links.
                    if self.change(|registry| registry.recover(&child, instance)) {
                        self.tell(&child, EventKind::Restarted { attempt, delay });
                    }
                    return;
                }
                Err(error) => {
                    in_a_row += 1;
                    match self.judge(&child, instance, error.to_string(), in_a_row) {
                        Verdict::Restart { attempt: next, delay: pause } => (attempt, delay) = (next, pause),
                        Verdict::GiveUp(_) => return,
                    }
                }
            }
        }
    }

    async fn remake_provider(&self, child: &Child, key: &ProviderKey) -> Result<()> {
        let running = self.registry.borrow().snapshot().providers.get(key).cloned();
        let running = running.ok_or_else(|| Error::new(ErrorKind::ProviderNotFound, format!("{key} does not run")))?;
        self.release_crashed(child, &running).await;
        let (instance, address) = self.make_provider(&running.blueprint).await?;
        self.change(|registry| registry.replace_provider(key, instance, address));
        Ok(())
    }

    /// Has a provider that is given up release everything. Its links wait until it is started again.
    pub(super) async fn release_failed_provider(&self, key: &ProviderKey, instance: InstanceNumber) {
        let child = Child::Provider(key.clone());
        // Whoever is stopping it sees to it.
        let Ok(_change) = self.begin_replacement(child.clone()) else { return };
        let running = self.registry.borrow().snapshot().providers.get(key).cloned();
        if let Some(running) = running.filter(|running| running.instance == instance) {
            self.release_crashed(&child, &running).await;
        }
    }

    /// Ends what is left of a provider that has crashed.
    async fn release_crashed(&self, child: &Child, running: &RunningProvider) {
        if let Err(error) = end(&running.address, RESTART_GRACE).await {
            log::warn!("{child} could not be stopped after its crash: {error}");
        }
        // Changes of its links that are under way find it ended; only then are they set to wait for the next one.
        self.settle_links_of(child).await;
        self.change(|registry| registry.suspend_links_of(child));
    }

    pub(super) async fn stop_provider(&self, key: &ProviderKey, contract_id: &str) -> Result<()> {
        let running = self.registry.borrow().snapshot().providers.get(key).cloned();
        let running = running.ok_or_else(|| Error::new(ErrorKind::ProviderNotFound, format!("{key} does not run")))?;
        serves(&running.identity, contract_id)?;
        self.end_provider(key).await
    }

    /// Has a provider finish what it is at and release everything. Its links wait for its next start.
    pub(super) async fn end_provider(&self, key: &ProviderKey) -> Result<()> {
        self.end_provider_by(key, Instant::now() + self.grace).await
    }

    /// The same, with a period of grace that ends at a given time.
    pub(super) async fn end_provider_by(&self, key: &ProviderKey, deadline: Instant) -> Result<()> {
        let child = Child::Provider(key.clone());
        let _stop = self.begin_stop_when_settled(&child).await?;
        let running = self.registry.borrow().snapshot().providers.get(key).cloned();
        let Some(provider) = running else { return Ok(()) };
        let ended = end(&provider.address, deadline.saturating_duration_since(Instant::now())).await;
        // Changes of its links that are under way find it gone; only then are they set to wait.
        self.settle_links_of(&child).await;
        let entity = provider.identity.entity();
        self.change(|registry| registry.take_provider(key));
        self.dispatch.events().tell(entity, EventKind::Stopped);
        ended
    }
}

async fn end(address: &Addr<ProviderActor>, grace: Duration) -> Result<()> {
    address.send(Lifecycle::Stop { grace }).await.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::ProviderFailed, "the provider had ended before it was stopped").caused_by(error))
    })
}
