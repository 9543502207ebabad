//! Limits how many memory *mappings* guests hold: the regions of address space that the operating system tracks one by
//! one.
//!
//! Linux limits their number (`vm.max_map_count`, 65,530 by default), and wasmer panics if it cannot map a stack. So
//! every mapping is reserved from a budget first, and an exhausted budget is a typed error.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::limits::Limits;

use super::fault::Fault;
use super::memory::{MemoryLayout, ReleaseQueue};

/// The mappings of one compiled module and its call loop: the sections of their code.
pub(super) const MODULE_MAPPINGS: usize = 8;

/// The stacks of an entered guest.
const STACKS: usize = 2;

/// The size of the stack that wasmer suspends a guest's calls on. The other one has the size of the guest's limit. Unit: bytes.
const COROUTINE_STACK: usize = 1024 * 1024;

/// The mappings of an entered guest: its stacks, each with a guard page.
const STACK_MAPPINGS: usize = 2 * STACKS;

/// The number of stacks after which wasmer's pool is emptied, when it receives one more. Reusing a stack avoids a call of
/// the operating system that stalls all threads of the process. A pooled stack keeps its touched pages, so the pool is
/// small. Its mappings count against [`LEFT_TO_PROCESS`].
const MAX_POOLED_STACKS: usize = 16;

/// The mappings that are left to the rest of the process: threads, libraries, the allocator.
const LEFT_TO_PROCESS: usize = 4096;

/// The assumed limit of mappings if the operating system does not state one.
const DEFAULT_SYSTEM_LIMIT: usize = 65_530;

/// The budget of mappings that the guests of a host share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MappingBudget(Arc<BudgetState>);

#[derive(Debug)]
struct BudgetState {
    limit: usize,
    /// The mappings reserved for memories, code and stacks.
    reserved: AtomicUsize,
    /// The mappings reserved for stacks alone.
    stacks: AtomicUsize,
    /// The size of these stacks. Unit: bytes.
    stack_bytes: AtomicUsize,
    /// An estimate of the stacks in wasmer's pool, which all hosts of the process share. Each thread can keep one more
    /// than is counted.
    pooled: AtomicUsize,
    /// The memories whose mappings are about to be released.
    release_queue: ReleaseQueue,
}

/// Reserved mappings. Dropping it returns them to the budget.
#[derive(Debug)]
pub(super) struct MappingReservation {
    from: MappingBudget,
    count: usize,
}

/// The reserved mappings of a guest's stacks, held while the guest is entered.
#[derive(Debug)]
pub(super) struct StackReservation {
    mappings: MappingReservation,
    /// The size of the stacks. Unit: bytes.
    bytes: usize,
}

/// The stacks that the guests of a host hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackUsage {
    /// How many.
    pub stacks: usize,
    /// The address space that they take. Unit: bytes.
    pub bytes: usize,
}

impl MappingBudget {
    /// Returns a budget of `limit` mappings. Default: the limit of the operating system, minus 4,096 for the rest of
    /// the process.
    pub fn new(limit: Option<usize>) -> MappingBudget {
        let limit = limit.unwrap_or_else(|| system_limit().saturating_sub(LEFT_TO_PROCESS));
        let [reserved, stacks, stack_bytes, pooled] = std::array::from_fn(|_| AtomicUsize::new(0));
        let release_queue = ReleaseQueue::default();
        MappingBudget(Arc::new(BudgetState { limit, reserved, stacks, stack_bytes, pooled, release_queue }))
    }

    /// Returns the queue that releases the memories of dropped guests.
    pub(super) fn release_queue(&self) -> ReleaseQueue {
        self.0.release_queue.clone()
    }

    /// Reserves mappings for `what`.
    ///
    /// # Errors
    /// `ResourcesExhausted` if fewer mappings are left.
    pub(super) fn reserve(&self, what: &'static str, count: usize) -> Result<MappingReservation, Fault> {
        let limit = self.0.limit;
        // A refused reservation must not take room from a smaller one at the same time.
        let more = |reserved: usize| reserved.checked_add(count).filter(|&sum| sum <= limit);
        match self.0.reserved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(MappingReservation { from: self.clone(), count }),
            Err(_) => Err(Fault::ResourcesExhausted(format!(
                "there is no room for {what}: the guests of the host may hold {limit} mappings"
            ))),
        }
    }

    /// Checks that the budget has room for this number of guests now. It reserves nothing: each guest still reserves
    /// its own mappings.
    ///
    /// # Errors
    /// `Busy` if the mappings do not suffice.
    pub fn check_room_for_guests(&self, guests: usize, limits: &Limits) -> Result<()> {
        let wanted = guests.saturating_mul(MemoryLayout::for_limits(limits).mappings());
        let limit = self.0.limit;
        if wanted <= limit.saturating_sub(self.0.reserved.load(Ordering::Relaxed)) {
            return Ok(());
        }
        let message = format!("there is no room for {guests} more guests: those of the host may hold {limit} mappings");
        Err(Error::new(ErrorKind::Busy, message))
    }

    /// Returns the stacks that guests hold now.
    pub fn stack_usage(&self) -> StackUsage {
        let stacks = self.0.stacks.load(Ordering::Relaxed) / STACK_MAPPINGS * STACKS;
        StackUsage { stacks, bytes: self.0.stack_bytes.load(Ordering::Relaxed) }
    }

    /// Reserves the mappings of the stacks that a guest is entered on. Its own one has `stack_bytes`.
    ///
    /// # Errors
    /// `ResourcesExhausted` if fewer mappings are left.
    pub(super) fn reserve_stacks(&self, stack_bytes: usize) -> Result<StackReservation, Fault> {
        let mappings = self.reserve("its stacks", STACK_MAPPINGS)?;
        let bytes = stack_bytes.saturating_add(COROUTINE_STACK);
        self.0.stacks.fetch_add(STACK_MAPPINGS, Ordering::Relaxed);
        self.0.stack_bytes.fetch_add(bytes, Ordering::Relaxed);
        let one_less = |pooled: usize| Some(pooled.saturating_sub(1));
        // The closure always returns a value, so the update cannot fail.
        let _ = self.0.pooled.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        Ok(StackReservation { mappings, bytes })
    }

    /// Counts a stack that wasmer's pool receives, and drains the pool if it may hold too many.
    fn count_pooled_stack(&self) {
        if self.0.pooled.fetch_add(1, Ordering::Relaxed) >= MAX_POOLED_STACKS {
            wasmer::sys::vm::drain_stack_pool();
            self.0.pooled.store(0, Ordering::Relaxed);
        }
    }

    /// Returns whether guests should release their stacks after each answer: stacks hold more than half of the mappings
    /// that memories and code leave, and guests that run need the rest.
    pub(super) fn stacks_are_scarce(&self) -> bool {
        let BudgetState { limit, reserved, stacks, .. } = &*self.0;
        let stacks = stacks.load(Ordering::Relaxed);
        let others = reserved.load(Ordering::Relaxed).saturating_sub(stacks);
        stacks > limit.saturating_sub(others) / 2
    }
}

