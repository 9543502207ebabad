//! Checks of options. Each error names the option.

use std::fmt::Debug;

use nkeys::{KeyPair, KeyPairType};
use wasmcloud_core::entity::shorten;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Secret;

/// Returns the error of an invalid option.
pub(super) fn invalid(option: &str, message: impl AsRef<str>) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("the option {option} is invalid: {}", message.as_ref()))
}

/// Checks that a value lies in a range.
pub(super) fn expect_between<T: PartialOrd + Debug>(option: &str, value: &T, least: &T, most: &T) -> Result<()> {
    if least <= value && value <= most {
        return Ok(());
    }
    Err(invalid(option, format!("{value:?} is not between {least:?} and {most:?}")))
}

/// Checks that a text is a public key of a kind.
pub(super) fn expect_public_key(option: &str, key: &str, kind: KeyPairType, what: &str) -> Result<()> {
    if KeyPair::from_public_key(key).is_ok_and(|found| found.key_pair_type() == kind) {
        return Ok(());
    }
    Err(invalid(option, format!("{:?} is not {what}", shorten(key))))
}

/// Checks that a text is a public key of an account, a user or a cluster.
pub(super) fn expect_issuer(option: &str, key: &str) -> Result<()> {
    let is_issuer =
        |key: KeyPair| matches!(key.key_pair_type(), KeyPairType::Account | KeyPairType::User | KeyPairType::Cluster);
    if KeyPair::from_public_key(key).is_ok_and(is_issuer) {
        return Ok(());
    }
    let what = "the public key of an account (A...), a user (U...) or a cluster (C...)";
    Err(invalid(option, format!("{:?} is not {what}", shorten(key))))
}

/// Returns the key of a seed. The text of the error does not show the seed.
pub(super) fn expect_seed(option: &str, seed: &Secret, kind: KeyPairType, what: &str) -> Result<KeyPair> {
    match KeyPair::from_seed(seed.reveal()) {
        Ok(key) if key.key_pair_type() == kind => Ok(key),
        _ => Err(invalid(option, format!("it is not {what}"))),
    }
}
