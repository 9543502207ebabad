//! The Noise protocol between two hosts, with the proof of their keys: pattern XX, X25519, ChaCha20-Poly1305, SHA-256.
//!
//! The static key of Noise is made at the start of a host. The payloads of the second and third message bind it to the
//! host's nkey by a signature, as libp2p does. The signature also covers the namespace, the role and the hash of the handshake so
//! far, so it is of no use in any other handshake.

use nkeys::{KeyPair, KeyPairType};
use snow::{Builder, HandshakeState};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

use super::HandshakeError;
use super::frame::{KEY, MAX_FRAME};
use crate::namespace::Namespace;

const PATTERN: &str = "Noise_XX_25519_ChaChaPoly_SHA256";
const CONTEXT: &[u8] = b"wasmcloud lattice handshake 1";
const SIGNATURE: usize = 64;
const PROOF: usize = KEY + 8 + 8 + SIGNATURE;

/// The side of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Role {
    Initiator = 1,
    Responder = 2,
}

/// What a host proves in a handshake.
#[derive(Debug)]
pub(super) struct Identity {
    /// The public key of the host.
    pub(super) host: String,
    /// The random number that the host chose at its start.
    pub(super) incarnation: u64,
    /// The identifier by which the host finds the key of this session.
    pub(super) key_id: u64,
}

/// The long-lived part of this host's handshakes.
pub(super) struct NoiseKeys {
    private: Zeroizing<Vec<u8>>,
    public: Vec<u8>,
    prologue: Vec<u8>,
    namespace: Namespace,
}

impl std::fmt::Debug for NoiseKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NoiseKeys").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

fn builder<'a>() -> Result<Builder<'a>, snow::Error> {
    Ok(Builder::new(PATTERN.parse()?))
}

impl NoiseKeys {
    pub(super) fn generate(namespace: &Namespace) -> Result<NoiseKeys> {
        let pair = builder().and_then(|builder| builder.generate_keypair()).map_err(|error| {
            Error::new(ErrorKind::Internal, "the key for handshakes cannot be made").caused_by(error)
        })?;
        let prologue = [CONTEXT, namespace.as_str().as_bytes()].concat();
        let private = Zeroizing::new(pair.private);
        Ok(NoiseKeys { private, public: pair.public, prologue, namespace: namespace.clone() })
    }

    pub(super) fn begin(&self, role: Role) -> Result<HandshakeState, HandshakeError> {
        let builder = builder()?.local_private_key(&self.private)?.prologue(&self.prologue)?;
        Ok(match role {
            Role::Initiator => builder.build_initiator()?,
            Role::Responder => builder.build_responder()?,
        })
    }

    /// Returns the payload that proves the key of this host. The state must be the one before the message is written.
    pub(super) fn prove(
        &self,
        noise: &HandshakeState,
        role: Role,
        identity: &Identity,
        key: &KeyPair,
    ) -> Result<Vec<u8>, HandshakeError> {
        let signed = self.signed(noise.get_handshake_hash(), role, &self.public, identity);
        let signature = key.sign(&signed).map_err(|_| HandshakeError::Failed)?;
        let numbers = [identity.incarnation.to_le_bytes(), identity.key_id.to_le_bytes()].concat();
        Ok([identity.host.as_bytes(), &numbers, &signature].concat())
    }

    /// Reads a message whose payload proves the key of the peer.
    pub(super) fn read_proof(
        &self,
        noise: &mut HandshakeState,
        role: Role,
        message: &[u8],
    ) -> Result<Identity, HandshakeError> {
        let hash = noise.get_handshake_hash().to_vec();
        let payload = read(noise, message)?;
        let identity = parse(&payload)?;
        let key = KeyPair::from_public_key(&identity.host).map_err(|_| HandshakeError::Forged)?;
        if key.key_pair_type() != KeyPairType::Server {
            return Err(HandshakeError::Forged);
        }
        let static_key = noise.get_remote_static().ok_or(HandshakeError::Failed)?;
        let signed = self.signed(&hash, role, static_key, &identity);
        key.verify(&signed, &payload[PROOF - SIGNATURE..]).map_err(|_| HandshakeError::Forged)?;
        Ok(identity)
    }

    /// Returns what a host signs. All parts but the namespace have a fixed length, and it comes last.
    fn signed(&self, hash: &[u8], role: Role, static_key: &[u8], identity: &Identity) -> Vec<u8> {
        let incarnation = identity.incarnation.to_le_bytes();
        let key_id = identity.key_id.to_le_bytes();
        let namespace = self.namespace.as_str().as_bytes();
        let host = identity.host.as_bytes();
        [CONTEXT, &[role as u8], hash, static_key, host, &incarnation, &key_id, namespace].concat()
    }
}

fn parse(payload: &[u8]) -> Result<Identity, HandshakeError> {
    let number = |at: usize| {
        let bytes = payload.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u64::from_le_bytes).ok_or(HandshakeError::Forged)
    };
    if payload.len() != PROOF {
        return Err(HandshakeError::Forged);
    }
    let host = std::str::from_utf8(&payload[..KEY]).map_err(|_| HandshakeError::Forged)?;
    Ok(Identity { host: host.to_owned(), incarnation: number(KEY)?, key_id: number(KEY + 8)? })
}

/// Writes the next message of a handshake.
pub(super) fn write(noise: &mut HandshakeState, payload: &[u8]) -> Result<Vec<u8>, HandshakeError> {
    let mut message = vec![0; MAX_FRAME];
    let length = noise.write_message(payload, &mut message)?;
    message.truncate(length);
    Ok(message)
}

/// Reads the next message of a handshake, and returns its payload.
pub(super) fn read(noise: &mut HandshakeState, message: &[u8]) -> Result<Vec<u8>, HandshakeError> {
    let mut payload = vec![0; MAX_FRAME];
    let length = noise.read_message(message, &mut payload)?;
    payload.truncate(length);
    Ok(payload)
}
