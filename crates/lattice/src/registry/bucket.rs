//! The bucket of the registry: one stream of JetStream, how it is created, read and written.
//!
//! Every failure says whether something was written: not written, written, or unknown.

mod adopt;
mod failure;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream::context::{self, ContextBuilder};
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream;
use async_nats::jetstream::{Context, ErrorCode};
use async_nats::{Client, HeaderMap, Request};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::watch;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::RegistryOptions;
use super::key::Key;
use crate::Namespace;
pub(super) use failure::{ReadFailure, WriteFailure, unavailable};
use failure::{failure_of, failure_of_direct_read, failure_of_read, refusal, unknown};

/// A message of the bucket.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) sequence: u64,
    /// The time at which the server stored it, since 1970. Unit: seconds.
    pub(super) seconds: u64,
    /// Whether it is a marker of the key-value store.
    pub(super) is_marker: bool,
    pub(super) payload: Bytes,
}

/// The bucket of a namespace.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) client: Client,
    pub(super) context: Context,
    pub(super) namespace: Namespace,
    pub(super) stream: String,
    prefix: String,
    replicas: usize,
    timeout: Duration,
    republishes: AtomicBool,
    direct: AtomicBool,
    batches: AtomicBool,
    /// The greatest sequence that was seen. A stream whose last sequence is less has lost data.
    highest: AtomicU64,
    created: Mutex<Option<i128>>,
    /// Incremented when the stream turns out to be another one than before.
    generation: watch::Sender<u64>,
}

#[derive(Deserialize)]
struct Acknowledgement {
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    error: Option<AcknowledgementError>,
}

#[derive(Deserialize)]
struct AcknowledgementError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl Bucket {
    pub(super) fn new(client: Client, namespace: Namespace, options: &RegistryOptions) -> Bucket {
        let context = ContextBuilder::new().timeout(options.request_timeout).build(client.clone());
        Bucket {
            stream: format!("KV_WASMCLOUD_{namespace}"),
            prefix: format!("$KV.WASMCLOUD_{namespace}."),
            client,
            context,
            namespace,
            replicas: options.replicas,
            timeout: options.request_timeout,
            republishes: AtomicBool::new(false),
            direct: AtomicBool::new(false),
            batches: AtomicBool::new(false),
            highest: AtomicU64::new(0),
            created: Mutex::new(None),
            generation: watch::Sender::new(0),
        }
    }

    /// Returns whether the server republishes changes. If it does not, changes are found by audits only.
    pub(super) fn republishes(&self) -> bool {
        self.republishes.load(Ordering::Relaxed)
    }

    /// Returns whether the server reads all entries under a pattern for one request, without a consumer.
    pub(super) fn reads_batches(&self) -> bool {
        self.batches.load(Ordering::Relaxed)
    }

