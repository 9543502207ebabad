//! A lock for each key: changes of one key run one at a time in the order of their requests, changes of different keys run
//! concurrently.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

/// A lock for each key in use.
#[derive(Debug)]
pub(super) struct KeyedLock<K>(RefCell<HashMap<K, Arc<Mutex<()>>>>);

/// A change that waits for a key's lock, and then holds it. The lock is removed with its last guard.
#[derive(Debug)]
pub(super) struct KeyedLockGuard<'a, K: Hash + Eq> {
    locks: &'a KeyedLock<K>,
    key: K,
    lock: Arc<Mutex<()>>,
    turn: Option<OwnedMutexGuard<()>>,
}

impl<K> Default for KeyedLock<K> {
    fn default() -> Self {
        KeyedLock(RefCell::default())
    }
}

impl<K: Hash + Eq + Clone> KeyedLock<K> {
    /// Waits for the changes of this key that were requested before. The lock is held until the guard is dropped.
    pub(super) async fn lock(&self, key: &K) -> KeyedLockGuard<'_, K> {
        let lock = self.0.borrow_mut().entry(key.clone()).or_default().clone();
        let mut guard = KeyedLockGuard { locks: self, key: key.clone(), lock, turn: None };
        guard.turn = Some(guard.lock.clone().lock_owned().await);
        guard
    }
}

impl<K: Hash + Eq> Drop for KeyedLockGuard<'_, K> {
    fn drop(&mut self) {
        self.turn = None;
        // A lock that only the map and this guard refer to is used by no other change.
        if Arc::strong_count(&self.lock) == 2 {
            self.locks.0.borrow_mut().remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn changes_of_one_key_wait_for_each_other_and_leave_no_lock_behind() {
        let locks = KeyedLock::default();
        let first = locks.lock(&"a").await;
        let other = locks.lock(&"b").await;
        assert!(futures_util::poll!(std::pin::pin!(locks.lock(&"a"))).is_pending());
        drop(first);
        let second = locks.lock(&"a").await;
        drop(other);
        assert_eq!(locks.0.borrow().len(), 1);
        let mut third = Box::pin(locks.lock(&"a"));
        assert!(futures_util::poll!(third.as_mut()).is_pending());
        drop(second);
        // It owns the lock now, and is dropped before it is polled.
        drop(third);
        assert!(locks.0.borrow().is_empty());
    }
}
