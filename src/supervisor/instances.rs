//! How the instances of actors are made.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Actor as _;
use futures_util::future::join_all;

use super::Supervision;
use super::placement::{self, ActorOptions};
use super::snapshot::{ActorBlueprint, ActorIdentity};
use crate::actor::clock::Clock;
use crate::actor::guest_actor::GuestActor;
use crate::actor::instances::Instances;
use crate::actor::mailbox::{Home, InstanceNumber, Mailbox};
use crate::actor::pace::Pace;
use crate::actor::role::Role;
use crate::deadline::within;
use crate::ending::{EndOnDrop, Ending};
use crate::error::Result;
use crate::limits::Limits;
use crate::shard::OwnThread;

/// How long the calls that are ended after the period of grace may take to end.
pub(super) const LAST_MOMENTS: Duration = Duration::from_secs(5);

impl Supervision {
    /// Makes all instances of an actor, or none.
    pub(super) async fn make_instances(
        &self,
        identity: &Arc<ActorIdentity>,
        blueprint: &ActorBlueprint,
    ) -> Result<Instances> {
        Ok(Instances::new(self.make_instances_from(0, identity, blueprint).await?))
    }

    /// Refuses more instances of an actor than it may have, or than the host has room for. Nothing has been made then.
    ///
    /// # Errors
    /// `Busy`.
    pub(super) fn expect_room(&self, options: &ActorOptions, limits: &Limits, running: usize) -> Result<()> {
        options.expect_reasonable()?;
        let more = options.instances.get().saturating_sub(running);
        self.dispatch.mappings().expect_room_for_guests(more, limits)
    }

    /// Makes those instances of an actor that come after the first ones, or none.
    pub(super) async fn make_instances_from(
        &self,
        first: usize,
        identity: &Arc<ActorIdentity>,
        blueprint: &ActorBlueprint,
    ) -> Result<Vec<Mailbox>> {
        let ActorBlueprint { options, near, .. } = blueprint;
        let homes = options.placement.homes(first..options.instances.get(), *near, &self.shards);
        let make = homes.map(|home| self.make_instance(identity, blueprint, home));
        let (mut made, mut failure) = (Vec::new(), None);
        for instance in join_all(make).await {
            match instance {
                Ok(mailbox) => made.push(mailbox),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            None => Ok(made),
            Some(error) => {
                end_instances(&Instances::new(made)).await;
                Err(error)
            }
        }
    }

    /// The number of an instance that is about to be made.
    pub(super) fn next_instance(&self) -> InstanceNumber {
        InstanceNumber(self.instances.replace(self.instances.get() + 1))
    }

    async fn make_instance(
        &self,
        identity: &Arc<ActorIdentity>,
        blueprint: &ActorBlueprint,
        home: placement::Home,
    ) -> Result<Mailbox> {
        let home = match home {
            placement::Home::Shard(number) => Home::Shard(self.shards.shard(number).clone()),
            placement::Home::OwnThread => Home::Own(OwnThread::start().await?),
        };
        let number = self.next_instance();
        let (ending, pace) = (Arc::<Ending>::default(), Pace::new());
        let limits = blueprint.limits;
        let role = Role {
            identity: identity.clone(),
            number,
            module: blueprint.module.clone(),
            dispatch: self.dispatch.clone(),
            limits,
            ending: ending.clone(),
            pace: pace.clone(),
            clock: Clock::new(),
            crashes_in_a_row: Cell::new(0),
            probation: Cell::new(0),
            efforts: home.shard().efforts(),
            supervisor: self.address()?,
        };
        // What nobody waits for any more must not go on in its start functions.
        let wanted = EndOnDrop::new(ending.clone());
        let address = home.shard().run(async move || Ok(GuestActor::make(role).await?.start())).await?;
        wanted.keep();
        let name = (&*identity.key, number);
        let room = (limits.mailbox_length, self.dispatch.room());
        Ok(Mailbox::new(address, name, home, (ending, pace), room))
    }
}

/// Waits until instances that nobody calls any more have served what had reached them, and ends what they are at when their
/// time is up. Whether all of them have ended: one may be held by its thread.
pub(super) async fn close_instances(identity: &ActorIdentity, instances: &Instances, deadline: Instant) -> bool {
    if within(deadline, instances.close()).await.is_ok() {
        return true;
    }
    log::warn!("{identity} was still at work when its time was up: what it was at is ended");
    end_instances(instances).await
}

/// Has instances end what they are at. Whether they have, a few moments later.
pub(super) async fn end_instances(instances: &Instances) -> bool {
    instances.end();
    within(Instant::now() + LAST_MOMENTS, instances.close()).await.is_ok()
}
