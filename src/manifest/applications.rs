//! What a host remembers of the manifests that were applied to it: what each of them started, and what it names now.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::identity::ProviderKey;

use crate::link::LinkKey;

/// The number of manifests that are remembered.
const MOST_APPLICATIONS: usize = 10_000;

/// A thing that a manifest starts or sets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Thing {
    Link(LinkKey),
    Actor(Arc<str>),
    Provider(ProviderKey),
    Label(String),
}

/// The manifests that were applied, by name. It is kept in memory, like what they started.
#[derive(Debug, Default)]
pub(crate) struct Applications(HashMap<String, Application>);

#[derive(Debug, Default)]
struct Application {
    /// What the manifest named when it was last applied.
    named: HashSet<Thing>,
    /// What its applications have started and not removed.
    started: HashSet<Thing>,
}

impl Applications {
    /// Returns whether an application of a manifest started a thing.
    pub(crate) fn started(&self, manifest: &str, thing: &Thing) -> bool {
        self.0.get(manifest).is_some_and(|application| application.started.contains(thing))
    }

    /// Returns what a manifest started, and what neither it nor another manifest names now, in order.
    pub(crate) fn leftovers(&self, manifest: &str, named: &HashSet<Thing>) -> Vec<Thing> {
        let Some(application) = self.0.get(manifest) else { return Vec::new() };
        let left = application.started.iter().filter(|thing| !named.contains(thing));
        let mut left: Vec<Thing> = left.filter(|thing| self.heir(manifest, thing).is_none()).cloned().collect();
        left.sort();
        left
    }

    /// Returns another manifest that names a thing.
    fn heir(&self, manifest: &str, thing: &Thing) -> Option<&String> {
        let others = self.0.iter().filter(|(name, _)| *name != manifest);
        others.filter(|(_, other)| other.named.contains(thing)).map(|(name, _)| name).min()
    }

    /// Records that a manifest is applied, and what it names. Things that it no longer names belong to another manifest that
    /// does.
    ///
    /// # Errors
    /// `Busy` if too many manifests are remembered.
    pub(crate) fn begin(&mut self, manifest: &str, named: HashSet<Thing>) -> Result<()> {
        if self.0.len() >= MOST_APPLICATIONS && !self.0.contains_key(manifest) {
            let message = format!(
                "the host remembers {MOST_APPLICATIONS} manifests, its maximum: apply a manifest under a name that it knows, or \
                 empty ones with pruning"
            );
            return Err(Error::new(ErrorKind::Busy, message));
        }
        let started = self.0.get(manifest).map(|application| application.started.clone()).unwrap_or_default();
        for thing in started.difference(&named) {
            let heir = self.heir(manifest, thing).cloned();
            if let Some(heir) = heir.and_then(|heir| self.0.get_mut(&heir)) {
                heir.started.insert(thing.clone());
                self.0.entry(manifest.to_owned()).or_default().started.remove(thing);
            }
        }
        self.0.entry(manifest.to_owned()).or_default().named = named;
        Ok(())
    }

    /// Records that an application of a manifest has started a thing.
    pub(crate) fn record_start(&mut self, manifest: &str, thing: Thing) {
        self.0.entry(manifest.to_owned()).or_default().started.insert(thing);
    }

    /// Records that a thing was removed, by whichever manifest it was started.
    pub(crate) fn record_removal(&mut self, thing: &Thing) {
        for application in self.0.values_mut() {
            application.started.remove(thing);
        }
    }

    /// Forgets a manifest that names nothing and has started nothing.
    pub(crate) fn conclude(&mut self, manifest: &str) {
        if self.0.get(manifest).is_some_and(|left| left.named.is_empty() && left.started.is_empty()) {
            self.0.remove(manifest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: &str) -> Thing {
        Thing::Label(name.to_owned())
    }

    fn labels(names: &[&str]) -> HashSet<Thing> {
        names.iter().map(|name| label(name)).collect()
    }

    fn apply(applications: &mut Applications, manifest: &str, names: &[&str]) {
        applications.begin(manifest, labels(names)).unwrap();
        for name in names {
            applications.record_start(manifest, label(name));
        }
    }

    #[test]
    fn leftovers_are_what_was_started_and_is_no_longer_named() {
        let mut applications = Applications::default();
        apply(&mut applications, "one", &["a", "b"]);
        assert!(applications.leftovers("other", &labels(&[])).is_empty());
        assert_eq!(applications.leftovers("one", &labels(&["b", "c"])), [label("a")]);
        // Without pruning it stays a leftover.
        applications.begin("one", labels(&["b"])).unwrap();
        assert_eq!(applications.leftovers("one", &labels(&["b"])), [label("a")]);
        applications.record_removal(&label("a"));
        assert!(applications.leftovers("one", &labels(&["b"])).is_empty());
    }

    #[test]
    fn what_was_not_started_by_a_manifest_is_none_of_its_leftovers() {
        let mut applications = Applications::default();
        applications.begin("one", labels(&["a"])).unwrap();
        assert!(applications.leftovers("one", &labels(&[])).is_empty());
    }

    #[test]
    fn things_that_another_manifest_names_pass_to_it() {
        let mut applications = Applications::default();
        apply(&mut applications, "one", &["a"]);
        applications.begin("two", labels(&["a"])).unwrap();
        assert!(applications.leftovers("one", &labels(&[])).is_empty());
        applications.begin("one", labels(&[])).unwrap();
        assert!(applications.started("two", &label("a")) && !applications.started("one", &label("a")));
        assert_eq!(applications.leftovers("two", &labels(&[])), [label("a")]);
    }

    #[test]
    fn the_record_is_bounded_and_forgets_what_is_empty() {
        let mut applications = Applications::default();
        for number in 0..MOST_APPLICATIONS {
            apply(&mut applications, &number.to_string(), &["a"]);
        }
        let refused = applications.begin("another", labels(&["a"])).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Busy);
        applications.begin("7", labels(&[])).unwrap();
        applications.conclude("7");
        applications.begin("another", labels(&["a"])).unwrap();
    }
}
