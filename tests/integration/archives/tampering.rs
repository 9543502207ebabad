//! The archives' half of the table of tampering: whatever is changed, it is refused, for its own reason.

use super::*;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The archive after its claims have been changed and signed again by the same account.
fn signed_again(signed: &Signed, change: impl FnOnce(&mut Claims<CapabilityProvider>)) -> Vec<u8> {
    let bytes = signed.bytes();
    let mut claims = claims_of(&bytes);
    change(&mut claims);
    with_token(&bytes, &token_of(&claims, &signed.account))
}

fn token_in(archive: &[u8]) -> String {
    String::from_utf8(entries(archive).remove(0).1).unwrap()
}

fn binary_byte() -> Vec<u8> {
    let mut packed = entries(&Signed::new().bytes());
    packed[1].1[3] ^= 1;
    tar_of(packed.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
}

/// The token with one of its segments put through a change.
fn token_segment(number: usize, change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    use data_encoding::BASE64URL_NOPAD;
    let bytes = Signed::new().bytes();
    let token = token_in(&bytes);
    let mut segments: Vec<String> = token.split('.').map(str::to_owned).collect();
    let mut decoded = BASE64URL_NOPAD.decode(segments[number].as_bytes()).unwrap();
    change(&mut decoded);
    segments[number] = BASE64URL_NOPAD.encode(&decoded);
    with_token(&bytes, &segments.join("."))
}

fn payload() -> Vec<u8> {
    token_segment(1, |json| {
        let changed = String::from_utf8(json.clone()).unwrap().replace("example:clock", "example:other");
        *json = changed.into_bytes();
    })
}

fn signature() -> Vec<u8> {
    token_segment(2, |signature| signature[10] ^= 1)
}

/// The token of another archive by the same account: good in itself, but not for these libraries.
fn foreign_token() -> Vec<u8> {
    let signed = Signed::new();
    let other = Signed::builder().target(LINUX, b"an older library".to_vec());
    let other = other.sign(&signed.account, &signed.provider).unwrap();
    with_token(&signed.bytes(), &token_in(&other))
}

fn wrong_subject() -> Vec<u8> {
    signed_again(&Signed::new(), |claims| claims.subject = KeyPair::new_module().public_key())
}

fn wrong_issuer() -> Vec<u8> {
    let bytes = Signed::new().bytes();
    let operator = KeyPair::new_operator();
    let mut claims = claims_of(&bytes);
    claims.issuer = operator.public_key();
    with_token(&bytes, &token_of(&claims, &operator))
}

fn unsigned() -> Vec<u8> {
    let packed = entries(&Signed::new().bytes());
    tar_of(packed[1..].iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
}

fn added_target() -> Vec<u8> {
    with_entry(&Signed::new().bytes(), tar::EntryType::Regular, "x86_64-windows.bin", b"MZ")
}

fn removed_hash() -> Vec<u8> {
    signed_again(&Signed::new(), |claims| {
        claims.metadata.as_mut().unwrap().target_hashes.remove(LINUX).unwrap();
    })
}

#[test]
fn seed_defect_09_an_archive_that_was_tampered_with_is_refused() {
    let expired = signed_again(&Signed::new(), |claims| claims.expires = Some(now() - 1));
    let early = signed_again(&Signed::new(), |claims| claims.not_before = Some(now() + 3600));
    let without_metadata = signed_again(&Signed::new(), |claims| claims.metadata = None);
    let cells = [
        ("binary byte", binary_byte(), ErrorKind::Tampered),
        ("token payload", payload(), ErrorKind::InvalidToken),
        ("token signature", signature(), ErrorKind::InvalidToken),
        ("token of another archive", foreign_token(), ErrorKind::Tampered),
        ("expired", expired, ErrorKind::TokenExpired),
        ("not yet valid", early, ErrorKind::TokenNotYetValid),
        ("subject of the wrong kind", wrong_subject(), ErrorKind::InvalidToken),
        ("issuer of the wrong kind", wrong_issuer(), ErrorKind::InvalidToken),
        ("without metadata", without_metadata, ErrorKind::InvalidToken),
        ("unsigned", unsigned(), ErrorKind::Unsigned),
        ("target added", added_target(), ErrorKind::Tampered),
        ("hash removed", removed_hash(), ErrorKind::Tampered),
    ];
    for (what, bytes, expected) in cells {
        assert_eq!(refusal(&bytes), expected, "{what}");
        assert_eq!(refusal(&gzipped(&bytes)), expected, "{what}, gzipped");
    }
}

#[test]
fn what_is_put_together_as_the_tampered_ones_are_is_accepted() {
    let signed = Signed::new();
    let untouched = signed_again(&signed, |_| ());
    let limited = signed_again(&signed, |claims| {
        claims.not_before = Some(now() - 1);
        claims.expires = Some(now() + 3600);
    });
    let packed = gzipped(&untouched);
    assert_eq!(unpacked(&packed), untouched);
    for bytes in [signed.bytes(), untouched, limited, packed] {
        assert_eq!(ProviderArchive::try_load(&bytes).unwrap().targets(), [MACOS, LINUX]);
    }
}

#[test]
fn a_token_may_name_targets_that_are_not_there() {
    let bytes = Signed::new().bytes();
    let packed = entries(&bytes);
    let less = tar_of(packed[..2].iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
    let archive = ProviderArchive::try_load(&less).unwrap();
    assert_eq!(archive.targets(), [MACOS]);
    assert_eq!(archive.claims().metadata.unwrap().target_hashes.len(), 2);
    let nothing = tar_of([(packed[0].0.as_str(), packed[0].1.as_slice())]);
    assert_eq!(refusal(&nothing), ErrorKind::InvalidArchive);
}
