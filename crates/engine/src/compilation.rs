//! Turns the bytes of a module into machine code: loads it from the cache, or rewrites, estimates and compiles it.

use std::fmt;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::limits::Limits;
use wasmer::sys::NativeEngineExt;
use wasmer_types::{CompilationProgressCallback, UserAbort};

use super::background::CancelFlag;
use super::cache::{Artifacts, Cache, Key};
use super::mappings::MappingBudget;
use super::memory::ReleaseQueue;
use super::meter::{DataSegments, MAX_THREADS, MeteredModule, ModuleCost};
use super::symbols::SymbolTable;
use super::{
    ArtifactCache, CodeReservation, CompiledModule, Compiler, call_loop, check_size, interface_check, memory, meter,
    meter_config,
};

/// The compilation settings of a host.
#[derive(Debug, Clone, Default)]
pub struct CompilationConfig {
    /// The compiler.
    pub compiler: Compiler,
    /// The cache of compiled modules, if one is configured.
    pub artifacts: Option<ArtifactCache>,
}

/// The compiler, cache and memory limit that the modules of a host share.
#[derive(Debug, Clone)]
pub struct CompilerContext {
    /// The compiler.
    pub compiler: Compiler,
    /// The cache of compiled modules, if one is configured.
    pub cache: Option<Arc<Cache>>,
    /// The memory that the compilation of one module may use. Unit: bytes.
    pub memory_bytes: u64,
}

/// The machine code of a module that has passed the interface check.
pub struct MachineCode {
    pub(super) engine: wasmer::Engine,
    pub(super) layout: memory::MemoryLayout,
    pub(super) artifacts: Artifacts,
    pub(super) symbols: Arc<SymbolTable>,
    /// The data segments that the host writes, if it does.
    pub(super) data: Option<DataSegments>,
}

/// A module after its preparation.
pub enum PreparedModule {
    /// The cache held its code.
    Cached(MachineCode),
    /// It has to be compiled.
    Pending(Box<PendingCompilation>),
}

/// A metered module that is to be compiled.
pub struct PendingCompilation {
    context: CompilerContext,
    layout: memory::MemoryLayout,
    stack_bytes: usize,
    release_queue: ReleaseQueue,
    key: Option<Key>,
    module: Vec<u8>,
    estimate: CompilationEstimate,
}

/// The estimated cost of compiling a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompilationEstimate {
    /// The processor time. Unit: the time to compile a `local.get`; some ten million units take a second.
    pub work: u64,
    /// The memory. Unit: bytes.
    pub memory_bytes: u64,
    /// The number of threads to compile on.
    threads: NonZero<usize>,
}

/// The memory to prepare a module, per byte: the original module, the rewritten one, and its decoded operators.
const PREPARATION_PER_BYTE: u64 = 24;

/// The memory to compile a function, per unit of its cost. Unit: bytes.
const WORKING_MEMORY_PER_UNIT: u64 = 80;

/// The memory of a compiled function until its module is complete, per unit of its cost. Unit: bytes.
const COMPILED_MEMORY_PER_UNIT: u64 = 12;

/// The memory of the smallest compilation. Unit: bytes.
const BASE_MEMORY: u64 = 4 * 1024 * 1024;

/// The memory of a compilation above which free memory is returned to the operating system afterwards. Unit: bytes.
const LARGE_COMPILATION: u64 = 64 * 1024 * 1024;

/// The name of the compiling threads. Linux shows its first 15 bytes.
const THREAD_NAME: &str = "wasm-compiler";

/// Returns the most memory that preparing a module of this size takes. Unit: bytes.
pub fn preparation_bytes(module: usize) -> u64 {
    BASE_MEMORY + module as u64 * PREPARATION_PER_BYTE
}

