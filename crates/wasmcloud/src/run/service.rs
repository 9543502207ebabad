//! The service manager: tells systemd what the host does, if systemd has started it. Elsewhere all of this has no effect.

use std::convert::Infallible;
use std::time::Duration;

use sd_notify::NotifyState;
use wasmcloud_host::{Host, WasmCloudEntity};

/// Reports that the host has started, with its state in words.
pub(super) fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Reports that the manifests are being applied again. [`ready`] follows.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => log::warn!("the service manager is not told of the reload: the clock cannot be read: {error}"),
    }
}

/// Reports that the host finishes its work, which may take as long as the grace period.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("finishing what is in flight")]);
}

/// Reports that the host is alive, as often as the service manager asks for it. Does not return. Each report waits for an
/// answer of the host's supervisor: a host that hangs is reported no more.
pub(super) async fn keep_alive(host: &Host) -> Infallible {
    let Some(period) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut interval = tokio::time::interval((period / 2).max(Duration::from_millis(1)));
    loop {
        interval.tick().await;
        // The host is no child of itself, so its supervisor refuses at once, which shows that it answers.
        let _ = host.health_of(WasmCloudEntity::Host).await;
        notify(&[NotifyState::Watchdog]);
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("the service manager cannot be told: {error}");
    }
}
