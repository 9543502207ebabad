//! Reads the inventories of the hosts that say that theirs have changed.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{sleep, timeout};

use super::super::roster::PeerStatus;
use super::super::{MembershipState, Peer, inventory};
use crate::connection::random_share;

/// How many inventories are read at a time.
const READERS: usize = 4;

/// The delay for each known host, at most, so that the hosts do not all ask the same one at once.
const SPREAD: Duration = Duration::from_millis(1);

/// The longest of these delays.
const LONGEST_SPREAD: Duration = Duration::from_secs(1);

/// When another attempt follows a failed one.
const RETRY: Duration = Duration::from_secs(1);

/// How long a measurement of the way to a host may take.
const ROUND_TRIP: Duration = Duration::from_secs(2);

/// A host whose inventory has changed.
struct Outdated {
    host: String,
    incarnation: u64,
}

/// Reads the inventories that have changed, as long as it is polled.
pub(super) async fn read_inventories(shared: &MembershipState) {
    let mut has_failed = false;
    loop {
        if has_failed {
            // The next heartbeat may come first.
            let _ = timeout(RETRY.min(shared.interval), shared.outdated.notified()).await;
        } else {
            shared.outdated.notified().await;
        }
        sleep(spread(shared)).await;
        let (sender, mut failures) = tokio::sync::mpsc::channel(1);
        let sender = &sender;
        let read = |outdated: Outdated| async move {
            if !read_inventory(shared, &outdated).await {
                // One failure is as good as several.
                let _ = sender.try_send(());
            }
        };
        stream::iter(outdated(shared)).for_each_concurrent(READERS, read).await;
        has_failed = failures.try_recv().is_ok();
    }
}

fn spread(shared: &MembershipState) -> Duration {
    let hosts = u32::try_from(shared.known().roster.peers().count()).unwrap_or(u32::MAX);
    (SPREAD * hosts).min(LONGEST_SPREAD).min(shared.interval / 4).mul_f64(random_share())
}

/// Returns the hosts whose inventories are not known in their last version.
fn outdated(shared: &MembershipState) -> Vec<Outdated> {
    let known = shared.known();
    let is_outdated = |peer: &&Peer| {
        let is_known = known.index.has(&peer.host, peer.incarnation, peer.inventory_version);
        peer.status == PeerStatus::Up && !is_known
    };
    let outdated = |peer: &Peer| Outdated { host: peer.host.clone(), incarnation: peer.incarnation };
    known.roster.peers().filter(is_outdated).map(outdated).collect()
}

/// Reads the inventory of a host, and returns whether it is known now.
async fn read_inventory(shared: &MembershipState, outdated: &Outdated) -> bool {
    let Outdated { host, incarnation } = outdated;
    match inventory::fetch(&shared.connection, &shared.namespace, host).await {
        Ok(inventory) => {
            take(shared, outdated, &inventory);
            measure(shared, host).await;
            true
        }
        Err(error) => {
            shared.counters.add(|counts| counts.failed_inventories += 1);
            log::debug!("the inventory of host {host} (incarnation {incarnation}) cannot be read: {error}");
            false
        }
    }
}

fn take(shared: &MembershipState, outdated: &Outdated, inventory: &inventory::Inventory) {
    let mut known = shared.known();
    let peer = known.roster.peer(&outdated.host);
    // It may have left or restarted meanwhile.
    if peer.is_some_and(|peer| peer.status == PeerStatus::Up && peer.incarnation == outdated.incarnation) {
        known.index.set(&outdated.host, outdated.incarnation, inventory);
    }
}

/// Measures the way to a host once, when its inventory is read for the first time.
async fn measure(shared: &MembershipState, host: &str) {
    let is_measured = shared.known().roster.peer(host).is_some_and(|peer| peer.round_trip.is_some());
    if !is_measured && let Err(error) = shared.round_trip(host, ROUND_TRIP).await {
        log::debug!("the way to host {host} cannot be measured: {error}");
    }
}
