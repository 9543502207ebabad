//! Provider archives: what they hold is what was signed, or they are refused, each for its own reason.

use std::io::{Read, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use nkeys::KeyPair;
use wasmcloud_host::jwt::{CapabilityProvider, Claims};
use wasmcloud_host::{ArchiveLimits, ErrorKind, ProviderArchive};

use crate::signing::in_repository;
use crate::support::kind;

mod tampering;

const LINUX: &str = "x86_64-linux";
const MACOS: &str = "aarch64-macos";

/// Keys for the tests, and an archive of two libraries signed with them.
struct Signed {
    account: KeyPair,
    provider: KeyPair,
}

impl Signed {
    fn new() -> Signed {
        Signed { account: KeyPair::new_account(), provider: KeyPair::new_service() }
    }

    fn builder() -> wasmcloud_host::ArchiveBuilder {
        ProviderArchive::builder("Clock", "example:clock", "Example")
            .revision(3)
            .version("0.3.0")
            .target(LINUX, b"a library".to_vec())
            .target(MACOS, b"another library".to_vec())
    }

    fn bytes(&self) -> Vec<u8> {
        Signed::builder().sign(&self.account, &self.provider).unwrap()
    }
}

/// The entries of a tar file, in their order.
fn entries(tar: &[u8]) -> Vec<(String, Vec<u8>)> {
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().display().to_string(), bytes)
    };
    tar::Archive::new(tar).entries().unwrap().map(read).collect()
}

fn header(kind: tar::EntryType, size: usize) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header
}

/// A tar file of these entries.
fn tar_of<'a>(entries: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        append(&mut tar, tar::EntryType::Regular, name, bytes);
    }
    tar.into_inner().unwrap()
}

/// Adds an entry with any name at all, where the builder of `tar` would refuse one.
fn append(tar: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType, name: &str, bytes: &[u8]) {
    let mut header = header(kind, bytes.len());
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    tar.append(&header, bytes).unwrap();
}

/// The same archive with an entry of some kind added to it.
fn with_entry(archive: &[u8], kind: tar::EntryType, name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in entries(archive) {
        append(&mut tar, tar::EntryType::Regular, &name, &bytes);
    }
    append(&mut tar, kind, name, bytes);
    tar.into_inner().unwrap()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn refusal(bytes: &[u8]) -> ErrorKind {
    kind(ProviderArchive::try_load(bytes))
}

#[test]
fn what_is_written_is_read() {
    let signed = Signed::new();
    for compressed in [false, true] {
        let bytes = Signed::builder().compressed(compressed).sign(&signed.account, &signed.provider).unwrap();
        let archive = ProviderArchive::try_load(&bytes).unwrap();
        let claims = archive.claims();
        assert_eq!((claims.issuer, claims.subject), (signed.account.public_key(), signed.provider.public_key()));
        let metadata = claims.metadata.unwrap();
        assert_eq!((metadata.capid.as_str(), metadata.vendor.as_str()), ("example:clock", "Example"));
        assert_eq!((metadata.rev, metadata.ver.as_deref()), (Some(3), Some("0.3.0")));
        assert_eq!(archive.targets(), [MACOS, LINUX]);
        assert_eq!(archive.target_bytes(LINUX).unwrap(), b"a library");
    }
}

#[test]
fn a_missing_target_is_refused_with_those_there_are() {
    let archive = ProviderArchive::try_load(&Signed::new().bytes()).unwrap();
    let missing = archive.target_bytes("mips-linux").unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::TargetMissing);
    let text = missing.to_string();
    assert!(text.contains("mips-linux") && text.contains(LINUX) && text.contains(MACOS), "{text}");
    assert_eq!(ProviderArchive::host_target(), format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS));
}

#[test]
fn the_same_archive_is_made_of_the_same_bytes() {
    let signed = Signed::new();
    let made = |seconds, compressed| {
        let time = UNIX_EPOCH + Duration::from_secs(seconds);
        Signed::builder().issued_at(time).compressed(compressed).sign(&signed.account, &signed.provider).unwrap()
    };
    for compressed in [false, true] {
        assert_eq!(made(1_600_000_000, compressed), made(1_600_000_000, compressed));
        assert_ne!(made(1_600_000_000, compressed), made(1_600_000_001, compressed));
    }
}

#[test]
fn a_library_is_added_to_an_archive_and_the_rest_stays() {
    let signed = Signed::new();
    let expires = SystemTime::now() + Duration::from_secs(3600);
    let bytes = Signed::builder().expires(expires).compressed(true).sign(&signed.account, &signed.provider).unwrap();
    let before = ProviderArchive::try_load(&bytes).unwrap();
    let more = before.to_builder().target("mips-linux", b"a third".to_vec());
    let bytes = more.sign(&signed.account, &signed.provider).unwrap();
    assert!(bytes.starts_with(&[0x1f, 0x8b]));
    let after = ProviderArchive::try_load(&bytes).unwrap();
    assert_eq!(after.targets(), [MACOS, "mips-linux", LINUX]);
    assert_eq!(after.claims().expires, before.claims().expires);
    assert_eq!(after.claims().metadata.unwrap().rev, Some(3));
}

