//! Verifies the libraries of an archive against its token.

use sha2::{Digest, Sha256};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::read::UnverifiedArchive;
use crate::jwt::{CapabilityProvider, Claims};
use crate::token::read_token;

/// Verifies an archive except for the token's validity in time, and returns the claims of the token.
///
/// # Errors
/// `InvalidToken` if the token does not verify, `Tampered` if a library differs from the one that was signed or the token
/// does not name it.
pub(super) fn verify(archive: &UnverifiedArchive) -> Result<Claims<CapabilityProvider>> {
    let claims: Claims<CapabilityProvider> = read_token(&archive.token)?;
    let hashes = claims.metadata.as_ref().map(|metadata| &metadata.target_hashes);
    for (target, library) in &archive.targets {
        let tampered = |what| {
            let message = format!("the library for {target} of provider {} {what}", claims.subject);
            Error::new(ErrorKind::Tampered, message)
        };
        match hashes.and_then(|hashes| hashes.get(target)) {
            Some(signed) if *signed == library_hash(library) => {}
            Some(_) => return Err(tampered("is not the one that was signed")),
            None => return Err(tampered("is not named in the token, so it is not signed")),
        }
    }
    Ok(claims)
}

/// Returns the hash of a library as tokens hold it: SHA-256 in upper-case hex.
pub(super) fn library_hash(library: &[u8]) -> String {
    data_encoding::HEXUPPER.encode(&Sha256::digest(library))
}
