//! `wasmcloud:keyvalue`: texts, counters, lists and sets under keys, stored in a local file or in Redis.
//!
//! # Layout
//! - `payloads`: the contract's payloads
//! - `config`: the configuration, parsed from a link's values
//! - `error`: the errors of operations, which are the same for each backend
//! - `embedded`: the backend that stores keys in a local file
//! - `redis`: the backend that stores keys in Redis

mod config;
mod embedded;
mod error;
mod payloads;
mod redis;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::future::try_join_all;
use tokio::sync::RwLock;
use wasmcloud_core::error::{BoxedError, Result};
use wasmcloud_plugin::NativeCapability;
use wasmcloud_provider::{AsyncCapabilityProvider, Binding, ProviderCallContext};

use config::{BackendConfig, KeyValueConfig, Keyspace};
use embedded::{OpenStores, StoreHandle};
use error::KeyValueError;
use payloads::{KeyValueOperation, KeyValueResponse};
use redis::RedisBackend;

const CONTRACT: &str = "wasmcloud:keyvalue";

/// The provider's public key. It is the same in every host.
const PUBLIC_KEY: &str = "VBU6NIRGQTHFV7XF7YR777RELSVQLLGZJV3SFIO4IH7VVS6MEHHA6SP3";

/// The provider of `wasmcloud:keyvalue`: stores texts, counters, lists and sets in a local file or in Redis.
///
/// Each link configures the provider for one actor, by the values that [`KeyValue::LINK_VALUES`] lists.
///
/// **A link without `PATH` and `URL` stores keys on disk**, in the file `keyvalue.redb` of the host's working directory. It shares
/// them with all other such links. The host logs the path at the level `warn`. Links with the same `PATH`, or with the same server,
/// share keys, unless `PREFIX` separates them.
///
/// The provider refuses a link if a value is unknown or invalid, if the file cannot be opened, or if the server is not usable. The
/// error names the value. A file is open in one provider of one process at a time. It is closed with its last link.
///
/// # Operations
/// Redis is the reference: both backends behave alike.
///
/// - `Set` replaces any value. If `expires` is positive, the key expires after that many seconds of wall-clock time. Otherwise it
///   never expires.
/// - `Add` adds to a 32-bit counter and keeps its expiry. A sum that does not fit is an error, and the counter stays as it is.
/// - `Push` inserts an item at the front of a list. `Range` includes both ends. Negative indexes count from the end.
/// - `ListItemDelete` removes all equal items, and returns their number as `newCount`.
/// - A list or set that becomes empty is removed.
/// - An operation on a value of another type is an error.
///
/// # Durability
/// *Embedded*: acknowledged writes are on disk and survive a crash of the process or the machine. Concurrent writes share a flush.
/// After a failed write, for example on a full disk, the store continues with the state that was durable before.
///
/// *Redis*: acknowledged writes are as durable as the server makes them. While the server is down, calls fail. The provider
/// reconnects by itself. A call that failed after it was sent may have been executed, so calls are never retried. A server that does
/// not answer delays only the calls of its own links, up to their deadline.
///
/// The embedded store limits an answer to 63 MiB. With Redis, the actor has to request less.
///
/// # Example
/// ```
/// use wasmcloud_host::{HostBuilder, builtin::KeyValue};
///
/// # #[actix_rt::main]
/// # async fn main() -> wasmcloud_host::Result<()> {
/// let host = HostBuilder::new().build();
/// host.start().await?;
/// host.start_native_capability(KeyValue::new(None).capability()?).await?;
/// # host.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KeyValue {
    link_name: Option<String>,
    /// The links, by the actor's public key.
    links: Arc<Mutex<HashMap<String, Arc<KeyValueLink>>>>,
    open_stores: Arc<OpenStores>,
}

/// The state of one link.
struct KeyValueLink {
    backend: KeyValueBackend,
    keyspace: Keyspace,
    /// Locked shared by each operation, and exclusively to close the store, so that no operation finds it closed.
    in_use: RwLock<()>,
}

enum KeyValueBackend {
    Embedded(StoreHandle),
    Redis(RedisBackend),
}

impl KeyValue {
    /// Creates a provider that runs under this link name. Default: `default`.
    pub fn new(link_name: Option<String>) -> KeyValue {
        KeyValue { link_name, links: Arc::default(), open_stores: Arc::default() }
    }

