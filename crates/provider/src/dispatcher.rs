//! Calls actors on behalf of providers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use wasmcloud_core::call::{CallContext, Request};
use wasmcloud_core::error::Result;

/// The future answer of an actor.
pub type ActorAnswer<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>>> + Send + 'a>>;

/// The side of the host that calls actors on behalf of one instance of a provider.
pub trait ActorCaller: fmt::Debug + Send + Sync {
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
