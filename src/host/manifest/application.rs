//! Makes the changes of a manifest.

use std::time::Duration;

use futures_util::future::join_all;
use wasmcloud_claims::Actor;
use wasmcloud_core::error::{ErrorKind, Result};
use wasmcloud_plugin::NativeCapability;

use super::comparison::Comparison;
use crate::host::Host;
use crate::link::{LinkDefinition, LinkState};
use crate::manifest::applications::Applications;
use crate::manifest::difference::{Change, Step};
use crate::manifest::{ApplyOptions, ManifestOutcome, StepOutcome, StepResult};
use crate::supervisor::Command;
use crate::supervisor::placement::ActorOptions;
use crate::supervisor::replacement::{Probation, ReplaceActor, ReplaceProvider};

impl Host {
    /// Makes the changes of a manifest, and records what it started. A failed change does not end the others.
    pub(super) async fn make_changes(
        &self,
        comparison: Comparison,
        options: &ApplyOptions,
        applications: &mut Applications,
    ) -> Result<ManifestOutcome> {
        let Comparison { manifest, difference, named, .. } = comparison;
        let is_remembered = !manifest.is_empty();
        if is_remembered {
            applications.begin(&manifest, named)?;
        }
        let mut outcomes = Vec::new();
        let mut steps = difference.steps.into_iter().peekable();
        while let Some(first) = steps.next() {
            let mut together = vec![first];
            while let Some(next) =
                steps.next_if(|next| together.iter().all(|step| step.change.is_made_with(&next.change)))
            {
                together.push(next);
            }
            let made = together.into_iter().map(async |Step { shown, thing, change }| {
                let (starts, removes) = (change.starts(), change.removes());
                let result = self.make(change, options.probation).await;
                (starts, removes, thing, StepOutcome { step: shown, result })
            });
            for (starts, removes, thing, outcome) in join_all(made).await {
                let is_done = outcome.result == StepResult::Done;
                if is_done && starts && is_remembered {
                    applications.record_start(&manifest, thing);
                } else if is_done && removes {
                    applications.record_removal(&thing);
                }
                outcomes.push(outcome);
            }
        }
        applications.conclude(&manifest);
        Ok(ManifestOutcome { manifest, host: self.id(), steps: outcomes, unchanged: difference.unchanged })
    }

    async fn make(&self, change: Change, probation: Duration) -> StepResult {
        let made = match change {
            Change::RemoveLink(key) => {
                let removed = self.remove_link(&key.actor, &key.contract, Some(key.link_name.to_string())).await;
                unless(removed, ErrorKind::NotLinked)
            }
            Change::StopActor(key) => unless(self.stop_actor(&key).await, ErrorKind::ActorNotFound),
            Change::StopProvider { key, contract_id } => {
                unless(self.send(Command::StopProvider { key, contract_id }).await, ErrorKind::ProviderNotFound)
            }
            Change::RemoveLabel(name) => {
                self.0.labels.reset(&name, self.0.configuration.labels.get(&name));
                Ok(())
            }
            Change::SetLabel { name, value } => {
                self.0.labels.merge([(name, value)].into());
                Ok(())
            }
            Change::StartProvider(capability) => self.start_native_capability(capability).await,
            Change::ReplaceProvider(capability) => return self.replace_provider(capability, probation).await,
            Change::StartActor { actor, options } => self.start_actor_with(actor, options).await,
            Change::ReplaceActor { actor, options } => return self.replace_actor(actor, options, probation).await,
            Change::ScaleActor { key, instances } => self.scale_actor(&key, instances).await,
            Change::SetLink(link) => self.set_link_of_manifest(link).await,
        };
        made.map_or_else(|error| StepResult::of_error(&error), |()| StepResult::Done)
    }

    async fn replace_actor(&self, actor: Actor, options: ActorOptions, probation: Duration) -> StepResult {
        conclude(self.send(ReplaceActor { actor, options, probation }).await)
    }

    async fn replace_provider(&self, capability: NativeCapability, probation: Duration) -> StepResult {
        let policy = self.0.configuration.restart;
        conclude(self.send(ReplaceProvider { capability, policy, probation }).await)
    }

    async fn set_link_of_manifest(&self, link: LinkDefinition) -> Result<()> {
        let key = link.key();
        let LinkDefinition { actor_id, provider_id, link_name, contract_id, values } = link;
        self.set_link(&actor_id, &contract_id, Some(link_name), provider_id, values).await?;
        let snapshot = self.0.dispatch.snapshot();
        if snapshot.links.get(&key).is_some_and(|link| link.state == LinkState::Pending) {
            log::warn!(actor = &*key.actor; "the {key} waits: its actor or its provider does not run");
        }
        Ok(())
    }
}

fn conclude(probation: Result<Probation>) -> StepResult {
    match probation {
        Ok(Probation::Passed) => StepResult::Done,
        Ok(Probation::Failed(reason)) => StepResult::RolledBack { reason },
        Err(error) => StepResult::of_error(&error),
    }
}

/// Returns success if what was to be removed was not there.
fn unless(removed: Result<()>, absent: ErrorKind) -> Result<()> {
    match removed {
        Err(error) if error.kind() == absent => Ok(()),
        removed => removed,
    }
}
