//! The figures of all actors and providers, read at one time.

use std::collections::HashMap;

use super::label::{self, Labels};
use crate::child::Child;
use crate::dispatch::Dispatch;
use crate::dispatch::snapshot::{Condition, RunningActor, RunningProvider};
use crate::instruments::{Instruments, Reading};

/// The longest name of a contract in a label. Unit: bytes.
const LONGEST_CONTRACT: usize = 48;

/// An actor or provider with its figures.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) child: Child,
    pub(super) label: String,
    pub(super) reading: Reading,
    pub(super) has_failed: bool,
    /// Whether its calls are rejected, since it is not trusted.
    pub(super) is_distrusted: bool,
    pub(super) role: Role,
}

#[derive(Debug)]
pub(super) enum Role {
    /// An actor, and how many calls its mailboxes hold.
    Actor {
        instances: usize,
        capacity: usize,
        state: &'static str,
    },
    Provider {
        contract: String,
    },
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
        let mut labels = Labels::default();
        let mut providers: Vec<_> = snapshot.providers.values().collect();
        providers.sort_by(|one, other| one.identity.key.cmp(&other.identity.key));
        let mut actors: Vec<_> = snapshot.actors.values().collect();
        actors.sort_by(|one, other| one.identity.key.cmp(&other.identity.key));
        let instruments = dispatch.instruments();
        let mut all: Vec<Target> = Vec::with_capacity(providers.len() + actors.len());
        all.extend(providers.into_iter().filter_map(|provider| Target::provider(provider, instruments, &mut labels)));
        all.extend(actors.into_iter().filter_map(|actor| Target::actor(actor, instruments, &mut labels)));
        Targets { places: index(&all), all }
    }

    /// Returns whether an actor or provider is among them.
    pub(super) fn has(&self, child: &Child) -> bool {
        self.places.contains_key(child)
    }

    /// Returns the label of an actor or provider.
    pub(super) fn label(&self, child: &Child) -> &str {
        self.places.get(child).and_then(|at| self.all.get(*at)).map_or(label::OTHER, |target| &target.label)
    }
}

impl Target {
    fn provider(provider: &RunningProvider, instruments: &Instruments, labels: &mut Labels) -> Option<Target> {
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
            is_distrusted: identity.trust.lost().is_some(),
            role: Role::Provider { contract: label::plain(&identity.contract_id, LONGEST_CONTRACT) },
            child: Child::Provider(key.clone()),
        })
    }

    fn actor(actor: &RunningActor, instruments: &Instruments, labels: &mut Labels) -> Option<Target> {
        let RunningActor { identity, instances, .. } = actor;
        let number = instances.mailboxes().len();
        Some(Target {
            reading: instruments.read_actor(&identity.key)?,
            label: labels.give(&identity.key, &identity.name),
            has_failed: matches!(actor.condition, Condition::Failed(_)),
            is_distrusted: identity.trust.lost().is_some(),
            role: Role::Actor {
                instances: number,
                capacity: number.saturating_mul(instances.mailbox_length()),
                state: state(actor),
            },
            child: Child::Actor(identity.key.clone()),
        })
    }
}

fn index(all: &[Target]) -> HashMap<Child, usize> {
    all.iter().enumerate().map(|(at, target)| (target.child.clone(), at)).collect()
}

fn state(actor: &RunningActor) -> &'static str {
    match &actor.condition {
        _ if actor.draining => "stopping",
        Condition::Running => "running",
        Condition::Restarting(_) => "restarting",
        Condition::Failed(_) => "failed",
    }
}

#[cfg(test)]
mod of_test {
    use super::{Child, Reading, Role, Target, Targets, index};

    impl Target {
        /// Returns a target that exists for a test alone.
        pub(in crate::telemetry::metrics) fn of_test(child: Child, reading: Reading) -> Target {
            let role = Role::Actor { instances: 1, capacity: 1, state: "running" };
            Target { child, label: String::new(), reading, has_failed: false, is_distrusted: false, role }
        }
    }

    impl Targets {
        /// Returns these targets.
        pub(in crate::telemetry::metrics) fn of_test(all: Vec<Target>) -> Targets {
            Targets { places: index(&all), all }
        }
    }
}
