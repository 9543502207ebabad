//! Counts the calls that no instance serves, for metrics: those that are refused, those whose target does not run, and those
//! whose target ends before it has answered.

use wasmcloud_core::error::Error;

use super::Dispatch;
use super::resolve::Name;
use super::snapshot::Snapshot;
use crate::instruments::EntityInstruments;
#[cfg(feature = "lattice")]
use crate::instruments::Outcome;

/// A call that is not served.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unserved<'a> {
    /// The key of the actor that calls, if an actor does.
    pub(super) origin: Option<&'a str>,
    pub(super) name: Name<'a>,
    /// `None` counts it among the operations that are not counted one by one.
    pub(super) operation: Option<&'a str>,
}

impl<'a> Unserved<'a> {
    /// Returns a call to an actor, by its key or call alias.
    pub(super) fn to_actor(name: &'a str, operation: Option<&'a str>) -> Unserved<'a> {
        Unserved { origin: None, name: Name { namespace: name, link_name: "" }, operation }
    }

    /// Returns the same call with its operation.
    pub(super) fn of(self, operation: &'a str) -> Unserved<'a> {
        Unserved { operation: Some(operation), ..self }
    }

    fn target(self, snapshot: &Snapshot) -> Option<&EntityInstruments> {
        let Name { namespace, link_name } = self.name;
        let link = self.origin.and_then(|origin| snapshot.link(origin, namespace, link_name));
        if let Some(link) = link {
            return snapshot.provider_of(link).map(|provider| &provider.instruments);
        }
        let by_alias = || snapshot.actors.get(snapshot.aliases.get(namespace)?);
        snapshot.actors.get(namespace).or_else(by_alias).map(|actor| &actor.instruments)
    }
}

impl Dispatch {
    /// Counts a call that is not served, for its target if that runs here.
    #[cold]
    pub(super) fn count_unserved(&self, call: Unserved<'_>, error: &Error) {
        if !self.0.instruments.is_on() {
            return;
        }
        match call.target(&self.0.snapshot.load()) {
            Some(target) => target.count_unserved(call.operation, error.kind()),
            None => self.0.instruments.count_absent(error.kind()),
        }
    }

    /// Counts a call of another host that a rule of this one refuses. What does not run here may run on a third host, and the
    /// caller's host counts it if it runs nowhere.
    #[cfg(feature = "lattice")]
    #[cold]
    pub(super) fn count_if_refused(&self, call: Unserved<'_>, refusal: &Error) {
        if Outcome::of_kind(refusal.kind()) == Outcome::Refused {
            self.count_unserved(call, refusal);
        }
    }
}
