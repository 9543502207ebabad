//! Lanes: one change at a time for one thing, in the order of asking, while other things change beside it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

/// A lane for each key that is in use.
#[derive(Debug)]
pub(super) struct Lanes<K>(RefCell<HashMap<K, Arc<Mutex<()>>>>);

impl<K> Default for Lanes<K> {
    fn default() -> Self {
        Lanes(RefCell::default())
    }
}

impl<K: Hash + Eq + Clone> Lanes<K> {
    /// Waits for the changes of this key that were asked for before. The lane is held until the guard is dropped.
    pub(super) async fn enter(&self, key: &K) -> OwnedMutexGuard<()> {
        let lane = {
            let mut lanes = self.0.borrow_mut();
            // A lane that only this map knows is used by nobody.
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
            lanes.entry(key.clone()).or_default().clone()
        };
        lane.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn changes_of_one_key_wait_for_each_other_and_leave_nothing_behind() {
        let lanes = Lanes::default();
        let first = lanes.enter(&"a").await;
        let _other = lanes.enter(&"b").await;
        assert!(futures_util::poll!(std::pin::pin!(lanes.enter(&"a"))).is_pending());
        drop(first);
        let _second = lanes.enter(&"a").await;
        drop(_other);
        let _third = lanes.enter(&"c").await;
        assert_eq!(lanes.0.borrow().len(), 2);
    }
}
