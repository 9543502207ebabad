//! A number of bytes that several payloads share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A budget of bytes.
#[derive(Debug)]
pub(super) struct Budget {
    most: usize,
    used: AtomicUsize,
}

/// A part of a budget. Dropping it returns the bytes.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(most: usize) -> Budget {
        Budget { most, used: AtomicUsize::new(0) }
    }

    /// Takes bytes, or returns `None` if fewer are left.
    pub(super) fn take(budget: &Arc<Budget>, bytes: usize) -> Option<Share> {
        let add = |used: usize| used.checked_add(bytes).filter(|used| *used <= budget.most);
        budget.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).ok()?;
        Some(Share { budget: Arc::clone(budget), bytes })
    }

    /// Returns the bytes that are taken.
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_never_exceeded_and_returned() {
        let budget = Arc::new(Budget::new(10));
        let share = Budget::take(&budget, 7).unwrap();
        assert!(Budget::take(&budget, 4).is_none() && Budget::take(&budget, usize::MAX).is_none());
        let rest = Budget::take(&budget, 3).unwrap();
        assert_eq!(budget.used(), 10);
        drop((share, rest));
        assert_eq!(budget.used(), 0);
    }
}
