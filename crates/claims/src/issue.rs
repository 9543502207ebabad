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

/// The period in which a token is valid, and its time of issue.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Validity {
    /// The time of issue. `None`: the time of signing.
    pub issued_at: Option<SystemTime>,
    /// When the token becomes valid. `None`: at once.
    pub not_before: Option<SystemTime>,
    /// When the token expires. `None`: never.
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
/// `InvalidArgument` if a key is of the wrong kind, the issuer's seed is missing, the claims lack their metadata or are not
/// consistent, the token expires before it is issued or becomes valid, or the token is larger than hosts read.
pub(crate) fn issue_token<S: Subject + Serialize>(mut claims: Claims<S>, issuer: &KeyPair) -> Result<String> {
    claims.issuer = issuer.public_key();
    expect_key(&claims.issuer, KeyKind::Account)?;
    expect_key(&claims.subject, S::KEY)?;
    check_metadata(&claims)?;
    check_period(&claims)?;
    // The id must not depend on the random id that wascap gave.
    claims.id = String::new();
    claims.id = BASE32_NOPAD.encode(&Sha256::digest(sorted_json(&claims)?));
    let token = sign(&claims, issuer)?;
    if token.len() > LONGEST_TOKEN {
        let (bytes, remedy) = (token.len(), S::REMEDY_IF_TOO_LARGE);
        return Err(invalid(format!("the token has {bytes} bytes, and hosts read at most {LONGEST_TOKEN}: {remedy}")));
    }
    Ok(token)
}

/// Checks that claims have metadata, and that it is consistent.
fn check_metadata<S: Subject>(claims: &Claims<S>) -> Result<()> {
    match &claims.metadata {
        Some(metadata) => metadata.check().map_err(|reason| invalid(format!("the token would not be valid: {reason}"))),
        None => Err(invalid(format!("the token would not be valid: the claims about the {} are missing", S::NOUN))),
    }
}

/// Checks that there is a time at which the token is valid.
fn check_period<S>(claims: &Claims<S>) -> Result<()> {
    let Some(ends) = claims.expires else { return Ok(()) };
    let issued = claims.issued_at;
    if ends <= issued {
        return Err(invalid(format!(
            "the token would never be valid: its expiry ({ends}) is not later than its time of issue ({issued}), in seconds \
             since 1970; choose a later expiry, or an earlier time of issue"
        )));
    }
    match claims.not_before {
        Some(begins) if ends <= begins => Err(invalid(format!(
            "the token would never be valid: its expiry ({ends}) is not later than its beginning ({begins}), in seconds \
             since 1970; choose a later expiry, or an earlier beginning"
        ))),
        _ => Ok(()),
    }
}

/// Signs claims as they are, and returns the token.
fn sign<S: Serialize>(claims: &Claims<S>, issuer: &KeyPair) -> Result<String> {
    let signing_input = format!("{}.{}", BASE64URL_NOPAD.encode(HEADER), BASE64URL_NOPAD.encode(&sorted_json(claims)?));
    let signature = issuer.sign(signing_input.as_bytes()).map_err(|error| {
        invalid(format!("cannot sign with the key {}: provide its seed", claims.issuer)).caused_by(error)
    })?;
    Ok(format!("{signing_input}.{}", BASE64URL_NOPAD.encode(&signature)))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
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
    use crate::jwt::{Actor, CapabilityProvider};
    use crate::read_token;

    fn claims(subject: &KeyPair) -> Claims<Actor> {
        let mut claims = Claims::<Actor>::default();
        claims.subject = subject.public_key();
        claims.metadata = Some(Actor::default());
        claims
    }

    #[test]
    fn issued_tokens_can_be_read() {
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
    fn unacceptable_tokens_are_not_signed() {
        let account = KeyPair::new_account();
        let issue = |change: fn(&mut Claims<Actor>)| {
            let mut claims = claims(&KeyPair::new_module());
            change(&mut claims);
            issue_token(claims, &account).map_err(|error| (error.kind(), error.to_string()))
        };
        let refusal = |change: fn(&mut Claims<Actor>)| {
            let (kind, text) = issue(change).unwrap_err();
            assert_eq!(kind, ErrorKind::InvalidArgument, "{text}");
            text
        };
        assert!(issue(|claims| (claims.not_before, claims.expires) = (Some(1), Some(2))).is_ok());
        for text in [
            refusal(|claims| (claims.not_before, claims.expires) = (Some(2), Some(2))),
            refusal(|claims| (claims.not_before, claims.expires) = (Some(3), Some(2))),
        ] {
            assert!(text.contains("its expiry (2) is not later than its beginning"), "{text}");
        }
        assert!(issue(|claims| (claims.issued_at, claims.expires) = (1, Some(2))).is_ok());
        let expired = refusal(|claims| (claims.issued_at, claims.expires) = (2, Some(2)));
        assert!(expired.contains("time of issue (2)"), "{expired}");
        // A time before 1970.
        assert!(refusal(|claims| claims.expires = Some(0)).contains("time of issue (0)"));
        assert!(refusal(|claims| claims.metadata = None).contains("claims about the actor are missing"));
        assert!(issue(|claims| claims.metadata.get_or_insert_default().tags = Some(vec!["x".repeat(40_000)])).is_ok());
        let tagged = refusal(|claims| claims.metadata.get_or_insert_default().tags = Some(vec!["x".repeat(60_000)]));
        assert!(tagged.ends_with("use fewer or shorter tags"), "{tagged}");
    }

    #[test]
    fn a_provider_with_a_large_token_is_told_what_to_shorten() {
        let schema = Some(serde_json::Value::String("x".repeat(60_000)));
        let metadata = CapabilityProvider { capid: "a:b".to_owned(), config_schema: schema, ..Default::default() };
        let account = KeyPair::new_account();
        let claims = metadata.claims(account.public_key(), KeyPair::new_service().public_key());
        let text = issue_token(claims, &account).unwrap_err().to_string();
        assert!(text.ends_with("shorten its configuration schema"), "{text}");
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
