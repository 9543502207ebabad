//! Where the calls that a plugin makes are carried out, and what is known of those that it serves.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_bytes::ByteBuf;

use super::order::{ActorRequest, CallOrder, Failure, FailureKind, Outcome};
use crate::actor::mailbox::InstanceNumber;
use crate::call::CallContext;
use crate::capability::dispatcher::ActorDispatcher;
use crate::capability::traits::ProviderCallContext;
use crate::dispatch::Dispatch;
use crate::supervisor::snapshot::ProviderIdentity;

/// The side of the host on which a plugin's calls are made.
pub(super) struct Desk {
    identity: Arc<ProviderIdentity>,
    instance: InstanceNumber,
    dispatch: Dispatch,
    last: AtomicU64,
    /// The calls that the plugin serves, by their numbers.
    serving: Mutex<HashMap<u64, CallContext>>,
}

/// A call that a plugin serves, for as long as it does.
pub(super) struct Serving {
    desk: Arc<Desk>,
    id: u64,
}

impl Desk {
    pub(super) fn new((identity, instance): (Arc<ProviderIdentity>, InstanceNumber), dispatch: Dispatch) -> Desk {
        Desk { identity, instance, dispatch, last: AtomicU64::new(0), serving: Mutex::default() }
    }

    pub(super) fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    /// A number that nothing had before.
    pub(super) fn next(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A call as an order, and the note that it is being served.
    pub(super) fn begin(self: &Arc<Desk>, call: ProviderCallContext) -> (CallOrder, Option<CallContext>, Serving) {
        let ProviderCallContext { actor, operation, message, dispatcher } = call;
        let (id, context) = (self.next(), dispatcher.into_context());
        let now = Instant::now();
        let left = context.as_ref().map(|context| context.deadline.saturating_duration_since(now).as_millis());
        let time_left = left.and_then(|left| u64::try_from(left).ok()).unwrap_or(u64::MAX);
        if let Some(context) = &context {
            self.serving().insert(id, context.clone());
        }
        let order = CallOrder { id, time_left, actor, operation, message: ByteBuf::from(message) };
        (order, context, Serving { desk: self.clone(), id })
    }

    /// Calls an actor for the plugin.
    pub(super) async fn serve(&self, request: ActorRequest) -> Outcome {
        let ActorRequest { within, actor, operation, message } = request;
        let context = match within {
            0 => None,
            within => Some(self.serving().get(&within).cloned().ok_or_else(|| {
                Failure::new(FailureKind::Failed, "the call that this one was to be part of has ended")
            })?),
        };
        let provider = (self.identity.clone(), self.instance);
        let dispatcher = ActorDispatcher::new(self.dispatch.clone(), provider, context);
        let answer = dispatcher.dispatch(&actor, &operation, message.into_vec()).await;
        answer.map(ByteBuf::from).map_err(|error| Failure::of(&error))
    }

    fn serving(&self) -> MutexGuard<'_, HashMap<u64, CallContext>> {
        // The map is whole after any panic: each use of it is a single operation.
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.desk.serving().remove(&self.id);
    }
}
