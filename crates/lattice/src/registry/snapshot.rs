//! Reads the current entries of some keys: by requests for batches where the server knows them, else by a short-lived consumer.
//!
//! A consumer of a part of a large stream is expensive to create, since the server looks through the whole stream for it. It has
//! a name and is deleted when it has served. If the connection is lost before, the server deletes it after [`EXPIRY`].

mod batch;

use std::time::Duration;

use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;
use wasmcloud_core::error::Result;

use super::bucket::{Bucket, Stored, is_marker, unavailable};
use super::key::Key;

/// The time after which the server deletes a consumer that is not used.
pub(super) const EXPIRY: Duration = Duration::from_secs(30);

/// The most entries, and the most bytes, that are requested at once.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 8 << 20;

/// The most entries that are requested at once of servers before 2.10, which leave a request without an end if it is full by its
/// bytes.
const OLD_BATCH: usize = 32;

/// The most consumers at once, on servers before 2.10, which know one filter for each.
const CONSUMERS: usize = 8;

/// An entry of a snapshot.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) key: Key,
    pub(super) stored: Stored,
}

/// What a snapshot reads.
#[derive(Debug, Clone)]
pub(super) struct Filters {
    /// The keys or patterns of keys.
    pub(super) patterns: Vec<String>,
    /// Whether the revisions are enough, without the entries.
    pub(super) is_audit: bool,
}

impl Bucket {
    /// Sends the current entries of keys to `sink`, in the order of their revisions for each filter.
    pub(super) async fn snapshot(&self, filters: &Filters, sink: &mpsc::Sender<Found>) -> Result<()> {
        self.expect_connected()?;
        if self.reads_batches() {
            return self.read_batches(&filters.patterns, sink).await;
        }
        let subjects: Vec<String> = filters.patterns.iter().map(|pattern| self.subject(pattern)).collect();
        if self.client.is_server_compatible(2, 10, 0) {
            return self.read_filtered(subjects, filters.is_audit, sink).await;
        }
        let reads = subjects.into_iter().map(|subject| self.read_filtered(vec![subject], filters.is_audit, sink));
        stream::iter(reads).buffer_unordered(CONSUMERS).try_collect::<()>().await
    }

    /// Returns the current entries of the keys that match a pattern, `most` at most.
    pub(super) async fn collect(&self, pattern: String, most: usize) -> Result<Vec<Found>> {
        let filters = Filters { patterns: vec![pattern], is_audit: false };
        let (sender, mut receiver) = mpsc::channel(BATCH);
        let mut found = Vec::new();
        let read = async move { self.snapshot(&filters, &sender).await };
        let collected = async {
            while let Some(next) = receiver.recv().await {
                if found.len() < most {
                    found.push(next);
                }
            }
        };
        let (outcome, ()) = tokio::join!(read, collected);
        outcome.map(|()| found)
    }

    async fn read_filtered(
        &self,
        mut subjects: Vec<String>,
        headers_only: bool,
        sink: &mpsc::Sender<Found>,
    ) -> Result<()> {
        let name = format!("snapshot-{}", Uuid::new_v4().simple());
        let mut config = Config {
            name: Some(name.clone()),
            description: Some("Reads a part of the registry once".to_owned()),
            deliver_policy: DeliverPolicy::LastPerSubject,
            ack_policy: AckPolicy::None,
            inactive_threshold: EXPIRY,
            memory_storage: true,
            num_replicas: 1,
            headers_only,
            ..Config::default()
        };
        match subjects.len() {
            1 => config.filter_subject = subjects.remove(0),
            _ => config.filter_subjects = subjects,
        }
        let consumer: PullConsumer = self
            .context
            .create_consumer_on_stream(config, &self.stream)
            .await
            .map_err(|error| unavailable("a part of it cannot be read").caused_by(error))?;
        let outcome = self.drain(&consumer, sink).await;
        if let Err(error) = self.context.delete_consumer_from_stream(&name, &self.stream).await {
            log::debug!("The consumer {name} of the registry could not be deleted and expires: {error}");
        }
        outcome
    }

    async fn drain(&self, consumer: &PullConsumer, sink: &mpsc::Sender<Found>) -> Result<()> {
        let patience = self.context_timeout();
        let mut pending = consumer.cached_info().num_pending;
        while pending > 0 {
            let fetch = match self.client.is_server_compatible(2, 10, 0) {
                true => consumer.fetch().max_messages(BATCH).max_bytes(BATCH_BYTES),
                false => consumer.fetch().max_messages(OLD_BATCH),
            };
            let mut batch = timeout(patience, fetch.messages())
                .await
                .map_err(|error| unavailable("a part of it was not read in time").caused_by(error))?
                .map_err(|error| unavailable("a part of it cannot be read").caused_by(error))?;
            let mut received = 0;
            loop {
                let next = timeout(patience, batch.next())
                    .await
                    .map_err(|error| unavailable("a part of it was not read in time").caused_by(error))?;
                let message = match next {
                    None => break,
                    // A batch that is full by its bytes ends so.
                    Some(Err(_)) if received > 0 => break,
                    Some(Err(error)) => return Err(unavailable("a part of it cannot be read").caused_by(error)),
                    Some(Ok(message)) => message,
                };
                received += 1;
                pending = self.hand_over(message, sink).await?;
            }
            if received == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Hands a message over. Returns the number of those that are left.
    async fn hand_over(&self, message: async_nats::jetstream::Message, sink: &mpsc::Sender<Found>) -> Result<u64> {
        let info =
            message.info().map_err(|error| unavailable("a message of its stream is malformed").caused_by(error))?;
        let left = info.pending;
        let stored = Stored {
            sequence: info.stream_sequence,
            seconds: info.published.unix_timestamp().try_into().unwrap_or(0),
            is_marker: message.headers.as_ref().is_some_and(is_marker),
            payload: Bytes::copy_from_slice(&message.payload),
        };
        self.note(stored.sequence);
        // A key that no current host writes is of no concern.
        if let Some(key) = self.key_of(&message.subject) {
            sink.send(Found { key, stored }).await.map_err(|_| unavailable("its reader has gone"))?;
        }
        Ok(left)
    }
}
