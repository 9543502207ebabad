//! Seeds: the secret halves of keys. They are read from files or the environment and never from the command line, printed only
//! on request, and wiped from memory after use. Copies that the signing library leaves on its stack are not wiped.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use data_encoding::BASE32_NOPAD;
use nkeys::{KeyPair, KeyPairType};
use zeroize::Zeroizing;

use crate::outcome::{self, CommandError, CommandResult};
use crate::output::Written;
use crate::{input, output};

/// The length of a seed in text, in the format of [nkeys](https://github.com/nats-io/nkeys).
const SEED_TEXT: usize = 58;
/// The length of a decoded seed: two bytes of prefix, which mark a seed and its kind, 32 bytes of secret, and two bytes of
/// checksum.
const SEED_BYTES: usize = 36;
const CHECKSUM_AT: usize = 34;
const IS_SEED: u8 = 18 << 3;

/// The source of the issuer's seed: a file, or else an environment variable.
#[derive(Debug, clap::Args)]
pub(crate) struct IssuerSource {
    /// The file that contains the account's seed. Default: the seed in the environment variable WASMCLOUD_ISSUER_SEED.
    #[arg(long, value_name = "FILE")]
    issuer_seed_file: Option<PathBuf>,
}

/// The source of the subject's key: a file, a public key, or else an environment variable.
#[derive(Debug, clap::Args)]
pub(crate) struct SubjectSource {
    /// The file that contains the seed of the actor or provider. Default: the seed in the environment variable
    /// WASMCLOUD_SUBJECT_SEED.
    #[arg(long, value_name = "FILE")]
    subject_seed_file: Option<PathBuf>,

    /// The public key of the actor or provider, instead of its seed. Only the issuer's seed is needed for signing.
    #[arg(long, value_name = "PUBLIC KEY", conflicts_with = "subject_seed_file")]
    subject: Option<String>,
}

impl IssuerSource {
    pub(crate) fn key(&self) -> CommandResult<Secret> {
        Secret::obtain(self.issuer_seed_file.as_deref(), "WASMCLOUD_ISSUER_SEED", "--issuer-seed-file")
    }
}

impl SubjectSource {
    /// Returns the public key of the subject.
    pub(crate) fn key(&self) -> CommandResult<KeyPair> {
        let public_key = match &self.subject {
            Some(public_key) => public_key.clone(),
            None => {
                let file = self.subject_seed_file.as_deref();
                Secret::obtain(file, "WASMCLOUD_SUBJECT_SEED", "--subject-seed-file or --subject")?.public_key()
            }
        };
        KeyPair::from_public_key(&public_key)
            .map_err(|error| CommandError::Usage(format!("--subject is not a public key ({error}): {public_key}")))
    }
}

/// A key with its seed, wiped when it is dropped.
pub(crate) struct Secret {
    bytes: Zeroizing<[u8; 32]>,
    pair: Box<KeyPair>,
}

impl Secret {
    /// Generates a key from random numbers of the operating system.
    pub(crate) fn generate(kind: KeyPairType) -> CommandResult<Secret> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut())
            .map_err(|error| CommandError::Failed(format!("the operating system has no random numbers: {error}")))?;
        Secret::new(kind, bytes)
    }

    fn new(kind: KeyPairType, bytes: Zeroizing<[u8; 32]>) -> CommandResult<Secret> {
        match KeyPair::new_from_raw(kind, *bytes) {
            Ok(pair) => Ok(Secret { bytes, pair: Box::new(pair) }),
            Err(error) => Err(CommandError::Failed(format!("the seed does not make a key: {error}"))),
        }
    }

    /// Reads a key from a file, or else from an environment variable.
    fn obtain(file: Option<&Path>, variable: &str, option: &str) -> CommandResult<Secret> {
        if let Some(file) = file {
            return Secret::from_file(file);
        }
        let text = std::env::var_os(variable).ok_or_else(|| {
            CommandError::Usage(format!("a key is missing: use {option}, or set {variable} to the seed"))
        })?;
        Secret::parse(&Zeroizing::new(text.into_encoded_bytes()))
            .ok_or_else(|| CommandError::Failed(format!("the environment variable {variable} is not a seed (S...)")))
    }

    /// Reads a key from a file, or else from an environment variable, or returns `None` without either.
    pub(crate) fn optional(file: Option<&Path>, variable: &str) -> CommandResult<Option<Secret>> {
        if file.is_none() && std::env::var_os(variable).is_none_or(|seed| seed.is_empty()) {
            return Ok(None);
        }
        Secret::obtain(file, variable, "a seed file").map(Some)
    }

    /// Reads a key from a file that contains its seed and nothing else.
    pub(crate) fn from_file(path: &Path) -> CommandResult<Secret> {
        const LONGEST: usize = 1024;
        let text = input::read_secret(path, "the seed file", LONGEST)?;
        let secret = Secret::parse(&text).ok_or_else(|| {
            CommandError::Failed(format!("the file {} must contain one seed (S...) and nothing else", path.display()))
        })?;
        warn_if_readable_by_others(path);
        Ok(secret)
    }

    pub(crate) fn parse(text: &[u8]) -> Option<Secret> {
        let text = text.trim_ascii();
        let mut decoded = Zeroizing::new([0; SEED_BYTES]);
        if text.len() != SEED_TEXT || BASE32_NOPAD.decode_mut(text, decoded.as_mut()).ok()? != SEED_BYTES {
            return None;
        }
        let (body, checksum) = decoded.split_at(CHECKSUM_AT);
        if body[0] & 0xf8 != IS_SEED || checksum != checksum_of(body) {
            return None;
        }
        let kind = kind_of((body[0] & 7) << 5 | body[1] >> 3)?;
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(&body[2..]);
        Secret::new(kind, bytes).ok()
    }

    /// Returns the seed as text.
    pub(crate) fn seed(&self) -> Zeroizing<String> {
        let prefix = prefix_of(&self.pair.key_pair_type());
        let mut decoded = Zeroizing::new([0; SEED_BYTES]);
        decoded[0] = IS_SEED | prefix >> 5;
        decoded[1] = (prefix & 31) << 3;
        decoded[2..CHECKSUM_AT].copy_from_slice(self.bytes.as_ref());
        let checksum = checksum_of(&decoded[..CHECKSUM_AT]);
        decoded[CHECKSUM_AT..].copy_from_slice(&checksum);
        let mut text = Zeroizing::new(String::with_capacity(SEED_TEXT));
        BASE32_NOPAD.encode_append(decoded.as_ref(), &mut text);
        text
    }

    pub(crate) fn public_key(&self) -> String {
        self.pair.public_key()
    }

    pub(crate) fn key_pair(&self) -> &KeyPair {
        &self.pair
    }

    /// Writes the seed to a file that only its owner can read. An existing file is replaced only if `replace` is set.
    pub(crate) fn write(&self, path: &Path, replace: bool) -> CommandResult<Written> {
        let mut text = Zeroizing::new(Vec::with_capacity(SEED_TEXT + 1));
        text.extend_from_slice(self.seed().as_bytes());
        text.push(b'\n');
        output::write_secret(path, &text, replace)
    }

    /// Overwrites the key in memory with another one, because nkeys does not wipe its seeds.
    fn wipe(&mut self) {
        if let Ok(nothing) = KeyPair::new_from_raw(KeyPairType::User, [0; 32]) {
            *self.pair = nothing;
            black_box(&self.pair);
        }
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.wipe();
    }
}

