//! The messages of a handshake: a fixed head, and a message of the Noise protocol.

use super::HandshakeError;
use super::keys::Mac;

/// The version of the handshake.
const VERSION: u8 = 1;

/// The length of a public key in text.
pub(super) const KEY: usize = 56;

/// The greatest length of a message of a handshake. Unit: bytes.
pub(super) const MAX_FRAME: usize = 512;

const HEAD: usize = 2 + 16;

/// The identifier of a handshake, which its initiator has chosen.
pub(super) type HandshakeId = [u8; 16];

/// A message of a handshake.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) id: HandshakeId,
    pub(super) step: Step<'a>,
}

#[derive(Debug)]
pub(super) enum Step<'a> {
    /// The first message of Noise, with the key that the initiator claims. The claim is proven by the third message.
    Hello { claimed: &'a str, noise: &'a [u8] },
    /// The second message of Noise, which proves the responder's key.
    Answer(&'a [u8]),
    /// The third message of Noise, which proves the initiator's key.
    Finish(&'a [u8]),
    /// The proof that the responder has the keys of the session.
    Confirm(Mac),
}

impl<'a> Frame<'a> {
    pub(super) fn write(&self) -> Vec<u8> {
        let (kind, parts): (u8, [&[u8]; 2]) = match &self.step {
            Step::Hello { claimed, noise } => (1, [claimed.as_bytes(), noise]),
            Step::Answer(noise) => (2, [&[], noise]),
            Step::Finish(noise) => (3, [&[], noise]),
            Step::Confirm(mac) => (4, [&[], mac]),
        };
        [&[VERSION, kind], &self.id[..], parts[0], parts[1]].concat()
    }

    pub(super) fn read(bytes: &'a [u8]) -> Result<Frame<'a>, HandshakeError> {
        if bytes.len() > MAX_FRAME || bytes.len() < HEAD || bytes[0] != VERSION {
            return Err(HandshakeError::Malformed);
        }
        let (head, rest) = bytes.split_at(HEAD);
        let mut id = HandshakeId::default();
        id.copy_from_slice(&head[2..]);
        let step = match head[1] {
            1 => {
                let (claimed, noise) = rest.split_at_checked(KEY).ok_or(HandshakeError::Malformed)?;
                let claimed = std::str::from_utf8(claimed).map_err(|_| HandshakeError::Malformed)?;
                Step::Hello { claimed, noise }
            }
            2 => Step::Answer(rest),
            3 => Step::Finish(rest),
            4 => Step::Confirm(rest.try_into().map_err(|_| HandshakeError::Malformed)?),
            _ => return Err(HandshakeError::Malformed),
        };
        Ok(Frame { id, step })
    }
}
