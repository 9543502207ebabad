//! Sessions between two hosts: short-lived keys, proven with the keys of the hosts, by which calls and answers are
//! authenticated at a fraction of the cost of a signature.
//!
//! A handshake takes two requests of the host that begins it: Hello, which is replied to by Answer, and Finish, which is
//! replied to by Confirm. A call carries an authenticator for the host that it is sent to. An answer carries the MAC of the
//! session that authenticated its call.
//!
//! What an attacker with access to NATS cannot do: send a call or an answer in the name of a host, send one again, send one
//! back, or have a host accept a call without a session from a host that has one. What it can do: drop messages, and use up
//! the rate at which handshakes are answered. Hosts that find no session use tokens.

mod attempts;
mod clock;
mod counts;
mod frame;
mod handshake;
mod keys;
mod noise;
mod reason;
mod table;
#[cfg(test)]
mod tests;
mod window;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use nkeys::{KeyPair, KeyPairType};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::endorsement::Endorsement;
use crate::namespace::Namespace;
use crate::options::HostTrust;
use crate::wire::{Authenticator, Digest, MAX_AUTHENTICATORS};
use attempts::Attempts;
use clock::Clock;
use counts::{Counters, count};
use noise::NoiseKeys;
use table::{Session, Table};

pub use counts::{RefusedHandshakes, SessionCounts};
pub use handshake::Reaction;
pub use reason::{CallRefusal, HandshakeError};

/// The shortest lifetime of a session. Unit: milliseconds.
const MIN_LIFETIME: u64 = 1_000;

/// The lowest number of calls of a session.
const MIN_MESSAGES: u64 = 16;

/// What the sessions of a host are made with.
pub struct SessionSettings {
    /// The namespace.
    pub namespace: Namespace,
    /// The key of this host.
    pub key: Arc<KeyPair>,
    /// The hosts that may have a session with this one.
    pub trust: HostTrust,
    /// The key of the cluster that vouches for this host.
    pub cluster_key: Option<Arc<KeyPair>>,
    /// How long a session lasts. The lower value of both hosts holds. At least 1 s.
    pub lifetime: Duration,
    /// How many calls each host sends in a session. The lower value of both hosts holds. At least 16.
    pub messages: u64,
    /// How many hosts may have sessions with this one. The last quarter is kept for those that this host calls.
    pub peers: usize,
}

/// The sessions of a host with others. All methods can be called from several threads.
pub struct Sessions {
    namespace: Namespace,
    key: Arc<KeyPair>,
    own: Arc<str>,
    trust: HostTrust,
    endorsement: Option<Endorsement>,
    incarnation: u64,
    lifetime: u64,
    messages: u64,
    noise: NoiseKeys,
    clock: Clock,
    table: RwLock<Table>,
    attempts: Mutex<Attempts>,
    counters: Counters,
}

/// The proof that a call is of a host. Its answer is authenticated with the same session, even when that has ended.
#[derive(Debug, Clone)]
pub struct CallProof {
    /// The public key of the host that sent the call.
    pub host: Arc<str>,
    session: Arc<Session>,
}

impl Sessions {
    /// Returns the sessions of a host, of which there are none yet.
    ///
    /// # Errors
    /// `InvalidArgument` if a key is of the wrong kind or has no seed, or if a bound is too low. `Internal` if there are no
    /// random numbers.
    pub fn new(settings: SessionSettings) -> Result<Sessions> {
        let refused = |message: &str| Error::new(ErrorKind::InvalidArgument, message);
        let key = settings.key;
        if key.key_pair_type() != KeyPairType::Server || key.seed().is_err() {
            return Err(refused("sessions need the seed of a host's key (SN...)"));
        }
        let lifetime = u64::try_from(settings.lifetime.as_millis()).unwrap_or(u64::MAX);
        if lifetime < MIN_LIFETIME || settings.messages < MIN_MESSAGES || settings.peers == 0 {
            return Err(refused("a session lasts for at least 1 s and 16 calls, and at least 1 peer may have one"));
        }
        let own: Arc<str> = key.public_key().into();
        let endorse = |cluster: Arc<KeyPair>| {
            Endorsement::new(&cluster, settings.namespace.as_str(), &own)
                .ok_or_else(|| refused("a cluster vouches for a host with the seed of its key (SC...)"))
        };
        let endorsement = settings.cluster_key.map(endorse).transpose()?;
        let incarnation = getrandom::u64()
            .map_err(|error| Error::new(ErrorKind::Internal, "there are no random numbers").caused_by(error))?;
        Ok(Sessions {
            noise: NoiseKeys::generate(&settings.namespace)?,
            namespace: settings.namespace,
            key,
            own,
            trust: settings.trust,
            endorsement,
            incarnation,
            lifetime,
            messages: settings.messages,
            clock: Clock::start(),
            table: RwLock::new(Table::new(settings.peers)),
            attempts: Mutex::new(Attempts::new(settings.peers)),
            counters: Counters::default(),
        })
    }

