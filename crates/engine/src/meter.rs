//! Metering: rewrites modules before they are compiled, so that no guest can hold its shard.
//!
//! A rewritten module keeps a counter of *fuel* in a global. Code takes fuel from it in proportion to what it is about
//! to execute: at the head of every loop, at the entry of recursive and of long functions, before operations on ranges
//! of memory, and after functions of the host, which return their price. When the counter falls below zero, the guest
//! calls `tick`, an imported function that checks the clock. While the guest's slice lasts, `tick` returns another
//! quantum of fuel. Otherwise the guest calls `yield`, which suspends it, runs other tasks of the shard, and ends the
//! guest if its time is up. So costs need not be exact: a quantum only has to take no more than a few milliseconds,
//! whatever it is spent on.
//!
//! Two things would be large steps although they are paid for: code of megabytes without a loop, which therefore also
//! yields on its way, and operations on large ranges of memory, which are made in chunks.
//!
//! Before a guest's code enters the host's code, it checks that its stack has room for that: a guest may overflow its
//! stack only in its own code.
//!
//! Everything else stays the same: traps, exports, names, results.
//!
//! # Layout
//! - `comparison`: runs a module before and after rewriting, for tests and fuzzing
//! - `declaration_limits`: limits what a module declares (pure)
//! - `plan`: decides what each function and loop costs, and where that is charged (pure)
//! - `compile_cost`: estimates the cost of compiling a function (pure)
//! - `rewrite`: writes the module with its charges (pure)
//! - `data_segments`: moves data out of the module, for the host to write (pure)

#[cfg(any(test, feature = "fuzzing"))]
mod comparison;
mod compile_cost;
mod data_segments;
mod declaration_limits;
#[cfg(test)]
mod differential_tests;
mod operators;
mod plan;
mod rewrite;
#[cfg(test)]
mod spec_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod version_tests;

pub(super) use compile_cost::{MAX_THREADS, ModuleCost};
pub(super) use data_segments::DataSegments;
use rewrite::Form;
pub(super) use rewrite::{FrameModel, MeteredModule};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmparser::{Validator, WasmFeatures};

/// The namespace of the imports that the rewriting adds: the two below, and those waPC functions that return their
/// price.
pub(super) const NAMESPACE: &str = "wasmcloud:meter";

/// The import by which a guest yields: `(fuel) -> fuel`. Fuel below zero is a debt, which is paid with quanta and by
/// waiting.
pub(super) const YIELD: (&str, &str) = (NAMESPACE, "yield");

/// The import by which a guest without fuel asks for more: `(fuel) -> fuel`. The result 0 makes the guest yield.
pub(super) const TICK: (&str, &str) = (NAMESPACE, "tick");

/// The export of the module's own start function. The host calls it like any other, so that it can yield.
pub(super) const START: &str = "wasmcloud:meter/start";

/// The version of the rewriting. It is increased with every change of what modules are rewritten to, or of which are
/// refused, so that the artifact cache does not serve modules of an older rewriting.
pub(super) const VERSION: u32 = 7;

/// The fuel between two checks of the clock. It lasts some microseconds of ordinary code, and a few milliseconds if all
/// of it accesses untouched memory. Unit: about one instruction.
pub(super) const QUANTUM: i32 = 16_384;

/// The quantum of a guest with a small memory. Checking the clock costs a fraction of a microsecond, so it is done
/// rarely: after some tens of microseconds of ordinary code. Unit: about one instruction.
const LARGE_QUANTUM: i32 = 262_144;

/// The largest small memory. The operating system provides all of its pages in a few milliseconds, so even a large
/// quantum of accesses does not take longer. Unit: bytes.
const SMALL_MEMORY: u64 = 16 * 1024 * 1024;

/// Returns the quantum of a guest whose memory has this size.
pub(super) fn quantum(memory_bytes: u64) -> i32 {
    if memory_bytes <= SMALL_MEMORY { LARGE_QUANTUM } else { QUANTUM }
}

/// A price above every quantum: a guest that pays it calls `tick` at once.
pub(super) const MORE_THAN_ANY_QUANTUM: i32 = LARGE_QUANTUM + 1;

/// The fuel debt at which a guest has to yield. Unit: about one instruction, so that it is about 1 ms of ordinary code.
pub(super) const DEBT: i32 = 1_000_000;

/// The parameters of the rewriting.
#[derive(Debug, Clone, Copy)]
pub(super) struct MeterConfig {
    /// The initial fuel, and the fuel that is handed out for each yield. Unit: about one instruction.
    pub(super) quantum: i32,
    /// The largest linear memory. Unit: pages of 64 KiB.
    pub(super) memory_pages: u64,
    /// The largest table. Unit: elements.
    pub(super) table_elements: u64,
    /// What determines the size of stack frames in the compiler's code.
    pub(super) frame_model: FrameModel,
}

/// The WebAssembly features that guests may use: the standardized ones that compilers of guests use. Threads are
/// excluded, because `memory.atomic.wait` would block a shard without spending fuel. (The rewriting itself adds an
/// atomic load.)
const FEATURES: WasmFeatures = WasmFeatures::WASM1
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SIMD);

/// Validates and meters a module.
///
/// # Errors
/// Those of [`rewrite_and_estimate`].
pub(super) fn rewrite(module: &[u8], config: MeterConfig) -> Result<Vec<u8>> {
    Ok(rewrite_and_estimate(module, config)?.module)
}

/// Validates and meters a module, and estimates the cost of compiling it.
///
/// # Errors
/// `InvalidModule` if the module is not valid, asks for more memory or tables than allowed, or would take too long to
/// compile.
pub(super) fn rewrite_and_estimate(module: &[u8], config: MeterConfig) -> Result<MeteredModule> {
    rewrite_in_form(module, config, None)
}

/// Does the same, with all functions in this form if one is given.
fn rewrite_in_form(module: &[u8], config: MeterConfig, form: Option<Form>) -> Result<MeteredModule> {
    Validator::new_with_features(FEATURES).validate_all(module).map_err(|error| {
        Error::new(ErrorKind::InvalidModule, "the module is not valid WebAssembly").caused_by(error)
    })?;
    declaration_limits::check(module, config)?;
    let plan = plan::Plan::of(module)?;
    rewrite::rewrite(module, &plan, data_segments::SegmentIndexMap::of(module)?, config, form)
}

/// Runs a module as it is and metered, in each form. Returns the longest processor time between two requests for fuel,
/// or `None` if the module is not run.
///
/// # Errors
/// Returns the difference if the metered module behaves differently.
#[cfg(feature = "fuzzing")]
pub(super) fn compare(module: &[u8], config: MeterConfig) -> std::result::Result<Option<std::time::Duration>, String> {
    let mut longest = None;
    for form in [None, Some(Form::Inline), Some(Form::Calls)] {
        let Some(comparison) = comparison::run_both_ways(module, config, form)? else { return Ok(None) };
        let comparison::Comparison { before, after, usage } = comparison;
        if before != after {
            return Err(format!("before: {before:?}\nafter, paying in the form {form:?}: {after:?}"));
        }
        longest = longest.max(Some(usage.longest.get()));
    }
    Ok(longest)
}
