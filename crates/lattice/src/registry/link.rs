//! Links: set, removed and read.
//!
//! A change of a link touches the index of its providers first, then replaces the link, then settles the index. If the writer
//! dies between, readers of the index read the link again for a while.

use std::collections::BTreeMap;

use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Registry;
use super::entry::{LinkRecord, Removal, Value};
use super::key::{Key, LinkKey};
use super::write::{Current, attempts, exhausted};

/// The most links of one actor that are returned at once.
const MOST_LINKS: usize = 65_536;

/// A link in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredLink {
    /// The definition.
    pub definition: LinkRecord,
    /// The revision, which grows with each change.
    pub revision: u64,
}

/// The version of a link in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkVersion {
    /// The definition. `None` if the link was removed.
    pub definition: Option<LinkRecord>,
    /// The revision, which grows with each change.
    pub revision: u64,
}

/// What the registry holds under the key of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkEntry {
    /// Nothing: the link was never set, or its removal is long ago.
    Absent,
    /// The link.
    Set,
    /// The removal of the link.
    Removed,
    /// An entry that no trusted host has signed. The last valid state stays in effect.
    Refused,
}

impl Registry {
    /// Sets a link. Returns its revision once JetStream has stored it. If the link is set to the same already, nothing changes.
    ///
    /// # Errors
    /// `LatticeUnavailable` if nothing was changed. `OutcomeUnknown` if the change was sent and could not be confirmed.
    /// `RegistryConflict` if other hosts changed the link at each attempt. `Unsupported` if a newer host wrote it.
    pub async fn put_link(&self, link: &LinkRecord) -> Result<u64> {
        let key = link.key()?;
        self.change_link(&key, Some(&link.normalised()), None).await
    }

    /// Removes a link. Returns the revision of the removal once JetStream has stored it, or 0 if there was no link.
    ///
    /// # Errors
    /// As [`Registry::put_link`].
    pub async fn remove_link(&self, key: &LinkKey) -> Result<u64> {
        self.change_link(key, None, None).await
    }

    /// Returns what the registry holds under the key of a link.
    ///
    /// # Errors
    /// `LatticeUnavailable` if it could not be read.
    pub async fn link_entry(&self, key: &LinkKey) -> Result<LinkEntry> {
        Ok(match self.current(&Key::Link(key.clone())).await? {
            Current::Absent => LinkEntry::Absent,
            Current::Refused { .. } => LinkEntry::Refused,
            Current::Valid { entry, .. } if matches!(entry.value, Value::Link(_)) => LinkEntry::Set,
            Current::Valid { .. } => LinkEntry::Removed,
        })
    }

    /// Returns the version of a link, or `None` if it was never set, its removal is long ago, or no trusted host has signed it.
    ///
    /// # Errors
    /// `LatticeUnavailable` if it could not be read.
    pub async fn link_version(&self, key: &LinkKey) -> Result<Option<LinkVersion>> {
        let current = self.current(&Key::Link(key.clone())).await?;
        let is_valid = matches!(current, Current::Valid { .. });
        Ok(is_valid.then(|| LinkVersion { definition: linked(&current).cloned(), revision: current.revision() }))
    }

    /// Returns the links of an actor.
    ///
    /// # Errors
    /// `LatticeUnavailable` if they could not be read, `InvalidArgument` if the key is not an actor's.
    pub async fn links_of(&self, actor: &str) -> Result<Vec<RegisteredLink>> {
        wasmcloud_core::entity::expect_key(actor, wasmcloud_core::entity::KeyKind::Actor)?;
        let found = self.0.bucket.collect(format!("link.{actor}.>"), MOST_LINKS).await?;
        let links = found.into_iter().filter_map(|found| match self.verify(&found.key, &found.stored) {
            Ok(entry) => match entry.value {
                Value::Link(definition) => Some(RegisteredLink { definition, revision: found.stored.sequence }),
                _ => None,
            },
            Err(_) => {
                self.0.counters.refused.add();
                None
            }
        });
        Ok(links.collect())
    }

    /// Changes a link. With a base, only if the link still has that revision or none.
    pub(super) async fn change_link(
        &self,
        key: &LinkKey,
        wanted: Option<&LinkRecord>,
        base: Option<u64>,
    ) -> Result<u64> {
        let entry_key = Key::Link(key.clone());
        let mut intents: BTreeMap<String, u64> = BTreeMap::new();
        for attempt in attempts() {
            let current = self.current(&entry_key).await?;
            if is_as_wanted(&current, wanted) {
                self.settle_all(key, &intents, wanted, current.revision()).await;
                return Ok(current.revision());
            }
            if base.is_some_and(|base| current.revision() != 0 && current.revision() != base) {
                self.settle_all(key, &intents, linked(&current), current.revision()).await;
                return Err(conflict(&entry_key));
            }
            for provider in [linked(&current), wanted].into_iter().flatten().map(|link| &link.provider) {
                if !intents.contains_key(provider) {
                    let revision = self.announce(provider, key).await?;
                    intents.insert(provider.clone(), revision);
                }
            }
            let value = wanted.map_or_else(|| Value::Removed(Removal::default()), |link| Value::Link(link.clone()));
            let floor = intents.values().copied().min().unwrap_or(0);
            if let Some(revision) = self.attempt(&entry_key, &current, &value, floor).await? {
                self.settle_all(key, &intents, wanted, revision).await;
                return Ok(revision);
            }
            self.back_off(attempt).await;
        }
        Err(exhausted(&entry_key))
    }

    async fn settle_all(
        &self,
        key: &LinkKey,
        intents: &BTreeMap<String, u64>,
        link: Option<&LinkRecord>,
        revision: u64,
    ) {
        let settlements = intents.iter().map(|(provider, intent)| {
            let is_linked = link.is_some_and(|link| link.provider == *provider);
            self.settle(provider, key, *intent, is_linked.then_some(revision))
        });
        futures_util::future::join_all(settlements).await;
    }
}

/// Returns the definition of a link that is set.
pub(super) fn linked(current: &Current) -> Option<&LinkRecord> {
    match current.value() {
        Some(Value::Link(link)) => Some(link),
        _ => None,
    }
}

fn is_as_wanted(current: &Current, wanted: Option<&LinkRecord>) -> bool {
    match (current, wanted) {
        (_, Some(wanted)) => linked(current) == Some(wanted),
        (Current::Absent, None) => true,
        (_, None) => matches!(current.value(), Some(Value::Removed(_))),
    }
}

pub(super) fn conflict(key: &Key) -> Error {
    let message = format!("the entry {key} of the registry was changed by another host meanwhile, whose change stays");
    Error::new(ErrorKind::RegistryConflict, message)
}