    /// Returns the random number that this host has chosen at its start.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Begins a handshake with a peer. Returns the first message, which is sent as a request to the peer's subject
    /// `host.<peer>.handshake`. Returns `None` if a handshake with the peer is under way or has just failed, or if the key
    /// is not of another host.
    pub fn begin(&self, peer: &str) -> Option<Vec<u8>> {
        self.try_begin(peer)
    }

    /// Gives up a handshake that this host began, since a request was not answered. The next one waits for a while.
    pub fn give_up(&self, peer: &str) {
        let mut attempts = self.attempts();
        if let Some(id) = attempts.under_way(peer) {
            attempts.end(&id, false, self.clock.now());
            count(&self.counters.unanswered);
        }
    }

    /// Reads a message of a handshake.
    ///
    /// # Errors
    /// The reason if it is refused. A message that anyone could have sent does not end a handshake that is under way:
    /// the one that asked for a reply calls [`give_up`](Sessions::give_up) when it asks no further.
    pub fn receive(&self, message: &[u8]) -> Result<Reaction, HandshakeError> {
        self.step(message).inspect_err(|error| self.counters.refuse_handshake(*error))
    }

    /// Returns whether calls to a peer can be authenticated now.
    pub fn has(&self, peer: &str) -> bool {
        self.table().has(peer, self.clock.now())
    }

    /// Returns whether a peer can still send calls with a session, so that no call of it is accepted without one that could be
    /// older than the session, such as one with a token of 2021.
    pub fn is_expected(&self, peer: &str) -> bool {
        self.table().is_expected(peer, self.clock.now())
    }

    /// Returns whether the sessions with a peer are near their end, so that a handshake should begin. What was sent with the
    /// old keys is still accepted.
    pub fn is_due(&self, peer: &str) -> bool {
        self.table().is_due(peer, self.clock.now())
    }

    /// Authenticates a call for each of the peers that this host has a session with, at most [`MAX_AUTHENTICATORS`].
    pub fn authenticate_call<K: AsRef<str>>(&self, digest: &Digest, peers: &[K]) -> Vec<Authenticator> {
        let now = self.clock.now();
        let mut authenticators = Vec::with_capacity(peers.len().min(MAX_AUTHENTICATORS));
        let table = self.table();
        let all = peers.iter().filter_map(|peer| table.authenticate(peer.as_ref(), digest, now));
        authenticators.extend(all.take(MAX_AUTHENTICATORS));
        authenticators
    }

    /// Verifies that a host sent a call, and that the call has not been accepted before.
    ///
    /// # Errors
    /// The reason if no session authenticates the call: see [`CallRefusal::retry`].
    pub fn verify_call(
        &self,
        sender: &str,
        incarnation: u64,
        digest: &Digest,
        authenticators: &[Authenticator],
    ) -> Result<CallProof, CallRefusal> {
        let now = self.clock.now();
        let table = self.table();
        let mut refusal = CallRefusal::NoSession;
        for authenticator in authenticators.iter().take(MAX_AUTHENTICATORS) {
            // Another peer may have chosen the same identifier, so a forged one is not the last word.
            let Some(session) = table.by_key(authenticator.key_id) else { continue };
            match session.verify_call(sender, incarnation, digest, authenticator, now) {
                Ok(()) => {
                    // The confirmation was lost or is late. The peer has the keys.
                    if !session.is_confirmed() && session.confirm() {
                        count(&self.counters.established);
                    }
                    return Ok(CallProof { host: session.peer.clone(), session: session.clone() });
                }
                Err(reason) => refusal = refusal.max(reason),
            }
        }
        if refusal == CallRefusal::NoSession && table.is_expected(sender, now) {
            refusal = CallRefusal::SessionNotUsed;
        }
        drop(table);
        self.counters.refuse_call(refusal);
        Err(refusal)
    }

    /// Authenticates the answer to a call. Returns the identifier of the caller's key, and the MAC.
    pub fn authenticate_answer(&self, proof: &CallProof, digest: &Digest) -> (u64, [u8; 16]) {
        (proof.session.peer_id, proof.session.keys.send_answer.mac(digest, 0))
    }

    /// Returns whether a host sent an answer. The digest covers the call, so the answer is to this call alone.
    pub fn verify_answer(&self, host: &str, key_id: u64, digest: &Digest, mac: &[u8; 16]) -> bool {
        let now = self.clock.now();
        let is_valid = self.table().by_key(key_id).is_some_and(|session| session.verify_answer(host, digest, mac, now));
        if !is_valid {
            count(&self.counters.forged);
        }
        is_valid
    }

    /// Removes the sessions with a peer, and forgets that handshakes with it failed: it has left, or has started again.
    pub fn forget(&self, peer: &str) {
        let mut attempts = self.attempts();
        self.table_mut().forget(peer);
        attempts.forget(peer);
    }

    /// Returns what has happened since the start.
    pub fn counts(&self) -> SessionCounts {
        self.counters.counts()
    }

    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn table_mut(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SessionSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionSettings")
            .field("namespace", &self.namespace)
            .field("host", &self.key.public_key())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("namespace", &self.namespace)
            .field("host", &self.own)
            .field("sessions", &self.table().len())
            .finish_non_exhaustive()
    }
}
