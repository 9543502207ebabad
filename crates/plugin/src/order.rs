//! What a provider is asked for and answers, wherever it runs.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use wasmcloud_core::error::{BoxedError, Error, ErrorKind, printable};
use wasmcloud_provider::Binding;

/// The longest name of an actor or of an operation that a provider may call, in bytes.
const LONGEST_NAME: usize = 64 * 1024;

/// Something to do for a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Order {
    Bind(LinkOrder),
    Drain { actor: String },
    Unbind { actor: String },
    Call(CallOrder),
    Check,
    Stop,
}

/// A link to take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LinkOrder {
    pub(super) actor: String,
    pub(super) actor_name: String,
    pub(super) issuer: String,
    pub(super) capabilities: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) expires: u64,
    pub(super) values: Vec<(String, String)>,
}

/// A call to serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CallOrder {
    pub(super) id: u64,
    /// In milliseconds.
    pub(super) time_left: u64,
    pub(super) actor: String,
    pub(super) operation: String,
    pub(super) message: ByteBuf,
}

/// What a provider asks of an actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ActorRequest {
    /// The call that it is part of, or 0.
    pub(super) within: u64,
    pub(super) actor: String,
    pub(super) operation: String,
    pub(super) message: ByteBuf,
}

/// What came of an order, or of what a provider asked of an actor.
pub(super) type Outcome = Result<ByteBuf, Failure>;

/// What went wrong on the other side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
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

impl Order {
    /// What it is called in errors.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Order::Bind(_) => "link",
            Order::Drain { .. } | Order::Unbind { .. } => "release of a link",
            Order::Call(_) => "call",
            Order::Check => "health check",
            Order::Stop => "stop",
        }
    }
}

impl LinkOrder {
    pub(super) fn of(binding: Binding) -> LinkOrder {
        let Binding { actor, actor_name, issuer, capabilities, tags, expires, values, .. } = binding;
        let (expires, values) = (expires.unwrap_or(0), values.into_iter().collect());
        LinkOrder { actor, actor_name, issuer, capabilities, tags, expires, values }
    }
}

impl ActorRequest {
    /// Makes sure that a call of these lengths is one that the host takes.
    ///
    /// # Errors
    /// What is too long: the same wherever the plugin runs.
    pub(super) fn expect_lengths(names: [usize; 2], message: usize, largest: usize) -> Result<(), Failure> {
        let refused = |text| Err(Failure::new(FailureKind::Failed, text));
        if message > largest {
            return refused(format!("a message of {message} bytes is larger than the limit of {largest}"));
        }
        match names.into_iter().max() {
            Some(name) if name > LONGEST_NAME => {
                refused(format!("a name of {name} bytes is longer than the limit of {LONGEST_NAME}"))
            }
            _ => Ok(()),
        }
    }

    /// The same for a call that has come from a plugin's process.
    ///
    /// # Errors
    /// As above.
    pub(super) fn expect_lengths_of(&self, largest: usize) -> Result<(), Failure> {
        let names = [self.actor.len(), self.operation.len()];
        ActorRequest::expect_lengths(names, self.message.len(), largest)
    }
}

impl Failure {
    pub(super) fn nobody_answers() -> Failure {
        Failure::new(FailureKind::Unavailable, "the provider was stopped before the actor answered")
    }

    /// What a provider is told where its host has no room for what it asks for.
    pub(super) fn busy(text: impl Into<String>) -> Failure {
        Failure::new(FailureKind::Unavailable, text)
    }

    pub(super) fn new(kind: FailureKind, text: impl Into<String>) -> Failure {
        Failure { kind, text: text.into() }
    }

    /// What a provider is told of a call to an actor that failed.
    pub(super) fn of(error: &Error) -> Failure {
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
        Failure::new(kind, error.to_string())
    }

    /// What a provider's failure is for whoever asked.
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
