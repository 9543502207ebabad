//! The answers to calls from other hosts.

use bytes::Bytes;
use nkeys::KeyPair;
use wasmcloud_core::error::Error;

use super::progress::Progress;
use super::{Arrival, Edge};
use crate::session::CallProof;
use crate::wire::{Digest, PayloadForm, Response, ResponseExtension, Retry, Transfer};

/// What is needed to seal the answer to a call. The call is in progress until this is dropped, after the answer is sent.
#[derive(Debug)]
pub struct Reply {
    pub(super) id: String,
    /// The digest of the call; of the whole message for an answer with a signature.
    pub(super) digest: Digest,
    pub(super) seal: Seal,
    pub(super) _progress: Option<Progress>,
}

/// How an answer is sealed.
#[derive(Debug, Clone)]
pub(super) enum Seal {
    /// With the MAC of the session of the call.
    Session(CallProof),
    /// With a signature of this host, for a call that names it.
    Host,
    /// With a signature of the cluster of this host, if it has one, for a call that names no host.
    Signer,
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

impl Edge {
    /// Seals the answer to a call.
    pub fn answer(&self, reply: &Reply, outcome: Outcome<'_>) -> Bytes {
        match outcome {
            Outcome::Payload(payload) => self.encode(reply, &Outcome::Payload(Vec::new()), payload),
            outcome => self.encode(reply, &outcome, Vec::new()),
        }
    }

    pub(super) fn encode(&self, reply: &Reply, outcome: &Outcome<'_>, payload: Vec<u8>) -> Bytes {
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
            Seal::Host => self.sign_answer(&self.key, reply, &mut response),
            Seal::Signer => {
                if let Some(extension) = &mut response.extension {
                    extension.cluster.clone_from(&self.cluster);
                }
                self.sign_answer(self.signer(), reply, &mut response);
            }
        }
        response.encode(PayloadForm::Binary).into()
    }

    fn sign_answer(&self, key: &KeyPair, reply: &Reply, response: &mut Response) {
        let digest = self.digester.response(&reply.digest, response);
        if let Some(extension) = &mut response.extension {
            // A host key that does not sign was refused at the start. Without a signature the caller refuses the answer.
            extension.signature = key.sign(&digest).ok().and_then(|signature| signature.try_into().ok());
        }
    }
}

/// Returns how an answer is signed.
pub(super) fn signature(arrival: Arrival<'_>) -> Seal {
    match arrival {
        Arrival::Direct => Seal::Host,
        Arrival::Shared(_) => Seal::Signer,
    }
}

impl Reply {
    /// Returns whether the caller understands answers by which it sends the call again.
    pub(crate) fn knows_retries(&self) -> bool {
        !matches!(self.seal, Seal::None)
    }
}
