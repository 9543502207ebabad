//! Which host a call goes to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_nats::Subject;
use tokio::sync::broadcast;
use wasmcloud_core::entity::WasmCloudEntity;

use super::Inner;
use super::listening::told;
use crate::membership::{Membership, MembershipEvent, PeerStatus};

/// How long a host whose subject had no subscriber gets no calls, unless it shows itself again.
const ABSENCE: Duration = Duration::from_secs(1);

/// How long the hosts of an entity are remembered. A host that no longer runs it says so, and executes nothing.
const MEMORY: Duration = Duration::from_millis(20);

/// How long the sessions with a host that is gone are kept.
const LINGERING: Duration = Duration::from_secs(5);

/// The time between two attempts to begin a handshake with a host.
const BETWEEN_HANDSHAKES: Duration = Duration::from_millis(20);

/// How many entities are remembered.
const MOST_ENTITIES: usize = 1024;

/// What this host knows of the hosts that it calls.
#[derive(Debug, Default)]
pub(super) struct Routes(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    hosts: HashMap<Arc<str>, HostRoute>,
    entities: HashMap<WasmCloudEntity, Remembered>,
    /// How many calls have departed.
    departures: u64,
}

/// The hosts that run an entity.
#[derive(Debug)]
struct Remembered {
    hosts: Arc<[Arc<str>]>,
    until: Instant,
}

#[derive(Debug)]
struct HostRoute {
    /// The subject of the host's calls.
    subject: Subject,
    /// The calls that wait for an answer.
    in_flight: usize,
    /// The number of the last call that departed.
    last: u64,
    absent_until: Option<Instant>,
    /// When a handshake may begin again. Whether one is under way is not asked for each call.
    next_handshake: Option<Instant>,
    /// Whether nothing is to be remembered of the host when no call is in flight.
    is_gone: bool,
}

/// A call that is on its way to a host.
#[derive(Debug)]
pub(super) struct Departure<'a> {
    routes: &'a Routes,
    pub(super) host: Arc<str>,
    /// The subject of the host's calls.
    pub(super) subject: Subject,
}

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        let mut known = self.routes.known();
        if let Some(route) = known.hosts.get_mut(&self.host) {
            route.in_flight = route.in_flight.saturating_sub(1);
            if route.is_gone && route.in_flight == 0 {
                known.hosts.remove(&self.host);
            }
        }
    }
}

impl HostRoute {
    fn new(subject: Subject) -> HostRoute {
        HostRoute { subject, in_flight: 0, last: 0, absent_until: None, next_handshake: None, is_gone: false }
    }
}

impl Known {
    /// Returns the hosts that run an entity, as remembered or as the membership knows them.
    fn hosts_of(&mut self, target: &WasmCloudEntity, membership: &Membership, now: Instant) -> Arc<[Arc<str>]> {
        if let Some(remembered) = self.entities.get(target)
            && now < remembered.until
        {
            return remembered.hosts.clone();
        }
        let hosts = membership.hosts_of(target).hosts;
        let hosts: Arc<[Arc<str>]> = hosts.into_iter().map(Arc::from).collect();
        if self.entities.len() >= MOST_ENTITIES {
            self.entities.clear();
        }
        // That no host runs an entity is not remembered, so that the first one is found at once.
        if hosts.is_empty() {
            self.entities.remove(target);
        } else {
            self.entities.insert(target.clone(), Remembered { hosts: hosts.clone(), until: now + MEMORY });
        }
        hosts
    }

    fn is_absent(&self, host: &str, now: Instant) -> bool {
        self.hosts.get(host).and_then(|route| route.absent_until).is_some_and(|until| until > now)
    }

    /// Returns how many calls to a host are in flight, and which departed last.
    fn load(&self, host: &str) -> (usize, u64) {
        self.hosts.get(host).map_or((0, 0), |route| (route.in_flight, route.last))
    }

    /// Counts a call to a host, and returns the subject of its calls.
    fn depart(&mut self, host: &Arc<str>, subject_of: impl FnOnce(&str) -> String) -> Subject {
        self.departures += 1;
        let route = self.hosts.entry(host.clone()).or_insert_with(|| HostRoute::new(subject_of(host).into()));
        route.in_flight += 1;
        route.last = self.departures;
        route.subject.clone()
    }
}

