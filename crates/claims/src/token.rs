//! Reads and verifies tokens: three segments, the signature of the issuer, keys of the right kinds, the validity in time.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use wasmcloud_core::entity::{KeyKind, expect_contract, is_key, shorten};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::jwt::{Actor, CapabilityProvider, Claims};

const SIGNATURE_BYTES: usize = 64;

#[derive(Deserialize)]
struct Header {
    typ: String,
    alg: String,
}

/// The subject of a token: an actor or a provider.
pub trait Subject: DeserializeOwned {
    /// The kind of the subject's key.
    const KEY: KeyKind;
    /// The subject's name in errors.
    const NOUN: &str;
    /// How the signer makes a token smaller that is too large.
    const REMEDY_IF_TOO_LARGE: &str;

    /// Checks that the claims are consistent.
    ///
    /// # Errors
    /// The reason if they are not.
    fn check(&self) -> std::result::Result<(), String>;
}

impl Subject for Actor {
    const KEY: KeyKind = KeyKind::Actor;
    const NOUN: &str = "actor";
    const REMEDY_IF_TOO_LARGE: &str = "use fewer or shorter tags";

    fn check(&self) -> std::result::Result<(), String> {
        Ok(())
    }
}

impl Subject for CapabilityProvider {
    const KEY: KeyKind = KeyKind::Provider;
    const NOUN: &str = "provider";
    const REMEDY_IF_TOO_LARGE: &str = "shorten its configuration schema";

    fn check(&self) -> std::result::Result<(), String> {
        expect_contract(&self.capid).map_err(|error| format!("its `capid` is not a contract: {error}"))
    }
}

/// Reads a token and verifies its form, keys and signature. The validity in time and the hashes are not checked.
///
/// # Errors
/// `InvalidToken` if the token is malformed, a key is of the wrong kind, or the signature does not verify.
pub fn read_token<S: Subject>(token: &str) -> Result<Claims<S>> {
    let [header, payload, signature] = segments(token)?;
    let parsed: Header = decode_json(header, "header")?;
    if !parsed.typ.eq_ignore_ascii_case("jwt") || parsed.alg != "Ed25519" {
        return Err(invalid(format!(
            "it is of type {:?} with algorithm {:?}; only a jwt with Ed25519 is accepted",
            shorten(&parsed.typ),
            shorten(&parsed.alg)
        )));
    }
    let claims: Claims<S> = decode_json(payload, "payload")?;
    if !is_key(&claims.issuer, KeyKind::Account) {
        return Err(invalid(format!("its issuer {:?} is not an account key (A...)", shorten(&claims.issuer))));
    }
    if !is_key(&claims.subject, S::KEY) {
        let found = shorten(&claims.subject);
        return Err(invalid(format!("its subject {found:?} is not {}", S::KEY.describe())));
    }
    let signed = &token[..header.len() + 1 + payload.len()];
    verify_signature(&claims.issuer, signed, signature)?;
    match &claims.metadata {
        Some(metadata) => metadata.check().map_err(invalid)?,
        None => return Err(invalid(format!("the `wascap` claims about the {} are missing", S::NOUN))),
    }
    Ok(claims)
}

/// Checks that claims are valid at the time `now`.
///
/// # Errors
/// `TokenExpired` or `TokenNotYetValid` if they are not.
pub fn check_validity<S: Subject>(claims: &Claims<S>, now: SystemTime) -> Result<()> {
    // A clock before 1970 is not set. The earliest time refuses tokens that are not valid yet.
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if let Some(expires) = claims.expires.filter(|&expires| expires <= now) {
        let message = format!(
            "the token of {} {} expired {} s ago: sign it again",
            S::NOUN,
            claims.subject,
            now.saturating_sub(expires)
        );
        return Err(Error::new(ErrorKind::TokenExpired, message));
    }
    if let Some(begins) = claims.not_before.filter(|&begins| begins > now) {
        let message = format!("the token of {} {} becomes valid in {} s", S::NOUN, claims.subject, begins - now);
        return Err(Error::new(ErrorKind::TokenNotYetValid, message));
    }
    Ok(())
}

fn segments(token: &str) -> Result<[&str; 3]> {
    let mut parts = token.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(header), Some(payload), Some(signature), None) => Ok([header, payload, signature]),
        _ => Err(invalid("it does not have three segments")),
    }
}

fn verify_signature(issuer: &str, signed: &str, signature: &str) -> Result<()> {
    let signature = decode(signature, "signature")?;
    if signature.len() != SIGNATURE_BYTES {
        return Err(invalid(format!("its signature has {} bytes, not {SIGNATURE_BYTES}", signature.len())));
    }
    KeyPair::from_public_key(issuer)
        .and_then(|key| key.verify(signed.as_bytes(), &signature))
        .map_err(|_| invalid(format!("its signature was not made by its issuer {issuer}")))
}

