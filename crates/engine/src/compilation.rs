//! From a module's bytes to its machine code: it is loaded from the cache, or prepared, which measures it, and compiled.

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
use super::functions::Functions;
use super::mappings::Mappings;
use super::memory::Releases;
use super::meter::{Metered, ModuleCost, Segments, THREADS};
use super::{
    ArtifactCache, CodeReservation, CompiledModule, Compiler, admission, bounds, check_size, driver, memory, meter,
};

/// How a host compiles modules.
#[derive(Debug, Clone, Default)]
pub struct Compilation {
    /// The compiler.
    pub compiler: Compiler,
    /// The cache of compiled modules, if there is one.
    pub artifacts: Option<ArtifactCache>,
}

/// What the modules of a host are compiled with.
#[derive(Debug, Clone)]
pub struct CompilerContext {
    /// The compiler.
    pub compiler: Compiler,
    /// The cache of compiled modules, if there is one.
    pub cache: Option<Arc<Cache>>,
    /// How much memory the compilation of one module may use, in bytes.
    pub memory_bytes: u64,
}

/// A module's machine code, admitted.
pub struct Code {
    pub(super) engine: wasmer::Engine,
    pub(super) style: memory::Style,
    pub(super) artifacts: Artifacts,
    pub(super) functions: Arc<Functions>,
    /// The data that the host writes.
    pub(super) data: Option<Segments>,
}

/// What becomes of a module's bytes at first.
pub enum Prepared {
    /// Its code was kept in the cache.
    Loaded(Code),
    /// It has to be compiled.
    Metered(Box<Pending>),
}

/// A module with the meter in it that is to be compiled.
pub struct Pending {
    context: CompilerContext,
    style: memory::Style,
    stack_bytes: usize,
    releases: Releases,
    key: Option<Key>,
    module: Vec<u8>,
    demand: Demand,
}

/// What compiling a module is expected to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// In units of about what compiling a `local.get` takes: some ten millions are a second.
    pub work: u64,
    /// How much memory, in bytes.
    pub memory_bytes: u64,
    /// On how many threads.
    threads: NonZero<usize>,
}

/// What preparing a module takes for each of its bytes: the module as it was and as it is rewritten, and its operations.
const PREPARING: u64 = 24;

/// How much memory the compiler takes for a unit of the functions that it is at.
const WORKING: u64 = 80;

/// How much memory a unit of code takes that has been compiled, until the module is there.
const COMPILED: u64 = 12;

/// How much memory a compilation takes that has hardly anything to do.
const LEAST: u64 = 4 * 1024 * 1024;

/// Memory is given back to the operating system after a compilation of more than this.
const LARGE: u64 = 64 * 1024 * 1024;

/// The name of the threads that compile, of which Linux shows 15 bytes.
const THREAD_NAME: &str = "wasm-compiler";

/// How much memory preparing a module of so many bytes takes at most.
pub fn preparation_bytes(module: usize) -> u64 {
    LEAST + module as u64 * PREPARING
}

impl Demand {
    /// What compiling a module takes, on as many threads as its memory allows.
    ///
    /// # Errors
    /// `InvalidModule` where it takes more memory than there may be even on one.
    fn of(cost: &ModuleCost, most: u64) -> Result<Demand> {
        let threads = available_parallelism().map_or(1, NonZero::get).clamp(1, THREADS);
        let kept = cost.bytes as u64 * 2 + cost.all.total().saturating_mul(COMPILED);
        let memory = |threads| LEAST + kept.saturating_add(cost.largest(threads).saturating_mul(WORKING));
        let threads = if memory(threads) <= most { threads } else { 1 };
        let memory_bytes = memory(threads);
        if memory_bytes > most {
            return Err(Error::new(
                ErrorKind::InvalidModule,
                format!(
                    "compiling the module would take some {} MiB of memory, {} are allowed, and its largest function, \
                     number {}, {} of them: split it, or raise Limits::compile_memory_bytes",
                    memory_bytes >> 20,
                    most >> 20,
                    cost.largest_function,
                    cost.largest(1).saturating_mul(WORKING) >> 20,
                ),
            ));
        }
        let threads = NonZero::new(threads).unwrap_or(NonZero::<usize>::MIN);
        Ok(Demand { work: cost.all.total(), memory_bytes, threads })
    }
}

