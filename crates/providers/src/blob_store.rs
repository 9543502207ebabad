//! `wasmcloud:blobstore`: blobs in containers, sent and received in chunks, and stored in a directory or in S3.
//!
//! # Layout
//! - `payloads`: the contract's payloads
//! - `config`: the configuration, parsed from a link's values
//! - `error`: the errors of operations, which are the same for each backend
//! - `names`: encodes ids as file names
//! - `uploads`, `spool`: unfinished uploads, and the files that hold their bytes
//! - `downloads`: sends blobs to an actor
//! - `backend`: the interface of backends
//! - `directory`: the backend that stores blobs in a directory
//! - `s3`: the backend that stores blobs in an S3 bucket
//! - `blocking`: file operations on threads that may block

mod backend;
mod blocking;
mod config;
mod directory;
mod downloads;
mod error;
mod names;
mod payloads;
mod s3;
mod spool;
mod uploads;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;
use tokio::sync::RwLock;
use tokio_util::sync::{CancellationToken, DropGuard};
use wasmcloud_core::error::{BoxedError, Result};
use wasmcloud_core::text::escaped;
use wasmcloud_plugin::NativeCapability;
use wasmcloud_provider::{AsyncCapabilityProvider, Binding, ProviderCallContext};

use backend::BlobBackend;
use config::{BlobLimits, BlobLocation, BlobStoreConfig};
use directory::DirectoryBackend;
use downloads::Downloads;
use error::BlobStoreError;
use payloads::{Blob, BlobOperation, BlobResponse, Chunk, Download};
use s3::S3Backend;
use uploads::Uploads;

const CONTRACT: &str = "wasmcloud:blobstore";

/// The provider's public key. It is the same in every host.
const PUBLIC_KEY: &str = "VDPAIWMF5OXZVZWAKJKVLZVHOQ423LNDXL4QJBQVIT7LDGXWOQ3IWQUB";

/// Maximum interval between checks for stalled uploads.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

/// The provider of `wasmcloud:blobstore`: stores blobs in a directory or in an S3 bucket.
///
/// Each link configures the provider for one actor, by the values that [`BlobStore::LINK_VALUES`] lists.
///
/// **A link without `ROOT` and `URL` stores blobs on disk**, in the directory `blobs` of the host's working directory. It shares
/// them with all other such links. The host logs the path at the level `warn`. Links with the same `ROOT`, or with the same bucket
/// and prefix, share containers.
///
/// The provider refuses a link if a value is unknown or invalid, if the directory is not writable, or if the bucket does not answer
/// within 10 seconds. The error names the value.
///
/// # Operations
/// - `CreateContainer` creates a container unless it exists. `RemoveContainer` removes an empty container.
/// - `StartUpload` starts an upload to an existing container. It announces `totalBytes` and `chunkSize`, and may carry the first
///   chunk. Starting an upload again restarts it.
/// - `UploadChunk` sends a chunk. Chunks are numbered from 0 and may arrive in any order. Each has `chunkSize` bytes, except for the
///   last one, which has the rest. A repeated chunk is acknowledged again.
/// - The blob exists, and replaces an earlier one, once the chunk that completes it is acknowledged. Until then it is invisible.
/// - `StartDownload` is answered at once. The provider then calls the actor's `ReceiveChunk` once per chunk, in order, with the
///   `context` of the request. It sends the next chunk after the actor has answered the previous one. An empty blob is sent as one
///   empty chunk. A download ends early, with a line on the log, if the actor fails, misses its deadline, or is unlinked.
/// - `RemoveObject`, `ListObjects` and `GetObjectInfo` remove, list and describe blobs.
///
/// An id is any text of up to 1024 bytes. Ids are never paths: in file and object names, bytes other than lower-case letters, digits,
/// `-`, `_` and inner dots are written as `%` and two hexadecimal digits. The provider ignores files with other names, and symbolic
/// links below `ROOT`.
///
/// Operations whose answer is `{success, error}` report failures in it. Other failures, and calls that are not part of the contract,
/// are errors of the call.
///
/// # Durability
/// *Directory*: acknowledged data is on disk and survives a crash of the process or the machine. A blob is written to a temporary
/// file, flushed, and moved to its name. A later link removes the files that a crash left behind. If the disk is full, the upload
/// fails and its space is freed.
///
/// *S3*: acknowledged data is as durable as the server makes it. Large blobs are sent in parts while their chunks arrive, through an
/// unnamed file in the system's temporary directory. A request takes at most 30 seconds, and is retried for at most 10 seconds. A
/// failed upload must be started again. Removing a container is not atomic: a blob that is uploaded at the same time may be left
/// without a container.
///
/// # Example
/// ```
/// use wasmcloud_host::{HostBuilder, builtin::BlobStore};
///
/// # #[actix_rt::main]
/// # async fn main() -> wasmcloud_host::Result<()> {
/// let host = HostBuilder::new().build();
/// host.start().await?;
/// host.start_native_capability(BlobStore::new(None).capability()?).await?;
/// # host.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct BlobStore {
    link_name: Option<String>,
    /// The links, by the actor's public key.
    links: Arc<Mutex<HashMap<String, Arc<BlobStoreLink>>>>,
}

