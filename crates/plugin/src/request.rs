//! The requests between host and provider, and their outcomes. They are the same for plugins in either process.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use wasmcloud_core::error::{BoxedError, Error, ErrorKind, printable};
use wasmcloud_provider::Binding;

/// The size of the longest name of an actor or operation that a provider may call, in bytes.
const LONGEST_NAME: usize = 64 * 1024;

/// A request of the host to a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ProviderRequest {
    Bind(LinkRequest),
    Drain { actor: String },
    Unbind { actor: String },
    Call(CallRequest),
    Check,
    Stop,
}

/// The arguments of [`ProviderRequest::Bind`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LinkRequest {
    pub(super) actor: String,
    pub(super) actor_name: String,
    pub(super) issuer: String,
    pub(super) capabilities: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) expires: u64,
    pub(super) values: Vec<(String, String)>,
}

/// A call of an actor to the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CallRequest {
    pub(super) id: u64,
    /// The time until the call's deadline, in milliseconds.
    pub(super) time_left: u64,
    pub(super) actor: String,
    pub(super) operation: String,
    #[serde(rename = "message")]
    pub(super) payload: ByteBuf,
}

/// A call of the provider to an actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ActorRequest {
    /// The id of the call that this call is part of, or 0.
    pub(super) within: u64,
    pub(super) actor: String,
    pub(super) operation: String,
    #[serde(rename = "message")]
    pub(super) payload: ByteBuf,
}

/// The outcome of a request, in either direction.
pub(super) type Outcome = Result<ByteBuf, RequestFailure>;

/// Why a request failed on the other side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RequestFailure {
    pub(super) kind: FailureKind,
    pub(super) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum FailureKind {
    Failed,
    Panicked,
    TimedOut,
    Unavailable,
}

impl ProviderRequest {
    /// Returns the name of the request in errors.
    pub(super) fn name(&self) -> &'static str {
        match self {
            ProviderRequest::Bind(_) => "link",
            ProviderRequest::Drain { .. } | ProviderRequest::Unbind { .. } => "release of a link",
            ProviderRequest::Call(_) => "call",
            ProviderRequest::Check => "health check",
            ProviderRequest::Stop => "stop",
        }
    }
}

impl From<Binding> for LinkRequest {
    fn from(binding: Binding) -> LinkRequest {
        let Binding { actor, actor_name, issuer, capabilities, tags, expires, values, .. } = binding;
        LinkRequest {
            actor,
            actor_name,
            issuer,
            capabilities,
            tags,
            expires: expires.unwrap_or(0),
            values: values.into_iter().collect(),
        }
    }
}

impl ActorRequest {
    /// Checks the sizes of a call before it is copied.
    ///
    /// # Errors
    /// `Failed` if a name or the payload is too large.
    pub(super) fn check_sizes(names: [usize; 2], payload: usize, largest_payload: usize) -> Result<(), RequestFailure> {
        let refused = |text| Err(RequestFailure::new(FailureKind::Failed, text));
        if payload > largest_payload {
            return refused(format!("a payload of {payload} bytes is larger than the limit of {largest_payload}"));
        }
        match names.into_iter().max() {
            Some(name) if name > LONGEST_NAME => {
                refused(format!("a name of {name} bytes is longer than the limit of {LONGEST_NAME}"))
            }
            _ => Ok(()),
        }
    }

    /// Checks the sizes of this call.
    ///
    /// # Errors
    /// The errors of [`ActorRequest::check_sizes`].
    pub(super) fn check_own_sizes(&self, largest_payload: usize) -> Result<(), RequestFailure> {
        let names = [self.actor.len(), self.operation.len()];
        ActorRequest::check_sizes(names, self.payload.len(), largest_payload)
    }
}

impl RequestFailure {
    /// Returns the failure of a call to an actor whose provider was stopped.
    pub(super) fn stopped() -> RequestFailure {
        RequestFailure::new(FailureKind::Unavailable, "the provider was stopped before the actor answered")
    }

    /// Returns the failure of a call that exceeds a limit of the host. A later call may succeed.
    pub(super) fn busy(text: impl Into<String>) -> RequestFailure {
        RequestFailure::new(FailureKind::Unavailable, text)
    }

    pub(super) fn new(kind: FailureKind, text: impl Into<String>) -> RequestFailure {
        RequestFailure { kind, text: text.into() }
    }

    /// Returns the failure of a call to an actor in the form for the provider.
    pub(super) fn of(error: &Error) -> RequestFailure {
        let kind = match error.kind() {
            ErrorKind::DeadlineExceeded => FailureKind::TimedOut,
            ErrorKind::Busy
            | ErrorKind::ActorNotFound
            | ErrorKind::ActorStopped
            | ErrorKind::ChildFailed
            | ErrorKind::HostNotRunning
            | ErrorKind::NotLinked => FailureKind::Unavailable,
            _ => FailureKind::Failed,
        };
        RequestFailure::new(kind, error.to_string())
    }

    /// Returns the failure of a request to a provider in the form for the caller.
    pub(super) fn into_error(self) -> BoxedError {
        let text = printable(self.text.as_bytes());
        match self.kind {
            FailureKind::Panicked => {
                Error::new(ErrorKind::ProviderPanicked, format!("the provider panicked: {text}")).into()
            }
            FailureKind::TimedOut => Error::new(ErrorKind::DeadlineExceeded, text).into(),
            FailureKind::Failed | FailureKind::Unavailable => text.into(),
        }
    }
}
