//! What makes machine code of modules.

use wasmer::sys::EngineBuilder;

/// A compiler for guests, as [`HostBuilder::with_compiler`](crate::HostBuilder::with_compiler) takes it. Which there are
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
    /// development, and for small devices. With the feature `singlepass`.
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
    /// An engine of its own for one module.
    pub(super) fn engine(self) -> wasmer::Engine {
        match self {
            #[cfg(feature = "cranelift")]
            Compiler::Cranelift => EngineBuilder::new(wasmer::sys::Cranelift::default()).engine().into(),
            #[cfg(feature = "singlepass")]
            Compiler::Singlepass => EngineBuilder::new(wasmer::sys::Singlepass::default()).engine().into(),
        }
    }
}
