//! Heartbeats: messages of constant size by which hosts make themselves known, signed with their host keys.
//!
//! The layout is fixed: a header of 8 bytes, then the fields below in order, integers big-endian, and the signature last.
//! Later versions may add fields before the signature.

use nkeys::{KeyPair, KeyPairType};

use crate::endorsement::{Endorsement, SIGNATURE};

/// The size of a heartbeat of this version. Unit: bytes.
pub(crate) const SIZE: usize = 332;

/// The size that a heartbeat of a later version may have at most. Unit: bytes.
const LARGEST: usize = 1024;

/// The version of the protocol between hosts that this crate speaks.
pub(crate) const PROTOCOL: u32 = 1;

const MAGIC: &[u8; 4] = b"wcHB";
const VERSION: u8 = 1;
const KEY: usize = 56;
const SOFTWARE: usize = 24;

/// What signatures of heartbeats begin with, so that they sign nothing else.
const DOMAIN: &[u8] = b"wasmcloud heartbeat 1\0";

/// Why a heartbeat is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BeatKind {
    /// The host has joined, or is connected again.
    Joined,
    /// The host still exists.
    Alive,
    /// The host leaves.
    Leaving,
}

/// How much a host runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntityCounts {
    /// The actors.
    pub actors: u32,
    /// The providers. One that runs under two link names counts twice.
    pub providers: u32,
    /// The established links.
    pub links: u32,
}

impl EntityCounts {
    /// Returns counts of actors, providers and links.
    pub fn new(actors: u32, providers: u32, links: u32) -> EntityCounts {
        EntityCounts { actors, providers, links }
    }
}

/// What a heartbeat tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    pub(crate) kind: BeatKind,
    pub(crate) is_cordoned: bool,
    pub(crate) is_draining: bool,
    pub(crate) host: String,
    /// When the host started. A host that starts again has a greater one. Unit: milliseconds since 1970.
    pub(crate) incarnation: u64,
    pub(crate) sequence: u64,
    /// Unit: milliseconds since 1970.
    pub(crate) sent_at: u64,
    /// Unit: milliseconds.
    pub(crate) uptime: u64,
    /// Unit: milliseconds.
    pub(crate) interval: u32,
    pub(crate) protocol: u32,
    pub(crate) software: String,
    pub(crate) counts: EntityCounts,
    pub(crate) inventory_version: u64,
    pub(crate) endorsement: Option<Endorsement>,
}

/// A heartbeat whose signature is not verified yet.
#[derive(Debug)]
pub(crate) struct Unverified<'a> {
    pub(crate) beat: Heartbeat,
    signed: &'a [u8],
    signature: &'a [u8],
}

impl Heartbeat {
    /// Returns the signed message, or `None` if the key cannot sign.
    pub(crate) fn sign(&self, namespace: &str, key: &KeyPair) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(SIZE);
        let flags = u8::from(self.is_cordoned) | u8::from(self.is_draining) << 1;
        let kind = match self.kind {
            BeatKind::Joined => 0,
            BeatKind::Alive => 1,
            BeatKind::Leaving => 2,
        };
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[VERSION, kind, flags, 0]);
        put_text(&mut bytes, &self.host, KEY);
        for number in [self.incarnation, self.sequence, self.sent_at, self.uptime] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        for number in [self.interval, self.protocol] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        put_text(&mut bytes, &self.software, SOFTWARE);
        for number in [self.counts.actors, self.counts.providers, self.counts.links] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.inventory_version.to_be_bytes());
        let endorsement = self.endorsement.as_ref();
        put_text(&mut bytes, endorsement.map_or("", |endorsement| &endorsement.cluster), KEY);
        bytes.extend_from_slice(&endorsement.map_or([0; SIGNATURE], |endorsement| endorsement.signature));
        let signature = key.sign(&signed_text(DOMAIN, namespace, &bytes)).ok()?;
        bytes.extend_from_slice(&signature);
        Some(bytes)
    }

    /// Reads a message. Nothing of it is verified.
    pub(crate) fn read(message: &[u8]) -> Option<Unverified<'_>> {
        if message.len() < SIZE || message.len() > LARGEST {
            return None;
        }
        let (signed, signature) = message.split_at_checked(message.len() - SIGNATURE)?;
        let mut rest = Reader(signed);
        let header: [u8; 8] = rest.array()?;
        if &header[..4] != MAGIC || header[4] < VERSION || (header[4] == VERSION && message.len() != SIZE) {
            return None;
        }
        let kind = match header[5] {
            0 => BeatKind::Joined,
            1 => BeatKind::Alive,
            2 => BeatKind::Leaving,
            _ => return None,
        };
        let beat = Heartbeat {
            kind,
            is_cordoned: header[6] & 1 != 0,
            is_draining: header[6] & 2 != 0,
            host: rest.text(KEY)?,
            incarnation: rest.u64()?,
            sequence: rest.u64()?,
            sent_at: rest.u64()?,
            uptime: rest.u64()?,
            interval: rest.u32()?,
            protocol: rest.u32()?,
            software: rest.text(SOFTWARE)?,
            counts: EntityCounts { actors: rest.u32()?, providers: rest.u32()?, links: rest.u32()? },
            inventory_version: rest.u64()?,
            endorsement: rest.endorsement()?,
        };
        Some(Unverified { beat, signed, signature })
    }
}

impl Unverified<'_> {
    /// Returns whether the host that the heartbeat names has signed it for this namespace.
    pub(crate) fn is_signed(&self, namespace: &str) -> bool {
        let Ok(key) = KeyPair::from_public_key(&self.beat.host) else { return false };
        let text = || signed_text(DOMAIN, namespace, self.signed);
        key.key_pair_type() == KeyPairType::Server && key.verify(&text(), self.signature).is_ok()
    }
}

/// Returns what is signed: a purpose, a name, and data.
pub(super) fn signed_text(domain: &[u8], name: &str, data: &[u8]) -> Vec<u8> {
    [domain, name.as_bytes(), b"\0", data].concat()
}

/// Appends a text of constant size. A longer one is cut, a shorter one is filled with zeros.
fn put_text(bytes: &mut Vec<u8>, text: &str, size: usize) {
    let end = bytes.len() + size;
    bytes.extend(text.bytes().take(size));
    bytes.resize(end, 0);
}

/// What is left to read of a message.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Reads a text of printable ASCII, which is filled with zeros.
    fn text(&mut self, size: usize) -> Option<String> {
        let (field, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        let length = field.iter().position(|byte| *byte == 0).unwrap_or(size);
        let (text, filling) = field.split_at(length);
        let is_valid = text.iter().all(u8::is_ascii_graphic) && filling.iter().all(|byte| *byte == 0);
        is_valid.then(|| String::from_utf8_lossy(text).into_owned())
    }

    /// Reads an endorsement, or the zeros that stand for none.
    fn endorsement(&mut self) -> Option<Option<Endorsement>> {
        let cluster = self.text(KEY)?;
        let signature = self.array()?;
        Some((!cluster.is_empty()).then_some(Endorsement { cluster, signature }))
    }
}

#[cfg(test)]
pub(super) mod tests;
