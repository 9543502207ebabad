//! Authorizers: an embedder's decisions about starts, calls and links, beyond those of tokens and links.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use wasmcloud_claims::jwt::{self, Claims};
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::BoxedError;

/// Decides which actors and providers may start, and which calls may be made.
///
/// [`HostBuilder::with_authorizer`](crate::HostBuilder::with_authorizer) sets the authorizer of a host. Without one, the
/// host allows whatever tokens, links and the [`TrustPolicy`](crate::TrustPolicy) allow.
///
/// # Decisions
/// The authorizer decides about **every** call: of the embedder ([`Host::call_actor`](crate::Host::call_actor)), of actors
/// and of providers. It also decides about every link before it is established. It comes after the host's own rules, so it
/// can refuse what they allow, and cannot allow what they refuse. It comes before the middlewares, and does not see the
/// operations that they rewrite. Requests of the host itself, such as health checks, are not calls.
///
/// # Immediate and later decisions
/// A decision that is known at once ([`Decision::Now`]) costs the call no more than the method. A decision that takes time
/// is a future ([`Decision::Later`]), which runs on one of the host's threads while the call waits, until the call's
/// deadline at most. If the name of the target resolves to another actor or provider by then, the authorizer decides again.
/// It also decides again about a call that has waited for the restart of a provider.
///
/// # Errors and panics
/// A refusal, an error or a panic fails the call with [`ErrorKind::Unauthorized`](crate::ErrorKind::Unauthorized). A
/// decision that exceeds the call's deadline fails the call with
/// [`ErrorKind::DeadlineExceeded`](crate::ErrorKind::DeadlineExceeded). Neither affects other calls.
///
/// # Threads
/// The methods run concurrently on the threads that make calls. Most of these are the shards that actors run on, so a
/// method must return quickly and must not block.
///
/// ```
/// use wasmcloud_host::jwt::{self, Claims};
/// use wasmcloud_host::{Authorizer, Decision, HostBuilder, Origin, WasmCloudEntity};
///
/// /// Lets only actors delete, and starts no anonymous actor.
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
    /// Decides whether an actor may start, or replace its running revision. Default: allowed.
    fn can_load(&self, _claims: &Claims<jwt::Actor>) -> Decision {
        Decision::Now(Ok(()))
    }

    /// Decides whether a provider may start. Default: allowed.
    fn can_load_provider(&self, _claims: &Claims<jwt::CapabilityProvider>) -> Decision {
        Decision::Now(Ok(()))
    }

    /// Decides whether a call may be made. For a link, the origin is the actor, the target the provider and the operation
    /// `BindActor`.
    fn can_invoke(&self, origin: Origin<'_>, target: &WasmCloudEntity, operation: &str) -> Decision;
}

/// The caller, with its claims.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Origin<'a> {
    /// The host, on behalf of its embedder.
    Host,
    /// An actor, with the claims of its token.
    Actor(&'a Claims<jwt::Actor>),
    /// A provider, with its claims. Only the program vouches for the claims of a provider that is part of it.
    Provider(&'a Claims<jwt::CapabilityProvider>),
}

/// A decision of an [`Authorizer`]. It converts from a `bool`, and from a `Result` whose error is the reason of a refusal.
/// [`Decision::later`] makes one that takes time.
pub enum Decision {
    /// A decision that is known at once. The error is the reason of a refusal.
    Now(Result<(), BoxedError>),
    /// A decision that takes time. The future runs on a thread of the host, within a tokio runtime.
    Later(Later),
}

/// A decision that takes time. The error is the reason of a refusal.
pub(crate) type Later = Pin<Box<dyn Future<Output = Result<(), BoxedError>> + Send>>;

impl Decision {
    /// Returns a decision that takes time. The future's error is the reason of a refusal.
    pub fn later(answer: impl Future<Output = Result<(), BoxedError>> + Send + 'static) -> Decision {
        Decision::Later(Box::pin(answer))
    }
}

impl From<bool> for Decision {
    fn from(allowed: bool) -> Decision {
        Decision::Now(if allowed { Ok(()) } else { Err("no reason was given".into()) })
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
