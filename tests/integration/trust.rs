//! Trust: only code with a trusted signature runs.

mod aliases;
mod attestation;
mod authorizer;
mod expiry;
mod policy;
mod tampering;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nkeys::KeyPair;
use wasmcloud_host::{Actor, ErrorKind};

use crate::signing::{Era, guest, sign, with_token};
use crate::support::{kind, with_host};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn an_unsigned_module_is_refused() {
    assert_eq!(kind(Actor::from_slice(&guest("echo"))), ErrorKind::Unsigned);
}

#[test]
fn a_module_is_read_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signed.wasm");
    let signing = sign("echo");
    std::fs::write(&path, signing.bytes()).unwrap();
    assert_eq!(Actor::from_file(&path).unwrap().public_key(), signing.claims.subject);
    let missing = Actor::from_file(folder.path().join("missing.wasm")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Io);
    assert!(missing.to_string().contains("missing.wasm"), "{missing}");
}

#[test]
fn a_module_with_any_byte_changed_is_refused() {
    let bytes = sign("tiny_echo").bytes();
    let accepted = Actor::from_slice(&bytes).unwrap();
    let mut refused = 0;
    for position in 0..bytes.len() {
        let mut tampered = bytes.clone();
        tampered[position] ^= 1;
        match Actor::from_slice(&tampered) {
            Err(_) => refused += 1,
            // A changed byte may only pass where it changes nothing that is read: it must still be the same actor.
            Ok(actor) => assert_eq!(actor.claims(), accepted.claims(), "byte {position}"),
        }
    }
    // What may pass are spare bits of the signature's base64.
    assert!(refused >= bytes.len() - 1, "{refused} of {}", bytes.len());
}

#[test]
fn an_added_section_is_refused() {
    let mut bytes = sign("tiny_echo").bytes();
    bytes.extend(b"\0\x05\x04more");
    assert_eq!(kind(Actor::from_slice(&bytes)), ErrorKind::Tampered);
}

#[test]
fn the_token_of_another_module_is_refused() {
    let (mut bytes, other) = (sign("tiny_echo").bytes(), sign("echo"));
    let original_length = guest("tiny_echo").len();
    let foreign = other.bytes();
    bytes.truncate(original_length);
    bytes.extend(&foreign[guest("echo").len()..]);
    assert_eq!(kind(Actor::from_slice(&bytes)), ErrorKind::Tampered);
}

#[test]
fn a_token_outside_its_time_is_refused() {
    let expired = sign("echo").claims(|claims| claims.expires = Some(now() - 1)).bytes();
    assert_eq!(kind(Actor::from_slice(&expired)), ErrorKind::TokenExpired);
    let early = sign("echo").claims(|claims| claims.not_before = Some(now() + 3600)).bytes();
    assert_eq!(kind(Actor::from_slice(&early)), ErrorKind::TokenNotYetValid);
    let valid = sign("echo").claims(|claims| claims.expires = Some(now() + 3600)).bytes();
    assert!(Actor::from_slice(&valid).is_ok());
}

#[actix_rt::test]
async fn a_token_that_expires_before_the_start_is_refused_at_the_start() {
    with_host(async |host| {
        let expires = now() + 2;
        let actor = sign("echo").claims(|claims| claims.expires = Some(expires)).actor();
        // The passing of time is what is tested.
        actix_rt::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(kind(host.start_actor(actor).await), ErrorKind::TokenExpired);
    })
    .await;
}

#[test]
fn keys_of_the_wrong_kind_are_refused() {
    let provider = sign("echo").claims(|claims| claims.subject = KeyPair::new_service().public_key()).bytes();
    assert_eq!(kind(Actor::from_slice(&provider)), ErrorKind::InvalidToken);
    let foreign = sign("echo").claims(|claims| claims.issuer = KeyPair::new_account().public_key()).bytes();
    assert_eq!(kind(Actor::from_slice(&foreign)), ErrorKind::InvalidToken);
}