const KINDS: [(KeyPairType, u8); 7] = [
    (KeyPairType::Account, 0),
    (KeyPairType::Cluster, 2 << 3),
    (KeyPairType::Module, 12 << 3),
    (KeyPairType::Server, 13 << 3),
    (KeyPairType::Operator, 14 << 3),
    (KeyPairType::User, 20 << 3),
    (KeyPairType::Service, 21 << 3),
];

fn kind_of(prefix: u8) -> Option<KeyPairType> {
    KINDS.iter().find(|(_, known)| *known == prefix).map(|(kind, _)| kind.clone())
}

/// Returns the prefix byte of keys of a kind. Curve keys cannot sign and are never created here.
fn prefix_of(kind: &KeyPairType) -> u8 {
    KINDS.iter().find(|(known, _)| known == kind).map_or(23 << 3, |(_, prefix)| *prefix)
}

/// Returns the CRC-16/XMODEM of bytes, low byte first.
fn checksum_of(bytes: &[u8]) -> [u8; 2] {
    let mut sum: u16 = 0;
    for &byte in bytes {
        sum ^= u16::from(byte) << 8;
        for _ in 0..8 {
            sum = if sum & 0x8000 == 0 { sum << 1 } else { sum << 1 ^ 0x1021 };
        }
    }
    sum.to_le_bytes()
}

/// Warns if other users can read a seed file. Pipes and devices cannot be read again, so they need no warning.
fn warn_if_readable_by_others(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let is_open = path.metadata().is_ok_and(|file| file.is_file() && file.mode() & 0o077 != 0);
        if is_open {
            outcome::warn(&format!("other users can read the seed file {0}: run chmod 600 {0}", path.display()));
        }
    }
    #[cfg(not(unix))]
    let _ = path;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_those_of_nkeys() {
        for (kind, _) in KINDS {
            let theirs = KeyPair::new(kind);
            let ours = Secret::parse(theirs.seed().unwrap().as_bytes()).unwrap();
            assert_eq!(ours.public_key(), theirs.public_key());
            assert_eq!(*ours.seed(), theirs.seed().unwrap());
            assert_eq!(ours.key_pair().sign(b"x").unwrap(), theirs.sign(b"x").unwrap());
        }
    }

    #[test]
    fn malformed_seeds_are_refused() {
        let seed = KeyPair::new_account().seed().unwrap();
        let wrong_sum = format!("{}{}", &seed[..57], if seed.ends_with('A') { 'B' } else { 'A' });
        let public_key = KeyPair::new_account().public_key();
        for text in ["", "S", &seed[1..], &wrong_sum, &public_key, &format!("{seed} {seed}"), &"é".repeat(29)] {
            assert!(Secret::parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn a_wiped_key_is_overwritten() {
        let mut secret = Secret::generate(KeyPairType::Account).unwrap();
        secret.wipe();
        assert_eq!(
            secret.pair.seed().unwrap(),
            KeyPair::new_from_raw(KeyPairType::User, [0; 32]).unwrap().seed().unwrap()
        );
    }
}
