//! Issues tokens.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use nkeys::KeyPair;
use serde::Serialize;
use sha2::{Digest, Sha256};
use wasmcloud_core::entity::{KeyKind, expect_key};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::embedding::LONGEST_TOKEN;
use super::token::Subject;
use crate::jwt::Claims;

const HEADER: &[u8] = br#"{"typ":"jwt","alg":"Ed25519"}"#;

/// The period in which a token is valid, and its time of issue. Default: always valid, issued now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Validity {
    pub issued_at: Option<SystemTime>,
    pub not_before: Option<SystemTime>,
    pub expires: Option<SystemTime>,
}

impl Validity {
    /// Sets the times of claims.
    pub(crate) fn apply_to<S>(self, claims: &mut Claims<S>) {
        claims.issued_at = seconds(self.issued_at.unwrap_or_else(SystemTime::now));
        claims.not_before = self.not_before.map(seconds);
        claims.expires = self.expires.map(seconds);
    }
}

/// Signs claims with the key of an account, and returns the token. The token's id is a hash of its claims, and its fields
/// are in alphabetical order, so the same claims give the same token.
///
/// # Errors
/// `InvalidArgument` if a key is of the wrong kind, the issuer's seed is missing, or no host would accept the token.
pub(crate) fn issue_token<S: Subject + Serialize>(mut claims: Claims<S>, issuer: &KeyPair) -> Result<String> {
    claims.issuer = issuer.public_key();
    expect_key(&claims.issuer, KeyKind::Account)?;
    expect_key(&claims.subject, S::KEY)?;
    if let Some(Err(reason)) = claims.metadata.as_ref().map(Subject::check) {
        return Err(Error::new(ErrorKind::InvalidArgument, format!("the token would not be valid: {reason}")));
    }
    if let (Some(begins), Some(ends)) = (claims.not_before, claims.expires)
        && begins >= ends
    {
        let message = format!(
            "the token would never be valid: it expires {} s before it becomes valid; choose a later expiry or an earlier \
             beginning",
            begins - ends
        );
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    claims.id = String::new();
    claims.id = BASE32_NOPAD.encode(&Sha256::digest(sorted_json(&claims)?));
    let signed = format!("{}.{}", BASE64URL_NOPAD.encode(HEADER), BASE64URL_NOPAD.encode(&sorted_json(&claims)?));
    let signature = issuer.sign(signed.as_bytes()).map_err(|error| {
        let message = format!("cannot sign with the key {}: provide its seed", claims.issuer);
        Error::new(ErrorKind::InvalidArgument, message).caused_by(error)
    })?;
    let token = format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature));
    if token.len() > LONGEST_TOKEN {
        let message = format!(
            "the token has {} bytes, and hosts read at most {LONGEST_TOKEN}: use fewer or shorter tags",
            token.len()
        );
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    Ok(token)
}

fn sorted_json<S: Serialize>(claims: &Claims<S>) -> Result<Vec<u8>> {
    serde_json::to_value(claims)
        .and_then(|mut value| {
            value.sort_all_objects();
            serde_json::to_vec(&value)
        })
        .map_err(|error| Error::new(ErrorKind::Internal, "cannot write the claims as JSON").caused_by(error))
}

/// Returns the seconds since 1970, as tokens hold times. Earlier times become 0.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::Actor;
    use crate::read_token;

    fn claims(subject: &KeyPair) -> Claims<Actor> {
        let mut claims = Claims::<Actor>::default();
        claims.subject = subject.public_key();
        claims.metadata = Some(Actor::default());
        claims
    }

    #[test]
    fn what_is_issued_is_read() {
        let account = KeyPair::new_account();
        let token = issue_token(claims(&KeyPair::new_module()), &account).unwrap();
        assert_eq!(read_token::<Actor>(&token).unwrap().issuer, account.public_key());
    }

    #[test]
    fn the_same_claims_make_the_same_token() {
        let (account, module) = (KeyPair::new_account(), KeyPair::new_module());
        let issue = |seconds| {
            let mut claims = claims(&module);
            let issued_at = Some(UNIX_EPOCH + std::time::Duration::from_secs(seconds));
            Validity { issued_at, ..Validity::default() }.apply_to(&mut claims);
            issue_token(claims, &account).unwrap()
        };
        assert_eq!(issue(1), issue(1));
        assert_ne!(issue(1), issue(2));
    }

    #[test]
    fn what_no_host_would_accept_is_not_signed() {
        let account = KeyPair::new_account();
        let refusal = |change: fn(&mut Claims<Actor>)| {
            let mut claims = claims(&KeyPair::new_module());
            change(&mut claims);
            issue_token(claims, &account).map_err(|error| error.kind())
        };
        let period = |begins, ends| {
            let mut claims = claims(&KeyPair::new_module());
            claims.not_before = Some(begins);
            claims.expires = Some(ends);
            issue_token(claims, &account).map_err(|error| error.kind())
        };
        assert!(period(1, 2).is_ok());
        assert_eq!(period(2, 2), Err(ErrorKind::InvalidArgument));
        assert_eq!(period(3, 2), Err(ErrorKind::InvalidArgument));
        assert!(
            refusal(|claims| claims.metadata.get_or_insert_default().tags = Some(vec!["x".repeat(40_000)])).is_ok()
        );
        assert_eq!(
            refusal(|claims| claims.metadata.get_or_insert_default().tags = Some(vec!["x".repeat(60_000)])),
            Err(ErrorKind::InvalidArgument)
        );
    }

    #[test]
    fn only_an_account_with_its_seed_issues_and_only_for_keys_of_the_kind() {
        let refusal = |subject: &KeyPair, issuer: &KeyPair| issue_token(claims(subject), issuer).unwrap_err().kind();
        let (account, module) = (KeyPair::new_account(), KeyPair::new_module());
        let without_seed = KeyPair::from_public_key(&account.public_key()).unwrap();
        assert_eq!(refusal(&module, &without_seed), ErrorKind::InvalidArgument);
        assert_eq!(refusal(&module, &KeyPair::new_user()), ErrorKind::InvalidArgument);
        assert_eq!(refusal(&KeyPair::new_service(), &account), ErrorKind::InvalidArgument);
    }
}
