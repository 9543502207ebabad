//! How actors are started and stopped.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmcloud_claims::Actor;
use wasmcloud_core::deadline::within;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Supervision;
use super::instances::{LAST_MOMENTS, close_instances, end_instances};
use super::placement::ActorOptions;
use crate::child::Child;
use crate::dispatch::snapshot::RunningActor;
use crate::event::EventKind;
use crate::identity::ActorIdentity;
use crate::shard::ShardNumber;
use crate::supervisor::blueprint::ActorBlueprint;

/// How long its providers may take at least to let go of its links, however late it is.
const AT_LEAST: Duration = Duration::from_millis(200);

impl Supervision {
    /// Compiles an actor beside the shards, makes its instances complete on their own, then registers it and establishes
    /// the links that wait for it. One that has failed is stopped before.
    pub(super) async fn start_actor(
        self: &Rc<Self>,
        actor: Actor,
        options: ActorOptions,
        near: ShardNumber,
    ) -> Result<()> {
        let limits = options.limits.unwrap_or(*self.dispatch.limits());
        self.expect_room(&options, &limits, 0)?;
        let claims = actor.shared_claims();
        let identity = Arc::new(ActorIdentity::new(claims));
        self.expect_loadable(&identity).await?;
        let child = Child::Actor(identity.key.clone());
        if self.registry.borrow().has_failed(&child) {
            self.stop_actor(&identity.key).await?;
        }
        let start = self.begin_actor_start(&identity)?;
        let module = self.modules.compile(&actor, limits, self.dispatch.mappings()).await?;
        // Its bytes are not needed any more, and there may be many of them.
        drop(actor);
        let blueprint = Arc::new(ActorBlueprint { module, options, limits, near });
        let instances = self.create_instances(&identity, &blueprint).await?;
        let running = RunningActor::new(identity, instances.clone());
        // Trust may have ended meanwhile.
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

    /// Stops an actor in the order in which nothing is lost: no new calls; its providers bring it no new work and
    /// finish what is under way; it serves what has reached it, over links that are still established; then the links
    /// are released, and it is gone. What takes longer than the period of grace is ended.
    pub(super) async fn stop_actor(&self, key: &str) -> Result<()> {
        self.stop_actor_by(key, Instant::now() + self.grace).await
    }

    /// The same, with a period of grace that ends at a given time.
    pub(super) async fn stop_actor_by(&self, key: &str, deadline: Instant) -> Result<()> {
        let child = Child::Actor(key.into());
        let _stop = self.begin_stop_when_settled(&child).await?;
        let running = self.registry.borrow().snapshot().actors.get(key).cloned();
        let Some(actor) = running else { return Ok(()) };
        if within(deadline, self.drain_links_of(&child)).await.is_err() {
            log::warn!("the providers of {} still had work for it when its time was up", actor.identity);
        }
        let all_ended = close_instances(&actor.identity, &actor.instances, deadline).await;
        // Those who share a deadline share what comes after it, too.
        let last = (deadline + LAST_MOMENTS).max(Instant::now() + AT_LEAST);
        if within(last, self.unbind_links_of(&child)).await.is_err() {
            log::warn!("providers of {} had not let go of its links when their time was up", actor.identity);
        }
        self.change(|registry| registry.take_actor(key));
        self.dispatch.events().emit(actor.identity.subject(), EventKind::Stopped);
        if !all_ended {
            let message = format!("{} does not end: an instance of it is left behind", actor.identity);
            return Err(Error::new(ErrorKind::DeadlineExceeded, message));
        }
        Ok(())
    }
}
