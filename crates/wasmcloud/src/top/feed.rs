//! Asks the hosts of a lattice what they run, again and again. A host that does not answer holds up no other.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use wasmcloud_control::ControlClient;
use wasmcloud_control::message::{EntityEntry, HostSummary, WholeInventory};
use wasmcloud_telemetry::state::{Activity, ActorState, HealthState, HostState, Lifecycle, ProviderState};

use crate::outcome::CommandResult;

/// How often hosts are asked whether there are others.
const DISCOVERY: Duration = Duration::from_secs(5);

/// The most hosts that are asked at a time.
const MOST_AT_ONCE: usize = 64;

/// What was learned.
#[derive(Debug)]
pub(super) enum Update {
    /// These hosts are there.
    Hosts(Vec<HostSummary>),
    /// The state of a host. One without telemetry tells no figures.
    State { host: String, state: Box<HostState>, has_telemetry: bool },
    /// A host did not answer, for this reason.
    Silent { host: String, reason: String },
}

/// What is asked, and how often.
#[derive(Debug, Clone)]
pub(super) struct Feed {
    client: ControlClient,
    /// The only host.
    only: Option<String>,
    interval: Duration,
}

/// A host that is asked.
#[derive(Debug, Default)]
struct Asked {
    /// The sequence number of the last event that it told.
    after: Option<u64>,
    is_in_progress: bool,
}

impl Feed {
    pub(super) fn new(client: ControlClient, only: Option<String>, interval: Duration) -> Feed {
        Feed { client, only, interval }
    }

    /// Returns whether all hosts are asked.
    pub(super) fn is_for_all(&self) -> bool {
        self.only.is_none()
    }

    /// Asks each host once.
    ///
    /// # Errors
    /// `Unreachable` if the connection is lost.
    pub(super) async fn read_once(&self) -> CommandResult<Vec<Update>> {
        let mut updates = Vec::new();
        let hosts = match &self.only {
            Some(host) => vec![host.clone()],
            None => {
                let summaries = self.client.hosts().await?;
                let hosts = summaries.iter().map(|host| host.id.clone()).collect();
                updates.push(Update::Hosts(summaries));
                hosts
            }
        };
        updates.extend(join_all(hosts.into_iter().map(|host| read(self.client.clone(), host, None))).await);
        Ok(updates)
    }

