//! The difference between what a manifest describes and what runs in a host.
//!
//! # Layout
//! - `shown`: how changes are shown

mod shown;

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use wasmcloud_claims::Actor;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::identity::{Image, ProviderKey};
use wasmcloud_core::limits::Limits;
use wasmcloud_plugin::NativeCapability;

use super::ManifestFailures;
use super::applications::{Applications, Thing};
use super::outcome::{PlanAction, PlanStep};
use super::plan::{ReadActor, ReadManifest, ReadProvider};
use crate::dispatch::snapshot::{Condition, RunningActor, Snapshot};
use crate::identity::ProviderIdentity;
use crate::link::{LinkDefinition, LinkKey, LinkState};
use crate::supervisor::placement::ActorOptions;
use crate::supervisor::restart::RestartPolicy;
use crate::supervisor::survey::{CurrentOptions, SurveyAnswer, SurveyedActor, SurveyedProvider};

/// The changes that make a host run what a manifest describes.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    pub(crate) steps: Vec<Step>,
    /// The number of entries that run as described.
    pub(crate) unchanged: usize,
    /// The entries that cannot be applied.
    pub(crate) failures: ManifestFailures,
}

/// A change, and how it is shown.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) shown: PlanStep,
    pub(crate) thing: Thing,
    pub(crate) change: Change,
}

/// A change of a host.
#[derive(Debug)]
pub(crate) enum Change {
    RemoveLink(LinkKey),
    StopActor(Arc<str>),
    StopProvider { key: ProviderKey, contract_id: String },
    RemoveLabel(String),
    SetLabel { name: String, value: String },
    StartProvider(NativeCapability),
    ReplaceProvider(NativeCapability),
    StartActor { actor: Actor, options: ActorOptions },
    ReplaceActor { actor: Actor, options: ActorOptions },
    ScaleActor { key: Arc<str>, instances: usize },
    SetLink(LinkDefinition),
}

/// What a manifest is compared with.
pub(crate) struct Situation<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) labels: &'a HashMap<String, String>,
    /// The host's limits.
    pub(crate) limits: Limits,
    /// The host's restart policy.
    pub(crate) restart: RestartPolicy,
    /// Whether running actors and providers may be replaced.
    pub(crate) updates_enabled: bool,
    /// Checks that there is room for a number of further guests.
    pub(crate) check_room: &'a dyn Fn(usize, &Limits) -> Result<()>,
    pub(crate) applications: &'a Applications,
    /// The name of the manifest. Empty if it has none.
    pub(crate) manifest: &'a str,
    /// Links that the lattice knows as the manifest describes them, of actors and providers on other hosts.
    pub(crate) set_elsewhere: &'a HashSet<LinkKey>,
}

/// The comparison of a manifest.
struct Comparison<'a> {
    situation: &'a Situation<'a>,
    difference: Difference,
    /// How many more guests run afterwards, by their limits.
    guests: Vec<(Limits, usize)>,
}

impl Situation<'_> {
    /// Compares a manifest. `leftovers` are removed first.
    pub(crate) fn compare(
        &self,
        labels: impl Iterator<Item = (String, String)>,
        read: ReadManifest,
        survey: SurveyAnswer,
        leftovers: Vec<Thing>,
    ) -> Difference {
        let difference = Difference { failures: read.failures, ..Difference::default() };
        let mut comparison = Comparison { situation: self, difference, guests: Vec::new() };
        leftovers.into_iter().for_each(|thing| comparison.remove(thing));
        labels.for_each(|(name, value)| comparison.label(name, value));
        for ((entry, provider), surveyed) in read.capabilities.into_iter().zip(survey.providers) {
            let compared = comparison.provider(&entry, provider, surveyed);
            comparison.difference.failures.record(entry, compared);
        }
        for ((entry, actor), surveyed) in read.actors.into_iter().zip(survey.actors) {
            let compared = comparison.actor(&entry, actor, surveyed);
            comparison.difference.failures.record(entry, compared);
        }
        read.links.into_iter().for_each(|(entry, link)| comparison.link(entry, link));
        comparison.check_room();
        comparison.difference
    }
}

