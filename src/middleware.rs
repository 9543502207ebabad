//! Middlewares: an embedder's code that sees each call before it is sent and after it has been answered.

pub(crate) mod chain;

use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{BoxedError, Result};

/// Sees the calls of a host, and may rewrite or refuse them.
///
/// [`HostBuilder::with_middleware`](crate::HostBuilder::with_middleware) adds a middleware. Methods that are not
/// implemented leave calls as they are.
///
/// # Calls
/// A middleware sees every call of the embedder, of actors and of providers, once the target is resolved and the call is
/// authorized. A middleware can narrow what the host allows, and cannot widen it. Requests of the host itself to providers,
/// such as to accept a link, are not calls.
///
/// # Order
/// The middleware that was added first sees a call first and its answer last. A middleware that lets a call pass sees its
/// end exactly once: answered, failed, or refused by a later middleware. A middleware that refuses a call does not see its
/// end, and neither the target nor later middlewares see the call.
///
/// # Errors and panics
/// An error refuses the call with [`ErrorKind::MiddlewareRefused`](crate::ErrorKind::MiddlewareRefused) and is its reason.
/// A panic ends the call with [`ErrorKind::MiddlewarePanicked`](crate::ErrorKind::MiddlewarePanicked). Neither affects
/// other calls.
///
/// # Threads
/// The methods run concurrently on the threads that make calls. Most of these are the shards that actors run on, so a
/// method must return quickly and must not block.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use wasmcloud_host::{BoxedError, ErrorKind, HostBuilder, Invocation, InvocationResponse, Middleware};
///
/// /// Refuses all deletions, and counts the calls that fail for other reasons.
/// #[derive(Default)]
/// struct Warden {
///     failures: Arc<AtomicU32>,
/// }
///
/// impl Middleware for Warden {
///     fn actor_pre_invoke(&self, invocation: &mut Invocation) -> Result<(), BoxedError> {
///         match invocation.operation.as_str() {
///             "Delete" => Err(format!("{} may not delete", invocation.origin()).into()),
///             _ => Ok(()),
///         }
///     }
///
///     fn actor_post_invoke(&self, response: &mut InvocationResponse) -> Result<(), BoxedError> {
///         if response.answer.is_err() {
///             self.failures.fetch_add(1, Ordering::Relaxed);
///         }
///         Ok(())
///     }
/// }
///
/// # #[actix_rt::main]
/// # async fn main() -> Result<(), BoxedError> {
/// # use wasmcloud_host::signing::{ActorClaims, KeyPair, sign_module};
/// # let (account, module_key) = (KeyPair::new_account(), KeyPair::new_module());
/// # let signed = sign_module(wasmcloud_host::samples::ECHO, &ActorClaims::new("Echo"), &account, &module_key)?;
/// # let actor = wasmcloud_host::Actor::from_slice(&signed)?;
/// # let actor_id = actor.public_key();
/// let warden = Warden::default();
/// let failures = warden.failures.clone();
/// let host = HostBuilder::new().with_middleware(warden).build();
/// host.start().await?;
/// # host.start_actor(actor).await?;
///
/// assert_eq!(host.call_actor(&actor_id, "Echo", b"hello").await?, b"hello");
/// let refused = host.call_actor(&actor_id, "Delete", b"").await.unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::MiddlewareRefused);
/// assert!(refused.to_string().ends_with("the host may not delete"));
/// assert_eq!(failures.load(Ordering::Relaxed), 0);
/// # assert!(host.call_actor(&actor_id, "Nothing known", b"").await.is_err());
/// # assert_eq!(failures.load(Ordering::Relaxed), 1);
/// # host.stop().await;
/// # Ok(())
/// # }
/// ```
pub trait Middleware: Send + Sync {
    /// Sees a call to an actor before it is sent, and may rewrite its operation and payload.
    ///
    /// # Errors
    /// The call is refused, with this as the reason.
    fn actor_pre_invoke(&self, _invocation: &mut Invocation) -> Result<(), BoxedError> {
        Ok(())
    }

    /// Sees the answer of an actor, or the error of the call, and may rewrite either.
    ///
    /// # Errors
    /// The call fails with this as the reason, whatever its outcome was.
    fn actor_post_invoke(&self, _response: &mut InvocationResponse) -> Result<(), BoxedError> {
        Ok(())
    }

    /// Sees a call to a capability provider before it is sent, and may rewrite its operation and payload.
    ///
    /// # Errors
    /// The call is refused, with this as the reason.
    fn capability_pre_invoke(&self, _invocation: &mut Invocation) -> Result<(), BoxedError> {
        Ok(())
    }

    /// Sees the answer of a capability provider, or the error of the call, and may rewrite either.
    ///
    /// # Errors
    /// The call fails with this as the reason, whatever its outcome was.
    fn capability_post_invoke(&self, _response: &mut InvocationResponse) -> Result<(), BoxedError> {
        Ok(())
    }
}

/// The number of a call, its caller and its target.
#[derive(Debug)]
struct Call {
    number: u64,
    origin: WasmCloudEntity,
    target: WasmCloudEntity,
}

/// A call that is about to be sent.
#[derive(Debug)]
pub struct Invocation {
    call: Call,
    /// The operation that is requested of the target.
    pub operation: String,
    /// The payload of the request. The limits of the target apply to the payload that the middlewares leave.
    pub message: Vec<u8>,
}

impl Invocation {
    /// Returns the number of the call. It is unique among the calls that this host's middlewares see, and the same in the
    /// [`InvocationResponse`].
    pub fn number(&self) -> u64 {
        self.call.number
    }

    /// Returns the caller.
    pub fn origin(&self) -> &WasmCloudEntity {
        &self.call.origin
    }

    /// Returns the target.
    pub fn target(&self) -> &WasmCloudEntity {
        &self.call.target
    }
}

/// A call that has ended, with an answer or an error.
#[derive(Debug)]
pub struct InvocationResponse {
    call: Call,
    operation: String,
    /// The target's answer, or the error of the call. [`ErrorKind::CallerGone`](crate::ErrorKind::CallerGone) also stands
    /// for a caller that has cancelled the call or exceeded its deadline; changes of the answer then have no effect.
    pub answer: Result<Vec<u8>>,
}

impl InvocationResponse {
    /// Returns the number of the call, which is that of its [`Invocation`].
    pub fn number(&self) -> u64 {
        self.call.number
    }

    /// Returns the caller.
    pub fn origin(&self) -> &WasmCloudEntity {
        &self.call.origin
    }

    /// Returns the target.
    pub fn target(&self) -> &WasmCloudEntity {
        &self.call.target
    }

    /// Returns the operation, as the last middleware left it.
    pub fn operation(&self) -> &str {
        &self.operation
    }
}
