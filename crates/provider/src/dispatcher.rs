//! Calls actors on behalf of providers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use wasmcloud_core::call::{CallContext, Request};
use wasmcloud_core::error::Result;
use wasmcloud_core::trace::{CallId, Trace, Tracing};

/// The future answer of an actor.
pub type ActorAnswer<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>>> + Send + 'a>>;

/// The side of the host that calls actors on behalf of one instance of a provider.
pub trait ActorCaller: fmt::Debug + Send + Sync {
    /// Returns the context of a call that begins a chain now.
    fn begin(&self) -> CallContext;

    /// Returns how the host traces calls.
    fn tracing(&self) -> &Tracing;

    /// Calls an actor as part of the call that `context` belongs to, or else begins a chain of calls.
    ///
    /// # Errors
    /// The errors of [`ActorDispatcher::dispatch`].
    fn call<'a>(&'a self, context: Option<CallContext>, actor: &'a str, request: Request) -> ActorAnswer<'a>;
}

/// Calls the actors that are linked to a provider. Cheap to clone.
#[derive(Clone)]
pub struct ActorDispatcher {
    caller: Arc<dyn ActorCaller>,
    /// The call that the provider serves, if it calls as part of one.
    context: Option<CallContext>,
}

impl ActorDispatcher {
    /// Returns a dispatcher for calls through `caller`, as part of the call that `context` belongs to.
    #[doc(hidden)]
    pub fn new(caller: Arc<dyn ActorCaller>, context: Option<CallContext>) -> Self {
        ActorDispatcher { caller, context }
    }

    /// Returns the context of the call that the provider serves.
    #[doc(hidden)]
    pub fn into_context(self) -> Option<CallContext> {
        self.context
    }

    /// Returns the same dispatcher for calls that are part of another call.
    #[doc(hidden)]
    #[must_use]
    pub fn within(&self, context: Option<CallContext>) -> ActorDispatcher {
        ActorDispatcher { caller: self.caller.clone(), context }
    }

    /// Returns the context of a call that is part of the one that the provider serves, or begins a chain now.
    #[doc(hidden)]
    pub fn begin(&self) -> CallContext {
        self.context.clone().unwrap_or_else(|| self.caller.begin())
    }

    /// Returns how the host traces calls.
    #[doc(hidden)]
    pub fn tracing(&self) -> &Tracing {
        self.caller.tracing()
    }

    /// Returns the trace that the provider's calls are part of, if there is one. Requests to a backend may pass it on.
    pub fn trace(&self) -> Option<&Trace> {
        self.context.as_ref().and_then(CallContext::trace)
    }

    /// Returns the identifier of the chain of calls that the provider serves, for log lines. `None` outside of a call.
    pub fn call_id(&self) -> Option<CallId> {
        self.context.as_ref().map(CallContext::call_id)
    }

    /// Returns the same dispatcher for calls that are part of one chain, which log lines name by one identifier. They share a
    /// deadline, which begins now if the provider serves no call.
    #[doc(hidden)]
    #[must_use]
    pub fn in_chain(&self) -> ActorDispatcher {
        let (context, guard) = self.begin().cancellable();
        // Each call is cancelled with its own future.
        guard.disarm();
        self.within(Some(context))
    }

    /// Returns the same dispatcher for calls that belong to a trace, such as that of a request from outside. They share a
    /// deadline, which begins now if the provider serves no call.
    #[must_use]
    pub fn with_trace(&self, trace: Trace) -> ActorDispatcher {
        self.within(Some(self.begin().with_trace(trace)))
    }

    /// Calls an actor and waits for its answer without blocking. `actor` is its public key, `message` the payload.
    ///
    /// # Errors
    /// - `NotLinked` if no link joins provider and actor.
    /// - `ActorNotFound` or `ActorStopped` if the actor does not run.
    /// - `DeadlineExceeded` if it does not answer in time.
    /// - `CallCycle` if the actor already waits for this call.
    /// - The error of the actor, if it fails.
    pub async fn dispatch(&self, actor: &str, operation: &str, message: Vec<u8>) -> Result<Vec<u8>> {
        let request = Request { operation: operation.to_owned(), payload: message };
        self.caller.call(self.context.clone(), actor, request).await
    }
}

impl fmt::Debug for ActorDispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorDispatcher").field("caller", &self.caller).finish_non_exhaustive()
    }
}
