//! The experiments that are made in a host.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use wasmcloud_core::entity::{KeyKind, WasmCloudEntity, expect_key, link_name};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::identity::ProviderKey;

use super::{Experiment, InjectedFault};
use crate::child::Child;

/// The subjects of a host's experiments. Calls look them up without a lock.
#[derive(Debug, Default)]
pub(crate) struct RunningExperiments(ArcSwap<HashMap<Child, Arc<Subject>>>);

/// Somebody with whom an experiment is made.
#[derive(Debug)]
struct Subject {
    experiment: Experiment,
    /// How many calls have reached it.
    calls: AtomicU64,
}

impl RunningExperiments {
    /// Begins an experiment, and ends the one that was made with the same entity.
    pub(crate) fn begin(&self, entity: &WasmCloudEntity, experiment: Experiment) -> Result<()> {
        let child = child(entity)?;
        let subject = Arc::new(Subject { experiment, calls: AtomicU64::new(0) });
        self.0.rcu(|subjects| {
            let mut subjects = HashMap::clone(subjects);
            subjects.insert(child.clone(), subject.clone());
            subjects
        });
        Ok(())
    }

    /// What happens to the call that reaches a child now, if anything does.
    pub(crate) fn call(&self, child: impl FnOnce() -> Child) -> Option<InjectedFault> {
        let subject = self.subject(child)?;
        let call = subject.calls.fetch_add(1, Ordering::Relaxed) + 1;
        subject.experiment.fault_of(call)
    }

    /// What happens to the start of a child now, if anything does.
    pub(crate) fn start(&self, child: impl FnOnce() -> Child) -> Option<InjectedFault> {
        self.subject(child)?.experiment.fault_of_start()
    }

    /// The child is asked for only where there are experiments at all.
    fn subject(&self, child: impl FnOnce() -> Child) -> Option<Arc<Subject>> {
        let subjects = self.0.load();
        if subjects.is_empty() {
            return None;
        }
        subjects.get(&child()).cloned()
    }
}

/// What the supervisor calls an entity.
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
            let message = "the host cannot be experimented with: name an actor or a provider";
            Err(Error::new(ErrorKind::InvalidArgument, message))
        }
    }
}
