//! The file format of artifacts. A seal proves that the writer knew the folder's secret.
//!
//! ```text
//! magic (16) | seal (32) | length of the module (8) | length of the call loop (8) | module | zeroes | call loop
//! ```
//!
//! The seal is a keyed hash of the cache key and of everything after the seal. Both artifacts begin at a multiple of
//! 16, as wasmer requires.

use bytes::Bytes;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::key::Key;

/// The secret of a folder, by which its files are sealed.
pub(super) type Secret = [u8; 32];

/// The serialized artifacts of one module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SerializedArtifacts {
    pub(super) module: Bytes,
    pub(super) call_loop: Bytes,
}

const MAGIC: &[u8; 16] = b"wasmcloud-code\0\x01";
const SEAL: std::ops::Range<usize> = 16..48;
const LENGTHS: [std::ops::Range<usize>; 2] = [48..56, 56..64];
const HEADER: usize = 64;

/// The alignment of artifacts. Unit: bytes.
pub(super) const ALIGNMENT: usize = 16;

/// Returns the content of the file that holds artifacts under a key.
pub(super) fn seal(artifacts: &SerializedArtifacts, key: &Key, secret: &Secret) -> Vec<u8> {
    let SerializedArtifacts { module, call_loop } = artifacts;
    let call_loop_start = (HEADER + module.len()).next_multiple_of(ALIGNMENT);
    let mut bytes = Vec::with_capacity(call_loop_start + call_loop.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[0; SEAL.end - SEAL.start]);
    for artifact in [module, call_loop] {
        bytes.extend_from_slice(&(artifact.len() as u64).to_le_bytes());
    }
    bytes.extend_from_slice(module);
    bytes.resize(call_loop_start, 0);
    bytes.extend_from_slice(call_loop);
    let seal = seal_of(&bytes, key, secret);
    bytes[SEAL].copy_from_slice(seal.as_bytes());
    bytes
}

/// Returns the artifacts in the content of a file.
///
/// # Errors
/// `Io` if the content was not sealed with this secret for this key, or was changed.
pub(super) fn open(bytes: Vec<u8>, key: &Key, secret: &Secret) -> Result<SerializedArtifacts> {
    if bytes.len() < HEADER || !bytes.starts_with(MAGIC) {
        return Err(refused("it does not begin like an artifact"));
    }
    // This comparison takes constant time.
    if seal_of(&bytes, key, secret) != blake3::Hash::from(read(&bytes, SEAL)) {
        return Err(refused("its seal is broken, or was made for another key or in another folder"));
    }
    let [module, call_loop] = LENGTHS.map(|range| usize::try_from(u64::from_le_bytes(read(&bytes, range))).ok());
    let bytes = Bytes::from(bytes);
    let slice = |start: usize, length: usize| {
        let end = start.checked_add(length).filter(|&end| end <= bytes.len())?;
        Some(bytes.slice(start..end))
    };
    let artifacts = module.zip(call_loop).and_then(|(module, call_loop)| {
        let module = slice(HEADER, module)?;
        let call_loop = slice((HEADER + module.len()).next_multiple_of(ALIGNMENT), call_loop)?;
        Some(SerializedArtifacts { module, call_loop })
    });
    artifacts.ok_or_else(|| refused("its lengths are not its own"))
}

/// Returns a field of the header. The caller has checked that the header is complete.
fn read<const LENGTH: usize>(bytes: &[u8], range: std::ops::Range<usize>) -> [u8; LENGTH] {
    let mut field = [0; LENGTH];
    field.copy_from_slice(&bytes[range]);
    field
}

fn seal_of(bytes: &[u8], key: &Key, secret: &Secret) -> blake3::Hash {
    blake3::Hasher::new_keyed(secret).update(key.as_bytes()).update(&bytes[SEAL.end..]).finalize()
}

fn refused(reason: &str) -> Error {
    Error::new(ErrorKind::Io, reason)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: Secret = [7; 32];

    fn key(text: &str) -> Key {
        Key::of(&[("module", text)])
    }

    fn artifacts(module: &[u8], call_loop: &[u8]) -> SerializedArtifacts {
        SerializedArtifacts { module: Bytes::copy_from_slice(module), call_loop: Bytes::copy_from_slice(call_loop) }
    }

    proptest! {
        #[test]
        fn sealed_artifacts_are_opened_unchanged(module: Vec<u8>, call_loop: Vec<u8>) {
            let artifacts = artifacts(&module, &call_loop);
            prop_assert_eq!(open(seal(&artifacts, &key("a"), &SECRET), &key("a"), &SECRET).unwrap(), artifacts);
        }

        #[test]
        fn no_byte_can_be_changed(module: Vec<u8>, call_loop: Vec<u8>, at: prop::sample::Index, change in 1..=255_u8) {
            let mut bytes = seal(&artifacts(&module, &call_loop), &key("a"), &SECRET);
            let at = at.index(bytes.len());
            bytes[at] ^= change;
            prop_assert!(open(bytes, &key("a"), &SECRET).is_err());
        }

        #[test]
        fn nothing_can_be_cut_off_or_added(module: Vec<u8>, length in 0..200_usize) {
            let mut bytes = seal(&artifacts(&module, b"driver"), &key("a"), &SECRET);
            prop_assume!(length != bytes.len());
            bytes.resize(length, 0);
            prop_assert!(open(bytes, &key("a"), &SECRET).is_err());
        }

        #[test]
        fn arbitrary_bytes_are_refused(bytes: Vec<u8>) {
            prop_assert!(open([MAGIC.as_slice(), &bytes].concat(), &key("a"), &SECRET).is_err());
            prop_assert!(open(bytes, &key("a"), &SECRET).is_err());
        }

        #[test]
        fn wrong_lengths_are_refused_even_if_sealed(module: u64, call_loop: u64) {
            let mut bytes = seal(&artifacts(b"module", b"driver"), &key("a"), &SECRET);
            prop_assume!(module > 64 || call_loop > 64);
            bytes[LENGTHS[0].clone()].copy_from_slice(&module.to_le_bytes());
            bytes[LENGTHS[1].clone()].copy_from_slice(&call_loop.to_le_bytes());
            let seal = seal_of(&bytes, &key("a"), &SECRET);
            bytes[SEAL].copy_from_slice(seal.as_bytes());
            prop_assert!(open(bytes, &key("a"), &SECRET).is_err());
        }
    }

    #[test]
    fn artifacts_open_only_with_their_key_and_secret() {
        let bytes = seal(&artifacts(b"module", b"driver"), &key("a"), &SECRET);
        assert!(open(bytes.clone(), &key("b"), &SECRET).is_err());
        assert!(open(bytes.clone(), &key("a"), &[8; 32]).is_err());
        assert!(open(bytes, &key("a"), &SECRET).is_ok());
    }
}
