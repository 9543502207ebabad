//! Where the calls that a plugin makes are carried out, and what is known of those that it serves.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_bytes::ByteBuf;
use wasmcloud_core::call::CallContext;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_provider::{ActorDispatcher, ProviderCallContext, ProviderDescriptor};

use super::admission::Admission;
use super::budget::Reserved;
use super::order::{ActorRequest, CallOrder, Failure, FailureKind, Outcome};

/// The side of the host on which a plugin's calls are made.
pub(super) struct InFlightCalls {
    provider: Arc<ProviderDescriptor>,
    dispatcher: ActorDispatcher,
    admission: Admission,
    last: AtomicU64,
    /// The calls that the plugin serves, by their numbers.
    serving: Mutex<HashMap<u64, CallContext>>,
}

/// A call that a plugin serves, for as long as it does.
pub(super) struct Serving {
    in_flight: Arc<InFlightCalls>,
    id: u64,
}

/// A call for a plugin to serve.
pub(super) struct Begun {
    pub(super) order: CallOrder,
    pub(super) deadline: Option<Instant>,
    pub(super) serving: Serving,
    /// Its bytes, until the plugin is done with it.
    pub(super) held: Reserved,
}

impl InFlightCalls {
    pub(super) fn new(
        provider: Arc<ProviderDescriptor>,
        dispatcher: ActorDispatcher,
        admission: Admission,
    ) -> InFlightCalls {
        InFlightCalls { provider, dispatcher, admission, last: AtomicU64::new(0), serving: Mutex::default() }
    }

    pub(super) fn provider(&self) -> &ProviderDescriptor {
        &self.provider
    }

    /// A number that nothing had before.
    pub(super) fn next(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// What is taken from the plugin and kept for it.
    pub(super) fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Makes a call an order, and takes note that it is being served.
    ///
    /// # Errors
    /// `Busy` where the plugin, or all plugins of the host, have too many bytes of calls before them.
    pub(super) fn begin(self: &Arc<InFlightCalls>, call: ProviderCallContext) -> Result<Begun> {
        let ProviderCallContext { actor, operation, message, dispatcher, .. } = call;
        let held = self.admission.take_order(actor.len() + operation.len() + message.len()).ok_or_else(|| {
            let message = format!("{} has as many bytes of calls before it as it may have", self.provider);
            Error::new(ErrorKind::Busy, message)
        })?;
        let (id, context) = (self.next(), dispatcher.into_context());
        let deadline = context.as_ref().map(|context| context.deadline);
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()).as_millis());
        let time_left = left.and_then(|left| u64::try_from(left).ok()).unwrap_or(u64::MAX);
        if let Some(context) = context {
            self.serving().insert(id, context);
        }
        let order = CallOrder { id, time_left, actor, operation, message: ByteBuf::from(message) };
        Ok(Begun { order, deadline, serving: Serving { in_flight: self.clone(), id }, held })
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
        let answer = self.dispatcher.within(context).dispatch(&actor, &operation, message.into_vec()).await;
        answer.map(ByteBuf::from).map_err(|error| Failure::of(&error))
    }

    fn serving(&self) -> MutexGuard<'_, HashMap<u64, CallContext>> {
        // The map is whole after any panic: each use of it is a single operation.
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.in_flight.serving().remove(&self.id);
    }
}
