//! The tasks of a member: one that beats, listens, answers and judges, and one that reads inventories.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Message;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::{Instant, sleep, sleep_until};
use wasmcloud_core::error::Result;

use super::beat::{BeatKind, Heartbeat, Unverified};
use super::roster::{MembershipEvent, PeerStatus, Refusal};
use super::throttle::Throttle;
use super::{ERA_SILENCE, EraEvent, Inner, clock, era, inventory};
use crate::connection::{LatticeState, Subject, Subscription, random_share};

/// The delay after a failure to subscribe.
const RETRY: Duration = Duration::from_millis(200);

/// How many inventories are read at a time.
const READERS: usize = 4;

/// The most heartbeats that are read before a verdict.
const BACKLOG: usize = 64 * 1024;

/// The answer of the server that the own connection works, and when it was asked for.
type Proof = Pin<Box<dyn Future<Output = (Instant, Result<()>)> + Send>>;

/// The subscriptions of a member, and what it does next.
struct Member {
    inner: Arc<Inner>,
    heartbeats: Subscription,
    pings: Subscription,
    inventories: Subscription,
    ping_limit: Throttle,
    page_limit: Throttle,
    next_beat: Instant,
    proof: Option<Proof>,
}

/// Starts the tasks.
pub(super) fn spawn(inner: &Arc<Inner>) {
    for task in [Task::Member, Task::Era, Task::Inventories] {
        let inner = Arc::clone(inner);
        tokio::spawn(async move {
            let mut leaving = inner.leaving.subscribe();
            tokio::select! {
                () = run(Arc::clone(&inner), task) => {}
                _ = leaving.wait_for(|is_leaving| *is_leaving) => {}
            }
        });
    }
}

#[derive(Clone, Copy)]
enum Task {
    Member,
    Era,
    Inventories,
}

/// Runs a task, and starts it again after a failure, until the connection is closed.
async fn run(inner: Arc<Inner>, task: Task) {
    if matches!(task, Task::Inventories) {
        return read_inventories(&inner).await;
    }
    let connection = if matches!(task, Task::Era) { &inner.control } else { &inner.connection };
    while connection.joined().await {
        let outcome = match task {
            Task::Era => hear_era(&inner).await,
            _ => take_part(&inner).await,
        };
        if let Err(error) = outcome {
            log::warn!("the host takes no part in the lattice and tries again: {error}");
        }
        sleep(RETRY).await;
    }
}

