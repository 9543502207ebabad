//! The token of an order: a JSON web token in the header [`HEADER`], signed with the key of an issuer.
//!
//! It binds the subject of the request, which names the namespace, the host and the command, and its whole content. It is
//! valid for a minute, and each host accepts it once.

use std::fmt;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use nkeys::{KeyPair, KeyPairType};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use wasmcloud_core::error::{Error, ErrorKind, Result};

/// The name of the header of a NATS message that holds the token.
pub const HEADER: &str = "wasmcloud-token";

/// The longest token that is read. Unit: bytes.
const LONGEST: usize = 4 * 1024;

/// How long a token is valid after it was issued. Unit: seconds.
const VALIDITY: u64 = 60;

/// The first part of all tokens: `{"typ":"jwt","alg":"Ed25519"}` in base64.
const FIRST_PART: &str = "eyJ0eXAiOiJqd3QiLCJhbGciOiJFZDI1NTE5In0";

/// The reason for which a token does not authenticate a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenError {
    /// It is not a token.
    Malformed,
    /// The signature does not verify.
    WrongSignature,
    /// It was signed for another subject or another content.
    WrongRequest,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TokenError::Malformed => "the token is malformed",
            TokenError::WrongSignature => "the signature of the token does not verify",
            TokenError::WrongRequest => "the token was signed for another request",
        })
    }
}

impl std::error::Error for TokenError {}

/// What a valid token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    /// The public key that signed it.
    pub issuer: String,
    /// The identifier, by which a host accepts it once.
    pub id: String,
    /// When it was issued. Unit: milliseconds since 1970.
    pub issued_at: u64,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    exp: u64,
    jti: String,
    iat: u64,
    iss: String,
    sub: String,
    control: Request,
}

#[derive(Serialize, Deserialize)]
struct Request {
    subject: String,
    hash: String,
}

/// Returns whether a public key can be one of an issuer: of an account (`A...`), a user (`U...`) or a cluster (`C...`).
pub fn is_issuer(key: &str) -> bool {
    KeyPair::from_public_key(key).is_ok_and(|key| is_issuer_kind(&key.key_pair_type()))
}

fn is_issuer_kind(kind: &KeyPairType) -> bool {
    matches!(kind, KeyPairType::Account | KeyPairType::User | KeyPairType::Cluster)
}

/// Returns the token of a request, issued at `now` in milliseconds since 1970.
///
/// # Errors
/// `InvalidArgument` unless the key is one of an account, a user or a cluster, with its seed.
pub fn sign(subject: &str, content: &[u8], key: &KeyPair, now: u64) -> Result<String> {
    let refused = |reason: &str| Error::new(ErrorKind::InvalidArgument, format!("cannot sign a request: {reason}"));
    if !is_issuer_kind(&key.key_pair_type()) {
        return Err(refused("use the seed of an account (SA...), a user (SU...) or a cluster (SC...)"));
    }
    let issued_at = now / 1000;
    let claims = Claims {
        exp: issued_at + VALIDITY,
        jti: Uuid::new_v4().to_string(),
        iat: issued_at,
        iss: key.public_key(),
        sub: key.public_key(),
        control: Request { subject: subject.to_owned(), hash: hash(subject, content) },
    };
    let json = serde_json::to_vec(&claims).map_err(|error| refused("its claims cannot be written").caused_by(error))?;
    let mut token = format!("{FIRST_PART}.{}", BASE64URL_NOPAD.encode(&json));
    let signature = key.sign(token.as_bytes()).map_err(|_| refused("the key has no seed"))?;
    token.push('.');
    BASE64URL_NOPAD.encode_append(&signature, &mut token);
    Ok(token)
}

/// Verifies the token of a request. Whether its issuer may give orders, and whether it is fresh, is for the caller to check.
///
/// # Errors
/// The reason if the token does not authenticate the request.
pub fn verify(token: &str, subject: &str, content: &[u8]) -> Result<VerifiedToken, TokenError> {
    if token.len() > LONGEST {
        return Err(TokenError::Malformed);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let payload = signed.strip_prefix(FIRST_PART).and_then(|rest| rest.strip_prefix('.'));
    let payload = payload.ok_or(TokenError::Malformed)?;
    let claims: Claims = serde_json::from_slice(&decode(payload)?).map_err(|_| TokenError::Malformed)?;
    if claims.jti.is_empty() || claims.jti.len() > 64 || !is_issuer(&claims.iss) {
        return Err(TokenError::Malformed);
    }
    let issuer = KeyPair::from_public_key(&claims.iss).map_err(|_| TokenError::Malformed)?;
    issuer.verify(signed.as_bytes(), &decode(signature)?).map_err(|_| TokenError::WrongSignature)?;
    if claims.control.subject != subject || claims.control.hash != hash(subject, content) {
        return Err(TokenError::WrongRequest);
    }
    let issued_at = claims.iat.saturating_mul(1000);
    Ok(VerifiedToken { issuer: claims.iss, id: claims.jti, issued_at })
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| TokenError::Malformed)
}

fn hash(subject: &str, content: &[u8]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(subject.as_bytes());
    hasher.update(b"\0");
    hasher.update(content);
    HEXLOWER.encode(&hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_authenticates_its_request_alone() {
        let key = KeyPair::new_account();
        let token = sign("a.b", b"{}", &key, 1_700_000_000_123).unwrap();
        let verified = verify(&token, "a.b", b"{}").unwrap();
        assert_eq!((verified.issuer, verified.issued_at), (key.public_key(), 1_700_000_000_000));
        assert_eq!(verify(&token, "a.c", b"{}"), Err(TokenError::WrongRequest));
        assert_eq!(verify(&token, "a.b", b"{ }"), Err(TokenError::WrongRequest));
    }

    #[test]
    fn a_changed_token_is_refused() {
        let token = sign("a.b", b"{}", &KeyPair::new_user(), 1_000).unwrap();
        for position in [FIRST_PART.len() + 5, token.len() - 5] {
            let mut bytes = token.clone().into_bytes();
            bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
            assert!(verify(&String::from_utf8(bytes).unwrap(), "a.b", b"{}").is_err(), "{position}");
        }
        for bad in ["", ".", "a.b.c", FIRST_PART, &"a.".repeat(5_000)] {
            assert_eq!(verify(bad, "a.b", b"{}"), Err(TokenError::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn a_key_that_hosts_or_modules_have_signs_no_order() {
        for key in [KeyPair::new_server(), KeyPair::new_module(), KeyPair::new_service()] {
            assert_eq!(sign("a", b"", &key, 0).unwrap_err().kind(), ErrorKind::InvalidArgument);
        }
        let public = KeyPair::from_public_key(&KeyPair::new_account().public_key()).unwrap();
        assert_eq!(sign("a", b"", &public, 0).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}
