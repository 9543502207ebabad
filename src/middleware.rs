//! What an embedder puts between the callers and the targets of a host: middlewares, which see each call before it is
//! sent and after it has been answered.

pub(crate) mod chain;

use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{BoxedError, Result};

/// Stands between the callers and the targets of a host, and may watch, rewrite or refuse calls.
///
/// It is installed with [`HostBuilder::with_middleware`](crate::HostBuilder::with_middleware). The methods do nothing
/// unless they are written out.
///
/// # Which calls
/// All of them, whoever makes them: the embedder, an actor or a provider. They come here once it is settled what the
/// target is and that the caller may call it, so a middleware can narrow what the host allows and never widen it. What
/// the host asks of providers itself, to take a link for instance, is no call.
///
/// # Order
/// Of several middlewares the one installed first sees a call first and its answer last. One that has let a call pass
/// sees how it ended, exactly once: answered, failed, or refused by a middleware further in. One that refuses a call
/// does not hear of it again, and neither the target nor the middlewares further in ever see it.
///
/// # Errors and panics
/// An error refuses the call with [`ErrorKind::MiddlewareRefused`](crate::ErrorKind::MiddlewareRefused) and the error as
/// its reason. A panic is caught and ends the call with
/// [`ErrorKind::MiddlewarePanicked`](crate::ErrorKind::MiddlewarePanicked). Either concerns this call and nothing else.
///
/// # Threads
/// The methods run on the threads that make calls, several at once, and those are mostly the shards that actors run on:
/// they must be quick and must not block.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use wasmcloud_host::{BoxedError, ErrorKind, HostBuilder, Invocation, InvocationResponse, Middleware};
///
/// /// Lets nobody delete anything, and counts the calls that fail for other reasons.
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
    /// Sees a call to an actor before it is sent, and may rewrite its operation and message.
    ///
    /// # Errors
    /// The call is refused, with this as the reason.
    fn actor_pre_invoke(&self, _invocation: &mut Invocation) -> Result<(), BoxedError> {
        Ok(())
    }

    /// Sees the answer of an actor, or why there is none, and may rewrite either.
    ///
    /// # Errors
    /// The call fails with this as the reason, whatever had come of it.
    fn actor_post_invoke(&self, _response: &mut InvocationResponse) -> Result<(), BoxedError> {
        Ok(())
    }

    /// Sees a call to a capability provider before it is sent, and may rewrite its operation and message.
    ///
    /// # Errors
    /// The call is refused, with this as the reason.
    fn capability_pre_invoke(&self, _invocation: &mut Invocation) -> Result<(), BoxedError> {
        Ok(())
    }

    /// Sees the answer of a capability provider, or why there is none, and may rewrite either.
    ///
    /// # Errors
    /// The call fails with this as the reason, whatever had come of it.
    fn capability_post_invoke(&self, _response: &mut InvocationResponse) -> Result<(), BoxedError> {
        Ok(())
    }
}

/// Which call it is, and between whom.
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
    /// What is asked of the target.
    pub operation: String,
    /// The payload. What an actor is given counts against its limits with what a middleware has made of it.
    pub message: Vec<u8>,
}

impl Invocation {
    /// Which call it is: of those that the host shows its middlewares, no other has this number. By it, what is seen
    /// before a call and after it can be brought together.
    pub fn number(&self) -> u64 {
        self.call.number
    }

    /// Who calls.
    pub fn origin(&self) -> &WasmCloudEntity {
        &self.call.origin
    }

    /// Who is called.
    pub fn target(&self) -> &WasmCloudEntity {
        &self.call.target
    }
}

/// A call that has ended, one way or the other.
#[derive(Debug)]
pub struct InvocationResponse {
    call: Call,
    operation: String,
    /// The answer of the target, or why there is none. [`ErrorKind::CallerGone`](crate::ErrorKind::CallerGone) also
    /// stands for a caller that has given up or run out of time, wherever the call was then; there, nobody is left to
    /// be told what a middleware makes of it.
    pub answer: Result<Vec<u8>>,
}

impl InvocationResponse {
    /// Which call it was: the number of its [`Invocation`].
    pub fn number(&self) -> u64 {
        self.call.number
    }

    /// Who called.
    pub fn origin(&self) -> &WasmCloudEntity {
        &self.call.origin
    }

    /// Who was called.
    pub fn target(&self) -> &WasmCloudEntity {
        &self.call.target
    }

    /// What was asked of the target, as the last middleware left it.
    pub fn operation(&self) -> &str {
        &self.operation
    }
}
