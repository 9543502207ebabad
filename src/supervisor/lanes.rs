//! Lanes: one change at a time for one thing, in the order of asking, while other things change beside it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

/// A lane for each key that is in use.
#[derive(Debug)]
pub(super) struct Lanes<K>(RefCell<HashMap<K, Arc<Mutex<()>>>>);

/// A place in a lane: first that of a change that waits, then that of the change under way. It is given up when this is
/// dropped, and the lane is forgotten with its last place.
#[derive(Debug)]
pub(super) struct Lane<'a, K: Hash + Eq> {
    lanes: &'a Lanes<K>,
    key: K,
    lane: Arc<Mutex<()>>,
    turn: Option<OwnedMutexGuard<()>>,
}

impl<K> Default for Lanes<K> {
    fn default() -> Self {
        Lanes(RefCell::default())
    }
}

impl<K: Hash + Eq + Clone> Lanes<K> {
    /// Waits for the changes of this key that were asked for before. The lane is held until the result is dropped.
    pub(super) async fn enter(&self, key: &K) -> Lane<'_, K> {
        let lane = self.0.borrow_mut().entry(key.clone()).or_default().clone();
        let mut place = Lane { lanes: self, key: key.clone(), lane, turn: None };
        place.turn = Some(place.lane.clone().lock_owned().await);
        place
    }
}

impl<K: Hash + Eq> Drop for Lane<'_, K> {
    fn drop(&mut self) {
        self.turn = None;
        // A lane that only the map and this place know is used by no other change.
        if Arc::strong_count(&self.lane) == 2 {
            self.lanes.0.borrow_mut().remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn changes_of_one_key_wait_for_each_other_and_leave_nothing_behind() {
        let lanes = Lanes::default();
        let first = lanes.enter(&"a").await;
        let other = lanes.enter(&"b").await;
        assert!(futures_util::poll!(std::pin::pin!(lanes.enter(&"a"))).is_pending());
        drop(first);
        let second = lanes.enter(&"a").await;
        drop(other);
        assert_eq!(lanes.0.borrow().len(), 1);
        let mut third = Box::pin(lanes.enter(&"a"));
        assert!(futures_util::poll!(third.as_mut()).is_pending());
        drop(second);
        // It has been given the turn and gives it up unseen.
        drop(third);
        assert!(lanes.0.borrow().is_empty());
    }
}
