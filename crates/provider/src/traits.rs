//! What a provider implements, and what it is given.

use std::collections::HashMap;

use async_trait::async_trait;
use wasmcloud_core::error::BoxedError;

use crate::dispatcher::ActorDispatcher;

/// A capability provider in the blocking interface of the wasmCloud 0.18 era.
///
/// Its methods are called on threads of its own, so they may block: calls on up to four at once, health checks on another
/// one, everything else on a third, one after the other. Links reach it as calls from the actor `system` with the
/// operations `BindActor` and `RemoveActor`, and health checks as `HealthRequest`, as they always did. What it answers
/// there with an error, or with `healthy: false`, is `Health::Unhealthy`. While all of its
/// four threads have calls it is `Health::Busy`, and not asked.
pub trait CapabilityProvider: Send + Sync {
    /// Takes the way to call actors. Called before anything else, and again when the provider is restarted after a panic.
    ///
    /// # Errors
    /// A provider that cannot start says so here, and is not registered.
    fn configure_dispatch(&self, dispatcher: Box<dyn Dispatcher>) -> Result<(), BoxedError>;

    /// Serves a call: `operation` of the provider's contract, for the actor with the public key `actor`, with a
    /// payload in msgpack.
    ///
    /// # Errors
    /// What goes wrong reaches the actor as the error of its call.
    fn handle_call(&self, actor: &str, operation: &str, message: &[u8]) -> Result<Vec<u8>, BoxedError>;

    /// Releases everything. Called after the last call has ended or run out of time, and before a restart.
    fn stop(&self);
}

/// The way for a blocking provider to call the actors that are linked to it.
pub trait Dispatcher: Send + Sync {
    /// Calls an actor and waits for its answer. It may be called from any thread that may block.
    ///
    /// # Errors
    /// Where no link joins provider and actor, where the actor does not run, fails, or does not answer in time.
    fn dispatch(&self, actor: &str, operation: &str, message: &[u8]) -> Result<Vec<u8>, BoxedError>;
}

/// A dispatcher that reaches nobody: what a provider holds until it is given its own.
#[derive(Debug, Default, Clone, Copy)]
pub struct NullDispatcher;

impl NullDispatcher {
    /// A dispatcher that reaches nobody.
    pub fn new() -> NullDispatcher {
        NullDispatcher
    }
}

impl Dispatcher for NullDispatcher {
    fn dispatch(&self, actor: &str, _: &str, _: &[u8]) -> Result<Vec<u8>, BoxedError> {
        Err(format!("actor {actor} cannot be called before the provider has been started").into())
    }
}

/// A capability provider that waits without blocking.
///
/// It lives on a shard, the thread on which actors run too: its futures need not be `Send`, and it must never block.
/// What concerns one actor's link is asked one after the other; links of different actors, and calls, run side by side.
///
/// ```
/// use async_trait::async_trait;
/// use wasmcloud_host::{AsyncCapabilityProvider, Binding, BoxedError, ProviderCallContext};
///
/// struct Clock;
///
/// #[async_trait(?Send)]
/// impl AsyncCapabilityProvider for Clock {
///     async fn bind(&self, _: Binding) -> Result<(), BoxedError> {
///         Ok(())
///     }
///     async fn unbind(&self, _actor: &str) -> Result<(), BoxedError> {
///         Ok(())
///     }
///     async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
///         match call.operation.as_str() {
///             "Now" => Ok(b"noon".to_vec()),
///             other => Err(format!("a clock cannot {other}").into()),
///         }
///     }
///     async fn stop(&self) {}
/// }
/// ```
#[async_trait(?Send)]
pub trait AsyncCapabilityProvider: Send + Sync {
    /// Takes a link: acquires what its values ask for and may call the actor from now on. For an actor that is
    /// bound already, the new values replace the old ones.
    ///
    /// # Errors
    /// The link is refused, with this as the reason; what was in effect for the actor before must still be.
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError>;

    /// Ends delivery to an actor that is about to be stopped: begins no further calls to it, and waits for those under
    /// way. Calls by the actor are still to be served, until the link is unbound.
    ///
    /// A provider that never calls actors of its own accord has nothing to do here, which is the default.
    ///
    /// # Errors
    /// What could not be ended.
    async fn drain(&self, _actor: &str) -> Result<(), BoxedError> {
        Ok(())
    }

    /// Lets go of a link: everything acquired for this actor is released when this returns.
    ///
    /// # Errors
    /// What could not be released.
    async fn unbind(&self, actor: &str) -> Result<(), BoxedError>;

    /// Serves a call. Many run at once.
    ///
    /// # Errors
    /// What goes wrong reaches the actor as the error of its call.
    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError>;

    /// Tells whether the provider is well: whether what it depends on can be reached, say. It is asked from time to time (see
    /// `HostBuilder::with_health_interval`), beside everything else that it
    /// does, and dropped when it takes too long. A provider that has nothing to look at is well, which is the default.
    ///
    /// # Errors
    /// Why it is not well.
    async fn health(&self) -> Result<(), BoxedError> {
        Ok(())
    }

    /// Releases everything: every link, every connection, every task. Called after the last change of a link, and before a
    /// restart after a panic, which tells of the links again. What is still calling actors may finish first: until this
    /// returns, calls back that are part of that still come, and no others. It has 5 seconds, or what is left of the period
    /// of grace; after that it is dropped.
    async fn stop(&self);
}

/// A link, as a provider is given it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Binding {
    /// The public key of the actor.
    pub actor: String,
    /// The name that its signer gave the actor.
    pub actor_name: String,
    /// The account that signed the actor.
    pub issuer: String,
    /// The contracts that the actor's claims include.
    pub capabilities: Vec<String>,
    /// The actor's tags.
    pub tags: Vec<String>,
    /// When the actor's token ends, in seconds since 1970, if it does.
    pub expires: Option<u64>,
    /// The link's values. May hold secrets.
    pub values: HashMap<String, String>,
    /// The way to call the actor.
    pub dispatcher: ActorDispatcher,
}

impl Binding {
    /// Returns a link of an actor without values and claims.
    #[doc(hidden)]
    pub fn new(actor: impl Into<String>, dispatcher: ActorDispatcher) -> Binding {
        Binding {
            actor: actor.into(),
            actor_name: String::new(),
            issuer: String::new(),
            capabilities: Vec::new(),
            tags: Vec::new(),
            expires: None,
            values: HashMap::new(),
            dispatcher,
        }
    }
}

/// A call, as a provider is given it.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProviderCallContext {
    /// The public key of the calling actor.
    pub actor: String,
    /// The operation of the provider's contract.
    pub operation: String,
    /// The payload, in msgpack for all contracts of the era.
    pub message: Vec<u8>,
    /// The way to call actors as part of this call: they share what is left of its time, and a call back to an actor
    /// that waits for this one is refused instead of waiting for ever.
    pub dispatcher: ActorDispatcher,
}

impl ProviderCallContext {
    /// Returns a call by an actor.
    #[doc(hidden)]
    pub fn new(
        actor: impl Into<String>,
        operation: impl Into<String>,
        message: Vec<u8>,
        dispatcher: ActorDispatcher,
    ) -> ProviderCallContext {
        ProviderCallContext { actor: actor.into(), operation: operation.into(), message, dispatcher }
    }
}
