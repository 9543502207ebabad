//! The captured tokens of 2021, and what a token protects.

use super::*;
use crate::namespace::Namespace;
use crate::wire::{Extension, captured_invocations};
use proptest::prelude::*;
use wasmcloud_core::entity::WasmCloudEntity;

const NOW: u64 = 1_800_000_000_123;

fn digester() -> Digester {
    Digester::new(&Namespace::default())
}

fn signed(key: &KeyPair, extension: Option<Extension>) -> Invocation {
    let mut invocation = Invocation {
        origin: WasmCloudEntity::Actor(KeyPair::new_module().public_key()),
        target: WasmCloudEntity::Actor(KeyPair::new_module().public_key()),
        operation: "Get".to_owned(),
        payload: vec![1, 2, 3],
        id: uuid::Uuid::new_v4().to_string(),
        encoded_claims: String::new(),
        host_id: key.public_key(),
        extension,
    };
    invocation.encoded_claims = sign(&invocation, key, &digester(), NOW).unwrap();
    invocation
}

#[test]
fn captured_tokens_of_2021_verify() {
    for invocation in captured_invocations() {
        let verified = verify(&invocation, &digester()).unwrap();
        assert_eq!(verified.issuer, invocation.host_id);
        assert!(verified.issued_at > 1_795_000_000_000 && !verified.is_whole && verified.expires_at.is_none());
    }
}

#[test]
fn captured_tokens_of_2021_do_not_cover_other_calls() {
    let messages = captured_invocations();
    for (at, invocation) in messages.iter().enumerate() {
        let other = &messages[(at + 1) % messages.len()];
        let stolen = Invocation { encoded_claims: other.encoded_claims.clone(), ..invocation.clone() };
        assert_eq!(verify(&stolen, &digester()), Err(TokenError::WrongCall));
        let extended = Invocation { extension: Some(Extension::new(NOW, 1)), ..invocation.clone() };
        assert_eq!(verify(&extended, &digester()), Err(TokenError::ExtensionNotSigned));
    }
}

#[test]
fn hosts_and_clusters_sign() {
    for key in [KeyPair::new_server(), KeyPair::new_cluster()] {
        let verified = verify(&signed(&key, Some(Extension::new(NOW, 1))), &digester()).unwrap();
        assert_eq!(verified.issuer, key.public_key());
        assert_eq!((verified.issued_at, verified.expires_at), (1_800_000_000_000, Some(1_800_000_060_000)));
        assert!(verified.is_whole);
    }
    let invocation = signed(&KeyPair::new_server(), None);
    for key in [KeyPair::new_account(), KeyPair::new_module(), KeyPair::new_user()] {
        assert_eq!(sign(&invocation, &key, &digester(), NOW).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    let public = KeyPair::from_public_key(&KeyPair::new_server().public_key()).unwrap();
    assert!(sign(&invocation, &public, &digester(), NOW).is_err());
}

#[test]
fn a_token_is_valid_in_its_namespace_alone() {
    let invocation = signed(&KeyPair::new_server(), None);
    let other = Digester::new(&Namespace::new("other").unwrap());
    assert_eq!(verify(&invocation, &other), Err(TokenError::WrongCall));
}

#[test]
fn a_token_with_another_algorithm_or_form_is_refused() {
    let invocation = signed(&KeyPair::new_server(), None);
    let [_, payload, signature] = invocation.encoded_claims.split('.').collect::<Vec<_>>().try_into().unwrap();
    let none = BASE64URL_NOPAD.encode(br#"{"typ":"jwt","alg":"none"}"#);
    for token in [
        String::new(),
        format!("{none}.{payload}.{signature}"),
        format!("{HEADER}.{payload}"),
        format!("{HEADER}.{payload}."),
        format!("{HEADER}.{payload}.{signature}.{signature}"),
        "a".repeat(MAX_TOKEN + 1),
    ] {
        let changed = Invocation { encoded_claims: token, ..invocation.clone() };
        assert!(matches!(verify(&changed, &digester()), Err(TokenError::Malformed | TokenError::WrongSignature)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_change_of_a_token_is_refused(at: prop::sample::Index, byte in "[A-Za-z0-9_.-]") {
        let invocation = signed(&KeyPair::new_server(), Some(Extension::new(NOW, 1)));
        let mut token = invocation.encoded_claims.clone();
        let at = at.index(token.len());
        token.replace_range(at..=at, &byte);
        prop_assume!(token != invocation.encoded_claims);
        let changed = Invocation { encoded_claims: token, ..invocation };
        prop_assert!(verify(&changed, &digester()).is_err());
    }

    #[test]
    fn any_text_is_verified_or_refused(text in "\\PC*") {
        let changed = Invocation { encoded_claims: text, ..signed(&KeyPair::new_server(), None) };
        prop_assert!(verify(&changed, &digester()).is_err());
    }
}