/// Subscribes and takes part, until a subscription fails.
async fn take_part(inner: &Arc<Inner>) -> Result<()> {
    let own = |name: &str| Subject::new(inner.namespace.peer(&format!("host.{}.{name}", inner.host)));
    let heartbeat = Subject::new(inner.namespace.peer("heartbeat"));
    let mut status = inner.connection.watch();
    let subscriptions = inner.connection.subscribe_all(vec![heartbeat, own("ping"), own("inventory")]).await?;
    let Ok([heartbeats, pings, inventories]) = <[Subscription; 3]>::try_from(subscriptions) else { return Ok(()) };
    let mut member = Member {
        inner: Arc::clone(inner),
        heartbeats,
        pings,
        inventories,
        ping_limit: Throttle::new(2000, 1000),
        page_limit: Throttle::new(400, 200),
        next_beat: Instant::now(),
        proof: None,
    };
    member.connected().await;
    loop {
        let due = member.time_to_judge();
        tokio::select! {
            message = member.heartbeats.next() => match message {
                Some(message) => member.hear(&message?),
                None => return Ok(()),
            },
            message = member.pings.next() => match message {
                Some(message) => member.answer_ping(message?).await,
                None => return Ok(()),
            },
            message = member.inventories.next() => match message {
                Some(message) => member.answer_inventory(message?).await,
                None => return Ok(()),
            },
            changed = status.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                let state = status.borrow_and_update().state.clone();
                member.state_changed(&state).await;
            }
            () = inner.changed.notified() => member.beat(BeatKind::Alive).await,
            () = sleep_until(member.next_beat) => member.beat(BeatKind::Alive).await,
            () = until(due) => member.ask_for_proof(),
            (asked, outcome) = proof(&mut member.proof) => member.judge(asked, &outcome),
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

async fn proof(proof: &mut Option<Proof>) -> (Instant, Result<()>) {
    let outcome = match proof {
        Some(proof) => proof.await,
        None => pending().await,
    };
    *proof = None;
    outcome
}

impl Member {
    async fn state_changed(&mut self, state: &LatticeState) {
        match state {
            LatticeState::Joined => self.connected().await,
            _ => {
                self.proof = None;
                self.inner.known().roster.unsettle();
            }
        }
    }

    /// Makes the host known, and begins to observe the others anew.
    async fn connected(&mut self) {
        {
            let mut known = self.inner.known();
            known.roster.unsettle();
            known.roster.settle(Instant::now());
        }
        self.beat(BeatKind::Joined).await;
    }

    async fn beat(&mut self, kind: BeatKind) {
        // Hosts that start together do not beat together.
        self.next_beat = Instant::now() + self.inner.interval.mul_f64(0.8 + 0.15 * random_share());
        if let Err(error) = self.inner.beat(kind).await {
            log::debug!("no heartbeat: {error}");
        }
    }

    /// Takes note of a heartbeat.
    fn hear(&self, message: &Message) {
        let inner = &*self.inner;
        match accept(inner, &message.payload) {
            Ok(None) => {}
            Ok(Some(beat)) => {
                inner.counters.add(|counts| counts.heartbeats += 1);
                accepted(inner, beat);
            }
            Err(refusal) => inner.counters.refuse(refusal),
        }
    }

    async fn answer_ping(&mut self, message: Message) {
        let Some(reply) = message.reply else { return };
        if !self.ping_limit.allows(Instant::now()) {
            return self.inner.counters.add(|counts| counts.throttled += 1);
        }
        if let Err(error) = self.inner.connection.publish(reply.to_string(), bytes::Bytes::new()).await {
            log::debug!("a ping is not answered: {error}");
        }
    }

    async fn answer_inventory(&mut self, message: Message) {
        let Some(reply) = message.reply else { return };
        let inner = &*self.inner;
        if !self.page_limit.allows(Instant::now()) {
            return inner.counters.add(|counts| counts.throttled += 1);
        }
        let answer = inventory::answer(&message.payload, &*inner.source, inner.namespace.as_str(), &inner.key);
        let Some(answer) = answer else { return inner.counters.add(|counts| counts.malformed_requests += 1) };
        if let Err(error) = inner.connection.publish(reply.to_string(), answer).await {
            log::debug!("a request for the inventory is not answered: {error}");
        }
    }

    /// Returns when a host will have been silent for too long, or when it may be time to find out whether the connection works
    /// again.
    fn time_to_judge(&self) -> Option<Instant> {
        if self.proof.is_some() {
            return None;
        }
        let known = self.inner.known();
        if known.roster.is_settled() {
            return known.roster.next_due();
        }
        Some(Instant::now() + self.inner.interval / 4)
    }

    /// Asks the server for an answer, which proves that the connection works and that all earlier messages have arrived.
    fn ask_for_proof(&mut self) {
        let (connection, limit) = (self.inner.connection.clone(), self.inner.interval);
        self.proof = Some(Box::pin(async move {
            let asked = Instant::now();
            (asked, connection.round_trip(limit).await)
        }));
    }

    /// Judges the hosts that were due before the server was asked, if it has answered.
    fn judge(&mut self, asked: Instant, outcome: &Result<()>) {
        // What arrived before the answer counts.
        for _ in 0..BACKLOG {
            match tokio::task::unconstrained(self.heartbeats.next()).now_or_never() {
                Some(Some(Ok(message))) => self.hear(&message),
                _ => break,
            }
        }
        let inner = &*self.inner;
        let events = {
            let mut known = inner.known();
            let now = Instant::now();
            match outcome {
                Ok(()) if known.roster.is_settled() => {}
                Ok(()) => known.roster.settle(now),
                Err(_) => known.roster.unsettle(),
            }
            let events = known.roster.judge(asked);
            for event in &events {
                if let MembershipEvent::Down { host } = event {
                    known.index.remove(host);
                }
            }
            known.roster.forget(now);
            events
        };
        if let Err(error) = outcome {
            inner.counters.add(|counts| counts.unsettled += 1);
            log::warn!("no host is judged, since the own connection does not work: {error}");
        }
        inner.emit(events);
    }
}

/// Verifies a heartbeat. Returns `None` for the host's own. The cheapest checks come first.
fn accept(inner: &Inner, message: &[u8]) -> std::result::Result<Option<Heartbeat>, Refusal> {
    let unverified = Heartbeat::read(message).ok_or(Refusal::Malformed)?;
    {
        let known = inner.known();
        if known.roster.is_own(&unverified.beat) {
            return Ok(None);
        }
        known.roster.check(&unverified.beat, clock())?;
    }
    if !is_trusted(inner, &unverified) {
        return Err(Refusal::Untrusted);
    }
    if !unverified.is_signed(inner.namespace.as_str()) {
        return Err(Refusal::Forged);
    }
    Ok(Some(unverified.beat))
}

/// Returns whether the host is trusted by its key, or one of the trusted clusters vouches for it.
fn is_trusted(inner: &Inner, unverified: &Unverified<'_>) -> bool {
    let beat = &unverified.beat;
    let is_vouched_for = || {
        let endorsement = beat.endorsement.as_ref();
        endorsement.is_some_and(|one| inner.trust.trusts_cluster(&one.cluster) && one.is_signed(&beat.host))
    };
    inner.trust.trusts_host(&beat.host) || is_vouched_for()
}

/// Takes note of an accepted heartbeat.
fn accepted(inner: &Inner, beat: Heartbeat) {
    let (host, incarnation, version) = (beat.host.clone(), beat.incarnation, beat.inventory_version);
    let is_leaving = beat.kind == BeatKind::Leaving;
    let (events, is_outdated) = {
        let mut known = inner.known();
        let events = known.roster.hear(beat, Instant::now());
        if is_leaving {
            known.index.remove(&host);
        }
        (events, !is_leaving && !known.index.has(&host, incarnation, version))
    };
    inner.emit(events);
    if is_outdated {
        inner.outdated.notify_one();
    }
}

/// Reads the inventories that have changed.
async fn read_inventories(inner: &Inner) {
    loop {
        inner.outdated.notified().await;
        // Hosts do not all ask the same one at once.
        sleep((inner.interval / 8).min(Duration::from_secs(1)).mul_f64(random_share())).await;
        let outdated: Vec<(String, u64)> = {
            let known = inner.known();
            let is_outdated = |peer: &&super::Peer| {
                let is_known = known.index.has(&peer.host, peer.incarnation, peer.inventory_version);
                peer.status == PeerStatus::Up && !is_known
            };
            known.roster.peers().filter(is_outdated).map(|peer| (peer.host.clone(), peer.incarnation)).collect()
        };
        let read = |(host, incarnation): (String, u64)| read_inventory(inner, host, incarnation);
        stream::iter(outdated).for_each_concurrent(READERS, read).await;
    }
}

/// Reads the inventory of a host. After a failure its next heartbeat is the occasion for another attempt.
async fn read_inventory(inner: &Inner, host: String, incarnation: u64) {
    match inventory::fetch(&inner.connection, &inner.namespace, &host).await {
        Ok(inventory) => {
            let mut known = inner.known();
            let peer = known.roster.peer(&host);
            // It may have left or restarted meanwhile.
            if peer.is_some_and(|peer| peer.status == PeerStatus::Up && peer.incarnation == incarnation) {
                known.index.set(&host, incarnation, &inventory);
            }
        }
        Err(error) => {
            inner.counters.add(|counts| counts.failed_inventories += 1);
            log::debug!("the inventory of host {host} cannot be read: {error}");
        }
    }
}

/// Hears the events of 2021, and sends such heartbeats.
async fn hear_era(inner: &Inner) -> Result<()> {
    let mut status = inner.control.watch();
    let mut events = inner.control.subscribe(Subject::new(inner.namespace.events())).await?;
    inner.tell(&EraEvent::HostStarted).await?;
    let mut next_beat = Instant::now();
    loop {
        tokio::select! {
            message = events.next() => {
                let Some(message) = message else { return Ok(()) };
                if let Some(host) = era::origin(&message?.payload) {
                    inner.known().era.hear(host, Instant::now());
                }
            }
            () = sleep_until(next_beat) => {
                next_beat = Instant::now() + inner.interval;
                inner.known().era.forget(Instant::now(), inner.interval * ERA_SILENCE);
                send_era_heartbeats(inner).await;
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
