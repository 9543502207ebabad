//! The task that beats, listens, answers and judges.

mod accept;
mod answers;
mod judging;

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Message;
use tokio::time::{Instant, sleep_until};
use wasmcloud_core::error::Result;

use super::super::MembershipState;
use super::super::beat::{BeatKind, Heartbeat};
use super::super::throttle::Throttle;
use crate::connection::{LatticeState, Mark, Subject, Subscription, random_share};

/// The time between heartbeats that tell changes, at least.
const GAP: Duration = Duration::from_millis(100);

/// The answer of the server that the own connection works, and when it was asked for.
type Proof = Pin<Box<dyn Future<Output = Proved> + Send>>;

struct Proved {
    asked: Instant,
    outcome: Result<()>,
}

/// The subscriptions of a member, and what it does next.
struct Member {
    shared: Arc<MembershipState>,
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
    /// The connection since which no heartbeat was lost.
    mark: Option<Mark>,
    /// How often messages of this host were dropped, when that was last looked at.
    drops: u64,
    /// Whether the server did not answer when it was asked last.
    is_cut_off: bool,
}

/// Subscribes and takes part, until a subscription fails.
pub(super) async fn take_part(shared: &Arc<MembershipState>) -> Result<()> {
    let own = |name: &str| Subject::new(shared.namespace.peer(&format!("host.{}.{name}", shared.host)));
    let heartbeat = Subject::new(shared.namespace.peer("heartbeat"));
    let mut status = shared.connection.watch();
    let subjects = vec![heartbeat, own("heartbeat"), own("ping"), own("inventory")];
    let subscriptions = shared.connection.subscribe_all(subjects).await?;
    let Ok(subscriptions) = <[Subscription; 4]>::try_from(subscriptions) else { return Ok(()) };
    let mut member = Member::new(shared, subscriptions);
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
            () = shared.changed.notified() => member.hasten(),
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
    fn new(shared: &Arc<MembershipState>, subscriptions: [Subscription; 4]) -> Member {
        let [heartbeats, answers, pings, inventories] = subscriptions;
        let now = Instant::now();
        Member {
            shared: Arc::clone(shared),
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
            mark: None,
            drops: 0,
            is_cut_off: false,
        }
    }

    async fn state_changed(&mut self, state: &LatticeState) {
        match state {
            LatticeState::Joined => self.connected().await,
            _ => {
                self.proof = None;
                self.shared.known().roster.unsettle();
            }
        }
    }

    /// Makes the host known, and begins to observe the others anew.
    async fn connected(&mut self) {
        let now = Instant::now();
        {
            let mut known = self.shared.known();
            known.roster.unsettle();
            known.roster.settle(now);
        }
        self.mark = self.shared.connection.mark().ok();
        self.check_at = now;
        self.beat(BeatKind::Joined).await;
    }

    async fn beat(&mut self, kind: BeatKind) {
        let now = Instant::now();
        // Hosts that start together do not beat together.
        self.next_beat = now + self.shared.interval.mul_f64(0.8 + 0.15 * random_share());
        self.last_beat = Some(now);
        if let Err(error) = self.shared.publish_heartbeat(kind).await {
            log::debug!("no heartbeat: {error}");
        }
    }

    /// Beats at once, or when the gap after the last heartbeat is over.
    fn hasten(&mut self) {
        let now = Instant::now();
        let earliest = self.last_beat.map_or(now, |last| (last + GAP.min(self.shared.interval / 4)).max(now));
        self.next_beat = self.next_beat.min(earliest);
    }

    /// Takes note of a heartbeat.
    fn hear(&mut self, message: &Message) {
        match accept::accept(&self.shared, &message.payload) {
            Ok(None) => {}
            Ok(Some(beat)) => {
                self.shared.counters.add(|counts| counts.heartbeats += 1);
                self.accepted(beat);
            }
            Err(refusal) => self.shared.counters.refuse(refusal),
        }
    }

    /// Takes note of an accepted heartbeat.
    fn accepted(&mut self, beat: Heartbeat) {
        let now = Instant::now();
        self.check_at = self.check_at.min(now + Duration::from_millis(beat.interval.into()) * 2);
        if beat.kind == BeatKind::Joined && beat.host != self.shared.host {
            self.plan_answer(&beat.host, now);
        }
        let shared = &*self.shared;
        let (host, incarnation, version) = (beat.host.clone(), beat.incarnation, beat.inventory_version);
        let is_leaving = beat.kind == BeatKind::Leaving;
        let (events, is_outdated) = {
            let mut known = shared.known();
            let events = known.roster.hear(beat, now);
            // Its events of 2021 may have come before its first heartbeat.
            known.era.remove(&host);
            if is_leaving {
                known.index.remove(&host);
            }
            (events, !is_leaving && !known.index.has(&host, incarnation, version))
        };
        shared.emit(events);
        if is_outdated {
            shared.outdated.notify_one();
        }
    }
}
