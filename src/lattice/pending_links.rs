//! The revisions of links that this host knows, and its changes of links that are still to be published.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wasmcloud_lattice::registry::{Change, LinkRecord};

use crate::link::LinkKey;

/// How many versions of a link are remembered that may have been stored.
const SENT: usize = 16;

/// The revisions of links in the registry, and the changes that are still to be published.
#[derive(Debug, Default)]
pub(super) struct PendingLinks(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    /// The last known revision of each link that this host knows from the registry.
    revisions: HashMap<LinkKey, u64>,
    /// How many changes of each link have been requested of the supervisor, and have not ended.
    applying: HashMap<LinkKey, usize>,
    /// The last unpublished change of each link.
    pending: HashMap<LinkKey, Pending>,
    /// The versions of a link that this host has tried to publish since its last success. Any may have been stored.
    /// `None` is a removal.
    sent: HashMap<LinkKey, Vec<Option<LinkRecord>>>,
    /// The number of changes so far.
    changes: u64,
}

/// A change that waits to be published.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) key: LinkKey,
    pub(super) change: Change,
    /// The revision that was known when the link was changed first.
    pub(super) base: u64,
    /// Tells this change apart from a later one of the same link.
    number: u64,
}

impl PendingLinks {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the revision of a link. Returns whether none is newer, and no change of this host waits to be published.
    pub(super) fn learn(&self, key: &LinkKey, revision: u64) -> bool {
        let mut book = self.book();
        // The revision of a change of this host may be known before it is heard of, after an older one of another host.
        let is_latest = book.revisions.get(key).is_none_or(|known| *known <= revision);
        if is_latest {
            book.revisions.insert(key.clone(), revision);
        }
        is_latest && !book.pending.contains_key(key)
    }

    /// Notes that a change of a link was requested of the supervisor.
    pub(super) fn begin(&self, key: &LinkKey) {
        *self.book().applying.entry(key.clone()).or_default() += 1;
    }

    /// Notes that a requested change of a link has ended.
    pub(super) fn end(&self, key: &LinkKey) {
        let mut book = self.book();
        if let Some(count) = book.applying.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                book.applying.remove(key);
            }
        }
    }

    /// Returns whether a requested change of a link has not ended yet.
    pub(super) fn is_changing(&self, key: &LinkKey) -> bool {
        self.book().applying.contains_key(key)
    }

    /// Returns whether the registry has ever held a link, as far as this host knows.
    pub(super) fn is_registered(&self, key: &LinkKey) -> bool {
        self.book().revisions.contains_key(key)
    }

    /// Returns whether a change of a link waits to be published.
    pub(super) fn is_pending(&self, key: &LinkKey) -> bool {
        self.book().pending.contains_key(key)
    }

    /// Returns how many changes wait to be published.
    pub(super) fn waiting(&self) -> usize {
        self.book().pending.len()
    }

    /// Forgets the revisions: the registry has lost its data.
    pub(super) fn forget_revisions(&self) {
        self.book().revisions.clear();
    }

    /// Adds a change that waits to be published. It replaces an earlier one of the same link.
    pub(super) fn add(&self, key: LinkKey, change: Change) {
        let mut book = self.book();
        book.changes += 1;
        let number = book.changes;
        let base = book.pending.get(&key).map(|pending| pending.base);
        let base = base.or_else(|| book.revisions.get(&key).copied()).unwrap_or(0);
        let sent = book.sent.entry(key.clone()).or_default();
        if sent.len() == SENT {
            sent.remove(0);
        }
        sent.push(match &change {
            Change::SetLink(record) => Some(record.clone()),
            _ => None,
        });
        book.pending.insert(key.clone(), Pending { key, change, base, number });
    }

    /// Returns the changes that wait to be published.
    pub(super) fn pending(&self) -> Vec<Pending> {
        self.book().pending.values().cloned().collect()
    }

    /// Returns whether this host has tried to publish a link in this version, without a confirmation. `None` is a removal.
    pub(super) fn was_sent(&self, key: &LinkKey, version: Option<&LinkRecord>) -> bool {
        self.book().sent.get(key).is_some_and(|sent| sent.iter().any(|sent| sent.as_ref() == version))
    }

    /// Returns whether no later change of the same link waits, and this one was not published yet.
    pub(super) fn is_last(&self, change: &Pending) -> bool {
        self.book().pending.get(&change.key).is_some_and(|waiting| waiting.number == change.number)
    }

    /// Records that a change was published at once. It replaces one that waited.
    pub(super) fn published(&self, key: &LinkKey, revision: u64) {
        let mut book = self.book();
        book.pending.remove(key);
        book.sent.remove(key);
        book.note(key, revision);
    }

    /// Records that a change was published, or lost to another one if there is no revision. A later change of the same link
    /// still waits, and follows this one.
    pub(super) fn conclude(&self, concluded: &Pending, revision: Option<u64>) {
        let mut book = self.book();
        match revision {
            Some(revision) => book.note(&concluded.key, revision),
            // What the registry holds is news.
            None => drop(book.revisions.remove(&concluded.key)),
        }
        match book.pending.get_mut(&concluded.key) {
            Some(waiting) if waiting.number == concluded.number => {
                book.pending.remove(&concluded.key);
                book.sent.remove(&concluded.key);
            }
            Some(waiting) => waiting.base = revision.unwrap_or(waiting.base),
            None => {}
        }
    }
}

