//! Metering: modules are rewritten before they are compiled, so that no guest can hold its shard.
//!
//! A rewritten module keeps a count of *fuel* in a global. Code takes from it in proportion to what it is about to
//! execute: at the head of every loop, at the entry of functions through which calls can go round in circles or
//! whose body is long, before operations on whole ranges of memory, and after functions of the host, which tell what they
//! cost. When the count falls below zero the guest calls `tick`, an imported function that looks at the clock. While the
//! guest's slice of time lasts, that hands it another quantum; otherwise the guest calls `yield`, which suspends it, lets
//! the shard serve others, and ends it if its time is up. So a price need not be exact: it only has to be so high that a
//! quantum takes no more than a few milliseconds, whatever it is spent on.
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
//! - `comparison`: a module before and after, for tests and fuzzing
//! - `declared`: how much a module may consist of (pure)
//! - `plan`: what each function and loop costs, and where it has to be paid (pure)
//! - `measure`: what compiling a function costs (pure)
//! - `rewrite`: the module with the payments put in (pure)
//! - `segments`: data that is taken out of the module, for the host to write (pure)

#[cfg(any(test, feature = "fuzzing"))]
mod comparison;
mod declared;
#[cfg(test)]
mod differential_tests;
mod measure;
mod operators;
mod plan;
mod rewrite;
mod segments;
#[cfg(test)]
mod spec_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod version_tests;

pub(super) use measure::{ModuleCost, THREADS};
use rewrite::Form;
pub(super) use rewrite::{Frames, Metered};
pub(super) use segments::Segments;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmparser::{Validator, WasmFeatures};

/// The module name of what the rewriting has a module import: the two below, and those functions of the waPC interface that
/// return their price.
pub(super) const NAMESPACE: &str = "wasmcloud:meter";

/// The import through which a guest yields: `(fuel) -> fuel`. What it owes, because it had to take more than it had, is
/// paid with quanta too, and with waiting.
pub(super) const YIELD: (&str, &str) = (NAMESPACE, "yield");

/// The import through which a guest whose fuel is used up asks for more without being suspended: `(fuel) -> fuel`, where 0 has
/// it yield.
pub(super) const TICK: (&str, &str) = (NAMESPACE, "tick");

/// The export under which the module's own start function is kept. It is called like any other, so that it can yield.
pub(super) const START: &str = "wasmcloud:meter/start";

/// The number of the rewriting. With every change of what modules are rewritten to, or of which are refused, it goes up, so
/// that nothing that was compiled before is taken for what would be compiled now.
pub(super) const VERSION: u32 = 7;

/// How much a guest executes before the host looks at the clock, in units of about one instruction: some microseconds of
/// ordinary code, and a few milliseconds if all of it touches memory that the operating system has yet to give.
pub(super) const QUANTUM: i32 = 16_384;

/// The quantum of a guest with a small memory. Looking at the clock costs a guest a fraction of a microsecond, so it is done
/// rarely: after some tens of microseconds of ordinary code.
const LARGE_QUANTUM: i32 = 262_144;

/// The largest memory that is small, in bytes: the operating system gives all of its pages in a few milliseconds, so that not
/// even a large quantum of accesses takes longer.
const SMALL_MEMORY: u64 = 16 * 1024 * 1024;

/// Returns how much a guest whose memory has this many bytes executes before the host looks at the clock again.
pub(super) fn quantum(memory_bytes: u64) -> i32 {
    if memory_bytes <= SMALL_MEMORY { LARGE_QUANTUM } else { QUANTUM }
}

/// A price that no quantum covers, so that a guest that pays it asks for more fuel at once.
pub(super) const MORE_THAN_ANY_QUANTUM: i32 = LARGE_QUANTUM + 1;

/// How much a guest may owe before it has to yield for that alone: some 1 ms of ordinary code.
pub(super) const DEBT: i32 = 1_000_000;

/// What a module is rewritten to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// How much it executes before the clock is looked at, in units of about one instruction.
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
/// As for [`measured`].
pub(super) fn rewrite(module: &[u8], bounds: Bounds) -> Result<Vec<u8>> {
    Ok(measured(module, bounds)?.module)
}

/// Validates a module, puts the meter in, and measures what it would cost to compile.
///
/// # Errors
/// `InvalidModule` for what does not validate, asks for more memory or tables than the bounds allow, or would take too long
/// to compile.
pub(super) fn measured(module: &[u8], bounds: Bounds) -> Result<Metered> {
    rewrite_as(module, bounds, None)
}

/// The same, with all functions in one form if one is given.
fn rewrite_as(module: &[u8], bounds: Bounds, form: Option<Form>) -> Result<Metered> {
    Validator::new_with_features(FEATURES).validate_all(module).map_err(|error| {
        Error::new(ErrorKind::InvalidModule, "the module is not valid WebAssembly").caused_by(error)
    })?;
    declared::check(module, bounds)?;
    let plan = plan::Plan::of(module)?;
    rewrite::rewrite(module, &plan, segments::Moved::of(module)?, bounds, form)
}

/// Runs a module as it is and as it would be run as an actor, and answers with the longest time of the processor that passed
/// without it asking for fuel; with nothing for a module that is not run at all.
///
/// # Errors
/// What was different.
#[cfg(feature = "fuzzing")]
pub(super) fn compare(module: &[u8], bounds: Bounds) -> std::result::Result<Option<std::time::Duration>, String> {
    let mut longest = None;
    for form in [None, Some(Form::Inline), Some(Form::Calls)] {
        let Some(comparison) = comparison::both_ways(module, bounds, form)? else { return Ok(None) };
        let comparison::Comparison { before, after, usage } = comparison;
        if before != after {
            return Err(format!("before: {before:?}\nafter, paying in the form {form:?}: {after:?}"));
        }
        longest = longest.max(Some(usage.longest.get()));
    }
    Ok(longest)
}
