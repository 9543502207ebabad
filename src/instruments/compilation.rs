//! What is counted of compilations.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasmcloud_core::durations::{self, BUCKETS, Durations};
use wasmcloud_engine::Compiler;

/// Counts compilations, on any thread.
#[derive(Debug, Default)]
pub(crate) struct CompilationInstruments {
    cranelift: Histogram,
    singlepass: Histogram,
    cache_hits: AtomicU64,
    cache_misses: AtomicU64,
}

/// The figures of compilations since the start of the host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CompilationReading {
    /// How long each compiler took, with its name.
    pub(crate) compilers: [(&'static str, Durations); 2],
    /// Modules that the artifact cache held.
    pub(crate) cache_hits: u64,
    /// Modules that it did not hold.
    pub(crate) cache_misses: u64,
}

/// A histogram that any thread writes.
#[derive(Debug)]
struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    nanoseconds: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: std::array::from_fn(|_| AtomicU64::default()), nanoseconds: AtomicU64::default() }
    }
}

impl Histogram {
    fn record(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[durations::bucket(nanoseconds)].fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    fn read(&self) -> Durations {
        let nanoseconds = self.nanoseconds.load(Ordering::Relaxed);
        let buckets = std::array::from_fn(|at| self.buckets[at].load(Ordering::Relaxed));
        Durations { buckets, nanoseconds }
    }
}

impl CompilationInstruments {
    /// Counts a module that was compiled, and how long that took.
    pub(crate) fn count_compiled(&self, compiler: Compiler, took: Duration) {
        self.of(compiler).record(took);
    }

    /// Counts a request to the artifact cache, and whether it held the module.
    pub(crate) fn count_cache_request(&self, is_hit: bool) {
        let counter = if is_hit { &self.cache_hits } else { &self.cache_misses };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn of(&self, compiler: Compiler) -> &Histogram {
        match compiler {
            #[cfg(feature = "cranelift")]
            Compiler::Cranelift => &self.cranelift,
            _ => &self.singlepass,
        }
    }

    pub(crate) fn read(&self) -> CompilationReading {
        CompilationReading {
            compilers: [("cranelift", self.cranelift.read()), ("singlepass", self.singlepass.read())],
            cache_hits: self.cache_hits.load(Ordering::Relaxed),
            cache_misses: self.cache_misses.load(Ordering::Relaxed),
        }
    }
}
