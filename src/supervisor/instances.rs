//! Creates and ends the instances of actors.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Actor as _;
use futures_util::future::join_all;
use wasmcloud_core::deadline::within;
use wasmcloud_core::error::Result;
use wasmcloud_core::identity::InstanceNumber;
use wasmcloud_core::limits::Limits;
use wasmcloud_core::shutdown::{ShutdownOnDrop, ShutdownSignal};

use super::Supervision;
use super::blueprint::ActorBlueprint;
use super::placement::{ActorOptions, ThreadChoice};
use crate::actor::{Clock, GuestActor, InstanceContext, SupervisorHandle};
use crate::dispatch::call_limiter::InstanceLimiter;
use crate::dispatch::instances::Instances;
use crate::dispatch::latency::LatencyEstimate;
use crate::dispatch::mailbox::{InstanceThread, Mailbox, MailboxConfig};
use crate::identity::ActorIdentity;
use crate::instruments::EntityInstruments;
use crate::shard::OwnThread;

/// The time that calls have to end after they were ended at the end of the grace period.
pub(super) const END_TIMEOUT: Duration = Duration::from_secs(5);

impl Supervision {
    /// Creates all instances of an actor, or none.
    pub(super) async fn create_instances(
        &self,
        identity: &Arc<ActorIdentity>,
        blueprint: &ActorBlueprint,
        instruments: &EntityInstruments,
    ) -> Result<Instances> {
        Ok(Instances::new(self.create_instances_from(0, identity, blueprint, instruments).await?))
    }

    /// Checks that an actor may have this many instances, and that the host has room for them.
    ///
    /// # Errors
    /// `Busy`.
    pub(super) fn expect_room(&self, options: &ActorOptions, limits: &Limits, running: usize) -> Result<()> {
        options.expect_instance_limit()?;
        let more = options.instances.get().saturating_sub(running);
        self.dispatch.mappings().check_room_for_guests(more, limits)
    }

    /// Creates the instances of an actor from number `first` on, or none.
    pub(super) async fn create_instances_from(
        &self,
        first: usize,
        identity: &Arc<ActorIdentity>,
        blueprint: &ActorBlueprint,
        instruments: &EntityInstruments,
    ) -> Result<Vec<Mailbox>> {
        let ActorBlueprint { options, near, .. } = blueprint;
        let threads = options.placement.threads(first..options.instances.get(), *near, &self.shards);
        let create = threads.map(|thread| self.create_instance(identity, blueprint, instruments, thread));
        let mut created = Vec::new();
        let mut failure = None;
        for instance in join_all(create).await {
            match instance {
                Ok(mailbox) => created.push(mailbox),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            None => Ok(created),
            Some(error) => {
                end_instances(&Instances::new(created)).await;
                Err(error)
            }
        }
    }

    /// Returns the number of the next instance.
    pub(super) fn next_instance(&self) -> InstanceNumber {
        InstanceNumber(self.instances.replace(self.instances.get() + 1))
    }

    async fn create_instance(
        &self,
        identity: &Arc<ActorIdentity>,
        blueprint: &ActorBlueprint,
        instruments: &EntityInstruments,
        thread: ThreadChoice,
    ) -> Result<Mailbox> {
        let thread = match thread {
            ThreadChoice::Shard(number) => InstanceThread::Shard(self.shards.shard(number).clone()),
            ThreadChoice::Own => InstanceThread::Own(OwnThread::start().await?),
        };
        let number = self.next_instance();
        let shutdown = Arc::<ShutdownSignal>::default();
        let latency = LatencyEstimate::new();
        let limits = blueprint.limits;
        let limiter = InstanceLimiter::new(limits.mailbox_length);
        let before = limiter.clone();
        let instance = InstanceContext {
            identity: identity.clone(),
            number,
            module: blueprint.module.clone(),
            dispatch: self.dispatch.clone(),
            limits,
            shutdown: shutdown.clone(),
            latency: latency.clone(),
            instruments: instruments.guest_instance(move || before.in_use()),
            clock: Clock::new(),
            crashes_in_a_row: Cell::new(0),
            probation: Cell::new(0),
            slow_path: thread.shard().slow_path(),
            supervisor: SupervisorHandle::new(&self.address()?),
        };
        // An abandoned start must not continue in its start functions.
        let guard = ShutdownOnDrop::new(shutdown.clone());
        let address = thread.shard().run(async move || Ok(GuestActor::create(instance).await?.start())).await?;
        guard.disarm();
        let config = MailboxConfig {
            actor: &identity.key,
            number,
            thread,
            shutdown,
            latency,
            limiter,
            host: self.dispatch.limiter(),
        };
        Ok(Mailbox::new(address, config))
    }
}

/// Waits until instances that receive no more calls have served the last ones, and ends calls at the deadline. Returns
/// whether all instances have ended; one whose thread is blocked has not.
pub(super) async fn close_instances(identity: &ActorIdentity, instances: &Instances, deadline: Instant) -> bool {
    if within(deadline, instances.close()).await.is_ok() {
        return true;
    }
    log::warn!(actor = &*identity.key; "{identity} still served calls at the end of the grace period: they are ended");
    end_instances(instances).await
}

/// Ends the calls of instances, and the instances. Returns whether all instances have ended within a few seconds.
pub(super) async fn end_instances(instances: &Instances) -> bool {
    instances.end();
    within(Instant::now() + END_TIMEOUT, instances.close()).await.is_ok()
}
