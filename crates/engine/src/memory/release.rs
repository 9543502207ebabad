//! Releases large memories to the operating system on a background thread.
//!
//! The operating system takes some time to reclaim each touched page: hundreds of MiB take tens of milliseconds. So a
//! large memory is released on another thread, in chunks of 4 MiB, so that other threads can map and unmap memory between
//! two chunks.

#![allow(unsafe_code, reason = "the pages of a memory are released before the memory itself")]

use std::collections::VecDeque;
use std::io;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use wasmer::sys::vm::{LinearMemory, MemoryError, MemoryStyle, Trap, VMMemory, VMMemoryDefinition};
use wasmer::{MemoryType, Pages};

/// The size from which a memory is released in the background. Unit: bytes.
const LARGE_BYTES: usize = 4 * 1024 * 1024;

/// The size of the chunks in which a memory is released. Unit: bytes.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// The name of the thread. Linux cuts names after 15 bytes.
const THREAD_NAME: &str = "wasm-release";

/// The queue of memories that are to be released. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReleaseQueue(Arc<Mutex<QueueState>>);

#[derive(Debug, Default)]
struct QueueState {
    waiting: VecDeque<PendingRelease>,
    /// Whether a thread releases the memories of the queue.
    is_releasing: bool,
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
    /// Wraps a memory, so that dropping it releases it through the queue.
    ///
    /// # Safety
    /// The definition must be valid, and the memory must keep its address when it grows, until it is dropped.
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
    /// Releases a memory on a background thread, or at once if the process can have no more threads.
    fn enqueue(&self, pending: PendingRelease) {
        self.enqueue_with(pending, |task| {
            Builder::new().name(THREAD_NAME.to_owned()).spawn(|| task.run())?;
            Ok(())
        });
    }

    /// Queues a memory, and starts the thread if none runs. If it cannot be started, its task is dropped, which releases
    /// the queued memories.
    fn enqueue_with(&self, pending: PendingRelease, start: impl FnOnce(ReleaseTask) -> io::Result<()>) {
        let mut queue = self.lock();
        queue.waiting.push_back(pending);
        if !std::mem::replace(&mut queue.is_releasing, true) {
            let task = ReleaseTask { release_queue: self.clone(), is_finished: false };
            drop(queue);
            if let Err(error) = start(task) {
                log::warn!("memories are released on the threads that dropped them: {error}");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // A panic cannot leave the queue inconsistent: each use of it is a single operation.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Releases the queued memories. It is dropped before it runs if its thread cannot be started.
struct ReleaseTask {
    release_queue: ReleaseQueue,
    is_finished: bool,
}

impl ReleaseTask {
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
            queue.is_releasing = false;
            self.is_finished = true;
        }
        next
    }
}

impl Drop for ReleaseTask {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        let mut queue = self.release_queue.lock();
        queue.is_releasing = false;
        let waiting = std::mem::take(&mut queue.waiting);
        drop(queue);
        // The task did not run: the memories are released here, outside of the lock.
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

    #[test]
    fn large_memories_are_released_by_another_thread() {
        let release_queue = ReleaseQueue::default();
        drop(memory(1, &release_queue));
        assert!(!release_queue.lock().is_releasing, "a small memory is released at once");
        drop((memory(100, &release_queue), memory(100, &release_queue)));
        while release_queue.lock().is_releasing {
            std::thread::yield_now();
        }
        assert!(release_queue.lock().waiting.is_empty());
    }

    #[test]
    fn memories_are_released_at_once_if_no_thread_can_be_started() {
        let release_queue = ReleaseQueue::default();
        let pending = || {
            let ty = MemoryType::new(100, Some(100), false);
            let memory: VMMemory = VMOwnedMemory::new(&ty, &MemoryStyle::Static).unwrap().into();
            // SAFETY: the memory owns its definition.
            let base = NonNull::new(unsafe { memory.vmmemory().as_ref() }.base).unwrap();
            PendingRelease { memory, range: MemoryRange { base, bytes: 100 * 65_536 } }
        };
        for _ in 0..2 {
            release_queue.enqueue_with(pending(), |_| Err(io::ErrorKind::WouldBlock.into()));
            let queue = release_queue.lock();
            assert!(queue.waiting.is_empty() && !queue.is_releasing);
        }
        drop(memory(100, &release_queue));
        while release_queue.lock().is_releasing {
            std::thread::yield_now();
        }
    }
}
