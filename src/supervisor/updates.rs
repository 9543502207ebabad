//! Changes of running actors: other revisions, and other numbers of instances.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join;
use wasmcloud_claims::Actor;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::identity::Image;

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

/// The permitted updates of running actors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UpdatePolicy {
    /// Whether live updates are enabled.
    pub(crate) enabled: bool,
    /// Whether another revision must have the same capabilities.
    pub(crate) strict: bool,
}

impl Supervision {
    /// Replaces an actor with another revision. The new instances are created first; the old ones finish the calls that
    /// have reached them. A refused or failed update leaves the actor as it was.
    pub(super) async fn update_actor(&self, key: &str, actor: Actor, image: Option<Arc<Image>>) -> Result<()> {
        let child = Child::Actor(key.into());
        let updated = self.try_update(&child, key, actor, image).await;
        if let Err(refusal) = &updated {
            log::warn!(actor = child.actor(), provider = child.provider(); "the update of {} is refused: {refusal}", self.subject(&child));
            self.emit(&child, EventKind::UpdateRefused { reason: refusal.to_string() });
        }
        updated
    }

    async fn try_update(&self, child: &Child, key: &str, actor: Actor, image: Option<Arc<Image>>) -> Result<()> {
        let _change = self.begin_replacement(child.clone())?;
        let old = self.running(key)?;
        let old_blueprint = self.blueprint(key)?;
        let identity = Arc::new(ActorIdentity::new(actor.shared_claims(), actor.token()).with_image(image.clone()));
        self.check_update(&old.identity, &identity)?;
        self.expect_loadable(&identity).await?;
        let ActorBlueprint { options, limits, near, .. } = &*old_blueprint;
        self.expect_room(options, limits, 0)?;
        let module = self.modules.compile(&actor, *limits, self.dispatch.mappings()).await?;
        drop(actor);
        let options = ActorOptions { image, ..options.clone() };
        let blueprint = ActorBlueprint { module, options, limits: *limits, near: *near };
        self.succeed(child, old, identity, blueprint).await
    }

    /// Creates the instances of a successor and puts them in the place of the running ones, which finish the calls that have
    /// reached them.
    pub(super) async fn succeed(
        &self,
        child: &Child,
        old: RunningActor,
        identity: Arc<ActorIdentity>,
        blueprint: ActorBlueprint,
    ) -> Result<()> {
        let instances = self.create_instances(&identity, &blueprint, &old.instruments).await?;
        let from = old.identity.revision;
        let to = identity.revision;
        let links_change = !identity.has_same_binding(&old.identity) || old.identity.trust.lost().is_some();
        let new = RunningActor::new(identity, instances.clone(), old.instruments.clone());
        let blueprint = Arc::new(blueprint);
        // The actor may have lost trust meanwhile.
        let trusted = self.expect_trusted(&new.identity);
        if let Err(refusal) = trusted.and_then(|()| self.change(|registry| registry.replace_actor(new, blueprint))) {
            end_instances(&instances).await;
            return Err(refusal);
        }
        self.emit(child, EventKind::Updated { from, to });
        // Links that the new claims allow are established while the old revision finishes. Calls over links that they do
        // not allow are refused from now on, and the links are released once the old revision has finished.
        let waiting = if links_change { self.waiting_links_of(child) } else { Vec::new() };
        let establish = for_each_in_batches(&waiting, async |key| self.establish_link(key).await);
        join(self.retire(&old.identity, &old.instances), establish).await;
        if links_change {
            self.reconcile_links_of(child, &waiting).await;
        }
        Ok(())
    }

    pub(super) fn check_update(&self, old: &ActorIdentity, new: &ActorIdentity) -> Result<()> {
        let refused = |reason: String| Err(Error::new(ErrorKind::UpdateRefused, reason));
        if !self.updates.enabled {
            let reason = "live updates are not enabled: see HostBuilder::enable_live_updates, or `wasmcloud run \
                          --allow-live-updates`";
            return refused(reason.to_owned());
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

    /// Changes the number of an actor's instances. Surplus instances finish the calls that have reached them.
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
        let more = self.create_instances_from(kept.len(), &old.identity, &blueprint, &old.instruments).await?;
        let all = Instances::new(kept.iter().cloned().chain(more).collect());
        // The actor may have crashed meanwhile.
        let current = self.running(key)?;
        self.change(|registry| registry.replace_actor(RunningActor { instances: all, ..current }, blueprint))?;
        self.emit(&child, EventKind::Scaled { instances: instances.get() });
        self.retire(&old.identity, &Instances::new(surplus.to_vec())).await;
        Ok(())
    }

    pub(super) fn blueprint(&self, key: &str) -> Result<Arc<ActorBlueprint>> {
        let blueprint = self.registry.borrow().actor_blueprint(key);
        blueprint.ok_or_else(|| Error::new(ErrorKind::ActorNotFound, format!("actor {key} does not run")))
    }

    pub(super) fn running(&self, key: &str) -> Result<RunningActor> {
        let registry = self.registry.borrow();
        let actor = registry.snapshot().actors.get(key).cloned();
        actor.ok_or_else(|| Error::new(ErrorKind::ActorNotFound, format!("actor {key} does not run")))
    }

    /// Waits until former instances have served the calls that have reached them, and ends calls that exceed the grace
    /// period.
    async fn retire(&self, identity: &ActorIdentity, instances: &Instances) {
        if !close_instances(identity, instances, Instant::now() + self.grace).await {
            log::error!(actor = &*identity.key; "a former instance of {identity} did not end in time: its thread is left behind");
        }
    }
}
