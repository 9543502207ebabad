//! Counts the calls that no instance serves, for metrics: those that are refused, and those whose target does not run.

use wasmcloud_core::error::{Error, ErrorKind};

use super::Dispatch;
use super::resolve::Name;
use super::snapshot::Snapshot;
use crate::instruments::{EntityInstruments, Outcome};

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

    /// Counts a call that a rule of this host refuses. What does not run here may run elsewhere, and is not counted yet.
    #[cold]
    pub(super) fn count_if_refused(&self, call: Unserved<'_>, refusal: &Error) {
        if Outcome::of_kind(refusal.kind()) == Outcome::Refused {
            self.count_unserved(call, refusal);
        }
    }

    /// Counts a call that was refused here with an error of this kind, unless another host has served it.
    pub(super) fn count_if_absent<T>(&self, call: Unserved<'_>, refused: ErrorKind, answer: &Result<T, Error>) {
        if let Err(error) = answer
            && error.kind() == refused
            && Outcome::of_kind(refused) == Outcome::Error
        {
            self.count_unserved(call, error);
        }
    }
}
