//! Inventories: what a host runs, in pages of bounded size, signed with the host key.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nkeys::{KeyPair, KeyPairType};
use serde::{Deserialize, Serialize};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::beat::{EntityCounts, signed_text};
use crate::connection::Connection;
use crate::namespace::Namespace;

/// The most entities of a page.
const PAGE: usize = 256;

/// The size at which a page ends before it has so many. Unit: bytes.
const PAGE_BYTES: usize = 256 * 1024;

/// The most entities of one host that are read.
const MOST_ENTITIES: usize = 100_000;

/// The most bytes of the pages of one host that are read.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// The longest text of an entity. Unit: bytes.
const LONGEST_TEXT: usize = 1024;

/// The most bytes of the labels of a host.
const MOST_LABEL_BYTES: usize = 16 * 1024;

/// How long the reading of an inventory may take.
const LIMIT: Duration = Duration::from_secs(30);

/// How often an inventory that changes between its pages is read anew.
const ATTEMPTS: usize = 3;

/// How long the answer to a request may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What signatures of pages begin with.
const DOMAIN: &[u8] = b"wasmcloud inventory 1\0";

const SIGNATURE: usize = 64;

/// An actor, or a provider under one link name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryEntity {
    /// The public key (`M...` or `V...`).
    pub id: String,
    /// The link name of a provider.
    pub link_name: Option<String>,
    /// The contract of a provider.
    pub contract_id: Option<String>,
    /// The reference of the image in a registry.
    pub image_ref: Option<String>,
    /// The name in the claims.
    pub name: Option<String>,
    /// The revision in the claims.
    pub revision: Option<i32>,
}

/// A part of the entities of a host, from one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InventoryPart {
    /// The version of the whole inventory at that moment.
    pub version: u64,
    /// The entities, in an order that stays the same as long as the version does.
    pub entities: Vec<InventoryEntity>,
}

/// Supplies what a host runs. It is called on the thread of the lattice and must not block.
pub trait InventorySource: Send + Sync {
    /// Returns the version of the inventory, which changes with each entity that starts or stops.
    fn version(&self) -> u64;

    /// Returns how much the host runs.
    fn counts(&self) -> EntityCounts;

    /// Returns at most `limit` entities, from the one with the number `offset` on.
    fn part(&self, offset: usize, limit: usize) -> InventoryPart;

    /// Returns the labels of the host. Default: none.
    fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

/// The inventory of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inventory {
    /// The version. All entities are of this version.
    pub version: u64,
    /// The labels of the host.
    pub labels: BTreeMap<String, String>,
    /// What the host runs.
    pub entities: Vec<InventoryEntity>,
    /// Whether the host runs more than 100,000 entities, of which the others were not read.
    pub is_truncated: bool,
}

/// A request for a page.
#[derive(Debug, Serialize, Deserialize)]
struct PageRequest {
    /// A random number, so that an earlier answer is none.
    nonce: u64,
    offset: u64,
}

/// A page.
#[derive(Debug, Serialize, Deserialize)]
struct Page {
    nonce: u64,
    version: u64,
    offset: u64,
    /// Where the next page begins.
    next: Option<u64>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    entities: Vec<InventoryEntity>,
}

/// Returns the signed answer to a request, or `None` for a malformed request. A page takes about `room` bytes at most.
pub(super) fn answer(
    request: &[u8],
    source: &dyn InventorySource,
    namespace: &str,
    key: &KeyPair,
    room: usize,
) -> Option<Bytes> {
    if request.len() > 256 {
        return None;
    }
    let request: PageRequest = rmp_serde::from_slice(request).ok()?;
    let offset = usize::try_from(request.offset).ok()?;
    let labels = if offset == 0 { few_labels(source.labels()) } else { BTreeMap::new() };
    let InventoryPart { version, mut entities } = source.part(offset, PAGE);
    let found = entities.len();
    entities.iter_mut().for_each(shorten);
    entities.truncate(fitting(&entities, room.min(PAGE_BYTES).saturating_sub(MOST_LABEL_BYTES)));
    let is_last = entities.len() == found && found < PAGE;
    let next = (!is_last).then(|| request.offset.saturating_add(entities.len() as u64));
    // No call can name an entity with a longer name.
    entities.retain(are_texts_short);
    let page = Page { nonce: request.nonce, version, offset: request.offset, next, labels, entities };
    let body = rmp_serde::to_vec_named(&page).ok()?;
    let mut message = key.sign(&signed_text(DOMAIN, namespace, &body)).ok()?;
    message.extend_from_slice(&body);
    Some(message.into())
}

/// Returns how many of the first entities fit into a page: at least one.
fn fitting(entities: &[InventoryEntity], room: usize) -> usize {
    let mut bytes = 0;
    let fits = |entity: &&InventoryEntity| {
        bytes += size(entity);
        bytes <= room
    };
    entities.iter().take_while(fits).count().max(1)
}

/// Removes texts that only inform and are too long.
fn shorten(entity: &mut InventoryEntity) {
    for text in [&mut entity.image_ref, &mut entity.name, &mut entity.contract_id] {
        if text.as_ref().is_some_and(|text| text.len() > LONGEST_TEXT) {
            *text = None;
        }
    }
}

