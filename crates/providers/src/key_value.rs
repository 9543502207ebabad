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

use config::{Place, Settings, Tenant};
use embedded::{Files, Lease};
use error::Refusal;
use payloads::{Answer, Operation};
use redis::Redis;

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
    links: Arc<Mutex<HashMap<String, Arc<Link>>>>,
    files: Arc<Files>,
}

/// What belongs to one link.
struct Link {
    store: Store,
    tenant: Tenant,
    /// Shared by the calls that are being served, owned by what releases the store: none finds it closed.
    in_use: RwLock<()>,
}

enum Store {
    Embedded(Lease),
    Redis(Redis),
}

impl KeyValue {
    /// A store to be run under this link name, `default` if not given.
    pub fn new(link_name: Option<String>) -> KeyValue {
        KeyValue { link_name, links: Arc::default(), files: Arc::default() }
    }

    /// The store as a provider to start.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn capability(&self) -> Result<NativeCapability> {
        let claims = super::claims("Key-value store", PUBLIC_KEY, CONTRACT);
        NativeCapability::from_async(self.clone(), self.link_name.clone(), claims)
    }

    async fn open(&self, actor: &str, settings: Settings) -> Result<Link, String> {
        let Settings { place, tenant, is_default } = settings;
        let store = match place {
            Place::Redis { server, certificates } => {
                Store::Redis(Redis::connect(&server, certificates.as_deref()).await?)
            }
            Place::Embedded(location) => {
                let lease = self.files.open(location).await?;
                if is_default {
                    log::warn!("actor {actor} keeps its keys in {}: its link has no PATH or URL", lease.location());
                } else {
                    log::info!("actor {actor} keeps its keys in {}", lease.location());
                }
                Store::Embedded(lease)
            }
        };
        Ok(Link { store, tenant, in_use: RwLock::default() })
    }

    /// Releases what a link had, once its calls have ended. A Redis connection ends with the last call that is using it.
    async fn release(&self, link: Option<Arc<Link>>) {
        let Some(link) = link else { return };
        if let Store::Embedded(lease) = &link.store {
            let _unused = link.in_use.write().await;
            self.files.close(lease).await;
        }
    }

    fn links(&self) -> MutexGuard<'_, HashMap<String, Arc<Link>>> {
        // The map is whole after any panic: each use of it is a single operation.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    async fn perform(&self, operation: &str, message: Vec<u8>) -> Result<Vec<u8>, BoxedError> {
        let mut operation = Operation::decode(operation, &message)?;
        // The operation has a copy of what it needs.
        drop(message);
        self.tenant.admit(&mut operation)?;
        let _in_use = self.in_use.read().await;
        let mut answer = self.store.perform(operation).await?;
        self.tenant.release(&mut answer);
        Ok(answer.encode()?)
    }
}

impl Store {
    async fn perform(&self, operation: Operation) -> Result<Answer, Refusal> {
        match self {
            Store::Embedded(lease) => lease.perform(operation).await,
            Store::Redis(redis) => redis.perform(operation).await,
        }
    }

    async fn health(&self) -> Result<(), Refusal> {
        match self {
            // Whatever key is asked for: a store that can be read answers.
            Store::Embedded(lease) => lease.perform(Operation::KeyExists { key: String::new() }).await.map(drop),
            Store::Redis(redis) => redis.health().await,
        }
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for KeyValue {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        let settings = Settings::read(&binding.actor, &binding.values)?;
        let link = self.open(&binding.actor, settings).await?;
        let before = self.links().insert(binding.actor, Arc::new(link));
        self.release(before).await;
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
        link.perform(&call.operation, call.message).await
    }

    async fn health(&self) -> Result<(), BoxedError> {
        let links: Vec<_> = self.links().iter().map(|(actor, link)| (actor.clone(), link.clone())).collect();
        try_join_all(links.into_iter().map(async |(actor, link)| {
            let _in_use = link.in_use.read().await;
            link.store.health().await.map_err(|refusal| format!("the link of actor {actor}: {refusal}"))
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
    payloads::Operation::decode(operation, payload).ok().map(|read| format!("{read:?}"))
}
