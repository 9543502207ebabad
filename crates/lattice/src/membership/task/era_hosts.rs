//! Hears the events of hosts of 2021, and sends such heartbeats.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use wasmcloud_core::error::Result;

use super::super::{ERA_SILENCE, EraEvent, MembershipState, era};
use crate::connection::Subject;

/// How long a host that sends events of 2021 has to show that it is of this kind, which sends them too.
const ACQUAINTANCE: Duration = Duration::from_millis(500);

/// A host that has sent its first event.
struct Newcomer {
    host: String,
    due: Instant,
}

/// Hears the events of 2021, and sends such heartbeats.
pub(super) async fn hear(shared: &MembershipState) -> Result<()> {
    let mut status = shared.control.watch();
    let mut events = shared.control.subscribe(Subject::new(shared.namespace.events())).await?;
    shared.publish_era_event(&EraEvent::HostStarted).await?;
    let mut next_beat = Instant::now();
    let mut newcomers: Vec<Newcomer> = Vec::new();
    loop {
        tokio::select! {
            message = events.next() => {
                let Some(message) = message else { return Ok(()) };
                if let Some(host) = era::origin(&message?.payload)
                    && shared.hear_era_host(&host)
                {
                    newcomers.push(Newcomer { host, due: Instant::now() + ACQUAINTANCE });
                }
            }
            () = sleep_until(newcomers.first().map_or(next_beat, |newcomer| newcomer.due)), if !newcomers.is_empty() => {
                shared.announce_era_host(newcomers.remove(0).host);
            }
            () = sleep_until(next_beat) => {
                next_beat = Instant::now() + shared.interval;
                shared.known().era.forget(Instant::now(), shared.interval * ERA_SILENCE);
                // Claims are told to those who understand them alone: heartbeats of this kind have a constant size.
                if shared.knows_era_hosts() {
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
