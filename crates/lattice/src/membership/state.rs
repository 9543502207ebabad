//! The state that the tasks and handles of one membership share.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use nkeys::KeyPair;
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::beat::{BeatKind, Heartbeat, PROTOCOL};
use super::counts::Counters;
use super::era::{self, EraEvent, EraHosts, EraSource};
use super::index::Index;
use super::roster::{MembershipEvent, Roster};
use super::{InventorySource, clock};
use crate::connection::Connection;
use crate::endorsement::Endorsement;
use crate::namespace::Namespace;
use crate::options::HostTrust;

/// The shared state of one membership.
pub(super) struct MembershipState {
    /// Carries heartbeats, pings and inventories.
    pub(super) connection: Connection,
    /// Carries the events of 2021.
    pub(super) control: Connection,
    /// The namespace of the lattice.
    pub(super) namespace: Namespace,
    /// The key of this host, which signs its heartbeats and inventories.
    pub(super) key: Arc<KeyPair>,
    /// The public key of this host (`N...`).
    pub(super) host: String,
    /// The start of this host. Unit: milliseconds since 1970.
    pub(super) incarnation: u64,
    /// The start of this host, by the clock that is never set.
    pub(super) started: Instant,
    /// The hosts and clusters that this host trusts.
    pub(super) trust: HostTrust,
    /// The proof that this host belongs to a cluster. `None` without a cluster.
    pub(super) endorsement: Option<Endorsement>,
    /// The time between two heartbeats.
    pub(super) interval: Duration,
    /// The version of this host's software.
    pub(super) software: String,
    /// Supplies the inventory of this host.
    pub(super) source: Arc<dyn InventorySource>,
    /// Supplies the heartbeats of 2021. `None` sends none.
    pub(super) era_source: Option<Arc<dyn EraSource>>,
    /// The number of the last heartbeat. The first one is 1.
    pub(super) sequence: AtomicU64,
    /// The other hosts, and whether this host is cordoned or draining.
    pub(super) known: Mutex<Known>,
    /// The numbers of messages accepted and refused.
    pub(super) counters: Counters,
    /// Reports changes of the other hosts.
    pub(super) events: broadcast::Sender<MembershipEvent>,
    /// Requests a heartbeat at once.
    pub(super) changed: Notify,
    /// Requests that outdated inventories are read.
    pub(super) outdated: Notify,
    /// Whether the host leaves. `true` ends the tasks.
    pub(super) leaving: watch::Sender<bool>,
}

/// The other hosts, and whether this host is cordoned or draining.
#[derive(Debug)]
pub(super) struct Known {
    /// The other hosts that speak the current protocol.
    pub(super) roster: Roster,
    /// The actors and providers that they run.
    pub(super) index: Index,
    /// The hosts that speak only the protocol of 2021.
    pub(super) era: EraHosts,
    /// Whether this host accepts nothing new from the lattice. Default: no.
    pub(super) is_cordoned: bool,
    /// Whether this host is about to leave. Default: no.
    pub(super) is_draining: bool,
}

impl MembershipState {
    /// Returns whether another host of 2021 is known. It is forgotten after four heartbeat intervals of silence.
    pub(super) fn knows_era_hosts(&self) -> bool {
        let known = self.known();
        known.era.iter().any(|(host, _)| *host != self.host && known.roster.peer(host).is_none())
    }

    /// Records an event of 2021. Returns whether its host is new and does not speak the current protocol.
    pub(super) fn hear_era_host(&self, host: &str) -> bool {
        let mut known = self.known();
        // Hosts that speak the current protocol publish these events, too, and must not take the places of others.
        let is_current = host == self.host || known.roster.peer(host).is_some();
        !is_current && known.era.hear(host.to_owned(), Instant::now())
    }

    /// Reports a host of 2021, unless it has since joined by the current protocol.
    pub(super) fn announce_era_host(&self, host: String) {
        if self.known().roster.peer(&host).is_none() {
            self.emit([MembershipEvent::EraHostUp { host }]);
        }
    }

    /// Locks what is known.
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports changes to the receivers of events and to the log.
    pub(super) fn emit(&self, events: impl IntoIterator<Item = MembershipEvent>) {
        for event in events {
            log::info!(peer = event.host(); "{event}");
            // Sending fails only without receivers, who can read the roster instead.
            let _ = self.events.send(event);
        }
    }

    /// Publishes a heartbeat to all hosts.
    pub(super) async fn publish_heartbeat(&self, kind: BeatKind) -> Result<()> {
        self.publish_heartbeat_to(self.namespace.peer("heartbeat"), kind).await
    }

    /// Publishes a heartbeat on a subject.
    pub(super) async fn publish_heartbeat_to(&self, subject: String, kind: BeatKind) -> Result<()> {
        let message = self.next_heartbeat(kind).sign(self.namespace.as_str(), &self.key);
        let message = message.ok_or_else(|| Error::new(ErrorKind::Internal, "the host key does not sign"))?;
        self.connection.publish(subject, message.into()).await
    }

    /// Returns the next heartbeat, with the next sequence number.
    fn next_heartbeat(&self, kind: BeatKind) -> Heartbeat {
        let counts = self.source.counts();
        let inventory_version = self.source.version();
        let known = self.known();
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Heartbeat {
            kind,
            is_cordoned: known.is_cordoned,
            is_draining: known.is_draining,
            host: self.host.clone(),
            incarnation: self.incarnation,
            sequence: self.sequence.fetch_add(1, Ordering::Relaxed) + 1,
            sent_at: clock(),
            uptime: millis(self.started.elapsed()),
            interval: u32::try_from(self.interval.as_millis()).unwrap_or(u32::MAX),
            protocol: PROTOCOL,
            software: self.software.chars().filter(char::is_ascii_graphic).collect(),
            counts,
            inventory_version,
            endorsement: self.endorsement.clone(),
        }
    }

    /// Measures the time of a message to a host and back, and stores it in the roster.
    pub(super) async fn round_trip(&self, host: &str, timeout: Duration) -> Result<Duration> {
        let sent = Instant::now();
        let subject = self.namespace.peer(&format!("host.{host}.ping"));
        self.connection.request(subject, Bytes::new(), timeout).await?;
        let time = sent.elapsed();
        self.known().roster.set_round_trip(host, time);
        Ok(time)
    }

    /// Publishes an event of 2021 on the control connection.
    pub(super) async fn publish_era_event(&self, event: &EraEvent) -> Result<()> {
        let seconds = clock() / 1000;
        let encoded = era::encode(event, &self.host, seconds);
        let message = encoded.ok_or_else(|| Error::new(ErrorKind::Internal, "an event cannot be encoded"))?;
        self.control.publish(self.namespace.events(), message).await
    }
}

impl fmt::Debug for MembershipState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MembershipState")
            .field("host", &self.host)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}
