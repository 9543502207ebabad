//! The token of an invocation: a JSON web token that the sending host signs, as in 2021.
//!
//! A token of 2021 binds the identifier of the call, the caller, the target, the operation and the payload. It does not bind
//! the namespace, and it does not expire. Tokens of current hosts add `exp`, and `lattice`: the digest of the whole
//! call, which covers the namespace and the extension. Hosts of 2021 ignore both. Where a call has an extension, a token
//! without a valid digest is refused.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use nkeys::{KeyPair, KeyPairType};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::wire::{Digest, Digester, Invocation, MAX_TOKEN};

/// The header of all tokens, as in 2021: `{"typ":"jwt","alg":"Ed25519"}` in base64.
const HEADER: &str = "eyJ0eXAiOiJqd3QiLCJhbGciOiJFZDI1NTE5In0";

/// How long a token is valid after it was issued. It exceeds the window in which a message is accepted, because clocks
/// differ. Unit: seconds.
const VALIDITY: u64 = 60;

/// The reason for which a token does not authenticate a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// It is not a token, or its keys are of the wrong kind.
    Malformed,
    /// The signature does not verify.
    WrongSignature,
    /// It was signed for another identifier, caller, target, operation, payload, namespace or extension.
    WrongCall,
    /// The call has an extension that the token does not cover.
    ExtensionNotSigned,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TokenError::Malformed => "the token is malformed or not issued by a host",
            TokenError::WrongSignature => "the signature of the token does not verify",
            TokenError::WrongCall => "the token was signed for another call",
            TokenError::ExtensionNotSigned => "the token does not cover the extension of the call",
        })
    }
}

impl std::error::Error for TokenError {}

/// What a valid token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    /// The public key that signed it: of a host (`N...`) or a cluster (`C...`).
    pub issuer: String,
    /// When it was issued. Unit: milliseconds since 1970. Tokens of 2021 name whole seconds.
    pub issued_at: u64,
    /// When it expires, if it does. Unit: milliseconds since 1970.
    pub expires_at: Option<u64>,
    /// Whether the token covers the namespace and the extension. Tokens of 2021 do not.
    pub is_whole: bool,
}

#[derive(Deserialize)]
struct Header<'a> {
    typ: &'a str,
    alg: &'a str,
}

