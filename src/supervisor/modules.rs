//! Compiled modules: each is compiled once, whichever and however many actors are made of it.
//!
//! # Layout
//! - `queue`: whose module is compiled next (pure)
//! - `slots`: where work waits for its turn

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

use self::queue::{Capacity, Size, Work};
use self::slots::{Slot, Slots};
use super::keyed_lock::KeyedLock;

/// After this time there is a line on the log about a module that is still being compiled.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many small modules are compiled at once, and how many large ones. The others wait.
const SMALL_AT_ONCE: usize = 8;
const LARGE_AT_ONCE: usize = 4;

/// A small module takes no more work than this to compile: some tenths of a second of one core at most.
const SMALL_WORK: u64 = 300_000;

/// A module of more bytes than this is not prepared among the small ones.
const SMALL_BYTES: usize = 512 * 1024;

/// What decides how a module is compiled: the hash of its code, which its token does not change, and the bounds that are
/// compiled into it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ModuleKey {
    hash: Arc<str>,
    memory_pages: u64,
    table_elements: u64,
}

/// The modules that actors of this host are made of. A module is kept as long as one of its actors is.
pub(super) struct Modules {
    compiled: RefCell<HashMap<ModuleKey, WeakModule>>,
    /// Of actors that are started at once, one compiles and the others wait for it.
    locks: KeyedLock<ModuleKey>,
    context: CompilerContext,
    slots: Slots,
    /// How much memory a small module may take to be compiled, in bytes.
    small_memory: u64,
    /// Closed when the host is stopped: from then on nothing is compiled.
    shutdown: ShutdownSignal,
}

impl Modules {
    pub(super) fn new(compilation: CompilationConfig, limits: &Limits) -> Modules {
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
            small_memory: for_small / SMALL_AT_ONCE as u64,
            shutdown: ShutdownSignal::default(),
        }
    }

    /// Has everything that is being compiled be given up, and refuses whatever comes later.
    pub(super) fn close(&self) {
        self.shutdown.close();
    }

    /// The compiled module of an actor, compiled beside the shards if it has to be.
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

    /// Loads or compiles a module, on a thread where that may take its time.
    async fn obtain(&self, actor: &Actor, limits: Limits, mappings: MappingBudget) -> Result<CompiledModule> {
        let name = format!("actor {} ({})", actor.public_key(), escaped(&actor.name()));
        let begin = Instant::now();
        let place = CodeReservation::new(mappings.clone())?;
        let obtain = tokio::time::timeout(limits.compile_deadline, self.make_code(actor, limits, mappings));
        let obtained = watched(obtain, PATIENCE, || {
            log::info!("compiling {name} takes longer than {PATIENCE:?}");
        });
        let stopped =
            || Error::new(ErrorKind::HostNotRunning, format!("the module of {name} is not compiled any more"));
        let made = tokio::select! {
            biased;
            () = self.shutdown.closing() => return Err(stopped()),
            made = obtained => made,
        };
        let Ok(made) = made else {
            let message = format!("the module of {name} was not compiled in {:?}", limits.compile_deadline);
            return Err(Error::new(ErrorKind::DeadlineExceeded, message));
        };
        let made = made?;
        let took = begin.elapsed();
        match made.origin {
            Origin::Cache => log::debug!("{name} came from the artifact cache in {took:.1?}"),
            Origin::Compiled if took > PATIENCE => log::info!("{name} was compiled in {took:.1?}"),
            Origin::Compiled => log::debug!("{name} was compiled in {took:.1?}"),
        }
        Ok(CompiledModule::new(made.code, place))
    }

    /// Makes the code of a module in two steps, each with a slot of its own: what the second one takes is known after the
    /// first. A step that is given up keeps its slot until its thread has ended, which is at most one function later: what
    /// its memory and its core are used for, others cannot have, and its issuer's share bears it.
    async fn make_code(&self, actor: &Actor, limits: Limits, mappings: MappingBudget) -> Result<Made> {
        let issuer: Arc<str> = actor.issuer().into();
        let (bytes, hash) = (actor.module(), actor.hash().to_owned());
        let small = bytes.len() <= SMALL_BYTES;
        let slot = self.slot(&issuer, small, preparation_bytes(bytes.len())).await;
        let context = self.context.clone();
        let unprepared = bytes.clone();
        let prepared = run_in_background(move |_| {
            let _slot = slot;
            context.prepare(&unprepared, &hash, &limits, &mappings)
        });
        let pending = match prepared.await?? {
            PreparedModule::Cached(code) => return Ok(Made { code, origin: Origin::Cache }),
            PreparedModule::Pending(pending) => pending,
        };
        let estimate = pending.estimate();
        let slot = self.slot(&issuer, estimate.work <= SMALL_WORK, estimate.memory_bytes).await;
        let compiled = run_in_background(move |abandoned| {
            let _slot = slot;
            pending.compile(&bytes, &abandoned)
        });
        Ok(Made { code: compiled.await??, origin: Origin::Compiled })
    }

    async fn slot(&self, issuer: &Arc<str>, small: bool, bytes: u64) -> Slot {
        let size = if small && bytes <= self.small_memory { Size::Small } else { Size::Large };
        self.slots.enter(Work { issuer: issuer.clone(), size, bytes }).await
    }
}

/// The code of a module.
struct Made {
    code: MachineCode,
    origin: Origin,
}

/// How code came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Compiled,
    Cache,
}

/// Waits for work that goes on elsewhere, and tells when patience is over and it still does.
async fn watched<T>(work: impl Future<Output = T>, patience: Duration, tell: impl FnOnce()) -> T {
    let mut work = pin!(work);
    match tokio::time::timeout(patience, work.as_mut()).await {
        Ok(done) => done,
        Err(_) => {
            tell();
            work.await
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[actix_rt::test]
    async fn work_that_takes_long_is_told_of_while_it_goes_on() {
        let (tell, told) = tokio::sync::oneshot::channel();
        // It is done only once it has been told of.
        let done = watched(told, Duration::from_millis(1), || tell.send("told").unwrap()).await;
        assert_eq!(done, Ok("told"));

        let told = Cell::new(false);
        watched(tokio::task::yield_now(), Duration::from_secs(3600), || told.set(true)).await;
        assert!(!told.get());
    }
}
