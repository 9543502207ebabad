//! How actors are started and stopped.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use actix::Actor as _;
use futures_util::future::join_all;

use super::Supervision;
use super::placement::{self, ActorOptions};
use super::registry::Child;
use super::snapshot::{ActorIdentity, RunningActor};
use crate::actor::Actor;
use crate::actor::guest_actor::GuestActor;
use crate::actor::instances::Instances;
use crate::actor::mailbox::{Home, InstanceNumber, Mailbox};
use crate::actor::role::Role;
use crate::auth;
use crate::deadline::within;
use crate::engine::CompiledModule;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Limits;
use crate::shard::{OwnThread, ShardNumber};

impl Supervision {
    /// Compiles an actor beside the shards, makes its instances complete on their own, then registers it and establishes
    /// the links that wait for it.
    pub(super) async fn start_actor(&self, actor: Actor, options: ActorOptions, near: ShardNumber) -> Result<()> {
        let claims = actor.shared_claims();
        auth::check_validity(&claims, SystemTime::now())?;
        let identity = Arc::new(ActorIdentity::new(claims));
        let child = Child::Actor(identity.key.clone());
        let start = self.begin_actor_start(&identity)?;
        let instances = self.make_instances(actor, &identity, &options, near).await?;
        let running = RunningActor { identity, instances: instances.clone(), draining: false };
        if let Err(refusal) = self.change(|registry| registry.add_actor(running)) {
            instances.close().await;
            return Err(refusal);
        }
        drop(start);
        self.establish_links_of(&child).await;
        Ok(())
    }

    /// Makes all instances of an actor, or none.
    async fn make_instances(
        &self,
        actor: Actor,
        identity: &Arc<ActorIdentity>,
        options: &ActorOptions,
        near: ShardNumber,
    ) -> Result<Instances> {
        let limits = options.limits.unwrap_or(*self.dispatch.limits());
        let module = self.modules.compile(&actor, limits, self.dispatch.mappings()).await?;
        // Its bytes are not needed any more, and there may be many of them.
        drop(actor);
        let homes = options.placement.homes(options.instances, near, &self.shards);
        let make = homes
            .into_iter()
            .enumerate()
            .map(|(number, home)| self.make_instance(identity, InstanceNumber(number), module.clone(), limits, home));
        let (mut made, mut failure) = (Vec::new(), None);
        for instance in join_all(make).await {
            match instance {
                Ok(mailbox) => made.push(mailbox),
                Err(error) => failure = Some(error),
            }
        }
        let made = Instances::new(made);
        match failure {
            None => Ok(made),
            Some(error) => {
                made.close().await;
                Err(error)
            }
        }
    }

    async fn make_instance(
        &self,
        identity: &Arc<ActorIdentity>,
        number: InstanceNumber,
        module: CompiledModule,
        limits: Limits,
        home: placement::Home,
    ) -> Result<Mailbox> {
        let home = match home {
            placement::Home::Shard(number) => Home::Shard(self.shards.shard(number).clone()),
            placement::Home::OwnThread => Home::Own(OwnThread::start().await?),
        };
        let ended = Arc::<AtomicBool>::default();
        let (identity, dispatch) = (identity.clone(), self.dispatch.clone());
        let role = Role { identity, number, module, dispatch, limits, ended: ended.clone() };
        let address = home.shard().run(async move || Ok(GuestActor::make(role).await?.start())).await?;
        let room = (limits.mailbox_length, self.dispatch.in_flight());
        Ok(Mailbox::new(address, number, home, ended, room))
    }

    /// Stops an actor in the order in which nothing is lost: no new calls; its providers bring it no new work and
    /// finish what is under way; it serves what has reached it, over links that are still established; then the links
    /// are released, and it is gone.
    pub(super) async fn stop_actor(&self, key: &str) -> Result<()> {
        let child = Child::Actor(key.into());
        let running = self.registry.borrow().snapshot().actors.get(key).cloned();
        let _stop = self.begin_stop(child.clone())?;
        let Some(actor) = running else { return Ok(()) };
        self.drain_links_of(&child).await;
        let deadline = self.dispatch.begin().deadline;
        let served = within(deadline, actor.instances.close()).await;
        self.unbind_links_of(&child).await;
        self.change(|registry| registry.take_actor(key));
        served.map_err(|_| {
            actor.instances.abandon();
            let message = format!("{} was still at work when its time was up", actor.identity);
            Error::new(ErrorKind::DeadlineExceeded, message)
        })
    }
}
