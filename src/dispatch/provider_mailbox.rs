//! The mailbox of a provider's instance, and the messages that it accepts.

use std::sync::Arc;
use std::time::Duration;

use actix::dev::{RecipientRequest, ToEnvelope};
use actix::{Actor, Addr, Handler, MailboxError, Message, Recipient};
use wasmcloud_core::call::{CallContext, Request};
use wasmcloud_core::error::Result;
use wasmcloud_core::health::Health;

use crate::identity::ActorIdentity;
use crate::link::LinkDefinition;

/// A call from an actor. An instance that has been stopped returns it, to be sent to the next one.
#[derive(Debug, Message)]
#[rtype(result = "Result<Result<Vec<u8>>, ProviderCall>")]
pub(crate) struct ProviderCall {
    pub(crate) actor: Arc<str>,
    pub(crate) request: Request,
    pub(crate) context: CallContext,
}

/// A health check, to be answered within a time.
#[derive(Debug, Message)]
#[rtype(result = "Health")]
pub(crate) struct ProviderCheck {
    pub(crate) time: Duration,
}

/// A change of the provider's links, or its stop.
#[derive(Debug, Message)]
#[rtype(result = "Result<()>")]
pub(crate) enum Lifecycle {
    /// Establish a link.
    Bind { actor: Arc<ActorIdentity>, definition: Arc<LinkDefinition> },
    /// Deliver no new calls to this actor, and finish those in progress.
    Drain { actor: Arc<str> },
    /// Release the link of this actor.
    Unbind { actor: Arc<str> },
    /// Finish the calls in progress within a time, then release everything and end. Calls that take longer are abandoned.
    Stop { grace: Duration },
}

/// The recipients of one instance. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ProviderMailbox(Arc<Recipients>);

#[derive(Debug)]
struct Recipients {
    calls: Recipient<ProviderCall>,
    checks: Recipient<ProviderCheck>,
    lifecycle: Recipient<Lifecycle>,
}

impl ProviderMailbox {
    pub(crate) fn new<A>(address: Addr<A>) -> ProviderMailbox
    where
        A: Actor + Handler<ProviderCall> + Handler<ProviderCheck> + Handler<Lifecycle>,
        A::Context: ToEnvelope<A, ProviderCall> + ToEnvelope<A, ProviderCheck> + ToEnvelope<A, Lifecycle>,
    {
        ProviderMailbox(Arc::new(Recipients {
            calls: address.clone().recipient(),
            checks: address.clone().recipient(),
            lifecycle: address.recipient(),
        }))
    }

    pub(crate) fn call(&self, call: ProviderCall) -> RecipientRequest<ProviderCall> {
        self.0.calls.send(call)
    }

    pub(crate) fn check(&self, time: Duration) -> RecipientRequest<ProviderCheck> {
        self.0.checks.send(ProviderCheck { time })
    }

    /// Changes a link, or stops the provider, and waits for its answer.
    ///
    /// # Errors
    /// The instance has ended.
    pub(crate) async fn change(&self, change: Lifecycle) -> Result<Result<()>, MailboxError> {
        self.0.lifecycle.send(change).await
    }
}

impl std::fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            // The link is named in the error around this name.
            Lifecycle::Bind { .. } => "bind",
            Lifecycle::Drain { .. } => "drain",
            Lifecycle::Unbind { .. } => "unbind",
            Lifecycle::Stop { .. } => "stop",
        })
    }
}
