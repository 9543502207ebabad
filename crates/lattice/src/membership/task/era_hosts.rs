//! Hears the events of hosts of 2021, and sends such heartbeats.

use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use wasmcloud_core::error::Result;

use super::super::{ERA_SILENCE, EraEvent, MembershipState, era};
use crate::connection::Subject;

/// How long a host that sends events of 2021 has to show that it speaks the current protocol: such hosts send them, too.
const ACQUAINTANCE: Duration = Duration::from_millis(500);

/// The number of other hosts from which on heartbeats of 2021 are sent to hosts of 2021 alone: every host hears them, with
/// all claims. Control clients of 2021 hear those of smaller lattices.
const MOST_PEERS: usize = 16;

/// A host that has sent its first event.
struct Newcomer {
    host: String,
    /// When it is reported.
    due: Instant,
}

/// The hosts that have sent their first events and are not reported yet, in the order of their events.
#[derive(Default)]
struct Newcomers(VecDeque<Newcomer>);

impl Newcomers {
    /// Adds a host. Ignores it if as many hosts wait as are known at a time: their events are not signed.
    fn add(&mut self, host: String, now: Instant) {
        if self.0.len() < era::MOST_HOSTS {
            self.0.push_back(Newcomer { host, due: now + ACQUAINTANCE });
        }
    }

    /// Waits until the next host is due, and returns it. Waits forever if there is none.
    async fn next(&mut self) -> String {
        let Some(next) = self.0.front() else { return pending().await };
        sleep_until(next.due).await;
        match self.0.pop_front() {
            Some(newcomer) => newcomer.host,
            None => pending().await,
        }
    }
}

/// Hears the events of 2021, and sends such heartbeats.
pub(super) async fn hear(shared: &MembershipState) -> Result<()> {
    let mut status = shared.control.watch();
    let mut events = shared.control.subscribe(Subject::new(shared.namespace.events())).await?;
    shared.publish_era_event(&EraEvent::HostStarted).await?;
    let mut next_beat = Instant::now();
    let mut newcomers = Newcomers::default();
    loop {
        tokio::select! {
            message = events.next() => {
                let Some(message) = message else { return Ok(()) };
                if let Some(host) = era::origin(&message?.payload)
                    && shared.hear_era_host(&host)
                {
                    newcomers.add(host, Instant::now());
                }
            }
            host = newcomers.next() => shared.announce_era_host(host),
            () = sleep_until(next_beat) => {
                next_beat = Instant::now() + shared.interval;
                shared.known().era.forget(Instant::now(), shared.interval * ERA_SILENCE);
                if shared.knows_era_hosts() || shared.known().roster.peers().count() < MOST_PEERS {
                    send_era_heartbeats(shared).await;
                }
            }
            changed = status.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
            }
        }
    }
}

/// Sends what the host runs and knows, in as many heartbeats as it takes.
async fn send_era_heartbeats(shared: &MembershipState) {
    let Some(source) = &shared.era_source else { return };
    let Some(server) = shared.control.server() else { return };
    let (heartbeats, left_out) = era::heartbeats(source.claims(), source.entities(), server.max_payload);
    if left_out > 0 {
        shared.counters.add(|counts| counts.left_out += left_out as u64);
        log::warn!("{left_out} items are left out of the heartbeat of 2021: each is larger than a message may be");
    }
    for heartbeat in &heartbeats {
        if let Err(error) = shared.publish_era_event(heartbeat).await {
            log::debug!("no heartbeat of 2021: {error}");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_newcomers_is_bounded() {
        let mut newcomers = Newcomers::default();
        for number in 0..2 * era::MOST_HOSTS {
            newcomers.add(number.to_string(), Instant::now());
        }
        assert_eq!(newcomers.0.len(), era::MOST_HOSTS);
    }
}