    /// Returns a counter that changes when the stream was lost.
    pub(super) fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Returns the subject of a key, or of several by a pattern.
    pub(super) fn subject(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Returns the subject on which the server republishes a key, or several by a pattern.
    pub(super) fn republished(&self, key: &str) -> String {
        format!("wasmbus.registry.{}.{key}", self.namespace)
    }

    /// Returns the key of a subject of the stream or of a republished message.
    pub(super) fn key_of(&self, subject: &str) -> Option<Key> {
        let republished = self.republished("");
        let text = subject.strip_prefix(&self.prefix).or_else(|| subject.strip_prefix(&republished))?;
        Key::parse(text)
    }

    /// Checks that there is a connection.
    ///
    /// # Errors
    /// `LatticeUnavailable` if there is none: what is sent now would wait in a buffer and be stored at any later time.
    pub(super) fn expect_connected(&self) -> Result<()> {
        if self.client.connection_state() == async_nats::connection::State::Connected {
            return Ok(());
        }
        Err(unavailable("there is no connection to NATS"))
    }

    pub(super) fn context_timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn note(&self, sequence: u64) {
        self.highest.fetch_max(sequence, Ordering::Relaxed);
    }

    /// Returns the last sequence of the stream.
    pub(super) async fn last_sequence(&self) -> Result<u64> {
        self.expect_connected()?;
        match self.request::<stream::Info>(&format!("STREAM.INFO.{}", self.stream), &json!({})).await? {
            Answer::Value(info) => Ok(info.state.last_sequence),
            Answer::NoJetStream => Err(unavailable("JetStream does not answer")),
            Answer::Failed(error) => Err(refusal("its stream cannot be read", &error)),
        }
    }

    /// Reads a key. The answer is never older than an acknowledged write.
    pub(super) async fn read(&self, key: &Key) -> Result<Option<Stored>, ReadFailure> {
        self.expect_connected()?;
        let subject = self.subject(&key.to_string());
        let stream = self.context.get_stream_no_info(&self.stream).await.map_err(|error| {
            Error::new(ErrorKind::Internal, "the name of the registry's stream is not valid").caused_by(error)
        })?;
        let outcome = match self.direct.load(Ordering::Relaxed) {
            true => stream.direct_get_last_for_subject(subject).await.map_err(failure_of_direct_read),
            false => stream.get_last_raw_message_by_subject(&subject).await.map_err(failure_of_read),
        };
        let message = match outcome {
            Ok(message) => message,
            Err(None) => return Ok(None),
            Err(Some(failure)) => return Err(failure),
        };
        self.note(message.sequence);
        Ok(Some(Stored {
            sequence: message.sequence,
            seconds: message.time.unix_timestamp().try_into().unwrap_or(0),
            is_marker: is_marker(&message.headers),
            payload: message.payload,
        }))
    }

    /// Writes a key, if its last revision is the expected one (0: it has none). Returns the new revision.
    pub(super) async fn write(&self, key: &Key, entry: &Bytes, expected: Option<u64>) -> Result<u64, WriteFailure> {
        self.expect_connected().map_err(WriteFailure::Refused)?;
        let mut request = Request::new().payload(entry.clone()).timeout(Some(self.timeout));
        if let Some(expected) = expected {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Expected-Last-Subject-Sequence", expected.to_string());
            request = request.headers(headers);
        }
        let answer = match self.client.send_request(self.subject(&key.to_string()), request).await {
            Ok(answer) => answer,
            Err(error) => return Err(failure_of(error)),
        };
        let answer: Acknowledgement = serde_json::from_slice(&answer.payload)
            .map_err(|error| WriteFailure::Unknown(unknown("the acknowledgement cannot be read").caused_by(error)))?;
        match answer.error {
            None if answer.seq > 0 => {
                self.note(answer.seq);
                Ok(answer.seq)
            }
            None => Err(WriteFailure::Unknown(unknown("the acknowledgement names no revision"))),
            // Two codes for the same: newer servers have one whose text does not vary.
            Some(error) if matches!(error.err_code, 10071 | 10164) => Err(WriteFailure::Conflict),
            Some(error) => {
                let message = format!("JetStream refused an entry of the registry ({})", error.description);
                Err(WriteFailure::Refused(Error::new(ErrorKind::LatticeUnavailable, message)))
            }
        }
    }

    /// Deletes the entries of a key up to and including a revision. A later one stays.
    pub(super) async fn purge(&self, key: &Key, revision: u64) -> Result<()> {
        self.expect_connected()?;
        let subject = format!("STREAM.PURGE.{}", self.stream);
        let what = json!({ "filter": self.subject(&key.to_string()), "seq": revision.saturating_add(1) });
        match self.request::<serde_json::Value>(&subject, &what).await? {
            Answer::Value(_) => Ok(()),
            Answer::NoJetStream => Err(unavailable("JetStream does not answer")),
            Answer::Failed(error) => Err(refusal("a removal cannot be purged", &error)),
        }
    }

    async fn request<T: DeserializeOwned>(&self, subject: &str, payload: &serde_json::Value) -> Result<Answer<T>> {
        match self.context.request::<_, _, Response<T>>(subject.to_owned(), payload).await {
            Ok(Response::Ok(value)) => Ok(Answer::Value(Box::new(value))),
            Ok(Response::Err { error }) => match error.error_code() {
                ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
                    Ok(Answer::NoJetStream)
                }
                _ => Ok(Answer::Failed(error)),
            },
            Err(error) if error.kind() == context::RequestErrorKind::NoResponders => Ok(Answer::NoJetStream),
            Err(error) => Err(unavailable("JetStream did not answer").caused_by(error)),
        }
    }
}

enum Answer<T> {
    Value(Box<T>),
    NoJetStream,
    Failed(async_nats::jetstream::Error),
}

/// Returns whether a message was written by a delete or purge of a key-value store.
pub(super) fn is_marker(headers: &HeaderMap) -> bool {
    headers.get("KV-Operation").is_some() || headers.get("Nats-Marker-Reason").is_some()
}
