//! The tampering matrix: whatever is changed about something signed, in whatever era it was signed, it is refused, and the
//! error says how.

use std::collections::HashMap;

use nkeys::KeyPair;
use wasmcloud_host::jwt::{CapabilityProvider, Claims};
use wasmcloud_host::{Actor, ErrorKind, ProviderArchive, Result};
use wasmparser::{Parser, Payload};

use super::now;
use crate::signing::{Era, Signing, guest, hash, sign, with_token};

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

const CARRIERS: [Carrier; 2] = [
    Carrier { name: "actor", make: actor, read: |bytes| Actor::from_slice(bytes).map(drop) },
    Carrier { name: "archive", make: archive, read: |bytes| ProviderArchive::try_load(bytes).map(drop) },
];

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

/// A provider's archive, tampered with: its library is what a module's code is to an actor.
fn archive(era: Era, tampering: Tampering) -> Vec<u8> {
    const TARGET: &str = "x86_64-linux";
    let library = b"code, and then data".to_vec();
    let token = |change: fn(&mut Claims<CapabilityProvider>), library: &[u8]| {
        let account = KeyPair::new_account();
        let mut claims = crate::support::provider_claims("test:contract");
        claims.issuer = account.public_key();
        claims.metadata.as_mut().unwrap().target_hashes = HashMap::from([(TARGET.to_owned(), hash(library))]);
        change(&mut claims);
        era.token(claims, &account)
    };
    let sound = token(|_| (), &library);
    let changed = |position: usize| {
        let mut library = library.clone();
        library[position] ^= 1;
        library
    };
    let (entry, token_entry) = (format!("{TARGET}.bin"), "claims.jwt");
    let pack = |token: String, library: Vec<u8>| tar(&[(token_entry, token.as_bytes()), (&entry, &library)]);
    match tampering {
        Untouched => pack(sound, library),
        CodeByte => pack(sound, changed(0)),
        DataByte => pack(sound, changed(library.len() - 1)),
        SectionAdded => tar(&[(token_entry, sound.as_bytes()), (&entry, &library), ("aarch64-linux.bin", b"more")]),
        TokenPayload => pack(with_other_payload(&sound), library),
        TokenSignature => pack(with_other_signature(&sound), library),
        TokenOfAnother => pack(token(|_| (), b"another library"), library),
        Expired => pack(token(|claims| claims.expires = Some(now() - 1), &library), library),
        NotYetValid => pack(token(|claims| claims.not_before = Some(now() + 3600), &library), library),
        WrongKeyKind => pack(token(|claims| claims.subject = KeyPair::new_module().public_key(), &library), library),
        Unsigned => tar(&[(&entry, &library)]),
    }
}

/// A tar file of these entries.
fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
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
    let changed = payload
        .replace(r#""caps":[]"#, r#""caps":["wasmcloud:keyvalue"]"#)
        .replace("test:contract", "wasmcloud:keyvalue");
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

/// The newer era's own library, which is still to be had, makes the same; the older one's did not name its revision.
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
