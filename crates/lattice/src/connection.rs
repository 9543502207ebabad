//! A connection with NATS that never fails its host: it is made in the background, again and again, and its losses are
//! states and events.
//!
//! The first connection is retried here. Later ones are made by the client of the crate `async-nats`, which keeps
//! subscriptions. A task observes that client: its events wake the task, and as events may be lost in a storm of them, it
//! also looks at the client's state at intervals.

mod close;
mod dial;
mod event;
mod shared;
mod state;
mod subscription;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Message, Request, RequestErrorKind};
use bytes::Bytes;
use tokio::sync::{broadcast, watch};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::namespace::Namespace;
use crate::options::{ConnectionOptions, Source};
use shared::Shared;
use subscription::unavailable;

pub(crate) use dial::random_share;
pub use event::{ConnectionCounts, ConnectionEvent, Traffic};
pub use state::{ConnectionStatus, LatticeState, Mark, ServerFacts};
pub use subscription::{Subject, Subscription, is_inbox};

/// How often the client is looked at without an event.
const OBSERVATION: Duration = Duration::from_millis(100);

/// How often a client that the embedder supplied is asked whether it still exists. Unit: observations.
const EXISTENCE: u32 = 20;

/// A connection. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connection {
    shared: Arc<Shared>,
    /// A subject without subscribers: the server itself answers requests.
    echo: Arc<str>,
    /// Whether the client is the embedder's.
    is_ready: bool,
}

impl Connection {
    /// Starts to connect, and returns at once. The tasks run on the current tokio runtime. `role` names the connection in
    /// logs and in the server's list of clients.
    ///
    /// # Errors
    /// `InvalidArgument` for invalid options.
    pub fn start(options: &ConnectionOptions, namespace: &Namespace, role: &'static str) -> Result<Connection> {
        options.validate(role)?;
        let shared = Arc::new(Shared::new(role));
        let echo = namespace.peer("echo").into();
        let connection = match options.source.clone() {
            Source::Ready(client) => {
                shared.set_client(client);
                shared.observe();
                Connection { shared, echo, is_ready: true }
            }
            Source::Servers(_) => Connection { shared, echo, is_ready: false },
        };
        tokio::spawn(serve(Arc::clone(&connection.shared), options.clone()));
        Ok(connection)
    }

    /// Returns the state.
    pub fn state(&self) -> LatticeState {
        self.shared.status().borrow().state.clone()
    }

    /// Returns a receiver of the state and the epoch.
    pub fn watch(&self) -> watch::Receiver<ConnectionStatus> {
        self.shared.status()
    }

    /// Returns a receiver of events. One that lags is told how many it missed, and [`counts`](Connection::counts) holds all.
    pub fn events(&self) -> broadcast::Receiver<ConnectionEvent> {
        self.shared.events()
    }

    /// Returns how often each event has occurred.
    pub fn counts(&self) -> ConnectionCounts {
        let connects = self.shared.connects();
        let is_lost = connects > 0 && !self.shared.is_connected();
        self.shared.counters.read(connects, connects.saturating_sub(1) + u64::from(is_lost), self.shared.traffic())
    }

    /// Waits until the host is connected. Returns whether it is: not if the connection is closed before.
    pub async fn joined(&self) -> bool {
        let mut status = self.watch();
        let mut closing = self.shared.closing();
        tokio::select! {
            joined = status.wait_for(|status| status.state.is_joined()) => joined.is_ok(),
            _ = closing.wait_for(|is_closing| *is_closing) => false,
        }
    }

    /// Returns the client.
    ///
    /// # Errors
    /// `LatticeUnavailable` while it is not connected: it would keep what is sent for later.
    pub fn client(&self) -> Result<&Client> {
        match self.shared.client() {
            Some(client) if self.shared.is_connected() => Ok(client),
            _ => {
                let message = format!("the host is not connected with the lattice ({})", self.state());
                Err(Error::new(ErrorKind::LatticeUnavailable, message))
            }
        }
    }

    /// Returns what the server tells about itself, or `None` before the first connection.
    pub fn server(&self) -> Option<ServerFacts> {
        let info = self.shared.client()?.try_server_info()?;
        Some(ServerFacts {
            name: info.server_name,
            version: info.version,
            max_payload: info.max_payload,
            has_jetstream: info.jetstream,
            has_headers: info.headers,
        })
    }

    /// Returns the largest message that the server accepts, or `None` before the first connection. Unit: bytes.
    pub fn max_payload(&self) -> Option<usize> {
        self.shared.client().map(Client::max_payload)
    }

    /// Marks the current moment, before a request is sent.
    ///
    /// # Errors
    /// `LatticeUnavailable` while the host is not connected.
    pub fn mark(&self) -> Result<Mark> {
        self.client()?;
        Ok(Mark { epoch: self.shared.connects() })
    }

