//! Starts, restarts and stops of providers.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Actor as _;
use wasmcloud_core::deadline::within;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::identity::{InstanceNumber, ProviderKey};

use super::Supervision;
use super::blueprint::ProviderBlueprint;
use super::registry::expect_serves;
use crate::child::Child;
use crate::dispatch::provider_mailbox::{Lifecycle, ProviderMailbox};
use crate::dispatch::snapshot::RunningProvider;
use crate::event::EventKind;
use crate::identity::ProviderIdentity;
use crate::instruments::EntityInstruments;
use crate::lifecycle::{ProviderCrashed, ServiceRecord, Verdict};
use crate::provider::{CrashReports, ProviderActor, ProviderStart, RELEASE_TIMEOUT};

/// The time that a provider's calls have to end when it is restarted.
const RESTART_GRACE: Duration = Duration::from_secs(1);

/// The time that the answer to a stop may take longer than the stop.
const SLACK: Duration = Duration::from_secs(1);

/// An instance of a provider that is starting, or has started and is not registered yet. Its crash is kept until then.
struct StartingInstance<'a> {
    supervision: &'a Supervision,
    provider: ProviderKey,
    instance: InstanceNumber,
}

impl StartingInstance<'_> {
    /// Returns the crash of the instance before its registration, if it crashed.
    fn early_crash(&self) -> Option<ProviderCrashed> {
        let cause = self.supervision.registry.borrow_mut().end_registration(self.instance)?;
        let provider = self.provider.clone();
        let instance = self.instance;
        Some(ProviderCrashed { provider, instance, cause, service: ServiceRecord::default() })
    }
}

impl Drop for StartingInstance<'_> {
    fn drop(&mut self) {
        self.supervision.registry.borrow_mut().end_registration(self.instance);
    }
}

impl Supervision {
    /// Starts a provider, registers it, and establishes the links that wait for it. A provider that has failed is stopped
    /// first.
    pub(super) async fn start_provider(self: &Rc<Self>, blueprint: ProviderBlueprint) -> Result<()> {
        let capability = &blueprint.capability;
        let identity = ProviderIdentity::new(capability.descriptor()).with_isolation(capability.isolation());
        let identity = Arc::new(identity);
        self.expect_provider_loadable(&identity).await?;
        let child = Child::Provider(identity.key.clone());
        if self.registry.borrow().has_failed(&child) {
            self.end_provider(&identity.key).await?;
        }
        let start = self.begin_start(child.clone())?;
        let blueprint = Arc::new(blueprint);
        let instruments = self.dispatch.instruments().provider(&identity.key);
        let (starting, mailbox) = self.start_instance(&blueprint, &identity, &instruments).await?;
        let running = RunningProvider::new(identity, starting.instance, mailbox.clone(), instruments);
        let trusted = self.expect_provider_trusted(&running.identity);
        if let Err(refusal) = trusted.and_then(|()| self.change(|registry| registry.add_provider(running, blueprint))) {
            stop_instance(&mailbox, Instant::now() + self.grace).await?;
            return Err(refusal);
        }
        self.emit(&child, EventKind::Started);
        drop(start);
        starting.early_crash().into_iter().for_each(|crash| self.handle_provider_crash(crash));
        self.establish_links_of(&child).await;
        Ok(())
    }

    async fn start_instance(
        &self,
        blueprint: &ProviderBlueprint,
        identity: &Arc<ProviderIdentity>,
        instruments: &EntityInstruments,
    ) -> Result<(StartingInstance<'_>, ProviderMailbox)> {
        let instance = self.next_instance();
        let provider = identity.key.clone();
        self.registry.borrow_mut().begin_registration(instance);
        let starting = StartingInstance { supervision: self, provider: provider.clone(), instance };
        let start = ProviderStart {
            capability: blueprint.capability.clone(),
            identity: identity.clone(),
            instruments: instruments.clone(),
            reports: CrashReports::new(self.address()?.recipient(), provider, instance),
            dispatch: self.dispatch.clone(),
            shards: self.shards.clone(),
            budgets: self.budgets.clone(),
            abandoned: self.abandoned.clone(),
        };
        let create = async move || Ok(ProviderActor::create(start).await?.start());
        let address = self.shards.shard(blueprint.near).run(create).await?;
        Ok((starting, ProviderMailbox::new(address)))
    }