#[test]
fn seed_defect_26_malformed_tokens_are_refused() {
    use data_encoding::BASE64URL_NOPAD;
    let header = BASE64URL_NOPAD.encode(br#"{"typ":"jwt","alg":"Ed25519"}"#);
    let other_algorithm = BASE64URL_NOPAD.encode(br#"{"typ":"jwt","alg":"none"}"#);
    let module = guest("tiny_echo");
    let account = KeyPair::new_account();
    let token =
        sign("tiny_echo").claims(|claims| claims.issuer = account.public_key()).claims.encode(&account).unwrap();
    let payload = token.split('.').nth(1).unwrap();
    let nested = BASE64URL_NOPAD.encode("[".repeat(10_000).as_bytes());
    for token in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "a.b".to_owned(),
        "a.b.c.d".to_owned(),
        format!("{header}..{}", "A".repeat(86)),
        format!("{header}.{}.AAAA", BASE64URL_NOPAD.encode(b"{}")),
        format!("{header}.{nested}.AAAA"),
        format!("{other_algorithm}.{payload}."),
        "€.€.€".to_owned(),
        "x".repeat(5_000_000),
    ] {
        for section in [Era::Old, Era::New] {
            let bytes = with_token(&module, section, &token);
            let shown: String = token.chars().take(60).collect();
            assert_eq!(kind(Actor::from_slice(&bytes)), ErrorKind::InvalidToken, "{shown}");
        }
    }
    let no_metadata = sign("tiny_echo").claims(|claims| claims.metadata = None).bytes();
    assert_eq!(kind(Actor::from_slice(&no_metadata)), ErrorKind::InvalidToken);
}

#[test]
fn seed_defect_26_well_signed_nonsense_is_refused() {
    let module = guest("tiny_echo");
    let signing = sign("tiny_echo");
    let sound = serde_json::to_string(&{
        let token = signing.token(Era::New);
        let payload = data_encoding::BASE64URL_NOPAD.decode(token.split('.').nth(1).unwrap().as_bytes()).unwrap();
        serde_json::from_slice::<serde_json::Value>(&payload).unwrap()
    })
    .unwrap();
    let read = |payload: &str| Actor::from_slice(&with_token(&module, Era::New, &signing.token_saying(payload)));
    read(&sound).unwrap();
    let with = |field: &str| format!("{},{field}}}", &sound[..sound.len() - 1]);
    // Fields that are not read are skipped, however deep they are.
    read(&with(&format!(r#""deep":{}{}"#, "[".repeat(20_000), "]".repeat(20_000)))).unwrap();
    let other_account = KeyPair::new_account().public_key();
    for payload in [
        with(&format!(r#""iss":{other_account:?}"#)),
        with(r#""sub":"M""#),
        with(r#""exp":1,"exp":99999999999"#),
        with(r#""exp":-1"#),
        with(r#""exp":1.5"#),
        with(r#""exp":"never""#),
        with(r#""nbf":99999999999999999999999"#),
        with(r#""wascap":{"hash":"0"}"#),
        with(&format!(r#""deep":{}"#, "[".repeat(20_000))),
        sound.replace(r#""caps":[]"#, &format!(r#""caps":{}{}"#, "[".repeat(20_000), "]".repeat(20_000))),
        with(&format!(r#""long":"{}""#, "x".repeat(3_000_000))),
        sound.replace(r#""caps":[]"#, r#""caps":[1]"#),
        sound.replace(r#""caps":[]"#, r#""caps":{}"#),
        sound.replace(r#""caps":[]"#, r#""caps":[],"caps":["wasmcloud:keyvalue"]"#),
        sound.replace(r#""rev":1"#, r#""rev":99999999999"#),
        sound.replace(r#""wascap":"#, r#""other":"#),
        format!("{sound}{sound}"),
        "null".to_owned(),
        "[]".to_owned(),
        String::new(),
    ] {
        assert_ne!(payload, sound);
        let shown: String = payload.chars().rev().take(60).collect();
        assert_eq!(kind(read(&payload)), ErrorKind::InvalidToken, "{}", shown.chars().rev().collect::<String>());
    }
}

#[test]
fn two_tokens_in_one_module_are_refused() {
    let mut bytes = sign("tiny_echo").bytes();
    let custom = wasm_encoder::CustomSection { name: "jwt".into(), data: b"a.b.c".as_slice().into() };
    wasm_encoder::Section::append_to(&custom, &mut bytes);
    assert_eq!(kind(Actor::from_slice(&bytes)), ErrorKind::InvalidToken);
}
