//! The task that beats, listens, answers and judges.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Message;
use futures_util::FutureExt;
use tokio::time::{Instant, sleep_until};
use wasmcloud_core::error::Result;

use super::super::beat::{BeatKind, Heartbeat, Unverified};
use super::super::roster::{MembershipEvent, Refusal};
use super::super::throttle::Throttle;
use super::super::{Inner, clock, inventory};
use crate::connection::{LatticeState, Subject, Subscription, random_share};

/// The most heartbeats that are read before a verdict.
const BACKLOG: usize = 64 * 1024;

/// The time between heartbeats that tell changes, at least.
const GAP: Duration = Duration::from_millis(100);

/// The most hosts that joined at about the same time which are answered one by one. More of them are told by a heartbeat to all.
const MOST_ANSWERS: usize = 8;

/// The delay of an answer for each known host, at most, so that a host that joins is not overrun.
const SPREAD: Duration = Duration::from_millis(1);

/// The longest of these delays.
const LONGEST_SPREAD: Duration = Duration::from_millis(500);

/// What is left of a page of an inventory for its header and the signature. Unit: bytes.
const PAGE_HEADER: usize = 1024;

/// The answer of the server that the own connection works, and when it was asked for.
type Proof = Pin<Box<dyn Future<Output = Proved> + Send>>;

struct Proved {
    asked: Instant,
    outcome: Result<()>,
}

/// The subscriptions of a member, and what it does next.
struct Member {
    inner: Arc<Inner>,
    heartbeats: Subscription,
    /// The heartbeats of others for this host alone, since it has joined.
    answers: Subscription,
    pings: Subscription,
    inventories: Subscription,
    ping_limit: Throttle,
    page_limit: Throttle,
    answer_limit: Throttle,
    /// When the host beats next.
    next_beat: Instant,
    last_beat: Option<Instant>,
    /// The hosts that have joined and are not answered yet, and when they are.
    joiners: Vec<String>,
    answer_at: Option<Instant>,
    /// When to see next whether a host was silent for too long.
    check_at: Instant,
    proof: Option<Proof>,
    /// How often messages of this host were dropped, when that was last looked at.
    drops: u64,
}

