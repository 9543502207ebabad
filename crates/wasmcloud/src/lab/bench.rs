//! The host of a run: it applies the manifest, warms up, and then serves loads and suffers faults.

use std::time::{Duration, Instant, SystemTime};

use futures_util::future::join_all;
use tokio::task::JoinHandle;
use wasmcloud_host::{ArtifactCache, Host, HostBuilder, HostManifest, Inventory, WasmCloudEntity, builtin};

use super::entity_name::EntityName;
use super::load::{self, Session, Stop, Tally};
use super::plan::{Plan, Target, seed_of_faults};
use super::report::{RunReport, microseconds};
use super::target::Caller;
use super::timeline::{Record, Timeline};
use crate::outcome::{CommandError, CommandResult};
use crate::run::default_cache;

/// The call deadline, unless the plan sets one.
const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// The time beyond the call deadline after which a call is lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long restarts are waited for after the last call.
const AFTERMATH: Duration = Duration::from_secs(5);

/// The events that wait while the experiment is busy with calls.
const EVENT_BUFFER: usize = 65_536;

/// A run, and which of its entities the names in the plan stand for.
pub(super) struct Ran {
    pub(super) report: RunReport,
    pub(super) names: Vec<(EntityName, usize)>,
}

/// Runs a plan once, with a host and a seed of its own.
///
/// # Errors
/// Why the host or the manifest could not be started, or the plan does not fit the manifest.
pub(super) async fn run(
    plan: &Plan,
    seed: u64,
    manifest: HostManifest,
    stop: &Stop,
    tally: &Tally,
) -> CommandResult<Ran> {
    let host = host(plan);
    host.start_on_own_thread().await?;
    let measured = match prepare(plan, manifest, &host).await {
        Ok(prepared) => prepared.measure(plan, seed, stop, tally).await,
        Err(failure) => Err(failure),
    };
    // After a failure too: nothing is left behind.
    host.stop().await;
    let Measured { ran, timeline, following, inventory } = measured?;
    // The last event is that of the stop.
    let _ = following.await;
    let Record { entities, events, left_out, missed } = timeline.finish(inventory.as_ref());
    let report = RunReport { entities, events, events_left_out: left_out, events_missed: missed, ..ran.report };
    Ok(Ran { report, names: ran.names })
}

fn host(plan: &Plan) -> Host {
    let mut builder = HostBuilder::new()
        .with_call_deadline(plan.host.call_deadline.unwrap_or(CALL_DEADLINE))
        .with_restart_policy(plan.host.restart_policy())
        .with_event_buffer(EVENT_BUFFER);
    if let Some(shards) = plan.host.shards {
        builder = builder.with_shards(shards);
    }
    if let Some(cache) = default_cache() {
        builder = builder.with_artifact_cache(ArtifactCache::in_folder(cache));
    }
    builder.build()
}

/// A host that runs the manifest, and what the names in the plan stand for.
struct Prepared<'a> {
    host: &'a Host,
    inventory: Inventory,
    callers: Vec<Caller>,
    /// The entity of each entry of faults.
    found: Vec<Found>,
}

/// What was measured, before the host is stopped.
struct Measured {
    ran: Ran,
    timeline: Timeline,
    following: JoinHandle<()>,
    inventory: Option<Inventory>,
}

/// Applies the manifest, and finds what the plan names.
async fn prepare<'a>(plan: &Plan, manifest: HostManifest, host: &'a Host) -> CommandResult<Prepared<'a>> {
    host.apply_manifest(manifest).await?;
    let running = Running { inventory: host.inventory()? };
    let patience = plan.host.call_deadline.unwrap_or(CALL_DEADLINE) + PATIENCE;
    let mut callers = Vec::new();
    for load in &plan.loads {
        let key = match &load.target {
            Target::Actor { actor, .. } => Some(running.actor(actor)?),
            Target::Http { .. } => None,
        };
        callers.push(Caller::new(&load.target, host, key, patience)?);
    }
    let found = plan.faults.iter().map(|faults| running.entity(&faults.entity)).collect::<CommandResult<_>>()?;
    Ok(Prepared { host, inventory: running.inventory, callers, found })
}