/// The state of one link.
struct BlobStoreLink {
    backend: Box<dyn BlobBackend>,
    limits: BlobLimits,
    uploads: Uploads,
    downloads: Downloads,
    /// Locked shared by each operation, and exclusively to release the link.
    in_use: Arc<RwLock<()>>,
    _sweeper: DropGuard,
}

impl BlobStore {
    /// Creates a provider that runs under this link name. Default: `default`.
    pub fn new(link_name: Option<String>) -> BlobStore {
        BlobStore { link_name, links: Arc::default() }
    }

    /// Returns the provider for `Host::start_native_capability`.
    ///
    /// # Errors
    /// Never fails in practice.
    pub fn capability(&self) -> Result<NativeCapability> {
        let claims = super::claims("Blob store", PUBLIC_KEY, CONTRACT);
        NativeCapability::from_async(self.clone(), self.link_name.clone(), claims)
    }

    fn links(&self) -> MutexGuard<'_, HashMap<String, Arc<BlobStoreLink>>> {
        // A panic cannot leave the map inconsistent: each use of it is a single operation.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn link(&self, actor: &str) -> Option<Arc<BlobStoreLink>> {
        self.links().get(actor).cloned()
    }
}

async fn open_backend(actor: &str, location: BlobLocation, is_default: bool) -> Result<Box<dyn BlobBackend>, String> {
    match location {
        BlobLocation::Bucket(bucket) => {
            log::info!(actor; "actor {actor} keeps its blobs in {bucket}");
            Ok(Box::new(S3Backend::open(bucket).await?))
        }
        BlobLocation::Directory(root) => {
            let directory = DirectoryBackend::open(root).await?;
            let path = escaped(&directory.path().to_string_lossy()).into_owned();
            if is_default {
                log::warn!(actor; "actor {actor} keeps its blobs in {path}: its link has no ROOT or URL");
            } else {
                log::info!(actor; "actor {actor} keeps its blobs in {path}");
            }
            Ok(Box::new(directory))
        }
    }
}

impl BlobStoreLink {
    fn new(backend: Box<dyn BlobBackend>, limits: BlobLimits, binding: Binding) -> Arc<BlobStoreLink> {
        let sweeper = CancellationToken::new();
        let link = Arc::new(BlobStoreLink {
            backend,
            uploads: Uploads::new(limits.uploads, limits.upload_timeout),
            downloads: Downloads::new(limits.downloads, binding.actor, binding.dispatcher),
            limits,
            in_use: Arc::default(),
            _sweeper: sweeper.clone().drop_guard(),
        });
        let interval = (link.limits.upload_timeout / 2).min(SWEEP_INTERVAL);
        actix_rt::spawn(sweeper.run_until_cancelled_owned(abort_stalled_uploads(Arc::downgrade(&link), interval)));
        link
    }

    /// Runs an operation to completion, even if the caller cancels it, so that no upload is left in an intermediate state.
    async fn run_to_completion(
        self: Arc<BlobStoreLink>,
        operation: String,
        payload: Bytes,
    ) -> Result<Vec<u8>, BoxedError> {
        let in_use = self.in_use.clone().read_owned().await;
        let executing = actix_rt::spawn(async move {
            let answer = self.execute_with_outcome(&operation, &payload).await;
            drop(in_use);
            answer
        });
        Ok(executing.await??.encode()?)
    }

    /// Executes an operation. Reports its failure in the response, if the response of the operation has a field for it.
    async fn execute_with_outcome(&self, operation: &str, payload: &Bytes) -> Result<BlobResponse, BlobStoreError> {
        let operation = BlobOperation::decode(operation, payload)?;
        let has_outcome = operation.returns_outcome();
        match self.execute(operation).await {
            Err(error) if has_outcome && !error.is_invalid_call() => {
                Ok(BlobResponse::Outcome { error: Some(error.to_string()) })
            }
            result => result,
        }
    }

