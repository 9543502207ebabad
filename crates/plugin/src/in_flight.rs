//! Tracks the calls that a plugin serves, and makes the plugin's calls to actors.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_bytes::ByteBuf;
use wasmcloud_core::call::CallContext;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_provider::{ActorDispatcher, ProviderCallContext, ProviderDescriptor};

use super::admission::AdmissionControl;
use super::budget::ReservedBytes;
use super::request::{ActorRequest, CallRequest, FailureKind, Outcome, RequestFailure};

/// The calls in flight between a plugin and its host, in both directions.
pub(super) struct InFlightCalls {
    provider: Arc<ProviderDescriptor>,
    dispatcher: ActorDispatcher,
    admission: AdmissionControl,
    last_id: AtomicU64,
    /// The contexts of the calls that the plugin serves, by id.
    served: Mutex<HashMap<u64, CallContext>>,
}

/// Keeps a call registered while the plugin serves it.
#[must_use = "dropping the guard ends the registration"]
pub(super) struct ServedCallGuard {
    in_flight: Arc<InFlightCalls>,
    id: u64,
}

/// A call that has been registered for the plugin to serve.
pub(super) struct ServedCall {
    pub(super) request: CallRequest,
    pub(super) deadline: Option<Instant>,
    pub(super) guard: ServedCallGuard,
    /// The bytes of the request, until the plugin has served it.
    pub(super) reserved: ReservedBytes,
}

impl InFlightCalls {
    pub(super) fn new(
        provider: Arc<ProviderDescriptor>,
        dispatcher: ActorDispatcher,
        admission: AdmissionControl,
    ) -> InFlightCalls {
        InFlightCalls { provider, dispatcher, admission, last_id: AtomicU64::new(0), served: Mutex::default() }
    }

    pub(super) fn provider(&self) -> &ProviderDescriptor {
        &self.provider
    }

    /// Returns an id that has not been used before.
    pub(super) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn admission(&self) -> &AdmissionControl {
        &self.admission
    }

    /// Registers a call for the plugin to serve.
    ///
    /// # Errors
    /// `Busy` if the calls before the plugin, or before all plugins of the host, have too many bytes.
    pub(super) fn register(self: &Arc<InFlightCalls>, call: ProviderCallContext) -> Result<ServedCall> {
        let ProviderCallContext { actor, operation, message: payload, dispatcher, .. } = call;
        let reserved = self.admission.reserve_call(actor.len() + operation.len() + payload.len()).ok_or_else(|| {
            let message = format!("the calls before {} have too many bytes: call again later", self.provider);
            Error::new(ErrorKind::Busy, message)
        })?;
        let id = self.next_id();
        let context = dispatcher.into_context();
        let deadline = context.as_ref().map(|context| context.deadline);
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()).as_millis());
        let time_left = left.and_then(|left| u64::try_from(left).ok()).unwrap_or(u64::MAX);
        if let Some(context) = context {
            self.served().insert(id, context);
        }
        let request = CallRequest { id, time_left, actor, operation, payload: ByteBuf::from(payload) };
        let guard = ServedCallGuard { in_flight: self.clone(), id };
        Ok(ServedCall { request, deadline, guard, reserved })
    }

    /// Calls an actor for the plugin.
    pub(super) async fn call_actor(&self, request: ActorRequest) -> Outcome {
        let ActorRequest { within, actor, operation, payload } = request;
        let context = match within {
            0 => None,
            within => Some(self.served().get(&within).cloned().ok_or_else(|| {
                RequestFailure::new(FailureKind::Failed, "the call that this call is part of has ended")
            })?),
        };
        let answer = self.dispatcher.within(context).dispatch(&actor, &operation, payload.into_vec()).await;
        answer.map(ByteBuf::from).map_err(|error| RequestFailure::of(&error))
    }

    fn served(&self) -> MutexGuard<'_, HashMap<u64, CallContext>> {
        // The map is consistent after any panic: each use of it is a single operation.
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ServedCallGuard {
    fn drop(&mut self) {
        self.in_flight.served().remove(&self.id);
    }
}
