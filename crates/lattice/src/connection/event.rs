//! The events of a connection, and their counts.

use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::{Event, ServerError};

/// The prefix of the errors by which a server refuses a subject.
const VIOLATION: &str = "permissions violation for ";

/// An event of a connection. Each is counted, also those that no receiver saw in time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// The host is connected, for the first time or again.
    Connected {
        /// The number of connections so far.
        epoch: u64,
    },
    /// The connection is lost.
    Disconnected,
    /// An attempt to connect failed.
    AttemptFailed {
        /// Why it failed.
        reason: String,
    },
    /// Messages of a subscription were dropped, since the host was too slow. The client reports at least one event for each
    /// burst; in a long burst some events are merged.
    SlowConsumer,
    /// The server is about to shut down and asks its clients to move to another.
    LameDuck,
    /// The server refused to let the host publish on a subject or subscribe to it.
    PermissionDenied {
        /// Whether a subscription was refused. Otherwise, a message was.
        is_subscription: bool,
        /// The subject.
        subject: String,
    },
    /// The server reported another error.
    ServerError {
        /// The server's text.
        text: String,
    },
    /// The connection is closed for good.
    Closed,
}

impl ConnectionEvent {
    /// Returns the event of a client, unless it only repeats what the state of the client tells. `is_connected` tells apart a
    /// failed attempt from an error of a connection.
    pub(super) fn of_client(event: Event) -> Option<ConnectionEvent> {
        match event {
            Event::Connected | Event::Disconnected | Event::Draining => None,
            Event::LameDuckMode => Some(ConnectionEvent::LameDuck),
            Event::Closed => Some(ConnectionEvent::Closed),
            Event::SlowConsumer(_) | Event::ServerError(ServerError::SlowConsumer(_)) => {
                Some(ConnectionEvent::SlowConsumer)
            }
            Event::ServerError(ServerError::Other(text)) => Some(of_server_text(text)),
            Event::ServerError(error) => Some(ConnectionEvent::ServerError { text: error.to_string() }),
            Event::ClientError(error) => Some(ConnectionEvent::AttemptFailed { reason: error.to_string() }),
        }
    }
}

/// Returns the event of an error of the server, such as `Permissions Violation for Publish to "a.b"`.
fn of_server_text(text: String) -> ConnectionEvent {
    let lower = text.to_ascii_lowercase();
    let Some(rest) = lower.strip_prefix(VIOLATION) else { return ConnectionEvent::ServerError { text } };
    let mut quoted = text.split('"');
    match quoted.nth(1) {
        Some(subject) => ConnectionEvent::PermissionDenied {
            is_subscription: rest.starts_with("subscription"),
            subject: subject.to_owned(),
        },
        None => ConnectionEvent::ServerError { text },
    }
}

/// How often each event of a connection has occurred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionCounts {
    /// The connections made, the first included.
    pub connects: u64,
    /// The connections lost.
    pub disconnects: u64,
    /// The attempts to connect that failed.
    pub failed_attempts: u64,
    /// The reports of dropped messages. At least one message was dropped for each.
    pub slow_consumers: u64,
    /// The announcements of a server's shutdown.
    pub lame_ducks: u64,
    /// The subjects refused by the server.
    pub permissions_denied: u64,
    /// The other errors of the server.
    pub server_errors: u64,
    /// What came and went.
    pub traffic: Traffic,
}

/// The messages that came and went over a connection, without the overhead of the protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Messages that came.
    pub messages_in: u64,
    /// Messages that went.
    pub messages_out: u64,
    /// Bytes that came.
    pub bytes_in: u64,
    /// Bytes that went.
    pub bytes_out: u64,
}

/// The counters of events.
#[derive(Debug, Default)]
pub(super) struct Counters {
    failed_attempts: AtomicU64,
    slow_consumers: AtomicU64,
    lame_ducks: AtomicU64,
    permissions_denied: AtomicU64,
    server_errors: AtomicU64,
}

impl Counters {
    /// Counts an event. Connections and their losses are counted by the client itself.
    pub(super) fn count(&self, event: &ConnectionEvent) {
        let counter = match event {
            ConnectionEvent::AttemptFailed { .. } => &self.failed_attempts,
            ConnectionEvent::SlowConsumer => &self.slow_consumers,
            ConnectionEvent::LameDuck => &self.lame_ducks,
            ConnectionEvent::PermissionDenied { .. } => &self.permissions_denied,
            ConnectionEvent::ServerError { .. } => &self.server_errors,
            ConnectionEvent::Connected { .. } | ConnectionEvent::Disconnected | ConnectionEvent::Closed => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the counts, given those of the client.
    pub(super) fn read(&self, connects: u64, disconnects: u64, traffic: Traffic) -> ConnectionCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ConnectionCounts {
            connects,
            disconnects,
            failed_attempts: read(&self.failed_attempts),
            slow_consumers: read(&self.slow_consumers),
            lame_ducks: read(&self.lame_ducks),
            permissions_denied: read(&self.permissions_denied),
            server_errors: read(&self.server_errors),
            traffic,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_subjects_are_told_apart_from_other_errors() {
        let event = |text: &str| of_server_text(text.to_owned());
        let denied = |is_subscription, subject: &str| ConnectionEvent::PermissionDenied {
            is_subscription,
            subject: subject.to_owned(),
        };
        assert_eq!(event("Permissions Violation for Publish to \"a.b\""), denied(false, "a.b"));
        let queue = "Permissions Violation for Subscription to \"A.b\" using queue \"q\"";
        assert_eq!(event(queue), denied(true, "A.b"));
        for other in ["Permissions Violation for ", "maximum payload exceeded", ""] {
            assert_eq!(event(other), ConnectionEvent::ServerError { text: other.to_owned() });
        }
    }
}
