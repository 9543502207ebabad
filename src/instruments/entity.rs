//! The counters of one actor or provider: those of its instances, and what its callers and its supervisor count.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wasmcloud_core::error::ErrorKind;
use wasmcloud_engine::GuestUsage;
use wasmcloud_provider::ProviderFigures;

use super::counters::{Counters, Totals};
use super::instance::InstanceInstruments;
use super::operations::{OTHER, Operations, SLOTS};
use super::{OperationReading, Outcome, Outcomes, Reading};

/// Spreads the numbers of instances over the seeds of their samplers (the golden ratio).
const SEED: u32 = 0x9E37_79B9;

/// The instruments of an actor or provider. It counts nothing in a host without metrics. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct EntityInstruments(Option<Arc<Entity>>);

/// What is counted of an actor or provider.
#[derive(Debug, Default)]
pub(super) struct Entity {
    /// The number of its start.
    start: u64,
    operations: Arc<Operations>,
    instances: Mutex<Instances>,
    /// The calls that have not reached an instance, if there are any. Apart from what calls read, because all threads write
    /// them.
    unserved: OnceLock<Box<Counters>>,
    crashes: AtomicU64,
    restarts: AtomicU64,
}

/// The instances of an entity so far.
#[derive(Debug, Default)]
struct Instances {
    present: Vec<Instance>,
    /// The sum of those that have ended.
    ended: Totals,
    /// How many there were.
    number: u32,
}

/// An instance, as readers see it.
#[derive(Debug)]
struct Instance {
    counters: Arc<Counters>,
    source: Source,
}

/// What is read of an instance besides its counters.
enum Source {
    /// What its guests use, and the number of calls before it, those that it serves included.
    Guest { usage: Arc<GuestUsage>, backlog: Box<dyn Fn() -> usize + Send + Sync> },
    /// What the provider counts of its own work.
    Provider(Box<dyn Fn() -> ProviderFigures + Send + Sync>),
}

impl Source {
    fn fuel(&self) -> u64 {
        match self {
            Source::Guest { usage, .. } => usage.fuel(),
            Source::Provider(_) => 0,
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Guest { .. } => "Guest",
            Source::Provider(_) => "Provider",
        })
    }
}

impl EntityInstruments {
    pub(super) fn new(entity: Option<Arc<Entity>>) -> EntityInstruments {
        EntityInstruments(entity)
    }

    /// Returns the writing end for an instance of a provider that is created now. `figures` returns what the provider counts.
    pub(crate) fn provider_instance(
        &self,
        figures: impl Fn() -> ProviderFigures + Send + Sync + 'static,
    ) -> InstanceInstruments {
        self.0
            .as_ref()
            .map_or_else(InstanceInstruments::off, |entity| entity.instance(Source::Provider(Box::new(figures)), None))
    }

    /// Returns the writing end for an instance of an actor that is created now. `backlog` returns the number of calls before
    /// it, those that it serves included.
    pub(crate) fn guest_instance(&self, backlog: impl Fn() -> usize + Send + Sync + 'static) -> InstanceInstruments {
        self.0.as_ref().map_or_else(InstanceInstruments::off, |entity| {
            let usage = Arc::<GuestUsage>::default();
            entity.instance(Source::Guest { usage: usage.clone(), backlog: Box::new(backlog) }, Some(usage))
        })
    }

    /// Counts a call that no instance has served. An operation without a slot counts among the others.
    pub(crate) fn count_unserved(&self, operation: Option<&str>, kind: ErrorKind) {
        let Some(entity) = &self.0 else { return };
        let slot = operation.and_then(|operation| entity.operations.find(operation)).unwrap_or(OTHER);
        entity.unserved.get_or_init(Box::default).count_from_anywhere(slot, Outcome::of_kind(kind));
    }

    /// Counts a crash of an instance.
    pub(crate) fn count_crash(&self) {
        if let Some(entity) = &self.0 {
            entity.crashes.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts the replacement of an instance that was lost.
    pub(crate) fn count_restart(&self) {
        if let Some(entity) = &self.0 {
            entity.restarts.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Instances {
    /// Adds the counters of instances that have ended to their sum.
    fn fold_ended(&mut self) {
        let Instances { present, ended, .. } = self;
        present.retain_mut(|instance| {
            // The last writer is gone if this is the only reference; its writes are seen then.
            let has_ended = Arc::get_mut(&mut instance.counters).is_some();
            if has_ended {
                instance.counters.add_to(ended);
                ended.fuel += instance.source.fuel();
            }
            !has_ended
        });
    }
}

impl Entity {
    pub(super) fn new(start: u64) -> Entity {
        Entity { start, ..Entity::default() }
    }

    fn instance(&self, source: Source, usage: Option<Arc<GuestUsage>>) -> InstanceInstruments {
        let counters = Arc::<Counters>::default();
        let mut instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        instances.fold_ended();
        instances.number = instances.number.wrapping_add(1);
        let seed = instances.number.wrapping_mul(SEED);
        instances.present.push(Instance { counters: counters.clone(), source });
        InstanceInstruments::new(self.operations.clone(), counters, usage, seed)
    }

    pub(super) fn read(&self) -> Reading {
        let mut instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        instances.fold_ended();
        let mut totals = instances.ended.clone();
        let mut reading = Reading::default();
        for Instance { counters, source } in &instances.present {
            counters.add_to(&mut totals);
            let serving = counters.in_flight();
            reading.in_flight += serving;
            totals.fuel += source.fuel();
            match source {
                Source::Guest { usage, backlog } => {
                    reading.memory_bytes += usage.memory_bytes();
                    reading.mailbox += (backlog() as u64).saturating_sub(serving);
                }
                // A restarted provider tells of its own work from its first start on.
                Source::Provider(figures) => {
                    reading.figures = catch_unwind(AssertUnwindSafe(figures)).unwrap_or_default()
                }
            }
        }
        drop(instances);
        if let Some(unserved) = self.unserved.get() {
            unserved.add_to(&mut totals);
        }
        let Totals { operations, latency, fuel } = totals;
        reading.operations = self.name_operations(&operations);
        operations.iter().for_each(|outcomes| reading.outcomes.merge(outcomes));
        let crashes = self.crashes.load(Ordering::Relaxed);
        let restarts = self.restarts.load(Ordering::Relaxed);
        Reading { start: self.start, latency, fuel, crashes, restarts, ..reading }
    }

    fn name_operations(&self, operations: &[Outcomes; SLOTS]) -> Vec<OperationReading> {
        let named = |(slot, outcomes): (usize, &Outcomes)| {
            let name = self.operations.name(slot).cloned();
            let is_used = name.is_some() || *outcomes != Outcomes::default();
            is_used.then_some(OperationReading { name, outcomes: *outcomes })
        };
        operations.iter().enumerate().filter_map(named).collect()
    }
}