impl Routes {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the subject of a host has no subscriber.
    pub(super) fn absent(&self, host: &str) {
        if let Some(route) = self.known().hosts.get_mut(host) {
            route.absent_until = Some(Instant::now() + ABSENCE);
        }
    }

    /// Returns whether a handshake with a host may begin now, and no other one for a while.
    pub(super) fn may_begin_handshake(&self, host: &str) -> bool {
        let now = Instant::now();
        let mut known = self.known();
        let Some(route) = known.hosts.get_mut(host) else { return true };
        let may_begin = route.next_handshake.is_none_or(|next| next <= now);
        if may_begin {
            route.next_handshake = Some(now + BETWEEN_HANDSHAKES);
        }
        may_begin
    }

    /// Notes that a host has shown itself.
    fn present(&self, host: &str) {
        let mut known = self.known();
        known.entities.clear();
        if let Some(route) = known.hosts.get_mut(host) {
            route.absent_until = None;
            route.is_gone = false;
        }
    }

    /// Notes that a host is gone.
    fn gone(&self, host: &str) {
        let mut known = self.known();
        known.entities.clear();
        if let Some(route) = known.hosts.get_mut(host) {
            route.is_gone = true;
            if route.in_flight == 0 {
                known.hosts.remove(host);
            }
        }
    }

    fn all(&self) -> Vec<Arc<str>> {
        self.known().hosts.keys().cloned().collect()
    }
}

impl Inner {
    /// Chooses the host that a call goes to: of those that run the target and were not tried, the one with the fewest calls in
    /// flight, and among equals the one that was called least recently. Counts the call. Returns `None` if there is no such host.
    pub(super) fn choose(&self, target: &WasmCloudEntity, tried: &[Arc<str>]) -> Option<Departure<'_>> {
        let now = Instant::now();
        let mut known = self.routes.known();
        let hosts = known.hosts_of(target, &self.membership, now);
        let candidates = hosts.iter().filter(|host| !tried.contains(host) && !known.is_absent(host, now));
        let host = candidates.min_by_key(|host| known.load(host))?.clone();
        let subject = known.depart(&host, |host| self.host_subject(host, "call"));
        Some(Departure { routes: &self.routes, host, subject })
    }

    /// Ends the calls to a host that is lost. They may have been executed.
    fn lose(&self, host: &str) {
        self.routes.gone(host);
        self.answers.host_lost(host);
    }
}

/// Follows which hosts come and go, until the connection is closed.
pub(super) async fn follow(rpc: Arc<Inner>) {
    let mut events = rpc.membership.events();
    let mut is_over = rpc.is_over.subscribe();
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = told(&mut is_over, true) => return,
        };
        match event {
            Ok(MembershipEvent::Up { host, .. }) => {
                // A host that is up again was restarted.
                rpc.lose(&host);
                rpc.routes.present(&host);
            }
            Ok(MembershipEvent::Down { host, .. }) => {
                rpc.lose(&host);
                tokio::spawn(forget(rpc.clone(), host));
            }
            // It has answered all calls before. The answers may not have been read yet.
            Ok(MembershipEvent::Left { host, .. }) => drop(tokio::spawn(forget(rpc.clone(), host))),
            Ok(MembershipEvent::Cordon { host, .. }) => rpc.routes.present(&host),
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(_)) => {
                let is_up = |host: &str| rpc.membership.peer(host).is_some_and(|peer| peer.status == PeerStatus::Up);
                rpc.routes.all().iter().filter(|host| !is_up(host)).for_each(|host| rpc.lose(host));
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Forgets the sessions with a host that is gone, unless it is back. Answers of it may still wait to be verified.
async fn forget(rpc: Arc<Inner>, host: String) {
    let mut is_over = rpc.is_over.subscribe();
    tokio::select! {
        () = tokio::time::sleep(LINGERING) => {}
        () = told(&mut is_over, true) => {}
    }
    if rpc.membership.peer(&host).is_none_or(|peer| peer.status != PeerStatus::Up) {
        rpc.lose(&host);
        rpc.edge.sessions().forget(&host);
    }
}