    /// Asks the hosts until the receiver is gone.
    pub(super) async fn run(&self, updates: Sender<Update>) {
        let mut asked: BTreeMap<String, Asked> =
            self.only.iter().map(|host| (host.clone(), Asked::default())).collect();
        let mut discovered: Option<Instant> = None;
        let mut questions = JoinSet::new();
        let mut tick = tokio::time::interval(self.interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    let is_due = discovered.is_none_or(|last| last.elapsed() >= DISCOVERY);
                    if self.is_for_all() && is_due {
                        discovered = Some(Instant::now());
                        let client = self.client.clone();
                        // Without an answer, the hosts themselves show that they are gone.
                        questions.spawn(async move { Update::Hosts(client.hosts().await.unwrap_or_default()) });
                    }
                    for (host, asked) in asked.iter_mut().filter(|(_, asked)| !asked.is_in_progress) {
                        if questions.len() < MOST_AT_ONCE {
                            asked.is_in_progress = true;
                            questions.spawn(read(self.client.clone(), host.clone(), asked.after));
                        }
                    }
                }
                Some(Ok(update)) = questions.join_next() => {
                    if self.note(&update, &mut asked) {
                        tick.reset_immediately();
                    }
                    if updates.send(update).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Notes what the next question is. Returns whether there are new hosts, which are asked at once.
    fn note(&self, update: &Update, asked: &mut BTreeMap<String, Asked>) -> bool {
        match update {
            Update::Hosts(hosts) => {
                let before = asked.len();
                for host in hosts {
                    asked.entry(host.id.clone()).or_default();
                }
                asked.len() > before
            }
            Update::State { host, state, .. } => {
                let last = state.events.last().map(|event| event.sequence);
                let asked = asked.entry(host.clone()).or_default();
                *asked = Asked { after: last.or(asked.after), is_in_progress: false };
                false
            }
            Update::Silent { host, .. } => {
                // One that comes back under the same key counts its events anew.
                asked.insert(host.clone(), Asked::default());
                false
            }
        }
    }
}

/// Asks a host for its state. One without telemetry is asked for its inventory instead.
async fn read(client: ControlClient, host: String, after: Option<u64>) -> Update {
    if let Ok(state) = client.whole_state(&host, after).await {
        return Update::State { host, state: Box::new(state), has_telemetry: true };
    }
    match client.whole_inventory(&host).await {
        Ok(inventory) => Update::State { host, state: Box::new(state_of(inventory, now())), has_telemetry: false },
        Err(error) => Update::Silent { host, reason: error.to_string() },
    }
}

/// Returns the time by the clock here. Unit: milliseconds since 1970.
pub(super) fn now() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

/// Returns what an inventory tells as a state.
fn state_of(inventory: WholeInventory, now: u64) -> HostState {
    let WholeInventory { host_id, version, uptime, labels, cordoned, actors, providers, .. } = inventory;
    let mut state = HostState::default();
    state.at = now;
    state.host.id = host_id;
    state.host.version = version.unwrap_or_default();
    state.host.started_at = uptime.map_or(0, |uptime| now.saturating_sub(uptime.saturating_mul(1000)));
    state.host.labels = labels;
    state.host.cordoned = cordoned;
    state.actors = actors.into_iter().map(|entry| actor_of(entry, now)).collect();
    state.providers = providers.into_iter().map(|entry| provider_of(entry, now)).collect();
    state
}

fn actor_of(entry: EntityEntry, now: u64) -> ActorState {
    let activity = activity_of(&entry, now);
    let mut actor = ActorState { activity, id: entry.id, ..ActorState::default() };
    actor.trust.trusted = !matches!(entry.state.as_str(), "expired" | "distrusted");
    actor.trust.reason = entry.reason.filter(|_| !actor.trust.trusted);
    actor.name = entry.name.unwrap_or_default();
    actor.alias = entry.call_alias;
    actor.revision = entry.revision;
    actor.image_ref = entry.image_ref;
    actor.instances = entry.instances.unwrap_or_default();
    actor.instances_running = if actor.activity.state == Lifecycle::Running { actor.instances } else { 0 };
    actor.in_flight = entry.calls.unwrap_or_default();
    actor
}

fn provider_of(entry: EntityEntry, now: u64) -> ProviderState {
    let activity = activity_of(&entry, now);
    let link_name = entry.link_name.unwrap_or_default();
    let mut provider = ProviderState { activity, ..ProviderState::default() };
    provider.key = format!("{}/{link_name}", entry.id);
    provider.trust.trusted = !matches!(entry.state.as_str(), "expired" | "distrusted");
    provider.trust.reason = entry.reason.filter(|_| !provider.trust.trusted);
    provider.id = entry.id;
    provider.link_name = link_name;
    provider.contract_id = entry.contract_id.unwrap_or_default();
    provider.name = entry.name.unwrap_or_default();
    provider.image_ref = entry.image_ref;
    provider
}

fn activity_of(entry: &EntityEntry, now: u64) -> Activity {
    let state = match entry.state.as_str() {
        "restarting" => Lifecycle::Restarting,
        "failed" => Lifecycle::Failed,
        "stopping" => Lifecycle::Stopping,
        _ => Lifecycle::Running,
    };
    let health = entry.health.as_deref().unwrap_or_default();
    let health_state = match health {
        "healthy" => HealthState::Healthy,
        "busy" => HealthState::Busy,
        "" => HealthState::Unknown,
        _ => HealthState::Unhealthy,
    };
    let reason = entry.reason.clone().or_else(|| (health_state == HealthState::Unhealthy).then(|| health.to_owned()));
    Activity { state, reason, health: health_state, restarts: entry.restarts, measured_at: now, ..Activity::default() }
}
