//! The engine: waPC guests on wasmer, suspended instead of blocking.
//!
//! # Layout
//! - `meter`: the rewriting by which guests yield, and are kept within bounds
//! - `admission`: what a module must export and may import
//! - `compilation`: from a module's bytes to its machine code
//! - `background`: threads that nothing waits for
//! - `cache`: what compilation made, kept for the next start
//! - `compiler`: what makes machine code of modules
//! - `driver`: the little module that enters a guest once and keeps it between messages
//! - `exchange`: what passes between a call and the imports that the guest reaches for
//! - `imports`: the functions of the waPC interface, and what each costs
//! - `interface`: their names and types (pure)
//! - `mappings`: how much of the process guests may hold
//! - `memory`: the memories and stacks that guests are given
//! - `guest`: one running instance
//! - `turns`: how guests that are suspended and go on in any order may still trap
//! - `fault`: the ways a call into a guest can fail; `last_words`: what a guest said before
//! - `functions`: where the functions of a guest lie, and what they are called
//!
//! Each module has a wasmer engine of its own: an engine gives the memory of compiled code back only when it is
//! dropped itself, and a host lives longer than the modules that pass through it.
//!
//! # Features
//! - `default`: `cranelift`
//! - `cranelift`, `singlepass`: the compilers; at least one is needed
//! - `fuzzing`: the interface of the fuzz targets

#![cfg_attr(docsrs, feature(doc_cfg))]

mod admission;
mod background;
mod cache;
mod compilation;
mod compiler;
mod driver;
mod exchange;
mod fault;
mod functions;
mod guest;
mod imports;
mod interface;
mod last_words;
mod mappings;
mod memory;
mod meter;
mod turns;

use std::fmt;
use std::sync::{Arc, Weak};

use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::limits::Limits;

pub use background::in_background;
pub use cache::ArtifactCache;
use cache::Artifacts;
pub use cache::Cache;
pub use compilation::{Code, Compilation, CompilerContext, Prepared, preparation_bytes};
pub use compiler::Compiler;
pub use exchange::HostCalls;
pub use fault::{Fault, REQUEST};
use functions::Functions;
pub use guest::{Guest, GuestConfig};
pub use mappings::Mappings;

/// A module that has been admitted and compiled, ready to be instantiated any number of times. Cheap to clone.
#[derive(Clone)]
pub struct CompiledModule(Arc<Compiled>);

/// A module as this compiler compiles it: with the meter in it, and within limits. Embedders have no use for it; it is public
/// for the benchmarks, which compare its code with that of the module.
///
/// # Errors
/// `InvalidModule` for what is no valid WebAssembly, or begins with more than the limits allow.
pub fn metered(module: &[u8], limits: &Limits, compiler: Compiler) -> Result<Vec<u8>> {
    check_size(module, limits)?;
    meter::rewrite(module, bounds(limits, compiler))
}

/// Refuses a module that is larger than its limits allow.
pub fn check_size(module: &[u8], limits: &Limits) -> Result<()> {
    let (bytes, limit) = (module.len(), limits.module_bytes);
    if bytes > limit {
        let message = format!("the module has {bytes} bytes, {limit} are allowed");
        return Err(Error::new(ErrorKind::InvalidModule, message));
    }
    Ok(())
}

/// Runs a module as it is and metered, for the fuzz targets: the longest time of the processor that passed without it asking for
/// fuel, or nothing for a module that is not run.
///
/// # Errors
/// What was different.
#[cfg(feature = "fuzzing")]
pub fn compare_metered(module: &[u8]) -> std::result::Result<Option<std::time::Duration>, String> {
    meter::compare(module, bounds(&Limits::new(), Compiler::default()))
}

fn bounds(limits: &Limits, compiler: Compiler) -> meter::Bounds {
    meter::Bounds {
        quantum: meter::QUANTUM,
        memory_pages: limits.memory_pages(),
        table_elements: limits.table_elements,
        frames: compiler.frames(),
    }
}

/// A weak reference to a compiled module.
pub struct WeakModule(Weak<Compiled>);

struct Compiled {
    engine: wasmer::Engine,
    style: memory::Style,
    module: wasmer::Module,
    driver: wasmer::Module,
    /// The functions of the module.
    functions: Arc<Functions>,
    /// The data that is written into each of its guests' memories, where that is not left to the engine.
    data: Option<meter::Segments>,
    /// The budget of the host that its guests are for.
    mappings: Mappings,
    /// What the code itself has taken of it.
    _taken: mappings::Taken,
}

/// The part of a host's budget of mappings for the code of one module. Dropping it returns the part.
#[derive(Debug)]
pub struct CodeReservation {
    mappings: Mappings,
    taken: mappings::Taken,
}

impl CodeReservation {
    /// Reserves a part of a host's budget for the code of one module.
    ///
    /// # Errors
    /// `Busy` if the host has no room for another module.
    pub fn take(mappings: Mappings) -> Result<CodeReservation> {
        let taken = mappings
            .take("the code of another module", mappings::OF_MODULE)
            .map_err(|fault| Error::new(ErrorKind::Busy, format!("the module {fault}")))?;
        Ok(CodeReservation { mappings, taken })
    }
}

impl WeakModule {
    /// Returns the module, if it still exists.
    pub fn upgrade(&self) -> Option<CompiledModule> {
        self.0.upgrade().map(CompiledModule)
    }

    /// Returns whether the module still exists.
    pub fn is_kept(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl CompiledModule {
    /// Returns a module with this code, in a part of the budget that was reserved before.
    pub fn new(code: Code, reservation: CodeReservation) -> CompiledModule {
        let Code { engine, style, artifacts: Artifacts { module, driver }, functions, data } = code;
        let CodeReservation { mappings, taken } = reservation;
        CompiledModule(Arc::new(Compiled { engine, style, module, driver, functions, data, mappings, _taken: taken }))
    }

    /// Returns a weak reference to the module.
    pub fn downgrade(&self) -> WeakModule {
        WeakModule(Arc::downgrade(&self.0))
    }
}

impl fmt::Debug for CompiledModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledModule").field("style", &self.0.style).finish_non_exhaustive()
    }
}

impl fmt::Debug for WeakModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakModule").field("exists", &self.is_kept()).finish()
    }
}