    /// Restarts a provider whose instance has crashed, and establishes its links again. The provider counts as running once
    /// its links are established, or some of them take long.
    pub(super) async fn restart_provider(
        self: &Rc<Self>,
        key: &ProviderKey,
        instance: InstanceNumber,
        mut attempt: u32,
        mut delay: Duration,
    ) {
        let child = Child::Provider(key.clone());
        loop {
            tokio::time::sleep(delay).await;
            // A provider that is being stopped is not restarted.
            let Ok(change) = self.begin_replacement(child.clone()) else { return };
            // The provider may have been stopped and started meanwhile.
            if !self.registry.borrow().is_current(&child, instance) {
                return;
            }
            let replaced = self.replace_instance(&child, key).await;
            drop(change);
            match replaced {
                Ok(starting) => {
                    starting.early_crash().into_iter().for_each(|crash| self.handle_provider_crash(crash));
                    self.establish_links_of(&child).await;
                    // The provider may have crashed again meanwhile.
                    if self.change(|registry| registry.recover(&child, instance)) {
                        self.count_restart(&child);
                        self.emit(&child, EventKind::Restarted { attempt, delay });
                    }
                    return;
                }
                Err(error) => {
                    match self.count_and_handle_crash(&child, instance, error.to_string(), ServiceRecord::default()) {
                        Verdict::Restart { attempt: next, delay: next_delay } => {
                            attempt = next;
                            delay = next_delay;
                        }
                        Verdict::Fail(_) => return,
                    }
                }
            }
        }
    }

    async fn replace_instance(&self, child: &Child, key: &ProviderKey) -> Result<StartingInstance<'_>> {
        let not_running = || Error::new(ErrorKind::ProviderNotFound, format!("{key} does not run"));
        let running = self.registry.borrow().snapshot().providers.get(key).cloned().ok_or_else(not_running)?;
        let blueprint = self.registry.borrow().provider_blueprint(key).ok_or_else(not_running)?;
        self.release_crashed(child, &running).await;
        let (starting, mailbox) = self.start_instance(&blueprint, &running.identity, &running.instruments).await?;
        self.change(|registry| registry.replace_provider(key, starting.instance, mailbox));
        Ok(starting)
    }

    /// Ends the instance of a provider that has failed. Its links wait for its next start.
    pub(super) async fn release_failed_provider(&self, key: &ProviderKey, instance: InstanceNumber) {
        let child = Child::Provider(key.clone());
        // A stop ends the instance itself.
        let Ok(_change) = self.begin_replacement(child.clone()) else { return };
        let running = self.registry.borrow().snapshot().providers.get(key).cloned();
        if let Some(running) = running.filter(|running| running.instance == instance) {
            self.release_crashed(&child, &running).await;
        }
    }

    /// Ends the remains of a provider that has crashed.
    async fn release_crashed(&self, child: &Child, running: &RunningProvider) {
        if let Err(error) = stop_instance(&running.mailbox, Instant::now() + RESTART_GRACE).await {
            log::warn!(actor = child.actor(), provider = child.provider(); "{} could not be stopped after its crash: {error}", self.subject(child));
        }
        self.suspend_links_of(child).await;
    }

    pub(super) async fn stop_provider(&self, key: &ProviderKey, contract_id: &str) -> Result<()> {
        let running = self.registry.borrow().snapshot().providers.get(key).cloned();
        let running = running.ok_or_else(|| Error::new(ErrorKind::ProviderNotFound, format!("{key} does not run")))?;
        expect_serves(&running.identity, contract_id)?;
        self.end_provider(key).await
    }

    /// Stops a provider. Its links wait for its next start.
    pub(super) async fn end_provider(&self, key: &ProviderKey) -> Result<()> {
        self.end_provider_by(key, Instant::now() + self.grace).await
    }

    /// Stops a provider in an order that loses no calls. It delivers no new calls and finishes those in progress while it
    /// can still be called. Then it accepts no more calls, and releases everything. Work that exceeds the deadline is
    /// ended.
    pub(super) async fn end_provider_by(&self, key: &ProviderKey, deadline: Instant) -> Result<()> {
        let child = Child::Provider(key.clone());
        let _stop = self.begin_stop_when_settled(&child).await?;
        let running = self.registry.borrow().snapshot().providers.get(key).cloned();
        let Some(provider) = running else { return Ok(()) };
        if !provider.is_down && within(deadline, self.drain_links_of(&child)).await.is_err() {
            log::warn!(actor = child.actor(), provider = child.provider(); "{} still had calls for actors at the end of the grace period", self.subject(&child));
        }
        self.change(|registry| registry.close_provider(key));
        let ended = stop_instance(&provider.mailbox, deadline).await;
        self.suspend_links_of(&child).await;
        self.change(|registry| registry.remove_provider(key));
        self.dispatch.events().emit(provider.identity.subject(), EventKind::Stopped);
        ended
    }
}

/// Stops an instance of a provider, which may finish its work until the deadline.
async fn stop_instance(mailbox: &ProviderMailbox, deadline: Instant) -> Result<()> {
    let now = Instant::now();
    let stop = mailbox.change(Lifecycle::Stop { grace: deadline.saturating_duration_since(now) });
    match within(deadline.max(now) + RELEASE_TIMEOUT + SLACK, stop).await {
        Ok(answer) => answer.unwrap_or_else(|error| {
            let message = "the provider had ended before it was stopped";
            Err(Error::new(ErrorKind::ProviderFailed, message).caused_by(error))
        }),
        Err(_) => {
            let message = "the provider did not stop in time: its thread is left behind";
            Err(Error::new(ErrorKind::DeadlineExceeded, message))
        }
    }
}
