//! The hosts of a lattice: heartbeats, who is there, what each runs, and the events of 2021.
//!
//! Heartbeats have a constant size, are signed with host keys and say when the inventory of their host has changed. Inventories
//! are requested then, in pages. The other hosts answer the first heartbeat of a host with theirs. A host that is silent for two
//! intervals is down, but no host is judged while the own connection does not work: see `roster`.

mod beat;
mod counts;
mod era;
mod index;
mod inventory;
mod roster;
mod state;
mod task;
#[cfg(test)]
mod tests;
mod throttle;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nkeys::{KeyPair, KeyPairType};
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant;
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::connection::Connection;
use crate::endorsement::Endorsement;
use crate::namespace::Namespace;
use crate::options::LatticeOptions;
use beat::BeatKind;
use counts::Counters;
use era::EraHosts;
use index::{Index, entity_key};
use roster::Roster;
use state::{Known, MembershipState};

pub use beat::EntityCounts;
pub use counts::MembershipCounts;
pub use era::{EraEntities, EraEntity, EraEvent, EraHealth, EraSource};
pub use inventory::{Inventory, InventoryEntity, InventoryPart, InventorySource};
pub use roster::{MembershipEvent, Peer, PeerStatus};
pub use throttle::Throttle;

/// How many events a receiver may lag behind.
const EVENTS: usize = 1024;

/// How long the other hosts may take to answer when this one joins. It is an interval, if that is shorter.
const GREETINGS: Duration = Duration::from_secs(1);

/// How many intervals a host of 2021 may be silent before it is forgotten.
const ERA_SILENCE: u32 = 4;

/// The hosts that share a namespace with this one. Cheap to clone. The tasks end with [`leave`](Membership::leave).
#[derive(Debug, Clone)]
pub struct Membership(Arc<MembershipState>);

/// What a host needs to take part.
pub struct MembershipSettings {
    /// The connection of heartbeats, pings and inventories.
    pub connection: Connection,
    /// The connection of the events of 2021.
    pub control: Connection,
    /// The key of the host (`SN...`).
    pub key: Arc<KeyPair>,
    /// The version of the host's software. Longer than 24 characters, it is cut.
    pub software: String,
    /// What the host runs.
    pub source: Arc<dyn InventorySource>,
    /// What its heartbeats of 2021 tell. `None` sends none.
    pub era_source: Option<Arc<dyn EraSource>>,
}

/// The hosts that run an entity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntityHosts {
    /// The public keys of the hosts that are up and accept calls, in order.
    pub hosts: Vec<String>,
    /// Whether the inventories of all hosts are known in their last version. Otherwise, further hosts may run the entity. It is
    /// not while the connection does not work, and for 1 s after the host has joined, in which the others answer.
    pub is_complete: bool,
}

/// A host of 2021.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EraHost {
    /// The public key that it names itself by. It is not proven.
    pub host: String,
    /// The time since its last event.
    pub silent_for: Duration,
}

