//! The interfaces that providers implement, and the arguments of their methods.

use std::collections::HashMap;

use async_trait::async_trait;
use wasmcloud_core::error::BoxedError;

use crate::dispatcher::ActorDispatcher;
use crate::figures::ProviderFigures;

/// A capability provider in the blocking interface of wasmCloud 0.18.
///
/// The methods may block, because they are called on threads of the provider: calls on four threads concurrently, health
/// checks on another thread, and everything else in order on a third.
///
/// Links and health checks reach the provider through [`CapabilityProvider::handle_call`], as calls from the actor `system`:
///
/// - `BindActor` establishes a link or changes its values. The payload is a map of the actor's key (`module`) and the link's
///   values with the actor's claims (`values`).
/// - `RemoveActor` removes a link. The payload has the same form, without values.
/// - `HealthRequest` asks for the provider's health. An error, or an answer with `healthy: false`, is `Health::Unhealthy`.
///   While all four threads serve calls, the provider is `Health::Busy` and the request is not sent.
pub trait CapabilityProvider: Send + Sync {
    /// Receives the dispatcher that calls actors. Called before all other methods, and again when the provider is restarted
    /// after a panic.
    ///
    /// # Errors
    /// Any error refuses the start. The provider is not registered.
    fn configure_dispatch(&self, dispatcher: Box<dyn Dispatcher>) -> Result<(), BoxedError>;

    /// Serves a call of an actor. `actor` is its public key, `operation` is one of the provider's contract, and `message` is
    /// the payload in msgpack.
    ///
    /// # Errors
    /// Any error is the error of the actor's call.
    fn handle_call(&self, actor: &str, operation: &str, message: &[u8]) -> Result<Vec<u8>, BoxedError>;

    /// Returns what the provider has counted of its own work, for the metrics of its host. Called on any thread, at any time.
    ///
    /// Default: nothing.
    fn figures(&self) -> ProviderFigures {
        ProviderFigures::default()
    }

    /// Releases all resources. Called after the last call has ended or reached its deadline, and before a restart.
    fn stop(&self);
}

/// Calls the actors that are linked to a blocking provider.
pub trait Dispatcher: Send + Sync {
    /// Calls an actor and blocks until it answers. `actor` is its public key, `message` the payload.
    ///
    /// # Errors
    /// An error if no link joins provider and actor, or the actor does not run, fails, or does not answer in time.
    fn dispatch(&self, actor: &str, operation: &str, message: &[u8]) -> Result<Vec<u8>, BoxedError>;
}

/// A dispatcher whose calls always fail. Providers can use it until [`CapabilityProvider::configure_dispatch`] is called.
#[derive(Debug, Default, Clone, Copy)]
pub struct NullDispatcher;

impl NullDispatcher {
    /// Returns a dispatcher whose calls always fail.
    pub fn new() -> NullDispatcher {
        NullDispatcher
    }
}

impl Dispatcher for NullDispatcher {
    fn dispatch(&self, actor: &str, _: &str, _: &[u8]) -> Result<Vec<u8>, BoxedError> {
        Err(format!("actor {actor} cannot be called before the provider has been started").into())
    }
}

/// A capability provider in the asynchronous interface.
///
/// The methods run on a shard, a thread that also runs actors. So their futures need not be `Send`, and they must never block.
/// Requests about the links of one actor come in order. Requests about different actors, and calls, run concurrently.
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
    /// Establishes a link: acquires the resources that its values describe. From now on the provider may call the actor. If
    /// the actor is linked already, the new values replace the old ones.
    ///
    /// # Errors
    /// Any error refuses the link, and is the reason that is reported. The earlier link of the actor, if any, must stay in
    /// effect.
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError>;

    /// Ends the delivery of calls to an actor that is about to be stopped: starts no further calls to it, and waits for those
    /// in flight. Calls by the actor are served until the link is unbound.
    ///
    /// Default: does nothing. That suits providers that call actors only while they serve a call.
    ///
    /// # Errors
    /// An error if a delivery could not be ended.
    async fn drain(&self, _actor: &str) -> Result<(), BoxedError> {
        Ok(())
    }

    /// Removes a link. All resources of the actor must be released when this returns.
    ///
    /// # Errors
    /// An error if a resource could not be released.
    async fn unbind(&self, actor: &str) -> Result<(), BoxedError>;

    /// Serves a call of an actor. Many calls run concurrently.
    ///
    /// # Errors
    /// Any error is the error of the actor's call.
    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError>;

    /// Checks the health of the provider, such as whether its backend can be reached. Called at intervals (see
    /// `HostBuilder::with_health_interval`), concurrently with other methods. The future is dropped if it takes too long.
    ///
    /// Default: healthy.
    ///
    /// # Errors
    /// Any error means that the provider is unhealthy, and is the reason that is reported.
    async fn health(&self) -> Result<(), BoxedError> {
        Ok(())
    }

    /// Returns what the provider has counted of its own work, for the metrics of its host. Called on any thread, at any time, and
    /// must not block.
    ///
    /// Default: nothing.
    fn figures(&self) -> ProviderFigures {
        ProviderFigures::default()
    }

    /// Releases all links, connections and tasks. Called after the last change of a link, and before a restart after a panic,
    /// which establishes the links again.
    ///
    /// Calls to actors that are in flight may finish first. Until this returns, the provider still receives calls that are
    /// part of them, and no others. The future is dropped after 5 seconds, or at the end of the host's grace period if that is
    /// earlier.
    async fn stop(&self);
}

/// A link between an actor and the provider, as the provider receives it.
#[derive(Clone)]
#[non_exhaustive]
pub struct Binding {
    /// The public key of the actor.
    pub actor: String,
    /// The name that the signer gave the actor.
    pub actor_name: String,
    /// The public key of the account that signed the actor.
    pub issuer: String,
    /// The contracts that the actor's claims include.
    pub capabilities: Vec<String>,
    /// The actor's tags.
    pub tags: Vec<String>,
    /// When the actor's token expires, if it does. Unit: seconds since 1970.
    pub expires: Option<u64>,
    /// The link's values. They may contain secrets.
    pub values: HashMap<String, String>,
    /// Calls the actor.
    pub dispatcher: ActorDispatcher,
}

impl std::fmt::Debug for Binding {
    /// Writes only the names of the values, because the values may contain secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut names: Vec<&String> = self.values.keys().collect();
        names.sort();
        f.debug_struct("Binding").field("actor", &self.actor).field("value_names", &names).finish_non_exhaustive()
    }
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

/// A call of an actor, as the provider receives it.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProviderCallContext {
    /// The public key of the calling actor.
    pub actor: String,
    /// The operation of the provider's contract.
    pub operation: String,
    /// The payload. All contracts of wasmCloud 0.18 encode it in msgpack.
    pub message: Vec<u8>,
    /// Calls actors as part of this call. Such calls share its deadline, and a call to an actor that waits for this call is
    /// refused as a cycle.
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
