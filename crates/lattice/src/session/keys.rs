//! The keys of a session.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

use super::HandshakeError;
use crate::wire::Digest;

/// A message authentication code.
pub(super) type Mac = [u8; 16];

/// A secret key. It is erased when it is dropped, and not printed.
pub(super) struct Secret(Zeroizing<[u8; 32]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    fn derive(context: &str, material: &[u8]) -> Secret {
        Secret(Zeroizing::new(blake3::derive_key(context, material)))
    }

    /// Returns the MAC over a digest and the number of the call. Key, counter and digest have a fixed length.
    pub(super) fn mac(&self, digest: &Digest, counter: u64) -> Mac {
        let mut input = [0; 40];
        input[..32].copy_from_slice(digest);
        input[32..].copy_from_slice(&counter.to_le_bytes());
        self.keyed(&input)
    }

    fn keyed(&self, input: &[u8]) -> Mac {
        let hash = blake3::keyed_hash(&self.0, input);
        let mut mac = [0; 16];
        mac.copy_from_slice(&hash.as_bytes()[..16]);
        mac
    }

    /// Returns whether a MAC is right, in constant time.
    pub(super) fn verifies(&self, digest: &Digest, counter: u64, mac: &Mac) -> bool {
        same(&self.mac(digest, counter), mac)
    }

    /// Returns the proof that the responder of a handshake has this key.
    pub(super) fn confirmation(&self, handshake: &[u8; 16]) -> Mac {
        self.keyed(&[b"confirm".as_slice(), handshake].concat())
    }
}

/// Compares MACs in constant time: hashes of the crate `blake3` compare so.
pub(super) fn same(one: &Mac, other: &Mac) -> bool {
    let padded = |mac: &Mac| {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(mac);
        blake3::Hash::from_bytes(bytes)
    };
    padded(one) == padded(other)
}

/// The keys of a session. Each direction, and calls and answers within it, have a key of their own, so no message can be
/// sent back as another.
#[derive(Debug)]
pub(super) struct SessionKeys {
    pub(super) send_call: Secret,
    pub(super) send_answer: Secret,
    pub(super) receive_call: Secret,
    pub(super) receive_answer: Secret,
}

impl SessionKeys {
    /// Derives the keys from the outcome of a handshake. The keys that Noise hands out are used for nothing else.
    pub(super) fn derive(noise: &mut snow::HandshakeState) -> Result<SessionKeys, HandshakeError> {
        if !noise.is_handshake_finished() {
            return Err(HandshakeError::Failed);
        }
        let (mut from_initiator, mut from_responder) = noise.dangerously_get_raw_split();
        let mut material = Zeroizing::new([0; 96]);
        material[..32].copy_from_slice(&from_initiator);
        material[32..64].copy_from_slice(&from_responder);
        material[64..].copy_from_slice(noise.get_handshake_hash());
        from_initiator.zeroize();
        from_responder.zeroize();
        let derive = |context| Secret::derive(context, &*material);
        let initiator_call = derive("wasmcloud lattice session 1 call of the initiator");
        let initiator_answer = derive("wasmcloud lattice session 1 answer of the initiator");
        let responder_call = derive("wasmcloud lattice session 1 call of the responder");
        let responder_answer = derive("wasmcloud lattice session 1 answer of the responder");
        Ok(if noise.is_initiator() {
            SessionKeys {
                send_call: initiator_call,
                send_answer: initiator_answer,
                receive_call: responder_call,
                receive_answer: responder_answer,
            }
        } else {
            SessionKeys {
                send_call: responder_call,
                send_answer: responder_answer,
                receive_call: initiator_call,
                receive_answer: initiator_answer,
            }
        })
    }
}
