//! The lattice as embedders see it.

use std::sync::atomic::Ordering;
use std::time::Duration;
#[cfg(feature = "telemetry")]
use std::time::Instant;

use wasmcloud_control::ControlCounts;
#[cfg(feature = "telemetry")]
use wasmcloud_lattice::EraHost;
use wasmcloud_lattice::edge::EdgeCounts;
use wasmcloud_lattice::registry::RegistryCounters;
use wasmcloud_lattice::{AdvertisementCounts, ConnectionCounts, LatticeState, MembershipCounts, Peer, PeerStatus};

use super::{Node, RegistryState};

/// A point-in-time view of a lattice. See [`Host::lattice`](crate::Host::lattice).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LatticeView {
    /// The state of this host. It is ready once it has joined.
    pub state: LatticeState,
    /// The namespace.
    pub namespace: String,
    /// Whether this host is cordoned.
    pub is_cordoned: bool,
    /// Whether messages of any host are accepted, since no host or cluster key is named as trusted.
    pub trusts_any_host: bool,
    /// Whether any program on the NATS server may control the host, since no control issuer is named.
    pub is_control_open: bool,
    /// Whether the NATS server keeps the registry. Otherwise, links and claims travel by the advertisements of 2021, and are
    /// lost when the hosts that know them stop.
    pub has_registry: bool,
    /// The changes of links that were made without a connection, and that other hosts do not know yet.
    pub waiting_links: usize,
    /// The other hosts, in the order of their keys. Departed ones remain for a while.
    pub hosts: Vec<LatticePeer>,
    /// The public keys of hosts of 2021 that were heard lately. They are not proven.
    pub era_hosts: Vec<String>,
    /// How many messages came and went.
    pub counts: LatticeCounts,
}

/// The hosts of a lattice, without what they run.
#[cfg(feature = "telemetry")]
#[derive(Debug)]
pub(crate) struct LatticeHosts {
    pub(crate) state: LatticeState,
    pub(crate) namespace: String,
    pub(crate) is_cordoned: bool,
    /// The other hosts. Those that fell silent are among them for a day.
    pub(crate) peers: Vec<Peer>,
    pub(crate) era_hosts: Vec<EraHost>,
}

#[cfg(feature = "telemetry")]
impl LatticeHosts {
    pub(super) fn of(node: &Node) -> LatticeHosts {
        LatticeHosts {
            state: node.state(),
            namespace: node.namespace.as_str().to_owned(),
            is_cordoned: node.is_cordoned.load(Ordering::Relaxed),
            peers: node.silent.complete(node.membership.peers(), Instant::now()),
            era_hosts: node.membership.era_hosts(),
        }
    }
}

/// Another host of a lattice.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LatticePeer {
    /// The public key.
    pub host: String,
    /// Whether the host is up. It is not if it has left, or was silent for two heartbeats.
    pub is_up: bool,
    /// Whether the host accepts nothing new from the lattice.
    pub is_cordoned: bool,
    /// The version of the host's software.
    pub version: String,
    /// How long the host has been running.
    pub uptime: Duration,
    /// The time since its last heartbeat.
    pub silent_for: Duration,
    /// The time of a message to the host and back, when it was measured last.
    pub round_trip: Option<Duration>,
    /// What the host runs, as far as its inventory is known.
    pub entities: Vec<LatticeEntity>,
}

/// An actor or provider on another host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LatticeEntity {
    /// The public key.
    pub id: String,
    /// The link name of a provider.
    pub link_name: Option<String>,
}

impl LatticeEntity {
    fn parse(text: &str) -> LatticeEntity {
        match text.split_once('.') {
            Some((id, link_name)) => LatticeEntity { id: id.to_owned(), link_name: Some(link_name.to_owned()) },
            None => LatticeEntity { id: text.to_owned(), link_name: None },
        }
    }
}

/// How many messages of the lattice came, went, and were refused.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LatticeCounts {
    /// Calls to other hosts.
    pub called: u64,
    /// Calls of other hosts that were served.
    pub served: u64,
    /// Calls that were sent again, because the first host did not execute them.
    pub sent_again: u64,
    /// Calls of which it is not known whether they were executed.
    pub unknown: u64,
    /// Calls of other hosts that were refused as busy.
    pub busy: u64,
    /// Calls of other hosts that were cancelled.
    pub cancelled: u64,
    /// What was admitted and refused at the edge.
    pub edge: EdgeCounts,
    /// The heartbeats accepted and refused.
    pub membership: MembershipCounts,
    /// The events of the connection.
    pub connection: ConnectionCounts,
    /// The entries of the registry that were read, written and refused. `None` until it is open.
    pub registry: Option<RegistryCounters>,
    /// The advertisements of 2021 that came, went and were refused.
    pub advertisements: AdvertisementCounts,
    /// What operators requested, and how it was answered.
    pub control: ControlCounts,
}

impl LatticeView {
    pub(super) fn of(node: &Node) -> LatticeView {
        let rpc = node.rpc.counts();
        let registry = node.registry_state();
        LatticeView {
            state: node.state(),
            namespace: node.namespace.as_str().to_owned(),
            is_cordoned: node.is_cordoned.load(Ordering::Relaxed),
            trusts_any_host: node.trusts_any_host,
            is_control_open: node.control_interface.is_open(),
            has_registry: matches!(registry, RegistryState::Open(_)),
            waiting_links: node.links.waiting(),
            hosts: node.membership.peers().into_iter().map(|peer| LatticePeer::of(node, peer)).collect(),
            era_hosts: node.membership.era_hosts().into_iter().map(|host| host.host).collect(),
            counts: LatticeCounts {
                called: rpc.called,
                served: rpc.served,
                sent_again: rpc.sent_again,
                unknown: rpc.unknown,
                busy: rpc.busy,
                cancelled: rpc.cancelled,
                edge: rpc.edge,
                membership: node.membership.counts(),
                connection: node.connection.counts(),
                registry: match registry {
                    RegistryState::Open(open) => Some(open.registry.counters()),
                    _ => None,
                },
                advertisements: node.advertisements.counts(),
                control: node.control_interface.counts(),
            },
        }
    }
}

impl LatticePeer {
    fn of(node: &Node, peer: Peer) -> LatticePeer {
        let entities = node.membership.entities_of(&peer.host);
        LatticePeer {
            is_up: peer.status == PeerStatus::Up,
            is_cordoned: peer.is_cordoned || peer.is_draining,
            version: peer.version,
            uptime: peer.uptime,
            silent_for: peer.last_heard.elapsed(),
            round_trip: peer.round_trip,
            entities: entities.iter().map(|entity| LatticeEntity::parse(entity)).collect(),
            host: peer.host,
        }
    }
}
