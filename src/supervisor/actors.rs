//! How actors are started and stopped.

use std::sync::Arc;
use std::time::SystemTime;

use actix::Actor as _;

use super::Supervision;
use super::placement::ActorOptions;
use super::registry::Child;
use super::snapshot::{ActorIdentity, RunningActor};
use crate::actor::Actor;
use crate::actor::guest_actor::GuestActor;
use crate::actor::mailbox::Mailbox;
use crate::auth;
use crate::deadline::within;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Limits;
use crate::shard::ShardNumber;

impl Supervision {
    /// Compiles an actor beside the shards, makes it complete on its own, then registers it and establishes the links
    /// that wait for it.
    pub(super) async fn start_actor(&self, actor: Actor, options: ActorOptions, shard: ShardNumber) -> Result<()> {
        let claims = actor.shared_claims();
        auth::check_validity(&claims, SystemTime::now())?;
        let identity = Arc::new(ActorIdentity::new(claims));
        let child = Child::Actor(identity.key.clone());
        let start = self.begin_actor_start(&identity)?;
        let limits = options.limits.unwrap_or(*self.dispatch.limits());
        let made = self.make_actor(actor, &identity, limits, shard).await?;
        let running = RunningActor { identity, mailbox: made.clone(), draining: false };
        if let Err(refusal) = self.change(|registry| registry.add_actor(running)) {
            made.close().await;
            return Err(refusal);
        }
        drop(start);
        self.establish_links_of(&child).await;
        Ok(())
    }

    async fn make_actor(
        &self,
        actor: Actor,
        identity: &Arc<ActorIdentity>,
        limits: Limits,
        shard: ShardNumber,
    ) -> Result<Mailbox> {
        let module = self.modules.compile(&actor, limits, self.dispatch.mappings()).await?;
        // Its bytes are not needed any more, and there may be many of them.
        drop(actor);
        let (dispatch, identity) = (self.dispatch.clone(), identity.clone());
        let make = async move || Ok(GuestActor::make(identity, module, dispatch, limits).await?.start());
        let address = self.shards.run(shard, make).await?;
        Ok(Mailbox::new(address, limits.mailbox_length, self.dispatch.in_flight()))
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
        let served = within(deadline, actor.mailbox.close()).await;
        self.unbind_links_of(&child).await;
        self.change(|registry| registry.take_actor(key));
        served.map_err(|_| {
            actor.mailbox.abandon();
            let message = format!("{} was still at work when its time was up", actor.identity);
            Error::new(ErrorKind::DeadlineExceeded, message)
        })
    }
}
