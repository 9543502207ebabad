//! `wasmcloud:messaging`: publishes messages to subjects, through a broker in the host or through NATS.
//!
//! # Layout
//! - `payloads`: the contract's payloads
//! - `config`: the configuration, parsed from a link's values
//! - `subject`: the rules for subjects
//! - `broker`: the embedded broker
//! - `nats`: the connection to NATS
//! - `delivery`: delivers messages to a linked actor

mod broker;
mod config;
mod delivery;
mod nats;
mod payloads;
mod subject;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use wasmcloud_core::error::{BoxedError, Result};
use wasmcloud_plugin::NativeCapability;
use wasmcloud_provider::{AsyncCapabilityProvider, Binding, ProviderCallContext};

use broker::Broker;
use config::{BrokerConfig, MessagingConfig};
use delivery::{MessageDelivery, MessageReceiver, MessageStream};
use nats::NatsConnection;
use payloads::MessagingOperation;

const CONTRACT: &str = "wasmcloud:messaging";

/// The provider's public key. It is the same in every host.
const PUBLIC_KEY: &str = "VAIXHLIZYF25MTVQYBUE5F3PSYTZBEQ2GPVWOFSMLGOKON5FZCLSO7VE";

/// The provider of `wasmcloud:messaging`: publishes messages to subjects, through a broker in the host or through NATS.
///
/// Each link configures the provider for one actor, by the values that [`Messaging::LINK_VALUES`] lists.
///
/// The provider refuses a link if a value is unknown or invalid, or if the server is unreachable, refuses the credentials or refuses a
/// subscription. The error names the value.
///
/// Links without `URL` exchange messages through the embedded broker, if they belong to the same provider and account. Each link with
/// `URL` has a connection of its own, which is closed with the link. When a link's values change, the new subscriptions start before
/// the old ones end, so a message may arrive twice. Messages that wait under the old values are dropped.
///
/// # Delivery
/// As in NATS, each subscriber receives a message at most once, and messages are not stored. A message that matches several of an
/// actor's subscriptions is delivered once per subscription, except within a queue group. Messages are dropped, with a line on the
/// log, if the actor is too slow. A message that the actor fails to handle is not delivered again, and its failure is logged. The
/// embedded broker queues at most 64 MiB per link.
///
/// `Publish` returns when the broker has the message, or when it is on its way to the server. If the server then refuses the subject,
/// the host logs it. `Request` returns the first answer. It fails if there is no subscriber, or if its timeout or the deadline of
/// the call has passed. Messages to an actor have no answer of their own: the actor publishes its answer to the message's `replyTo`.
/// Actors publish to subjects without wildcards, of at most 1024 bytes.
///
/// # Reconnection
/// While the NATS server is unreachable, calls fail and the provider is unhealthy. The provider reconnects and subscribes again by
/// itself. Messages that others publish in the meantime are lost.
///
/// # Example
/// ```
/// use wasmcloud_host::{HostBuilder, builtin::Messaging};
///
/// # #[actix_rt::main]
/// # async fn main() -> wasmcloud_host::Result<()> {
/// let host = HostBuilder::new().build();
/// host.start().await?;
/// host.start_native_capability(Messaging::new(None).capability()?).await?;
/// # host.stop().await;
/// # Ok(())
/// # }
/// ```
pub struct Messaging {
    link_name: Option<String>,
    /// The links, by the actor's public key.
    links: Mutex<HashMap<String, Arc<MessagingLink>>>,
    /// The embedded brokers in use, by account.
    brokers: Mutex<HashMap<String, Weak<Broker>>>,
}

/// The state of one link.
struct MessagingLink {
    backend: MessagingBackend,
    body_limit: usize,
    /// The delivery of messages to the actor, until the link is drained.
    delivery: Mutex<Option<MessageDelivery>>,
}

enum MessagingBackend {
    Embedded(Arc<Broker>),
    Nats(NatsConnection),
}

impl Messaging {
    /// Creates a provider that runs under this link name. Default: `default`.
    pub fn new(link_name: Option<String>) -> Messaging {
        Messaging { link_name, links: Mutex::default(), brokers: Mutex::default() }
    }

    /// Returns the provider for `Host::start_native_capability`.
    ///
    /// # Errors
    /// Never fails in practice.
    pub fn capability(self) -> Result<NativeCapability> {
        let claims = super::claims("Messaging", PUBLIC_KEY, CONTRACT);
        let link_name = self.link_name.clone();
        NativeCapability::from_async(self, link_name, claims)
    }

