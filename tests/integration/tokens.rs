//! Tokens as wascap 0.13 and former releases of this crate made them: read without a loss, and written to the same bytes.
//!
//! The files are in `fixtures/tokens`; `fixtures/README.md` says how they were made.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wasmcloud_host::jwt::{self, Claims, WascapEntity};
use wasmcloud_host::signing::{ActorClaims, KeyPair, KeyPairType, sign_module};
use wasmcloud_host::{Actor, ProviderArchive};

use crate::signing::{Era, guest, hash, in_repository, with_token};

/// The dates in the tokens, in seconds.
const EXPIRES: u64 = 4_102_444_800;
const NOT_BEFORE: u64 = 1_600_000_000;
const ISSUED: u64 = 1_620_000_000;

/// The keys that the tokens were made with. Their seeds are no secrets.
fn account() -> KeyPair {
    KeyPair::new_from_raw(KeyPairType::Account, [1; 32]).unwrap()
}

fn module() -> KeyPair {
    KeyPair::new_from_raw(KeyPairType::Module, [2; 32]).unwrap()
}

fn service() -> KeyPair {
    KeyPair::new_from_raw(KeyPairType::Service, [3; 32]).unwrap()
}

fn fixture(name: &str) -> Vec<u8> {
    let path = in_repository(&format!("fixtures/tokens/{name}"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

fn lines(name: &str) -> Vec<String> {
    String::from_utf8(fixture(name)).unwrap().lines().map(str::to_owned).collect()
}

fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Whether a bit of a number is set. The fixtures count through their combinations of fields like that.
fn bit(number: usize, bit: u32) -> bool {
    number >> bit & 1 == 1
}

/// The token that comes of claims when they are signed as they are.
fn again<T>(claims: &Claims<T>) -> String
where
    T: serde::Serialize + serde::de::DeserializeOwned + WascapEntity,
{
    claims.encode(&account()).unwrap()
}

fn payload(token: &str) -> serde_json::Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&data_encoding::BASE64URL_NOPAD.decode(payload.as_bytes()).unwrap()).unwrap()
}

#[test]
fn tokens_of_actors_are_read_without_a_loss_and_written_to_the_same_bytes() {
    let tokens = lines("actors.txt");
    assert_eq!(tokens.len(), 76);
    for token in tokens {
        let actor = Actor::from_slice(&with_token(&guest("tiny_echo"), Era::New, &token)).unwrap();
        assert_eq!(again(&actor.claims()), token);
        let metadata = &payload(&token)["wascap"];
        assert_eq!(serde_json::to_value(actor.capabilities()).unwrap(), or_empty(&metadata["caps"]));
        assert_eq!(serde_json::to_value(actor.tags()).unwrap(), or_empty(&metadata["tags"]));
        assert_eq!(actor.name(), metadata["name"].as_str().unwrap_or("Anonymous"));
    }
}

fn or_empty(list: &serde_json::Value) -> serde_json::Value {
    if list.is_null() { serde_json::json!([]) } else { list.clone() }
}

/// Of several hashes, wascap wrote one first and now another.
#[test]
fn tokens_of_providers_are_read_without_a_loss_and_written_to_the_same_bytes() {
    let tokens = lines("providers.txt");
    assert_eq!(tokens.len(), 32);
    let mut compared = 0;
    for token in tokens {
        let claims = Claims::<jwt::CapabilityProvider>::decode(&token).unwrap();
        let written = again(&claims);
        assert_eq!(payload(&written), payload(&token));
        if claims.metadata.unwrap().target_hashes.len() < 2 {
            assert_eq!(written, token);
            compared += 1;
        }
    }
    assert_eq!(compared, 22);
}

#[test]
fn modules_are_signed_to_the_same_bytes() {
    let signed = lines("signed_modules.txt");
    assert_eq!(signed.len(), 64);
    for (number, line) in signed.iter().enumerate() {
        let mut claims = ActorClaims::new("Écho \"one\"").issued_at(time(ISSUED));
        if bit(number, 0) {
            claims = claims.capability("wasmcloud:httpserver").capability("example:clock");
        }
        if bit(number, 1) {
            claims = claims.tag("first").tag("zweites");
        }
        if bit(number, 2) {
            claims = claims.revision(7);
        }
        if bit(number, 3) {
            claims = claims.version("1.2.3");
        }
        if bit(number, 4) {
            claims = claims.call_alias("echo/one");
        }
        claims = if bit(number, 5) { claims.expires(time(EXPIRES)) } else { claims.not_before(time(NOT_BEFORE)) };
        let module = sign_module(&guest("tiny_echo"), &claims, &account(), &module()).unwrap();
        let (expected_hash, token) = line.split_once(' ').unwrap();
        assert_eq!(again_embedded(&module), token, "{number}");
        assert_eq!(hash(&module), expected_hash, "{number}");
    }
}

/// The token that a signed module ends with.
fn again_embedded(module: &[u8]) -> &str {
    let marker = b"wasmcloud_jwt";
    let found = module.windows(marker.len()).position(|window| window == marker).unwrap();
    std::str::from_utf8(&module[found + marker.len()..]).unwrap()
}

#[test]
fn archives_are_signed_to_the_same_bytes() {
    let signed = lines("signed_archives.txt");
    assert_eq!(signed.len(), 16);
    for (number, line) in signed.iter().enumerate() {
        let mut archive = ProviderArchive::builder("Clöck", "example:clock", "Example \"Ltd\"").issued_at(time(ISSUED));
        for (target, library) in
            [("x86_64-linux", "library"), ("aarch64-macos", "another"), ("armv7-linux-musl", "third")]
        {
            archive = archive.target(target, library);
        }
        if bit(number, 0) {
            archive = archive.revision(-3);
        }
        if bit(number, 1) {
            archive = archive.version("0.3.0");
        }
        if bit(number, 2) {
            archive = archive.expires(time(EXPIRES));
        }
        if bit(number, 3) {
            archive = archive.not_before(time(NOT_BEFORE));
        }
        let archive = archive.sign(&account(), &service()).unwrap();
        let (expected_hash, token) = line.split_once(' ').unwrap();
        let read = ProviderArchive::try_load(&archive).unwrap();
        assert_eq!(read.token(), token, "{number}");
        assert_eq!(hash(&archive), expected_hash, "{number}");
        let unchanged = read.to_builder().issued_at(time(ISSUED)).sign(&account(), &service()).unwrap();
        assert_eq!(unchanged, archive, "{number}");
    }
}

#[test]
fn what_was_signed_before_is_started_now() {
    let by_wascap = Actor::from_slice(&fixture("wascap.wasm")).unwrap();
    assert_eq!((by_wascap.name().as_str(), by_wascap.public_key()), ("Echo", module().public_key()));
    let metadata = by_wascap.claims().metadata.unwrap();
    assert_eq!(metadata.call_alias.as_deref(), Some("echo_alias"));
    assert_eq!((metadata.rev, metadata.ver.as_deref(), metadata.provider), (Some(1), Some("0.1.0"), false));
    let by_host = Actor::from_slice(&fixture("host.wasm")).unwrap();
    assert_eq!(by_host.capabilities(), ["wasmcloud:httpserver", "example:clock"]);
    let archive = ProviderArchive::try_load(&fixture("host.par")).unwrap();
    assert_eq!(archive.targets(), ["aarch64-macos", "armv7-linux-musl", "x86_64-linux"]);
    assert_eq!(archive.target_bytes("x86_64-linux").unwrap(), b"library");
}
