//! The edge of the lattice: seals calls and answers that leave this host, and checks those that arrive.
//!
//! A call to a host of this kind names that host. It is authenticated by the MAC of a session or, before there is one, by a
//! token. As it names one host, no other host can be made to execute it. A call on its target's own subject is taken by any
//! host of the queue group and carries a token, as in 2021.
//!
//! A check costs more the later it is made: size, format, destination, time and trust are checked before any signature.

mod counts;
mod incoming;
mod outgoing;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nkeys::KeyPair;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::namespace::Namespace;
use crate::options::HostTrust;
use crate::replay::{ReplayCache, ReplayLimits};
use crate::session::Sessions;
use crate::wire::Digester;
use counts::Counters;

pub use counts::{EdgeCounts, Refusal};
pub use incoming::{Admitted, Arrival, Outcome, Refused, Reply};
pub use outgoing::{Answer, Sealed};

/// How many refusals are answered in a second. An answer costs a signature, and whoever sends garbage waits for none.
const ANSWERED_REFUSALS: u32 = 200;

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
    refusals: Mutex<RefusalBudget>,
    counters: Counters,
}

/// How many refusals may still be answered in the current second.
#[derive(Debug)]
struct RefusalBudget {
    since: Instant,
    left: u32,
}

impl Edge {
    /// Returns the edge of a host.
    pub fn new(settings: EdgeSettings) -> Edge {
        let EdgeSettings { namespace, key, cluster_key, trust, sessions, message_bytes, window } = settings;
        let back = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let window = ReplayLimits { back, ahead: back, ..ReplayLimits::default() };
        Edge {
            digester: Digester::new(&namespace),
            host: key.public_key().into(),
            cluster: cluster_key.as_ref().map(|key| key.public_key()),
            key,
            cluster_key,
            trust,
            sessions,
            message_bytes,
            window,
            replay: Mutex::new(ReplayCache::new(window)),
            refusals: Mutex::new(RefusalBudget { since: Instant::now(), left: ANSWERED_REFUSALS }),
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

    fn sign(&self, bytes: &[u8]) -> Result<[u8; 64]> {
        let failed = || Error::new(ErrorKind::Internal, "the host key does not sign");
        let signature = self.signer().sign(bytes).map_err(|error| failed().caused_by(error))?;
        signature.try_into().map_err(|_| failed())
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

    /// Returns whether one more refusal may be answered.
    fn may_answer_refusal(&self) -> bool {
        let mut budget = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if budget.since.elapsed() >= Duration::from_secs(1) {
            *budget = RefusalBudget { since: Instant::now(), left: ANSWERED_REFUSALS };
        }
        let may = budget.left > 0;
        budget.left = budget.left.saturating_sub(1);
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

/// Verifies an ed25519 signature by a public key in text.
fn verifies(public_key: &str, bytes: &[u8], signature: &[u8]) -> bool {
    KeyPair::from_public_key(public_key).is_ok_and(|key| key.verify(bytes, signature).is_ok())
}
