//! Replaces running actors and providers for a probation: by another revision, or by the same one with other options. A
//! successor that crashes or is unhealthy gives way to what ran before.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Handler, Message, ResponseFuture};
use wasmcloud_claims::Actor;
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::health::Health;
use wasmcloud_core::identity::ProviderKey;
use wasmcloud_plugin::NativeCapability;

use super::blueprint::{ActorBlueprint, ProviderBlueprint};
use super::placement::ActorOptions;
use super::restart::RestartPolicy;
use super::{Supervision, Supervisor};
use crate::child::Child;
use crate::event::{EventKind, Events};
use crate::identity::{ActorIdentity, ProviderIdentity};

/// Replaces a running actor with a module and options, and watches it.
#[derive(Message)]
#[rtype(result = "Result<Probation>")]
pub(crate) struct ReplaceActor {
    pub(crate) actor: Actor,
    pub(crate) options: ActorOptions,
    /// The time for which it is watched.
    pub(crate) probation: Duration,
}

/// Stops a running provider, starts another revision of it, and watches that.
#[derive(Message)]
#[rtype(result = "Result<Probation>")]
pub(crate) struct ReplaceProvider {
    pub(crate) capability: NativeCapability,
    pub(crate) policy: RestartPolicy,
    /// The time for which it is watched.
    pub(crate) probation: Duration,
}

/// The end of a probation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Probation {
    Passed,
    /// The text says what the successor did. What it replaced runs again.
    Failed(String),
}

/// An actor before its replacement.
struct FormerActor {
    identity: Arc<ActorIdentity>,
    blueprint: Arc<ActorBlueprint>,
}

impl Supervision {
    /// Replaces an actor. The new instances are created first; the old ones finish the calls that have reached them. After
    /// an error the actor runs as before.
    async fn replace_actor_on_probation(self: &Rc<Self>, replacement: ReplaceActor) -> Result<Probation> {
        let ReplaceActor { actor, options, probation } = replacement;
        let identity = ActorIdentity::new(actor.shared_claims(), actor.token()).with_image(options.image.clone());
        let identity = Arc::new(identity);
        let child = Child::Actor(identity.key.clone());
        let former = self.try_replace(&child, actor, identity.clone(), options).await.inspect_err(|refusal| {
            log::warn!(actor = child.actor(), provider = child.provider(); "the update of {} is refused: {refusal}", self.subject(&child));
            self.emit(&child, EventKind::UpdateRefused { reason: refusal.to_string() });
        })?;
        let Some(failure) = self.watch(&child, &identity.entity, probation).await else { return Ok(Probation::Passed) };
        // Another change has replaced or stopped the successor meanwhile.
        if self.running(&identity.key).is_ok_and(|running| running.identity.claims != identity.claims) {
            return Ok(Probation::Passed);
        }
        let to = former.identity.revision;
        let restored = self.restore_actor(&child, former).await;
        self.conclude_rollback(&child, identity.revision, to, failure, restored)
    }

    async fn try_replace(
        &self,
        child: &Child,
        actor: Actor,
        identity: Arc<ActorIdentity>,
        options: ActorOptions,
    ) -> Result<FormerActor> {
        let _change = self.begin_replacement(child.clone())?;
        let old = self.running(&identity.key)?;
        let old_blueprint = self.blueprint(&identity.key)?;
        if old.identity.claims != identity.claims {
            self.check_update(&old.identity, &identity)?;
        }
        self.expect_loadable(&identity).await?;
        let limits = options.limits.unwrap_or(*self.dispatch.limits());
        self.expect_room(&options, &limits, 0)?;
        let module = self.modules.compile(&actor, limits, self.dispatch.mappings()).await?;
        drop(actor);
        let former = FormerActor { identity: old.identity.clone(), blueprint: old_blueprint.clone() };
        let blueprint = ActorBlueprint { module, options, limits, near: old_blueprint.near };
        self.succeed(child, old, identity, blueprint).await?;
        Ok(former)
    }

    /// Replaces an actor with what ran before, whatever its revision.
    async fn restore_actor(&self, child: &Child, former: FormerActor) -> Result<()> {
        let _change = self.begin_replacement(child.clone())?;
        let failed = self.running(&former.identity.key)?;
        // Trust is assessed anew: the policy may have changed meanwhile.
        let identity = ActorIdentity::new(former.identity.claims.clone(), former.identity.token.clone());
        let identity = identity.with_image(former.identity.image.clone());
        self.expect_trusted(&identity)?;
        self.succeed(child, failed, Arc::new(identity), ActorBlueprint::clone(&former.blueprint)).await
    }