impl Book {
    fn note(&mut self, key: &LinkKey, revision: u64) {
        let known = self.revisions.entry(key.clone()).or_default();
        *known = revision.max(*known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> LinkKey {
        LinkKey::new("M", "a:b", "default")
    }

    fn set(value: &str) -> Change {
        Change::SetLink(record(value))
    }

    fn record(value: &str) -> LinkRecord {
        LinkRecord {
            actor: "M".to_owned(),
            contract: "a:b".to_owned(),
            link_name: "default".to_owned(),
            provider: "V".to_owned(),
            values: [("VALUE".to_owned(), value.to_owned())].into_iter().collect(),
        }
    }

    #[test]
    fn the_last_change_of_a_link_waits_on_the_revision_that_was_known_before_the_first() {
        let links = PendingLinks::default();
        assert!(links.learn(&key(), 7));
        links.add(key(), set("1"));
        // The first change was stored, and is heard of.
        assert!(!links.learn(&key(), 9));
        links.add(key(), set("2"));
        let pending = links.pending();
        assert_eq!((pending.len(), pending[0].base), (1, 7));
        let was_sent = |value: &str| links.was_sent(&key(), Some(&record(value)));
        assert!(was_sent("1") && was_sent("2") && !was_sent("3") && !links.was_sent(&key(), None));
        links.conclude(&pending[0], Some(10));
        assert_eq!(links.waiting(), 0);
        assert!(links.learn(&key(), 10) && !links.learn(&key(), 9));
    }

    #[test]
    fn a_removal_that_may_have_been_stored_is_known_as_a_change_of_this_host() {
        let links = PendingLinks::default();
        let actor = nkeys::KeyPair::new_module().public_key();
        let removed = wasmcloud_lattice::registry::LinkKey::new(&actor, "a:b", "default").unwrap();
        links.add(key(), set("1"));
        links.add(key(), Change::RemoveLink(removed));
        links.add(key(), set("2"));
        assert!(links.was_sent(&key(), None));
        links.published(&key(), 4);
        assert!(!links.was_sent(&key(), None));
    }

    #[test]
    fn a_change_that_is_made_while_an_earlier_one_is_published_still_waits() {
        let links = PendingLinks::default();
        links.add(key(), set("1"));
        let first = links.pending().remove(0);
        assert!(links.is_last(&first));
        links.add(key(), set("2"));
        assert!(!links.is_last(&first));
        links.conclude(&first, Some(3));
        let pending = links.pending();
        assert_eq!((pending.len(), pending[0].base), (1, 3));
    }
}
