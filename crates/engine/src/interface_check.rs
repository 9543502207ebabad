//! Checks that a module exports what waPC requires and imports nothing beyond the waPC interface.

use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmer::{ExternType, FunctionType, Module, Type};

use crate::{imports, meter};

/// The export of WASI reactors that initializes globals and the heap. It is called before any other export.
const INITIALIZE: &str = "_initialize";

/// The start functions of a guest in the order of their calls: the module's own, that of reactors, then those of waPC.
/// Missing exports are skipped.
pub(super) const STARTS: [&str; 4] =
    [meter::START, INITIALIZE, wapc::wapc_functions::TINYGO_START, wapc::wapc_functions::WAPC_INIT];

pub(super) const MEMORY: &str = "memory";

/// Checks that a module can run as an actor.
///
/// # Errors
/// `InvalidModule` with the reason.
pub(super) fn check(module: &Module) -> Result<()> {
    for import in module.imports() {
        let from = import.module();
        let name = import.name();
        if from == meter::NAMESPACE {
            // The meter added it, and refuses modules that import from this namespace themselves.
            continue;
        }
        let Some(offered) = imports::signature(from, name) else {
            let remedy = remedy(from, name, import.ty()).map(|remedy| format!(": {remedy}")).unwrap_or_default();
            return Err(refused(format!("it imports {from}.{name}, which is not part of the waPC interface{remedy}")));
        };
        if *import.ty() != ExternType::Function(offered.clone()) {
            return Err(refused(format!("it imports {from}.{name} with another type than {offered}")));
        }
    }
    expect_export(module, MEMORY, |found| matches!(found, ExternType::Memory(_)))?;
    let guest_call = FunctionType::new([Type::I32, Type::I32], [Type::I32]);
    expect_export(module, wapc::wapc_functions::GUEST_CALL, |found| is_function(found, &guest_call))?;
    let start = FunctionType::new([], []);
    for name in STARTS {
        let well_typed = |found: &ExternType| is_function(found, &start);
        if module.exports().any(|export| export.name() == name && !well_typed(export.ty())) {
            return Err(refused(format!("its export {name} is not a function without parameters and results")));
        }
    }
    Ok(())
}

/// Returns advice on how to build the module without an unsupported import, if the origin of the import is known.
fn remedy(from: &str, name: &str, ty: &ExternType) -> Option<&'static str> {
    match (from, name) {
        _ if from.starts_with("wasi") => Some(
            "it was built for WASI, and actors have no operating system; build for wasm32-unknown-unknown (Rust), with \
             -target=wasm-unknown (TinyGo) or with -nostdlib (C), and leave out what needs files, clocks or standard output",
        ),
        ("env", "abort") => Some(
            "it was built by AssemblyScript; add `--use abort=` with a function of your own that calls handleAbort of \
             @wapc/as-guest",
        ),
        ("env", "seed" | "trace" | "Date.now" | "performance.now") => Some(
            "it was built by AssemblyScript and uses Math.random, Date or trace, which only JavaScript has; leave that \
             out, or ask the provider of wasmcloud:extras for random numbers",
        ),
        _ if matches!(ty, ExternType::Memory(_)) => {
            Some("let the module have and export a memory of its own, without --import-memory")
        }
        ("wbg" | "__wbindgen_placeholder__" | "__wbindgen_externref_xform__", _) => Some(
            "it was built for JavaScript by wasm-bindgen; leave out the crates that use it, or their features for it",
        ),
        ("go" | "gojs", _) => Some("it was built for JavaScript by Go; build it by TinyGo with -target=wasm-unknown"),
        ("env", _) => Some("a function that is called has not been linked; define it, or link what defines it"),
        _ => None,
    }
}

/// Checks that no exported memory can have zero pages. Singlepass would not check accesses to such a memory.
///
/// # Errors
/// `InvalidModule` if a memory begins with zero pages.
pub(super) fn check_memory_is_not_empty(module: &Module) -> Result<()> {
    let memories = module.exports().filter_map(|export| export.ty().memory().copied());
    for memory in memories {
        if memory.minimum.0 == 0 {
            return Err(refused("its memory begins with no pages, with which this compiler does not work".to_owned()));
        }
    }
    Ok(())
}

fn expect_export(module: &Module, name: &str, fits: impl Fn(&ExternType) -> bool) -> Result<()> {
    match module.exports().find(|export| export.name() == name) {
        Some(export) if fits(export.ty()) => Ok(()),
        Some(_) => Err(refused(format!("its export {name} has another type than waPC asks for"))),
        None => Err(refused(format!("it does not export {name}"))),
    }
}

fn is_function(found: &ExternType, expected: &FunctionType) -> bool {
    matches!(found, ExternType::Function(found) if found == expected)
}

fn refused(reason: String) -> Error {
    Error::new(ErrorKind::InvalidModule, format!("the module is no waPC guest: {reason}"))
}
