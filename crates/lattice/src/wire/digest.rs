//! The digest of a message: one hash over all that a signature or MAC has to protect.

use wasmcloud_core::entity::WasmCloudEntity;

use super::{Invocation, Response, Transfer};
use crate::namespace::Namespace;

/// The digest of a message.
pub type Digest = [u8; 32];

/// Computes the digests of messages of a namespace. A digest covers the namespace, so that no message of one namespace is
/// valid in another.
#[derive(Debug, Clone)]
pub struct Digester {
    invocation: blake3::Hasher,
    response: blake3::Hasher,
}

impl Digester {
    /// Returns the digester of a namespace.
    pub fn new(namespace: &Namespace) -> Digester {
        let begin = |context| {
            let mut hasher = blake3::Hasher::new_derive_key(context);
            text(&mut hasher, namespace.as_str());
            hasher
        };
        Digester {
            invocation: begin("wasmcloud lattice invocation 1"),
            response: begin("wasmcloud lattice response 1"),
        }
    }

    /// Returns the digest of a call. It covers every field but the token and the authenticators, which contain it.
    pub fn invocation(&self, invocation: &Invocation) -> Digest {
        let mut hasher = self.invocation.clone();
        let mut fields = Vec::with_capacity(512);
        entity(&mut fields, &invocation.origin);
        entity(&mut fields, &invocation.target);
        for name in [&invocation.operation, &invocation.id, &invocation.host_id] {
            bytes(&mut fields, name.as_bytes());
        }
        extension(&mut fields, invocation);
        hasher.update(&fields);
        payload(&mut hasher, &invocation.payload);
        *hasher.finalize().as_bytes()
    }

    /// Returns the digest of an answer to the call with the digest `call`. It covers every field but the MAC and the
    /// signature, so an answer is valid for one call alone.
    pub fn response(&self, call: &Digest, response: &Response) -> Digest {
        let mut hasher = self.response.clone();
        let mut fields = Vec::with_capacity(256);
        fields.extend_from_slice(call);
        bytes(&mut fields, response.invocation_id.as_bytes());
        optional(&mut fields, response.error.as_deref());
        fields.push(u8::from(response.extension.is_some()));
        if let Some(extension) = &response.extension {
            number(&mut fields, extension.version.into());
            bytes(&mut fields, extension.host.as_bytes());
            optional(&mut fields, extension.cluster.as_deref());
            optional(&mut fields, extension.kind.as_deref());
            optional(&mut fields, extension.retry.map(|retry| retry.name()));
            transfer(&mut fields, extension.transfer.as_ref());
        }
        hasher.update(&fields);
        payload(&mut hasher, &response.payload);
        *hasher.finalize().as_bytes()
    }
}

/// Hashes a payload after all else. Its length stands before it.
fn payload(hasher: &mut blake3::Hasher, payload: &[u8]) {
    hasher.update(&(payload.len() as u64).to_le_bytes());
    hasher.update(payload);
}

fn text(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

fn number(fields: &mut Vec<u8>, number: u64) {
    fields.extend_from_slice(&number.to_le_bytes());
}

fn bytes(fields: &mut Vec<u8>, bytes: &[u8]) {
    number(fields, bytes.len() as u64);
    fields.extend_from_slice(bytes);
}

fn optional(fields: &mut Vec<u8>, text: Option<&str>) {
    fields.push(u8::from(text.is_some()));
    bytes(fields, text.unwrap_or_default().as_bytes());
}

fn transfer(fields: &mut Vec<u8>, transfer: Option<&Transfer>) {
    fields.push(u8::from(transfer.is_some()));
    let Some(transfer) = transfer else { return };
    fields.extend_from_slice(&transfer.id);
    number(fields, transfer.size);
    fields.extend_from_slice(&transfer.hash);
}

fn entity(fields: &mut Vec<u8>, entity: &WasmCloudEntity) {
    match entity {
        WasmCloudEntity::Actor(key) => {
            fields.push(1);
            bytes(fields, key.as_bytes());
        }
        WasmCloudEntity::Capability { id, contract_id, link_name } => {
            fields.push(2);
            for name in [id, contract_id, link_name] {
                bytes(fields, name.as_bytes());
            }
        }
        _ => fields.push(0),
    }
}

fn extension(fields: &mut Vec<u8>, invocation: &Invocation) {
    fields.push(u8::from(invocation.extension.is_some()));
    let Some(extension) = &invocation.extension else { return };
    number(fields, extension.version.into());
    number(fields, extension.issued_at);
    number(fields, extension.remaining);
    number(fields, extension.incarnation);
    optional(fields, extension.destination.as_deref());
    number(fields, extension.chain.len() as u64);
    for waiting in &extension.chain {
        bytes(fields, waiting.actor.as_bytes());
        bytes(fields, waiting.host.as_bytes());
        number(fields, waiting.instance);
    }
    optional(fields, extension.trace.as_ref().map(|trace| trace.parent.as_str()));
    optional(fields, extension.trace.as_ref().map(|trace| trace.state.as_str()));
    fields.push(u8::from(extension.cancellation.is_some()));
    fields.extend_from_slice(&extension.cancellation.unwrap_or_default());
    transfer(fields, extension.transfer.as_ref());
}