#[test]
fn archives_that_could_not_be_loaded_are_not_signed() {
    let Signed { account, provider } = Signed::new();
    let empty = ProviderArchive::builder("Clock", "example:clock", "Example");
    assert_eq!(kind(empty.clone().sign(&account, &provider)), ErrorKind::InvalidArgument);
    let misnamed = empty.clone().target("../../etc/cron", vec![]);
    assert_eq!(kind(misnamed.sign(&account, &provider)), ErrorKind::InvalidArgument);
    let no_contract = ProviderArchive::builder("Clock", "", "Example").target(LINUX, vec![]);
    assert_eq!(kind(no_contract.sign(&account, &provider)), ErrorKind::InvalidArgument);
    let good = Signed::builder();
    assert_eq!(kind(good.clone().sign(&provider, &provider)), ErrorKind::InvalidArgument);
    assert_eq!(kind(good.clone().sign(&account, &KeyPair::new_module())), ErrorKind::InvalidArgument);
    let public = KeyPair::from_public_key(&account.public_key()).unwrap();
    assert_eq!(kind(good.clone().sign(&public, &provider)), ErrorKind::InvalidArgument);
    let public = KeyPair::from_public_key(&provider.public_key()).unwrap();
    assert!(good.sign(&account, &public).is_ok());
}

#[test]
fn archives_of_the_era_are_read() {
    // Written by provider-archive 0.4.0 with wascap 0.6.1.
    for name in ["era.par", "era.par.gz"] {
        let path = in_repository(&format!("fixtures/archives/{name}"));
        let archive = ProviderArchive::from_file(path).unwrap();
        let metadata = archive.claims().metadata.unwrap();
        assert_eq!((metadata.name.as_deref(), metadata.capid.as_str()), (Some("Clock"), "example:clock"));
        assert_eq!((metadata.rev, metadata.ver.as_deref()), (Some(2), Some("0.2.0")));
        for target in [LINUX, MACOS] {
            assert_eq!(archive.target_bytes(target).unwrap(), format!("the library for {target}").as_bytes());
        }
    }
}

#[test]
fn an_archive_that_was_packed_again_by_hand_is_read() {
    let bytes = Signed::new().bytes();
    let packed = entries(&bytes);
    let dotted: Vec<_> = packed.iter().rev().map(|(name, bytes)| (format!("./{name}"), bytes)).collect();
    let bytes = tar_of(dotted.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
    assert_eq!(ProviderArchive::try_load(&bytes).unwrap().targets(), [MACOS, LINUX]);
}

#[test]
fn seed_defect_27_what_has_no_place_in_an_archive_is_refused() {
    use tar::EntryType as Kind;
    let bytes = Signed::new().bytes();
    for (entry_kind, name) in [
        (Kind::Regular, "README.md"),
        (Kind::Regular, "claims"),
        (Kind::Regular, "/x86_64-windows.bin"),
        (Kind::Regular, "../x86_64-windows.bin"),
        (Kind::Regular, "libraries/x86_64-windows.bin"),
        (Kind::Regular, ""),
        (Kind::Regular, ".bin"),
        (Kind::Symlink, "x86_64-windows.bin"),
        (Kind::Link, "x86_64-windows.bin"),
        (Kind::Char, "x86_64-windows.bin"),
        (Kind::Block, "x86_64-windows.bin"),
        (Kind::Fifo, "x86_64-windows.bin"),
        (Kind::Directory, "x86_64-windows.bin"),
        (Kind::GNUSparse, "x86_64-windows.bin"),
        (Kind::GNULongName, "././@LongLink"),
        (Kind::XHeader, "PaxHeaders/x86_64-windows.bin"),
        (Kind::XGlobalHeader, "pax_global_header"),
        (Kind::Continuous, "x86_64-windows.bin"),
        // Twice.
        (Kind::Regular, "claims.jwt"),
        (Kind::Regular, "./claims.jwt"),
        (Kind::Regular, "x86_64-linux.bin"),
    ] {
        let bytes = with_entry(&bytes, entry_kind, name, b"12 size=9\n");
        assert_eq!(refusal(&bytes), ErrorKind::InvalidArchive, "{entry_kind:?} {name:?}");
        assert_eq!(refusal(&gzipped(&bytes)), ErrorKind::InvalidArchive, "{entry_kind:?} {name:?} gzipped");
    }
}

#[test]
fn seed_defect_27_a_damaged_archive_is_refused_wherever_it_is_damaged() {
    let bytes = Signed::new().bytes();
    let mut accepted = 0;
    for position in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[position] ^= 0x41;
        if let Ok(archive) = ProviderArchive::try_load(&damaged) {
            // Only what nobody reads may change: padding within a block after the end of a library.
            assert_eq!(archive.target_bytes(LINUX).unwrap(), b"a library");
            assert_eq!(archive.target_bytes(MACOS).unwrap(), b"another library");
            accepted += 1;
        }
    }
    assert!(accepted < 3 * 512, "{accepted} of {}", bytes.len());
}

