//! The connection of a link to NATS.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, RequestErrorKind, ServerError};
use bytes::Bytes;
use futures_util::stream::{StreamExt as _, select_all};
use uuid::Uuid;
use wasmcloud_core::text::printable;

use super::config::{MessagingConfig, NatsConfig, NatsCredentials};
use super::delivery::MessageStream;
use super::payloads::BrokerMessage;
use super::subject::display_subject;

/// Maximum duration of connecting to a server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum time for the server to accept the subscriptions.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum delay between attempts to reconnect.
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// A connection that reconnects and subscribes again by itself.
pub(super) struct NatsConnection {
    client: Client,
    monitor: Arc<ConnectionMonitor>,
}

/// Observes the events of a connection.
struct ConnectionMonitor {
    actor: String,
    /// The addresses of the servers, without credentials.
    addresses: String,
    /// The error of the server for a subscription that it refused.
    refusal: Mutex<Option<String>>,
    dropped: AtomicU64,
    /// Whether the connection has been dropped.
    is_released: AtomicBool,
}

impl NatsConnection {
    /// Connects, and waits until a server has accepted the credentials.
    ///
    /// # Errors
    /// Names the link value and the server. Credentials are not shown.
    pub(super) async fn connect(
        actor: &str,
        servers: &NatsConfig,
        queue_limit: usize,
    ) -> Result<NatsConnection, String> {
        let shown: Vec<_> =
            servers.addresses.iter().map(|address| format!("{}:{}", address.host(), address.port())).collect();
        let monitor = Arc::new(ConnectionMonitor {
            actor: actor.to_owned(),
            addresses: shown.join(", "),
            refusal: Mutex::default(),
            dropped: AtomicU64::default(),
            is_released: AtomicBool::default(),
        });
        let observer = monitor.clone();
        let delays = monitor.clone();
        let options = connect_options(&servers.credentials)
            .await?
            .name("wasmcloud-host")
            .connection_timeout(CONNECT_TIMEOUT)
            .subscription_capacity(queue_limit)
            .reconnect_delay_callback(move |attempts| delays.reconnect_delay(attempts))
            .event_callback(move |event| {
                observer.observe(&event);
                async {}
            });
        let options = match &servers.ca_file {
            Some(path) => options.add_root_certificates(path.clone()),
            None => options,
        };
        let client = options.connect(servers.addresses.as_slice()).await;
        let client = client.map_err(|error| monitor.describe(&error, &servers.credentials))?;
        Ok(NatsConnection { client, monitor })
    }

    /// Subscribes, and waits until the server has accepted the subscriptions.
    ///
    /// # Errors
    /// Names the link value if the server refuses a subscription.
    pub(super) async fn subscribe(&self, config: &MessagingConfig) -> Result<MessageStream, String> {
        let describe = |reason: &str| {
            let addresses = &self.monitor.addresses;
            format!("the value SUBSCRIPTION cannot be used: the NATS server at {addresses} says {reason:?}")
        };
        let mut subscribers = Vec::new();
        for filter in config.subscriptions.iter().cloned() {
            let subscriber = match &config.group {
                Some(group) => self.client.queue_subscribe(filter, group.clone()).await,
                None => self.client.subscribe(filter).await,
            };
            subscribers.push(subscriber.map_err(|error| describe(&error.to_string()))?);
        }
        if !subscribers.is_empty() {
            self.round_trip().await;
        }
        let refusal = self.monitor.refusal.lock().unwrap_or_else(PoisonError::into_inner).take();
        match refusal {
            Some(reason) => Err(describe(&reason)),
            None => Ok(Box::pin(select_all(subscribers).map(BrokerMessage::from))),
        }
    }

    /// Waits until the server has processed what was sent before, by a request to an unused subject. The server answers that
    /// there is no subscriber. If it does not support that, the request times out.
    async fn round_trip(&self) {
        let request = async_nats::Request::new().timeout(Some(SUBSCRIBE_TIMEOUT));
        let subject = format!("_INBOX.{}", Uuid::new_v4().simple());
        let _ = self.client.send_request(subject, request).await;
    }

    /// Publishes a message. Returns when the message is on its way to the server.
    ///
    /// # Errors
    /// Returns an error if the server is unreachable, or if the message exceeds the server's limit.
    pub(super) async fn publish(&self, message: BrokerMessage) -> Result<(), String> {
        self.check_connected()?;
        let BrokerMessage { subject, reply_to, body } = message;
        let published = if reply_to.is_empty() {
            self.client.publish(subject, body).await
        } else {
            self.client.publish_with_reply(subject, reply_to, body).await
        };
        published.map_err(|error| self.unavailable(&error))?;
        self.client.flush().await.map_err(|error| self.unavailable(&error))
    }

