//! The task that follows the registry for a host.
//!
//! A message on a republished subject says that an entry may have changed. The entry itself is read from the stream: the revisions
//! of core messages could be invented by anyone. Snapshots and audits read the entries, or the revisions, of whole entities.

mod accept;
mod audit;
mod follow;
mod reads;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_nats::Message;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::Registry;
use super::interest::{Entity, Interest, InterestHandle};
use super::outbox::{Changes, Outbox, RegistryChange};
use super::state::Known;
use super::write::chance;
use audit::{Audit, Running};
use follow::Tracked;
use reads::{Done, Intents, Reads};

/// The most messages that wait for the task. Further ones wait in their subscriptions, which drop what is beyond their bound.
const WAITING_MESSAGES: usize = 1024;

/// The longest time by which work after a reconnect is spread over the hosts.
const SPREAD: Duration = Duration::from_millis(250);

/// Starts to follow the registry.
pub(super) fn start(registry: Registry, connections: watch::Receiver<u64>) -> (InterestHandle, Changes) {
    let interest = Arc::new(Interest::default());
    let outbox = Arc::new(Outbox::default());
    let handle = InterestHandle::new(Arc::clone(&interest));
    let changes = Changes::new(Arc::clone(&outbox));
    tokio::spawn(Watcher::new(registry, interest, outbox, connections).run());
    (handle, changes)
}

struct Watcher {
    registry: Registry,
    interest: Arc<Interest>,
    outbox: Arc<Outbox>,
    connections: watch::Receiver<u64>,
    generation: watch::Receiver<u64>,
    messages: mpsc::Receiver<Message>,
    message_sender: mpsc::Sender<Message>,
    tracked: HashMap<Entity, Tracked>,
    known: Known,
    intents: Intents,
    reads: Reads,
    tasks: JoinSet<Done>,
    /// The entities whose snapshot has to be read.
    waiting: BTreeSet<Entity>,
    running: Option<Running>,
    audit: Audit,
    round: u64,
}

impl Watcher {
    fn new(
        registry: Registry,
        interest: Arc<Interest>,
        outbox: Arc<Outbox>,
        mut connections: watch::Receiver<u64>,
    ) -> Watcher {
        connections.mark_unchanged();
        let (message_sender, messages) = mpsc::channel(WAITING_MESSAGES);
        let generation = registry.0.bucket.generation();
        let mut audit = Audit::new(registry.0.options.audit_interval);
        if !registry.is_live() {
            audit.demand(Duration::ZERO, false);
        }
        Watcher {
            registry,
            interest,
            outbox,
            connections,
            generation,
            messages,
            message_sender,
            tracked: HashMap::new(),
            known: Known::default(),
            intents: Intents::default(),
            reads: Reads::default(),
            tasks: JoinSet::new(),
            waiting: BTreeSet::new(),
            running: None,
            audit,
            round: 0,
        }
    }

    async fn run(mut self) {
        let mut demands = self.registry.0.audit.subscribe();
        let interest = Arc::clone(&self.interest);
        let outbox = Arc::clone(&self.outbox);
        let mut has_connections = true;
        while !interest.has_ended() && !outbox.is_abandoned() {
            self.follow().await;
            self.begin_work();
            let next = self.next_time();
            tokio::select! {
                () = interest.changed.notified() => {}
                () = outbox.abandoned.notified() => {}
                _ = demands.changed() => self.audit.demand(Duration::ZERO, false),
                changed = self.connections.changed(), if has_connections => {
                    has_connections = changed.is_ok();
                    if has_connections {
                        self.audit.demand(spread(), true);
                    }
                }
                _ = self.generation.changed() => self.lose(),
                Some(message) = self.messages.recv() => self.hear(&message),
                found = audit::next_found(&mut self.running) => self.find(found).await,
                Some(done) = self.tasks.join_next() => {
                    if let Ok(done) = done {
                        self.complete(done);
                    }
                }
                () = sleep_until(next) => {}
            }
        }
        outbox.close();
    }

    /// Begins what is due and possible: reads, snapshots and audits.
    fn begin_work(&mut self) {
        let now = Instant::now();
        self.poll_intents(now);
        self.begin_reads(now);
        self.begin_audit(now);
        self.begin_snapshot(now);
    }

    fn next_time(&self) -> Instant {
        let times = [self.intents.next(), self.reads.next(), Some(self.audit.next())];
        times.into_iter().flatten().min().unwrap_or_else(|| self.audit.next())
    }

    fn complete(&mut self, done: Done) {
        match done {
            Done::Read { key, outcome } => self.complete_read(key, outcome),
            Done::Checked(is_there) => self.complete_check(is_there),
            Done::Purged { key, revision } => {
                self.registry.0.counters.purged.add();
                if self.known.revision(&key) == revision {
                    self.known.entries.remove(&key);
                }
            }
            Done::Nothing => {}
        }
    }

    /// Starts anew after the data of the stream was lost.
    fn lose(&mut self) {
        self.registry.0.counters.losses.add();
        self.known.lose();
        self.intents.clear();
        for tracked in self.tracked.values_mut() {
            tracked.is_ready = false;
        }
        self.running = None;
        self.waiting = self.tracked.keys().cloned().collect();
        self.outbox.push(RegistryChange::Lost);
    }
}

/// Returns a short time by chance.
fn spread() -> Duration {
    SPREAD.mul_f64(f64::from(chance()) / f64::from(u32::MAX))
}
