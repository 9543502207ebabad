//! What makes machine code of modules.

use std::num::NonZero;

use wasmer::sys::EngineBuilder;

use super::meter::Frames;

/// A compiler for guests, as `HostBuilder::with_compiler` takes it. Which there are
/// depends on the crate's features; at least one is needed.
///
/// ```
/// use wasmcloud_host::{Compiler, HostBuilder};
///
/// let host = HostBuilder::new().with_compiler(Compiler::default()).build();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compiler {
    /// Cranelift makes fast code, at some hundred milliseconds for a module of ordinary size. The default; with the feature
    /// `cranelift`, which is on by default.
    #[cfg(feature = "cranelift")]
    Cranelift,
    /// Singlepass compiles in a fraction of that time, and its code takes two to three times as long to run: for
    /// development, and for small devices. With the feature `singlepass`. Its licence, BUSL-1.1, does not allow production
    /// use without an agreement with Wasmer, Inc.
    ///
    /// It refuses modules that it would make unsafe code of: with functions of more than 498 local variables beside their
    /// parameters, as there may be where code was compiled without optimising it, with types of more than 100 parameters and
    /// results, with blocks that leave more than 100 values within one another, and with a memory that begins empty.
    #[cfg(feature = "singlepass")]
    Singlepass,
}

#[cfg(not(any(feature = "cranelift", feature = "singlepass")))]
compile_error!("a host needs a compiler for its guests: enable the feature `cranelift` or `singlepass`");

impl Default for Compiler {
    /// Cranelift, where this crate was built with it.
    fn default() -> Compiler {
        #[cfg(feature = "cranelift")]
        return Compiler::Cranelift;
        #[cfg(not(feature = "cranelift"))]
        Compiler::Singlepass
    }
}

impl Compiler {
    /// An engine of its own for one module, which is compiled on so many threads.
    pub(super) fn engine(self, threads: NonZero<usize>) -> wasmer::Engine {
        match self {
            #[cfg(feature = "cranelift")]
            Compiler::Cranelift => {
                let mut cranelift = wasmer::sys::Cranelift::default();
                cranelift.num_threads(threads);
                EngineBuilder::new(cranelift).engine().into()
            }
            #[cfg(feature = "singlepass")]
            Compiler::Singlepass => {
                let mut singlepass = wasmer::sys::Singlepass::default();
                singlepass.num_threads(threads);
                EngineBuilder::new(singlepass).engine().into()
            }
        }
    }

    /// What it makes frames on the stack large for.
    pub(super) fn frames(self) -> Frames {
        match self {
            #[cfg(feature = "cranelift")]
            Compiler::Cranelift => Frames::Arguments,
            #[cfg(feature = "singlepass")]
            Compiler::Singlepass => Frames::Locals,
        }
    }

    /// Whether its code checks accesses to a memory of no pages at all, where there is nothing behind the memory that they
    /// could be caught by. Singlepass subtracts the size of an access from that of the memory, and goes below zero.
    pub(super) fn checks_empty_memory(self) -> bool {
        match self {
            #[cfg(feature = "cranelift")]
            Compiler::Cranelift => true,
            #[cfg(feature = "singlepass")]
            Compiler::Singlepass => false,
        }
    }
}
