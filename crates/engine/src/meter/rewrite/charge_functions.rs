//! The functions that charge fuel, for code that charges with calls.

use wasm_encoder::{BlockType, Function};

use super::fuel_emitter::FuelGlobals;
use super::stack_probe;

/// Returns the function that charges the units that it is passed.
pub(super) fn charge_function(globals: &FuelGlobals) -> Function {
    let mut function = Function::new([]);
    let mut sink = function.instructions();
    sink.global_get(globals.global).local_get(0).i32_sub().global_set(globals.global);
    yield_if_negative(&mut function, globals);
    function.instructions().end();
    function
}

/// Returns the function that charges for a range: its length shifted right by a number of bits, and some units more. It
/// returns the length, and probes the stack for the operation that follows.
pub(super) fn charge_range_function(globals: &FuelGlobals, probe: u32) -> Function {
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
    sink.global_get(globals.global).call(globals.yield_function).global_set(globals.global).end();
}
