//! What a module must export to be run as an actor, and what it may import: the waPC interface, no more.

use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmer::{ExternType, FunctionType, Module, Type};

use crate::{imports, meter};

/// What a reactor exports: the function that has to be called before any other, so that globals and the heap are there.
const INITIALIZE: &str = "_initialize";

/// The start functions of a guest, in the order in which they are called: its module's own, that of reactors, then waPC's.
/// Those that a module does not export are left out.
pub(super) const STARTS: [&str; 4] =
    [meter::START, INITIALIZE, wapc::wapc_functions::TINYGO_START, wapc::wapc_functions::WAPC_INIT];

pub(super) const MEMORY: &str = "memory";

/// Refuses a module that cannot be run as an actor, saying why.
pub(super) fn check(module: &Module) -> Result<()> {
    for import in module.imports() {
        let (from, name) = (import.module(), import.name());
        if from == meter::NAMESPACE {
            // Put in by the meter, which refuses modules that import from there themselves.
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

/// What helps against an import that no guest has, where it is known where it comes from.
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
            "it was built by AssemblyScript and uses what only JavaScript has, as Math.random, Date and trace do; leave that \
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

/// Refuses a module that may have a memory of no pages, to which accesses would go unchecked.
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
