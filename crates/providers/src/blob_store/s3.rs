//! The backend that stores blobs in a bucket of S3, or of a compatible server, through `object_store`.
//!
//! A blob is the object `prefix/<container>/<blob>`, with the names that [`names`] encodes. A container is the empty object
//! `prefix/<container>/.container`. No blob has that name, because encoded names do not begin with a dot.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ClientOptions, GetOptions, GetRange, MultipartUpload, PutPayload, RetryConfig};
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use wasmcloud_core::text::printable;

use super::backend::{BlobBackend, BlobReader, BlobWriter, BoundedBlobList};
use super::blocking::run_blocking;
use super::config::BucketConfig;
use super::error::BlobStoreError;
use super::names;
use super::payloads::{Blob, BlobName};
use super::spool::Spool;

/// Size of the parts of a large blob: the minimum that S3 accepts. Unit: bytes.
const PART_BYTES: u64 = 5 * 1024 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum duration of a request, including its body.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum time for retrying a request that failed on the server or did not reach it.
const RETRY_TIMEOUT: Duration = Duration::from_secs(10);

const MAX_RETRIES: usize = 3;

/// Maximum time for the server to answer while a link is established, including retries.
const LINK_TIMEOUT: Duration = Duration::from_secs(10);

const CONTAINER_MARKER: &str = ".container";

/// A bucket, or the objects of a bucket with one prefix.
pub(super) struct S3Backend {
    store: Arc<AmazonS3>,
    prefix: String,
}

impl S3Backend {
    /// Opens a bucket, and waits until the server has answered.
    ///
    /// # Errors
    /// Names the link value. Credentials are not shown.
    pub(super) async fn open(bucket: BucketConfig) -> Result<S3Backend, String> {
        let location = bucket.to_string();
        let prefix = bucket.prefix.clone();
        // Blocking, because the system's certificates are read from files.
        let built = run_blocking(move || {
            build(bucket).map_err(|error| BlobStoreError::unavailable("no client can be created", error))
        });
        let refused =
            |refusal: BlobStoreError| format!("the bucket of the value URL={location} cannot be used: {refusal}");
        let objects = S3Backend { store: Arc::new(built.await.map_err(refused)?), prefix };
        let silent = |_| {
            refused(BlobStoreError::unavailable(
                "its server does not answer in time",
                "start the server, or correct URL",
            ))
        };
        tokio::time::timeout(LINK_TIMEOUT, objects.health()).await.map_err(silent)?.map_err(refused)?;
        Ok(objects)
    }

    /// Returns the path of an object, or of the container if `object` is empty.
    fn path(&self, container: &str, object: &[String]) -> Result<Path, BlobStoreError> {
        let mut parts = names::encode(container);
        parts.extend_from_slice(object);
        let path = format!("{}/{}", self.prefix, parts.join("/"));
        Path::parse(path.trim_start_matches('/'))
            .map_err(|error| BlobStoreError::unavailable("the name of the object is invalid", error))
    }

    fn blob(&self, name: &BlobName) -> Result<Path, BlobStoreError> {
        self.path(&name.container, &names::encode(&name.id))
    }

    fn marker(&self, container: &str) -> Result<Path, BlobStoreError> {
        self.path(container, &[CONTAINER_MARKER.to_owned()])
    }

    async fn expect_container(&self, container: &str) -> Result<(), BlobStoreError> {
        let found = self.store.head(&self.marker(container)?).await;
        found.map(drop).map_err(|error| match error {
            object_store::Error::NotFound { .. } => BlobStoreError::ContainerNotFound(container.to_owned()),
            error => unavailable(error),
        })
    }
}

fn build(bucket: BucketConfig) -> object_store::Result<AmazonS3> {
    let options = ClientOptions::new()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout(REQUEST_TIMEOUT)
        .with_allow_http(bucket.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://")));
    let retry = RetryConfig { max_retries: MAX_RETRIES, retry_timeout: RETRY_TIMEOUT, ..RetryConfig::default() };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket.name)
        .with_region(bucket.region)
        .with_client_options(options)
        .with_retry(retry);
    if let Some(endpoint) = bucket.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    // Only the link's values provide credentials: neither the environment nor the role of the machine is used.
    let Some((key, secret)) = bucket.access else { return builder.with_skip_signature(true).build() };
    builder = builder.with_access_key_id(key).with_secret_access_key(secret.as_str());
    if let Some(token) = bucket.token {
        builder = builder.with_token(token.as_str());
    }
    builder.build()
}

fn unavailable(error: object_store::Error) -> BlobStoreError {
    BlobStoreError::unavailable("the server failed", error)
}

#[async_trait]
impl BlobBackend for S3Backend {
    async fn create_container(&self, container: &str) -> Result<(), BlobStoreError> {
        let made = self.store.put(&self.marker(container)?, PutPayload::default()).await;
        made.map(drop).map_err(unavailable)
    }

    async fn remove_container(&self, container: &str) -> Result<(), BlobStoreError> {
        self.expect_container(container).await?;
        let marker = self.marker(container)?;
        let mut objects = self.store.list(Some(&self.path(container, &[])?));
        while let Some(object) = objects.try_next().await.map_err(unavailable)? {
            if object.location != marker {
                return Err(BlobStoreError::ContainerNotEmpty(container.to_owned()));
            }
        }
        self.store.delete(&marker).await.map_err(unavailable)
    }

