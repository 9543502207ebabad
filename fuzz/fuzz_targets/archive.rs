//! Fuzzes provider archives: arbitrary bytes, arbitrary gzipped tar files, and valid archives with changes.
#![no_main]

use std::io::Write;
use std::sync::LazyLock;
use std::time::UNIX_EPOCH;

use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use nkeys::{KeyPair, KeyPairType};
use wasmcloud_host::{ArchiveLimits, ProviderArchive};

const TARGETS: [&str; 2] = ["aarch64-macos", "x86_64-linux"];
const LIBRARY: &[u8] = b"a library";

/// A valid archive, plain and gzipped.
static GOOD: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let account = KeyPair::new_from_raw(KeyPairType::Account, [7; 32]).expect("any 32 bytes are a seed");
    let provider = KeyPair::new_from_raw(KeyPairType::Service, [8; 32]).expect("any 32 bytes are a seed");
    let archive = ProviderArchive::builder("Fuzzed", "fuzz:archive", "Fuzzer").issued_at(UNIX_EPOCH);
    let archive = TARGETS.iter().fold(archive, |archive, target| archive.target(*target, LIBRARY));
    [false, true].map(|compressed| {
        archive.clone().compressed(compressed).sign(&account, &provider).expect("a good archive is signed")
    })
});

fuzz_target!(|data: &[u8]| {
    load(data);
    load(&gzipped(data));
    load(&tar_of(data));
    for good in GOOD.iter() {
        let mut changed = good.clone();
        change(&mut changed, data);
        load(&changed);
    }
});

/// Loads an archive. If it is accepted, it must have been signed by the key of this target or of the seeds.
fn load(bytes: &[u8]) {
    let limits = ArchiveLimits::new().archive_bytes(1 << 20).unpacked_bytes(1 << 20);
    let Ok(archive) = ProviderArchive::try_load_within(bytes, &limits) else { return };
    assert!(!archive.targets().is_empty());
    let is_ours = archive.claims().metadata.is_some_and(|metadata| metadata.capid == "fuzz:archive");
    for target in archive.targets() {
        let library = archive.target_bytes(&target).expect("a target that is named is there");
        assert!(!is_ours || library == LIBRARY);
    }
}

/// Overwrites or inserts bytes. Each change is an offset (two bytes), a length with a flag, and the bytes.
fn change(archive: &mut Vec<u8>, mut data: &[u8]) {
    while let [low, high, length, rest @ ..] = data {
        let place = usize::from(u16::from_le_bytes([*low, *high])) % (archive.len() + 1);
        let (bytes, tail) = rest.split_at(rest.len().min(usize::from(length & 0x7f)));
        let replaced = if length & 0x80 == 0 { (archive.len() - place).min(bytes.len()) } else { 0 };
        archive.splice(place..place + replaced, bytes.iter().copied());
        data = tail;
    }
}

fn gzipped(data: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(data).and_then(|()| gzip.finish()).expect("writing to memory does not fail")
}

/// Returns the entries of a valid archive after one with an arbitrary type and name.
fn tar_of(data: &[u8]) -> Vec<u8> {
    let (head, contents) = data.split_at(data.len().min(101));
    let mut header = tar::Header::new_gnu();
    header.set_size(contents.len() as u64);
    if let [kind, name @ ..] = head {
        header.as_old_mut().linkflag = [*kind];
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
    }
    header.set_cksum();
    let mut archive = header.as_bytes().to_vec();
    archive.extend_from_slice(contents);
    archive.resize(archive.len().next_multiple_of(512), 0);
    archive.extend_from_slice(&GOOD[0]);
    archive
}
