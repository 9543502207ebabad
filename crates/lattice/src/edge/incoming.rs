//! Calls from other hosts, and the answers to them.

use bytes::Bytes;
use wasmcloud_core::error::Error;

use super::{Edge, Refusal, clock};
use crate::namespace::is_host_key;
use crate::replay::NotFresh;
use crate::session::{CallProof, CallRefusal};
use crate::token::{self, TokenError};
use crate::wire::{
    Digest, Extension, Invocation, PayloadForm, Response, ResponseExtension, Retry, Transfer, WireError,
};

/// The subject that a call came on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The subject of this host. The call names it.
    Direct,
    /// The subject of the target, which hosts share. The call names no host.
    Shared,
}

/// A call that has passed all checks of the edge.
#[derive(Debug)]
pub struct Admitted {
    /// The call.
    pub invocation: Invocation,
    /// Seals the answer.
    pub reply: Reply,
}

/// What is needed to seal the answer to a call.
#[derive(Debug, Clone)]
pub struct Reply {
    id: String,
    digest: Digest,
    seal: Seal,
}

/// How an answer is sealed.
#[derive(Debug, Clone)]
enum Seal {
    /// With the MAC of the session of the call.
    Session(CallProof),
    /// With a signature.
    Signature,
    /// Not at all: hosts of 2021 do not know seals.
    None,
}

