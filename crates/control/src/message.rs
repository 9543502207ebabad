//! The requests and answers of the control interface, in JSON.
//!
//! The types that 2021 had are written byte for byte as they were then, unless a field that was added is used.
//!
//! # Layout
//! - `auction`: which hosts could run an actor or a provider
//! - `command`: orders to one host
//! - `link`: changes and lists of links
//! - `query`: hosts, claims and the inventories of 2021
//! - `inventory`: whole inventories, in pages
//! - `state`: the state that the dashboard shows, in pages

mod auction;
mod command;
mod inventory;
mod link;
mod query;
mod state;
#[cfg(test)]
mod tests;

pub use auction::{ActorAuctionAck, ActorAuctionRequest, ProviderAuctionAck, ProviderAuctionRequest};
pub use command::{
    CommandAck, HostCommand, LabelsCommand, ManifestAck, ManifestCommand, ScaleActorCommand, StartActorAck,
    StartActorCommand, StartProviderAck, StartProviderCommand, StopAck, StopActorCommand, StopProviderCommand,
    UpdateActorAck, UpdateActorCommand,
};
pub use inventory::{EntityEntry, HostLimits, InventoryPage, PageRequest, WholeInventory};
pub use link::{LinkDefinition, LinkDefinitionList, LinkValues, PutLinkCommand, RemoveLinkCommand};
pub use query::{ActorDescription, ClaimsList, ClaimsValues, Host, HostInventory, HostSummary, ProviderDescription};
pub use state::{StateAnswer, StatePage, StatePart};
