//! How an actor gets another revision, or another number of instances, while it is called.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join;
use wasmcloud_claims::Actor;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Supervision;
use super::instances::{close_instances, end_instances};
use super::placement::ActorOptions;
use crate::child::Child;
use crate::dispatch::instances::Instances;
use crate::dispatch::snapshot::RunningActor;
use crate::event::EventKind;
use crate::identity::ActorIdentity;
use crate::shard::for_each_in_batches;
use crate::supervisor::blueprint::ActorBlueprint;

/// What may be changed of actors that run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UpdatePolicy {
    /// Whether there are live updates at all.
    pub(crate) enabled: bool,
    /// Whether another revision must have the same capabilities.
    pub(crate) strict: bool,
}

impl Supervision {
    /// Has an actor run another revision: it is made aside, and put in the place of the old one, which finishes what
    /// has reached it. What is refused or fails leaves the old one as it was.
    pub(super) async fn update_actor(&self, key: &str, actor: Actor) -> Result<()> {
        let child = Child::Actor(key.into());
        let updated = self.try_update(&child, key, actor).await;
        if let Err(refusal) = &updated {
            log::warn!("the update of {} is refused: {refusal}", self.subject(&child));
            self.emit(&child, EventKind::UpdateRefused { reason: refusal.to_string() });
        }
        updated
    }

    async fn try_update(&self, child: &Child, key: &str, actor: Actor) -> Result<()> {
        let _change = self.begin_replacement(child.clone())?;
        let old = self.running(key)?;
        let old_blueprint = self.blueprint(key)?;
        let claims = actor.shared_claims();
        let identity = Arc::new(ActorIdentity::new(claims));
        self.check_update(&old.identity, &identity)?;
        self.expect_loadable(&identity).await?;
        let ActorBlueprint { options, limits, near, .. } = &*old_blueprint;
        self.expect_room(options, limits, 0)?;
        let module = self.modules.compile(&actor, *limits, self.dispatch.mappings()).await?;
        drop(actor);
        let blueprint = ActorBlueprint { module, options: options.clone(), limits: *limits, near: *near };
        let instances = self.create_instances(&identity, &blueprint).await?;
        let (from, to) = (old.identity.revision, identity.revision);
        let other_links = !identity.has_same_binding(&old.identity) || old.identity.trust.lost().is_some();
        let new = RunningActor::new(identity, instances.clone());
        let blueprint = Arc::new(blueprint);
        // Trust may have ended meanwhile.
        let trusted = self.expect_trusted(&new.identity);
        if let Err(refusal) = trusted.and_then(|()| self.change(|registry| registry.replace_actor(new, blueprint))) {
            end_instances(&instances).await;
            return Err(refusal);
        }
        self.emit(child, EventKind::Updated { from, to });
        // What the new claims allow is there while the old revision finishes; what they do not is refused to calls from now
        // on, and released once nothing of the old revision is under way.
        let waiting = if other_links { self.links_that_wait(child) } else { Vec::new() };
        let establish = for_each_in_batches(&waiting, async |key| self.establish_link(key).await);
        join(self.retire(&old.identity, &old.instances), establish).await;
        if other_links {
            self.review_links_of(child, &waiting).await;
        }
        Ok(())
    }

    fn check_update(&self, old: &ActorIdentity, new: &ActorIdentity) -> Result<()> {
        let refused = |reason: String| Err(Error::new(ErrorKind::UpdateRefused, reason));
        if !self.updates.enabled {
            return refused("live updates are not enabled: see HostBuilder::enable_live_updates".to_owned());
        }
        if old.key != new.key {
            return refused(format!("the module is signed for actor {}, not for {}", new.key, old.key));
        }
        if old.claims.issuer != new.claims.issuer {
            return refused(format!("{old} was signed by {}, the module by {}", old.claims.issuer, new.claims.issuer));
        }
        if new.revision <= old.revision {
            return refused(format!("{old} runs revision {} already, the module is {}", old.revision, new.revision));
        }
        if self.updates.strict && old.capabilities != new.capabilities {
            return refused(format!("the module's signed claims include other capabilities than those of {old}"));
        }
        Ok(())
    }

    /// Gives an actor another number of instances. Those that are too many finish what has reached them.
    pub(super) async fn scale_actor(&self, key: &str, instances: NonZeroUsize) -> Result<()> {
        let child = Child::Actor(key.into());
        let _change = self.begin_replacement(child.clone())?;
        let old = self.running(key)?;
        let old_blueprint = self.blueprint(key)?;
        let ActorBlueprint { module, options, limits, near } = &*old_blueprint;
        let options = ActorOptions { instances, ..options.clone() };
        self.expect_room(&options, limits, old.instances.mailboxes().len())?;
        let blueprint = Arc::new(ActorBlueprint { module: module.clone(), options, limits: *limits, near: *near });
        let mailboxes = old.instances.mailboxes();
        let (kept, surplus) = mailboxes.split_at(instances.get().min(mailboxes.len()));
        let more = self.create_instances_from(kept.len(), &old.identity, &blueprint).await?;
        let all = Instances::new(kept.iter().cloned().chain(more).collect());
        // It may have crashed meanwhile.
        let current = self.running(key)?;
        self.change(|registry| registry.replace_actor(RunningActor { instances: all, ..current }, blueprint))?;
        self.emit(&child, EventKind::Scaled { instances: instances.get() });
        self.retire(&old.identity, &Instances::new(surplus.to_vec())).await;
        Ok(())
    }

    fn blueprint(&self, key: &str) -> Result<Arc<ActorBlueprint>> {
        let blueprint = self.registry.borrow().actor_blueprint(key);
        blueprint.ok_or_else(|| Error::new(ErrorKind::ActorNotFound, format!("actor {key} does not run")))
    }

    fn running(&self, key: &str) -> Result<RunningActor> {
        let registry = self.registry.borrow();
        let actor = registry.snapshot().actors.get(key).cloned();
        actor.ok_or_else(|| Error::new(ErrorKind::ActorNotFound, format!("actor {key} does not run")))
    }

    /// Waits until instances that nobody can call any more have served what had reached them, and ends what takes too long.
    async fn retire(&self, identity: &ActorIdentity, instances: &Instances) {
        if !close_instances(identity, instances, Instant::now() + self.grace).await {
            log::error!("a former instance of {identity} does not end: it is left behind");
        }
    }
}
