//! The registry of a lattice: links, claims, call aliases and image references, in a key-value bucket of JetStream.
//!
//! Each item has a key of its own, and each write replaces the revision that its writer has read. A host reads and watches only
//! what concerns the actors and providers that it runs, so that the cost of joining does not grow with the lattice. Entries are
//! signed by the host that writes them. One that does not verify is refused and counted, and the last valid state stays in effect.

mod alias;
mod bucket;
mod claims;
mod counters;
mod entry;
mod index;
mod interest;
mod key;
mod link;
mod outbox;
mod pending;
mod snapshot;
mod state;
mod watcher;
mod write;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use nkeys::KeyPair;
use tokio::sync::watch;
use wasmcloud_core::error::Result;

use bucket::Bucket;
use counters::Counters;
use entry::Verifier;

pub use alias::AliasHolder;
pub use claims::ClaimsRecord;
pub use counters::RegistryCounters;
pub use entry::{LARGEST_ENTRY, LinkRecord, Refusal, SCHEMA, TrustedWriters};
pub use interest::{Entity, InterestHandle};
pub use key::{Key, LONGEST_NAME, LONGEST_REFERENCE, LinkKey};
pub use link::{LinkEntry, LinkVersion, RegisteredLink};
pub use outbox::{Changes, RegistryChange};
pub use pending::{Change, PendingChange, PendingOutcome};

use crate::Namespace;

/// The options of a registry.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RegistryOptions {
    /// The number of servers that store the bucket, if this host creates it. Default: 1.
    pub replicas: usize,
    /// The time between two comparisons of what is known with what is stored. Default: 5 minutes.
    pub audit_interval: Duration,
    /// The time for one request to JetStream. Default: 5 s.
    pub request_timeout: Duration,
    /// The time for which readers re-read a link whose writer announced a change and has not completed it. Default: 30 s.
    pub intent_lifetime: Duration,
    /// The age at which removals are purged, at least 1 minute. Default: 1 day.
    pub removal_age: Duration,
    /// The greatest time between the signing of an entry by its host's clock and its storing by the server's clock. An older
    /// entry was stored again by a stranger and is refused. Default: 1 hour.
    pub clock_tolerance: Duration,
}

impl Default for RegistryOptions {
    fn default() -> RegistryOptions {
        RegistryOptions {
            replicas: 1,
            audit_interval: Duration::from_secs(300),
            request_timeout: Duration::from_secs(5),
            intent_lifetime: Duration::from_secs(30),
            removal_age: Duration::from_secs(24 * 3600),
            clock_tolerance: Duration::from_secs(3600),
        }
    }
}

/// The outcome of opening a registry.
#[derive(Debug)]
#[must_use]
pub enum Opening {
    /// The registry is open.
    Registry(Registry),
    /// The server or the account has no JetStream. The advertisements of 2021 remain.
    WithoutJetStream,
}

/// A handle of the registry of a namespace. Cheap to clone. It works on the tokio runtime on which it is called.
#[derive(Clone)]
pub struct Registry(Arc<Shared>);

struct Shared {
    bucket: Arc<Bucket>,
    writer: Arc<KeyPair>,
    trust: Arc<dyn TrustedWriters>,
    options: RegistryOptions,
    counters: Arc<Counters>,
    /// Wakes the watchers for an audit.
    audit: watch::Sender<()>,
    recovery: tokio::sync::Mutex<()>,
}

impl Registry {
    /// Creates the bucket of a namespace, or adopts the existing one. `writer` is the key with which the host signs its entries;
    /// `trust` decides whose entries are accepted.
    ///
    /// # Errors
    /// `LatticeUnavailable` if JetStream does not answer or cannot create the bucket. `InvalidArgument` if a stream of that name
    /// exists and discards entries.
    pub async fn open(
        client: Client,
        namespace: Namespace,
        writer: Arc<KeyPair>,
        trust: Arc<dyn TrustedWriters>,
        options: RegistryOptions,
    ) -> Result<Opening> {
        let bucket = Arc::new(Bucket::new(client, namespace, &options));
        if !bucket.ensure().await? {
            return Ok(Opening::WithoutJetStream);
        }
        Ok(Opening::Registry(Registry(Arc::new(Shared {
            bucket,
            writer,
            trust,
            options,
            counters: Arc::default(),
            audit: watch::Sender::new(()),
            recovery: tokio::sync::Mutex::default(),
        }))))
    }

    /// Starts to watch the registry. The watcher is a task of the current tokio runtime and ends with the [`Changes`] or with the
    /// last [`InterestHandle`]. `connections` counts the connections of the client: after each change of the number everything is
    /// compared with what is stored.
    pub fn watch(&self, connections: watch::Receiver<u64>) -> (InterestHandle, Changes) {
        watcher::start(self.clone(), connections)
    }

    /// Compares what is known with what is stored now, instead of at the next interval.
    pub fn audit_now(&self) {
        self.0.audit.send_replace(());
    }

    /// Returns whether the server republishes changes. If it does not, changes are found by audits only.
    pub fn is_live(&self) -> bool {
        self.0.bucket.republishes()
    }

    /// Returns what has been counted since the registry was opened.
    pub fn counters(&self) -> RegistryCounters {
        self.0.counters.read()
    }

    fn verifier(&self) -> Verifier<'_> {
        Verifier { namespace: self.0.bucket.namespace.as_str(), trust: &*self.0.trust }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("stream", &self.0.bucket.stream).finish_non_exhaustive()
    }
}
