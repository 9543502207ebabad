//! The engine: waPC guests on wasmer, suspended instead of blocking.
//!
//! # Layout
//! - `meter`: the rewriting by which guests yield, and are kept within bounds
//! - `admission`: what a module must export and may import
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

mod admission;
mod cache;
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

use std::sync::{Arc, Weak};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::Limits;
pub use cache::ArtifactCache;
pub(crate) use cache::Cache;
use cache::{Artifacts, Key};
pub use compiler::Compiler;
pub(crate) use exchange::HostCalls;
pub(crate) use fault::{Fault, REQUEST};
use functions::Functions;
pub(crate) use guest::{Guest, Setting};
pub(crate) use mappings::Mappings;

/// A module that has been admitted and compiled, ready to be instantiated any number of times. Cheap to clone.
#[derive(Clone)]
pub(crate) struct CompiledModule(Arc<Compiled>);

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
pub(crate) fn check_size(module: &[u8], limits: &Limits) -> Result<()> {
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
pub(crate) fn compare_metered(module: &[u8]) -> std::result::Result<Option<std::time::Duration>, String> {
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

/// How a host comes by the machine code of modules.
#[derive(Debug, Clone, Default)]
pub(crate) struct Compilation {
    pub(crate) compiler: Compiler,
    pub(crate) artifacts: Option<ArtifactCache>,
}

/// A compiled module that somebody else keeps.
pub(crate) struct WeakModule(Weak<Compiled>);

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

/// How a module came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Compiled,
    Cache,
}

impl WeakModule {
    /// The module, if it is still kept.
    pub(crate) fn upgrade(&self) -> Option<CompiledModule> {
        self.0.upgrade().map(CompiledModule)
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl CompiledModule {
    /// The module of this hash, from the cache where it is kept there, and otherwise compiled. Compiling takes milliseconds
    /// to seconds of one core, and the cache reads and writes files: never call this on a shard.
    ///
    /// # Errors
    /// `InvalidModule` for what is no valid WebAssembly, or none that speaks waPC; `Busy` where the host has no room for
    /// another module.
    pub(crate) fn obtain(
        bytes: &[u8],
        hash: &str,
        limits: &Limits,
        (compiler, cache): (Compiler, Option<&Cache>),
        mappings: Mappings,
    ) -> Result<(CompiledModule, Origin)> {
        check_size(bytes, limits)?;
        let taken = mappings
            .take("the code of another module", mappings::OF_MODULE)
            .map_err(|fault| Error::new(ErrorKind::Busy, format!("the module {fault}")))?;
        let style = memory::Style::of(limits);
        let engine = memory::within(compiler.engine(), style, limits.stack_bytes, mappings.releases());
        let cache = cache.map(|cache| (cache, Key::new(hash, bounds(limits, compiler), &engine)));
        let loaded = cache.as_ref().and_then(|(cache, key)| cache.load(key, &engine));
        let (artifacts, origin) = match loaded {
            Some(artifacts) => (artifacts, Origin::Cache),
            None => (compile(&engine, &metered(bytes, limits, compiler)?)?, Origin::Compiled),
        };
        admission::check(&artifacts.module)?;
        if style == memory::Style::Compact && !compiler.checks_empty_memory() {
            admission::check_memory_is_not_empty(&artifacts.module)?;
        }
        if let (Some((cache, key)), Origin::Compiled) = (&cache, origin) {
            cache.keep(key, &artifacts);
        }
        let Artifacts { module, driver } = artifacts;
        let functions = Arc::new(Functions::of(&module, bytes));
        let data = meter::Segments::of(bytes)?;
        let compiled = Compiled { engine, style, module, driver, functions, data, mappings, _taken: taken };
        Ok((CompiledModule(Arc::new(compiled)), origin))
    }

    /// The same module, without keeping it.
    pub(crate) fn downgrade(&self) -> WeakModule {
        WeakModule(Arc::downgrade(&self.0))
    }
}

fn compile(engine: &wasmer::Engine, metered: &[u8]) -> Result<Artifacts> {
    let module = wasmer::Module::new(engine, metered)
        .map_err(|error| Error::new(ErrorKind::InvalidModule, "the module cannot be compiled").caused_by(error))?;
    let driver = wasmer::Module::new(engine, driver::module())
        .map_err(|error| Error::new(ErrorKind::Internal, "cannot compile the driver").caused_by(error))?;
    Ok(Artifacts { module, driver })
}