    async fn open(&self, actor: &str, config: &MessagingConfig) -> Result<(MessagingBackend, MessageStream), String> {
        match &config.broker {
            BrokerConfig::Embedded { account } => {
                let broker = self.broker(account);
                let owner = Some(format!("actor {actor}"));
                let (filters, group) = (&config.subscriptions, config.group.as_deref());
                let source = broker.subscribe(filters, group, config.queue_limit, owner);
                Ok((MessagingBackend::Embedded(broker), Box::pin(source)))
            }
            BrokerConfig::Nats(servers) => {
                let nats = NatsConnection::connect(actor, servers, config.queue_limit).await?;
                let source = nats.subscribe(config).await?;
                Ok((MessagingBackend::Nats(nats), source))
            }
        }
    }

    fn broker(&self, account: &str) -> Arc<Broker> {
        let mut brokers = self.brokers.lock().unwrap_or_else(PoisonError::into_inner);
        brokers.retain(|_, broker| broker.strong_count() > 0);
        brokers.get(account).and_then(Weak::upgrade).unwrap_or_else(|| {
            let broker = Arc::default();
            brokers.insert(account.to_owned(), Arc::downgrade(&broker));
            broker
        })
    }

    fn links(&self) -> MutexGuard<'_, HashMap<String, Arc<MessagingLink>>> {
        // A panic cannot leave the map inconsistent: each use of it is a single operation.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MessagingLink {
    async fn execute(&self, operation: &str, payload: Vec<u8>) -> Result<Vec<u8>, BoxedError> {
        let operation = MessagingOperation::decode(operation, &payload)?;
        // Freed early: the operation owns copies.
        drop(payload);
        let (bytes, limit) = (operation.body().len(), self.body_limit);
        if bytes > limit {
            return Err(format!("the body has {bytes} bytes, and the link's BODY_LIMIT allows {limit}").into());
        }
        match (operation, &self.backend) {
            (MessagingOperation::Publish(message), MessagingBackend::Embedded(broker)) => {
                broker.publish(&message);
                Ok(payloads::published()?)
            }
            (MessagingOperation::Publish(message), MessagingBackend::Nats(nats)) => {
                nats.publish(message).await?;
                Ok(payloads::published()?)
            }
            (MessagingOperation::Request { subject, body, timeout }, MessagingBackend::Embedded(broker)) => {
                Ok(broker.request(subject, body, timeout).await?.encode()?)
            }
            (MessagingOperation::Request { subject, body, timeout }, MessagingBackend::Nats(nats)) => {
                Ok(nats.request(subject, body, timeout).await?.encode()?)
            }
        }
    }

    /// Stops the delivery to the actor, and waits for the messages in flight.
    async fn drain(&self) {
        let delivery = self.delivery.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(delivery) = delivery {
            delivery.end().await;
        }
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Messaging {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        let Binding { actor, values, dispatcher, .. } = binding;
        let config = MessagingConfig::from_link_values(&values)?;
        let (backend, source) = self.open(&actor, &config).await?;
        let body_limit = config.body_limit;
        let receiver = MessageReceiver { actor: actor.clone(), dispatcher, body_limit };
        let delivery = Mutex::new(Some(MessageDelivery::start(source, receiver, config.concurrency)));
        let previous = self.links().insert(actor, Arc::new(MessagingLink { backend, body_limit, delivery }));
        if let Some(previous) = previous {
            previous.drain().await;
        }
        Ok(())
    }

    async fn drain(&self, actor: &str) -> Result<(), BoxedError> {
        let link = self.links().get(actor).cloned();
        if let Some(link) = link {
            link.drain().await;
        }
        Ok(())
    }

    async fn unbind(&self, actor: &str) -> Result<(), BoxedError> {
        let link = self.links().remove(actor);
        if let Some(link) = link {
            link.drain().await;
        }
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        let link = self.links().get(&call.actor).cloned();
        let link = link.ok_or_else(|| format!("actor {} is not linked to a broker", call.actor))?;
        link.execute(&call.operation, call.message).await
    }

    async fn health(&self) -> Result<(), BoxedError> {
        for (actor, link) in &*self.links() {
            if let MessagingBackend::Nats(nats) = &link.backend {
                nats.check_connected().map_err(|reason| format!("the link of actor {actor}: {reason}"))?;
            }
        }
        Ok(())
    }

    async fn stop(&self) {
        let links = std::mem::take(&mut *self.links());
        futures_util::future::join_all(links.values().map(|link| link.drain())).await;
    }
}

impl std::fmt::Debug for Messaging {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Messaging").field("link_name", &self.link_name).finish_non_exhaustive()
    }
}

/// Decodes a payload and returns it as text, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(super) fn read_payload(operation: &str, payload: &[u8]) -> Option<String> {
    payloads::MessagingOperation::decode(operation, payload).ok().map(|read| format!("{read:?}"))
}
