//! What a module must export to be run as an actor, and what it may import: the waPC interface, no more.

use wasmer::{ExternType, FunctionType, Module, Type};

use crate::engine::{imports, meter};
use crate::error::{Error, ErrorKind, Result};

/// The start functions of a guest, in the order in which they are called: its module's own, then waPC's.
pub(super) const STARTS: [&str; 3] =
    [meter::START, wapc::wapc_functions::TINYGO_START, wapc::wapc_functions::WAPC_INIT];

pub(super) const MEMORY: &str = "memory";

/// Refuses a module that cannot be run as an actor, saying why.
pub(super) fn check(module: &Module) -> Result<()> {
    for import in module.imports() {
        let (from, name) = (import.module(), import.name());
        if (from, name) == meter::YIELD {
            // Put in by the meter, which refuses modules that have it of their own.
            continue;
        }
        let Some(offered) = imports::signature(from, name) else {
            return Err(refused(format!("it imports {from}.{name}, which is not part of the waPC interface")));
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
