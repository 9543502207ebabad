//! Instruments: what a host counts of the calls to its actors and providers, for metrics and the dashboard.
//!
//! Each instance has counters of its own, which only its own thread writes, so that counting a call takes neither a lock nor an
//! atomic addition. Readers add the counters of all instances up. A host without metrics has no counters.
//!
//! # Layout
//! - `outcome`: how a call ended
//! - `sampler`: which calls are timed
//! - `operations`: the operations that are counted one by one
//! - `counters`: the counters of one instance
//! - `entity`: the counters of one actor or provider
//! - `instance`: the writing end of an instance's counters
//! - `compilation`: compilations, and requests to the artifact cache

mod compilation;
mod counters;
mod entity;
mod instance;
mod operations;
mod outcome;
mod sampler;
#[cfg(all(test, feature = "telemetry"))]
mod tests;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

pub(crate) use wasmcloud_core::durations::Durations as Latency;
use wasmcloud_core::error::ErrorKind;
use wasmcloud_core::identity::ProviderKey;
use wasmcloud_provider::ProviderFigures;

pub(crate) use compilation::CompilationInstruments;
use entity::Entity;
pub(crate) use entity::EntityInstruments;
pub(crate) use instance::{BegunCall, InstanceInstruments};
pub(crate) use outcome::{Outcome, Outcomes};

/// The instruments of a host. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Instruments(Option<Arc<HostInstruments>>);

#[derive(Debug, Default)]
struct HostInstruments {
    actors: Entities<Arc<str>>,
    providers: Entities<ProviderKey>,
    /// Calls to targets that do not run here, by outcome.
    absent: [AtomicU64; Outcome::ALL.len()],
    compilation: Arc<CompilationInstruments>,
}

/// The figures of an actor or provider since its start. Restarts, updates and scalings do not reset them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    /// The number of the start. Each start of an actor or provider has another one.
    pub(crate) start: u64,
    /// Calls that have ended, by outcome.
    pub(crate) outcomes: Outcomes,
    /// The same by operation: at most 16, then all others together.
    pub(crate) operations: Vec<OperationReading>,
    /// How long calls took that an instance has served.
    pub(crate) latency: Latency,
    pub(crate) crashes: u64,
    pub(crate) restarts: u64,
    /// About one unit for each instruction. 0 for a provider.
    pub(crate) fuel: u64,
    /// The linear memory of all instances. 0 for a provider. Unit: bytes.
    pub(crate) memory_bytes: u64,
    /// Calls that are being served.
    pub(crate) in_flight: u64,
    /// Calls that wait in the mailboxes of the instances. 0 for a provider, which serves calls side by side.
    pub(crate) mailbox: u64,
    /// What a provider counts of its own work.
    pub(crate) figures: ProviderFigures,
}

/// The calls of one operation.
#[derive(Debug, Clone)]
pub(crate) struct OperationReading {
    /// The operation. `None` for all that are not counted one by one.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) outcomes: Outcomes,
}

impl Instruments {
    /// Returns the instruments of a host without metrics.
    pub(crate) fn off() -> Instruments {
        Instruments(None)
    }

    /// Returns the instruments of a host with metrics.
    pub(crate) fn on() -> Instruments {
        Instruments(Some(Arc::default()))
    }

    /// Returns the instruments of an actor that is started now. They end when the last clone is dropped.
    pub(crate) fn actor(&self, key: &Arc<str>) -> EntityInstruments {
        EntityInstruments::new(self.0.as_deref().map(|host| host.actors.begin(key.clone())))
    }

    /// Returns the instruments of a provider that is started now. They end when the last clone is dropped.
    pub(crate) fn provider(&self, key: &ProviderKey) -> EntityInstruments {
        EntityInstruments::new(self.0.as_deref().map(|host| host.providers.begin(key.clone())))
    }

    /// Returns the instruments of compilations.
    pub(crate) fn compilation(&self) -> Option<Arc<CompilationInstruments>> {
        self.0.as_deref().map(|host| host.compilation.clone())
    }

    /// Counts a call to a target that does not run here.
    pub(crate) fn count_absent(&self, kind: ErrorKind) {
        if let Some(host) = &self.0 {
            host.absent[Outcome::of_kind(kind) as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns whether the host counts.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }
}

impl Instruments {
    /// Returns the figures of an actor, if it runs and the host counts.
    pub(crate) fn read_actor(&self, key: &str) -> Option<Reading> {
        Some(self.0.as_ref()?.actors.find(key)?.read())
    }

    /// Returns the figures of a provider, if it runs and the host counts.
    pub(crate) fn read_provider(&self, key: &ProviderKey) -> Option<Reading> {
        Some(self.0.as_ref()?.providers.find(key)?.read())
    }

    /// Returns the calls to targets that do not run here.
    pub(crate) fn absent(&self) -> Outcomes {
        let mut absent = Outcomes::default();
        if let Some(host) = &self.0 {
            for (outcome, calls) in Outcome::ALL.into_iter().zip(&host.absent) {
                absent.add(outcome, calls.load(Ordering::Relaxed));
            }
        }
        absent
    }
}

/// The entities of one kind. An entry whose entity has ended is removed when another one begins.
#[derive(Debug)]
struct Entities<K>(Mutex<Begun<K>>);

#[derive(Debug)]
struct Begun<K> {
    entities: HashMap<K, Weak<Entity>>,
    /// How many there were.
    number: u64,
}

impl<K> Default for Entities<K> {
    fn default() -> Self {
        Entities(Mutex::new(Begun { entities: HashMap::new(), number: 0 }))
    }
}

impl<K: Eq + Hash> Entities<K> {
    fn begin(&self, key: K) -> Arc<Entity> {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        begun.number += 1;
        let entity = Arc::new(Entity::new(begun.number));
        let entities = &mut begun.entities;
        // Amortised: the map has doubled since the last time.
        if entities.len() == entities.capacity() {
            entities.retain(|_, entity| entity.strong_count() > 0);
        }
        entities.insert(key, Arc::downgrade(&entity));
        entity
    }

    fn find<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<Arc<Entity>>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entities.get(key)?.upgrade()
    }
}
