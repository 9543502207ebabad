//! Calls from other hosts, which are admitted or refused.

use bytes::Bytes;
use wasmcloud_core::error::{Error, ErrorKind};

use super::answering::{Outcome, Reply, Seal, signature};
use super::progress::Progress;
use super::{Edge, Refusal, clock, exact};
use crate::namespace::is_host_key;
use crate::replay::NotFresh;
use crate::session::{CallProof, CallRefusal};
use crate::token::{self, TokenError};
use crate::wire::{Digest, Extension, Invocation, Retry, WireError};

/// The subject that a call came on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival<'a> {
    /// The subject of this host. The call names it.
    Direct,
    /// This subject, which is of the target and which hosts share. The call names no host.
    Shared(&'a str),
}

/// A call that has passed all checks of the edge.
#[derive(Debug)]
pub struct Admitted {
    /// The call.
    pub invocation: Invocation,
    /// Seals the answer.
    pub reply: Reply,
}

/// A call that is refused.
#[derive(Debug)]
pub struct Refused {
    /// The reason.
    pub reason: Refusal,
    /// The answer, unless there is none that the caller could read, or too many calls are refused.
    pub answer: Option<Bytes>,
}

/// How a call was authenticated.
enum Proven {
    Session(CallProof),
    Token { is_whole: bool },
}

/// Why a call is refused, and what the caller does next if it can have the call executed.
struct Refusing {
    reason: Refusal,
    retry: Option<Retry>,
}

impl From<Refusal> for Refusing {
    fn from(reason: Refusal) -> Refusing {
        Refusing { reason, retry: None }
    }
}

impl Edge {
    /// Checks a call from another host, and admits it once.
    ///
    /// # Errors
    /// The refusal, which is counted.
    pub fn admit(&self, message: &[u8], arrival: Arrival<'_>) -> Result<Admitted, Refused> {
        let invocation = self.read_call(message)?;
        self.admit_read(invocation, arrival)
    }

    /// Reads a call, of which nothing is checked yet but its form and size.
    ///
    /// # Errors
    /// The refusal, which is counted.
    pub(crate) fn read_call(&self, message: &[u8]) -> Result<Invocation, Refused> {
        self.read(message).map_err(|reason| self.unanswered(reason))
    }

    /// Checks a call that was read, and admits it once.
    ///
    /// # Errors
    /// The refusal, which is counted.
    pub(crate) fn admit_read(&self, invocation: Invocation, arrival: Arrival<'_>) -> Result<Admitted, Refused> {
        let expected = self.expect(&invocation);
        self.admit_expected(invocation, arrival, expected)
    }

    /// Notes that a call was read and is going to be checked. Until then, a refused copy of it is not answered: the answer
    /// could end the wait of the caller.
    pub(crate) fn expect(&self, invocation: &Invocation) -> Progress {
        self.progress.begin(self.digester.invocation(invocation))
    }

    /// Checks a call that was read and expected, and admits it once.
    ///
    /// # Errors
    /// The refusal, which is counted.
    pub(crate) fn admit_expected(
        &self,
        invocation: Invocation,
        arrival: Arrival<'_>,
        expected: Progress,
    ) -> Result<Admitted, Refused> {
        let digest = expected.digest();
        match self.check_call(&invocation, &digest, arrival) {
            Ok(proven) => {
                let (digest, seal) = match proven {
                    Proven::Session(proof) => (digest, Seal::Session(proof)),
                    Proven::Token { is_whole: true } => (exact_of(&invocation, &digest), signature(arrival)),
                    Proven::Token { is_whole: false } => (digest, Seal::None),
                };
                let reply = Reply { id: invocation.id.clone(), digest, seal, _progress: Some(expected) };
                Ok(Admitted { invocation, reply })
            }
            Err(refusing) => {
                drop(expected);
                Err(self.refuse(&invocation, digest, arrival, refusing))
            }
        }
    }

    /// Counts a call that is refused before it is read, since it could not be answered.
    pub(crate) fn refuse_without_inbox(&self) {
        self.counters.refused(Refusal::Malformed);
    }

    fn read(&self, message: &[u8]) -> Result<Invocation, Refusal> {
        let invocation = Invocation::decode(message, self.message_bytes).map_err(|error| match error {
            WireError::TooLarge { .. } => Refusal::TooLarge,
            _ => Refusal::Malformed,
        })?;
        let is_elsewhere = invocation.extension.as_ref().is_some_and(|extension| extension.transfer.is_some());
        // Of two payloads, readers could disagree about which one counts.
        if is_elsewhere && !invocation.payload.is_empty() { Err(Refusal::Malformed) } else { Ok(invocation) }
    }

    fn unanswered(&self, reason: Refusal) -> Refused {
        self.counters.refused(reason);
        Refused { reason, answer: None }
    }

    fn check_call(&self, invocation: &Invocation, digest: &Digest, arrival: Arrival<'_>) -> Result<Proven, Refusing> {
        let now = clock();
        let Some(extension) = &invocation.extension else {
            if arrival == Arrival::Direct || self.sessions.is_expected(&invocation.host_id) {
                return Err(Refusal::Downgraded.into());
            }
            self.check_target(invocation, arrival)?;
            return self.check_token(invocation, None, digest, now);
        };
        if !is_host_key(&invocation.host_id) {
            return Err(Refusal::Malformed.into());
        }
        self.check_target(invocation, arrival)?;
        self.window.check(extension.issued_at, now).map_err(not_fresh)?;
        if invocation.encoded_claims.is_empty() {
            return self.check_session(invocation, extension, digest);
        }
        self.check_token(invocation, Some(extension), digest, now)
    }