impl CompilerContext {
    /// Loads the code of a module of this hash from the cache, or prepares the module for being compiled. It reads files, and
    /// takes up to some seconds of one core: never call this on a shard.
    ///
    /// # Errors
    /// `InvalidModule` for what is no valid WebAssembly, and what would take too much time or memory to compile.
    pub fn prepare(self, bytes: &[u8], hash: &str, limits: &Limits, mappings: &Mappings) -> Result<Prepared> {
        check_size(bytes, limits)?;
        let style = memory::Style::of(limits);
        let (engine, releases) = (self.compiler.engine(NonZero::<usize>::MIN), mappings.releases());
        let engine = memory::within(engine, style, limits.stack_bytes, releases.clone());
        let key = self.cache.as_ref().map(|_| Key::new(hash, bounds(limits, self.compiler), &engine));
        let cached = self.cache.as_ref().zip(key.as_ref());
        if let Some(artifacts) = cached.and_then(|(cache, key)| cache.load(key, &engine)) {
            return Ok(Prepared::Loaded(Code::admitted(engine, style, artifacts, self.compiler, bytes)?));
        }
        let Metered { module, cost } = meter::measured(bytes, bounds(limits, self.compiler))?;
        let demand = Demand::of(&cost, self.memory_bytes)?;
        let (context, stack_bytes) = (self, limits.stack_bytes);
        Ok(Prepared::Metered(Box::new(Pending { context, style, stack_bytes, releases, key, module, demand })))
    }
}

impl Pending {
    pub fn demand(&self) -> Demand {
        self.demand
    }

    /// Compiles the module, of which these are the bytes, which takes milliseconds to many seconds of some cores: never call this on a shard. Once it is
    /// given up, it ends after the function that it is at.
    ///
    /// # Errors
    /// `InvalidModule` for what is no guest that speaks waPC, and `HostNotRunning` for what has been given up.
    pub fn compile(self, bytes: &[u8], cancelled: &CancelFlag) -> Result<Code> {
        let demand = self.demand;
        let compiled = self.compile_on(bytes, cancelled);
        if demand.memory_bytes > LARGE {
            super::memory::give_back();
        }
        compiled
    }

    fn compile_on(self, bytes: &[u8], cancelled: &CancelFlag) -> Result<Code> {
        let Pending { context, style, stack_bytes, releases, key, module, demand } = self;
        let engine = memory::within(context.compiler.engine(demand.threads), style, stack_bytes, releases);
        let threads = rayon::ThreadPoolBuilder::new().num_threads(demand.threads.get());
        let threads = threads.thread_name(|_| THREAD_NAME.to_owned()).build();
        let threads = threads.map_err(|error| {
            Error::new(ErrorKind::Busy, "there are no threads to compile the module on").caused_by(error)
        })?;
        // What wasmer does beside functions would share the threads of the whole process otherwise, and wait for the
        // largest module that is compiled in it.
        let artifacts = threads.install(|| compile(&engine, &module, cancelled))?;
        drop(module);
        let code = Code::admitted(engine, style, artifacts, context.compiler, bytes)?;
        if let Some((cache, key)) = context.cache.zip(key).filter(|_| !cancelled.is_so()) {
            cache.keep(&key, &code.artifacts);
        }
        Ok(code)
    }
}

impl Code {
    /// The code of a module with these bytes, if it may be run.
    fn admitted(
        engine: wasmer::Engine,
        style: memory::Style,
        artifacts: Artifacts,
        compiler: Compiler,
        bytes: &[u8],
    ) -> Result<Code> {
        admission::check(&artifacts.module)?;
        if style == memory::Style::Compact && !compiler.checks_empty_memory() {
            admission::check_memory_is_not_empty(&artifacts.module)?;
        }
        let functions = Arc::new(Functions::of(&artifacts.module, bytes));
        let data = Segments::of(bytes)?;
        Ok(Code { engine, style, artifacts, functions, data })
    }
}

fn compile(engine: &wasmer::Engine, metered: &[u8], cancelled: &CancelFlag) -> Result<Artifacts> {
    let cancelled = cancelled.clone();
    let progress = CompilationProgressCallback::new(move |_| {
        if cancelled.is_so() { Err(UserAbort::new("nothing waits for the module any more")) } else { Ok(()) }
    });
    let module = engine
        .new_module_with_progress(metered, progress)
        .map_err(|error| Error::new(ErrorKind::InvalidModule, "the module cannot be compiled").caused_by(error))?;
    let driver = wasmer::Module::new(engine, driver::module())
        .map_err(|error| Error::new(ErrorKind::Internal, "cannot compile the driver").caused_by(error))?;
    Ok(Artifacts { module, driver })
}

impl CompiledModule {
    /// Compiles a module on this thread, with the default compiler and without a cache. Hosts compile beside their shards.
    ///
    /// # Errors
    /// `InvalidModule` if the module is not valid or exceeds the limits.
    pub fn compile(bytes: &[u8], limits: &Limits, reservation: CodeReservation) -> Result<CompiledModule> {
        let context = CompilerContext { compiler: Compiler::default(), cache: None, memory_bytes: u64::MAX };
        let code = match context.prepare(bytes, "", limits, &reservation.mappings)? {
            Prepared::Loaded(code) => code,
            Prepared::Metered(pending) => pending.compile(bytes, &CancelFlag::default())?,
        };
        Ok(CompiledModule::new(code, reservation))
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Code").field("style", &self.style).finish_non_exhaustive()
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Prepared::Loaded(_) => "Loaded",
            Prepared::Metered(_) => "Metered",
        })
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("demand", &self.demand).finish_non_exhaustive()
    }
}
