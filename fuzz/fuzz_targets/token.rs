//! Fuzzes tokens: arbitrary text, and arbitrary claims with a valid signature.
#![no_main]

use std::sync::LazyLock;

use data_encoding::BASE64URL_NOPAD;
use libfuzzer_sys::fuzz_target;
use nkeys::{KeyPair, KeyPairType};
use wasmcloud_host::fuzzing::{read_actor_token, read_provider_token};

/// The key that the seeds name as their issuer.
static ACCOUNT: LazyLock<KeyPair> =
    LazyLock::new(|| KeyPair::new_from_raw(KeyPairType::Account, [7; 32]).expect("any 32 bytes are a seed"));

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        read(text);
    }
    let header = BASE64URL_NOPAD.encode(br#"{"typ":"jwt","alg":"Ed25519"}"#);
    let signed = format!("{header}.{}", BASE64URL_NOPAD.encode(data));
    let signature = ACCOUNT.sign(signed.as_bytes()).expect("the key has a seed");
    read(&format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature)));
});

fn read(token: &str) {
    if let Ok(claims) = read_actor_token(token) {
        assert!(claims.subject.starts_with('M') && claims.issuer.starts_with('A') && claims.metadata.is_some());
    }
    if let Ok(claims) = read_provider_token(token) {
        assert!(claims.subject.starts_with('V') && claims.issuer.starts_with('A'));
        assert!(!claims.metadata.expect("a token without metadata is refused").capid.is_empty());
    }
}