impl CompilationEstimate {
    /// Estimates the cost of compiling a module on as many threads as the memory allows.
    ///
    /// # Errors
    /// `InvalidModule` if it takes more memory than `max_bytes` even on one thread.
    fn new(cost: &ModuleCost, max_bytes: u64) -> Result<CompilationEstimate> {
        let threads = available_parallelism().map_or(1, NonZero::get).clamp(1, MAX_THREADS);
        let kept = cost.bytes as u64 * 2 + cost.all.total().saturating_mul(COMPILED_MEMORY_PER_UNIT);
        let memory =
            |threads| BASE_MEMORY + kept.saturating_add(cost.largest(threads).saturating_mul(WORKING_MEMORY_PER_UNIT));
        let threads = if memory(threads) <= max_bytes { threads } else { 1 };
        let memory_bytes = memory(threads);
        if memory_bytes > max_bytes {
            return Err(Error::new(
                ErrorKind::InvalidModule,
                format!(
                    "compiling the module would take some {} MiB of memory, {} are allowed, and its largest function, \
                     number {}, {} of them: split it, or raise Limits::compile_memory_bytes",
                    memory_bytes >> 20,
                    max_bytes >> 20,
                    cost.largest_function,
                    cost.largest(1).saturating_mul(WORKING_MEMORY_PER_UNIT) >> 20,
                ),
            ));
        }
        let threads = NonZero::new(threads).unwrap_or(NonZero::<usize>::MIN);
        Ok(CompilationEstimate { work: cost.all.total(), memory_bytes, threads })
    }
}

impl CompilerContext {
    /// Loads the code of the module with this hash from the cache, or prepares the module for compilation.
    ///
    /// Reads files and takes up to some seconds of one core: never call it on a shard.
    ///
    /// # Errors
    /// `InvalidModule` if the module is not valid, or would take too much time or memory to compile.
    pub fn prepare(
        self,
        bytes: &[u8],
        hash: &str,
        limits: &Limits,
        mappings: &MappingBudget,
    ) -> Result<PreparedModule> {
        check_size(bytes, limits)?;
        let layout = memory::MemoryLayout::for_limits(limits);
        let engine = self.compiler.engine(NonZero::<usize>::MIN);
        let release_queue = mappings.release_queue();
        let engine = memory::with_tunables(engine, layout, limits.stack_bytes, release_queue.clone());
        let key = self.cache.as_ref().map(|_| Key::new(hash, meter_config(limits, self.compiler), &engine));
        let cached = self.cache.as_ref().zip(key.as_ref());
        if let Some(artifacts) = cached.and_then(|(cache, key)| cache.load(key, &engine)) {
            return Ok(PreparedModule::Cached(MachineCode::check(engine, layout, artifacts, self.compiler, bytes)?));
        }
        let MeteredModule { module, cost } = meter::rewrite_and_estimate(bytes, meter_config(limits, self.compiler))?;
        let estimate = CompilationEstimate::new(&cost, self.memory_bytes)?;
        let context = self;
        let stack_bytes = limits.stack_bytes;
        Ok(PreparedModule::Pending(Box::new(PendingCompilation {
            context,
            layout,
            stack_bytes,
            release_queue,
            key,
            module,
            estimate,
        })))
    }
}

impl PendingCompilation {
    /// Returns the estimated cost of the compilation.
    pub fn estimate(&self) -> CompilationEstimate {
        self.estimate
    }

    /// Compiles the module, whose original bytes are `bytes`.
    ///
    /// Takes milliseconds to many seconds of some cores: never call it on a shard. If cancelled, it ends after the
    /// functions that it is compiling.
    ///
    /// # Errors
    /// `InvalidModule` if the module is not a waPC guest, or if the compilation is cancelled.
    pub fn compile(self, bytes: &[u8], cancelled: &CancelFlag) -> Result<MachineCode> {
        let estimate = self.estimate;
        let compiled = self.compile_on(bytes, cancelled);
        if estimate.memory_bytes > LARGE_COMPILATION {
            super::memory::trim_allocator();
        }
        compiled
    }

