//! What a host tells about itself and about what it knows.

use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::wire::{ActorClaims, LinkDefinition};

/// Supplies what requests are answered with. It is called on the thread of the lattice and must not block.
pub trait AdvertisementSource: Send + Sync + 'static {
    /// Returns the claims of the actors that the host knows.
    fn claims(&self) -> Vec<ActorClaims>;

    /// Returns the links that the host knows, with all their values, which hosts of 2021 need.
    fn links(&self) -> Vec<LinkDefinition>;

    /// Returns the links as they are listed: any client of the lattice may ask for them. Secret values are hidden.
    fn listed_links(&self) -> Vec<LinkDefinition>;

    /// Returns for how long the host has run.
    fn uptime(&self) -> Duration;

    /// Returns what the host runs.
    fn inventory(&self) -> HostInventory;
}

/// What a host runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostInventory {
    /// The labels, each name once.
    pub labels: Vec<InventoryLabel>,
    /// The actors.
    pub actors: Vec<InventoryActor>,
    /// The providers.
    pub providers: Vec<InventoryProvider>,
}

/// A label of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryLabel {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// An actor that a host runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct InventoryActor {
    /// The public key.
    pub id: String,
    /// The reference of its image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_ref: Option<String>,
    /// The name in its claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The revision in its claims, or 0.
    pub revision: i32,
}

/// A provider that a host runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct InventoryProvider {
    /// The public key.
    pub id: String,
    /// The link name.
    pub link_name: String,
    /// The reference of its image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_ref: Option<String>,
    /// The name in its claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The revision in its claims, or 0.
    pub revision: i32,
}

/// Labels as an object of JSON.
pub(super) struct Labels<'a>(pub(super) &'a [InventoryLabel]);

impl Serialize for Labels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for label in self.0 {
            map.serialize_entry(&label.name, &label.value)?;
        }
        map.end()
    }
}
