//! How actors are started and stopped.

use std::sync::Arc;
use std::time::SystemTime;

use actix::Actor as _;

use super::Supervision;
use super::registry::Child;
use super::snapshot::{ActorIdentity, RunningActor};
use crate::actor::Actor;
use crate::actor::guest_actor::{GuestActor, Stop};
use crate::auth;
use crate::deadline::within;
use crate::engine::CompiledModule;
use crate::error::{Error, ErrorKind, Result};
use crate::shard::ShardNumber;

impl Supervision {
    /// Compiles an actor beside the shards, makes it complete on its own, then registers it and establishes the links
    /// that wait for it.
    pub(super) async fn start_actor(&self, actor: Actor, shard: ShardNumber) -> Result<()> {
        let claims = actor.shared_claims();
        auth::check_validity(&claims, SystemTime::now())?;
        let identity = Arc::new(ActorIdentity::new(claims));
        let child = Child::Actor(identity.key.clone());
        self.change(|registry| registry.begin_start(&child))?;
        let started = self.make_actor(actor, identity, shard).await;
        self.change(|registry| registry.end_transition(&child));
        started?;
        self.establish_links_of(&child).await;
        Ok(())
    }

    async fn make_actor(&self, actor: Actor, identity: Arc<ActorIdentity>, shard: ShardNumber) -> Result<()> {
        let bytes = actor.module();
        let module =
            tokio::task::spawn_blocking(move || CompiledModule::compile(&bytes)).await.map_err(|error| {
                Error::new(ErrorKind::Internal, format!("{identity} could not be compiled")).caused_by(error)
            })??;
        let (dispatch, whose) = (self.dispatch.clone(), identity.clone());
        let make = async move || Ok(GuestActor::make(whose, module, dispatch).await?.start());
        let address = self.shards.run(shard, make).await?;
        let running = RunningActor { identity, address: address.clone() };
        let added = self.change(|registry| registry.add_actor(running));
        if added.is_err() {
            address.do_send(Stop);
        }
        added
    }

    /// Lets go of the actor's links, then of the actor, then waits for the calls that had reached it.
    pub(super) async fn stop_actor(&self, key: &str) -> Result<()> {
        let child = Child::Actor(key.into());
        self.change(|registry| registry.begin_stop(&child))?;
        self.release_links_of(&child).await;
        let actor = self.change(|registry| {
            registry.end_transition(&child);
            registry.take_actor(key)
        });
        let Some(actor) = actor else { return Ok(()) };
        let deadline = self.dispatch.begin().deadline;
        match within(deadline, actor.address.send(Stop)).await {
            // A mailbox that is closed already has nothing left to serve.
            Ok(_) => Ok(()),
            Err(_) => {
                let message = format!("{} is still at work after its time is up", actor.identity);
                Err(Error::new(ErrorKind::DeadlineExceeded, message))
            }
        }
    }
}