impl Prepared<'_> {
    /// Makes the calls, and waits until what crashed has been replaced.
    async fn measure(self, plan: &Plan, seed: u64, stop: &Stop, tally: &Tally) -> CommandResult<Measured> {
        for caller in &self.callers {
            load::warm_up(plan.warm_up, caller, stop).await;
        }
        let events = self.host.events();
        let began = Instant::now();
        let timeline = Timeline::new(&self.inventory, SystemTime::now(), plan.runs);
        let following = tokio::spawn(timeline.clone().follow(events));
        let mut names = Vec::new();
        for (number, (faults, Found { entity, key })) in plan.faults.iter().zip(&self.found).enumerate() {
            self.host.experiment(entity, faults.experiment(seed_of_faults(seed, number)))?;
            names.extend(timeline.number(key).map(|number| (faults.entity.clone(), number)));
        }
        let session = Session { stop, tally, began };
        let loads = plan.loads.iter().zip(&self.callers).map(|(load, caller)| load::run(load, caller, session));
        let loads = join_all(loads).await;
        let duration_us = microseconds(began.elapsed());
        timeline.settle(AFTERMATH).await;
        let report = RunReport { seed, duration_us, loads, ..RunReport::default() };
        Ok(Measured { ran: Ran { report, names }, timeline, following, inventory: self.host.inventory().ok() })
    }
}

/// What runs in the host, by what people call it.
struct Running {
    inventory: Inventory,
}

/// An entity that a name stands for.
struct Found {
    entity: WasmCloudEntity,
    /// Its key in reports.
    key: String,
}

impl Running {
    fn entity(&self, name: &EntityName) -> CommandResult<Found> {
        match name {
            EntityName::Actor(name) => {
                let key = self.actor(name)?;
                Ok(Found { entity: WasmCloudEntity::Actor(key.clone()), key })
            }
            EntityName::Provider { name, link_name } => self.provider(name, link_name),
        }
    }

    /// Returns the public key of an actor.
    fn actor(&self, name: &str) -> CommandResult<String> {
        let actors = &self.inventory.actors;
        let is_named = |actor: &&wasmcloud_host::ActorInventory| {
            actor.key == name || actor.call_alias.as_deref() == Some(name) || actor.name == name
        };
        let found: Vec<&str> = actors.iter().filter(is_named).map(|actor| actor.key.as_str()).collect();
        let all = actors.iter().map(|actor| actor.call_alias.as_ref().unwrap_or(&actor.name).clone());
        only("actor", name, &found, all.collect()).map(str::to_owned)
    }

    fn provider(&self, name: &str, link_name: &str) -> CommandResult<Found> {
        let built_in = name.strip_prefix("builtin:").map(|name| builtin::named(name, None)).transpose()?;
        let id = built_in.map_or_else(|| name.to_owned(), |provider| provider.id());
        let providers = self.inventory.providers.iter();
        let found = providers.filter(|provider| {
            provider.link_name == link_name
                && (provider.id == id || provider.contract_id == name || provider.name == name)
        });
        let found: Vec<_> = found.collect();
        let all =
            self.inventory.providers.iter().map(|provider| format!("{}/{}", provider.contract_id, provider.link_name));
        let provider = only("provider", name, &found, all.collect())?;
        let (id, contract_id) = (provider.id.clone(), provider.contract_id.clone());
        let key = format!("{id}/{link_name}");
        let entity = WasmCloudEntity::Capability { id, contract_id, link_name: link_name.to_owned() };
        Ok(Found { entity, key })
    }
}

/// Returns the only one that a name stands for.
fn only<T: Copy>(kind: &str, name: &str, found: &[T], all: Vec<String>) -> CommandResult<T> {
    match found {
        [one] => Ok(*one),
        [] => Err(CommandError::Failed(format!(
            "the plan names the {kind} {name:?}, which the manifest does not start: it starts {}",
            if all.is_empty() { format!("no {kind}") } else { all.join(", ") }
        ))),
        _ => Err(CommandError::Failed(format!(
            "the plan names the {kind} {name:?}, and several have this name: write a public key"
        ))),
    }
}
