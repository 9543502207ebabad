//! The lattice: hosts that share a NATS server and a namespace, and with them claims, links and calls.
//!
//! This crate speaks with NATS and knows neither actors nor their mailboxes. The crate `wasmcloud-host` connects it with what
//! runs in a host. The subjects and payloads are those of the hosts of 2021 (wasmCloud 0.18 and 0.19), with fields added that
//! they ignore. Hosts that use these fields are *current hosts* here, whatever their release.
//!
//! # Layout
//! - [`Namespace`]: the namespace of a lattice, and its subjects
//! - [`LatticeOptions`]: where a lattice is, how a host logs in, which hosts it trusts
//! - [`Connection`]: a connection with NATS that never fails its host
//! - [`Membership`]: the hosts of the lattice, and what each runs
//! - [`Throttle`]: a limit on how often something is done
//! - [`Transfers`]: payloads that are too large for a message
//! - [`Advertisements`]: the advertisements of 2021, and answers to its control clients
//! - [`registry`]: links, claims, aliases and image references, in a key-value bucket
//! - [`wire`]: the format of messages
//! - [`token`]: the token of an invocation
//! - [`session`]: keys between two hosts, by which calls and answers are authenticated
//! - [`edge`]: seals what leaves the host, and checks what arrives
//! - [`rpc`]: calls to and from other hosts
//! - [`replay`]: which calls have been admitted

#![forbid(unsafe_code)]

mod advertisement;
mod connection;
pub mod edge;
mod endorsement;
mod membership;
mod namespace;
mod options;
pub mod registry;
pub mod replay;
pub mod rpc;
pub mod session;
#[cfg(test)]
mod testing;
pub mod token;
mod transfer;
pub mod wire;

pub use advertisement::{
    Advertised, AdvertisementCounts, AdvertisementSource, Advertisements, HostInventory, InventoryActor,
    InventoryLabel, InventoryProvider,
};
pub use connection::{
    Connection, ConnectionCounts, ConnectionEvent, ConnectionStatus, LatticeState, Mark, ServerFacts, Subject,
    Subscription, Traffic, is_inbox,
};
pub use membership::{
    EntityCounts, EntityHosts, EraEntities, EraEntity, EraEvent, EraHealth, EraHost, EraSource, Inventory,
    InventoryEntity, InventoryPart, InventorySource, Membership, MembershipCounts, MembershipEvent, MembershipSettings,
    Peer, PeerStatus, Throttle,
};
pub use namespace::{Namespace, is_host_key};
pub use options::{ConnectionOptions, HostTrust, LatticeOptions};
pub use transfer::{Offer, TransferCounts, TransferSettings, Transfers};