impl Drop for MappingReservation {
    fn drop(&mut self) {
        self.from.0.reserved.fetch_sub(self.count, Ordering::Relaxed);
    }
}

impl Drop for StackReservation {
    /// Releases the mappings. One of the two stacks returns to wasmer's pool.
    fn drop(&mut self) {
        let budget = &self.mappings.from;
        budget.count_pooled_stack();
        budget.0.stacks.fetch_sub(STACK_MAPPINGS, Ordering::Relaxed);
        budget.0.stack_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Returns how many mappings the operating system allows this process.
fn system_limit() -> usize {
    let stated = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok();
    stated.and_then(|text| text.trim().parse().ok()).unwrap_or(DEFAULT_SYSTEM_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_are_returned_and_a_refusal_reserves_nothing() {
        let mappings = MappingBudget::new(Some(10));
        let memory = mappings.reserve("a memory", 6).unwrap();
        let stacks = mappings.reserve_stacks(1024).unwrap();
        let refusal = mappings.reserve("another", 1).unwrap_err().to_string();
        assert!(refusal.contains("no room for another") && refusal.contains("10 mappings"), "{refusal}");
        assert_eq!(mappings.stack_usage(), StackUsage { stacks: 2, bytes: 1024 + COROUTINE_STACK });
        drop(stacks);
        assert_eq!(mappings.stack_usage(), StackUsage { stacks: 0, bytes: 0 });
        let again = mappings.reserve_stacks(1024).unwrap();
        assert!(mappings.reserve_stacks(1024).is_err());
        drop((memory, again));
        drop(mappings.reserve("all of them", 10).unwrap());
    }

    #[test]
    fn a_refused_reservation_takes_no_room_from_others() {
        let mappings = MappingBudget::new(Some(10));
        let refused = |count| mappings.reserve("too much", count).is_err();
        let held = mappings.reserve("a memory", 1).unwrap();
        assert!(refused(usize::MAX) && refused(10));
        std::thread::scope(|scope| {
            scope.spawn(|| (0..100_000).for_each(|_| assert!(refused(10))));
            for _ in 0..100_000 {
                drop(mappings.reserve("a small one", 1).unwrap());
            }
        });
        drop(held);
    }

    #[test]
    fn guests_beyond_the_budget_are_refused_before_they_start() {
        let mappings = MappingBudget::new(Some(10));
        let compact = Limits::new().memory_bytes(64 * 1024);
        let reserved = mappings.reserve("a memory", 4).unwrap();
        mappings.check_room_for_guests(6, &compact).unwrap();
        for guests in [7, usize::MAX] {
            let refusal = mappings.check_room_for_guests(guests, &compact).unwrap_err();
            assert_eq!(refusal.kind(), ErrorKind::Busy);
        }
        // A reserved memory takes two mappings.
        mappings.check_room_for_guests(3, &Limits::new()).unwrap();
        assert!(mappings.check_room_for_guests(4, &Limits::new()).is_err());
        drop(reserved);
        mappings.check_room_for_guests(10, &compact).unwrap();
    }

    #[test]
    fn stacks_are_scarce_if_they_hold_more_than_half_of_the_remaining_mappings() {
        let mappings = MappingBudget::new(Some(48));
        let kept: Vec<StackReservation> = (0..6).map(|_| mappings.reserve_stacks(1024).unwrap()).collect();
        assert!(!mappings.stacks_are_scarce());
        let memory = mappings.reserve("a memory", 2).unwrap();
        assert!(mappings.stacks_are_scarce());
        drop(memory);
        assert!(!mappings.stacks_are_scarce());
        drop(kept);
    }

    #[test]
    fn the_default_budget_is_not_empty() {
        assert!(MappingBudget::new(None).0.limit > 0);
    }
}
