//! The answers to requests, in the JSON of 2021. A message has a greatest size: items beyond it are left out.

use bytes::Bytes;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::source::{AdvertisementSource, Labels};
use crate::wire::{ActorClaims, LinkDefinition};

/// An answer, and how many items were left out of it.
pub(super) struct Answer {
    pub(super) json: Bytes,
    pub(super) left_out: usize,
}

/// Returns the answer to `get.hosts`.
pub(super) fn host(source: &dyn AdvertisementSource, host: &str) -> Option<Answer> {
    #[derive(Serialize)]
    struct Host<'a> {
        id: &'a str,
        uptime: u64,
    }
    let json = serde_json::to_vec(&Host { id: host, uptime: source.uptime().as_secs() }).ok()?;
    Some(Answer { json: json.into(), left_out: 0 })
}

/// Returns the answer to `get.links`.
pub(super) fn links(source: &dyn AdvertisementSource, largest: usize) -> Option<Answer> {
    let mut object = Object::new(largest);
    object.array("links", source.listed_links().iter().map(Link))?;
    Some(object.finish())
}

/// Returns the answer to `get.claims`.
pub(super) fn claims(source: &dyn AdvertisementSource, largest: usize) -> Option<Answer> {
    let mut object = Object::new(largest);
    object.array("claims", source.claims().iter().map(|claims| Claims { values: Values(claims) }))?;
    Some(object.finish())
}

/// Returns the answer to `get.<host>.inv`.
pub(super) fn inventory(source: &dyn AdvertisementSource, host: &str, largest: usize) -> Option<Answer> {
    let inventory = source.inventory();
    let mut object = Object::new(largest);
    object.field("host_id", &host)?;
    object.field("labels", &Labels(&inventory.labels))?;
    object.array("actors", inventory.actors.iter())?;
    object.array("providers", inventory.providers.iter())?;
    Some(object.finish())
}

/// An object of JSON that is written within a size.
struct Object {
    json: Vec<u8>,
    room: usize,
    left_out: usize,
}

impl Object {
    fn new(largest: usize) -> Object {
        // The names and brackets of all fields are few.
        Object { json: vec![b'{'], room: largest.saturating_sub(128), left_out: 0 }
    }

    /// Begins a field.
    fn name(&mut self, name: &str) {
        if self.json.len() > 1 {
            self.json.push(b',');
        }
        self.json.push(b'"');
        self.json.extend_from_slice(name.as_bytes());
        self.json.extend_from_slice(b"\":");
    }

    fn field(&mut self, name: &str, value: &impl Serialize) -> Option<()> {
        self.name(name);
        serde_json::to_writer(&mut self.json, value).ok()
    }

    fn array<T: Serialize>(&mut self, name: &str, items: impl Iterator<Item = T>) -> Option<()> {
        self.name(name);
        self.json.push(b'[');
        let start = self.json.len();
        for item in items {
            let before = self.json.len();
            if before > start {
                self.json.push(b',');
            }
            serde_json::to_writer(&mut self.json, &item).ok()?;
            if self.json.len() > self.room {
                self.json.truncate(before);
                self.left_out += 1;
            }
        }
        self.json.push(b']');
        Some(())
    }

    fn finish(mut self) -> Answer {
        self.json.push(b'}');
        Answer { json: self.json.into(), left_out: self.left_out }
    }
}

/// A link in JSON.
struct Link<'a>(&'a LinkDefinition);

impl Serialize for Link<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("actor_id", &self.0.actor_id)?;
        map.serialize_entry("provider_id", &self.0.provider_id)?;
        map.serialize_entry("link_name", &self.0.link_name)?;
        map.serialize_entry("contract_id", &self.0.contract_id)?;
        map.serialize_entry("values", &LinkValues(self.0))?;
        map.end()
    }
}

struct LinkValues<'a>(&'a LinkDefinition);

impl Serialize for LinkValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.values.len()))?;
        for value in &self.0.values {
            map.serialize_entry(&value.name, &value.value)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    values: Values<'a>,
}

/// The values of claims in JSON. All are texts.
struct Values<'a>(&'a ActorClaims);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let metadata = &self.0.metadata;
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("sub", &self.0.subject)?;
        map.serialize_entry("iss", &self.0.issuer)?;
        map.serialize_entry("caps", &metadata.caps.as_deref().unwrap_or_default().join(","))?;
        map.serialize_entry("rev", &metadata.rev.unwrap_or(0).to_string())?;
        map.serialize_entry("version", metadata.ver.as_deref().unwrap_or_default())?;
        map.end()
    }
}
