//! Allocates the linear memories and stacks of guests, through wasmer's *tunables*.
//!
//! A guest's linear memory has one of two layouts, which its compiled code depends on:
//!
//! - *Reserved*: reserves more than 8 GiB of address space, as much as the code can address. Accesses outside of the
//!   memory fault, so the code checks nothing. A process has address space for 16,000 such memories.
//! - *Compact*: reserves only the address space that the memory may grow to, and the code checks each access. A process
//!   has address space for millions of such memories.
//!
//! # Layout
//! - `compact`: a memory of the compact layout
//! - `release`: releases large memories on a background thread

mod compact;
mod release;

use std::fmt;
use std::ptr::NonNull;

use wasmcloud_core::limits::Limits;
use wasmer::sys::vm::{
    MemoryError, MemoryStyle, TableStyle, VMConfig, VMMemory, VMMemoryDefinition, VMTable, VMTableDefinition,
};
use wasmer::sys::{BaseTunables, NativeEngineExt, Tunables};
use wasmer::{MemoryType, TableType};

use compact::CompactMemory;
pub(super) use release::ReleaseQueue;
use release::ReleasingMemory;

/// The largest memory limit for which memories are compact. Unit: pages of 64 KiB. Value: 64 MiB.
const LARGEST_COMPACT: u64 = 1024;

/// The layout of a guest's memory in the address space. The guest's compiled code depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum MemoryLayout {
    /// Reserves address space for all 32-bit addresses and offsets.
    Reserved,
    /// Reserves address space for the memory limit of the guest.
    Compact,
}

/// The wasmer tunables that allocate the memories and stacks of a guest.
struct GuestTunables {
    base: BaseTunables,
    layout: MemoryLayout,
    stack: VMConfig,
    release_queue: ReleaseQueue,
}

impl MemoryLayout {
    /// Returns the layout for guests with these limits: compact for small memories, which may be many, and reserved for
    /// large ones, which should be fast.
    pub(crate) fn for_limits(limits: &Limits) -> MemoryLayout {
        if limits.memory_pages() <= LARGEST_COMPACT { MemoryLayout::Compact } else { MemoryLayout::Reserved }
    }

    /// Returns how many mappings one memory takes.
    pub(super) fn mappings(self) -> usize {
        match self {
            // The accessible part, and the rest.
            MemoryLayout::Reserved => 2,
            MemoryLayout::Compact => 1,
        }
    }
}

/// Writes a name that all versions of this crate use for the same layout.
impl fmt::Display for MemoryLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MemoryLayout::Reserved => "reserved",
            MemoryLayout::Compact => "compact",
        })
    }
}

/// Returns an engine that allocates memories of this layout, stacks of this size, and releases memories through a
/// queue.
pub(super) fn with_tunables(
    mut engine: wasmer::Engine,
    layout: MemoryLayout,
    stack_bytes: usize,
    release_queue: ReleaseQueue,
) -> wasmer::Engine {
    let stack = VMConfig { wasm_stack_size: Some(stack_bytes) };
    engine.set_tunables(GuestTunables { base: BaseTunables::new(), layout, stack, release_queue });
    engine
}

#[allow(unsafe_code, reason = "wasmer asks where the definitions lie that compiled code reads")]
impl Tunables for GuestTunables {
    fn memory_style(&self, memory: &MemoryType) -> MemoryStyle {
        match self.layout {
            MemoryLayout::Reserved => self.base.memory_style(memory),
            // No guard region follows the memory, so the code has to check each access.
            MemoryLayout::Compact => MemoryStyle::Dynamic { offset_guard_size: 0 },
        }
    }

    fn table_style(&self, table: &TableType) -> TableStyle {
        self.base.table_style(table)
    }

    fn create_host_memory(&self, _: &MemoryType, _: &MemoryStyle) -> Result<VMMemory, MemoryError> {
        Err(MemoryError::UnsupportedOperation { message: "guests have memories of their own".to_owned() })
    }

    unsafe fn create_vm_memory(
        &self,
        ty: &MemoryType,
        style: &MemoryStyle,
        definition: NonNull<VMMemoryDefinition>,
    ) -> Result<VMMemory, MemoryError> {
        let memory = match self.layout {
            // SAFETY: the caller promises what wasmer's own tunables ask for.
            MemoryLayout::Reserved => unsafe { self.base.create_vm_memory(ty, style, definition) }?,
            MemoryLayout::Compact => {
                // SAFETY: the caller promises that the definition is valid, and it lives in the instance that the
                // memory belongs to.
                let memory = unsafe { CompactMemory::new(ty, *style, definition) }?;
                VMMemory(Box::new(memory))
            }
        };
        // SAFETY: it has just been defined, and memories of neither layout move when they grow.
        unsafe { ReleasingMemory::wrap(memory, self.release_queue.clone()) }
    }

    fn create_host_table(&self, ty: &TableType, style: &TableStyle) -> Result<VMTable, String> {
        self.base.create_host_table(ty, style)
    }

    unsafe fn create_vm_table(
        &self,
        ty: &TableType,
        style: &TableStyle,
        definition: NonNull<VMTableDefinition>,
    ) -> Result<VMTable, String> {
        // SAFETY: the caller promises what wasmer's own tunables ask for.
        unsafe { self.base.create_vm_table(ty, style, definition) }
    }

    fn vmconfig(&self) -> &VMConfig {
        &self.stack
    }
}

/// Returns the allocator's free memory to the operating system. glibc keeps most of what a large compilation used.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "the C library has no safe interface")]
pub(super) fn trim_allocator() {
    // SAFETY: it may be called at any time, by any thread, and touches free memory alone.
    unsafe { libc::malloc_trim(0) };
}

/// Does nothing: other allocators return free memory by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn trim_allocator() {}
