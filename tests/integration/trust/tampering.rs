//! The tampering matrix: whatever is changed about something signed, in whatever era it was signed, it is refused, and the
//! error says how.

use std::fmt::Debug;

use wascap::prelude::KeyPair;
use wasmcloud_host::{Actor, ErrorKind, Result};
use wasmparser::{Parser, Payload};

use super::now;
use crate::signing::{Era, Signing, guest, sign, with_token};

/// What can be done to something signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tampering {
    Untouched,
    CodeByte,
    DataByte,
    SectionAdded,
    TokenPayload,
    TokenSignature,
    TokenOfAnother,
    Expired,
    NotYetValid,
    WrongKeyKind,
    Unsigned,
}

use Tampering::*;

/// What is to come of it; nothing is to be accepted but what was left alone.
const TABLE: [(Tampering, Option<ErrorKind>); 11] = [
    (Untouched, None),
    (CodeByte, Some(ErrorKind::Tampered)),
    (DataByte, Some(ErrorKind::Tampered)),
    (SectionAdded, Some(ErrorKind::Tampered)),
    (TokenPayload, Some(ErrorKind::InvalidToken)),
    (TokenSignature, Some(ErrorKind::InvalidToken)),
    (TokenOfAnother, Some(ErrorKind::Tampered)),
    (Expired, Some(ErrorKind::TokenExpired)),
    (NotYetValid, Some(ErrorKind::TokenNotYetValid)),
    (WrongKeyKind, Some(ErrorKind::InvalidToken)),
    (Unsigned, Some(ErrorKind::Unsigned)),
];

/// Something that carries a token: its name, how it is made in an era and tampered with, and how a host reads it.
struct Carrier {
    name: &'static str,
    make: fn(Era, Tampering) -> Vec<u8>,
    read: fn(&[u8]) -> Result<()>,
}

const CARRIERS: [Carrier; 1] =
    [Carrier { name: "actor", make: actor, read: |bytes| Actor::from_slice(bytes).map(drop) }];

#[test]
fn what_was_tampered_with_is_refused_with_its_own_kind() {
    for Carrier { name, make, read } in CARRIERS {
        for era in [Era::Old, Era::New] {
            for (tampering, refused) in TABLE {
                let read = read(&make(era, tampering));
                assert_eq!(
                    read.as_ref().err().map(|error| error.kind()),
                    refused,
                    "{name} {era:?} {tampering:?} {read:?}"
                );
            }
        }
    }
}

/// An actor, tampered with.
fn actor(era: Era, tampering: Tampering) -> Vec<u8> {
    let signing = sign("echo");
    let sign_with = |change: fn(&mut Signing)| {
        let mut signing = sign("echo");
        change(&mut signing);
        signing.bytes_of(era)
    };
    match tampering {
        Untouched => signing.bytes_of(era),
        CodeByte => flip(signing.bytes_of(era), |payload| match payload {
            Payload::CodeSectionEntry(body) => Some(body.range()),
            _ => None,
        }),
        DataByte => flip(signing.bytes_of(era), |payload| match payload {
            Payload::DataSection(data) => Some(data.range()),
            _ => None,
        }),
        SectionAdded => [signing.bytes_of(era), b"\0\x05\x04more".to_vec()].concat(),
        TokenPayload => with_token(&guest("echo"), era, &with_other_payload(&signing.token(era))),
        TokenSignature => with_token(&guest("echo"), era, &with_other_signature(&signing.token(era))),
        TokenOfAnother => with_token(&guest("echo"), era, &sign("kvcounter").token(era)),
        Expired => sign_with(|signing| signing.claims.expires = Some(now() - 1)),
        NotYetValid => sign_with(|signing| signing.claims.not_before = Some(now() + 3600)),
        WrongKeyKind => sign_with(|signing| signing.claims.subject = KeyPair::new_service().public_key()),
        Unsigned => guest("echo"),
    }
}

/// The same module with one byte changed, in the midst of a part of it.
fn flip(mut module: Vec<u8>, part: fn(&Payload<'_>) -> Option<std::ops::Range<u64>>) -> Vec<u8> {
    let range = Parser::new(0).parse_all(&module).find_map(|payload| part(&payload.unwrap())).unwrap();
    let middle = usize::try_from((range.start + range.end) / 2).unwrap();
    module[middle] ^= 1;
    module
}

/// The same token, saying that it may do more.
fn with_other_payload(token: &str) -> String {
    let mut segments: Vec<String> = token.split('.').map(str::to_owned).collect();
    let payload = data_encoding::BASE64URL_NOPAD.decode(segments[1].as_bytes()).unwrap();
    let payload = String::from_utf8(payload).unwrap();
    let changed = payload.replace(r#""caps":[]"#, r#""caps":["wasmcloud:keyvalue"]"#);
    assert_ne!(payload, changed);
    segments[1] = data_encoding::BASE64URL_NOPAD.encode(changed.as_bytes());
    segments.join(".")
}

/// The same token with one bit of its signature changed.
fn with_other_signature(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut signature = data_encoding::BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    signature[7] ^= 1;
    format!("{signed}.{}", data_encoding::BASE64URL_NOPAD.encode(&signature))
}

/// What the era's own library makes is what the signing of these tests makes, so far as that is still to be had.
#[test]
fn both_eras_are_signed_as_they_were() {
    let signing = sign("echo");
    assert_eq!(signing.bytes_of(Era::New), signing.bytes());
    let payload = |token: String| -> serde_json::Value {
        let payload = data_encoding::BASE64URL_NOPAD.decode(token.split('.').nth(1).unwrap().as_bytes()).unwrap();
        serde_json::from_slice(&payload).unwrap()
    };
    let (old, mut new) = (payload(signing.token(Era::Old)), payload(signing.token(Era::New)));
    assert_eq!(new["wascap_revision"], 3);
    new.as_object_mut().unwrap().remove("wascap_revision");
    assert_eq!(old, new);
}
