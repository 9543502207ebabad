//! The figures of all actors and providers, read at one time.

use std::collections::HashMap;

use super::label::{self, Labels};
use crate::child::Child;
use crate::dispatch::Dispatch;
use crate::dispatch::snapshot::{Condition, RunningActor};
use crate::instruments::Reading;

/// The longest name of a contract in a label. Unit: bytes.
const LONGEST_CONTRACT: usize = 48;

/// An actor or provider with its figures.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) child: Child,
    pub(super) label: String,
    pub(super) reading: Reading,
    pub(super) has_failed: bool,
    pub(super) role: Role,
}

#[derive(Debug)]
pub(super) enum Role {
    Actor { instances: usize, state: &'static str },
    Provider { contract: String },
}

/// All actors and providers. Providers come first, since there are few.
#[derive(Debug)]
pub(super) struct Targets {
    pub(super) all: Vec<Target>,
    /// The index of each.
    places: HashMap<Child, usize>,
}

impl Targets {
    /// Reads the figures of all that runs. They are empty for a host that does not count.
    pub(super) fn read(dispatch: &Dispatch) -> Targets {
        let snapshot = dispatch.snapshot();
        let instruments = dispatch.instruments();
        let mut labels = Labels::default();
        let mut providers: Vec<_> = snapshot.providers.values().collect();
        providers.sort_by(|one, other| one.identity.key.cmp(&other.identity.key));
        let providers: Vec<Target> = providers
            .into_iter()
            .filter_map(|provider| {
                let identity = &provider.identity;
                let key = &identity.key;
                let name = match &*key.link_name {
                    "default" => identity.claims.name(),
                    link_name => format!("{link_name}/{}", identity.claims.name()),
                };
                Some(Target {
                    reading: instruments.read_provider(key)?,
                    label: labels.give(&key.id, &name),
                    has_failed: matches!(provider.condition, Condition::Failed(_)),
                    role: Role::Provider { contract: label::plain(&identity.contract_id, LONGEST_CONTRACT) },
                    child: Child::Provider(key.clone()),
                })
            })
            .collect();
        let mut actors: Vec<_> = snapshot.actors.values().collect();
        actors.sort_by(|one, other| one.identity.key.cmp(&other.identity.key));
        let actors = actors.into_iter().filter_map(|actor| {
            let identity = &actor.identity;
            Some(Target {
                reading: instruments.read_actor(&identity.key)?,
                label: labels.give(&identity.key, &identity.name),
                has_failed: matches!(actor.condition, Condition::Failed(_)),
                role: Role::Actor { instances: actor.instances.mailboxes().len(), state: state(actor) },
                child: Child::Actor(identity.key.clone()),
            })
        });
        let mut all = providers;
        all.extend(actors);
        let places = all.iter().enumerate().map(|(at, target)| (target.child.clone(), at)).collect();
        Targets { all, places }
    }

    /// Returns the label of an actor or provider.
    pub(super) fn label(&self, child: &Child) -> &str {
        self.places.get(child).and_then(|at| self.all.get(*at)).map_or(label::OTHER, |target| &target.label)
    }
}

fn state(actor: &RunningActor) -> &'static str {
    match &actor.condition {
        _ if actor.draining => "stopping",
        Condition::Running => "running",
        Condition::Restarting(_) => "restarting",
        Condition::Failed(_) => "failed",
    }
}