    /// Checks that a call came on the subject of the host or target that it names.
    fn check_target(&self, invocation: &Invocation, arrival: Arrival<'_>) -> Result<(), Refusal> {
        let destination = invocation.extension.as_ref().and_then(|extension| extension.destination.as_deref());
        let is_right = match arrival {
            Arrival::Direct => destination == Some(&self.host),
            Arrival::Shared(subject) => {
                destination.is_none() && self.namespace.call(&invocation.target).as_deref() == Some(subject)
            }
        };
        if is_right { Ok(()) } else { Err(Refusal::WrongDestination) }
    }

    fn check_session(
        &self,
        invocation: &Invocation,
        extension: &Extension,
        digest: &Digest,
    ) -> Result<Proven, Refusing> {
        let Extension { incarnation, authenticators, .. } = extension;
        match self.sessions.verify_call(&invocation.host_id, *incarnation, digest, authenticators) {
            Ok(proof) => {
                self.counters.admitted_by_session();
                Ok(Proven::Session(proof))
            }
            Err(refusal) => {
                let reason = match refusal {
                    CallRefusal::Replayed => Refusal::Replayed,
                    CallRefusal::Expired => Refusal::Expired,
                    CallRefusal::NoSession | CallRefusal::SessionNotUsed => Refusal::NoSession,
                    CallRefusal::Forged => Refusal::Forged,
                };
                Err(Refusing { reason, retry: refusal.retry() })
            }
        }
    }

    fn check_token(
        &self,
        invocation: &Invocation,
        extension: Option<&Extension>,
        digest: &Digest,
        now: u64,
    ) -> Result<Proven, Refusing> {
        // Checked last, since it costs the most.
        let verified = token::verify_digest(invocation, digest, |issuer| self.keys.get(issuer));
        let verified = verified.map_err(|error| match error {
            TokenError::Malformed => Refusal::Malformed,
            TokenError::ExtensionNotSigned => Refusal::Downgraded,
            _ => Refusal::Forged,
        })?;
        if !self.trusts(&verified.issuer, &invocation.host_id) {
            return Err(Refusal::Untrusted.into());
        }
        self.keys.remember(&verified.issuer);
        // The window bounds the age of a whole token. Others may set a shorter one.
        if !verified.is_whole && verified.expires_at.is_some_and(|end| end < now) {
            return Err(Refusal::Expired.into());
        }
        let issued_at = extension.map_or(verified.issued_at, |extension| extension.issued_at);
        self.expect_issued_since_the_start(issued_at, extension)?;
        // A token of 2021 does not cover the name of the host.
        let sender = if verified.is_whole { &invocation.host_id } else { &verified.issuer };
        self.replay().admit(sender, &invocation.id, issued_at, now).map_err(not_fresh)?;
        self.counters.admitted_by_token();
        Ok(Proven::Token { is_whole: verified.is_whole && extension.is_some() })
    }

    /// Refuses a token that was issued before this host started: it could have been admitted then, which is forgotten. A
    /// caller whose clock is late uses a session instead.
    fn expect_issued_since_the_start(&self, issued_at: u64, extension: Option<&Extension>) -> Result<(), Refusing> {
        // Tokens of 2021 name whole seconds.
        let resolution = if extension.is_some() { 0 } else { 999 };
        if issued_at.saturating_add(resolution) >= self.started_at {
            return Ok(());
        }
        let retry = extension.is_some().then_some(Retry::AfterHandshake);
        Err(Refusing { reason: Refusal::Expired, retry })
    }

    /// Counts a refusal, and answers it if the answer cannot be mistaken for that of an admitted call.
    fn refuse(&self, invocation: &Invocation, digest: Digest, arrival: Arrival<'_>, refusing: Refusing) -> Refused {
        let Refusing { reason, retry } = refusing;
        self.counters.refused(reason);
        let exact = exact_of(invocation, &digest);
        // The caller of a call in progress waits for another answer. A copy of its message must not end the wait.
        let is_answered =
            reason != Refusal::Replayed && !self.progress.holds(&digest) && self.may_answer_refusal(retry.is_some());
        if !is_answered {
            return Refused { reason, answer: None };
        }
        let message = format!("host {} refuses a call at the edge of the lattice: {reason}", self.host);
        let error = Error::new(kind_of(reason), message);
        let outcome = retry.map_or(Outcome::Failed(&error), Outcome::Retry);
        let is_of_2021 = invocation.extension.is_none();
        let (digest, seal) = if is_of_2021 { (digest, Seal::None) } else { (exact, signature(arrival)) };
        let reply = Reply { id: invocation.id.clone(), digest, seal, _progress: None };
        Refused { reason, answer: Some(self.encode(&reply, &outcome, Vec::new())) }
    }
}

/// Returns the kind of the error that a refusal is for its caller. A message that is refused for its time could be admitted
/// later, or a copy of it could have been admitted before.
fn kind_of(reason: Refusal) -> ErrorKind {
    match reason {
        Refusal::Expired | Refusal::FromFuture => ErrorKind::OutcomeUnknown,
        _ => ErrorKind::LatticeRefused,
    }
}

/// Returns the digest of a whole message: of a call with its token and authenticators.
fn exact_of(invocation: &Invocation, digest: &Digest) -> Digest {
    let authenticators = invocation.extension.as_ref().map_or(&[][..], |extension| &extension.authenticators);
    exact(digest, &invocation.encoded_claims, authenticators)
}

fn not_fresh(reason: NotFresh) -> Refusal {
    match reason {
        NotFresh::Expired => Refusal::Expired,
        NotFresh::FromFuture => Refusal::FromFuture,
        NotFresh::Replayed => Refusal::Replayed,
    }
}
