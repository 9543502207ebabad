//! Reads the current entries under a pattern by requests for batches, which servers know from 2.11 on.
//!
//! The server finds the last entry of each key by its index of subjects. The cost does not grow with what else is in the stream.
//! It does so for at most 1,024 keys. Of more it is asked for one entry after the other, which costs more.

use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use async_nats::{HeaderMap, Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;
use wasmcloud_core::error::Result;

use super::super::bucket::{Bucket, Stored, is_marker, unavailable};
use super::{BATCH_BYTES, Found};

/// The most entries of one answer, as servers allow.
const BATCH: usize = 1024;

/// The most patterns that are read at once.
const CONCURRENT: usize = 16;

/// The status of the last message of an answer.
const END: u16 = 204;

/// The status of an answer to a request for the last entries of more than [`BATCH`] keys.
const TOO_MANY: u16 = 413;

/// How the server finds entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    LastOfEach,
    InOrder,
}

/// A message of an answer.
enum Part {
    Entry(Found),
    /// An entry under a key that no current host writes.
    Foreign(u64),
    /// The end of the answer, and how many entries are left.
    End(u64),
    TooMany,
}

impl Bucket {
    pub(super) async fn read_batches(&self, patterns: &[String], sink: &mpsc::Sender<Found>) -> Result<()> {
        let patterns: Vec<String> = patterns.iter().map(|pattern| self.subject(pattern)).collect();
        let reads = patterns.into_iter().map(|pattern| self.read_pattern(pattern, sink));
        stream::iter(reads).buffer_unordered(CONCURRENT).try_collect::<()>().await
    }

    async fn read_pattern(&self, pattern: String, sink: &mpsc::Sender<Found>) -> Result<()> {
        let mut way = Way::LastOfEach;
        let mut next = 1;
        loop {
            let mut answer = self.request_batch(&pattern, way, next).await?;
            let before = (way, next);
            let left = loop {
                match self.read_part(&mut answer).await? {
                    Part::End(left) => break left,
                    Part::TooMany => {
                        way = Way::InOrder;
                        break 1;
                    }
                    Part::Foreign(sequence) => next = sequence + 1,
                    Part::Entry(found) => {
                        next = found.stored.sequence + 1;
                        sink.send(found).await.map_err(|_| unavailable("its reader has gone"))?;
                    }
                }
            };
            if left == 0 || (way, next) == before {
                return Ok(());
            }
        }
    }

    async fn request_batch(&self, pattern: &str, way: Way, first: u64) -> Result<Subscriber> {
        let inbox = self.client.new_inbox();
        let answer = self
            .client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| unavailable("a part of it cannot be read").caused_by(error))?;
        let mut request = json!({ "seq": first, "batch": BATCH, "max_bytes": BATCH_BYTES });
        match way {
            Way::LastOfEach => request["multi_last"] = json!([pattern]),
            Way::InOrder => request["next_by_subj"] = json!(pattern),
        }
        let subject = format!("$JS.API.DIRECT.GET.{}", self.stream);
        let payload = Bytes::from(request.to_string());
        self.client
            .publish_with_reply(subject, inbox, payload)
            .await
            .map_err(|error| unavailable("a part of it cannot be read").caused_by(error))?;
        Ok(answer)
    }

    async fn read_part(&self, answer: &mut Subscriber) -> Result<Part> {
        let patience: Duration = self.context_timeout();
        let message = timeout(patience, answer.next())
            .await
            .map_err(|error| unavailable("a part of it was not read in time").caused_by(error))?
            .ok_or_else(|| unavailable("the connection was closed"))?;
        self.part(message)
    }

    fn part(&self, message: Message) -> Result<Part> {
        match message.status {
            None | Some(StatusCode::OK) => {}
            // The end of a batch, and no entry at all.
            Some(status) if status.as_u16() == END => return Ok(Part::End(left(message.headers.as_ref())?)),
            Some(StatusCode::NOT_FOUND) => return Ok(Part::End(0)),
            Some(status) if status.as_u16() == TOO_MANY => return Ok(Part::TooMany),
            Some(status) => return Err(unavailable(&format!("a part of it cannot be read (status {status})"))),
        }
        let message = StreamMessage::try_from(message)
            .map_err(|error| unavailable("a message of its stream is malformed").caused_by(error))?;
        self.note(message.sequence);
        let Some(key) = self.key_of(&message.subject) else { return Ok(Part::Foreign(message.sequence)) };
        let stored = Stored {
            sequence: message.sequence,
            seconds: message.time.unix_timestamp().try_into().unwrap_or(0),
            is_marker: is_marker(&message.headers),
            payload: Bytes::copy_from_slice(&message.payload),
        };
        Ok(Part::Entry(Found { key, stored }))
    }
}

/// Returns how many entries are left after a batch.
fn left(headers: Option<&HeaderMap>) -> Result<u64> {
    let value = headers.and_then(|headers| headers.get_last("Nats-Num-Pending")?.as_str().parse().ok());
    value.ok_or_else(|| unavailable("an answer of its stream does not tell how many entries are left"))
}
