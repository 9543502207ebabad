//! Tests of signed entries.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn link(actor: &KeyPair, provider: &KeyPair) -> LinkRecord {
    LinkRecord {
        actor: actor.public_key(),
        contract: "wasmcloud:keyvalue".to_owned(),
        link_name: "default".to_owned(),
        provider: provider.public_key(),
        values: BTreeMap::from([("URL".to_owned(), "redis://secret".to_owned())]),
    }
}

struct Case {
    writer: KeyPair,
    key: Key,
    value: Value,
}

fn case() -> Case {
    let link = link(&KeyPair::new_module(), &KeyPair::new_service());
    Case { writer: KeyPair::new_server(), key: Key::Link(link.key().unwrap()), value: Value::Link(link) }
}

fn read(key: &Key, bytes: &[u8]) -> Result<Entry, Refusal> {
    Verifier { namespace: "default", trust: &|_: &str| true }.read(key, bytes)
}

#[test]
fn an_entry_is_read_as_it_was_written() {
    let case = case();
    let bytes = sign(&case.writer, "default", &case.key, 7, &case.value).unwrap();
    let entry = read(&case.key, &bytes).unwrap();
    assert_eq!((entry.base, entry.value), (7, case.value));
}

#[test]
fn an_entry_belongs_to_its_key_namespace_and_writer() {
    let case = case();
    let bytes = sign(&case.writer, "default", &case.key, 7, &case.value).unwrap();
    let other = Key::Link(link(&KeyPair::new_module(), &KeyPair::new_service()).key().unwrap());
    assert_eq!(read(&other, &bytes).unwrap_err(), Refusal::Forged);
    let elsewhere = Verifier { namespace: "other", trust: &|_: &str| true };
    assert_eq!(elsewhere.read(&case.key, &bytes).unwrap_err(), Refusal::Forged);
    let nobody = Verifier { namespace: "default", trust: &|_: &str| false };
    assert_eq!(nobody.read(&case.key, &bytes).unwrap_err(), Refusal::Untrusted);
    // Signed for this key, with the value of another.
    let moved = sign(&case.writer, "default", &other, 7, &case.value).unwrap();
    assert_eq!(read(&other, &moved).unwrap_err(), Refusal::Mismatch);
    // Signed by a key that is not a host's.
    let account = sign(&KeyPair::new_account(), "default", &case.key, 7, &case.value).unwrap();
    assert_eq!(read(&case.key, &account).unwrap_err(), Refusal::Untrusted);
}

#[test]
fn a_newer_schema_is_recognised_only_if_it_is_signed() {
    let case = case();
    let bytes = sign_body(&case.writer, "default", &case.key, 0, SCHEMA + 1, b"unknown").unwrap();
    assert_eq!(read(&case.key, &bytes).unwrap_err(), Refusal::NewerSchema);
    let forged = sign_body(&case.writer, "other", &case.key, 0, SCHEMA + 1, b"unknown").unwrap();
    assert_eq!(read(&case.key, &forged).unwrap_err(), Refusal::Forged);
}

#[test]
fn a_large_entry_is_neither_written_nor_read() {
    let case = case();
    let Value::Link(mut link) = case.value else { unreachable!() };
    link.values.insert("K".to_owned(), "v".repeat(LARGEST_ENTRY));
    let error = sign(&case.writer, "default", &case.key, 0, &Value::Link(link)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MessageTooLarge);
    assert_eq!(read(&case.key, &vec![0; LARGEST_ENTRY + 1]).unwrap_err(), Refusal::TooLarge);
}

#[test]
fn the_values_of_a_link_are_not_written_to_logs() {
    let case = case();
    assert!(!format!("{:?}", case.value).contains("secret"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_changed_byte_is_accepted(position in any::<prop::sample::Index>(), change in 1_u8..) {
        let case = case();
        let mut bytes = sign(&case.writer, "default", &case.key, 7, &case.value).unwrap();
        let position = position.index(bytes.len());
        bytes[position] ^= change;
        // Another writing of the same content is no other entry.
        if let Ok(entry) = read(&case.key, &bytes) {
            prop_assert_eq!((entry.base, entry.value), (7, case.value));
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let key = Key::Alias("a".to_owned());
        prop_assert!(read(&key, &bytes).is_err());
        let signed = sign_body(&KeyPair::new_server(), "default", &key, 0, SCHEMA, &bytes).unwrap();
        let _ = read(&key, &signed);
    }
}
