//! The Noise protocol between two hosts, with the proof of their keys: pattern XX, X25519, ChaCha20-Poly1305, SHA-256.
//!
//! The static key of Noise is made at the start of a host. The payloads of the second and third message bind it to the
//! host's nkey by a signature, as libp2p does. The signature also covers the role and the hash of the handshake so far, so
//! it is of no use in any other handshake. That hash covers the namespace, the identifier and both hosts from the start on.

use std::sync::Arc;

use nkeys::{KeyPair, KeyPairType};
use snow::{Builder, HandshakeState};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

use super::HandshakeError;
use super::frame::{HandshakeId, KEY, MAX_FRAME};
use crate::endorsement::{Endorsement, SIGNATURE};
use crate::namespace::Namespace;

const PATTERN: &str = "Noise_XX_25519_ChaChaPoly_SHA256";
const CONTEXT: &[u8] = b"wasmcloud lattice handshake 1";

/// The host, four numbers, and the signature.
const PROOF: usize = KEY + 4 * 8 + SIGNATURE;

/// What follows the proof if a cluster vouches for the host.
const ENDORSEMENT: usize = KEY + SIGNATURE;

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
    pub(super) host: Arc<str>,
    /// The random number that the host chose at its start.
    pub(super) incarnation: u64,
    /// The identifier by which the host finds the key of this session.
    pub(super) key_id: u64,
    /// How long the host uses a session. Unit: milliseconds.
    pub(super) lifetime: u64,
    /// How many calls the host sends or accepts in a session.
    pub(super) messages: u64,
    /// The signature of a cluster for the host.
    pub(super) endorsement: Option<Endorsement>,
}

/// The hosts of a handshake.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parties<'a> {
    pub(super) initiator: &'a str,
    pub(super) responder: &'a str,
}

/// The long-lived part of this host's handshakes.
pub(super) struct NoiseKeys {
    private: Zeroizing<Vec<u8>>,
    public: Vec<u8>,
    namespace: Namespace,
}

/// A decrypted message, with what its signature covers.
pub(super) struct Opened {
    payload: Vec<u8>,
    hash: Vec<u8>,
    static_key: Vec<u8>,
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
        Ok(NoiseKeys { private: Zeroizing::new(pair.private), public: pair.public, namespace: namespace.clone() })
    }

    /// Returns the state at the beginning of a handshake. All parts of the prologue but the namespace have a fixed length.
    pub(super) fn begin(
        &self,
        role: Role,
        id: &HandshakeId,
        parties: Parties<'_>,
    ) -> Result<HandshakeState, HandshakeError> {
        let (initiator, responder) = (parties.initiator.as_bytes(), parties.responder.as_bytes());
        let prologue = [CONTEXT, id, initiator, responder, self.namespace.as_str().as_bytes()].concat();
        let builder = builder()?.local_private_key(&self.private)?.prologue(&prologue)?;
        Ok(match role {
            Role::Initiator => builder.build_initiator()?,
            Role::Responder => builder.build_responder()?,
        })
    }

    /// Writes the next message, whose payload proves the key of this host.
    pub(super) fn prove(
        &self,
        noise: &mut HandshakeState,
        role: Role,
        identity: &Identity,
        key: &KeyPair,
    ) -> Result<Vec<u8>, HandshakeError> {
        let numbers = numbers(identity);
        let signed = signed(noise.get_handshake_hash(), role, &self.public, &identity.host, &numbers);
        let signature = key.sign(&signed).map_err(|_| HandshakeError::Failed)?;
        let mut payload = [identity.host.as_bytes(), &numbers, &signature].concat();
        if let Some(endorsement) = &identity.endorsement {
            payload.extend_from_slice(endorsement.cluster.as_bytes());
            payload.extend_from_slice(&endorsement.signature);
        }
        write(noise, &payload)
    }
}

impl Opened {
    /// Decrypts a message that proves the key of the peer. If that fails, the state is as before.
    pub(super) fn read(noise: &mut HandshakeState, message: &[u8]) -> Result<Opened, HandshakeError> {
        let hash = noise.get_handshake_hash().to_vec();
        let payload = read(noise, message)?;
        let static_key = noise.get_remote_static().ok_or(HandshakeError::Failed)?.to_vec();
        Ok(Opened { payload, hash, static_key })
    }

    /// Returns what the peer has proven. The endorsement is not verified.
    pub(super) fn verify(&self, role: Role) -> Result<Identity, HandshakeError> {
        let identity = parse(&self.payload)?;
        let key = KeyPair::from_public_key(&identity.host).map_err(|_| HandshakeError::Forged)?;
        if key.key_pair_type() != KeyPairType::Server {
            return Err(HandshakeError::Forged);
        }
        let signed = signed(&self.hash, role, &self.static_key, &identity.host, &numbers(&identity));
        key.verify(&signed, &self.payload[PROOF - SIGNATURE..PROOF]).map_err(|_| HandshakeError::Forged)?;
        Ok(identity)
    }
}

/// Returns what a host signs. All parts have a fixed length.
fn signed(hash: &[u8], role: Role, static_key: &[u8], host: &str, numbers: &[u8]) -> Vec<u8> {
    [CONTEXT, &[role as u8], hash, static_key, host.as_bytes(), numbers].concat()
}

fn numbers(identity: &Identity) -> Vec<u8> {
    let numbers = [identity.incarnation, identity.key_id, identity.lifetime, identity.messages];
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn parse(payload: &[u8]) -> Result<Identity, HandshakeError> {
    if payload.len() != PROOF && payload.len() != PROOF + ENDORSEMENT {
        return Err(HandshakeError::Forged);
    }
    let text = |at: usize| std::str::from_utf8(&payload[at..at + KEY]).map_err(|_| HandshakeError::Forged);
    let number = |index: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&payload[KEY + 8 * index..KEY + 8 * index + 8]);
        u64::from_le_bytes(bytes)
    };
    let endorsement = if payload.len() > PROOF {
        let mut signature = [0; SIGNATURE];
        signature.copy_from_slice(&payload[PROOF + KEY..]);
        Some(Endorsement { cluster: text(PROOF)?.to_owned(), signature })
    } else {
        None
    };
    Ok(Identity {
        host: text(0)?.into(),
        incarnation: number(0),
        key_id: number(1),
        lifetime: number(2),
        messages: number(3),
        endorsement,
    })
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