#[test]
fn seed_defect_27_a_truncated_archive_is_refused() {
    let bytes = Signed::new().bytes();
    let end_of_entries = bytes.len() - 1024;
    for length in 0..end_of_entries + 512 {
        assert!(ProviderArchive::try_load(&bytes[..length]).is_err(), "{length}");
    }
    assert!(ProviderArchive::try_load(&bytes[..end_of_entries + 512]).is_ok());
    let packed = gzipped(&bytes);
    for length in 0..packed.len() {
        assert_eq!(refusal(&packed[..length]), ErrorKind::InvalidArchive, "{length}");
    }
    for (name, bytes) in [("nothing", &b""[..]), ("one byte", b"\x1f"), ("gzip of nothing", &gzipped(b""))] {
        assert!(matches!(refusal(bytes), ErrorKind::InvalidArchive | ErrorKind::Unsigned), "{name}");
    }
}

#[test]
fn nothing_may_hide_after_the_end() {
    let bytes = Signed::new().bytes();
    let zeros = [bytes.clone(), vec![0; 4096]].concat();
    assert!(ProviderArchive::try_load(&zeros).is_ok());
    let packed = gzipped(&bytes);
    let hidden = b"something else".to_vec();
    for archive in
        [[bytes.clone(), hidden.clone()].concat(), [zeros, hidden.clone()].concat(), [packed, hidden].concat()]
    {
        assert_eq!(refusal(&archive), ErrorKind::InvalidArchive);
    }
}

#[test]
fn seed_defect_27_decompression_has_a_cap() {
    let limits = ArchiveLimits::new().unpacked_bytes(64 * 1024 * 1024);
    // 4 GiB of zeros in 4 MiB, as the library of an entry that says so.
    let mut bomb = GzEncoder::new(Vec::new(), Compression::fast());
    let mut header = header(tar::EntryType::Regular, 4 << 30);
    header.set_path("x86_64-linux.bin").unwrap();
    header.set_cksum();
    bomb.write_all(header.as_bytes()).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..256 {
        bomb.write_all(&zeros).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    // It ends at 64 MiB of the 256 there are, and not because they end too early.
    let refused = ProviderArchive::try_load_within(&bomb, &limits).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArchive);
    assert!(refused.to_string().contains("more than the limit of 67108864 bytes"), "{refused}");
    // Zeros alone are the end of a tar file, and are not read for ever either.
    let zeros = gzipped(&vec![0; 65 << 20]);
    assert_eq!(kind(ProviderArchive::try_load_within(&zeros, &limits)), ErrorKind::InvalidArchive);
}

#[test]
fn limits_are_kept_to_the_byte() {
    let bytes = Signed::new().bytes();
    let length = bytes.len() as u64;
    let token = entries(&bytes)[0].1.len() as u64;
    let exact = ArchiveLimits::new().archive_bytes(length).unpacked_bytes(length).entries(3).token_bytes(token);
    assert!(ProviderArchive::try_load_within(&bytes, &exact).is_ok());
    for tight in [
        exact.archive_bytes(length - 1),
        exact.unpacked_bytes(length - 1),
        exact.entries(2),
        exact.token_bytes(token - 1),
    ] {
        assert_eq!(kind(ProviderArchive::try_load_within(&bytes, &tight)), ErrorKind::InvalidArchive, "{tight:?}");
    }
}

#[test]
fn an_archive_is_read_from_a_file_and_no_more_of_it_than_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clock.par");
    let bytes = Signed::new().bytes();
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(ProviderArchive::from_file(&path).unwrap().targets(), [MACOS, LINUX]);
    let tight = ArchiveLimits::new().archive_bytes(bytes.len() as u64 - 1);
    assert_eq!(kind(ProviderArchive::from_file_within(&path, &tight)), ErrorKind::InvalidArchive);
    let missing = ProviderArchive::from_file(folder.path().join("missing.par")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Io);
    assert!(missing.to_string().contains("missing.par"), "{missing}");
    // A device without an end is no archive.
    #[cfg(unix)]
    assert_eq!(kind(ProviderArchive::from_file_within("/dev/zero", &tight)), ErrorKind::InvalidArchive);
}

/// The claims of an archive, to be changed and signed by hand.
fn claims_of(archive: &[u8]) -> Claims<CapabilityProvider> {
    ProviderArchive::try_load(archive).unwrap().claims()
}

/// Any claims as a token, whatever they say.
fn token_of(claims: &Claims<CapabilityProvider>, signer: &KeyPair) -> String {
    claims.encode(signer).unwrap()
}

/// The same archive with another token.
fn with_token(archive: &[u8], token: &str) -> Vec<u8> {
    let packed = entries(archive);
    let replaced = |(name, bytes): &(String, Vec<u8>)| match name.as_str() {
        "claims.jwt" => (name.clone(), token.as_bytes().to_vec()),
        _ => (name.clone(), bytes.clone()),
    };
    let packed: Vec<_> = packed.iter().map(replaced).collect();
    tar_of(packed.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut tar).unwrap();
    tar
}
