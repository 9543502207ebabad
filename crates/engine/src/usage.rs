//! What the guests of one instance use: fuel and memory. The thread of the instance writes it, and other threads read it.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the guests of one instance use, one after another. It lies in a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct GuestUsage {
    fuel: AtomicU64,
    memory_bytes: AtomicU64,
}

impl GuestUsage {
    /// Returns the fuel that the guests have used, about one unit for each instruction. It lags behind by up to one quantum.
    pub fn fuel(&self) -> u64 {
        self.fuel.load(Ordering::Relaxed)
    }

    /// Returns the size of the present guest's linear memory, when it was last looked at: at its start, and after each quantum of
    /// fuel. 0 without a guest. Unit: bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// Records fuel that was used. Only the thread of the instance does.
    pub(super) fn spend(&self, fuel: u64) {
        self.fuel.store(self.fuel.load(Ordering::Relaxed).wrapping_add(fuel), Ordering::Relaxed);
    }

    pub(super) fn set_memory(&self, bytes: u64) {
        self.memory_bytes.store(bytes, Ordering::Relaxed);
    }
}
