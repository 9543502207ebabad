//! Metering: modules are rewritten before they are compiled, so that no guest can hold its shard.
//!
//! A rewritten module keeps a count of *fuel* in a global. Code takes from it in proportion to what it is about to
//! execute: at the head of every loop, at the entry of functions through which calls can go round in circles or
//! whose body is long, and before operations on whole ranges of memory. When the count falls below zero the guest
//! calls `yield`, an imported function that suspends it, lets the shard serve others, ends it if its time is up, and
//! otherwise hands it another quantum.
//!
//! Two things are large steps although they have been paid for: code of megabytes without a loop, which therefore yields on
//! its way as well, and operations on large ranges of memory, which are carried out in portions.
//!
//! And before a guest's code enters code of the host, it makes sure that its stack has room for that: it may overflow its
//! stack in its own code alone.
//!
//! Everything else stays as it was: traps, exports, names, results.
//!
//! # Layout
//! - `plan`: what each function and loop costs, and where it has to be paid (pure)
//! - `rewrite`: the module with the payments put in (pure)

#[cfg(test)]
mod differential_tests;
mod plan;
mod rewrite;
#[cfg(test)]
mod spec_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod version_tests;

pub(super) use rewrite::Frames;
use wasmparser::{Validator, WasmFeatures};

use crate::error::{Error, ErrorKind, Result};

/// The import through which a guest yields: `(fuel) -> fuel`. What it owes, because it had to take more than it had, is
/// paid with quanta too, and with waiting.
pub(super) const YIELD: (&str, &str) = ("wasmcloud:meter", "yield");

/// The export under which the module's own start function is kept. It is called like any other, so that it can yield.
pub(super) const START: &str = "wasmcloud:meter/start";

/// The number of the rewriting. With every change of what modules are rewritten to, or of which are refused, it goes up, so
/// that nothing that was compiled before is taken for what would be compiled now.
pub(super) const VERSION: u32 = 3;

/// How much a guest executes before it yields, in units of about one instruction: some 1 ms of ordinary code.
pub(super) const QUANTUM: i32 = 1_000_000;

/// What a module is rewritten to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// How much it executes before it yields for the first time, in units of about one instruction.
    pub(super) quantum: i32,
    /// The largest linear memory, in pages of 64 KiB.
    pub(super) memory_pages: u64,
    /// The largest table, in elements.
    pub(super) table_elements: u64,
    /// What the compiler makes frames on the stack large for.
    pub(super) frames: Frames,
}

/// What a guest may be written with: the settled parts of WebAssembly that compilers of guests use. Not among them are
/// threads, above all: `memory.atomic.wait` would block a shard without computing, beyond the reach of any meter. (What is
/// put into a module does use an atomic load.)
const FEATURES: WasmFeatures = WasmFeatures::WASM1
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SIMD);

/// Validates a module and puts the meter in.
///
/// # Errors
/// `InvalidModule` for what does not validate, or asks for more memory or tables than the bounds allow.
pub(super) fn rewrite(module: &[u8], bounds: Bounds) -> Result<Vec<u8>> {
    Validator::new_with_features(FEATURES).validate_all(module).map_err(|error| {
        Error::new(ErrorKind::InvalidModule, "the module is not valid WebAssembly").caused_by(error)
    })?;
    let plan = plan::Plan::of(module)?;
    rewrite::rewrite(module, &plan, bounds)
}
