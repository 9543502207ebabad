//! Calls to actors, in the format of 2021, which all hosts understand.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nkeys::{KeyPair, KeyPairType};
use wasmcloud_core::entity::{KeyKind, WasmCloudEntity, expect_key};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_lattice::token;
use wasmcloud_lattice::wire::{Digester, Invocation, PayloadForm, Response};

use super::ControlClient;

/// The largest answer that is read. Unit: bytes.
const LARGEST: usize = 64 * 1024 * 1024;

impl ControlClient {
    /// Signs calls to actors with the seed of a host (`SN...`) or a cluster (`SC...`) that the hosts trust. Default: a new key
    /// of a host, which only hosts accept that trust any.
    ///
    /// # Errors
    /// `InvalidArgument` for another text. The error does not show it.
    pub fn call_with(mut self, seed: &str) -> Result<ControlClient> {
        let is_sender = |key: &KeyPair| matches!(key.key_pair_type(), KeyPairType::Server | KeyPairType::Cluster);
        let key = KeyPair::from_seed(seed.trim()).ok().filter(is_sender);
        let key = key.ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "the seed is not one of a host (SN...) or a cluster (SC...)")
        })?;
        // A cluster vouches for hosts: its key is no sender's.
        if key.key_pair_type() == KeyPairType::Server {
            self.caller_host = key.public_key();
        }
        self.caller = Arc::new(key);
        Ok(self)
    }

    /// Calls an actor by its public key, on any host that runs it, and returns its answer.
    ///
    /// # Errors
    /// `InvalidArgument` for a malformed key; `ActorNotFound` if no host runs it; `DeadlineExceeded` without an answer within
    /// `limit`; the error of the call, `ActorFailed` if a host of 2021 tells no kind.
    pub async fn call_actor(&self, actor: &str, operation: &str, payload: Vec<u8>, limit: Duration) -> Result<Vec<u8>> {
        expect_key(actor, KeyKind::Actor)?;
        let namespace = self.subjects.namespace();
        let invocation = self.invocation(actor, operation, payload)?;
        let subject = namespace.call(&invocation.target);
        let subject = subject.ok_or_else(|| Error::new(ErrorKind::Internal, "an actor has no subject"))?;
        let message = invocation.encode(PayloadForm::Array).into();
        let answer = self.connection.request(subject, message, limit).await.map_err(|error| match error.kind() {
            ErrorKind::LatticeUnavailable if self.connection.state().is_joined() => {
                Error::new(ErrorKind::ActorNotFound, format!("no host of namespace {namespace} runs actor {actor}"))
            }
            _ => error,
        })?;
        let response = Response::decode(&answer.payload, LARGEST)?;
        if let Some(transfer) = response.extension.as_ref().and_then(|extension| extension.transfer.as_ref()) {
            let message =
                format!("the answer is too large for a message ({transfer:?}): only hosts fetch such answers");
            return Err(Error::new(ErrorKind::MessageTooLarge, message));
        }
        match response.error {
            None => Ok(response.payload),
            Some(text) => {
                let kind = response.extension.and_then(|extension| extension.error_kind());
                Err(Error::new(kind.unwrap_or(ErrorKind::ActorFailed), text))
            }
        }
    }

    fn invocation(&self, actor: &str, operation: &str, payload: Vec<u8>) -> Result<Invocation> {
        let mut invocation = Invocation {
            origin: WasmCloudEntity::Host,
            target: WasmCloudEntity::Actor(actor.to_owned()),
            operation: operation.to_owned(),
            payload,
            id: uuid::Uuid::new_v4().to_string(),
            encoded_claims: String::new(),
            host_id: self.caller_host.clone(),
            extension: None,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let digester = Digester::new(self.subjects.namespace());
        invocation.encoded_claims = token::sign(&invocation, &self.caller, &digester, now)?;
        Ok(invocation)
    }
}