    /// Returns the provider for `Host::start_native_capability`.
    ///
    /// # Errors
    /// Never fails in practice.
    pub fn capability(&self) -> Result<NativeCapability> {
        let claims = super::claims("Key-value store", PUBLIC_KEY, CONTRACT);
        NativeCapability::from_async(self.clone(), self.link_name.clone(), claims)
    }

    async fn open(&self, actor: &str, config: KeyValueConfig) -> Result<KeyValueLink, String> {
        let KeyValueConfig { backend, keyspace, is_default } = config;
        let backend = match backend {
            BackendConfig::Redis { server, ca_file } => {
                KeyValueBackend::Redis(RedisBackend::connect(&server, ca_file.as_deref()).await?)
            }
            BackendConfig::Embedded(location) => {
                let handle = self.open_stores.open(location).await?;
                if is_default {
                    log::warn!(actor; "actor {actor} keeps its keys in {}: its link has no PATH or URL", handle.location());
                } else {
                    log::info!(actor; "actor {actor} keeps its keys in {}", handle.location());
                }
                KeyValueBackend::Embedded(handle)
            }
        };
        Ok(KeyValueLink { backend, keyspace, in_use: RwLock::default() })
    }

    /// Closes the store of a link, once its operations have ended. A Redis connection ends with the last operation that uses it.
    async fn release(&self, link: Option<Arc<KeyValueLink>>) {
        let Some(link) = link else { return };
        if let KeyValueBackend::Embedded(handle) = &link.backend {
            let _unused = link.in_use.write().await;
            self.open_stores.close(handle).await;
        }
    }

    fn links(&self) -> MutexGuard<'_, HashMap<String, Arc<KeyValueLink>>> {
        // A panic cannot leave the map inconsistent: each use of it is a single operation.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyValueLink {
    async fn execute(&self, operation: &str, payload: Vec<u8>) -> Result<Vec<u8>, BoxedError> {
        let mut operation = KeyValueOperation::decode(operation, &payload)?;
        // Freed early: the operation owns copies.
        drop(payload);
        self.keyspace.check_and_prefix(&mut operation)?;
        let _in_use = self.in_use.read().await;
        let mut answer = self.backend.execute(operation).await?;
        self.keyspace.strip_prefix(&mut answer);
        Ok(answer.encode()?)
    }
}

impl KeyValueBackend {
    async fn execute(&self, operation: KeyValueOperation) -> Result<KeyValueResponse, KeyValueError> {
        match self {
            KeyValueBackend::Embedded(handle) => handle.execute(operation).await,
            KeyValueBackend::Redis(redis) => redis.execute(operation).await,
        }
    }

    async fn health(&self) -> Result<(), KeyValueError> {
        match self {
            // Any key will do: the store answers if it is readable.
            KeyValueBackend::Embedded(handle) => {
                handle.execute(KeyValueOperation::KeyExists { key: String::new() }).await.map(drop)
            }
            KeyValueBackend::Redis(redis) => redis.health().await,
        }
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for KeyValue {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        let config = KeyValueConfig::from_link_values(&binding.actor, &binding.values)?;
        let link = self.open(&binding.actor, config).await?;
        let previous = self.links().insert(binding.actor, Arc::new(link));
        self.release(previous).await;
        Ok(())
    }

    async fn unbind(&self, actor: &str) -> Result<(), BoxedError> {
        let link = self.links().remove(actor);
        self.release(link).await;
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        let link = self.links().get(&call.actor).cloned();
        let link = link.ok_or_else(|| format!("actor {} is not linked to a key-value store", call.actor))?;
        link.execute(&call.operation, call.message).await
    }

    async fn health(&self) -> Result<(), BoxedError> {
        let links: Vec<_> = self.links().iter().map(|(actor, link)| (actor.clone(), link.clone())).collect();
        try_join_all(links.into_iter().map(async |(actor, link)| {
            let _in_use = link.in_use.read().await;
            link.backend.health().await.map_err(|error| format!("the link of actor {actor}: {error}"))
        }))
        .await?;
        Ok(())
    }

    async fn stop(&self) {
        let links = std::mem::take(&mut *self.links());
        for link in links.into_values() {
            self.release(Some(link)).await;
        }
    }
}

impl std::fmt::Debug for KeyValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyValue").field("link_name", &self.link_name).finish_non_exhaustive()
    }
}

/// Decodes a payload and returns it as text, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(super) fn read_payload(operation: &str, payload: &[u8]) -> Option<String> {
    payloads::KeyValueOperation::decode(operation, payload).ok().map(|read| format!("{read:?}"))
}