impl ReadManifest {
    /// Returns what the manifest names.
    pub(crate) fn things(&self, labels: impl Iterator<Item = String>) -> HashSet<Thing> {
        let providers =
            self.capabilities.iter().map(|(_, read)| Thing::Provider(read.capability.descriptor().key.clone()));
        let actors = self.actors.iter().map(|(_, read)| Thing::Actor(read.actor.public_key().into()));
        let links = self.links.iter().map(|(_, link)| Thing::Link(link.key()));
        labels.map(Thing::Label).chain(providers).chain(actors).chain(links).collect()
    }
}

impl Comparison<'_> {
    /// Removes what the manifest no longer names, if it is there.
    fn remove(&mut self, thing: Thing) {
        let snapshot = self.situation.snapshot;
        let (entry, from, change) = match &thing {
            Thing::Link(key) => (key.to_string(), None, Change::RemoveLink(key.clone())),
            Thing::Actor(key) => {
                let Some(running) = snapshot.actors.get(key) else { return };
                let (entry, from) = (running.identity.to_string(), shown::revision(running.identity.revision, None));
                (entry, Some(from), Change::StopActor(key.clone()))
            }
            Thing::Provider(key) => {
                let Some(running) = snapshot.providers.get(key) else { return };
                let contract_id = running.identity.contract_id.clone();
                (running.identity.to_string(), None, Change::StopProvider { key: key.clone(), contract_id })
            }
            Thing::Label(name) => {
                let Some(value) = self.situation.labels.get(name) else { return };
                (shown::label(name), Some(value.clone()), Change::RemoveLabel(name.clone()))
            }
        };
        self.add(thing, entry, from, None, change);
    }

    fn label(&mut self, name: String, value: String) {
        let current = self.situation.labels.get(&name).cloned();
        if current.as_ref() == Some(&value) {
            self.difference.unchanged += 1;
            return;
        }
        let thing = Thing::Label(name.clone());
        self.add(thing, shown::label(&name), current, Some(value.clone()), Change::SetLabel { name, value });
    }

    fn provider(&mut self, entry: &str, read: ReadProvider, surveyed: SurveyedProvider) -> Result<()> {
        let ReadProvider { capability, sets_isolation } = read;
        surveyed.refusal.map_or(Ok(()), Err)?;
        let wanted = ProviderIdentity::new(capability.descriptor());
        let thing = Thing::Provider(wanted.key.clone());
        let to = Some(shown::revision(wanted.revision(), wanted.image.as_deref()));
        let Some(running) = self.situation.snapshot.providers.get(&wanted.key) else {
            self.add(thing, entry.to_owned(), None, to, Change::StartProvider(capability));
            return Ok(());
        };
        if matches!(running.condition, Condition::Failed(_)) {
            self.add(thing, entry.to_owned(), Some("failed".to_owned()), to, Change::StartProvider(capability));
            return Ok(());
        }
        let current = &running.identity;
        let is_same = if wanted.signed { current.claims == wanted.claims } else { !current.signed };
        let is_moved = capability.isolation().cloned() != surveyed.isolation;
        if is_same && !(is_moved && (sets_isolation || self.is_owned(&thing))) {
            self.difference.unchanged += 1;
            return Ok(());
        }
        let from = Some(shown::revision(current.revision(), current.image.as_deref()));
        if is_same {
            let to = to.map(|to| format!("{to} with other isolation"));
            self.add(thing, entry.to_owned(), from, to, Change::ReplaceProvider(capability));
            return Ok(());
        }
        self.expect_updates(current)?;
        if current.claims.issuer != wanted.claims.issuer {
            let message = format!("{current} was signed by {}, not by {}", current.claims.issuer, wanted.claims.issuer);
            return Err(Error::new(ErrorKind::UpdateRefused, message));
        }
        self.add(thing, entry.to_owned(), from, to, Change::ReplaceProvider(capability));
        Ok(())
    }

    /// Returns whether an application of this manifest has started a thing.
    fn is_owned(&self, thing: &Thing) -> bool {
        self.situation.applications.started(self.situation.manifest, thing)
    }

    fn expect_updates(&self, current: &ProviderIdentity) -> Result<()> {
        if self.situation.updates_enabled {
            return Ok(());
        }
        let message = format!(
            "{current} runs another revision, and live updates are not enabled: see HostBuilder::enable_live_updates, or \
             `wasmcloud run --allow-live-updates`, or stop the provider first"
        );
        Err(Error::new(ErrorKind::UpdateRefused, message))
    }

    fn actor(&mut self, entry: &str, read: ReadActor, surveyed: SurveyedActor) -> Result<()> {
        let ReadActor { actor, wanted, image } = read;
        let SurveyedActor { refusal, current } = surveyed;
        refusal.map_or(Ok(()), Err)?;
        let key: Arc<str> = actor.public_key().into();
        let thing = Thing::Actor(key.clone());
        let running = self.situation.snapshot.actors.get(&key);
        let is_owned = self.is_owned(&thing);
        // What the manifest leaves out is as on the host, or as it is if others have started the actor.
        let base = current.as_ref().filter(|_| !is_owned && running.is_some());
        let limits = base.map_or(self.situation.limits, |current| current.limits);
        let restart = base.and_then(|current| current.options.restart).unwrap_or(self.situation.restart);
        let placement = base.map(|current| current.options.placement).unwrap_or_default();
        let options = wanted.options(limits, restart, placement);
        options.expect_instance_limit()?;
        let options = with_image(options, image.as_deref());
        let to = shown::revision(actor_revision(&actor), image.as_deref());
        let running = running.filter(|running| !matches!(running.condition, Condition::Failed(_)));
        let (Some(running), Some(current)) = (running, current) else {
            let from = self.situation.snapshot.actors.contains_key(&key).then(|| "failed".to_owned());
            self.need_room(&options, options.instances.get());
            self.add(thing, entry.to_owned(), from, Some(to), Change::StartActor { actor, options });
            return Ok(());
        };
        self.running_actor(
            entry,
            thing,
            RunningEntry { running, current, actor, options, instances: wanted.instances, to },
        );
        Ok(())
    }

    /// Compares an actor that runs.
    fn running_actor(&mut self, entry: &str, thing: Thing, compared: RunningEntry<'_>) {
        let RunningEntry { running, current, actor, mut options, instances, to } = compared;
        let count = running.instances.mailboxes().len();
        let changed = changed_options(&current, &options);
        let is_same = running.identity.claims == actor.shared_claims();
        let wanted = instances.unwrap_or(count);
        if is_same && changed.is_empty() {
            if wanted == count {
                self.difference.unchanged += 1;
                return;
            }
            self.need_room(&options, wanted.saturating_sub(count));
            let change = Change::ScaleActor { key: running.identity.key.clone(), instances: wanted };
            self.add(thing, entry.to_owned(), Some(shown::instances(count)), Some(shown::instances(wanted)), change);
            return;
        }
        options.instances = NonZeroUsize::new(wanted).unwrap_or(NonZeroUsize::MIN);
        // The new instances are there before the old ones end.
        self.need_room(&options, wanted);
        let from = shown::revision(running.identity.revision, running.identity.image.as_deref());
        let mut to = to;
        if !changed.is_empty() {
            to.push_str(&format!(" with other {}", changed.join(", ")));
        }
        if wanted != count {
            to.push_str(&format!(" and {}", shown::instances(wanted)));
        }
        self.add(thing, entry.to_owned(), Some(from), Some(to), Change::ReplaceActor { actor, options });
    }

    fn link(&mut self, entry: String, link: LinkDefinition) {
        let key = link.key();
        let known = self.situation.snapshot.links.get(&key);
        let is_set = known.is_some_and(|known| {
            *known.definition == link && !matches!(known.state, LinkState::Refused(_) | LinkState::Releasing)
        });
        if is_set || (known.is_none() && self.situation.set_elsewhere.contains(&key)) {
            self.difference.unchanged += 1;
            return;
        }
        let from = known.map(|known| shown::link(&known.definition, None));
        let to = shown::link(&link, known.map(|known| &*known.definition));
        self.add(Thing::Link(key), entry, from, Some(to), Change::SetLink(link));
    }

    fn need_room(&mut self, options: &ActorOptions, guests: usize) {
        let limits = options.limits_or(self.situation.limits);
        match self.guests.iter_mut().find(|(known, _)| *known == limits) {
            Some((_, number)) => *number = number.saturating_add(guests),
            None => self.guests.push((limits, guests)),
        }
    }

    /// Checks that the host has room for all further guests with the same limits.
    fn check_room(&mut self) {
        for (limits, guests) in std::mem::take(&mut self.guests) {
            self.difference.failures.record("actors", (self.situation.check_room)(guests, &limits));
        }
    }

    fn add(&mut self, thing: Thing, entry: String, from: Option<String>, to: Option<String>, change: Change) {
        let action = change.action(from.is_some());
        self.difference.steps.push(Step { shown: PlanStep { action, entry, from, to }, thing, change });
    }
}

