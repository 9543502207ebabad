//! The memories and stacks that wasmer gives to guests: its *tunables*.
//!
//! A guest's linear memory lies in the address space in one of two styles, which its compiled code depends on:
//!
//! - *Reserved*: more than 8 GiB of addresses each, as much as the code can express. What lies outside of the memory
//!   cannot be accessed, so the code checks nothing. A process has addresses for 16,000 of them.
//! - *Compact*: as many addresses as the memory may grow to, and code that checks each access. A process has addresses
//!   for millions of them.
//!
//! # Layout
//! - `compact`: a memory of the compact style
//! - `release`: giving large memories back beside the shards

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
pub(super) use release::Releases;
use release::Releasing;

/// The largest limit on memory for which memories are compact, in pages of 64 KiB: 64 MiB.
const LARGEST_COMPACT: u64 = 1024;

/// How a guest's memory lies in the address space. It is compiled into the guest's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Style {
    /// With reserved addresses for all that 32 bits can express.
    Reserved,
    /// With addresses for what the guest may use.
    Compact,
}

/// What wasmer makes the memories and stacks of a guest by.
struct GuestTunables {
    base: BaseTunables,
    style: Style,
    stack: VMConfig,
    releases: Releases,
}

impl Style {
    /// The style of guests within these limits: small ones may be many, and large ones are to be fast.
    pub(crate) fn of(limits: &Limits) -> Style {
        if limits.memory_pages() <= LARGEST_COMPACT { Style::Compact } else { Style::Reserved }
    }

    /// How many mappings the operating system has to keep for one memory.
    pub(super) fn mappings(self) -> usize {
        match self {
            // What can be accessed, and the rest.
            Style::Reserved => 2,
            Style::Compact => 1,
        }
    }
}

/// A name that other versions of this crate give to code that lays memories out in the same way, and to no other.
impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Style::Reserved => "reserved",
            Style::Compact => "compact",
        })
    }
}

/// An engine that compiles for memories of a style, gives its guests stacks of so many bytes, and knows where their memories go
/// when they are gone.
pub(super) fn within(
    mut engine: wasmer::Engine,
    style: Style,
    stack_bytes: usize,
    releases: Releases,
) -> wasmer::Engine {
    let stack = VMConfig { wasm_stack_size: Some(stack_bytes) };
    engine.set_tunables(GuestTunables { base: BaseTunables::new(), style, stack, releases });
    engine
}

#[allow(unsafe_code, reason = "wasmer asks where the definitions lie that compiled code reads")]
impl Tunables for GuestTunables {
    fn memory_style(&self, memory: &MemoryType) -> MemoryStyle {
        match self.style {
            Style::Reserved => self.base.memory_style(memory),
            // There is nothing behind the memory that an access could be caught by.
            Style::Compact => MemoryStyle::Dynamic { offset_guard_size: 0 },
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
        let memory = match self.style {
            // SAFETY: the caller promises what wasmer's own tunables ask for.
            Style::Reserved => unsafe { self.base.create_vm_memory(ty, style, definition) }?,
            Style::Compact => {
                // SAFETY: the caller promises that the definition is valid, and it lives in the instance that the
                // memory belongs to.
                let memory = unsafe { CompactMemory::new(ty, *style, definition) }?;
                VMMemory(Box::new(memory))
            }
        };
        // SAFETY: it has just been defined, and memories of neither style move.
        unsafe { Releasing::around(memory, self.releases.clone()) }
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

/// Gives the operating system back what the allocator keeps of memory that is free. glibc keeps most of what a large
/// compilation took.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "the C library has no safe interface")]
pub(super) fn give_back() {
    // SAFETY: it may be called at any time, by any thread, and touches free memory alone.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators give memory back by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn give_back() {}