/// What an answer says.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// The call succeeded.
    Payload(Vec<u8>),
    /// The call succeeded, and its payload is fetched from this host.
    Transfer(Transfer),
    /// The call failed.
    Failed(&'a Error),
    /// The call was not executed, and may be sent again.
    Retry(Retry),
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

impl Edge {
    /// Checks a call from another host, and admits it once.
    ///
    /// # Errors
    /// The refusal, which is counted.
    pub fn admit(&self, message: &[u8], arrival: Arrival) -> Result<Admitted, Refused> {
        let decoded = Invocation::decode(message, self.message_bytes);
        let invocation = decoded.map_err(|error| {
            let is_too_large = matches!(error, WireError::TooLarge { .. });
            let reason = if is_too_large { Refusal::TooLarge } else { Refusal::Malformed };
            self.counters.refused(reason);
            Refused { reason, answer: None }
        })?;
        let has_two_payloads = invocation.extension.as_ref().is_some_and(|extension| extension.transfer.is_some())
            && !invocation.payload.is_empty();
        if has_two_payloads {
            self.counters.refused(Refusal::Malformed);
            return Err(Refused { reason: Refusal::Malformed, answer: None });
        }
        let digest = self.digester.invocation(&invocation);
        match self.check_call(&invocation, &digest, arrival) {
            Ok(proven) => {
                let seal = match proven {
                    Proven::Session(proof) => Seal::Session(proof),
                    Proven::Token { is_whole: true } => Seal::Signature,
                    Proven::Token { is_whole: false } => Seal::None,
                };
                let reply = Reply { id: invocation.id.clone(), digest, seal };
                Ok(Admitted { invocation, reply })
            }
            Err(refusal) => Err(self.refuse(&invocation, digest, refusal)),
        }
    }

    fn check_call(&self, invocation: &Invocation, digest: &Digest, arrival: Arrival) -> Result<Proven, Refused> {
        let refused = |reason| Refused { reason, answer: None };
        let now = clock();
        if let Some(extension) = &invocation.extension {
            if !is_host_key(&invocation.host_id) {
                return Err(refused(Refusal::Malformed));
            }
            self.check_destination(extension, arrival).map_err(refused)?;
            self.window.check(extension.issued_at, now).map_err(not_fresh).map_err(refused)?;
        } else if arrival == Arrival::Direct || self.sessions.is_expected(&invocation.host_id) {
            return Err(refused(Refusal::Downgraded));
        }
        if let Some(extension) = &invocation.extension
            && invocation.encoded_claims.is_empty()
        {
            return self.check_session(invocation, extension, digest, now);
        }
        self.check_token(invocation, now).map_err(refused)
    }

    fn check_destination(&self, extension: &Extension, arrival: Arrival) -> Result<(), Refusal> {
        let is_right = match arrival {
            Arrival::Direct => extension.destination.as_deref() == Some(&self.host),
            Arrival::Shared => extension.destination.is_none(),
        };
        if is_right { Ok(()) } else { Err(Refusal::WrongDestination) }
    }

    fn check_session(
        &self,
        invocation: &Invocation,
        extension: &Extension,
        digest: &Digest,
        now: u64,
    ) -> Result<Proven, Refused> {
        let Extension { incarnation, authenticators, .. } = extension;
        match self.sessions.verify_call(&invocation.host_id, *incarnation, digest, authenticators) {
            Ok(proof) => {
                // The same call could come again with a token: it is admitted once, however it is authenticated.
                let admitted = self.replay().admit(&invocation.host_id, &invocation.id, extension.issued_at, now);
                admitted.map_err(|reason| Refused { reason: not_fresh(reason), answer: None })?;
                self.counters.admitted_by_session();
                Ok(Proven::Session(proof))
            }
            Err(refusal) => {
                let reason = match refusal {
                    CallRefusal::Replayed => Refusal::Replayed,
                    CallRefusal::Expired => Refusal::Expired,
                    CallRefusal::NoSession | CallRefusal::SessionNotUsed => Refusal::NoSession,
                    _ => Refusal::Forged,
                };
                let answer =
                    refusal.retry().and_then(|retry| self.refusal(invocation, *digest, &Outcome::Retry(retry)));
                Err(Refused { reason, answer })
            }
        }
    }

    fn check_token(&self, invocation: &Invocation, now: u64) -> Result<Proven, Refusal> {
        // The signature is checked last, since it costs the most.
        let verified = token::verify(invocation, &self.digester).map_err(|error| match error {
            TokenError::Malformed => Refusal::Malformed,
            TokenError::ExtensionNotSigned => Refusal::Downgraded,
            _ => Refusal::Forged,
        })?;
        if !self.trusts(&verified.issuer, &invocation.host_id) {
            return Err(Refusal::Untrusted);
        }
        let issued_at = invocation.extension.as_ref().map_or(verified.issued_at, |extension| extension.issued_at);
        // A token of 2021 does not cover the name of the host.
        let sender = if verified.is_whole { &invocation.host_id } else { &verified.issuer };
        let admitted = self.replay().admit(sender, &invocation.id, issued_at, now);
        admitted.map_err(not_fresh)?;
        self.counters.admitted_by_token();
        Ok(Proven::Token { is_whole: verified.is_whole })
    }

    /// Counts a refusal, and answers it unless there are too many.
    fn refuse(&self, invocation: &Invocation, digest: Digest, refused: Refused) -> Refused {
        let Refused { reason, answer } = refused;
        self.counters.refused(reason);
        let answer = answer.or_else(|| {
            let message = format!("host {} refuses a call at the edge of the lattice: {reason}", self.host);
            let error = Error::new(wasmcloud_core::error::ErrorKind::LatticeRefused, message);
            self.refusal(invocation, digest, &Outcome::Failed(&error))
        });
        Refused { reason, answer }
    }

    /// Returns the answer to a call that was not admitted. Its caller is not known for sure, so it is signed.
    fn refusal(&self, invocation: &Invocation, digest: Digest, outcome: &Outcome<'_>) -> Option<Bytes> {
        if !self.may_answer_refusal() {
            return None;
        }
        let seal = if invocation.extension.is_some() { Seal::Signature } else { Seal::None };
        Some(self.encode(&Reply { id: invocation.id.clone(), digest, seal }, outcome, Vec::new()))
    }

    /// Seals the answer to a call.
    pub fn answer(&self, reply: &Reply, outcome: Outcome<'_>) -> Bytes {
        match outcome {
            Outcome::Payload(payload) => self.encode(reply, &Outcome::Payload(Vec::new()), payload),
            outcome => self.encode(reply, &outcome, Vec::new()),
        }
    }

    fn encode(&self, reply: &Reply, outcome: &Outcome<'_>, payload: Vec<u8>) -> Bytes {
        let mut extension = ResponseExtension::new(&self.host);
        let mut error = None;
        match outcome {
            Outcome::Payload(_) => {}
            Outcome::Transfer(transfer) => extension.transfer = Some(*transfer),
            Outcome::Failed(failed) => {
                extension.kind = Some(failed.kind().name().to_owned());
                error = Some(failed.to_string());
            }
            Outcome::Retry(retry) => {
                extension.retry = Some(*retry);
                error = Some("the call was not executed: send it again".to_owned());
            }
        }
        let mut response = Response { payload, error, invocation_id: reply.id.clone(), extension: Some(extension) };
        match &reply.seal {
            Seal::None => {
                response.extension = None;
                return response.encode(PayloadForm::Array).into();
            }
            Seal::Session(proof) => {
                let digest = self.digester.response(&reply.digest, &response);
                let (key_id, mac) = self.sessions.authenticate_answer(proof, &digest);
                if let Some(extension) = &mut response.extension {
                    extension.key_id = Some(key_id);
                    extension.mac = Some(mac);
                }
            }
            Seal::Signature => {
                if let Some(extension) = &mut response.extension {
                    extension.cluster.clone_from(&self.cluster);
                }
                let digest = self.digester.response(&reply.digest, &response);
                // A host key that does not sign was refused at the start. Without a signature the caller refuses the answer.
                let signature = self.sign(&digest).ok();
                if let Some(extension) = &mut response.extension {
                    extension.signature = signature;
                }
            }
        }
        response.encode(PayloadForm::Binary).into()
    }
}

fn not_fresh(reason: NotFresh) -> Refusal {
    match reason {
        NotFresh::Expired => Refusal::Expired,
        NotFresh::FromFuture => Refusal::FromFuture,
        NotFresh::Replayed => Refusal::Replayed,
    }
}

impl Reply {
    /// Returns whether the caller understands answers by which it sends the call again.
    pub(crate) fn knows_retries(&self) -> bool {
        !matches!(self.seal, Seal::None)
    }
}
