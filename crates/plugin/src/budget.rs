//! Limits how many bytes a host holds for its plugins: for each plugin, and for all of them together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const MIB: usize = 1024 * 1024;

/// The overhead of an item besides its bytes, in bytes: entries of maps and queues.
const ITEM_OVERHEAD: usize = 512;

/// The least that a plugin's call to an actor counts for, in bytes. With the defaults, a plugin can have 4,096 in flight.
const LEAST_ACTOR_CALL: usize = 64 * 1024;

/// The smallest limit on payloads that budgets are computed from, in bytes.
const LEAST_PAYLOAD: usize = 16 * MIB;

/// How many plugins can exhaust their budgets before the budgets of the host are exhausted.
const PLUGINS: usize = 4;

/// A number of bytes that reservations are made from. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct ByteBudget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    left: AtomicUsize,
    /// The budget that reservations are made from as well.
    parent: Option<ByteBudget>,
}

/// Bytes reserved from a budget. Dropping this returns them.
#[derive(Debug)]
pub(super) struct ReservedBytes {
    budget: ByteBudget,
    bytes: usize,
}

impl ByteBudget {
    /// Returns a budget of `bytes` bytes.
    pub(super) fn new(bytes: usize) -> ByteBudget {
        ByteBudget(Arc::new(Shared { left: AtomicUsize::new(bytes), parent: None }))
    }

    /// Returns a budget of `bytes` bytes whose reservations also count for this budget.
    fn child(&self, bytes: usize) -> ByteBudget {
        ByteBudget(Arc::new(Shared { left: AtomicUsize::new(bytes), parent: Some(self.clone()) }))
    }

    /// Reserves the bytes of an item and its overhead. Returns `None` if too few are left.
    pub(super) fn reserve(&self, bytes: usize) -> Option<ReservedBytes> {
        let bytes = bytes.saturating_add(ITEM_OVERHEAD);
        self.take(bytes).then(|| ReservedBytes { budget: self.clone(), bytes })
    }

    fn take(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        if self.0.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err() {
            return false;
        }
        let taken = self.0.parent.as_ref().is_none_or(|parent| parent.take(bytes));
        if !taken {
            self.0.left.fetch_add(bytes, Ordering::Relaxed);
        }
        taken
    }

    fn release(&self, bytes: usize) {
        self.0.left.fetch_add(bytes, Ordering::Relaxed);
        if let Some(parent) = &self.0.parent {
            parent.release(bytes);
        }
    }
}

impl Drop for ReservedBytes {
    fn drop(&mut self) {
        self.budget.release(self.bytes);
    }
}

/// The budgets of a host, or of one of its plugins.
#[derive(Debug, Clone)]
pub struct PluginBudgets {
    /// Calls of actors that the plugin serves, or that wait for it.
    calls: ByteBudget,
    /// Calls of the plugin to actors that are in flight.
    actor_calls: ByteBudget,
    /// Answers of actors that the plugin has not received yet.
    answers: ByteBudget,
    /// Refusals of the plugin's calls that it has not received yet. They must be kept even if no answer fits.
    refusals: ByteBudget,
}

impl PluginBudgets {
    /// Returns the budgets of a host whose payloads have at most `payload_bytes` bytes.
    pub fn of_host(payload_bytes: usize) -> PluginBudgets {
        let sizes = BudgetSizes::new(payload_bytes);
        let budget = |bytes: usize| ByteBudget::new(bytes.saturating_mul(PLUGINS));
        PluginBudgets {
            calls: budget(sizes.calls),
            actor_calls: budget(sizes.actor_calls),
            answers: budget(sizes.answers),
            refusals: budget(sizes.refusals),
        }
    }

    /// Returns the budgets of a plugin of the host that these budgets belong to.
    pub(super) fn of_plugin(&self, payload_bytes: usize) -> PluginBudgets {
        let sizes = BudgetSizes::new(payload_bytes);
        PluginBudgets {
            calls: self.calls.child(sizes.calls),
            actor_calls: self.actor_calls.child(sizes.actor_calls),
            answers: self.answers.child(sizes.answers),
            refusals: self.refusals.child(sizes.refusals),
        }
    }

