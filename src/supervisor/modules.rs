//! Compiled modules: each is compiled once, whichever and however many actors are made of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::lanes::Lanes;
use crate::actor::Actor;
use crate::engine::{self, Cache, Compilation, CompiledModule, Compiler, Mappings, Origin, WeakModule};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Limits;
use crate::text::escaped;

/// After this time there is a line on the log about a module that is still being compiled.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many modules are compiled at once. The others wait: compiling takes a core and much memory.
const COMPILED_AT_ONCE: usize = 8;

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
    lanes: Lanes<ModuleKey>,
    compiler: Compiler,
    /// How many more modules may be compiled at once.
    threads: Arc<Semaphore>,
    /// Where they are kept for the next start of the host, if they are.
    cache: Option<Arc<Cache>>,
}

impl Modules {
    pub(super) fn new(compilation: Compilation) -> Modules {
        let Compilation { compiler, artifacts } = compilation;
        let cache = artifacts.map(|artifacts| Arc::new(Cache::new(artifacts)));
        let threads = Arc::new(Semaphore::new(COMPILED_AT_ONCE));
        Modules { compiled: RefCell::default(), lanes: Lanes::default(), compiler, threads, cache }
    }

    /// The compiled module of an actor, compiled beside the shards if it has to be.
    pub(super) async fn compile(&self, actor: &Actor, limits: Limits, mappings: Mappings) -> Result<CompiledModule> {
        engine::check_size(&actor.module(), &limits)?;
        let key = ModuleKey {
            hash: actor.hash().into(),
            memory_pages: limits.memory_pages(),
            table_elements: limits.table_elements,
        };
        let _lane = self.lanes.enter(&key).await;
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
    async fn obtain(&self, actor: &Actor, limits: Limits, mappings: Mappings) -> Result<CompiledModule> {
        let name = format!("actor {} ({})", actor.public_key(), escaped(&actor.name()));
        let (bytes, hash) = (actor.module(), actor.hash().to_owned());
        let (compiler, cache) = (self.compiler, self.cache.clone());
        let begin = Instant::now();
        let obtain = async {
            // The thread keeps its place when nobody waits for it any more.
            let place = self.threads.clone().acquire_owned().await;
            tokio::task::spawn_blocking(move || {
                let _place = place;
                CompiledModule::obtain(&bytes, &hash, &limits, (compiler, cache.as_deref()), mappings)
            })
            .await
        };
        let obtained = watched(tokio::time::timeout(limits.compile_deadline, obtain), PATIENCE, || {
            log::info!("compiling {name} takes longer than {PATIENCE:?}");
        });
        let (compiled, origin) = match obtained.await {
            Ok(Ok(obtained)) => obtained?,
            Ok(Err(error)) => {
                let message = format!("the module of {name} could not be compiled");
                return Err(Error::new(ErrorKind::Internal, message).caused_by(error));
            }
            Err(_) => {
                let message = format!("the module of {name} was not compiled in {:?}", limits.compile_deadline);
                return Err(Error::new(ErrorKind::DeadlineExceeded, message));
            }
        };
        let took = begin.elapsed();
        match origin {
            Origin::Cache => log::debug!("{name} came from the artifact cache in {took:.1?}"),
            Origin::Compiled if took > PATIENCE => log::info!("{name} was compiled in {took:.1?}"),
            Origin::Compiled => log::debug!("{name} was compiled in {took:.1?}"),
        }
        Ok(compiled)
    }
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
