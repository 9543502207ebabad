//! Calls on their way out, and the answers to them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::{Edge, Refusal, clock, exact};
use crate::token;
use crate::wire::{
    Authenticator, Digest, Extension, Invocation, PayloadForm, Response, ResponseExtension, Retry, Transfer,
};

/// A sealed call, and what is needed to check the answer to it.
#[derive(Debug)]
pub struct Sealed {
    /// The message.
    pub bytes: Bytes,
    pub(super) id: String,
    digest: Digest,
    token: String,
    authenticators: Vec<Authenticator>,
    destination: Option<Arc<str>>,
    is_to_actor: bool,
    is_by_session: bool,
}

impl Sealed {
    /// Returns the digest of the whole message.
    pub(super) fn exact(&self) -> Digest {
        exact(&self.digest, &self.token, &self.authenticators)
    }

    /// Returns whether the call is authenticated by a session.
    pub(crate) fn is_by_session(&self) -> bool {
        self.is_by_session
    }
}

/// The checked answer to a call.
#[derive(Debug)]
pub enum Answer {
    /// The payload.
    Payload(Vec<u8>),
    /// The host has a payload that is fetched from it.
    Transfer {
        /// The public key of the host.
        host: String,
        /// What is fetched.
        transfer: Transfer,
    },
    /// The call failed.
    Failed(Error),
    /// The call was not executed, and may be sent again.
    Retry(Retry),
}

impl Edge {
    /// Seals a call. With a `destination` it is for that host alone, and authenticated by a session with it; without such a
    /// session, or if `with_token` is set, by a token. Without a destination it is for any host, and carries a token.
    /// `remaining` is how long the caller still waits.
    ///
    /// # Errors
    /// `Internal` if the host key does not sign.
    pub fn seal(
        &self,
        invocation: &mut Invocation,
        destination: Option<&Arc<str>>,
        remaining: Duration,
        with_token: bool,
    ) -> Result<Sealed> {
        let now = clock();
        let remaining = u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX);
        let extension = invocation.extension.get_or_insert_with(|| Extension::new(now, remaining));
        extension.issued_at = now;
        extension.remaining = remaining;
        extension.incarnation = self.sessions.incarnation();
        extension.destination = destination.map(|host| host.to_string());
        extension.authenticators.clear();
        invocation.encoded_claims.clear();
        let digest = self.digester.invocation(invocation);
        let authenticators = match destination {
            Some(host) if !with_token => self.sessions.authenticate_call(&digest, &[host]),
            _ => Vec::new(),
        };
        let is_by_session = !authenticators.is_empty();
        if !is_by_session {
            invocation.encoded_claims = token::sign_digest(invocation, self.signer(), &digest, now)?;
        } else if let Some(extension) = &mut invocation.extension {
            extension.authenticators = authenticators;
        }
        let form = if destination.is_some() { PayloadForm::Binary } else { PayloadForm::Array };
        Ok(Sealed {
            bytes: invocation.encode(form).into(),
            id: invocation.id.clone(),
            digest,
            token: invocation.encoded_claims.clone(),
            authenticators: invocation
                .extension
                .as_ref()
                .map_or_else(Vec::new, |extension| extension.authenticators.clone()),
            is_by_session,
            destination: destination.cloned(),
            is_to_actor: matches!(invocation.target, WasmCloudEntity::Actor(_)),
        })
    }

    /// Checks an answer to a call.
    ///
    /// # Errors
    /// `OutcomeUnknown` for an answer that is refused: the call may have been executed.
    pub fn open(&self, call: &Sealed, bytes: &[u8]) -> Result<Answer> {
        let opened = Response::decode(bytes, self.message_bytes).map_err(|error| {
            let too_large = matches!(error, crate::wire::WireError::TooLarge { .. });
            if too_large { Refusal::TooLarge } else { Refusal::Malformed }
        });
        let opened = opened.and_then(|response| self.check_answer(call, &response).map(|()| response));
        match opened {
            Ok(response) => Ok(answer(call, response)),
            Err(reason) => {
                self.counters.refused(reason);
                let message =
                    format!("the answer of another host is refused, and the call may have been executed: {reason}");
                Err(Error::new(ErrorKind::OutcomeUnknown, message))
            }
        }
    }

    fn check_answer(&self, call: &Sealed, response: &Response) -> Result<(), Refusal> {
        if response.invocation_id != call.id {
            return Err(Refusal::WrongDestination);
        }
        let Some(extension) = &response.extension else {
            // Hosts of 2021 do not seal their answers. One that was named does.
            return if call.destination.is_some() { Err(Refusal::Downgraded) } else { Ok(()) };
        };
        if call.destination.as_ref().is_some_and(|host| **host != extension.host) {
            return Err(Refusal::WrongDestination);
        }
        if extension.transfer.is_some() && !response.payload.is_empty() {
            return Err(Refusal::Malformed);
        }
        match (extension.key_id, &extension.mac, &extension.signature) {
            (Some(key_id), Some(mac), _) => {
                let digest = self.digester.response(&call.digest, response);
                let is_right = self.sessions.verify_answer(&extension.host, key_id, &digest, mac);
                if is_right { Ok(()) } else { Err(Refusal::Forged) }
            }
            (_, _, Some(signature)) => {
                let digest = self.digester.response(&call.exact(), response);
                self.check_signature(call, extension, &digest, signature)
            }
            _ => Err(Refusal::Downgraded),
        }
    }

    fn check_signature(
        &self,
        call: &Sealed,
        extension: &ResponseExtension,
        digest: &Digest,
        signature: &[u8; 64],
    ) -> Result<(), Refusal> {
        if call.destination.is_some() {
            // The caller has chosen the host, which signs for itself. No cluster speaks for it.
            let is_right = extension.cluster.is_none() && self.keys.verify(&extension.host, digest, signature);
            return if is_right { Ok(()) } else { Err(Refusal::Forged) };
        }
        let signer = extension.cluster.as_ref().unwrap_or(&extension.host);
        if !self.trusts(signer, &extension.host) {
            return Err(Refusal::Untrusted);
        }
        if self.keys.verify(signer, digest, signature) { Ok(()) } else { Err(Refusal::Forged) }
    }
}

/// Returns what a checked answer says.
fn answer(call: &Sealed, response: Response) -> Answer {
    let Response { payload, error, extension, .. } = response;
    let kind = extension.as_ref().and_then(ResponseExtension::error_kind);
    if let Some(retry) = extension.as_ref().and_then(|extension| extension.retry) {
        return Answer::Retry(retry);
    }
    if let Some(text) = error {
        let otherwise = if call.is_to_actor { ErrorKind::ActorFailed } else { ErrorKind::ProviderFailed };
        return Answer::Failed(Error::new(kind.unwrap_or(otherwise), text));
    }
    match extension.and_then(|extension| extension.transfer.map(|transfer| (extension.host, transfer))) {
        Some((host, transfer)) => Answer::Transfer { host, transfer },
        None => Answer::Payload(payload),
    }
}
