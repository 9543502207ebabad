//! Starts and stops of actors.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmcloud_claims::Actor;
use wasmcloud_core::deadline::within;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Supervision;
use super::instances::{END_TIMEOUT, close_instances, end_instances};
use super::placement::ActorOptions;
use crate::child::Child;
use crate::dispatch::snapshot::RunningActor;
use crate::event::EventKind;
use crate::identity::ActorIdentity;
use crate::shard::ShardNumber;
use crate::supervisor::blueprint::ActorBlueprint;

/// The minimum time that an actor's providers have to release its links.
const MIN_RELEASE_TIME: Duration = Duration::from_millis(200);

impl Supervision {
    /// Starts an actor: compiles its module on a background thread, creates its instances, registers it, and establishes
    /// the links that wait for it. An actor that has failed is stopped first.
    pub(super) async fn start_actor(
        self: &Rc<Self>,
        actor: Actor,
        options: ActorOptions,
        near: ShardNumber,
    ) -> Result<()> {
        let limits = options.limits.unwrap_or(*self.dispatch.limits());
        self.expect_room(&options, &limits, 0)?;
        let identity =
            Arc::new(ActorIdentity::new(actor.shared_claims(), actor.token()).with_image(options.image.clone()));
        self.expect_loadable(&identity).await?;
        let child = Child::Actor(identity.key.clone());
        if self.registry.borrow().has_failed(&child) {
            self.stop_actor(&identity.key).await?;
        }
        let start = self.begin_actor_start(&identity)?;
        let module = self.modules.compile(&actor, limits, self.dispatch.mappings()).await?;
        // There may be many starts in progress, and the module's bytes are not needed any more.
        drop(actor);
        let blueprint = Arc::new(ActorBlueprint { module, options, limits, near });
        let instruments = self.dispatch.instruments().actor(&identity.key);
        let instances = self.create_instances(&identity, &blueprint, &instruments).await?;
        let running = RunningActor::new(identity, instances.clone(), instruments);
        // The actor may have lost trust meanwhile.
        let trusted = self.expect_trusted(&running.identity);
        if let Err(refusal) = trusted.and_then(|()| self.change(|registry| registry.add_actor(running, blueprint))) {
            end_instances(&instances).await;
            return Err(refusal);
        }
        self.emit(&child, EventKind::Started);
        drop(start);
        self.establish_links_of(&child).await;
        Ok(())
    }

    /// Stops an actor in an order that loses no calls. It accepts no new calls; its providers deliver no new calls and
    /// finish those in progress; it serves the calls that have reached it, over links that are still established. Then its
    /// links are released, and it is removed. Calls that exceed the grace period are ended.
    pub(super) async fn stop_actor(&self, key: &str) -> Result<()> {
        self.stop_actor_by(key, Instant::now() + self.grace).await
    }

    /// Stops an actor with a grace period that ends at a deadline.
    pub(super) async fn stop_actor_by(&self, key: &str, deadline: Instant) -> Result<()> {
        let child = Child::Actor(key.into());
        let _stop = self.begin_stop_when_settled(&child).await?;
        let running = self.registry.borrow().snapshot().actors.get(key).cloned();
        let Some(actor) = running else { return Ok(()) };
        if within(deadline, self.drain_links_of(&child)).await.is_err() {
            log::warn!(actor = &*actor.identity.key; "the providers of {} still had calls for it at the end of the grace period", actor.identity);
        }
        let all_ended = close_instances(&actor.identity, &actor.instances, deadline).await;
        // Children that are stopped together share the deadline of the release, too.
        let release_deadline = (deadline + END_TIMEOUT).max(Instant::now() + MIN_RELEASE_TIME);
        if within(release_deadline, self.unbind_links_of(&child)).await.is_err() {
            log::warn!(actor = &*actor.identity.key; "providers of {} did not release its links in time", actor.identity);
        }
        self.change(|registry| registry.remove_actor(key));
        self.dispatch.events().emit(actor.identity.subject(), EventKind::Stopped);
        if !all_ended {
            let message = format!("{} did not end in time: the thread of an instance is left behind", actor.identity);
            return Err(Error::new(ErrorKind::DeadlineExceeded, message));
        }
        Ok(())
    }
}