    async fn list(&self, container: &str) -> Result<Vec<Blob>, BlobStoreError> {
        self.expect_container(container).await?;
        let folder = self.path(container, &[])?;
        let mut list = BoundedBlobList::new(container);
        let mut objects = self.store.list(Some(&folder));
        while let Some(object) = objects.try_next().await.map_err(unavailable)? {
            let below = object.location.as_ref().strip_prefix(folder.as_ref()).unwrap_or_default();
            let parts: Vec<&str> = below.trim_start_matches('/').split('/').collect();
            if let Some(id) = names::decode(&parts) {
                list.add(id, object.size)?;
            }
        }
        Ok(list.into_sorted())
    }

    async fn remove(&self, name: &BlobName) -> Result<(), BlobStoreError> {
        let path = self.blob(name)?;
        // S3 does not report whether the object existed.
        self.open(name).await?;
        self.store.delete(&path).await.map_err(unavailable)
    }

    async fn open(&self, name: &BlobName) -> Result<Box<dyn BlobReader>, BlobStoreError> {
        let path = self.blob(name)?;
        match self.store.head(&path).await {
            Ok(found) => {
                let (size, tag) = (found.size, found.e_tag);
                Ok(Box::new(S3Reader { store: self.store.clone(), path, size, tag }))
            }
            Err(object_store::Error::NotFound { .. }) => {
                self.expect_container(&name.container).await?;
                Err(BlobStoreError::BlobNotFound(name.id.clone()))
            }
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn begin(
        &self,
        name: &BlobName,
        total: u64,
        chunk_size: u64,
    ) -> Result<(Spool, Box<dyn BlobWriter>), BlobStoreError> {
        let path = self.blob(name)?;
        self.expect_container(&name.container).await?;
        // An unnamed file: nothing remains of it, however the process ends.
        let file = run_blocking(|| {
            tempfile::tempfile().map_err(|error| BlobStoreError::unavailable("no temporary file can be created", error))
        });
        let spool = Spool::new(Arc::new(file.await?), total, chunk_size);
        Ok((spool, Box::new(S3Upload { store: self.store.clone(), path, parts: None, sent: 0 })))
    }

    async fn health(&self) -> Result<(), BlobStoreError> {
        let prefix = Path::parse(&self.prefix)
            .map_err(|error| BlobStoreError::unavailable("the name of the object is invalid", error))?;
        self.store.list(Some(&prefix)).try_next().await.map(drop).map_err(unavailable)
    }
}

/// An object that is read.
struct S3Reader {
    store: Arc<AmazonS3>,
    path: Path,
    size: u64,
    /// The ETag of the content. Reads fail if the content has changed.
    tag: Option<String>,
}

#[async_trait]
impl BlobReader for S3Reader {
    fn size(&self) -> u64 {
        self.size
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, BlobStoreError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let length = range.end - range.start;
        let options =
            GetOptions { range: Some(GetRange::Bounded(range)), if_match: self.tag.clone(), ..GetOptions::default() };
        let read = async { self.store.get_opts(&self.path, options).await?.bytes().await };
        match read.await {
            Ok(bytes) if bytes.len() as u64 == length => Ok(bytes),
            Ok(_) | Err(object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. }) => {
                Err(BlobStoreError::BlobReplaced)
            }
            Err(error) => Err(unavailable(error)),
        }
    }
}

/// An upload. A small blob is sent with one request, a large one in parts while its chunks arrive.
struct S3Upload {
    store: Arc<AmazonS3>,
    path: Path,
    parts: Option<Box<dyn MultipartUpload>>,
    sent: u64,
}

impl S3Upload {
    async fn send_part(&mut self, spool: &mut Spool, length: u64) -> Result<(), BlobStoreError> {
        let bytes = spool.read(self.sent, length as usize).await?;
        let parts = match &mut self.parts {
            Some(parts) => parts,
            none => none.insert(self.store.put_multipart(&self.path).await.map_err(unavailable)?),
        };
        parts.put_part(bytes.into()).await.map_err(unavailable)?;
        self.sent += length;
        Ok(())
    }
}

#[async_trait]
impl BlobWriter for S3Upload {
    async fn advance(&mut self, spool: &mut Spool) -> Result<(), BlobStoreError> {
        // Sends one part at a time, to limit memory. The last part is left to `finish`.
        while spool.contiguous() - self.sent >= PART_BYTES && spool.total() - self.sent > PART_BYTES {
            self.send_part(spool, PART_BYTES).await?;
        }
        Ok(())
    }

    async fn finish(&mut self, spool: &mut Spool) -> Result<(), BlobStoreError> {
        self.advance(spool).await?;
        let rest = spool.total() - self.sent;
        if self.parts.is_none() {
            let bytes = spool.read(0, rest as usize).await?;
            return self.store.put(&self.path, bytes.into()).await.map(drop).map_err(unavailable);
        }
        self.send_part(spool, rest).await?;
        if let Some(parts) = &mut self.parts {
            parts.complete().await.map_err(unavailable)?;
        }
        self.parts = None;
        Ok(())
    }

    async fn abandon(&mut self) {
        if let Some(mut parts) = self.parts.take()
            && let Err(error) = parts.abort().await
        {
            let reason = printable(error.to_string().as_bytes());
            log::debug!("the parts of the aborted upload of {} could not be removed: {reason}", self.path);
        }
    }
}
