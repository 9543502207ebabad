//! Artifacts as the bytes of one file, sealed so that only those who know the folder's secret can have made it.
//!
//! ```text
//! magic (16) | seal (32) | length of the module (8) | length of the driver (8) | module | zeroes | driver
//! ```
//!
//! The seal is a keyed hash of the key under which the file is kept and of everything after the seal. Both artifacts begin
//! at a multiple of 16, as wasmer wants them.

use bytes::Bytes;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::key::Key;

/// What seals the files of a folder.
pub(super) type Secret = [u8; 32];

/// The artifacts of one module, as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) module: Bytes,
    pub(super) driver: Bytes,
}

const MAGIC: &[u8; 16] = b"wasmcloud-code\0\x01";
const SEAL: std::ops::Range<usize> = 16..48;
const LENGTHS: [std::ops::Range<usize>; 2] = [48..56, 56..64];
const HEADER: usize = 64;

/// What artifacts are aligned to.
pub(super) const ALIGNMENT: usize = 16;

/// The bytes of the file that holds artifacts under a key.
pub(super) fn seal(artifacts: &Sealed, key: &Key, secret: &Secret) -> Vec<u8> {
    let Sealed { module, driver } = artifacts;
    let driver_start = (HEADER + module.len()).next_multiple_of(ALIGNMENT);
    let mut bytes = Vec::with_capacity(driver_start + driver.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[0; SEAL.end - SEAL.start]);
    for artifact in [module, driver] {
        bytes.extend_from_slice(&(artifact.len() as u64).to_le_bytes());
    }
    bytes.extend_from_slice(module);
    bytes.resize(driver_start, 0);
    bytes.extend_from_slice(driver);
    let seal = seal_of(&bytes, key, secret);
    bytes[SEAL].copy_from_slice(seal.as_bytes());
    bytes
}

/// The artifacts in the bytes of a file.
///
/// # Errors
/// Where the file was not sealed with this secret, for this key, as it is.
pub(super) fn open(bytes: Vec<u8>, key: &Key, secret: &Secret) -> Result<Sealed> {
    if bytes.len() < HEADER || !bytes.starts_with(MAGIC) {
        return Err(refused("it does not begin like an artifact"));
    }
    // This comparison takes the same time whatever differs.
    if seal_of(&bytes, key, secret) != blake3::Hash::from(read(&bytes, SEAL)) {
        return Err(refused("its seal is broken, or was made for another key or in another folder"));
    }
    let [module, driver] = LENGTHS.map(|range| usize::try_from(u64::from_le_bytes(read(&bytes, range))).ok());
    let bytes = Bytes::from(bytes);
    let slice = |start: usize, length: usize| {
        let end = start.checked_add(length).filter(|&end| end <= bytes.len())?;
        Some(bytes.slice(start..end))
    };
    let artifacts = module.zip(driver).and_then(|(module, driver)| {
        let module = slice(HEADER, module)?;
        let driver = slice((HEADER + module.len()).next_multiple_of(ALIGNMENT), driver)?;
        Some(Sealed { module, driver })
    });
    artifacts.ok_or_else(|| refused("its lengths are not its own"))
}

/// A field of the header, which the caller knows to be there.
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

    fn artifacts(module: &[u8], driver: &[u8]) -> Sealed {
        Sealed { module: Bytes::copy_from_slice(module), driver: Bytes::copy_from_slice(driver) }
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_opened_as_it_was(module: Vec<u8>, driver: Vec<u8>) {
            let artifacts = artifacts(&module, &driver);
            prop_assert_eq!(open(seal(&artifacts, &key("a"), &SECRET), &key("a"), &SECRET).unwrap(), artifacts);
        }

        #[test]
        fn no_byte_can_be_changed(module: Vec<u8>, driver: Vec<u8>, at: prop::sample::Index, change in 1..=255_u8) {
            let mut bytes = seal(&artifacts(&module, &driver), &key("a"), &SECRET);
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
        fn any_bytes_end_in_an_answer(bytes: Vec<u8>) {
            prop_assert!(open([MAGIC.as_slice(), &bytes].concat(), &key("a"), &SECRET).is_err());
            prop_assert!(open(bytes, &key("a"), &SECRET).is_err());
        }

        #[test]
        fn lengths_that_lie_are_refused_though_they_are_sealed(module: u64, driver: u64) {
            let mut bytes = seal(&artifacts(b"module", b"driver"), &key("a"), &SECRET);
            prop_assume!(module > 64 || driver > 64);
            bytes[LENGTHS[0].clone()].copy_from_slice(&module.to_le_bytes());
            bytes[LENGTHS[1].clone()].copy_from_slice(&driver.to_le_bytes());
            let seal = seal_of(&bytes, &key("a"), &SECRET);
            bytes[SEAL].copy_from_slice(seal.as_bytes());
            prop_assert!(open(bytes, &key("a"), &SECRET).is_err());
        }
    }

    #[test]
    fn it_opens_under_its_own_key_and_secret_alone() {
        let bytes = seal(&artifacts(b"module", b"driver"), &key("a"), &SECRET);
        assert!(open(bytes.clone(), &key("b"), &SECRET).is_err());
        assert!(open(bytes.clone(), &key("a"), &[8; 32]).is_err());
        assert!(open(bytes, &key("a"), &SECRET).is_ok());
    }
}
