//! What the supervisor asks of a provider: to take and let go of links, and to stop.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{AsyncContext, Handler, Message, ResponseFuture};
use futures_util::future::{Either, select};

use super::{ProviderActor, Running, lifecycle_deadline};
use crate::capability::traits::Binding;
use crate::deadline::within;
use crate::entity::shorten;
use crate::error::{Error, ErrorKind, Result};
use crate::supervisor::link::LinkDefinition;
use crate::supervisor::snapshot::ActorIdentity;

/// How long a provider may take to release everything, when the time for its calls to end is up.
pub(crate) const LAST_MOMENTS: Duration = Duration::from_secs(5);

/// What the supervisor asks of a provider.
#[derive(Message)]
#[rtype(result = "Result<()>")]
pub(crate) enum Lifecycle {
    /// Take a link.
    Bind { actor: Arc<ActorIdentity>, definition: Arc<LinkDefinition> },
    /// Bring no new work to this actor, and finish what is under way.
    Drain { actor: Arc<str> },
    /// Let go of the link of this actor.
    Unbind { actor: Arc<str> },
    /// Finish what is under way, within a time, then release everything and end. What is still under way at the end of that
    /// time is given up.
    Stop { grace: Duration },
}

impl Running {
    async fn tend(&self, task: Lifecycle) -> Result<()> {
        if let Lifecycle::Stop { grace } = task {
            return self.stop(Instant::now() + grace).await;
        }
        let stopped = self.lifecycle.read().await;
        if *stopped {
            if matches!(task, Lifecycle::Drain { .. } | Lifecycle::Unbind { .. }) {
                // It let go of everything when it was stopped.
                return Ok(());
            }
            return Err(Error::new(ErrorKind::ProviderNotFound, format!("{} has been stopped", self.identity)));
        }
        let name = task.to_string();
        let (change, ended) = (pin!(self.change_link(&name, task)), pin!(self.ending.ended()));
        match select(change, ended).await {
            Either::Left((changed, _)) => changed,
            Either::Right(_) => {
                let message = format!("{} was stopped before it was done with {:?}", self.identity, shorten(&name));
                Err(Error::new(ErrorKind::ProviderNotFound, message))
            }
        }
    }

    async fn change_link(&self, name: &str, task: Lifecycle) -> Result<()> {
        let deadline = lifecycle_deadline();
        match task {
            Lifecycle::Bind { actor, definition } => {
                let bound = self.ask(name, deadline, self.provider.bind(self.binding(&actor, &definition))).await;
                if bound.as_ref().is_err_and(|error| error.kind() == ErrorKind::DeadlineExceeded) {
                    // It may still come about. Nobody counts on it, so it must not stay.
                    let undone = self.ask(name, lifecycle_deadline(), self.provider.unbind(&actor.key)).await;
                    undone.unwrap_or_else(|error| log::error!("a link that took too long stays behind: {error}"));
                }
                bound
            }
            Lifecycle::Drain { actor } => self.ask(name, deadline, self.provider.drain(&actor)).await,
            Lifecycle::Unbind { actor } => self.ask(name, deadline, self.provider.unbind(&actor)).await,
            Lifecycle::Stop { .. } => Ok(()),
        }
    }

    /// Stops the provider, once what concerns single links is done and the calls have ended, or the time for that is up.
    /// What the provider itself waits for before it has stopped can call it to the end.
    async fn stop(&self, deadline: Instant) -> Result<()> {
        self.ending.close();
        let mut stopped = match within(deadline, self.lifecycle.write()).await {
            Ok(stopped) => stopped,
            Err(_) => {
                log::warn!("{} is stopped while its links are being changed: that is given up", self.identity);
                self.ending.end();
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
            log::warn!("{} is stopped while it serves {} call(s)", self.identity, self.calls.get());
        }
        let stop = async {
            self.provider.stop().await;
            Ok(())
        };
        let released = self.ask("stop", deadline.max(Instant::now() + LAST_MOMENTS), stop).await;
        self.is_gone.set(true);
        released
    }

    fn binding(&self, actor: &ActorIdentity, definition: &LinkDefinition) -> Binding {
        let metadata = actor.claims.metadata.as_ref();
        Binding {
            actor: actor.key.to_string(),
            actor_name: actor.name.clone(),
            issuer: actor.claims.issuer.clone(),
            capabilities: metadata.and_then(|metadata| metadata.caps.clone()).unwrap_or_default(),
            tags: metadata.and_then(|metadata| metadata.tags.clone()).unwrap_or_default(),
            expires: actor.claims.expires,
            values: definition.values.clone(),
            dispatcher: self.dispatcher(None),
        }
    }
}

impl std::fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // Which link it is stands in the error around this one.
            Lifecycle::Bind { .. } => f.write_str("bind"),
            Lifecycle::Drain { .. } => f.write_str("drain"),
            Lifecycle::Unbind { .. } => f.write_str("unbind"),
            Lifecycle::Stop { .. } => f.write_str("stop"),
        }
    }
}

impl Handler<Lifecycle> for ProviderActor {
    type Result = ResponseFuture<Result<()>>;

    fn handle(&mut self, task: Lifecycle, context: &mut Self::Context) -> Self::Result {
        if self.taken.fills_a_portion() {
            context.wait(wrap_future(tokio::task::yield_now()));
        }
        // The actor itself ends when nobody has its address any more.
        let running = self.running.clone();
        Box::pin(async move { running.tend(task).await })
    }
}
