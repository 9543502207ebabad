//! The children that the lattice is to be told of: each at most once at a time, and again after a failure.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::child::Child;

/// The number of children that the lattice is told of at the same time.
const AT_ONCE: usize = 64;

/// The delay before a child that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// The children that the lattice is to be told of.
#[derive(Debug, Default)]
pub(super) struct Pending {
    changed: HashSet<Child>,
    /// Those that it is being told of. One that changes meanwhile is told again.
    in_progress: HashSet<Child>,
    failed: HashSet<Child>,
    /// When those that failed are tried again.
    retry_at: Option<Instant>,
}

impl Pending {
    /// Adds children that have changed.
    pub(super) fn add(&mut self, changed: HashSet<Child>) {
        self.changed.extend(changed);
    }

    /// Adds the children that failed.
    pub(super) fn add_failed(&mut self) {
        self.retry_at = None;
        self.changed.extend(self.failed.drain());
    }

    /// Takes a child that has changed and is not in progress.
    pub(super) fn begin(&mut self) -> Option<Child> {
        if self.in_progress.len() >= AT_ONCE {
            return None;
        }
        let child = self.changed.iter().find(|child| !self.in_progress.contains(*child))?.clone();
        self.changed.remove(&child);
        self.in_progress.insert(child.clone());
        Some(child)
    }

    /// Notes that the lattice was told of a child, or could not be.
    pub(super) fn end(&mut self, child: Child, is_told: bool) {
        self.in_progress.remove(&child);
        if !is_told {
            self.failed.insert(child);
            self.retry_at.get_or_insert_with(|| Instant::now() + RETRY);
        }
    }

    /// Waits until those that failed are to be tried again.
    pub(super) async fn retry(&self) {
        match self.retry_at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Returns whether the lattice has been told of all children, except for those that failed.
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.in_progress.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(key: &str) -> Child {
        Child::Actor(key.into())
    }

    #[test]
    fn a_child_that_changes_while_the_lattice_is_told_is_told_again_afterwards() {
        let mut pending = Pending::default();
        pending.add([child("A")].into());
        assert_eq!(pending.begin(), Some(child("A")));
        pending.add([child("A"), child("B")].into());
        assert_eq!(pending.begin(), Some(child("B")));
        assert_eq!(pending.begin(), None);
        pending.end(child("A"), true);
        assert_eq!(pending.begin(), Some(child("A")));
        assert!(!pending.is_empty());
        pending.end(child("A"), true);
        pending.end(child("B"), true);
        assert!(pending.is_empty());
    }

    #[test]
    fn only_so_many_are_told_of_at_once() {
        let mut pending = Pending::default();
        pending.add((0..=AT_ONCE).map(|number| child(&number.to_string())).collect());
        let begun: Vec<Child> = std::iter::from_fn(|| pending.begin()).collect();
        assert_eq!(begun.len(), AT_ONCE);
        pending.end(begun[0].clone(), true);
        assert!(pending.begin().is_some());
        assert!(pending.begin().is_none());
    }

    #[actix_rt::test]
    async fn a_child_that_failed_is_tried_again_however_many_others_change() {
        let mut pending = Pending::default();
        pending.add([child("A")].into());
        let failed = pending.begin().unwrap();
        pending.end(failed, false);
        assert!(pending.is_empty());
        // Other changes do not put it off.
        let mut changes = 0;
        while tokio::time::timeout(RETRY / 4, pending.retry()).await.is_err() {
            pending.add([child("B")].into());
            changes += 1;
        }
        assert!(changes <= 4);
        pending.add_failed();
        assert!([pending.begin(), pending.begin()].contains(&Some(child("A"))));
    }
}
