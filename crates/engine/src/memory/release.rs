//! Releases large memories to the operating system on a background thread.
//!
//! The operating system takes some time to reclaim each touched page: hundreds of MiB take tens of milliseconds. So a
//! large memory is released on another thread, in chunks, between which the process can map and unmap other memory.

#![allow(unsafe_code, reason = "the pages of a memory are released before the memory itself")]

use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmer::sys::vm::{LinearMemory, MemoryError, MemoryStyle, Trap, VMMemory, VMMemoryDefinition};
use wasmer::{MemoryType, Pages};

/// The size from which a memory is released in the background. Unit: bytes.
const LARGE_BYTES: usize = 4 * 1024 * 1024;

/// The size of the chunks in which a memory is released. Unit: bytes.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// The queue of memories that are to be released. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReleaseQueue(Arc<Mutex<QueueState>>);

#[derive(Debug, Default)]
struct QueueState {
    waiting: VecDeque<PendingRelease>,
    /// Whether a thread works on the queue.
    is_draining: bool,
}

/// The memory of a dropped guest.
#[derive(Debug)]
struct PendingRelease {
    memory: VMMemory,
    range: MemoryRange,
}

/// The address of a memory, and the size of the part that the guest may have touched.
#[derive(Debug, Clone, Copy)]
struct MemoryRange {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the address is used only with its memory, which may be used on any thread.
unsafe impl Send for MemoryRange {}
// SAFETY: behind a shared reference it is only read.
unsafe impl Sync for MemoryRange {}

/// The memory of a guest. Dropping it releases the memory, in the background if it is large.
#[derive(Debug)]
pub(super) struct ReleasingMemory {
    memory: ManuallyDrop<VMMemory>,
    range: MemoryRange,
    release_queue: ReleaseQueue,
}

impl ReleasingMemory {
    /// Wraps a memory that does not move.
    ///
    /// # Safety
    /// The definition of the memory must be valid.
    pub(super) unsafe fn wrap(memory: VMMemory, release_queue: ReleaseQueue) -> Result<VMMemory, MemoryError> {
        // SAFETY: the caller promises that the definition is valid.
        let base = unsafe { memory.vmmemory().as_ref() }.base;
        let base = NonNull::new(base).ok_or_else(|| MemoryError::Region("a memory has no address".to_owned()))?;
        let range = MemoryRange { base, bytes: memory.size().bytes().0 };
        Ok(VMMemory(Box::new(ReleasingMemory { memory: ManuallyDrop::new(memory), range, release_queue })))
    }
}

impl Drop for ReleasingMemory {
    fn drop(&mut self) {
        // SAFETY: nothing uses the memory after this, and `drop` runs once.
        let memory = unsafe { ManuallyDrop::take(&mut self.memory) };
        if self.range.bytes >= LARGE_BYTES {
            self.release_queue.enqueue(PendingRelease { memory, range: self.range });
        }
    }
}

impl LinearMemory for ReleasingMemory {
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
        self.range.bytes = self.memory.size().bytes().0;
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

impl ReleaseQueue {
    /// Releases a memory on a background thread, or at once if no runtime runs on this thread.
    fn enqueue(&self, pending: PendingRelease) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let mut queue = self.lock();
        queue.waiting.push_back(pending);
        if !std::mem::replace(&mut queue.is_draining, true) {
            let task = DrainTask { release_queue: self.clone(), is_finished: false };
            drop(queue);
            runtime.spawn_blocking(move || task.run());
        }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // A panic cannot leave the queue inconsistent: each use of it is a single operation.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Releases the queued memories. A runtime that shuts down may drop it before it runs.
struct DrainTask {
    release_queue: ReleaseQueue,
    is_finished: bool,
}

impl DrainTask {
    fn run(mut self) {
        while let Some(pending) = self.next() {
            pending.release();
        }
    }

    /// Returns the next queued memory. If the queue is empty, marks the work as finished.
    fn next(&mut self) -> Option<PendingRelease> {
        let mut queue = self.release_queue.lock();
        let next = queue.waiting.pop_front();
        if next.is_none() {
            queue.is_draining = false;
            self.is_finished = true;
        }
        next
    }
}

impl Drop for DrainTask {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        let mut queue = self.release_queue.lock();
        queue.is_draining = false;
        let waiting = std::mem::take(&mut queue.waiting);
        drop(queue);
        drop(waiting);
    }
}

impl PendingRelease {
    fn release(self) {
        #[cfg(unix)]
        for begin in (0..self.range.bytes).step_by(CHUNK_BYTES) {
            let bytes = CHUNK_BYTES.min(self.range.bytes - begin);
            // SAFETY: the range lies in the memory, which has no other owner.
            unsafe { libc::madvise(self.range.base.as_ptr().add(begin).cast(), bytes, libc::MADV_DONTNEED) };
        }
        drop(self.memory);
    }
}

#[cfg(test)]
mod tests {
    use wasmer::sys::vm::VMOwnedMemory;

    use super::*;

    fn memory(pages: u32, release_queue: &ReleaseQueue) -> VMMemory {
        let ty = MemoryType::new(pages, Some(pages), false);
        let owned = VMOwnedMemory::new(&ty, &MemoryStyle::Static).unwrap();
        // SAFETY: the memory owns its definition.
        unsafe { ReleasingMemory::wrap(owned.into(), release_queue.clone()) }.unwrap()
    }

    #[tokio::test]
    async fn large_memories_are_released_by_another_thread() {
        let release_queue = ReleaseQueue::default();
        drop(memory(1, &release_queue));
        assert!(!release_queue.lock().is_draining, "a small memory is released at once");
        drop((memory(100, &release_queue), memory(100, &release_queue)));
        while release_queue.lock().is_draining {
            tokio::task::yield_now().await;
        }
        assert!(release_queue.lock().waiting.is_empty());
    }

    #[test]
    fn without_a_runtime_memories_are_released_at_once() {
        let release_queue = ReleaseQueue::default();
        drop(memory(100, &release_queue));
        let queue = release_queue.lock();
        assert!(queue.waiting.is_empty() && !queue.is_draining);
    }
}
