//! Subscriptions that tell when the server refuses them, and that end without losing messages.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Connection;

/// How long the server may take to confirm that it knows a subscription.
const CONFIRMATION: Duration = Duration::from_secs(10);

/// The number of messages after which a subscription is to end, when it ends at once. Servers read no numbers of more than
/// nine digits and then end the subscription immediately, as without a number. The client, however, goes on to deliver what
/// was on its way. Its own way to drain forgets the subscription before the server has confirmed the end.
const AT_ONCE: u64 = 10_000_000_000;

/// Returns whether the subject of an answer, which a requester names, is one of its own. Otherwise a requester could have the
/// host send to subjects of the server or of the lattice with the rights of the host.
pub fn is_inbox(subject: &str) -> bool {
    !subject.starts_with('$') && !subject.starts_with("wasmbus.") && !subject.contains(['*', '>'])
}

/// What a host subscribes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The subject. It may hold wildcards.
    pub subject: String,
    /// The queue group that shares the messages, if any.
    pub queue: Option<String>,
}

impl Subject {
    /// Returns a subject without a queue group.
    pub fn new(subject: impl Into<String>) -> Subject {
        Subject { subject: subject.into(), queue: None }
    }

    /// Returns a subject whose messages are shared by all that subscribe to it in this way.
    pub fn shared(subject: impl Into<String>) -> Subject {
        let subject = subject.into();
        Subject { queue: Some(subject.clone()), subject }
    }
}

/// A subscription as the connection knows it.
#[derive(Debug)]
pub(super) struct Interest {
    subject: String,
    is_denied: watch::Sender<bool>,
}

impl Interest {
    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    pub(super) fn deny(&self) {
        self.is_denied.send_replace(true);
    }

    fn expect_allowed(&self) -> Result<()> {
        if *self.is_denied.borrow() {
            return Err(denied(&self.subject));
        }
        Ok(())
    }
}

/// A subscription. It survives reconnections. Dropping it ends it, and messages on their way are lost: see
/// [`drain`](Subscription::drain).
#[derive(Debug)]
pub struct Subscription {
    interest: Arc<Interest>,
    is_denied: watch::Receiver<bool>,
    messages: Subscriber,
    is_drained: bool,
}

impl Subscription {
    /// Returns the subject.
    pub fn subject(&self) -> &str {
        self.interest.subject()
    }

    /// Waits for the next message. Returns `None` after the last one, when the subscription is drained or the connection is
    /// closed. Dropping the future loses no message.
    ///
    /// # Errors
    /// `LatticeUnavailable` if the server refuses the subscription.
    pub async fn next(&mut self) -> Option<Result<Message>> {
        if self.is_drained {
            // The end is confirmed, so all messages are there. A task that has received many would be told that there are none.
            return tokio::task::unconstrained(self.messages.next()).now_or_never().flatten().map(Ok);
        }
        tokio::select! {
            biased;
            message = self.messages.next() => message.map(Ok),
            _ = self.is_denied.wait_for(|is_denied| *is_denied) => Some(Err(denied(self.interest.subject()))),
        }
    }

    /// Ends the subscription without losing a message: returns when the server sends no more. `next` returns those that have
    /// arrived, and then `None`.
    ///
    /// # Errors
    /// `LatticeUnavailable` if the server does not confirm the end. Messages may have been lost.
    pub async fn drain(&mut self, connection: &Connection) -> Result<()> {
        let subject = self.interest.subject();
        let failed = |error| unavailable(format!("the subscription to {subject} cannot be ended"), error);
        self.messages.unsubscribe_after(AT_ONCE).await.map_err(failed)?;
        connection.round_trip(CONFIRMATION).await?;
        // Other threads of the server may have chosen this host for a message just before, and deliver it just after.
        connection.round_trip(CONFIRMATION).await?;
        self.is_drained = true;
        Ok(())
    }
}

impl Connection {
    /// Subscribes to a subject. Returns when the server knows the subscription.
    ///
    /// # Errors
    /// `LatticeUnavailable` if the connection is lost, or if the server refuses the subscription; `InvalidArgument` for a
    /// malformed subject.
    pub async fn subscribe(&self, subject: Subject) -> Result<Subscription> {
        let mut subscriptions = self.subscribe_all(vec![subject]).await?;
        let none = || Error::new(ErrorKind::Internal, "a subscription was made and is gone: report this");
        subscriptions.pop().ok_or_else(none)
    }

    /// Subscribes to several subjects. Returns when the server knows all of them, in the same order.
    ///
    /// # Errors
    /// As [`subscribe`](Connection::subscribe). No subscription remains then.
    pub async fn subscribe_all(&self, subjects: Vec<Subject>) -> Result<Vec<Subscription>> {
        let mut subscriptions = Vec::with_capacity(subjects.len());
        for subject in subjects {
            subscriptions.push(self.request_subscription(subject).await?);
        }
        self.round_trip(CONFIRMATION).await?;
        // The refusal precedes the answer, but another task reads it.
        tokio::task::yield_now().await;
        for subscription in &subscriptions {
            subscription.interest.expect_allowed()?;
        }
        Ok(subscriptions)
    }

    /// Requests a subscription from the server.
    async fn request_subscription(&self, subject: Subject) -> Result<Subscription> {
        let client = self.client()?;
        let Subject { subject, queue } = subject;
        let interest = Arc::new(Interest { subject: subject.clone(), is_denied: watch::Sender::new(false) });
        self.shared().register(&interest);
        let requested = match queue {
            Some(queue) => client.queue_subscribe(subject.clone(), queue).await,
            None => client.subscribe(subject.clone()).await,
        };
        let messages = requested.map_err(|error| match error.kind() {
            async_nats::SubscribeErrorKind::Other => unavailable(format!("cannot subscribe to {subject}"), error),
            _ => Error::new(ErrorKind::InvalidArgument, format!("{subject:?} is not a subject")).caused_by(error),
        })?;
        let is_denied = interest.is_denied.subscribe();
        Ok(Subscription { interest, is_denied, messages, is_drained: false })
    }
}

fn denied(subject: &str) -> Error {
    let message = format!(
        "the NATS server refuses the subscription to {subject}: allow it in the permissions of the host's user"
    );
    Error::new(ErrorKind::LatticeUnavailable, message)
}

pub(super) fn unavailable(message: String, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::LatticeUnavailable, message).caused_by(cause)
}
