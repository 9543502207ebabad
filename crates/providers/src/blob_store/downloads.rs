//! Sends blobs to an actor in chunks.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use wasmcloud_core::call::CallContext;
use wasmcloud_core::error::{BoxedError, printable};
use wasmcloud_provider::ActorDispatcher;

use super::backend::BlobReader;
use super::error::BlobStoreError;
use super::payloads::{Download, RECEIVE_CHUNK};

/// Number of bytes that are read at once, unless a chunk is larger. Unit: bytes.
const WINDOW: u64 = 1024 * 1024;

/// The downloads of a link.
pub(super) struct Downloads {
    limit: usize,
    /// One for each download that may be in progress.
    slots: Arc<Semaphore>,
    actor: String,
    dispatcher: ActorDispatcher,
    closing: CancellationToken,
}

impl Downloads {
    pub(super) fn new(limit: usize, actor: String, dispatcher: ActorDispatcher) -> Downloads {
        let slots = Arc::new(Semaphore::new(limit));
        Downloads { limit, slots, actor, dispatcher, closing: CancellationToken::new() }
    }

    /// Reserves a slot for a download.
    ///
    /// # Errors
    /// `LimitExceeded` if all slots are in use, `LinkEnded` if the link has ended.
    pub(super) fn reserve_slot(&self) -> Result<OwnedSemaphorePermit, BlobStoreError> {
        if self.closing.is_cancelled() {
            return Err(BlobStoreError::LinkEnded);
        }
        let (what, limit) = ("downloads at once", self.limit as u64);
        let full = |_| BlobStoreError::LimitExceeded { what, count: limit + 1, limit, link_value: "DOWNLOADS" };
        self.slots.clone().try_acquire_owned().map_err(full)
    }

    /// Starts sending the chunks of a blob to the actor. Each is sent after the actor has answered the previous one.
    pub(super) fn start(&self, slot: OwnedSemaphorePermit, download: Download, source: Box<dyn BlobReader>) {
        let sender = ChunkSender {
            download,
            source,
            actor: self.actor.clone(),
            dispatcher: self.dispatcher.clone(),
            chain: self.dispatcher.in_chain().begin(),
            closing: self.closing.clone(),
        };
        actix_rt::spawn(async move {
            sender.run().await;
            drop(slot);
        });
    }

    /// Stops sending chunks.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    /// Stops sending chunks, and waits until the actor has answered those in flight.
    pub(super) async fn drain(&self) {
        self.close();
        // Cannot fail: the semaphore is never closed.
        let _ = self.slots.acquire_many(u32::try_from(self.limit).unwrap_or(u32::MAX)).await;
    }
}

struct ChunkSender {
    download: Download,
    source: Box<dyn BlobReader>,
    actor: String,
    dispatcher: ActorDispatcher,
    /// The chain of calls that the chunks are.
    chain: CallContext,
    closing: CancellationToken,
}

impl ChunkSender {
    async fn run(self) {
        if let Err(error) = self.send_chunks().await {
            let (id, actor) = (printable(self.download.name.id.as_bytes()), self.actor.as_str());
            let (reason, call) = (printable(error.to_string().as_bytes()), self.chain.call_id());
            log::warn!(actor, call; "the download of {id:?} by actor {actor} ended early: {reason}");
        }
    }

    async fn send_chunks(&self) -> Result<(), BoxedError> {
        let (size, chunk_size) = (self.source.size(), self.download.chunk_size);
        let mut sequence = 0;
        if size == 0 {
            // Tells the actor that the download has ended.
            return self.send_chunk(sequence, &[]).await;
        }
        let mut offset = 0;
        while offset < size {
            let window = self.read(offset).await?;
            // CHUNK_LIMIT is at most 32 MiB, so the cast is lossless.
            for chunk in window.chunks(chunk_size as usize) {
                self.send_chunk(sequence, chunk).await?;
                sequence += 1;
            }
            offset += window.len() as u64;
        }
        Ok(())
    }

    /// Reads as many whole chunks as fit the window, or the rest of the blob.
    async fn read(&self, offset: u64) -> Result<Bytes, BoxedError> {
        let chunk_size = self.download.chunk_size;
        let window = (WINDOW / chunk_size).max(1).saturating_mul(chunk_size);
        let end = self.source.size().min(offset.saturating_add(window));
        tokio::select! {
            () = self.closing.cancelled() => Err(BlobStoreError::LinkEnded.into()),
            read = self.source.read(offset..end) => Ok(read?),
        }
    }

    async fn send_chunk(&self, sequence: u64, bytes: &[u8]) -> Result<(), BoxedError> {
        if self.closing.is_cancelled() {
            return Err(BlobStoreError::LinkEnded.into());
        }
        let payload = self.download.encode(sequence, self.source.size(), bytes)?;
        // Each chunk has a deadline of its own.
        let context = self.chain.clone().until(self.dispatcher.begin().deadline);
        self.dispatcher.within(Some(context)).dispatch(&self.actor, RECEIVE_CHUNK, payload).await?;
        Ok(())
    }
}