impl Membership {
    /// Starts to take part, as soon as and whenever the host is connected. The tasks run on the current tokio runtime.
    ///
    /// # Errors
    /// `InvalidArgument` if an option is invalid or the key is not a host's.
    pub fn start(options: &LatticeOptions, settings: MembershipSettings) -> Result<Membership> {
        options.validate()?;
        let host = settings.key.public_key();
        if settings.key.key_pair_type() != KeyPairType::Server || settings.key.sign(b"").is_err() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("{host} is not a host key with its seed (SN...)"),
            ));
        }
        let incarnation = clock();
        let known = Known {
            roster: Roster::new(host.clone(), incarnation, options.token_window),
            index: Index::default(),
            era: EraHosts::default(),
            is_cordoned: false,
            is_draining: false,
        };
        let shared = Arc::new(MembershipState {
            connection: settings.connection,
            control: settings.control,
            namespace: Namespace::new(&options.namespace)?,
            endorsement: options
                .cluster_key()?
                .and_then(|cluster| Endorsement::new(&cluster, &options.namespace, &host)),
            key: settings.key,
            host,
            incarnation,
            started: Instant::now(),
            trust: options.host_trust()?,
            interval: options.heartbeat_interval,
            software: settings.software,
            source: settings.source,
            era_source: settings.era_source,
            sequence: AtomicU64::new(0),
            known: Mutex::new(known),
            counters: Counters::default(),
            events: broadcast::Sender::new(EVENTS),
            changed: Notify::new(),
            outdated: Notify::new(),
            leaving: watch::Sender::new(false),
        });
        task::spawn(&shared);
        Ok(Membership(shared))
    }

    /// Returns the public key of this host.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// Returns the other hosts, in the order of their keys. Departed ones remain for a while, with their status.
    pub fn peers(&self) -> Vec<Peer> {
        let mut peers: Vec<Peer> = self.0.known().roster.peers().cloned().collect();
        peers.sort_unstable_by(|one, other| one.host.cmp(&other.host));
        peers
    }

    /// Returns another host.
    pub fn peer(&self, host: &str) -> Option<Peer> {
        self.0.known().roster.peer(host).cloned()
    }

    /// Returns a receiver of changes. One that lags is told how many it missed; [`peers`](Membership::peers) is current.
    pub fn events(&self) -> broadcast::Receiver<MembershipEvent> {
        self.0.events.subscribe()
    }

    /// Returns how many messages were heard and refused.
    pub fn counts(&self) -> MembershipCounts {
        self.0.counters.read()
    }

    /// Returns the other hosts that run an actor or provider and accept calls.
    pub fn hosts_of(&self, entity: &WasmCloudEntity) -> EntityHosts {
        let key = match entity {
            WasmCloudEntity::Actor(id) => entity_key(id, None),
            WasmCloudEntity::Capability { id, link_name, .. } => entity_key(id, Some(link_name)),
            _ => return EntityHosts { hosts: Vec::new(), is_complete: true },
        };
        let known = self.0.known();
        let has_settled = known.roster.has_settled_for(Instant::now(), self.0.interval.min(GREETINGS));
        let is_available = |host: &&String| known.roster.peer(host).is_some_and(Peer::is_available);
        let hosts = known.index.hosts_of(&key).filter(is_available).cloned().collect();
        let up = known.roster.peers().filter(|peer| peer.status == PeerStatus::Up);
        let is_known = |peer: &Peer| known.index.is_complete(&peer.host, peer.incarnation, peer.inventory_version);
        EntityHosts { hosts, is_complete: has_settled && up.into_iter().all(is_known) }
    }

    /// Returns the actors and providers that another host runs, as far as its inventory is known. A provider is followed by a
    /// dot and its link name.
    pub fn entities_of(&self, host: &str) -> Vec<String> {
        self.0.known().index.entities_of(host).cloned().collect()
    }

    /// Returns the hosts of 2021 that have sent events in the last four intervals, in the order of their keys. As their events
    /// are not signed, any program on the server can pretend to be one.
    pub fn era_hosts(&self) -> Vec<EraHost> {
        let known = self.0.known();
        let now = Instant::now();
        let is_other = |host: &String| *host != self.0.host && known.roster.peer(host).is_none();
        let hosts = known.era.iter().filter(|(host, _)| is_other(host));
        let mut hosts: Vec<EraHost> = hosts
            .map(|(host, seen)| EraHost { host: host.clone(), silent_for: now.saturating_duration_since(*seen) })
            .filter(|host| host.silent_for <= self.0.interval * ERA_SILENCE)
            .collect();
        hosts.sort_unstable_by(|one, other| one.host.cmp(&other.host));
        hosts
    }

    /// Reads the inventory of another host.
    ///
    /// # Errors
    /// `LatticeUnavailable` without connection or host, `DeadlineExceeded` without its answer, `LatticeRefused` if it did not
    /// sign an answer, `Busy` if the inventory changes faster than it is read.
    pub async fn inventory(&self, host: &str) -> Result<Inventory> {
        inventory::fetch(&self.0.connection, &self.0.namespace, host).await
    }

    /// Measures the time of a message to another host and back.
    ///
    /// # Errors
    /// As [`Connection::request`].
    pub async fn round_trip(&self, host: &str, limit: Duration) -> Result<Duration> {
        self.0.round_trip(host, limit).await
    }

    /// Tells the other hosts at once that the inventory has changed. Otherwise, the next heartbeat does.
    pub fn inventory_changed(&self) {
        self.0.changed.notify_one();
    }

    /// Tells the other hosts whether this one accepts nothing new from the lattice, and whether it is about to leave.
    pub fn set_cordoned(&self, is_cordoned: bool, is_draining: bool) {
        {
            let mut known = self.0.known();
            known.is_cordoned = is_cordoned;
            known.is_draining = is_draining;
        }
        self.0.changed.notify_one();
    }

    /// Publishes an event of 2021.
    ///
    /// # Errors
    /// As [`Connection::publish`].
    pub async fn tell(&self, event: &EraEvent) -> Result<()> {
        self.0.publish_era_event(event).await
    }

    /// Tells the other hosts that this one leaves, waits until the server has read it, and ends the tasks. The host takes part no
    /// more.
    ///
    /// # Errors
    /// `LatticeUnavailable` if the server did not confirm it. The other hosts notice the silence then.
    pub async fn leave(&self, limit: Duration) -> Result<()> {
        if self.0.leaving.send_replace(true) {
            return Ok(());
        }
        self.0.publish_heartbeat(BeatKind::Leaving).await?;
        self.0.publish_era_event(&EraEvent::HostStopped).await?;
        self.0.connection.round_trip(limit).await?;
        self.0.control.round_trip(limit).await
    }
}

impl fmt::Debug for MembershipSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.key.public_key();
        f.debug_struct("MembershipSettings").field("host", &host).finish_non_exhaustive()
    }
}

/// Returns the time. Unit: milliseconds since 1970.
fn clock() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