/// Returns the first labels that together are not too long.
fn few_labels(labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut bytes = 0;
    let fits = |(name, value): &(String, String)| {
        bytes += 16 + name.len() + value.len();
        bytes <= MOST_LABEL_BYTES
    };
    labels.into_iter().take_while(fits).collect()
}

fn are_texts_short(entity: &InventoryEntity) -> bool {
    let InventoryEntity { id, link_name, contract_id, image_ref, name, revision: _ } = entity;
    let mut texts = [Some(id), link_name.as_ref(), contract_id.as_ref(), image_ref.as_ref(), name.as_ref()].into_iter();
    texts.all(|text| text.is_none_or(|text| text.len() <= LONGEST_TEXT))
}

/// Returns about how large an entity is in a message. Unit: bytes.
fn size(entity: &InventoryEntity) -> usize {
    let InventoryEntity { id, link_name, contract_id, image_ref, name, revision: _ } = entity;
    let texts = [link_name, contract_id, image_ref, name];
    128 + id.len() + texts.into_iter().flatten().map(String::len).sum::<usize>()
}

/// Reads the inventory of a host.
///
/// # Errors
/// `LatticeUnavailable` without the host, `DeadlineExceeded` without its answer, `LatticeRefused` if the host did not sign an
/// answer, `Busy` if the inventory changes faster than it is read.
pub(super) async fn fetch(connection: &Connection, namespace: &Namespace, host: &str) -> Result<Inventory> {
    let start = Instant::now();
    for _ in 0..ATTEMPTS {
        if let Some(inventory) = fetch_one_version(connection, namespace, host, start).await? {
            return Ok(inventory);
        }
    }
    let message = format!("the inventory of host {host} changes faster than it can be read: try again later");
    Err(Error::new(ErrorKind::Busy, message))
}

/// Reads all pages. Returns `None` if the inventory changes meanwhile.
async fn fetch_one_version(
    connection: &Connection,
    namespace: &Namespace,
    host: &str,
    start: Instant,
) -> Result<Option<Inventory>> {
    let mut inventory = Inventory::default();
    let mut bytes = 0;
    let mut offset = Some(0);
    while let Some(place) = offset {
        let Received { page, size } = fetch_page(connection, namespace, host, place).await?;
        bytes += size;
        if bytes > MOST_BYTES || start.elapsed() > LIMIT {
            let message = format!("the inventory of host {host} takes more than {MOST_BYTES} bytes or {LIMIT:?}");
            return Err(Error::new(ErrorKind::LatticeRefused, message));
        }
        if place == 0 {
            inventory.version = page.version;
            inventory.labels = page.labels;
        }
        if page.version != inventory.version {
            return Ok(None);
        }
        inventory.entities.extend(page.entities);
        offset = page.next.filter(|next| *next > place);
        if inventory.entities.len() >= MOST_ENTITIES {
            inventory.is_truncated = offset.take().is_some() || inventory.entities.len() > MOST_ENTITIES;
            inventory.entities.truncate(MOST_ENTITIES);
        }
    }
    Ok(Some(inventory))
}

/// A page, and the size of its message in bytes.
struct Received {
    page: Page,
    size: usize,
}

async fn fetch_page(connection: &Connection, namespace: &Namespace, host: &str, offset: u64) -> Result<Received> {
    let nonce = getrandom::u64().map_err(|error| {
        Error::new(ErrorKind::Io, "the system supplies no random numbers").caused_by(error.to_string())
    })?;
    let encode = |error| Error::new(ErrorKind::Internal, "a request cannot be encoded").caused_by(error);
    let request = rmp_serde::to_vec_named(&PageRequest { nonce, offset }).map_err(encode)?;
    let answer = connection.request(subject(namespace, host), request.into(), PATIENCE).await?;
    let page = read_page(&answer.payload, namespace.as_str(), host);
    let page = page.filter(|page| page.nonce == nonce && page.offset == offset);
    page.map(|page| Received { page, size: answer.payload.len() }).ok_or_else(|| {
        let message = format!("an answer for the inventory of host {host} is malformed or not signed by it");
        Error::new(ErrorKind::LatticeRefused, message)
    })
}

/// Returns the page of an answer that the host has signed.
fn read_page(message: &[u8], namespace: &str, host: &str) -> Option<Page> {
    if message.len() > 2 * PAGE_BYTES {
        return None;
    }
    let (signature, body) = message.split_at_checked(SIGNATURE)?;
    let key = KeyPair::from_public_key(host).ok()?;
    let is_signed = key.verify(&signed_text(DOMAIN, namespace, body), signature).is_ok();
    if key.key_pair_type() != KeyPairType::Server || !is_signed {
        return None;
    }
    let page: Page = rmp_serde::from_slice(body).ok()?;
    page.entities.iter().all(are_texts_short).then_some(page)
}

/// Returns the subject on which a host is asked for its inventory.
pub(super) fn subject(namespace: &Namespace, host: &str) -> String {
    namespace.peer(&format!("host.{host}.inventory"))
}
