//! Payloads that are too large for a message: the receiver of a message pulls them from its sender, in chunks.
//!
//! A message names such a payload by a [`Transfer`]: an identifier, the size and the hash. The digest of the message covers
//! it, so what authenticates the small message authenticates the large payload. The sender offers the payload until the call
//! has ended. The receiver requests chunks from the sender alone, several at a time, and each request names the offset and the
//! greatest length. The sender may send less, since the limits of their servers may differ.
//!
//! # Why not the object store of JetStream
//! - It is about twice as fast as an object store in memory, and four times as fast as one on files. 64 MiB on one machine, in
//!   one run: 330 MiB/s by pulling, 149 and 75 MiB/s by an object store.
//! - Nothing is written to a disk or replicated, and no server needs JetStream. A payload of a call lives as long as the call.
//! - Nothing is left behind. An object of a host that dies has to be found and removed by another.
//! - The receiver sets the pace, and refuses what is too large or too much before any of it is sent. An upload comes first.
//! - A call stays one message that is delivered at most once. Reading a chunk twice has no effect, so that lost chunks are read
//!   again, also over a new connection.
//!
//! Any client of the server that learns the identifier can fetch the payload, as it can read the message. A payload is sent at
//! most a few times, so that its identifier is of little use to flood the server.

mod budget;
mod fetch;
mod frame;
mod offers;
mod serve;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tokio::task::JoinHandle;
use wasmcloud_core::error::{ErrorKind, Result};

use crate::connection::Connection;
use crate::namespace::Namespace;
use crate::wire::{MAX_ENVELOPE, Transfer};
use budget::Budget;
use offers::Offers;

pub use offers::Offer;

/// The largest message of a server that has not told it. It is the default of servers. Unit: bytes.
const DEFAULT_MAX_PAYLOAD: usize = 1024 * 1024;

/// The payloads that a host offers and fetches. Cheap to clone. The task ends with the last clone, or with the connection.
#[derive(Debug, Clone)]
pub struct Transfers(Arc<Inner>);

/// What a host needs to offer and fetch payloads.
#[derive(Debug, Clone)]
pub struct TransferSettings {
    /// The namespace.
    pub namespace: Namespace,
    /// The connection of the calls.
    pub connection: Connection,
    /// The public key of this host.
    pub host: String,
    /// The greatest payload. Unit: bytes.
    pub message_bytes: usize,
    /// The most bytes of all payloads that are offered at a time.
    pub offered_bytes: usize,
    /// The most bytes of all payloads that are fetched at a time.
    pub fetched_bytes: usize,
}

struct Inner {
    settings: TransferSettings,
    offers: Arc<Offers>,
    fetched: Arc<Budget>,
    counters: Arc<Counters>,
    task: JoinHandle<()>,
}

/// How much was offered, sent, fetched and refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferCounts {
    /// The payloads that were offered.
    pub offers: u64,
    /// The payloads or fetches that were refused, since they exceed a budget.
    pub busy: u64,
    /// The chunks that were sent.
    pub chunks: u64,
    /// The bytes of the chunks that were sent.
    pub chunk_bytes: u64,
    /// The requests that are malformed.
    pub malformed: u64,
    /// The requests for payloads that are not offered.
    pub unknown: u64,
    /// The requests for payloads that have been sent too often.
    pub exhausted: u64,
    /// The requests that were not answered, since there were too many.
    pub throttled: u64,
    /// The payloads that were fetched.
    pub fetches: u64,
    /// The bytes of the payloads that were fetched.
    pub fetched_bytes: u64,
    /// The fetches that failed.
    pub failed_fetches: u64,
    /// The chunks that were requested again.
    pub retries: u64,
    /// The bytes of the payloads that are offered now.
    pub offered_now: u64,
    /// The bytes of the payloads that are being fetched now.
    pub fetching_now: u64,
}

#[derive(Debug, Default)]
struct Counters(Mutex<TransferCounts>);

impl Counters {
    fn add(&self, count: impl FnOnce(&mut TransferCounts)) {
        count(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Transfers {
    /// Starts to serve the chunks of payloads that this host offers, as soon as and whenever it is connected. The task runs on
    /// the current tokio runtime.
    pub fn start(settings: TransferSettings) -> Transfers {
        let counters = Arc::new(Counters::default());
        let offers = Arc::new(Offers::new(settings.offered_bytes, settings.message_bytes));
        let fetched = Arc::new(Budget::new(settings.fetched_bytes));
        let server = serve::Server {
            connection: settings.connection.clone(),
            subject: settings.namespace.peer(&format!("host.{}.chunk.*.*", settings.host)),
            offers: Arc::clone(&offers),
            counters: Arc::clone(&counters),
        };
        let task = tokio::spawn(server.run());
        Transfers(Arc::new(Inner { settings, offers, fetched, counters, task }))
    }

    /// Offers a payload to the host that gets its transfer. Computes its hash on the thread of the caller. Dropping the offer
    /// ends it.
    ///
    /// # Errors
    /// `MessageTooLarge` for a payload beyond the limit, `Busy` beyond the budget.
    pub fn offer(&self, payload: Bytes) -> Result<Offer> {
        let offer = Offers::offer(&self.0.offers, payload);
        self.0.counters.add(|counts| match &offer {
            Ok(_) => counts.offers += 1,
            Err(error) => counts.busy += u64::from(error.kind() == ErrorKind::Busy),
        });
        offer
    }

    /// Fetches a payload that a host offers. Memory is taken as chunks arrive. Lost chunks are requested again until the
    /// deadline, also over a new connection.
    ///
    /// # Errors
    /// `MessageTooLarge` for a payload beyond the limit and `Busy` beyond the budget, before anything is requested;
    /// `DeadlineExceeded` without all chunks in time; `LatticeUnavailable` if the host is gone or does not offer the payload
    /// any more; `LatticeRefused` if what it sent is another payload.
    pub async fn fetch(&self, host: &str, transfer: &Transfer, deadline: Instant) -> Result<Vec<u8>> {
        let outcome = fetch::fetch(&self.0, host, transfer, deadline).await;
        self.0.counters.add(|counts| match &outcome {
            Ok(payload) => {
                counts.fetches += 1;
                counts.fetched_bytes += payload.len() as u64;
            }
            Err(_) => counts.failed_fetches += 1,
        });
        outcome
    }

    /// Returns the size up to which a payload is sent in its message, in binary form. It depends on the server. Unit: bytes.
    pub fn inline_limit(&self) -> usize {
        let largest = self.0.max_payload();
        largest - MAX_ENVELOPE.min(largest / 4)
    }

    /// Returns how much was offered, sent, fetched and refused.
    pub fn counts(&self) -> TransferCounts {
        let mut counts = *self.0.counters.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.offered_now = self.0.offers.budget().used() as u64;
        counts.fetching_now = self.0.fetched.used() as u64;
        counts
    }
}

impl Inner {
    fn max_payload(&self) -> usize {
        max_payload(&self.settings.connection)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfers")
            .field("host", &self.settings.host)
            .field("namespace", &self.settings.namespace)
            .finish_non_exhaustive()
    }
}

/// Returns the largest message that the server of a connection accepts. Unit: bytes.
fn max_payload(connection: &Connection) -> usize {
    connection.max_payload().unwrap_or(DEFAULT_MAX_PAYLOAD)
}