/// Subscribes and takes part, until a subscription fails.
pub(super) async fn take_part(inner: &Arc<Inner>) -> Result<()> {
    let own = |name: &str| Subject::new(inner.namespace.peer(&format!("host.{}.{name}", inner.host)));
    let heartbeat = Subject::new(inner.namespace.peer("heartbeat"));
    let mut status = inner.connection.watch();
    let subjects = vec![heartbeat, own("heartbeat"), own("ping"), own("inventory")];
    let subscriptions = inner.connection.subscribe_all(subjects).await?;
    let Ok(subscriptions) = <[Subscription; 4]>::try_from(subscriptions) else { return Ok(()) };
    let mut member = Member::new(inner, subscriptions);
    member.connected().await;
    loop {
        tokio::select! {
            message = member.answers.next() => match message {
                Some(message) => member.hear(&message?),
                None => return Ok(()),
            },
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
            () = inner.changed.notified() => member.hasten(),
            () = sleep_until(member.next_beat) => member.beat(BeatKind::Alive).await,
            () = until(member.answer_at) => member.answer_joiners().await,
            () = sleep_until(member.check_at), if member.proof.is_none() => member.check(),
            proved = proof(&mut member.proof) => member.judge(&proved),
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

async fn proof(proof: &mut Option<Proof>) -> Proved {
    let proved = match proof {
        Some(proof) => proof.await,
        None => pending().await,
    };
    *proof = None;
    proved
}

impl Member {
    fn new(inner: &Arc<Inner>, subscriptions: [Subscription; 4]) -> Member {
        let [heartbeats, answers, pings, inventories] = subscriptions;
        let now = Instant::now();
        Member {
            inner: Arc::clone(inner),
            heartbeats,
            answers,
            pings,
            inventories,
            ping_limit: Throttle::new(2000, 1000),
            page_limit: Throttle::new(400, 200),
            answer_limit: Throttle::new(64, 32),
            next_beat: now,
            last_beat: None,
            joiners: Vec::new(),
            answer_at: None,
            check_at: now,
            proof: None,
            drops: 0,
        }
    }

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
        let now = Instant::now();
        {
            let mut known = self.inner.known();
            known.roster.unsettle();
            known.roster.settle(now);
        }
        self.check_at = now;
        self.beat(BeatKind::Joined).await;
    }

    async fn beat(&mut self, kind: BeatKind) {
        let now = Instant::now();
        // Hosts that start together do not beat together.
        self.next_beat = now + self.inner.interval.mul_f64(0.8 + 0.15 * random_share());
        self.last_beat = Some(now);
        if let Err(error) = self.inner.beat(kind).await {
            log::debug!("no heartbeat: {error}");
        }
    }

    /// Beats at once, or when the gap after the last heartbeat is over.
    fn hasten(&mut self) {
        let now = Instant::now();
        let earliest = self.last_beat.map_or(now, |last| (last + GAP.min(self.inner.interval / 4)).max(now));
        self.next_beat = self.next_beat.min(earliest);
    }

    /// Takes note of a heartbeat.
    fn hear(&mut self, message: &Message) {
        match accept(&self.inner, &message.payload) {
            Ok(None) => {}
            Ok(Some(beat)) => {
                self.inner.counters.add(|counts| counts.heartbeats += 1);
                self.accepted(beat);
            }
            Err(refusal) => self.inner.counters.refuse(refusal),
        }
    }

    /// Takes note of an accepted heartbeat.
    fn accepted(&mut self, beat: Heartbeat) {
        let now = Instant::now();
        self.check_at = self.check_at.min(now + Duration::from_millis(beat.interval.into()) * 2);
        if beat.kind == BeatKind::Joined && beat.host != self.inner.host {
            self.plan_answer(&beat.host, now);
        }
        let inner = &*self.inner;
        let (host, incarnation, version) = (beat.host.clone(), beat.incarnation, beat.inventory_version);
        let is_leaving = beat.kind == BeatKind::Leaving;
        let (events, is_outdated) = {
            let mut known = inner.known();
            let events = known.roster.hear(beat, now);
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

    /// Plans to make this host known to one that has joined.
    fn plan_answer(&mut self, joiner: &str, now: Instant) {
        if self.joiners.len() <= MOST_ANSWERS && !self.joiners.iter().any(|known| known == joiner) {
            self.joiners.push(joiner.to_owned());
        }
        if self.answer_at.is_none() {
            let hosts = u32::try_from(self.inner.known().roster.peers().count()).unwrap_or(u32::MAX);
            let longest = SPREAD.saturating_mul(hosts).min(LONGEST_SPREAD).min(self.inner.interval / 4);
            self.answer_at = Some(now + longest.mul_f64(random_share()));
        }
    }

    async fn answer_joiners(&mut self) {
        self.answer_at = None;
        let joiners = std::mem::take(&mut self.joiners);
        let are_many = joiners.len() > MOST_ANSWERS;
        for joiner in joiners {
            if are_many || !self.answer_limit.allows(Instant::now()) {
                return self.hasten();
            }
            let subject = self.inner.namespace.peer(&format!("host.{joiner}.heartbeat"));
            if let Err(error) = self.inner.beat_on(subject, BeatKind::Alive).await {
                log::debug!("host {joiner} is not answered: {error}");
            }
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
        let Some(server) = inner.connection.server() else { return };
        let room = server.max_payload.saturating_sub(PAGE_HEADER);
        let answer = inventory::answer(&message.payload, &*inner.source, inner.namespace.as_str(), &inner.key, room);
        let Some(answer) = answer else { return inner.counters.add(|counts| counts.malformed_requests += 1) };
        if let Err(error) = inner.connection.publish(reply.to_string(), answer).await {
            log::debug!("a request for the inventory is not answered: {error}");
        }
    }

    /// Asks the server for an answer if a host was silent for too long, or if the own connection is not known to work.
    fn check(&mut self) {
        let now = Instant::now();
        let due = {
            let known = self.inner.known();
            if known.roster.is_settled() { known.roster.next_due() } else { Some(now) }
        };
        match due {
            Some(due) if due <= now => self.ask_for_proof(),
            Some(due) => self.check_at = due,
            // Each heartbeat may bring it forward.
            None => self.check_at = now + self.inner.interval,
        }
    }

    /// Asks the server for an answer, which proves that the connection works and that all earlier messages have arrived.
    fn ask_for_proof(&mut self) {
        let (connection, limit) = (self.inner.connection.clone(), self.inner.interval);
        self.proof = Some(Box::pin(async move {
            let asked = Instant::now();
            Proved { asked, outcome: connection.round_trip(limit).await }
        }));
    }

    /// Judges the hosts that were due before the server was asked, if it has answered.
    fn judge(&mut self, proved: &Proved) {
        // What arrived before the answer counts.
        for _ in 0..BACKLOG {
            match tokio::task::unconstrained(self.heartbeats.next()).now_or_never() {
                Some(Some(Ok(message))) => self.hear(&message),
                _ => break,
            }
        }
        let now = Instant::now();
        let drops = self.inner.connection.counts().slow_consumers;
        let is_whole = drops == std::mem::replace(&mut self.drops, drops);
        self.check_at = if proved.outcome.is_ok() { now } else { now + self.inner.interval / 4 };
        let inner = &*self.inner;
        let events = {
            let mut known = inner.known();
            if proved.outcome.is_err() || !is_whole {
                known.roster.unsettle();
            }
            if proved.outcome.is_ok() {
                known.roster.settle(now);
            }
            let events = known.roster.judge(proved.asked);
            for event in &events {
                if let MembershipEvent::Down { host } = event {
                    known.index.remove(host);
                }
            }
            known.roster.forget(now);
            events
        };
        if let Err(error) = &proved.outcome {
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
    let namespace = inner.namespace.as_str();
    let is_vouched_for = || {
        let endorsement = beat.endorsement.as_ref();
        endorsement.is_some_and(|one| inner.trust.trusts_cluster(&one.cluster) && one.is_signed(namespace, &beat.host))
    };
    inner.trust.trusts_host(&beat.host) || is_vouched_for()
}