fn decode(segment: &str, what: &str) -> Result<Vec<u8>> {
    BASE64URL_NOPAD
        .decode(segment.as_bytes())
        .map_err(|error| invalid(format!("its {what} is not base64url")).caused_by(error))
}

fn decode_json<T: DeserializeOwned>(segment: &str, what: &str) -> Result<T> {
    serde_json::from_slice(&decode(segment, what)?)
        .map_err(|error| invalid(format!("its {what} cannot be read")).caused_by(error))
}

fn invalid(reason: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidToken, format!("the token is not valid: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn signed(change: impl FnOnce(&mut Claims<Actor>)) -> String {
        let account = KeyPair::new_account();
        let caps = Some(vec!["wasmcloud:logging".into()]);
        let metadata = Actor { caps, rev: Some(1), ..Actor::default() };
        let mut claims = metadata.claims(account.public_key(), KeyPair::new_module().public_key());
        change(&mut claims);
        claims.encode(&account).unwrap()
    }

    fn refusal(token: &str) -> ErrorKind {
        read_token::<Actor>(token).unwrap_err().kind()
    }

    #[test]
    fn a_good_token_is_read() {
        let claims = read_token::<Actor>(&signed(|_| ())).unwrap();
        assert_eq!(claims.metadata.unwrap().caps.unwrap(), ["wasmcloud:logging"]);
    }

    #[test]
    fn keys_of_the_wrong_kind_are_refused() {
        let wrong_subject = signed(|claims| claims.subject = KeyPair::new_service().public_key());
        assert_eq!(refusal(&wrong_subject), ErrorKind::InvalidToken);
        let wrong_issuer = signed(|claims| claims.issuer = KeyPair::new_module().public_key());
        assert_eq!(refusal(&wrong_issuer), ErrorKind::InvalidToken);
    }

    #[test]
    fn a_changed_payload_or_foreign_signature_is_refused() {
        let (one, other) = (signed(|_| ()), signed(|_| ()));
        let parts: Vec<&str> = one.split('.').collect();
        let foreign: Vec<&str> = other.split('.').collect();
        assert_eq!(refusal(&[parts[0], foreign[1], parts[2]].join(".")), ErrorKind::InvalidToken);
        assert_eq!(refusal(&[parts[0], parts[1], foreign[2]].join(".")), ErrorKind::InvalidToken);
        assert_eq!(refusal(&[parts[0], parts[1], "AAAA"].join(".")), ErrorKind::InvalidToken);
    }

    #[test]
    fn claims_without_metadata_are_refused() {
        assert_eq!(refusal(&signed(|claims| claims.metadata = None)), ErrorKind::InvalidToken);
    }

    #[test]
    fn a_providers_token_names_a_provider_and_its_contract() {
        let account = KeyPair::new_account();
        let token = |subject: KeyPair, contract: &str| {
            let metadata = CapabilityProvider { capid: contract.into(), ..CapabilityProvider::default() };
            metadata.claims(account.public_key(), subject.public_key()).encode(&account).unwrap()
        };
        let read = |token: String| read_token::<CapabilityProvider>(&token).map_err(|error| error.kind());
        assert!(read(token(KeyPair::new_service(), "wasmcloud:keyvalue")).is_ok());
        assert_eq!(read(token(KeyPair::new_module(), "wasmcloud:keyvalue")), Err(ErrorKind::InvalidToken));
        assert_eq!(read(token(KeyPair::new_service(), "")), Err(ErrorKind::InvalidToken));
        assert_eq!(read(signed(|_| ())), Err(ErrorKind::InvalidToken));
    }

    #[test]
    fn validity_has_two_ends() {
        let claims = read_token::<Actor>(&signed(|claims| {
            claims.not_before = Some(1_000);
            claims.expires = Some(2_000);
        }))
        .unwrap();
        let at = |seconds| check_validity(&claims, UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(999).unwrap_err().kind(), ErrorKind::TokenNotYetValid);
        assert!(at(1_000).is_ok());
        assert!(at(1_999).is_ok());
        assert_eq!(at(2_000).unwrap_err().kind(), ErrorKind::TokenExpired);
    }

    proptest! {
        #[test]
        fn any_text_ends_in_an_answer(text in "\\PC*", part in "[A-Za-z0-9_-]{0,80}") {
            let _ = read_token::<Actor>(&text);
            let _ = read_token::<CapabilityProvider>(&format!("{part}.{part}.{part}"));
        }
    }
}