    async fn execute(&self, operation: BlobOperation) -> Result<BlobResponse, BlobStoreError> {
        let backend = &*self.backend;
        let done = BlobResponse::Outcome { error: None };
        match operation {
            BlobOperation::CreateContainer { id } => {
                backend.create_container(&id).await.map(|()| BlobResponse::Container { id })
            }
            BlobOperation::RemoveContainer { id } => backend.remove_container(&id).await.map(|()| done),
            BlobOperation::RemoveObject(name) => backend.remove(&name).await.map(|()| done),
            BlobOperation::ListObjects { container } => {
                let blobs = backend.list(&container).await?;
                Ok(BlobResponse::Blobs { container, blobs })
            }
            BlobOperation::GetObjectInfo(name) => {
                let size = backend.open(&name).await?.size();
                Ok(BlobResponse::Blob { container: name.container, blob: Blob { id: name.id, size } })
            }
            BlobOperation::StartUpload(chunk) => self.start_upload(chunk).await.map(|()| done),
            BlobOperation::UploadChunk(chunk) => self.uploads.add(backend, chunk).await.map(|()| done),
            BlobOperation::StartDownload(download) => self.start_download(download).await.map(|()| done),
        }
    }

    async fn start_upload(&self, chunk: Chunk) -> Result<(), BlobStoreError> {
        let (count, limit) = (chunk.total, self.limits.blob);
        if count > limit {
            return Err(BlobStoreError::LimitExceeded {
                what: "bytes of the blob",
                count,
                limit,
                link_value: "BLOB_LIMIT",
            });
        }
        self.uploads.start(&*self.backend, chunk).await
    }

    async fn start_download(&self, download: Download) -> Result<(), BlobStoreError> {
        let (count, limit) = (download.chunk_size, self.limits.chunk);
        if count == 0 {
            return Err(BlobStoreError::InvalidChunk("chunk_size is 0: it must be at least 1".to_owned()));
        }
        if count > limit {
            return Err(BlobStoreError::LimitExceeded {
                what: "bytes of a chunk",
                count,
                limit,
                link_value: "CHUNK_LIMIT",
            });
        }
        let slot = self.downloads.reserve_slot()?;
        let source = self.backend.open(&download.name).await?;
        self.downloads.start(slot, download, source);
        Ok(())
    }

    /// Waits until the link's operations have ended, then aborts its uploads.
    async fn release(&self) {
        self.downloads.close();
        let _unused = self.in_use.write().await;
        self.uploads.clear().await;
    }
}

/// Aborts stalled uploads at each interval, until the link is dropped.
async fn abort_stalled_uploads(link: Weak<BlobStoreLink>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let Some(link) = link.upgrade() else { return };
        link.uploads.abort_stalled().await;
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for BlobStore {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        let BlobStoreConfig { location, is_default, limits } = BlobStoreConfig::from_link_values(&binding.values)?;
        let backend = open_backend(&binding.actor, location, is_default).await?;
        let actor = binding.actor.clone();
        let previous = self.links().insert(actor, BlobStoreLink::new(backend, limits, binding));
        if let Some(previous) = previous {
            previous.release().await;
        }
        Ok(())
    }

    async fn drain(&self, actor: &str) -> Result<(), BoxedError> {
        if let Some(link) = self.link(actor) {
            link.downloads.drain().await;
        }
        Ok(())
    }

    async fn unbind(&self, actor: &str) -> Result<(), BoxedError> {
        let link = self.links().remove(actor);
        if let Some(link) = link {
            link.release().await;
            link.downloads.drain().await;
        }
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        let link = self.link(&call.actor);
        let link = link.ok_or_else(|| format!("actor {} is not linked to a blob store", call.actor))?;
        link.run_to_completion(call.operation, call.message.into()).await
    }

    async fn health(&self) -> Result<(), BoxedError> {
        let links: Vec<_> = self.links().iter().map(|(actor, link)| (actor.clone(), link.clone())).collect();
        try_join_all(links.into_iter().map(async |(actor, link)| {
            link.backend.health().await.map_err(|error| format!("the link of actor {actor}: {error}"))
        }))
        .await?;
        Ok(())
    }

    async fn stop(&self) {
        let links = std::mem::take(&mut *self.links());
        for link in links.into_values() {
            link.release().await;
            link.downloads.drain().await;
        }
    }
}

impl std::fmt::Debug for BlobStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobStore").field("link_name", &self.link_name).finish_non_exhaustive()
    }
}

/// Decodes a payload and returns it as text, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(super) fn read_payload(operation: &str, payload: &[u8]) -> Option<String> {
    payloads::BlobOperation::decode(operation, &bytes::Bytes::copy_from_slice(payload))
        .ok()
        .map(|read| format!("{read:?}"))
}
