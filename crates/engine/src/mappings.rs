//! How much of the process guests may hold, counted in *mappings*: the pieces of address space that the operating
//! system keeps track of one by one.
//!
//! Linux limits their number (`vm.max_map_count`, 65,530 by default), and wasmer panics where it cannot map a stack. So
//! whatever needs mappings takes them from a budget first, and where that is used up, says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::limits::Limits;

use super::fault::Fault;
use super::memory::{Releases, Style};

/// What one compiled module holds, with its driver: the parts of their code.
pub(super) const OF_MODULE: usize = 8;

/// What a guest holds while it is entered: two stacks, each with a guard.
const OF_STACKS: usize = 4;

/// How many stacks may lie in wasmer's pool, which is among what is left for everything else. Each keeps what a guest has
/// touched of it; but to map and unmap one has all threads of the process wait for each other.
const KEPT: usize = 16;

/// What is left for everything else in the process: threads, libraries, the allocator.
const FOR_OTHERS: usize = 4096;

/// How many mappings a process may have where the operating system does not say.
const USUAL: usize = 65_530;

/// The mappings that the guests of a host may hold. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Mappings(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    limit: usize,
    /// By memories, code and stacks.
    taken: AtomicUsize,
    /// By stacks alone.
    stacks: AtomicUsize,
    /// How many stacks wasmer's pool may have by now, and not more: of several that ask at once, some may have got none.
    pooled: AtomicUsize,
    /// The memories that are about to give theirs back.
    releases: Releases,
}

/// Mappings that are taken. They are given back when this is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    from: Mappings,
    count: usize,
}

/// The mappings of a guest's stacks, for as long as it is entered.
#[derive(Debug)]
pub(super) struct Stacks(Taken);

impl Mappings {
    /// A budget of so many mappings, or of what the operating system allows a process, less some for others.
    pub fn new(limit: Option<usize>) -> Mappings {
        let limit = limit.unwrap_or_else(|| allowed().saturating_sub(FOR_OTHERS));
        let [taken, stacks, pooled] = std::array::from_fn(|_| AtomicUsize::new(0));
        Mappings(Arc::new(Budget { limit, taken, stacks, pooled, releases: Releases::default() }))
    }

    /// Where the memories of guests go when they are gone.
    pub(super) fn releases(&self) -> Releases {
        self.0.releases.clone()
    }

    /// Takes mappings.
    ///
    /// # Errors
    /// `NoRoom` where there are not so many left.
    pub(super) fn take(&self, what: &'static str, count: usize) -> Result<Taken, Fault> {
        let taken = self.0.taken.fetch_add(count, Ordering::Relaxed);
        let place = Taken { from: self.clone(), count };
        if taken + count <= self.0.limit {
            return Ok(place);
        }
        let limit = self.0.limit;
        Err(Fault::NoRoom(format!("there is no room for {what}: the guests of the host may hold {limit} mappings")))
    }

    /// Refuses more guests within these limits than there is room for now. It takes nothing: each guest still has to take
    /// its own.
    ///
    /// # Errors
    /// `Busy`.
    pub fn expect_room_for_guests(&self, guests: usize, limits: &Limits) -> Result<()> {
        let wanted = guests.saturating_mul(Style::of(limits).mappings());
        let limit = self.0.limit;
        if wanted <= limit.saturating_sub(self.0.taken.load(Ordering::Relaxed)) {
            return Ok(());
        }
        let message = format!("there is no room for {guests} more guests: those of the host may hold {limit} mappings");
        Err(Error::new(ErrorKind::Busy, message))
    }

    /// Takes the mappings of the stacks that a guest is entered on.
    ///
    /// # Errors
    /// `NoRoom` where there are not so many left.
    pub(super) fn take_stacks(&self) -> Result<Stacks, Fault> {
        let taken = self.take("its stacks", OF_STACKS)?;
        self.0.stacks.fetch_add(OF_STACKS, Ordering::Relaxed);
        let one_less = |pooled: usize| Some(pooled.saturating_sub(1));
        // It is less by one even where there was none.
        let _ = self.0.pooled.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        Ok(Stacks(taken))
    }

    /// Notes that wasmer's pool has got a stack, and empties it where it may have too many.
    fn note_pooled(&self) {
        if self.0.pooled.fetch_add(1, Ordering::Relaxed) >= KEPT {
            wasmer::sys::vm::drain_stack_pool();
            self.0.pooled.store(0, Ordering::Relaxed);
        }
    }

    /// Whether a guest should give its stacks back as soon as it has answered: of what memories and code leave, stacks
    /// hold half, and guests at work need the rest.
    pub(super) fn are_scarce(&self) -> bool {
        let Budget { limit, taken, stacks, .. } = &*self.0;
        let stacks = stacks.load(Ordering::Relaxed);
        let others = taken.load(Ordering::Relaxed).saturating_sub(stacks);
        stacks > limit.saturating_sub(others) / 2
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.from.0.taken.fetch_sub(self.count, Ordering::Relaxed);
    }
}

impl Drop for Stacks {
    /// One of the two stacks goes to a pool of wasmer's.
    fn drop(&mut self) {
        self.0.from.note_pooled();
        self.0.from.0.stacks.fetch_sub(OF_STACKS, Ordering::Relaxed);
    }
}

/// How many mappings the operating system allows this process.
fn allowed() -> usize {
    let stated = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok();
    stated.and_then(|text| text.trim().parse().ok()).unwrap_or(USUAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back_and_a_refusal_takes_nothing() {
        let mappings = Mappings::new(Some(10));
        let memory = mappings.take("a memory", 6).unwrap();
        let stacks = mappings.take_stacks().unwrap();
        let refusal = mappings.take("another", 1).unwrap_err().to_string();
        assert!(refusal.contains("no room for another") && refusal.contains("10 mappings"), "{refusal}");
        drop(stacks);
        let again = mappings.take_stacks().unwrap();
        assert!(mappings.take_stacks().is_err());
        drop((memory, again));
        drop(mappings.take("all of them", 10).unwrap());
    }

    #[test]
    fn guests_that_there_is_no_room_for_are_refused_before_they_are_made() {
        let (mappings, compact) = (Mappings::new(Some(10)), Limits::new().memory_bytes(64 * 1024));
        let taken = mappings.take("a memory", 4).unwrap();
        mappings.expect_room_for_guests(6, &compact).unwrap();
        for guests in [7, usize::MAX] {
            let refusal = mappings.expect_room_for_guests(guests, &compact).unwrap_err();
            assert_eq!(refusal.kind(), ErrorKind::Busy);
        }
        // A large memory is two mappings.
        mappings.expect_room_for_guests(3, &Limits::new()).unwrap();
        assert!(mappings.expect_room_for_guests(4, &Limits::new()).is_err());
        drop(taken);
        mappings.expect_room_for_guests(10, &compact).unwrap();
    }

    #[test]
    fn stacks_are_scarce_once_they_hold_half_of_what_others_leave() {
        let mappings = Mappings::new(Some(48));
        let kept: Vec<Stacks> = (0..6).map(|_| mappings.take_stacks().unwrap()).collect();
        assert!(!mappings.are_scarce());
        let memory = mappings.take("a memory", 2).unwrap();
        assert!(mappings.are_scarce());
        drop(memory);
        assert!(!mappings.are_scarce());
        drop(kept);
    }

    #[test]
    fn every_system_allows_some() {
        assert!(Mappings::new(None).0.limit > 0);
    }
}
