//! A linear memory in one mapping of its maximum size.
//!
//! The operating system provides a zeroed page at its first access. So untouched pages take only address space, and
//! growing only changes the size.

#![allow(unsafe_code, reason = "compiled code finds the memory through a definition that lies in its instance")]

use std::ptr::NonNull;

use memmap2::{MmapMut, MmapOptions};
use wasmer::sys::vm::{LinearMemory, MemoryError, MemoryStyle, VMMemoryDefinition};
use wasmer::{MemoryType, Pages};

/// The memory of one instance.
#[derive(Debug)]
pub(super) struct CompactMemory {
    ty: MemoryType,
    style: MemoryStyle,
    /// The part of the mapping that the guest may access.
    size: Pages,
    maximum: Pages,
    mapping: MmapMut,
    /// The definition from which compiled code reads address and size.
    definition: NonNull<VMMemoryDefinition>,
}

// SAFETY: the mapping may be used from any thread. The definition lies in the instance, which is owned by the same
// store as this memory, so the thread that uses the store may use the definition.
unsafe impl Send for CompactMemory {}
// SAFETY: behind a shared reference nothing is written.
unsafe impl Sync for CompactMemory {}

impl CompactMemory {
    /// Returns a zeroed memory of the minimum size of its type, in a mapping of the maximum size.
    ///
    /// # Safety
    /// The definition must be valid to be written until the memory is dropped, and belong to it alone.
    pub(super) unsafe fn new(
        ty: &MemoryType,
        style: MemoryStyle,
        definition: NonNull<VMMemoryDefinition>,
    ) -> Result<CompactMemory, MemoryError> {
        let maximum = ty.maximum.unwrap_or(ty.minimum);
        if ty.minimum > maximum || maximum > Pages::max_value() {
            let reason = format!("it is to have between {} and {} pages", ty.minimum.0, maximum.0);
            return Err(MemoryError::InvalidMemory { reason });
        }
        let mapping = map(maximum.bytes().0)?;
        let mut memory = CompactMemory { ty: *ty, style, size: ty.minimum, maximum, mapping, definition };
        memory.define();
        Ok(memory)
    }

    /// Writes the address and size of the memory for compiled code.
    fn define(&mut self) {
        let base = self.mapping.as_mut_ptr();
        let current_length = self.size.bytes().0;
        // SAFETY: the caller of `new` promised that the definition is valid, and nothing else writes to it: a guest
        // that grows its memory waits until this returns.
        unsafe { self.definition.write(VMMemoryDefinition { base, current_length }) };
    }
}

/// Maps zeroed memory that is not committed in advance, does not use huge pages, and is not inherited by child
/// processes.
fn map(bytes: usize) -> Result<MmapMut, MemoryError> {
    let failed = |error: std::io::Error| MemoryError::Region(format!("{bytes} bytes could not be mapped: {error}"));
    // The operating system refuses empty mappings.
    let mapping = MmapOptions::new().len(bytes.max(1)).no_reserve_swap().map_anon().map_err(failed)?;
    #[cfg(target_os = "linux")]
    for advice in [memmap2::Advice::NoHugePage, memmap2::Advice::DontFork] {
        if let Err(error) = mapping.advise(advice) {
            // A kernel without huge pages refuses this advice.
            log::debug!("a guest's memory could not be given the advice {advice:?}: {error}");
        }
    }
    Ok(mapping)
}

impl LinearMemory for CompactMemory {
    fn ty(&self) -> MemoryType {
        MemoryType { minimum: self.size, ..self.ty }
    }

    fn size(&self) -> Pages {
        self.size
    }

    fn style(&self) -> MemoryStyle {
        self.style
    }

    fn grow(&mut self, delta: Pages) -> Result<Pages, MemoryError> {
        let before = self.size;
        let refusal = MemoryError::CouldNotGrow { current: before, attempted_delta: delta };
        self.size = before.checked_add(delta).filter(|size| *size <= self.maximum).ok_or(refusal)?;
        self.define();
        Ok(before)
    }

    fn vmmemory(&self) -> NonNull<VMMemoryDefinition> {
        self.definition
    }

    fn try_clone(&self) -> Result<Box<dyn LinearMemory + Send + Sync + 'static>, MemoryError> {
        Err(MemoryError::MemoryNotShared)
    }

    fn copy(&self) -> Result<Box<dyn LinearMemory + Send + Sync + 'static>, MemoryError> {
        Err(MemoryError::UnsupportedOperation { message: "a guest's memory is not copied".to_owned() })
    }
}
