//! What the tasks and the handles of a membership share.

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

/// What the tasks and the handles share.
pub(super) struct MembershipState {
    pub(super) connection: Connection,
    pub(super) control: Connection,
    pub(super) namespace: Namespace,
    pub(super) key: std::sync::Arc<KeyPair>,
    pub(super) host: String,
    pub(super) incarnation: u64,
    pub(super) started: Instant,
    pub(super) trust: HostTrust,
    pub(super) endorsement: Option<Endorsement>,
    pub(super) interval: Duration,
    pub(super) software: String,
    pub(super) source: Arc<dyn InventorySource>,
    pub(super) era_source: Option<Arc<dyn EraSource>>,
    pub(super) sequence: AtomicU64,
    pub(super) known: Mutex<Known>,
    pub(super) counters: Counters,
    pub(super) events: broadcast::Sender<MembershipEvent>,
    /// Sends a heartbeat at once.
    pub(super) changed: Notify,
    /// An inventory is outdated.
    pub(super) outdated: Notify,
    pub(super) leaving: watch::Sender<bool>,
}

/// What is known of other hosts.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) roster: Roster,
    pub(super) index: Index,
    pub(super) era: EraHosts,
    pub(super) is_cordoned: bool,
    pub(super) is_draining: bool,
}

impl MembershipState {
    /// Returns whether hosts of 2021 were heard lately.
    pub(super) fn knows_era_hosts(&self) -> bool {
        let known = self.known();
        known.era.iter().any(|(host, _)| *host != self.host && known.roster.peer(host).is_none())
    }

    /// Takes note of an event of 2021. Returns whether it is the first one of a host that is not known to be of this kind.
    pub(super) fn hear_era_host(&self, host: &str) -> bool {
        let mut known = self.known();
        let is_of_this_kind = host == self.host || known.roster.peer(host).is_some();
        known.era.hear(host.to_owned(), Instant::now()) && !is_of_this_kind
    }

    /// Reports a host of 2021, unless it has turned out to be one of this kind.
    pub(super) fn announce_era_host(&self, host: String) {
        if self.known().roster.peer(&host).is_none() {
            self.emit([MembershipEvent::EraHostUp { host }]);
        }
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn emit(&self, events: impl IntoIterator<Item = MembershipEvent>) {
        for event in events {
            log::info!("lattice: {event:?}");
            // Without receivers the roster alone tells.
            let _ = self.events.send(event);
        }
    }

    /// Sends a heartbeat to all hosts.
    pub(super) async fn beat(&self, kind: BeatKind) -> Result<()> {
        self.beat_on(self.namespace.peer("heartbeat"), kind).await
    }

    pub(super) async fn beat_on(&self, subject: String, kind: BeatKind) -> Result<()> {
        let message = self.heartbeat(kind).sign(self.namespace.as_str(), &self.key);
        let message = message.ok_or_else(|| Error::new(ErrorKind::Internal, "the host key does not sign"))?;
        self.connection.publish(subject, message.into()).await
    }

    pub(super) fn heartbeat(&self, kind: BeatKind) -> Heartbeat {
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

    pub(super) async fn round_trip(&self, host: &str, limit: Duration) -> Result<Duration> {
        let sent = Instant::now();
        let subject = self.namespace.peer(&format!("host.{host}.ping"));
        self.connection.request(subject, Bytes::new(), limit).await?;
        let time = sent.elapsed();
        self.known().roster.set_round_trip(host, time);
        Ok(time)
    }

    pub(super) async fn tell(&self, event: &EraEvent) -> Result<()> {
        let encoded = era::encode(event, &self.host, clock() / 1000);
        let message = encoded.ok_or_else(|| Error::new(ErrorKind::Internal, "an event cannot be encoded"))?;
        self.control.publish(self.namespace.events(), message).await
    }
}

impl fmt::Debug for MembershipState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership")
            .field("host", &self.host)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}
