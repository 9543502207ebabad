//! `wasmcloud:keyvalue`: texts, counters, lists and sets under keys, in a file of the host's or in Redis.
//!
//! # Layout
//! - `payloads`: the contract's payloads
//! - `config`: what a link's values mean
//! - `error`: why something was not done, in the same words for each backend
//! - `embedded`: the store that needs no server
//! - `redis`: keys kept by a Redis server

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

/// The provider's public key, the same in every host.
const PUBLIC_KEY: &str = "VBU6NIRGQTHFV7XF7YR777RELSVQLLGZJV3SFIO4IH7VVS6MEHHA6SP3";

/// A key-value store as a capability provider: an embedded one that needs no server, or Redis.
///
/// | link value | meaning | default |
/// |---|---|---|
/// | `URL` | a Redis server: `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS | none: the embedded store |
/// | `CA_FILE` | for `rediss://`: a file in PEM format with the authorities to trust, instead of the system's | the system's |
/// | `PATH` | the file of the embedded store, in a folder that exists; `:memory:` for one that is gone with its last link | `keyvalue.redb` in the host's working directory |
/// | `PREFIX` | keeps this link's keys apart from all others: each key becomes `PREFIX:key`. `{actor}` stands for the actor's public key; a colon is not allowed | none |
/// | `KEY_LIMIT` | the longest key in bytes, 64 KiB at most | 4096 (4 KiB) |
/// | `VALUE_LIMIT` | the longest value in bytes, 63 MiB at most | 8388608 (8 MiB) |
///
/// **A link without values keeps its keys on disk**, in `keyvalue.redb` in the directory that the host was started in, and
/// shares them with all other links that do; a line on the log says where that is. Links with the same `PATH`, or with
/// the same server, share keys, as actors of the era did; `PREFIX` keeps them apart.
///
/// A link is refused, naming the value, where one is unknown or cannot be read, the file cannot be opened or the server cannot be used. A
/// file is open in one provider of one process at a time, and released with its last link.
///
/// # What the operations do
/// Redis is the reference, and both backends do the same. `Push` puts an item in front; `Range` includes both ends, and
/// negative numbers count from the end; `ListItemDelete` takes out all items that are equal, and its `newCount` says how
/// many. What is left empty is gone. `Set` with `expires` above zero expires after so many seconds by the clock on the
/// wall, otherwise never; it replaces whatever was there. `Add` counts in 32 bits and keeps the expiry; a sum that does
/// not fit is an error, and nothing is added. An operation on a key that holds another kind of value is an error.
///
/// # When something fails
/// *Embedded*: what was acknowledged is on the disk, and is there after a crash of the process or the machine. Writes that
/// come in together are made durable together. After a write that failed, on a full disk say, the store goes on with what
/// was durable before.
///
/// *Redis*: what is acknowledged is as durable as the server makes it. While the server is down, calls fail; the
/// connection is made anew by itself. A call that failed after it was sent may have been carried out, so none is repeated.
/// A server that does not answer costs a call its deadline, and other links nothing.
///
/// An answer of more than 63 MiB is an error of the embedded store; a Redis server is trusted to be asked for less.
///
/// ```
/// use std::collections::HashMap;
/// use wasmcloud_host::{HostBuilder, builtin::KeyValue};
///
/// # #[actix_rt::main]
/// # async fn main() -> wasmcloud_host::Result<()> {
/// let host = HostBuilder::new().build();
/// host.start().await?;
/// let store = KeyValue::new(None);
/// host.start_native_capability(store.capability()?).await?;
/// # host.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KeyValue {
    link_name: Option<String>,
    /// The links, by the public key of their actor.
    links: Arc<Mutex<HashMap<String, Arc<KeyValueLink>>>>,
    open_stores: Arc<OpenStores>,
}

/// What belongs to one link.
struct KeyValueLink {
    backend: KeyValueBackend,
    keyspace: Keyspace,
    /// Shared by the calls that are being served, owned by what releases the store: none finds it closed.
    in_use: RwLock<()>,
}

enum KeyValueBackend {
    Embedded(StoreHandle),
    Redis(RedisBackend),
}

impl KeyValue {
    /// A store to be run under this link name, `default` if not given.
    pub fn new(link_name: Option<String>) -> KeyValue {
        KeyValue { link_name, links: Arc::default(), open_stores: Arc::default() }
    }

    /// The store as a provider to start.
    ///
    /// # Errors
    /// None that a caller could cause.
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
                    log::warn!("actor {actor} keeps its keys in {}: its link has no PATH or URL", handle.location());
                } else {
                    log::info!("actor {actor} keeps its keys in {}", handle.location());
                }
                KeyValueBackend::Embedded(handle)
            }
        };
        Ok(KeyValueLink { backend, keyspace, in_use: RwLock::default() })
    }

    /// Releases what a link had, once its calls have ended. A Redis connection ends with the last call that is using it.
    async fn release(&self, link: Option<Arc<KeyValueLink>>) {
        let Some(link) = link else { return };
        if let KeyValueBackend::Embedded(handle) = &link.backend {
            let _unused = link.in_use.write().await;
            self.open_stores.close(handle).await;
        }
    }

    fn links(&self) -> MutexGuard<'_, HashMap<String, Arc<KeyValueLink>>> {
        // The map is whole after any panic: each use of it is a single operation.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyValueLink {
    async fn execute(&self, operation: &str, payload: Vec<u8>) -> Result<Vec<u8>, BoxedError> {
        let mut operation = KeyValueOperation::decode(operation, &payload)?;
        // The operation has a copy of what it needs.
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
            // Whatever key is asked for: a store that can be read answers.
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
        let link = link.ok_or_else(|| format!("actor {} is not linked to a store", call.actor))?;
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

/// What the payload of an operation says, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(super) fn read_payload(operation: &str, payload: &[u8]) -> Option<String> {
    payloads::KeyValueOperation::decode(operation, payload).ok().map(|read| format!("{read:?}"))
}
