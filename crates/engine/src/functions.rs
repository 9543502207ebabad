//! The functions of a compiled module: where their code lies in memory, and what they are called. With these, a guest that
//! traps can be asked where it was.

use std::sync::atomic::{AtomicUsize, Ordering};

use wasmcloud_core::error::printable;
use wasmer::LocalFunctionIndex;
use wasmparser::{Parser, Payload};

/// How many frames of a guest's stack are told, the innermost first.
const MOST_FRAMES: usize = 32;

/// How much of a function's name is told, in bytes.
const LONGEST_NAME: usize = 160;

/// The functions of one module, its own and those that the meter has added.
pub(super) struct Functions {
    /// The module that the code belongs to. While it is here, the code is where the extents say.
    module: wasmer::Module,
    /// By address.
    extents: Vec<Extent>,
    /// How many functions the module defined before the meter added its own behind them.
    defined: u32,
}

/// Where a function's code lies.
struct Extent {
    start: usize,
    /// The last address that is part of it.
    end: usize,
    number: LocalFunctionIndex,
}

impl Functions {
    /// The functions of a module that was compiled from these bytes, before the meter was put in.
    pub(super) fn of(module: &wasmer::Module, bytes: &[u8]) -> Functions {
        let extents = module.sys_artifact().and_then(|artifact| artifact.finished_function_extents());
        let extent = |(number, extent): (LocalFunctionIndex, wasmer::sys::FunctionExtent)| {
            let start = *extent.ptr as usize;
            (extent.length > 0).then(|| Extent { start, end: start + extent.length - 1, number })
        };
        let mut extents: Vec<_> = extents.unwrap_or_default().into_iter().filter_map(extent).collect();
        extents.sort_unstable_by_key(|extent| extent.start);
        Functions { module: module.clone(), extents, defined: count_defined(bytes) }
    }

    /// Whether an address is in the code of one of them. It is safe to ask in a signal handler.
    pub(super) fn contains(&self, address: usize) -> bool {
        self.at(address).is_some()
    }

    fn at(&self, address: usize) -> Option<&Extent> {
        let next = self.extents.partition_point(|extent| extent.start <= address);
        self.extents[..next].last().filter(|extent| address <= extent.end)
    }

    /// What the function at an address is called: by the module's name section, or else by its number. Nothing for a function
    /// of the meter, which nobody wrote.
    fn name(&self, address: usize) -> Option<String> {
        self.name_of(self.at(address)?.number)
    }

    fn name_of(&self, number: LocalFunctionIndex) -> Option<String> {
        if number.as_u32() >= self.defined {
            return None;
        }
        let info = self.module.info();
        let index = info.func_index(number);
        // The meter's two imports are the last ones, so what the module defines has moved up by two.
        let unnamed = || format!("function {}", index.as_u32().saturating_sub(2));
        Some(info.function_names.get(&index).map_or_else(unnamed, |name| shown(name)))
    }

    /// What the functions at these addresses are called.
    pub(super) fn names(&self, addresses: &Addresses) -> Vec<String> {
        addresses.iter().filter_map(|address| self.name(address)).collect()
    }

    /// What the functions of frames are called that wasmer has found.
    pub(super) fn names_of(&self, frames: &[wasmer::FrameInfo]) -> Vec<String> {
        let info = self.module.info();
        let number = |frame: &wasmer::FrameInfo| {
            let local = frame.func_index().checked_sub(u32::try_from(info.num_imported_functions).ok()?)?;
            (frame.module_name() == info.name()).then(|| LocalFunctionIndex::from_u32(local))
        };
        frames.iter().filter_map(number).take(MOST_FRAMES).filter_map(|number| self.name_of(number)).collect()
    }
}

/// A name of the module's choosing, fit for a line of text.
fn shown(name: &str) -> String {
    let kept = &name[..name.floor_char_boundary(LONGEST_NAME)];
    let ellipsis = if kept.len() < name.len() { "..." } else { "" };
    printable(kept.as_bytes()) + ellipsis
}

/// How many functions a module defines.
fn count_defined(bytes: &[u8]) -> u32 {
    let payloads = Parser::new(0).parse_all(bytes).map_while(Result::ok);
    let mut counts = payloads.filter_map(|payload| match payload {
        Payload::FunctionSection(functions) => Some(functions.count()),
        _ => None,
    });
    counts.next().unwrap_or(0)
}

/// The addresses where a guest was in its functions when it trapped, the innermost first. They can be noted in a signal
/// handler.
#[derive(Default)]
pub(super) struct Addresses([AtomicUsize; MOST_FRAMES]);

impl Addresses {
    /// The places for them, to be filled in order.
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub(super) fn places(&self) -> &[AtomicUsize] {
        &self.0
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|place| place.load(Ordering::Relaxed)).take_while(|address| *address != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_counted_and_what_is_no_module_has_none() {
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
