//! Whether an archive's token vouches for what lies beside it.

use sha2::{Digest, Sha256};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::read::Contents;
use crate::jwt::{CapabilityProvider, Claims};
use crate::token::read_token;

/// The claims of an archive's token, after everything in the archive has been verified by them. Their validity in time has
/// not.
///
/// # Errors
/// `InvalidToken`, or `Tampered` where a library is not the one that was signed or
/// where the token does not name it.
pub(super) fn claims(contents: &Contents) -> Result<Claims<CapabilityProvider>> {
    let claims: Claims<CapabilityProvider> = read_token(&contents.token)?;
    let hashes = claims.metadata.as_ref().map(|metadata| &metadata.target_hashes);
    for (target, library) in &contents.targets {
        let tampered = |what| {
            let message = format!("the library for {target} of provider {} {what}", claims.subject);
            Error::new(ErrorKind::Tampered, message)
        };
        match hashes.and_then(|hashes| hashes.get(target)) {
            Some(signed) if *signed == library_hash(library) => {}
            Some(_) => return Err(tampered("is not the one that was signed")),
            None => return Err(tampered("is not named in its token, so nobody vouches for it")),
        }
    }
    Ok(claims)
}

/// The hash by which a token names a library: SHA-256 in upper-case hex.
pub(super) fn library_hash(library: &[u8]) -> String {
    data_encoding::HEXUPPER.encode(&Sha256::digest(library))
}
