//! Which host a call goes to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, watch};
use wasmcloud_core::entity::WasmCloudEntity;

use super::Inner;
use super::serving::told;
use crate::membership::MembershipEvent;

/// How long a host whose subject had no subscriber gets no calls, unless it shows itself again.
const ABSENCE: Duration = Duration::from_secs(1);

/// What this host knows of the hosts that it calls.
#[derive(Debug, Default)]
pub(super) struct Routes(Mutex<HashMap<Arc<str>, HostRoute>>);

#[derive(Debug)]
struct HostRoute {
    /// The calls that wait for an answer.
    in_flight: usize,
    absent_until: Option<Instant>,
    /// Changes when the host is lost.
    losses: watch::Sender<u64>,
}

/// A call that is on its way to a host.
#[derive(Debug)]
pub(super) struct Departure<'a> {
    routes: &'a Routes,
    pub(super) host: Arc<str>,
    losses: watch::Receiver<u64>,
}

impl Departure<'_> {
    /// Waits until the host is lost: it vanished, or it was restarted.
    pub(super) async fn host_lost(&mut self) {
        if self.losses.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        if let Some(route) = self.routes.hosts().get_mut(&self.host) {
            route.in_flight -= 1;
        }
    }
}

impl Routes {
    fn hosts(&self) -> MutexGuard<'_, HashMap<Arc<str>, HostRoute>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Chooses among hosts the one with the fewest calls in flight, and counts the call. Hosts that were tried are left out.
    fn choose(&self, hosts: &[String], tried: &[Arc<str>]) -> Option<Departure<'_>> {
        let mut known = self.hosts();
        let now = Instant::now();
        let mut chosen: Option<(usize, &String)> = None;
        for host in hosts {
            let route = known.get(host.as_str());
            let is_absent = route.and_then(|route| route.absent_until).is_some_and(|until| until > now);
            if is_absent || tried.iter().any(|tried| **tried == **host) {
                continue;
            }
            let in_flight = route.map_or(0, |route| route.in_flight);
            if chosen.is_none_or(|(fewest, _)| in_flight < fewest) {
                chosen = Some((in_flight, host));
            }
        }
        let (_, host) = chosen?;
        let key = known.get_key_value(host.as_str()).map_or_else(|| host.as_str().into(), |(key, _)| key.clone());
        let route = known.entry(key.clone()).or_insert_with(|| HostRoute {
            in_flight: 0,
            absent_until: None,
            losses: watch::Sender::new(0),
        });
        route.in_flight += 1;
        Some(Departure { routes: self, host: key, losses: route.losses.subscribe() })
    }

    /// Notes that the subject of a host has no subscriber.
    pub(super) fn absent(&self, host: &str) {
        if let Some(route) = self.hosts().get_mut(host) {
            route.absent_until = Some(Instant::now() + ABSENCE);
        }
    }

    /// Notes that a host has shown itself.
    fn present(&self, host: &str) {
        if let Some(route) = self.hosts().get_mut(host) {
            route.absent_until = None;
        }
    }

    /// Notes that a host is lost. Calls in flight to it may have been executed.
    fn lost(&self, host: &str) {
        let mut hosts = self.hosts();
        if let Some(route) = hosts.get_mut(host) {
            route.losses.send_modify(|losses| *losses += 1);
            if route.in_flight == 0 {
                hosts.remove(host);
            }
        }
    }
}

impl Inner {
    /// Returns the host that a call to an entity goes to, or `None` if no known host runs it.
    pub(super) fn choose(&self, target: &WasmCloudEntity, tried: &[Arc<str>]) -> Option<Departure<'_>> {
        self.routes.choose(&self.membership.hosts_of(target).hosts, tried)
    }
}

/// Follows which hosts come and go, until this host leaves.
pub(super) async fn follow(rpc: Arc<Inner>) {
    let mut events = rpc.membership.events();
    let mut is_open = rpc.is_open.subscribe();
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = told(&mut is_open, false) => return,
        };
        match event {
            Ok(MembershipEvent::Up { host, .. }) => {
                // A host that is up again was restarted.
                rpc.routes.lost(&host);
                rpc.routes.present(&host);
            }
            Ok(MembershipEvent::Down { host, .. } | MembershipEvent::Left { host, .. }) => {
                rpc.routes.lost(&host);
                rpc.edge.sessions().forget(&host);
            }
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}
