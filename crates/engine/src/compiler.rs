//! The compilers that turn modules into machine code.

use std::num::NonZero;

use wasmer::sys::EngineBuilder;

use super::meter::FrameModel;

/// A compiler for guests, for `HostBuilder::with_compiler`.
///
/// The variants depend on the crate's features. At least one of them is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compiler {
    /// Cranelift generates fast code and takes some hundred milliseconds for a module of ordinary size. This is the
    /// default. Needs the feature `cranelift`, which is on by default.
    #[cfg(feature = "cranelift")]
    Cranelift,
    /// Singlepass compiles in a fraction of that time, and its code runs two to three times as long. It suits
    /// development and small devices. Needs the feature `singlepass`. Its licence, BUSL-1.1, does not allow production
    /// use without an agreement with Wasmer, Inc.
    ///
    /// It refuses modules for which it would generate unsafe code:
    /// - functions of more than 498 local variables in addition to their parameters, as in unoptimized code
    /// - types of more than 100 parameters and results
    /// - nested blocks that return more than 100 values together
    /// - a memory that begins with zero pages
    #[cfg(feature = "singlepass")]
    Singlepass,
}

#[cfg(not(any(feature = "cranelift", feature = "singlepass")))]
compile_error!("a host needs a compiler for its guests: enable the feature `cranelift` or `singlepass`");

impl Default for Compiler {
    /// Returns Cranelift if this crate was built with it, otherwise Singlepass.
    fn default() -> Compiler {
        #[cfg(feature = "cranelift")]
        return Compiler::Cranelift;
        #[cfg(not(feature = "cranelift"))]
        Compiler::Singlepass
    }
}

impl Compiler {
    /// Returns a new engine for one module, which compiles on this number of threads.
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

    /// Returns what determines the size of stack frames in its code.
    pub(super) fn frame_model(self) -> FrameModel {
        match self {
            #[cfg(feature = "cranelift")]
            Compiler::Cranelift => FrameModel::Arguments,
            #[cfg(feature = "singlepass")]
            Compiler::Singlepass => FrameModel::Locals,
        }
    }

    /// Returns whether its code checks accesses to a compact memory of zero pages. Singlepass subtracts the size of an
    /// access from that of the memory, which underflows.
    pub(super) fn checks_empty_memory(self) -> bool {
        match self {
            #[cfg(feature = "cranelift")]
            Compiler::Cranelift => true,
            #[cfg(feature = "singlepass")]
            Compiler::Singlepass => false,
        }
    }
}
