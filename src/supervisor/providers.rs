//! How providers are started, restarted and stopped.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor as _, Addr};

use super::Supervision;
use super::child::Child;
use super::recovery::{ProviderCrashed, Service};
use super::registry::serves;
use super::restart::Verdict;
use super::snapshot::{ProviderBlueprint, ProviderKey, RunningProvider};
use crate::actor::mailbox::InstanceNumber;
use crate::capability::provider_actor::{LAST_MOMENTS, Lifecycle, Making, ProviderActor};
use crate::deadline::within;
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventKind;

/// How long the calls that a provider is serving may take to end when it is restarted.
const RESTART_GRACE: Duration = Duration::from_secs(1);

/// How much longer the answer to a stop may take than the stop.
const SLACK: Duration = Duration::from_secs(1);

/// An instance of a provider that is being made, or was and is not registered so far. Its crash is kept until then.
struct Made<'a> {
    supervision: &'a Supervision,
    provider: ProviderKey,
    instance: InstanceNumber,
}

impl Made<'_> {
    /// How the instance crashed before it was registered, if it did.
    fn early_crash(&self) -> Option<ProviderCrashed> {
        let cause = self.supervision.registry.borrow_mut().stop_expecting(self.instance)?;
        let (provider, instance) = (self.provider.clone(), self.instance);
        Some(ProviderCrashed { provider, instance, cause, service: Service::default() })
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        self.supervision.registry.borrow_mut().stop_expecting(self.instance);
    }
}

impl Supervision {
    /// Makes a provider complete, then registers it and establishes the links that wait for it. One that has failed is
    /// stopped before.
    pub(super) async fn start_provider(self: &Rc<Self>, mut blueprint: ProviderBlueprint) -> Result<()> {
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
        let (made, address) = self.make_provider(&blueprint).await?;
        let running = RunningProvider::new(identity, made.instance, address.clone(), blueprint);
        let trusted = self.expect_provider_trusted(&running.identity);
        if let Err(refusal) = trusted.and_then(|()| self.change(|registry| registry.add_provider(running))) {
            end(&address, Instant::now() + self.grace).await?;
            return Err(refusal);
        }
        self.tell(&child, EventKind::Started);
        drop(start);
        made.early_crash().into_iter().for_each(|crash| self.judge_provider(crash));
        self.establish_links_of(&child).await;
        Ok(())
    }

    async fn make_provider(&self, blueprint: &ProviderBlueprint) -> Result<(Made<'_>, Addr<ProviderActor>)> {
        let instance = self.next_instance();
        let provider = blueprint.capability.identity().key.clone();
        self.registry.borrow_mut().expect_instance(instance);
        let made = Made { supervision: self, provider, instance };
        let making = Making {
            capability: blueprint.capability.clone(),
            instance,
            dispatch: self.dispatch.clone(),
            shards: self.shards.clone(),
            supervisor: self.address()?,
            given_up: self.given_up.clone(),
        };
        let make = async move || Ok(ProviderActor::make(making).await?.start());
        let address = self.shards.shard(blueprint.near).run(make).await?;
        Ok((made, address))
    }

    /// Makes a provider anew of which this instance has crashed, and tells it of its links again. It is back once they are
    /// established, or take their time.
    pub(super) async fn restart_provider(
        self: &Rc<Self>,
        (key, instance): (&ProviderKey, InstanceNumber),
        mut attempt: u32,
        mut delay: Duration,
    ) {
        let child = Child::Provider(key.clone());
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
                Ok(made) => {
                    made.early_crash().into_iter().for_each(|crash| self.judge_provider(crash));
                    self.establish_links_of(&child).await;
                    // It may have crashed again meanwhile.
                    if self.change(|registry| registry.recover(&child, instance)) {
                        self.tell(&child, EventKind::Restarted { attempt, delay });
                    }
                    return;
                }
                Err(error) => match self.judge_in_a_row(&child, instance, error.to_string(), Service::default()) {
                    Verdict::Restart { attempt: next, delay: pause } => (attempt, delay) = (next, pause),
                    Verdict::GiveUp(_) => return,
                },
            }
        }
    }

    async fn remake_provider(&self, child: &Child, key: &ProviderKey) -> Result<Made<'_>> {
        let running = self.registry.borrow().snapshot().providers.get(key).cloned();
        let running = running.ok_or_else(|| Error::new(ErrorKind::ProviderNotFound, format!("{key} does not run")))?;
        self.release_crashed(child, &running).await;
        let (made, address) = self.make_provider(&running.blueprint).await?;
        self.change(|registry| registry.replace_provider(key, made.instance, address));
        Ok(made)
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
        if let Err(error) = end(&running.address, Instant::now() + RESTART_GRACE).await {
            log::warn!("{} could not be stopped after its crash: {error}", self.subject(child));
        }
        self.suspend_links_of(child).await;
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

    /// Stops a provider in the order in which nothing is lost: it brings no new work and finishes what is under way while it
    /// can still be called; then it takes no more calls, and releases everything. What takes longer than the period of grace
    /// is ended.
    pub(super) async fn end_provider_by(&self, key: &ProviderKey, deadline: Instant) -> Result<()> {
        let child = Child::Provider(key.clone());
        let _stop = self.begin_stop_when_settled(&child).await?;
        let running = self.registry.borrow().snapshot().providers.get(key).cloned();
        let Some(provider) = running else { return Ok(()) };
        if !provider.is_down && within(deadline, self.drain_links_of(&child)).await.is_err() {
            log::warn!("{} still had work for actors when its time was up", self.subject(&child));
        }
        self.change(|registry| registry.close_provider(key));
        let ended = end(&provider.address, deadline).await;
        self.suspend_links_of(&child).await;
        self.change(|registry| registry.take_provider(key));
        self.dispatch.events().tell(provider.identity.subject(), EventKind::Stopped);
        ended
    }
}

/// Ends an instance of a provider, which has until a deadline to finish what it is at.
async fn end(address: &Addr<ProviderActor>, deadline: Instant) -> Result<()> {
    let now = Instant::now();
    let stop = address.send(Lifecycle::Stop { grace: deadline.saturating_duration_since(now) });
    match within(deadline.max(now) + LAST_MOMENTS + SLACK, stop).await {
        Ok(answer) => answer.unwrap_or_else(|error| {
            let message = "the provider had ended before it was stopped";
            Err(Error::new(ErrorKind::ProviderFailed, message).caused_by(error))
        }),
        Err(_) => {
            let message = "the provider did not stop when its time was up, and is left behind";
            Err(Error::new(ErrorKind::DeadlineExceeded, message))
        }
    }
}
