//! Hears the events of hosts of 2021, and sends such heartbeats.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use wasmcloud_core::error::Result;

use super::super::{ERA_SILENCE, EraEvent, Inner, era};
use crate::connection::Subject;

/// How long a host that sends events of 2021 has to show that it is of this kind, which sends them too.
const ACQUAINTANCE: Duration = Duration::from_millis(500);

/// A host that has sent its first event.
struct Newcomer {
    host: String,
    due: Instant,
}

/// Hears the events of 2021, and sends such heartbeats.
pub(super) async fn hear(inner: &Inner) -> Result<()> {
    let mut status = inner.control.watch();
    let mut events = inner.control.subscribe(Subject::new(inner.namespace.events())).await?;
    inner.tell(&EraEvent::HostStarted).await?;
    let mut next_beat = Instant::now();
    let mut newcomers: Vec<Newcomer> = Vec::new();
    loop {
        tokio::select! {
            message = events.next() => {
                let Some(message) = message else { return Ok(()) };
                if let Some(host) = era::origin(&message?.payload)
                    && inner.hear_era_host(&host)
                {
                    newcomers.push(Newcomer { host, due: Instant::now() + ACQUAINTANCE });
                }
            }
            () = sleep_until(newcomers.first().map_or(next_beat, |newcomer| newcomer.due)), if !newcomers.is_empty() => {
                inner.announce_era_host(newcomers.remove(0).host);
            }
            () = sleep_until(next_beat) => {
                next_beat = Instant::now() + inner.interval;
                inner.known().era.forget(Instant::now(), inner.interval * ERA_SILENCE);
                // Claims are told to those who understand them alone: heartbeats of this kind have a constant size.
                if inner.knows_era_hosts() {
                    send_era_heartbeats(inner).await;
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
async fn send_era_heartbeats(inner: &Inner) {
    let Some(source) = &inner.era_source else { return };
    let Some(server) = inner.control.server() else { return };
    let (heartbeats, left_out) = era::heartbeats(source.claims(), source.entities(), server.max_payload);
    if left_out > 0 {
        inner.counters.add(|counts| counts.left_out += left_out as u64);
        log::warn!("{left_out} items are left out of the heartbeat of 2021: each is larger than a message may be");
    }
    for heartbeat in &heartbeats {
        if let Err(error) = inner.tell(heartbeat).await {
            log::debug!("no heartbeat of 2021: {error}");
            return;
        }
    }
}