/// The claims in the order in which they are written.
#[derive(Serialize, Deserialize)]
struct Claims {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    jti: String,
    iat: u64,
    iss: String,
    sub: String,
    wascap: CallClaims,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lattice: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct CallClaims {
    target_url: String,
    origin_url: String,
    hash: String,
}

/// Returns the token of a call, issued at `now` in milliseconds since 1970. The call must be complete, except for the token
/// and the authenticators.
///
/// # Errors
/// `InvalidArgument` if the key pair is not of a host or a cluster, or has no seed.
pub fn sign(invocation: &Invocation, key: &KeyPair, digester: &Digester, now: u64) -> Result<String> {
    sign_digest(invocation, key, &digester.invocation(invocation), now)
}

/// Returns the token of a call whose digest is known.
pub(crate) fn sign_digest(invocation: &Invocation, key: &KeyPair, digest: &Digest, now: u64) -> Result<String> {
    let refused = |reason: &str| Error::new(ErrorKind::InvalidArgument, format!("cannot sign an invocation: {reason}"));
    if !is_sender(&key.key_pair_type()) {
        return Err(refused("use the key of a host (N...) or of a cluster (C...)"));
    }
    let issued_at = now / 1000;
    let claims = Claims {
        exp: Some(issued_at + VALIDITY),
        jti: invocation.id.clone(),
        iat: issued_at,
        iss: key.public_key(),
        sub: invocation.id.clone(),
        wascap: call_claims(invocation),
        lattice: Some(HEXLOWER.encode(digest)),
    };
    let json = serde_json::to_vec(&claims).map_err(|error| refused("its claims cannot be written").caused_by(error))?;
    let mut token = format!("{HEADER}.{}", BASE64URL_NOPAD.encode(&json));
    let signature = key.sign(token.as_bytes()).map_err(|_| refused("the key pair has no seed"))?;
    token.push('.');
    BASE64URL_NOPAD.encode_append(&signature, &mut token);
    Ok(token)
}

/// Verifies the token of a call against the call itself. The times and the trust in the issuer are not checked.
///
/// # Errors
/// The reason if the token does not authenticate the call.
pub fn verify(invocation: &Invocation, digester: &Digester) -> Result<VerifiedToken, TokenError> {
    let key_of = |issuer: &str| KeyPair::from_public_key(issuer).ok().map(Arc::new);
    verify_digest(invocation, &digester.invocation(invocation), key_of)
}

/// Verifies the token of a call whose digest is known. `key_of` returns the key of an issuer.
pub(crate) fn verify_digest(
    invocation: &Invocation,
    digest: &Digest,
    key_of: impl FnOnce(&str) -> Option<Arc<KeyPair>>,
) -> Result<VerifiedToken, TokenError> {
    let token = &invocation.encoded_claims;
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed)?;
    if token.len() > MAX_TOKEN || payload.contains('.') {
        return Err(TokenError::Malformed);
    }
    check_header(header)?;
    let claims: Claims = serde_json::from_slice(&decode(payload)?).map_err(|_| TokenError::Malformed)?;
    let issuer = key_of(&claims.iss).ok_or(TokenError::Malformed)?;
    if !is_sender(&issuer.key_pair_type()) {
        return Err(TokenError::Malformed);
    }
    issuer.verify(signed.as_bytes(), &decode(signature)?).map_err(|_| TokenError::WrongSignature)?;
    let expected = call_claims(invocation);
    let is_same = claims.sub == invocation.id
        && claims.wascap.target_url == expected.target_url
        && claims.wascap.origin_url == expected.origin_url
        && claims.wascap.hash == expected.hash;
    if !is_same {
        return Err(TokenError::WrongCall);
    }
    check_digest(invocation, &claims, digest)?;
    Ok(VerifiedToken {
        issuer: claims.iss,
        issued_at: claims.iat.saturating_mul(1000),
        expires_at: claims.exp.map(|seconds| seconds.saturating_mul(1000)),
        is_whole: claims.lattice.is_some(),
    })
}

fn check_header(header: &str) -> Result<(), TokenError> {
    if header == HEADER {
        return Ok(());
    }
    let header = decode(header)?;
    let parsed: Header<'_> = serde_json::from_slice(&header).map_err(|_| TokenError::Malformed)?;
    let is_known = parsed.typ.eq_ignore_ascii_case("jwt") && parsed.alg == "Ed25519";
    if is_known { Ok(()) } else { Err(TokenError::Malformed) }
}

fn check_digest(invocation: &Invocation, claims: &Claims, digest: &Digest) -> Result<(), TokenError> {
    match &claims.lattice {
        Some(signed) if *signed == HEXLOWER.encode(digest) => Ok(()),
        Some(_) => Err(TokenError::WrongCall),
        None if invocation.extension.is_some() => Err(TokenError::ExtensionNotSigned),
        None => Ok(()),
    }
}

/// Returns what a token says about a call. The hash covers both URLs and the payload.
fn call_claims(invocation: &Invocation) -> CallClaims {
    let origin_url = invocation.origin.url();
    let mut target_url = invocation.target.url();
    target_url.push('/');
    target_url.push_str(&invocation.operation);
    let mut hasher = sha2::Sha256::new();
    hasher.update(origin_url.as_bytes());
    hasher.update(target_url.as_bytes());
    hasher.update(&invocation.payload);
    let hash = HEXUPPER.encode(&hasher.finalize());
    CallClaims { target_url, origin_url, hash }
}

fn decode(segment: &str) -> Result<Vec<u8>, TokenError> {
    BASE64URL_NOPAD.decode(segment.as_bytes()).map_err(|_| TokenError::Malformed)
}

fn is_sender(kind: &KeyPairType) -> bool {
    matches!(kind, KeyPairType::Server | KeyPairType::Cluster)
}