    /// Publishes a message, and waits for the first answer.
    ///
    /// # Errors
    /// Returns an error if there is no subscriber, if no answer arrives in time, or if the server is unreachable.
    pub(super) async fn request(
        &self,
        subject: String,
        body: Bytes,
        timeout: Duration,
    ) -> Result<BrokerMessage, String> {
        self.check_connected()?;
        let request = async_nats::Request::new().payload(body).timeout(Some(timeout));
        let answer = self.client.send_request(subject.clone(), request).await;
        answer.map(BrokerMessage::from).map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => format!("there is no subscriber to {}", display_subject(&subject)),
            RequestErrorKind::TimedOut => {
                format!("there was no answer from {} within {} ms", display_subject(&subject), timeout.as_millis())
            }
            _ => self.unavailable(&error),
        })
    }

    /// Checks that the connection is established.
    ///
    /// # Errors
    /// Names the server if the connection is lost.
    pub(super) fn check_connected(&self) -> Result<(), String> {
        match self.client.connection_state() {
            State::Connected => Ok(()),
            State::Pending | State::Disconnected => Err(self.unavailable(&"it is unreachable")),
        }
    }

    fn unavailable(&self, reason: &dyn std::fmt::Display) -> String {
        let reason = printable(reason.to_string().as_bytes());
        format!("the NATS server at {} is not available: {reason}", self.monitor.addresses)
    }
}

impl Drop for NatsConnection {
    fn drop(&mut self) {
        self.monitor.is_released.store(true, Ordering::Relaxed);
    }
}

impl ConnectionMonitor {
    /// Returns the delay before the next attempt to reconnect. After the connection has been dropped, the delay is infinite:
    /// while there is no server, the client can be stopped in no other way.
    fn reconnect_delay(&self, attempts: usize) -> Duration {
        if self.is_released.load(Ordering::Relaxed) {
            return Duration::MAX;
        }
        let steps = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        Duration::from_millis(50).saturating_mul(steps).min(MAX_RECONNECT_DELAY)
    }

    fn observe(&self, event: &Event) {
        let (actor, addresses) = (&self.actor, &self.addresses);
        match event {
            Event::Disconnected if !self.is_released.load(Ordering::Relaxed) => {
                log::warn!(actor = self.actor.as_str(); "the NATS server at {addresses} is unreachable for the link of actor {actor}");
            }
            Event::Connected => {
                log::info!(actor = self.actor.as_str(); "the link of actor {actor} is connected to the NATS server at {addresses}")
            }
            Event::SlowConsumer(_) => {
                let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
                if dropped.is_power_of_two() {
                    log::warn!(actor = self.actor.as_str(); "actor {actor} is a slow consumer: {dropped} message(s) were dropped");
                }
            }
            Event::ServerError(error) => self.observe_error(error),
            _ => {}
        }
    }

    fn observe_error(&self, error: &ServerError) {
        let text = printable(error.to_string().as_bytes());
        log::warn!(actor = self.actor.as_str(); "the NATS server at {} sent an error to the link of actor {}: {text}", self.addresses, self.actor);
        if text.contains("Subscription") {
            self.refusal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
        }
    }

    fn describe(&self, error: &ConnectError, credentials: &NatsCredentials) -> String {
        let addresses = &self.addresses;
        match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                let value = credentials.link_value();
                format!("the NATS server at {addresses} refuses the credentials of the value {value}: correct {value}")
            }
            _ => {
                let reason = printable(error.to_string().as_bytes());
                format!(
                    "the value URL names a NATS server at {addresses} that cannot be used ({reason}): start it, or \
                     correct URL"
                )
            }
        }
    }
}

impl NatsCredentials {
    /// Returns the link value that holds the credentials, or that would hold them.
    fn link_value(&self) -> &'static str {
        match self {
            NatsCredentials::None | NatsCredentials::Password { .. } | NatsCredentials::Token(_) => "URL",
            NatsCredentials::Key { .. } => "CLIENT_SEED",
            NatsCredentials::Jwt { .. } => "CLIENT_JWT",
            NatsCredentials::File(_) => "CREDSFILE",
        }
    }
}

async fn connect_options(credentials: &NatsCredentials) -> Result<ConnectOptions, String> {
    Ok(match credentials {
        NatsCredentials::None => ConnectOptions::new(),
        NatsCredentials::Password { user, password } => {
            ConnectOptions::with_user_and_password(user.clone(), password.clone())
        }
        NatsCredentials::Token(token) => ConnectOptions::with_token(token.clone()),
        NatsCredentials::Key { seed } => ConnectOptions::with_nkey(seed.clone()),
        NatsCredentials::Jwt { jwt, key } => {
            let key = Arc::new(key.clone());
            ConnectOptions::with_jwt(jwt.clone(), move |nonce| {
                let key = key.clone();
                async move { key.sign(&nonce).map_err(async_nats::AuthError::new) }
            })
        }
        NatsCredentials::File(path) => {
            let text = tokio::fs::read_to_string(path).await;
            let text = text.map_err(|error| format!("the value CREDSFILE={path:?} cannot be read: {error}"))?;
            // The error is not shown: it may quote the file, which contains a secret.
            ConnectOptions::with_credentials(&text).map_err(|_| {
                format!("the value CREDSFILE={path:?} is not a credentials file: it must contain a JWT and a seed")
            })?
        }
    })
}

impl From<async_nats::Message> for BrokerMessage {
    fn from(message: async_nats::Message) -> BrokerMessage {
        let reply_to = message.reply.map(|subject| subject.to_string()).unwrap_or_default();
        BrokerMessage { subject: message.subject.to_string(), reply_to, body: message.payload }
    }
}
