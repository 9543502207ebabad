//! `wasmcloud:messaging`: messages to subjects, by a broker in the host or by a NATS server.
//!
//! # Layout
//! - `payloads`: the contract's payloads
//! - `config`: what a link's values mean
//! - `subject`: the rules for subjects
//! - `broker`: the broker that needs no server
//! - `nats`: messages by a NATS server
//! - `delivery`: how messages reach a linked actor

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

/// The provider's public key, the same in every host.
const PUBLIC_KEY: &str = "VAIXHLIZYF25MTVQYBUE5F3PSYTZBEQ2GPVWOFSMLGOKON5FZCLSO7VE";

/// Messages as a capability provider: by a broker in the host that needs no server, or by NATS.
///
/// | link value | meaning | default |
/// |---|---|---|
/// | `SUBSCRIPTION` | the subjects whose messages the actor is brought, separated by commas; `*` stands for one part, `>` at the end for one or more | none |
/// | `QUEUEGROUP_NAME` | the queue group of these subscriptions: each message reaches one subscriber of a group | none |
/// | `URL` | NATS servers, separated by commas, any of which will do: `nats://[user:password@]host[:port]`, `tls://` to insist on TLS | none: the embedded broker |
/// | `CLIENT_JWT`, `CLIENT_SEED` | for NATS: the user's token and the seed of its key; the seed alone where the server knows the key | none |
/// | `CREDSFILE` | for NATS: a file with both, as `nsc` writes it, read when the link is made | none |
/// | `CA_FILE` | for NATS: a file in PEM format with authorities to trust beside the system's | none |
/// | `ACCOUNT` | for the embedded broker: links with different accounts hear nothing of each other | one for all without |
/// | `CONCURRENCY` | how many messages the actor is brought at once, 1 to 1024; with 1 they come in order | 8 |
/// | `QUEUE_LIMIT` | how many messages wait for it, 1 to 65536; further ones are dropped | 1024 |
/// | `BODY_LIMIT` | the largest body in bytes that it may send or is brought, 63 MiB at most | 1048576 (1 MiB) |
///
/// A link is refused, naming the value, where one is unknown or cannot be read, or the server cannot be reached, refuses the credentials or
/// refuses a subscription. Links without a `URL` exchange messages with each other, where they are links of the same
/// provider. Each link to NATS has a connection of its own, closed when the link ends. Under new values it subscribes anew before
/// the old subscriptions end, so a message may come twice; what still waits under the old ones is dropped.
///
/// # What is promised
/// What NATS promises: a message reaches whoever is subscribed, at most once, and is kept nowhere. Subscriptions that overlap
/// bring a message once each, unless they are of a queue group. Messages that an actor is too slow for are dropped, and
/// those that it fails over are not brought again; both are on the log. In the embedded broker no more than 64 MiB wait for a
/// link.
///
/// `Publish` answers when the message is with the broker, or on its way to the server; a server that forbids the subject says
/// so afterwards, on the log. `Request` ends with the first answer, or with an error when nobody is subscribed or when its
/// timeout or the call's deadline has passed. Messages to an actor have no answer of their own: it publishes one to the message's
/// `replyTo`, if there is one. Actors publish to subjects without wildcards, of at most 1024 bytes.
///
/// # When NATS fails
/// While the server cannot be reached, calls fail and the provider is unhealthy; the connection is made anew by itself, with its
/// subscriptions. What is published meanwhile by others is lost.
///
/// ```
/// use std::collections::HashMap;
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
    /// The links, by the public key of their actor.
    links: Mutex<HashMap<String, Arc<MessagingLink>>>,
    /// The embedded brokers in use, by their account.
    brokers: Mutex<HashMap<String, Weak<Broker>>>,
}

/// What belongs to one link.
struct MessagingLink {
    backend: MessagingBackend,
    body_limit: usize,
    /// The messages to the actor, until it is drained.
    delivery: Mutex<Option<MessageDelivery>>,
}

enum MessagingBackend {
    Embedded(Arc<Broker>),
    Nats(NatsConnection),
}

impl Messaging {
    /// Messages under this link name, `default` if not given.
    pub fn new(link_name: Option<String>) -> Messaging {
        Messaging { link_name, links: Mutex::default(), brokers: Mutex::default() }
    }

    /// It as a provider to start.
    ///
    /// # Errors
    /// None that a caller could cause.
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
        // The map is whole after any panic: each use of it is a single operation.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MessagingLink {
    async fn execute(&self, operation: &str, payload: Vec<u8>) -> Result<Vec<u8>, BoxedError> {
        let operation = MessagingOperation::decode(operation, &payload)?;
        // The operation has a copy of what it needs.
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

    /// Ends delivery to the actor, and waits for what is under way.
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

/// What the payload of an operation says, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(super) fn read_payload(operation: &str, payload: &[u8]) -> Option<String> {
    payloads::MessagingOperation::decode(operation, payload).ok().map(|read| format!("{read:?}"))
}
