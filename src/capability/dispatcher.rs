//! The ways in which providers call actors.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use crate::actor::mailbox::InstanceNumber;
use crate::call::{CallContext, Message};
use crate::capability::traits::Dispatcher;
use crate::dispatch::Dispatch;
use crate::error::{BoxedError, Error, ErrorKind, Result};
use crate::shard::Shards;
use crate::supervisor::snapshot::ProviderIdentity;

/// The way for a provider to call the actors that are linked to it. Cheap to clone.
#[derive(Clone)]
pub struct ActorDispatcher {
    dispatch: Dispatch,
    provider: Arc<ProviderIdentity>,
    instance: InstanceNumber,
    /// The call that the provider is serving, where it calls as part of one.
    within: Option<CallContext>,
}

impl ActorDispatcher {
    pub(crate) fn new(
        dispatch: Dispatch,
        (provider, instance): (Arc<ProviderIdentity>, InstanceNumber),
        within: Option<CallContext>,
    ) -> Self {
        ActorDispatcher { dispatch, provider, instance, within }
    }

    /// The call that this is part of.
    pub(super) fn into_context(self) -> Option<CallContext> {
        self.within
    }

    /// Calls an actor and waits for its answer, without blocking.
    ///
    /// # Errors
    /// `NotLinked` where no link joins provider and actor; `ActorNotFound`, `ActorStopped`; `DeadlineExceeded`;
    /// `CallCycle` where the actor waits for this very call; and the actor's own failures.
    pub async fn dispatch(&self, actor: &str, operation: &str, message: Vec<u8>) -> Result<Vec<u8>> {
        let context = self.within.clone().unwrap_or_else(|| self.dispatch.begin());
        let message = Message { operation: operation.to_owned(), payload: message };
        self.dispatch.call_from_provider((&self.provider, self.instance), context, actor, message).await
    }
}

impl fmt::Debug for ActorDispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorDispatcher").field("provider", &self.provider.key).finish_non_exhaustive()
    }
}

thread_local! {
    /// The call that this thread of a blocking provider is serving.
    static SERVING: RefCell<Option<CallContext>> = const { RefCell::new(None) };
}

/// Runs part of a blocking provider with its calls to actors counted as part of `context`.
pub(super) fn serving<T>(context: Option<CallContext>, work: impl FnOnce() -> T) -> T {
    SERVING.set(context);
    let done = work();
    SERVING.set(None);
    done
}

/// The same for a blocking provider: the call runs on a shard, and the provider's thread waits for it.
pub(super) struct BlockingDispatcher {
    pub(super) dispatch: Dispatch,
    pub(super) provider: Arc<ProviderIdentity>,
    pub(super) instance: InstanceNumber,
    pub(super) shards: Arc<Shards>,
}

impl Dispatcher for BlockingDispatcher {
    fn dispatch(&self, actor: &str, operation: &str, message: &[u8]) -> Result<Vec<u8>, BoxedError> {
        if self.shards.current().is_some() {
            let message = "a blocking dispatch on a shard thread would stall every actor on it";
            return Err(Error::new(ErrorKind::InvalidArgument, message).into());
        }
        let within = SERVING.with_borrow(Clone::clone);
        let context = within.unwrap_or_else(|| self.dispatch.begin());
        let deadline = context.deadline;
        let (answer, answered) = crossbeam_channel::bounded(1);
        let (dispatch, provider, instance) = (self.dispatch.clone(), self.provider.clone(), self.instance);
        let actor = actor.to_owned();
        let message = Message { operation: operation.to_owned(), payload: message.to_vec() };
        self.shards.spawn(async move {
            let called = dispatch.call_from_provider((&provider, instance), context, &actor, message).await;
            // Nobody listens any more where the provider's thread has given up.
            let _ = answer.send(called);
        })?;
        match answered.recv_deadline(deadline) {
            Ok(answer) => Ok(answer?),
            Err(crossbeam_channel::RecvTimeoutError::Timeout) => {
                Err(Error::new(ErrorKind::DeadlineExceeded, "the actor did not answer in time").into())
            }
            Err(crossbeam_channel::RecvTimeoutError::Disconnected) => {
                Err(Error::new(ErrorKind::HostNotRunning, "the host was stopped before the actor answered").into())
            }
        }
    }
}