    /// Replaces a provider. Its calls wait or fail in between, and its links are established again.
    async fn replace_provider_on_probation(self: &Rc<Self>, replacement: ReplaceProvider) -> Result<Probation> {
        let ReplaceProvider { capability, policy, probation } = replacement;
        let identity = ProviderIdentity::new(capability.descriptor());
        self.expect_provider_loadable(&identity).await?;
        let child = Child::Provider(identity.key.clone());
        let former = self.provider_to_replace(&identity.key)?;
        let from = ProviderIdentity::new(former.capability.descriptor()).revision();
        self.end_provider(&identity.key).await?;
        let started = self.start_provider(ProviderBlueprint { capability, policy, near: former.near }).await;
        let failure = match started {
            Ok(()) => match self.watch(&child, &identity.entity, probation).await {
                None => {
                    self.emit(&child, EventKind::Updated { from, to: identity.revision() });
                    return Ok(Probation::Passed);
                }
                Some(failure) => {
                    self.end_provider(&identity.key).await?;
                    failure
                }
            },
            Err(error) => error.to_string(),
        };
        let restored = self.start_provider(ProviderBlueprint::clone(&former)).await;
        self.conclude_rollback(&child, identity.revision(), from, failure, restored)
    }

    fn provider_to_replace(&self, key: &ProviderKey) -> Result<Arc<ProviderBlueprint>> {
        let blueprint = self.registry.borrow().provider_blueprint(key);
        blueprint.ok_or_else(|| Error::new(ErrorKind::ProviderNotFound, format!("{key} does not run")))
    }

    /// Reports that a successor failed its probation, and whether its predecessor runs again.
    fn conclude_rollback(
        &self,
        child: &Child,
        from: i32,
        to: i32,
        failure: String,
        restored: Result<()>,
    ) -> Result<Probation> {
        match restored {
            Ok(()) => {
                log::warn!(actor = child.actor(), provider = child.provider(); "{} is rolled back from revision {from} to {to}: {failure}", self.subject(child));
                self.emit(child, EventKind::UpdateRolledBack { from, to, reason: failure.clone() });
                Ok(Probation::Failed(failure))
            }
            Err(error) => {
                let message = format!(
                    "revision {from} of {child} fails its probation ({failure}), and revision {to} could not be restored"
                );
                Err(Error::new(ErrorKind::UpdateRefused, message).caused_by(error))
            }
        }
    }

    /// Watches a child. Returns what it did if it crashed or is unhealthy.
    async fn watch(self: &Rc<Self>, child: &Child, entity: &WasmCloudEntity, time: Duration) -> Option<String> {
        let mut events = self.dispatch.events().subscribe(Some(entity.clone()));
        if let Some(failure) = self.failing(child, entity).await {
            return Some(failure);
        }
        match tokio::time::timeout(time, next_failure(&mut events)).await {
            Ok(failure) => failure,
            Err(_) => self.failing(child, entity).await,
        }
    }

    /// Checks the health of a child. Returns what is wrong with it. A child that was stopped meanwhile is not failing.
    async fn failing(self: &Rc<Self>, child: &Child, entity: &WasmCloudEntity) -> Option<String> {
        let start = self.registry.borrow().start_of(child, entity).ok()?;
        failure_of(self.check(start, child.clone()).await?)
    }
}

/// Waits for an event by which a child fails its probation. Returns `None` if the events end.
async fn next_failure(events: &mut Events) -> Option<String> {
    loop {
        match events.next().await?.kind {
            EventKind::Crashed { cause } => return Some(format!("it crashed: {cause}")),
            EventKind::Failed { reason } => return Some(format!("it failed: {reason}")),
            EventKind::HealthChanged { health } => {
                if let Some(failure) = failure_of(health) {
                    return Some(failure);
                }
            }
            _ => {}
        }
    }
}

fn failure_of(health: Health) -> Option<String> {
    match health {
        Health::Unhealthy { reason } => Some(format!("it is unhealthy: {reason}")),
        Health::Unanswered => Some("it does not answer health checks".to_owned()),
        _ => None,
    }
}

impl Handler<ReplaceActor> for Supervisor {
    type Result = ResponseFuture<Result<Probation>>;

    fn handle(&mut self, replacement: ReplaceActor, _: &mut Self::Context) -> Self::Result {
        let supervision = self.supervision.clone();
        Box::pin(async move { supervision.until_abandoned(supervision.replace_actor_on_probation(replacement)).await })
    }
}

impl Handler<ReplaceProvider> for Supervisor {
    type Result = ResponseFuture<Result<Probation>>;

    fn handle(&mut self, replacement: ReplaceProvider, _: &mut Self::Context) -> Self::Result {
        let supervision = self.supervision.clone();
        Box::pin(
            async move { supervision.until_abandoned(supervision.replace_provider_on_probation(replacement)).await },
        )
    }
}
