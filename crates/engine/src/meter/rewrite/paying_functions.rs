//! The functions that pay, for code that pays with calls.

use wasm_encoder::{BlockType, Function};

use super::fuel_emitter::FuelGlobals;
use super::stack_probe;

/// The function that pays as many units as it is passed.
pub(super) fn pays(globals: &FuelGlobals) -> Function {
    let mut function = Function::new([]);
    let mut sink = function.instructions();
    sink.global_get(globals.global).local_get(0).i32_sub().global_set(globals.global);
    yield_if_negative(&mut function, globals);
    function.instructions().end();
    function
}

/// The function that pays for a length, which exceeds its cost by as many bits as it is passed, and some units more. It answers
/// with the length, and makes sure of room on the stack for the operation that comes next.
pub(super) fn pays_length(globals: &FuelGlobals, probe: u32) -> Function {
    let mut function = Function::new([]);
    let mut sink = function.instructions();
    stack_probe::check(&mut sink, probe);
    sink.global_get(globals.global).local_get(0).local_get(1).i32_shr_u().i32_sub();
    sink.local_get(2).i32_sub().global_set(globals.global);
    yield_if_negative(&mut function, globals);
    function.instructions().local_get(0).end();
    function
}

fn yield_if_negative(function: &mut Function, globals: &FuelGlobals) {
    let mut sink = function.instructions();
    sink.global_get(globals.global).i32_const(0).i32_lt_s().if_(BlockType::Empty);
    sink.global_get(globals.global).call(globals.yields).global_set(globals.global).end();
}
