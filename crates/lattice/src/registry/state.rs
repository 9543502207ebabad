//! What is known of the registry: the revision of each key that is followed, and the rules by which an entry replaces another.

use std::collections::HashMap;

use super::entry::{Entry, Refusal, Value};
use super::key::Key;

/// The most refused entries that are remembered, so that each is reported once.
const MOST_REFUSED: usize = 1024;

/// What is known of a key.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// The revision of the last valid entry, or 0 after the data was lost.
    pub(super) revision: u64,
    pub(super) is_removed: bool,
    /// The time at which the entry was stored, since 1970. Unit: seconds.
    pub(super) seconds: u64,
    /// The last round of reading in which the entry was there.
    pub(super) round: u64,
}

/// What follows from an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The entry is known already, or was refused and reported before.
    Known,
    /// The entry takes effect.
    Accepted,
    /// The entry is refused. The last valid one stays in effect.
    Refused(Refusal),
}

/// What is known of the registry.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) entries: HashMap<Key, Held>,
    refused: HashMap<Key, u64>,
}

impl Known {
    /// Returns the revision of the last valid entry of a key, or 0.
    pub(super) fn revision(&self, key: &Key) -> u64 {
        self.entries.get(key).map_or(0, |held| held.revision)
    }

    /// Returns whether an entry of the bucket with this revision would be new.
    pub(super) fn is_news(&self, key: &Key, revision: u64) -> bool {
        revision > self.revision(key) && self.refused.get(key) != Some(&revision)
    }

    /// Returns whether an entry that was announced may be newer than what is known.
    pub(super) fn may_follow(&self, key: &Key, entry: &Entry) -> bool {
        entry.base >= self.revision(key)
    }

    /// Notes that an entry is in the bucket.
    pub(super) fn mark(&mut self, key: &Key, round: u64) {
        if let Some(held) = self.entries.get_mut(key) {
            held.round = round;
        }
    }

    /// Decides on an entry of the bucket.
    pub(super) fn consider(
        &mut self,
        key: &Key,
        revision: u64,
        seconds: u64,
        entry: &Result<Entry, Refusal>,
        round: u64,
    ) -> Verdict {
        self.mark(key, round);
        if !self.is_news(key, revision) {
            return Verdict::Known;
        }
        let refusal = match entry {
            Ok(entry) if self.may_follow(key, entry) => {
                let is_removed = matches!(entry.value, Value::Removed(_));
                self.entries.insert(key.clone(), Held { revision, is_removed, seconds, round });
                self.refused.remove(key);
                return Verdict::Accepted;
            }
            Ok(_) => Refusal::Outdated,
            Err(refusal) => *refusal,
        };
        self.refuse(key, revision);
        Verdict::Refused(refusal)
    }

    /// Decides on a key that has no entry in the bucket.
    pub(super) fn consider_absence(&mut self, key: &Key) -> Verdict {
        match self.entries.get(key) {
            Some(held) if held.is_removed => {
                self.entries.remove(key);
                Verdict::Known
            }
            // After the data was lost, what is known stays until its hosts have put it again.
            Some(held) if held.revision > 0 && self.refused.get(key) != Some(&0) => {
                self.refuse(key, 0);
                Verdict::Refused(Refusal::Vanished)
            }
            _ => Verdict::Known,
        }
    }

    /// Forgets all revisions: the stream starts anew. What is known stays in effect.
    pub(super) fn lose(&mut self) {
        self.entries.retain(|_, held| !held.is_removed);
        for held in self.entries.values_mut() {
            held.revision = 0;
        }
        self.refused.clear();
    }

    fn refuse(&mut self, key: &Key, revision: u64) {
        if self.refused.len() >= MOST_REFUSED {
            self.refused.clear();
        }
        self.refused.insert(key.clone(), revision);
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Removal;
    use super::*;

    fn entry(base: u64, value: Value) -> Result<Entry, Refusal> {
        Ok(Entry { base, seconds: 0, value })
    }

    #[test]
    fn an_entry_that_follows_an_older_revision_is_refused() {
        let key = Key::Alias("a".to_owned());
        let mut known = Known::default();
        let first = entry(0, Value::Alias("t".to_owned()));
        assert_eq!(known.consider(&key, 5, 0, &first, 1), Verdict::Accepted);
        assert_eq!(known.consider(&key, 5, 0, &first, 1), Verdict::Known);
        let removed = entry(5, Value::Removed(Removal::default()));
        assert_eq!(known.consider(&key, 9, 0, &removed, 1), Verdict::Accepted);
        assert_eq!(known.consider(&key, 12, 0, &first, 1), Verdict::Refused(Refusal::Outdated));
        assert_eq!(known.consider(&key, 12, 0, &first, 1), Verdict::Known);
        assert!(known.entries[&key].is_removed);
        // A valid entry may follow a refused one.
        assert_eq!(known.consider(&key, 13, 0, &entry(12, Value::Alias("u".to_owned())), 1), Verdict::Accepted);
    }

    #[test]
    fn an_entry_that_vanishes_stays_in_effect_and_is_reported_once() {
        let key = Key::Alias("a".to_owned());
        let mut known = Known::default();
        known.consider(&key, 5, 0, &entry(0, Value::Alias("t".to_owned())), 1);
        assert_eq!(known.consider_absence(&key), Verdict::Refused(Refusal::Vanished));
        assert_eq!(known.consider_absence(&key), Verdict::Known);
        assert_eq!(known.revision(&key), 5);
        known.lose();
        assert_eq!(known.consider(&key, 1, 0, &entry(0, Value::Alias("t".to_owned())), 2), Verdict::Accepted);
    }

    #[test]
    fn a_purged_removal_is_forgotten() {
        let key = Key::Alias("a".to_owned());
        let mut known = Known::default();
        known.consider(&key, 5, 0, &entry(0, Value::Removed(Removal::default())), 1);
        assert_eq!(known.consider_absence(&key), Verdict::Known);
        assert!(known.entries.is_empty());
    }
}