/// An actor that runs, and what the manifest says of it.
struct RunningEntry<'a> {
    running: &'a RunningActor,
    current: CurrentOptions,
    actor: Actor,
    options: ActorOptions,
    /// The number of instances, if the manifest sets it.
    instances: Option<usize>,
    /// How the wanted revision is shown.
    to: String,
}

impl Change {
    fn action(&self, was_there: bool) -> PlanAction {
        match self {
            Change::RemoveLink(_) => PlanAction::Unlink,
            Change::StopActor(_) | Change::StopProvider { .. } => PlanAction::Stop,
            Change::RemoveLabel(_) => PlanAction::Unlabel,
            Change::SetLabel { .. } => PlanAction::Label,
            Change::StartProvider(_) | Change::StartActor { .. } => PlanAction::Start,
            Change::ReplaceProvider(_) | Change::ReplaceActor { .. } => PlanAction::Update,
            Change::ScaleActor { .. } => PlanAction::Scale,
            Change::SetLink(_) if was_there => PlanAction::Relink,
            Change::SetLink(_) => PlanAction::Link,
        }
    }

    /// Returns whether the change starts or sets something, so that the manifest has started it.
    pub(crate) fn starts(&self) -> bool {
        matches!(
            self,
            Change::SetLabel { .. } | Change::StartProvider(_) | Change::StartActor { .. } | Change::SetLink(_)
        )
    }

