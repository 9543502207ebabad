//! The experiments of a host.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use wasmcloud_core::entity::{KeyKind, WasmCloudEntity, expect_key, link_name};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::identity::ProviderKey;

use super::{Experiment, InjectedFault};
use crate::child::Child;

/// The experiments of a host, by entity. Calls look them up without a lock.
#[derive(Debug, Default)]
pub(crate) struct RunningExperiments {
    by_child: ArcSwap<HashMap<Child, Arc<RunningExperiment>>>,
    /// Whether there are any. All calls of a host without experiments read this and nothing else.
    any: AtomicBool,
}

/// An experiment with one entity.
#[derive(Debug)]
struct RunningExperiment {
    experiment: Experiment,
    /// The number of calls that have reached the entity.
    calls: AtomicU64,
}

impl RunningExperiments {
    /// Begins an experiment. It replaces the previous one with the same entity.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub(crate) fn begin(&self, entity: &WasmCloudEntity, experiment: Experiment) -> Result<()> {
        let child = child(entity)?;
        let running = Arc::new(RunningExperiment { experiment, calls: AtomicU64::new(0) });
        self.by_child.rcu(|experiments| {
            let mut experiments = HashMap::clone(experiments);
            experiments.insert(child.clone(), running.clone());
            experiments
        });
        self.any.store(true, Ordering::Release);
        Ok(())
    }

    /// Counts a call that reaches a child, and returns the fault to inject into it, if any.
    pub(crate) fn fault_of_call(&self, child: impl FnOnce() -> Child) -> Option<InjectedFault> {
        let running = self.get(child)?;
        let call = running.calls.fetch_add(1, Ordering::Relaxed) + 1;
        running.experiment.fault_of(call)
    }

    /// Returns the fault to inject into a start of a child, if any.
    pub(crate) fn fault_of_start(&self, child: impl FnOnce() -> Child) -> Option<InjectedFault> {
        self.get(child)?.experiment.fault_of_start()
    }

    /// Returns the experiment with a child. `child` is only called if there are experiments.
    fn get(&self, child: impl FnOnce() -> Child) -> Option<Arc<RunningExperiment>> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.by_child.load().get(&child()).cloned()
    }
}

/// Returns the child that an entity stands for, with its keys checked.
fn child(entity: &WasmCloudEntity) -> Result<Child> {
    match entity {
        WasmCloudEntity::Actor(key) => {
            expect_key(key, KeyKind::Actor)?;
            Ok(Child::Actor(key.as_str().into()))
        }
        WasmCloudEntity::Capability { id, link_name: name, .. } => {
            expect_key(id, KeyKind::Provider)?;
            Ok(Child::Provider(ProviderKey::new(id, link_name(Some(name)))))
        }
        _ => {
            let message = "experiments with a host are not supported: name an actor or a provider";
            Err(Error::new(ErrorKind::InvalidArgument, message))
        }
    }
}
