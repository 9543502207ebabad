//! Runs waPC guests on wasmer. A guest that waits is suspended and does not block its thread.
//!
//! # Layout
//! - `meter`: rewrites modules so that guests yield and stay within their limits
//! - `interface_check`: checks that a module exports and imports the waPC interface
//! - `compilation`: compiles a module's bytes to machine code
//! - `background`: runs work on threads that no runtime waits for
//! - `cache`: keeps compiled modules for later starts
//! - `compiler`: selects and configures the compiler
//! - `call_loop`: the generated module that enters a guest once and keeps its stack between calls
//! - `guest_state`: the state that a guest shares with its imported functions
//! - `guest_log`: the lines that guests write to the host's log
//! - `imports`: the imported functions, and the fuel that each costs
//! - `interface`: the names and types of the waPC functions (pure)
//! - `mappings`: limits how many memory mappings guests hold
//! - `memory`: allocates the linear memories and stacks of guests
//! - `guest`: one running instance
//! - `trap_guard`: lets suspended guests trap in any order
//! - `fault`: the ways in which a call into a guest fails
//! - `last_output`: the last error and log line of a guest that failed
//! - `symbols`: the addresses and names of a module's functions
//! - `usage`: the fuel and memory that guests use
//!
//! Modules share no wasmer engine, because an engine frees the memory of compiled code only when it is dropped.
//!
//! # Features
//! - `default`: `cranelift`
//! - `cranelift`, `singlepass`: the compilers. At least one is needed.
//! - `fuzzing`: the interface of the fuzz targets

#![cfg_attr(docsrs, feature(doc_cfg))]

mod background;
mod cache;
mod call_loop;
mod compilation;
mod compiler;
mod fault;
mod guest;
mod guest_log;
mod guest_state;
mod imports;
mod interface;
mod interface_check;
mod last_output;
mod mappings;
mod memory;
mod meter;
mod symbols;
mod trap_guard;
mod usage;

use std::fmt;
use std::sync::{Arc, Weak};

use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::limits::Limits;

pub use background::{CancelFlag, run_in_background};
pub use cache::ArtifactCache;
use cache::Artifacts;
pub use cache::Cache;
pub use compilation::{CompilationConfig, CompilerContext, MachineCode, PreparedModule, preparation_bytes};
pub use compiler::Compiler;
pub use fault::{Fault, REQUEST};
pub use guest::{Guest, GuestConfig};
pub use guest_log::GuestLog;
pub use guest_state::HostCallHandler;
pub use mappings::{MappingBudget, StackUsage};
use symbols::SymbolTable;
pub use usage::GuestUsage;

/// A module that has been checked and compiled. It can be instantiated any number of times and is cheap to clone.
#[derive(Clone)]
pub struct CompiledModule(Arc<Compiled>);

/// Returns a module as this compiler compiles it: with metering and within limits.
///
/// Embedders have no use for it. It is public for the benchmarks, which compare metered with unmetered code.
///
/// # Errors
/// `InvalidModule` if the module is not valid WebAssembly or exceeds the limits.
pub fn metered(module: &[u8], limits: &Limits, compiler: Compiler) -> Result<Vec<u8>> {
    check_size(module, limits)?;
    meter::rewrite(module, meter_config(limits, compiler))
}

/// Checks that a module is not larger than its limits allow.
///
/// # Errors
/// `InvalidModule` if it is larger.
pub fn check_size(module: &[u8], limits: &Limits) -> Result<()> {
    let bytes = module.len();
    let limit = limits.module_bytes;
    if bytes > limit {
        let message = format!("the module has {bytes} bytes, {limit} are allowed");
        return Err(Error::new(ErrorKind::InvalidModule, message));
    }
    Ok(())
}

/// Runs a module as it is and metered, for the fuzz targets. Returns the longest processor time between two requests
/// for fuel, or `None` if the module is not run.
///
/// # Errors
/// Returns the difference if the metered module behaves differently.
#[cfg(feature = "fuzzing")]
pub fn compare_metered(module: &[u8]) -> std::result::Result<Option<std::time::Duration>, String> {
    meter::compare(module, meter_config(&Limits::new(), Compiler::default()))
}

fn meter_config(limits: &Limits, compiler: Compiler) -> meter::MeterConfig {
    meter::MeterConfig {
        quantum: meter::QUANTUM,
        memory_pages: limits.memory_pages(),
        table_elements: limits.table_elements,
        frame_model: compiler.frame_model(),
    }
}

/// A weak reference to a compiled module.
pub struct WeakModule(Weak<Compiled>);

struct Compiled {
    engine: wasmer::Engine,
    layout: memory::MemoryLayout,
    module: wasmer::Module,
    call_loop: wasmer::Module,
    /// The symbols of the module.
    symbols: Arc<SymbolTable>,
    /// The data segments that the host writes into the memory of each instance. `None` if the engine writes them.
    data: Option<meter::DataSegments>,
    /// The mapping budget of the host.
    mappings: MappingBudget,
    /// The mappings of the code itself.
    _reserved: mappings::MappingReservation,
}

/// The mappings that are reserved for the code of one module. Dropping it releases them.
#[derive(Debug)]
pub struct CodeReservation {
    mappings: MappingBudget,
    reserved: mappings::MappingReservation,
}

impl CodeReservation {
    /// Reserves the mappings for the code of one module.
    ///
    /// # Errors
    /// `Busy` if the mapping budget is exhausted.
    pub fn new(mappings: MappingBudget) -> Result<CodeReservation> {
        let reserved = mappings
            .reserve("the code of another module", mappings::MODULE_MAPPINGS)
            .map_err(|fault| Error::new(ErrorKind::Busy, format!("the module {fault}")))?;
        Ok(CodeReservation { mappings, reserved })
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
    /// Returns a module with this code, which holds the reserved mappings.
    pub fn new(code: MachineCode, reservation: CodeReservation) -> CompiledModule {
        let MachineCode { engine, layout, artifacts: Artifacts { module, call_loop }, symbols, data } = code;
        let CodeReservation { mappings, reserved } = reservation;
        CompiledModule(Arc::new(Compiled {
            engine,
            layout,
            module,
            call_loop,
            symbols,
            data,
            mappings,
            _reserved: reserved,
        }))
    }

    /// Returns a weak reference to the module.
    pub fn downgrade(&self) -> WeakModule {
        WeakModule(Arc::downgrade(&self.0))
    }
}

impl fmt::Debug for CompiledModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledModule").field("layout", &self.0.layout).finish_non_exhaustive()
    }
}

impl fmt::Debug for WeakModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakModule").field("exists", &self.is_kept()).finish()
    }
}