    /// Returns whether the connection has held since a mark. If it has not, answers to requests of before are lost.
    pub fn is_unbroken(&self, mark: Mark) -> bool {
        self.shared.is_connected() && self.shared.connects() == mark.epoch
    }

    /// Waits until the connection that a mark belongs to is lost.
    pub async fn broken(&self, mark: Mark) {
        let mut status = self.watch();
        while self.is_unbroken(mark) {
            if status.changed().await.is_err() {
                return;
            }
        }
    }

    /// Publishes a message.
    ///
    /// # Errors
    /// `LatticeUnavailable` while the host is not connected; `MessageTooLarge` beyond the server's limit.
    pub async fn publish(&self, subject: impl Into<String>, payload: Bytes) -> Result<()> {
        let subject = subject.into();
        self.client()?.publish(subject.clone(), payload).await.map_err(|error| match error.kind() {
            async_nats::client::PublishErrorKind::MaxPayloadExceeded => {
                let message = format!("a message on {subject} is larger than the NATS server accepts");
                Error::new(ErrorKind::MessageTooLarge, message).caused_by(error)
            }
            _ => unavailable(format!("cannot publish on {subject}"), error),
        })
    }

    /// Sends a request and waits for one answer.
    ///
    /// # Errors
    /// `LatticeUnavailable` if it was not sent or the subject has no subscriber; `OutcomeUnknown` if the connection was lost
    /// after it was sent; `DeadlineExceeded` without an answer in time; `MessageTooLarge` beyond the server's limit.
    pub async fn request(&self, subject: impl Into<String>, payload: Bytes, limit: Duration) -> Result<Message> {
        self.send_request(subject, Request::new().payload(payload).timeout(Some(limit))).await
    }

    /// Sends a request, which may have headers, and waits for one answer.
    ///
    /// # Errors
    /// As [`request`](Connection::request).
    pub async fn send_request(&self, subject: impl Into<String>, request: Request) -> Result<Message> {
        let subject = subject.into();
        let mark = self.mark()?;
        let outcome = tokio::select! {
            biased;
            outcome = self.client()?.send_request(subject.clone(), request) => outcome,
            () = self.broken(mark) => {
                let message = format!("the connection was lost before a request on {subject} was answered");
                return Err(Error::new(ErrorKind::OutcomeUnknown, message));
            }
        };
        outcome.map_err(|error| {
            let kind = match error.kind() {
                RequestErrorKind::TimedOut => ErrorKind::DeadlineExceeded,
                RequestErrorKind::MaxPayloadExceeded => ErrorKind::MessageTooLarge,
                _ => ErrorKind::LatticeUnavailable,
            };
            Error::new(kind, format!("the request on {subject} failed")).caused_by(error)
        })
    }

    /// Waits until the server has read all that was sent before. A client's own `flush` only waits for its socket, and
    /// succeeds even if the connection was lost meanwhile.
    ///
    /// # Errors
    /// `LatticeUnavailable` if the connection is lost or the server does not answer in time. What was sent may be lost.
    pub async fn round_trip(&self, limit: Duration) -> Result<()> {
        let mark = self.mark()?;
        let request = Request::new().payload(Bytes::new()).timeout(Some(limit));
        let outcome = tokio::select! {
            biased;
            outcome = self.client()?.send_request(self.echo.to_string(), request) => outcome,
            () = self.broken(mark) => {
                let message = "the connection was lost before the NATS server confirmed what was sent";
                return Err(Error::new(ErrorKind::LatticeUnavailable, message));
            }
        };
        match outcome {
            Err(error) if error.kind() != RequestErrorKind::NoResponders => {
                Err(unavailable("the NATS server does not confirm what was sent".to_owned(), error))
            }
            _ => Ok(()),
        }
    }

    fn shared(&self) -> &Shared {
        &self.shared
    }
}

/// Makes the connection, and observes it until it is closed.
async fn serve(shared: Arc<Shared>, options: ConnectionOptions) {
    let is_ready = match &options.source {
        Source::Ready(_) => true,
        Source::Servers(servers) => {
            let Some(client) = dial::dial(&shared, &options, servers).await else { return };
            shared.set_client(client);
            false
        }
    };
    let mut closing = shared.closing();
    for round in 0_u32.. {
        shared.observe();
        if is_ready && round % EXISTENCE == 0 && client_is_gone(&shared).await {
            shared.client_is_gone();
            return;
        }
        tokio::select! {
            () = shared.changed.notified() => {}
            () = tokio::time::sleep(OBSERVATION) => {}
            _ = closing.wait_for(|is_closing| *is_closing) => return,
        }
    }
}

/// Returns whether the embedder has closed its client. A client that is reconnecting does not answer at all.
async fn client_is_gone(shared: &Shared) -> bool {
    let Some(client) = shared.client() else { return false };
    matches!(tokio::time::timeout(OBSERVATION, client.server_pool()).await, Ok(Err(_)))
}
