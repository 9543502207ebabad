//! Compiled modules. Each is compiled once, however many actors use it.
//!
//! # Layout
//! - `queue`: the order in which modules are compiled (pure)
//! - `slots`: the slots in which they are compiled

mod queue;
mod slots;

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmcloud_claims::Actor;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::limits::Limits;
use wasmcloud_core::shutdown::ShutdownSignal;
use wasmcloud_core::text::escaped;
use wasmcloud_engine::{
    Cache, CodeReservation, CompilationConfig, CompiledModule, CompilerContext, MachineCode, MappingBudget,
    PreparedModule, WeakModule, check_size, preparation_bytes, run_in_background,
};

use self::queue::{Capacity, Job, Size};
use self::slots::{Slot, Slots};
use super::keyed_lock::KeyedLock;
use crate::instruments::CompilationInstruments;

/// The time after which a compilation in progress is logged.
const LOG_AFTER: Duration = Duration::from_secs(2);

/// The maximum numbers of small and of large modules that are compiled at once.
const SMALL_AT_ONCE: usize = 8;
const LARGE_AT_ONCE: usize = 4;

/// The maximum work of a small module: some tenths of a second of one core.
const SMALL_WORK: u64 = 300_000;

/// The maximum size of a module that is prepared in a slot for small ones. Unit: bytes.
const SMALL_BYTES: usize = 512 * 1024;

/// The inputs to a compilation: the hash of the code, which does not depend on the token, and the limits that are compiled
/// into it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ModuleKey {
    hash: Arc<str>,
    memory_pages: u64,
    table_elements: u64,
}

/// The compiled modules of a host. A module is kept as long as an actor uses it.
pub(super) struct Modules {
    compiled: RefCell<HashMap<ModuleKey, WeakModule>>,
    /// Of concurrent starts with one module, the first compiles it and the others wait.
    locks: KeyedLock<ModuleKey>,
    context: CompilerContext,
    slots: Slots,
    /// Counts compilations, if the host has metrics.
    instruments: Option<Arc<CompilationInstruments>>,
    /// The maximum memory of a small module's compilation. Unit: bytes.
    small_memory: u64,
    /// Closed when the host is stopped: nothing is compiled from then on.
    shutdown: ShutdownSignal,
}

impl Modules {
    pub(super) fn new(
        compilation: CompilationConfig,
        limits: &Limits,
        instruments: Option<Arc<CompilationInstruments>>,
    ) -> Modules {
        let CompilationConfig { compiler, artifacts } = compilation;
        let cache = artifacts.map(|artifacts| Arc::new(Cache::new(artifacts)));
        let for_small = limits.compile_memory_bytes / 4;
        let small = Capacity { slots: SMALL_AT_ONCE, bytes: for_small };
        let large = Capacity { slots: LARGE_AT_ONCE, bytes: limits.compile_memory_bytes - for_small };
        Modules {
            compiled: RefCell::default(),
            locks: KeyedLock::default(),
            context: CompilerContext { compiler, cache, memory_bytes: large.share().bytes },
            slots: Slots::new(small, large),
            instruments,
            small_memory: for_small / SMALL_AT_ONCE as u64,
            shutdown: ShutdownSignal::default(),
        }
    }

    /// Abandons the compilations in progress, and refuses later ones.
    pub(super) fn close(&self) {
        self.shutdown.close();
    }

    /// Returns the compiled module of an actor, and compiles it on a background thread if needed.
    pub(super) async fn compile(
        &self,
        actor: &Actor,
        limits: Limits,
        mappings: MappingBudget,
    ) -> Result<CompiledModule> {
        check_size(&actor.module(), &limits)?;
        let key = ModuleKey {
            hash: actor.hash().into(),
            memory_pages: limits.memory_pages(),
            table_elements: limits.table_elements,
        };
        let _lock = self.locks.lock(&key).await;
        if let Some(compiled) = self.compiled.borrow().get(&key).and_then(WeakModule::upgrade) {
            return Ok(compiled);
        }
        let compiled = self.obtain(actor, limits, mappings).await?;
        let mut known = self.compiled.borrow_mut();
        known.retain(|_, module| module.is_kept());
        known.insert(key, compiled.downgrade());
        Ok(compiled)
    }

