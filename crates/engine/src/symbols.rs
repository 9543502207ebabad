//! The symbols of a compiled module: the addresses and names of its functions. They tell where a guest trapped.

use std::sync::atomic::{AtomicUsize, Ordering};

use wasmcloud_core::error::printable;
use wasmer::LocalFunctionIndex;
use wasmparser::{Parser, Payload};

/// The largest number of frames in a backtrace, counted from the innermost.
const MOST_FRAMES: usize = 32;

/// The length at which function names are cut. Unit: bytes.
const LONGEST_NAME: usize = 160;

/// The symbols of one module, including the functions that the meter added.
pub(super) struct SymbolTable {
    /// The module that the code belongs to. It keeps the code at the addresses in `ranges`.
    module: wasmer::Module,
    /// The code of the functions, sorted by address.
    ranges: Vec<CodeRange>,
    /// The number of functions that the module defines. Those of the meter follow.
    defined: u32,
}

/// The address range of a function's code.
struct CodeRange {
    start: usize,
    /// The last address of the range.
    end: usize,
    number: LocalFunctionIndex,
}

impl SymbolTable {
    /// Reads the symbols of a compiled module. `bytes` is the module before metering.
    pub(super) fn of(module: &wasmer::Module, bytes: &[u8]) -> SymbolTable {
        let ranges = module.sys_artifact().and_then(|artifact| artifact.finished_function_extents());
        let extent = |(number, extent): (LocalFunctionIndex, wasmer::sys::FunctionExtent)| {
            let start = *extent.ptr as usize;
            (extent.length > 0).then(|| CodeRange { start, end: start + extent.length - 1, number })
        };
        let mut ranges: Vec<_> = ranges.unwrap_or_default().into_iter().filter_map(extent).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        SymbolTable { module: module.clone(), ranges, defined: count_defined(bytes) }
    }

    /// Returns whether an address lies in the code of the module. Safe to call in a signal handler.
    pub(super) fn contains(&self, address: usize) -> bool {
        self.at(address).is_some()
    }

    fn at(&self, address: usize) -> Option<&CodeRange> {
        let next = self.ranges.partition_point(|range| range.start <= address);
        self.ranges[..next].last().filter(|range| address <= range.end)
    }

    /// Returns the name of the function at an address: from the module's name section, or else its number. Returns
    /// `None` for functions of the meter.
    fn name(&self, address: usize) -> Option<String> {
        self.name_of(self.at(address)?.number)
    }

    fn name_of(&self, number: LocalFunctionIndex) -> Option<String> {
        if number.as_u32() >= self.defined {
            return None;
        }
        let info = self.module.info();
        let index = info.func_index(number);
        // The meter appends two imports, which shifts the indices of defined functions by two.
        let unnamed = || format!("function {}", index.as_u32().saturating_sub(2));
        Some(info.function_names.get(&index).map_or_else(unnamed, |name| shown(name)))
    }

    /// Returns the names of the functions at these addresses.
    pub(super) fn names(&self, addresses: &BacktraceAddresses) -> Vec<String> {
        addresses.iter().filter_map(|address| self.name(address)).collect()
    }

    /// Returns the names of the functions in frames that wasmer recorded.
    pub(super) fn names_of(&self, frames: &[wasmer::FrameInfo]) -> Vec<String> {
        let info = self.module.info();
        let number = |frame: &wasmer::FrameInfo| {
            let local = frame.func_index().checked_sub(u32::try_from(info.num_imported_functions).ok()?)?;
            (frame.module_name() == info.name()).then(|| LocalFunctionIndex::from_u32(local))
        };
        frames.iter().filter_map(number).take(MOST_FRAMES).filter_map(|number| self.name_of(number)).collect()
    }
}

/// Returns a name from the module, escaped and cut for one line of text.
fn shown(name: &str) -> String {
    let kept = &name[..name.floor_char_boundary(LONGEST_NAME)];
    let ellipsis = if kept.len() < name.len() { "..." } else { "" };
    printable(kept.as_bytes()) + ellipsis
}

/// Returns how many functions a module defines.
fn count_defined(bytes: &[u8]) -> u32 {
    let payloads = Parser::new(0).parse_all(bytes).map_while(Result::ok);
    let mut counts = payloads.filter_map(|payload| match payload {
        Payload::FunctionSection(functions) => Some(functions.count()),
        _ => None,
    });
    counts.next().unwrap_or(0)
}

/// The return addresses on the stack of a guest that trapped, innermost first. A signal handler can store them.
#[derive(Default)]
pub(super) struct BacktraceAddresses([AtomicUsize; MOST_FRAMES]);

impl BacktraceAddresses {
    /// Returns the slots for the addresses, to be filled in order. Zero marks an unused slot.
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub(super) fn slots(&self) -> &[AtomicUsize] {
        &self.0
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|slot| slot.load(Ordering::Relaxed)).take_while(|address| *address != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defined_functions_are_counted_and_malformed_modules_have_none() {
        let module = wat::parse_str("(module (import \"a\" \"b\" (func)) (func) (func))").unwrap();
        assert_eq!(count_defined(&module), 2);
        assert_eq!(count_defined(b"\0asm"), 0);
        assert_eq!(count_defined(&module[..12]), 0);
    }

    #[test]
    fn names_are_escaped_and_cut_between_characters() {
        assert_eq!(shown("a\n\u{1b}[31m\u{202e}"), "a\\n\\u{1b}[31m\\u{202e}");
        let long = shown(&"é".repeat(LONGEST_NAME));
        assert_eq!(long, "é".repeat(LONGEST_NAME / 2) + "...");
    }
}