    fn compile_on(self, bytes: &[u8], cancelled: &CancelFlag) -> Result<MachineCode> {
        let PendingCompilation { context, layout, stack_bytes, release_queue, key, module, estimate } = self;
        let engine =
            memory::with_tunables(context.compiler.engine(estimate.threads), layout, stack_bytes, release_queue);
        let threads = rayon::ThreadPoolBuilder::new().num_threads(estimate.threads.get());
        let threads = threads.thread_name(|_| THREAD_NAME.to_owned()).build();
        let threads = threads.map_err(|error| {
            Error::new(ErrorKind::Busy, "there are no threads to compile the module on").caused_by(error)
        })?;
        // wasmer would otherwise share the thread pool of the process and wait for the largest module in it.
        let artifacts = threads.install(|| compile(&engine, &module, cancelled))?;
        drop(module);
        let code = MachineCode::check(engine, layout, artifacts, context.compiler, bytes)?;
        if let Some((cache, key)) = context.cache.zip(key).filter(|_| !cancelled.is_cancelled()) {
            cache.store(&key, &code.artifacts);
        }
        Ok(code)
    }
}

impl MachineCode {
    /// Checks the interface of a compiled module and returns its code.
    fn check(
        engine: wasmer::Engine,
        layout: memory::MemoryLayout,
        artifacts: Artifacts,
        compiler: Compiler,
        bytes: &[u8],
    ) -> Result<MachineCode> {
        interface_check::check(&artifacts.module)?;
        if layout == memory::MemoryLayout::Compact && !compiler.checks_empty_memory() {
            interface_check::check_memory_is_not_empty(&artifacts.module)?;
        }
        let symbols = Arc::new(SymbolTable::of(&artifacts.module, bytes));
        let data = DataSegments::of(bytes)?;
        Ok(MachineCode { engine, layout, artifacts, symbols, data })
    }
}

fn compile(engine: &wasmer::Engine, metered: &[u8], cancelled: &CancelFlag) -> Result<Artifacts> {
    let cancelled = cancelled.clone();
    let progress = CompilationProgressCallback::new(move |_| {
        if cancelled.is_cancelled() { Err(UserAbort::new("the compilation was cancelled")) } else { Ok(()) }
    });
    let module = engine
        .new_module_with_progress(metered, progress)
        .map_err(|error| Error::new(ErrorKind::InvalidModule, "the module cannot be compiled").caused_by(error))?;
    let call_loop = wasmer::Module::new(engine, call_loop::module())
        .map_err(|error| Error::new(ErrorKind::Internal, "cannot compile the call loop").caused_by(error))?;
    Ok(Artifacts { module, call_loop })
}

impl CompiledModule {
    /// Compiles a module on this thread with the default compiler and without a cache, for tests. Hosts compile on
    /// background threads.
    ///
    /// # Errors
    /// `InvalidModule` if the module is not valid or exceeds the limits.
    pub fn compile(bytes: &[u8], limits: &Limits, reservation: CodeReservation) -> Result<CompiledModule> {
        let context = CompilerContext { compiler: Compiler::default(), cache: None, memory_bytes: u64::MAX };
        let code = match context.prepare(bytes, "", limits, &reservation.mappings)? {
            PreparedModule::Cached(code) => code,
            PreparedModule::Pending(pending) => pending.compile(bytes, &CancelFlag::default())?,
        };
        Ok(CompiledModule::new(code, reservation))
    }
}

impl fmt::Debug for MachineCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MachineCode").field("layout", &self.layout).finish_non_exhaustive()
    }
}

impl fmt::Debug for PreparedModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PreparedModule::Cached(_) => "Cached",
            PreparedModule::Pending(_) => "Pending",
        })
    }
}

impl fmt::Debug for PendingCompilation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingCompilation").field("estimate", &self.estimate).finish_non_exhaustive()
    }
}
