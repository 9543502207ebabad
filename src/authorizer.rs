//! What an embedder decides about loads, calls and links, beyond what tokens and links allow.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use wasmcloud_claims::jwt::{self, Claims};
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::BoxedError;

/// Decides which actors and providers may be started, and who may call whom.
///
/// It is installed with [`HostBuilder::with_authorizer`](crate::HostBuilder::with_authorizer). Without one, what tokens,
/// links and the [`TrustPolicy`](crate::TrustPolicy) allow is allowed.
///
/// # When it is asked
/// About **every** call, whoever makes it: the embedder ([`Host::call_actor`](crate::Host::call_actor)), an actor, or a
/// provider; and about every link that is established. It is asked last, after the host's own rules, so it can refuse what
/// they allow and never allow what they refuse. Middlewares come after it: what they make of the operation is theirs to
/// answer for. What the host asks of actors and providers itself, such as how they are, is no call.
///
/// # Now or later
/// An answer known at once ([`Decision::Now`]) costs the call nothing but the method. One that takes time is a future
/// ([`Decision::Later`]), which is run on one of the host's threads while the call waits, no longer than the call may take;
/// if it leads elsewhere by then, the authorizer is asked again. A call that waits for the restart of a provider is asked
/// about again too.
///
/// # Errors and panics
/// A refusal, an error and a panic refuse that one call with
/// [`ErrorKind::Unauthorized`](crate::ErrorKind::Unauthorized). One that takes longer than the call has fails it with
/// [`ErrorKind::DeadlineExceeded`](crate::ErrorKind::DeadlineExceeded).
///
/// # Threads
/// The methods run on the threads that make calls, several at once, and those are mostly the shards that actors run on:
/// they must be quick and must not block.
///
/// ```
/// use wasmcloud_host::jwt::{self, Claims};
/// use wasmcloud_host::{Authorizer, Decision, HostBuilder, Origin, WasmCloudEntity};
///
/// /// Lets only actors delete anything, and starts none that is anonymous.
/// struct Clerk;
///
/// impl Authorizer for Clerk {
///     fn can_load(&self, claims: &Claims<jwt::Actor>) -> Decision {
///         (claims.name() != "Anonymous").into()
///     }
///
///     fn can_invoke(&self, origin: Origin<'_>, _target: &WasmCloudEntity, operation: &str) -> Decision {
///         (operation != "Delete" || matches!(origin, Origin::Actor(_))).into()
///     }
/// }
///
/// let host = HostBuilder::new().with_authorizer(Clerk).build();
/// ```
pub trait Authorizer: Send + Sync {
    /// Whether an actor may be started, or be another revision of one that runs. All may by default.
    fn can_load(&self, _claims: &Claims<jwt::Actor>) -> Decision {
        Decision::Now(Ok(()))
    }

    /// Whether a provider may be started. All may by default.
    fn can_load_provider(&self, _claims: &Claims<jwt::CapabilityProvider>) -> Decision {
        Decision::Now(Ok(()))
    }

    /// Whether a call may be made. For a link, this is asked with the actor as the origin, the provider as the target and
    /// the operation `BindActor`.
    fn can_invoke(&self, origin: Origin<'_>, target: &WasmCloudEntity, operation: &str) -> Decision;
}

/// Who makes a call, with what is known of it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Origin<'a> {
    /// The host, for whoever embeds it.
    Host,
    /// An actor, with the claims of its token.
    Actor(&'a Claims<jwt::Actor>),
    /// A provider, with its claims. Of one that is part of the program, nobody but the program vouches for them.
    Provider(&'a Claims<jwt::CapabilityProvider>),
}

/// An authorizer's answer. It is made of a `bool`, or of a `Result` whose error is the reason of a refusal; or, where it takes
/// time, by [`Decision::later`].
pub enum Decision {
    /// This is the answer.
    Now(Result<(), BoxedError>),
    /// The answer takes time. The future is run on a thread of the host, where there is a tokio runtime.
    Later(Later),
}

/// An answer that takes time.
pub(crate) type Later = Pin<Box<dyn Future<Output = Result<(), BoxedError>> + Send>>;

impl Decision {
    /// An answer that takes time: the error, if there is one, is the reason of the refusal.
    pub fn later(answer: impl Future<Output = Result<(), BoxedError>> + Send + 'static) -> Decision {
        Decision::Later(Box::pin(answer))
    }
}

impl From<bool> for Decision {
    fn from(allowed: bool) -> Decision {
        Decision::Now(if allowed { Ok(()) } else { Err("it gives no reason".into()) })
    }
}

impl<E: Into<BoxedError>> From<Result<(), E>> for Decision {
    fn from(answer: Result<(), E>) -> Decision {
        Decision::Now(answer.map_err(Into::into))
    }
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Decision::Now(answer) => f.debug_tuple("Now").field(answer).finish(),
            Decision::Later(_) => f.write_str("Later"),
        }
    }
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Host => f.write_str("the host"),
            Origin::Actor(claims) => write!(f, "actor {}", claims.subject),
            Origin::Provider(claims) => write!(f, "provider {}", claims.subject),
        }
    }
}