    /// Reserves the bytes of a call that an actor makes.
    pub(super) fn reserve_call(&self, bytes: usize) -> Option<ReservedBytes> {
        self.calls.reserve(bytes)
    }

    /// Reserves the bytes of a call to an actor.
    pub(super) fn reserve_actor_call(&self, bytes: usize) -> Option<ReservedBytes> {
        self.actor_calls.reserve(bytes.max(LEAST_ACTOR_CALL - ITEM_OVERHEAD))
    }

    /// Reserves the bytes of an answer until the plugin receives it.
    pub(super) fn reserve_answer(&self, bytes: usize) -> Option<ReservedBytes> {
        self.answers.reserve(bytes)
    }

    /// Reserves the bytes of a refusal until the plugin receives it.
    pub(super) fn reserve_refusal(&self, bytes: usize) -> Option<ReservedBytes> {
        self.refusals.reserve(bytes)
    }
}

/// The sizes of the budgets of a plugin, in bytes. All but that for refusals fit the largest payload.
struct BudgetSizes {
    calls: usize,
    actor_calls: usize,
    answers: usize,
    refusals: usize,
}

impl BudgetSizes {
    fn new(payload_bytes: usize) -> BudgetSizes {
        let largest = payload_bytes.max(LEAST_PAYLOAD);
        let several = largest.saturating_mul(4);
        BudgetSizes { calls: several, actor_calls: several, answers: largest.saturating_add(MIB), refusals: 64 * MIB }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reservations_never_exceed_the_budgets_and_are_returned(
            reservations in prop::collection::vec((any::<bool>(), 0_usize..20_000, any::<bool>()), 0..100),
        ) {
            let parent = ByteBudget::new(100_000);
            let children = [parent.child(60_000), parent.child(60_000)];
            let mut held: Vec<(usize, ReservedBytes)> = Vec::new();
            for (second, bytes, release) in reservations {
                if release && !held.is_empty() {
                    held.remove(0);
                }
                let child = usize::from(second);
                let cost = bytes + ITEM_OVERHEAD;
                let of = |child: usize| {
                    held.iter().filter(|(of, _)| *of == child).map(|(_, held)| held.bytes).sum::<usize>()
                };
                let fits = of(child) + cost <= 60_000 && of(0) + of(1) + cost <= 100_000;
                let reserved = children[child].reserve(bytes);
                prop_assert_eq!(reserved.is_some(), fits);
                held.extend(reserved.map(|reserved| (child, reserved)));
            }
            held.clear();
            prop_assert_eq!(parent.0.left.load(Ordering::Relaxed), 100_000);
            prop_assert!(children.iter().all(|child| child.0.left.load(Ordering::Relaxed) == 60_000));
        }
    }

    #[test]
    fn the_largest_payload_fits_the_budgets_of_a_plugin_in_each_direction() {
        for payload_bytes in [0, 1, 64 * MIB, 1024 * MIB] {
            let budgets = PluginBudgets::of_host(payload_bytes).of_plugin(payload_bytes);
            let _call = budgets.reserve_call(payload_bytes).unwrap();
            let _actor_call = budgets.reserve_actor_call(payload_bytes).unwrap();
            let _answer = budgets.reserve_answer(payload_bytes).unwrap();
        }
    }

    #[test]
    fn a_single_plugin_cannot_exhaust_the_budgets_of_the_host() {
        let host = PluginBudgets::of_host(64 * MIB);
        let greedy = host.of_plugin(64 * MIB);
        let held: Vec<ReservedBytes> = std::iter::from_fn(|| greedy.reserve_actor_call(0)).collect();
        assert_eq!(held.len(), 4096);
        let other = host.of_plugin(64 * MIB);
        assert!(other.reserve_actor_call(64 * MIB).is_some());
    }

    #[test]
    fn a_size_near_the_largest_number_is_refused() {
        let budgets = PluginBudgets::of_host(usize::MAX).of_plugin(64 * MIB);
        assert!(budgets.reserve_call(usize::MAX).is_none());
        assert!(budgets.reserve_answer(usize::MAX - 1).is_none());
    }
}
