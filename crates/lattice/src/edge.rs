//! The edge of the lattice: seals calls and answers that leave this host, and checks those that arrive.
//!
//! A call to a current host names that host. It is authenticated by the MAC of a session or, before there is one, by a
//! token. As it names one host, no other host can be made to execute it. A call on its target's own subject is taken by any
//! host of the queue group and carries a token, as in 2021.
//!
//! Size, format, destination and time are checked before a signature, which costs the most.
//!
//! # What a copy of a message can do
//! Other clients of the server may read messages and send copies of them, to the same inbox for answers. No copy leads to a
//! second execution of a call, or to an answer that says that an executed call was not:
//! - A session accepts each message once, and a token is accepted once. A token from before the start of this host is not,
//!   since it is forgotten what was accepted then.
//! - The signature of a refusal covers the whole message. So the refusal of a copy without its token or authenticators says
//!   nothing about the message of the caller.
//! - A refusal is not answered while a call with the same content is in progress, nor if the message was accepted before.

mod answering;
mod counts;
mod incoming;
mod keys;
mod outgoing;
mod progress;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nkeys::KeyPair;

use crate::namespace::Namespace;
use crate::options::HostTrust;
use crate::replay::{ReplayCache, ReplayLimits};
use crate::session::Sessions;
use crate::wire::{Authenticator, Digest, Digester};
use counts::Counters;
use keys::Keys;
use progress::CallsInProgress;

pub use answering::{Outcome, Reply};
pub use counts::{EdgeCounts, Refusal};
pub use incoming::{Admitted, Arrival, Refused};
pub use outgoing::{Answer, Sealed};

/// How many refusals are answered in a second. An answer costs a signature, and a sender of garbage waits for none.
const ANSWERED_REFUSALS: u32 = 200;

/// How many refusals are answered in a second whose calls can be sent again. After a restart each call in flight is one.
const ANSWERED_RETRIES: u32 = 2_000;

/// What the edge of a host is made of.
#[derive(Debug)]
pub struct EdgeSettings {
    /// The namespace. Messages of another one are refused.
    pub namespace: Namespace,
    /// The key of the host.
    pub key: Arc<KeyPair>,
    /// The key of the cluster that vouches for the host, if there is one.
    pub cluster_key: Option<Arc<KeyPair>>,
    /// The hosts whose messages are accepted.
    pub trust: HostTrust,
    /// The sessions with other hosts.
    pub sessions: Arc<Sessions>,
    /// The greatest payload. Unit: bytes.
    pub message_bytes: usize,
    /// How far the time of a message may differ from the time of this host.
    pub window: Duration,
}

/// The edge of a host.
pub struct Edge {
    namespace: Namespace,
    digester: Digester,
    host: Arc<str>,
    key: Arc<KeyPair>,
    cluster_key: Option<Arc<KeyPair>>,
    /// The public key of the cluster.
    cluster: Option<String>,
    trust: HostTrust,
    sessions: Arc<Sessions>,
    message_bytes: usize,
    window: ReplayLimits,
    replay: Mutex<ReplayCache>,
    progress: CallsInProgress,
    keys: Keys,
    /// When this edge was made. Unit: milliseconds since 1970.
    started_at: u64,
    refusals: Mutex<RefusalBudget>,
    counters: Counters,
}

/// How many refusals may still be answered in the current second.
#[derive(Debug)]
struct RefusalBudget {
    since: Instant,
    left: u32,
    retries_left: u32,
}

impl RefusalBudget {
    fn new() -> RefusalBudget {
        RefusalBudget { since: Instant::now(), left: ANSWERED_REFUSALS, retries_left: ANSWERED_RETRIES }
    }
}

impl Edge {
    /// Returns the edge of a host.
    pub fn new(settings: EdgeSettings) -> Edge {
        let EdgeSettings { namespace, key, cluster_key, trust, sessions, message_bytes, window } = settings;
        let back = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let window = ReplayLimits { back, ahead: back, ..ReplayLimits::default() };
        Edge {
            digester: Digester::new(&namespace),
            namespace,
            host: key.public_key().into(),
            cluster: cluster_key.as_ref().map(|key| key.public_key()),
            key,
            cluster_key,
            trust,
            sessions,
            message_bytes,
            window,
            replay: Mutex::new(ReplayCache::new(window)),
            progress: CallsInProgress::default(),
            keys: Keys::default(),
            started_at: clock(),
            refusals: Mutex::new(RefusalBudget::new()),
            counters: Counters::default(),
        }
    }

    /// Returns the public key of this host.
    pub fn host(&self) -> &Arc<str> {
        &self.host
    }

    /// Returns the sessions with other hosts.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// Returns how many messages were admitted, and how many were refused for which reason.
    pub fn counts(&self) -> EdgeCounts {
        self.counters.read()
    }

    /// Returns the key that signs on behalf of this host.
    fn signer(&self) -> &KeyPair {
        self.cluster_key.as_deref().unwrap_or(&self.key)
    }

    /// Returns whether a key that signed a message for a host is trusted to do so.
    fn trusts(&self, signer: &str, host: &str) -> bool {
        if signer == host {
            return self.trust.trusts_host(host);
        }
        signer.starts_with('C') && (self.trust.trusts_any() || self.trust.trusts_cluster(signer))
    }

    fn replay(&self) -> MutexGuard<'_, ReplayCache> {
        self.replay.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether one more refusal may be answered, whose call can be sent again or not.
    fn may_answer_refusal(&self, is_retry: bool) -> bool {
        let mut budget = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if budget.since.elapsed() >= Duration::from_secs(1) {
            *budget = RefusalBudget::new();
        }
        let left = if is_retry { &mut budget.retries_left } else { &mut budget.left };
        let may = *left > 0;
        *left = left.saturating_sub(1);
        may
    }
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge").field("host", &self.host).finish_non_exhaustive()
    }
}

/// Returns the time. Unit: milliseconds since 1970.
fn clock() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the digest of a whole message: of a call with its token and authenticators. Copies of a message whose token or
/// authenticators were removed have another one.
fn exact(digest: &Digest, token: &str, authenticators: &[Authenticator]) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("wasmcloud lattice message 1");
    hasher.update(digest);
    hasher.update(&(token.len() as u64).to_le_bytes());
    hasher.update(token.as_bytes());
    for authenticator in authenticators {
        hasher.update(&authenticator.key_id.to_le_bytes());
        hasher.update(&authenticator.counter.to_le_bytes());
        hasher.update(&authenticator.mac);
    }
    *hasher.finalize().as_bytes()
}
