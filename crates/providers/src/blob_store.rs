//! `wasmcloud:blobstore`: files in containers, sent and received chunk by chunk, in a directory of the host's or in S3.
//!
//! # Layout
//! - `payloads`: the contract's payloads
//! - `config`: what a link's values mean
//! - `error`: why something was not done, in the same words for each backend
//! - `names`: any id as names of files, and back
//! - `uploads`, `spool`: what is not whole yet
//! - `downloads`: blobs on their way to an actor
//! - `backend`: what a backend does
//! - `directory`: the store that needs no server
//! - `s3`: blobs kept by S3

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

/// The provider's public key, the same in every host.
const PUBLIC_KEY: &str = "VDPAIWMF5OXZVZWAKJKVLZVHOQ423LNDXL4QJBQVIT7LDGXWOQ3IWQUB";

/// How often abandoned uploads are looked for, at most.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

/// A store of blobs as a capability provider: a directory that needs no server, or S3.
///
/// | link value | meaning | default |
/// |---|---|---|
/// | `ROOT` | the directory; it is made if its parent is there | `blobs` in the host's working directory |
/// | `URL` | a bucket instead, and what the names of its objects begin with: `s3://bucket/prefix` | none: a directory |
/// | `ENDPOINT` | for a bucket: the server, `https://host[:port]`, or `http://` for one that is asked without TLS | Amazon's for the region |
/// | `REGION` | for a bucket: its region | `us-east-1` |
/// | `AWS_ACCESS_KEY`, `AWS_SECRET_ACCESS_KEY` | for a bucket: the key and its secret. Nothing else says who the link is, neither the environment nor the machine | none: requests are not signed |
/// | `AWS_TOKEN` | for a bucket: the session token, where the key is a temporary one | none |
/// | `BLOB_LIMIT` | the largest blob in bytes, 48 GiB at most | 1073741824 (1 GiB) |
/// | `CHUNK_LIMIT` | the largest chunk of a download in bytes, 32 MiB at most | 4194304 (4 MiB) |
/// | `UPLOADS` | unfinished uploads at once, 1024 at most | 32 |
/// | `UPLOAD_TIMEOUT_S` | how long an upload may go without a chunk until it is given up, in seconds | 600 |
/// | `DOWNLOADS` | downloads at once, 1024 at most | 16 |
/// | `HTTP_PROXY`, `TOKEN_VALID_FOR` | accepted, as providers of 2021 knew them, without effect | |
///
/// **A link without values keeps its blobs on disk**, in `blobs` in the directory that the host was started in, and shares
/// them with all other links that do; a line on the log says where that is. Links with the same `ROOT`, or with the same
/// bucket and prefix, share containers. A link is refused, naming the value, where one is unknown or cannot be
/// read, the directory cannot be written to or the bucket does not answer within 10 seconds.
///
/// # What the operations do
/// `CreateContainer` makes a container unless there is one; `RemoveContainer` removes one without blobs. A blob is
/// uploaded to a container that is there: `StartUpload` tells its `totalBytes` and `chunkSize`, and may bring the first
/// chunk, or have none in it; `UploadChunk` brings the others, in any order. Chunks are numbered from 0; each has
/// `chunkSize` bytes, and the last one the rest. The blob is there, in place of one that was, as soon as the chunk is
/// acknowledged that completes it; before that, nobody sees anything of it. A chunk that comes again is acknowledged again.
/// Starting an upload again begins it anew.
///
/// `StartDownload` is answered at once; then the actor is called with `ReceiveChunk`, chunk by chunk, each when it has
/// answered the one before, with the `context` that it gave. A blob without bytes comes as one empty chunk. A download ends
/// early, with a line on the log, when the actor fails or does not answer in time, or when its link ends.
///
/// Ids are any text of up to 1024 bytes, and never a path: in file names and object names, each byte that is no
/// lower-case letter, digit, `-`, `_` or inner dot is `%` and two hexadecimal digits. Files with other names are nobody's
/// and left alone, symbolic links below `ROOT` too.
///
/// What fails is told as `{success: false, error}` where the operation is answered so, and otherwise, as with what is no
/// call of the contract at all, as the error of the call.
///
/// # When something fails
/// *Directory*: what was acknowledged is on the disk, and is there after a crash of the process or the machine: a blob is
/// written beside its place, made durable, and moved there. What is left of unfinished uploads then is removed by a later link.
/// On a full disk an upload fails, and gives back the room that it had.
///
/// *S3*: what is acknowledged is as durable as the server makes it. Large blobs are sent in parts while their chunks come
/// in, by way of a file without a name in the system's temporary directory. A request is repeated for 10 seconds at most,
/// and takes 30 at most; an upload that fails has to be started again. A container is removed after a look at whether it is
/// empty, so that a blob which is uploaded at that very time may be left without one.
#[derive(Clone)]
pub struct BlobStore {
    link_name: Option<String>,
    /// The links, by the public key of their actor.
    links: Arc<Mutex<HashMap<String, Arc<BlobStoreLink>>>>,
}

/// What belongs to one link.
struct BlobStoreLink {
    backend: Box<dyn BlobBackend>,
    limits: BlobLimits,
    uploads: Uploads,
    downloads: Downloads,
    /// Shared by the calls that are being served, owned by what releases the link.
    in_use: Arc<RwLock<()>>,
    _sweeper: DropGuard,
}

impl BlobStore {
    /// A store to be run under this link name, `default` if not given.
    pub fn new(link_name: Option<String>) -> BlobStore {
        BlobStore { link_name, links: Arc::default() }
    }

    /// The store as a provider to start.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn capability(&self) -> Result<NativeCapability> {
        let claims = super::claims("Blob store", PUBLIC_KEY, CONTRACT);
        NativeCapability::from_async(self.clone(), self.link_name.clone(), claims)
    }

    fn links(&self) -> MutexGuard<'_, HashMap<String, Arc<BlobStoreLink>>> {
        // The map is whole after any panic: each use of it is a single operation.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn link(&self, actor: &str) -> Option<Arc<BlobStoreLink>> {
        self.links().get(actor).cloned()
    }
}

async fn open_backend(actor: &str, location: BlobLocation, is_default: bool) -> Result<Box<dyn BlobBackend>, String> {
    match location {
        BlobLocation::Bucket(bucket) => {
            log::info!("actor {actor} keeps its blobs in {bucket}");
            Ok(Box::new(S3Backend::open(bucket).await?))
        }
        BlobLocation::Directory(root) => {
            let directory = DirectoryBackend::open(root).await?;
            let path = escaped(&directory.path().to_string_lossy()).into_owned();
            if is_default {
                log::warn!("actor {actor} keeps its blobs in {path}: its link has no ROOT or URL");
            } else {
                log::info!("actor {actor} keeps its blobs in {path}");
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

    /// Serves a call to its end, also where nobody waits for it any more: an upload is never left in between.
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
            return Err(BlobStoreError::InvalidChunk("a chunk_size of 0 has no bytes".to_owned()));
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

    /// Releases what it has, once its calls have ended.
    async fn release(&self) {
        self.downloads.close();
        let _unused = self.in_use.write().await;
        self.uploads.clear().await;
    }
}

/// Gives up abandoned uploads, again and again.
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

/// What the payload of an operation says, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(super) fn read_payload(operation: &str, payload: &[u8]) -> Option<String> {
    payloads::BlobOperation::decode(operation, &bytes::Bytes::copy_from_slice(payload))
        .ok()
        .map(|read| format!("{read:?}"))
}
