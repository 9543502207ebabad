//! Changes of a provider's links, and its stop.

use std::pin::pin;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{AsyncContext, Handler, ResponseFuture};
use futures_util::future::{Either, select};
use wasmcloud_core::deadline::within;
use wasmcloud_core::entity::shorten;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::trace::CallSpan;
use wasmcloud_provider::Binding;

use super::{ProviderActor, Running, lifecycle_deadline};
use crate::dispatch::provider_mailbox::Lifecycle;
use crate::identity::ActorIdentity;
use crate::link::LinkDefinition;
use crate::spans;

/// The time that a provider has to release everything after the grace period.
pub(crate) const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

impl Running {
    async fn execute(&self, task: Lifecycle) -> Result<()> {
        if let Lifecycle::Stop { grace } = task {
            return self.stop(Instant::now() + grace).await;
        }
        let stopped = self.lifecycle.read().await;
        if *stopped {
            if matches!(task, Lifecycle::Drain { .. } | Lifecycle::Unbind { .. }) {
                // The stop has released everything.
                return Ok(());
            }
            return Err(Error::new(ErrorKind::ProviderNotFound, format!("{} has been stopped", self.identity)));
        }
        let name = task.to_string();
        let span = self.link_span(&name, &task);
        let change = pin!(span.instrument(self.change_link(&name, task)));
        let ended = pin!(self.shutdown.ended());
        let changed = match select(change, ended).await {
            Either::Left((changed, _)) => changed,
            Either::Right(_) => {
                let message = format!("{} was stopped before it had finished {:?}", self.identity, shorten(&name));
                Err(Error::new(ErrorKind::ProviderNotFound, message))
            }
        };
        span.end(&changed);
        changed
    }

    /// Begins the span of a change of a link.
    fn link_span(&self, name: &str, task: &Lifecycle) -> CallSpan {
        let actor = match task {
            Lifecycle::Bind { actor, .. } => &actor.key,
            Lifecycle::Drain { actor } | Lifecycle::Unbind { actor } => actor,
            Lifecycle::Stop { .. } => return CallSpan::none(),
        };
        spans::link(self.dispatch.tracing(), self.dispatch.begin(), &self.identity, actor, name)
    }

    async fn change_link(&self, name: &str, task: Lifecycle) -> Result<()> {
        let deadline = lifecycle_deadline();
        match task {
            Lifecycle::Bind { actor, definition } => {
                let bound = self.run(name, deadline, self.provider.bind(self.binding(&actor, &definition))).await;
                if bound.as_ref().is_err_and(|error| error.kind() == ErrorKind::DeadlineExceeded) {
                    // The provider may still establish it later. No caller uses it, so it must not stay.
                    let undone = self.run(name, lifecycle_deadline(), self.provider.unbind(&actor.key)).await;
                    undone.unwrap_or_else(|error| log::error!(provider = self.identity.key.joined(); "a link that timed out could not be released: {error}"));
                }
                bound
            }
            Lifecycle::Drain { actor } => self.run(name, deadline, self.provider.drain(&actor)).await,
            Lifecycle::Unbind { actor } => self.run(name, deadline, self.provider.unbind(&actor)).await,
            Lifecycle::Stop { .. } => Ok(()),
        }
    }

    /// Stops the provider once all link changes and calls have ended, or the deadline has passed. Calls that the provider
    /// itself waits for are served until it has stopped.
    async fn stop(&self, deadline: Instant) -> Result<()> {
        self.shutdown.close();
        let mut stopped = match within(deadline, self.lifecycle.write()).await {
            Ok(stopped) => stopped,
            Err(_) => {
                log::warn!(provider = self.identity.key.joined(); "{} is stopped while its links are being changed: the changes are abandoned", self.identity);
                self.shutdown.end();
                self.lifecycle.write().await
            }
        };
        if std::mem::replace(&mut *stopped, true) {
            return Ok(());
        }
        let idle = async {
            while self.calls.get() > 0 {
                self.idle.notified().await;
            }
        };
        if within(deadline, idle).await.is_err() {
            log::warn!(provider = self.identity.key.joined(); "{} is stopped while it serves {} call(s)", self.identity, self.calls.get());
        }
        let stop = async {
            self.provider.stop().await;
            Ok(())
        };
        let released = self.run("stop", deadline.max(Instant::now() + RELEASE_TIMEOUT), stop).await;
        self.is_gone.set(true);
        released
    }

    fn binding(&self, actor: &ActorIdentity, definition: &LinkDefinition) -> Binding {
        let metadata = actor.claims.metadata.as_ref();
        let mut binding = Binding::new(&*actor.key, self.dispatcher.clone());
        binding.actor_name = actor.name.clone();
        binding.issuer = actor.claims.issuer.clone();
        binding.capabilities = metadata.and_then(|metadata| metadata.caps.clone()).unwrap_or_default();
        binding.tags = metadata.and_then(|metadata| metadata.tags.clone()).unwrap_or_default();
        binding.expires = actor.claims.expires;
        binding.values = definition.values.clone();
        binding
    }
}

impl Handler<Lifecycle> for ProviderActor {
    type Result = ResponseFuture<Result<()>>;

    fn handle(&mut self, task: Lifecycle, context: &mut Self::Context) -> Self::Result {
        if self.changes.completes_batch() {
            context.wait(wrap_future(tokio::task::yield_now()));
        }
        // The future keeps the instance: the actor ends with its last address.
        let running = self.running.clone();
        Box::pin(async move { running.execute(task).await })
    }
}