    /// Loads or compiles a module on a background thread.
    async fn obtain(&self, actor: &Actor, limits: Limits, mappings: MappingBudget) -> Result<CompiledModule> {
        let name = format!("actor {} ({})", actor.public_key(), escaped(&actor.name()));
        let begin = Instant::now();
        let reservation = CodeReservation::new(mappings.clone())?;
        let obtain = tokio::time::timeout(limits.compile_deadline, self.obtain_code(actor, limits, mappings));
        let obtain = with_progress_report(obtain, LOG_AFTER, || {
            log::info!("compiling {name} takes longer than {LOG_AFTER:?}");
        });
        let stopped =
            || Error::new(ErrorKind::HostNotRunning, format!("the host was stopped before it had compiled {name}"));
        let obtained = tokio::select! {
            biased;
            () = self.shutdown.closing() => return Err(stopped()),
            obtained = obtain => obtained,
        };
        let Ok(obtained) = obtained else {
            let message = format!("{name} was not compiled in {:?}", limits.compile_deadline);
            return Err(Error::new(ErrorKind::DeadlineExceeded, message));
        };
        let obtained = obtained?;
        let took = begin.elapsed();
        match obtained.source {
            CodeSource::Cache => log::debug!("{name} came from the artifact cache in {took:.1?}"),
            CodeSource::Compiled if took > LOG_AFTER => log::info!("{name} was compiled in {took:.1?}"),
            CodeSource::Compiled => log::debug!("{name} was compiled in {took:.1?}"),
        }
        Ok(CompiledModule::new(obtained.code, reservation))
    }

    /// Loads or compiles the code of a module in two steps, each in a slot of its own, since the first step determines the
    /// demand of the second. An abandoned step keeps its slot until its thread has ended, at most one function later: its
    /// memory and core stay in use, and count against its issuer's share.
    async fn obtain_code(&self, actor: &Actor, limits: Limits, mappings: MappingBudget) -> Result<ObtainedCode> {
        let issuer: Arc<str> = actor.issuer().into();
        let bytes = actor.module();
        let hash = actor.hash().to_owned();
        let is_small = bytes.len() <= SMALL_BYTES;
        let slot = self.slot(&issuer, is_small, preparation_bytes(bytes.len())).await;
        let context = self.context.clone();
        let unprepared = bytes.clone();
        let prepared = run_in_background(move |_| {
            let _slot = slot;
            context.prepare(&unprepared, &hash, &limits, &mappings)
        });
        let prepared = prepared.await??;
        if let Some(instruments) = self.instruments.as_ref().filter(|_| self.context.cache.is_some()) {
            instruments.count_cache_request(matches!(prepared, PreparedModule::Cached(_)));
        }
        let pending = match prepared {
            PreparedModule::Cached(code) => return Ok(ObtainedCode { code, source: CodeSource::Cache }),
            PreparedModule::Pending(pending) => pending,
        };
        let estimate = pending.estimate();
        let slot = self.slot(&issuer, estimate.work <= SMALL_WORK, estimate.memory_bytes).await;
        let instruments = self.instruments.clone();
        let compiler = self.context.compiler;
        let compiled = run_in_background(move |abandoned| {
            let _slot = slot;
            let begun = Instant::now();
            let compiled = pending.compile(&bytes, &abandoned);
            if let Some(instruments) = instruments.filter(|_| compiled.is_ok()) {
                instruments.count_compiled(compiler, begun.elapsed());
            }
            compiled
        });
        Ok(ObtainedCode { code: compiled.await??, source: CodeSource::Compiled })
    }

    async fn slot(&self, issuer: &Arc<str>, is_small: bool, bytes: u64) -> Slot {
        let size = if is_small && bytes <= self.small_memory { Size::Small } else { Size::Large };
        self.slots.enter(Job { issuer: issuer.clone(), size, bytes }).await
    }
}

/// The code of a module, and its source.
struct ObtainedCode {
    code: MachineCode,
    source: CodeSource,
}

/// The source of a module's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CodeSource {
    Compiled,
    Cache,
}

/// Waits for work, and calls `report` once if it takes longer than `patience`.
async fn with_progress_report<T>(work: impl Future<Output = T>, patience: Duration, report: impl FnOnce()) -> T {
    let mut work = pin!(work);
    match tokio::time::timeout(patience, work.as_mut()).await {
        Ok(done) => done,
        Err(_) => {
            report();
            work.await
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[actix_rt::test]
    async fn work_that_takes_long_is_reported_while_it_runs() {
        let (report, reported) = tokio::sync::oneshot::channel();
        // The work ends only once it has been reported.
        let done = with_progress_report(reported, Duration::from_millis(1), || report.send("reported").unwrap()).await;
        assert_eq!(done, Ok("reported"));

        let reported = Cell::new(false);
        with_progress_report(tokio::task::yield_now(), Duration::from_secs(3600), || reported.set(true)).await;
        assert!(!reported.get());
    }
}
