//! Giving large memories back to the operating system, beside the shards.
//!
//! Each page that a guest has touched takes the operating system some time to take back: hundreds of MiB take tens of
//! milliseconds. So a large memory goes to a thread that gives it back in portions, during which the process can map and
//! unmap other memory.

#![allow(unsafe_code, reason = "what a memory consists of is given back before the memory itself")]

use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmer::sys::vm::{LinearMemory, MemoryError, MemoryStyle, Trap, VMMemory, VMMemoryDefinition};
use wasmer::{MemoryType, Pages};

/// The least size of a memory that is given back beside the shards, in bytes.
const LARGE: usize = 4 * 1024 * 1024;

/// How much of it is given back at once, in bytes.
const PORTION: usize = 4 * 1024 * 1024;

/// The memories of a host's guests that are to be given back. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Releases(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Remains>,
    /// Whether a thread is at it.
    is_worked_on: bool,
}

/// A memory of a guest that is gone.
#[derive(Debug)]
struct Remains {
    memory: VMMemory,
    extent: Extent,
}

/// Where a memory lies, and how much of it the guest may have touched.
#[derive(Debug, Clone, Copy)]
struct Extent {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: it is an address, used with the memory that it belongs to, which may be used on any thread.
unsafe impl Send for Extent {}
// SAFETY: behind a shared reference it is only read.
unsafe impl Sync for Extent {}

/// The memory of a guest, given back beside the shards if it is large.
#[derive(Debug)]
pub(super) struct Releasing {
    memory: ManuallyDrop<VMMemory>,
    extent: Extent,
    releases: Releases,
}

impl Releasing {
    /// Wraps a memory that does not move.
    ///
    /// # Safety
    /// The definition of the memory must be valid.
    pub(super) unsafe fn around(memory: VMMemory, releases: Releases) -> Result<VMMemory, MemoryError> {
        // SAFETY: the caller promises that the definition is valid.
        let base = unsafe { memory.vmmemory().as_ref() }.base;
        let base = NonNull::new(base).ok_or_else(|| MemoryError::Region("a memory has no address".to_owned()))?;
        let extent = Extent { base, bytes: memory.size().bytes().0 };
        Ok(VMMemory(Box::new(Releasing { memory: ManuallyDrop::new(memory), extent, releases })))
    }
}

impl Drop for Releasing {
    fn drop(&mut self) {
        // SAFETY: nothing uses it after this, and this happens once.
        let memory = unsafe { ManuallyDrop::take(&mut self.memory) };
        if self.extent.bytes >= LARGE {
            self.releases.take_in(Remains { memory, extent: self.extent });
        }
    }
}

impl LinearMemory for Releasing {
    fn ty(&self) -> MemoryType {
        self.memory.ty()
    }

    fn size(&self) -> Pages {
        self.memory.size()
    }

    fn style(&self) -> MemoryStyle {
        self.memory.style()
    }

    fn grow(&mut self, delta: Pages) -> Result<Pages, MemoryError> {
        let before = self.memory.grow(delta)?;
        self.extent.bytes = self.memory.size().bytes().0;
        Ok(before)
    }

    fn vmmemory(&self) -> NonNull<VMMemoryDefinition> {
        self.memory.vmmemory()
    }

    fn try_clone(&self) -> Result<Box<dyn LinearMemory + Send + Sync + 'static>, MemoryError> {
        Err(MemoryError::MemoryNotShared)
    }

    unsafe fn initialize_with_data(&self, start: usize, data: &[u8]) -> Result<(), Trap> {
        // SAFETY: the caller promises what the memory asks for.
        unsafe { self.memory.initialize_with_data(start, data) }
    }

    fn copy(&self) -> Result<Box<dyn LinearMemory + Send + Sync + 'static>, MemoryError> {
        Err(MemoryError::UnsupportedOperation { message: "a guest's memory is not copied".to_owned() })
    }
}

impl Releases {
    /// Has a thread give a memory back, if there can be one.
    fn take_in(&self, remains: Remains) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let mut queue = self.lock();
        queue.waiting.push_back(remains);
        if !std::mem::replace(&mut queue.is_worked_on, true) {
            let work = Work { releases: self.clone(), is_done: false };
            drop(queue);
            runtime.spawn_blocking(move || work.run());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is whole after any panic: each use of it is a single operation.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The work on what waits. A runtime that ends may drop it before it is begun.
struct Work {
    releases: Releases,
    is_done: bool,
}

impl Work {
    fn run(mut self) {
        while let Some(remains) = self.next() {
            remains.give_back();
        }
    }

    /// What waits, or the end of the work.
    fn next(&mut self) -> Option<Remains> {
        let mut queue = self.releases.lock();
        let next = queue.waiting.pop_front();
        if next.is_none() {
            queue.is_worked_on = false;
            self.is_done = true;
        }
        next
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let mut queue = self.releases.lock();
        queue.is_worked_on = false;
        let waiting = std::mem::take(&mut queue.waiting);
        drop(queue);
        drop(waiting);
    }
}

impl Remains {
    fn give_back(self) {
        #[cfg(unix)]
        for begin in (0..self.extent.bytes).step_by(PORTION) {
            let bytes = PORTION.min(self.extent.bytes - begin);
            // SAFETY: all of it lies in the memory, which nothing but this owns any more.
            unsafe { libc::madvise(self.extent.base.as_ptr().add(begin).cast(), bytes, libc::MADV_DONTNEED) };
        }
        drop(self.memory);
    }
}

#[cfg(test)]
mod tests {
    use wasmer::sys::vm::VMOwnedMemory;

    use super::*;

    fn memory(pages: u32, releases: &Releases) -> VMMemory {
        let ty = MemoryType::new(pages, Some(pages), false);
        let owned = VMOwnedMemory::new(&ty, &MemoryStyle::Static).unwrap();
        // SAFETY: the memory owns its definition.
        unsafe { Releasing::around(owned.into(), releases.clone()) }.unwrap()
    }

    #[tokio::test]
    async fn large_memories_are_given_back_by_another_thread() {
        let releases = Releases::default();
        drop(memory(1, &releases));
        assert!(!releases.lock().is_worked_on, "a small memory is given back at once");
        drop((memory(100, &releases), memory(100, &releases)));
        while releases.lock().is_worked_on {
            tokio::task::yield_now().await;
        }
        assert!(releases.lock().waiting.is_empty());
    }

    #[test]
    fn without_a_runtime_they_are_given_back_at_once() {
        let releases = Releases::default();
        drop(memory(100, &releases));
        let queue = releases.lock();
        assert!(queue.waiting.is_empty() && !queue.is_worked_on);
    }
}