    /// Returns whether the change removes something.
    pub(crate) fn removes(&self) -> bool {
        matches!(
            self,
            Change::RemoveLink(_) | Change::StopActor(_) | Change::StopProvider { .. } | Change::RemoveLabel(_)
        )
    }

    /// Returns whether two changes that follow each other can be made at once.
    pub(crate) fn is_made_with(&self, other: &Change) -> bool {
        let group = |change: &Change| match change {
            Change::StartActor { .. } | Change::ReplaceActor { .. } | Change::ScaleActor { .. } => 1,
            Change::StopActor(_) => 2,
            Change::ReplaceProvider(_) => 3,
            _ => 0,
        };
        group(self) != 0 && group(self) == group(other)
    }
}

/// Returns the names of the options in which a running actor differs.
fn changed_options(current: &CurrentOptions, wanted: &ActorOptions) -> Vec<&'static str> {
    let mut changed = Vec::new();
    if wanted.limits_or(current.limits) != current.limits {
        changed.push("limits");
    }
    if wanted.placement != current.options.placement {
        changed.push("placement");
    }
    if wanted.restart != current.options.restart {
        changed.push("restart policy");
    }
    changed
}

fn with_image(options: ActorOptions, image: Option<&Image>) -> ActorOptions {
    let Some(image) = image else { return options };
    let options = options.image_ref(&image.reference);
    image.digest.iter().fold(options, ActorOptions::image_digest)
}

fn actor_revision(actor: &Actor) -> i32 {
    actor.shared_claims().metadata.as_ref().and_then(|metadata| metadata.rev).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_actors_are_changed_at_once() {
        let scale = || Change::ScaleActor { key: "M".into(), instances: 2 };
        assert!(scale().is_made_with(&scale()));
        assert!(!scale().is_made_with(&Change::StopActor("M".into())));
        let label = || Change::RemoveLabel("a".into());
        assert!(!label().is_made_with(&label()));
    }
}
