//! Functions that work on large ranges of memory: a portion at a time, with yields between them.
//!
//! They do what the operations do that they stand in for: a range that is out of bounds is a trap before anything has been
//! written, and where ranges overlap, nothing is written before it has been read. In between nobody sees the memory: the
//! guest is in the middle of its call.

use wasm_encoder::{BlockType, Function, InstructionSink, ValType};

use super::fuel_emitter::FuelGlobals;
use super::stack_probe;
use crate::meter::plan::{LargeRange, PORTION};

/// Where the range begins.
const TO: u32 = 0;
/// Where the bytes come from: an address, a place in a data segment, or the byte itself.
const FROM: u32 = 1;
const LENGTH: u32 = 2;
/// Whether the last bytes are to be worked on first.
const BACKWARDS: u32 = 3;

/// The function that stands in for this operation. What it works on has been paid for.
pub(super) fn in_portions(range: LargeRange, globals: &FuelGlobals, probe: u32) -> Function {
    let mut function = Function::new([(1, ValType::I32)]);
    let mut sink = function.instructions();
    // This goes for all that follows: nothing in here takes more of the stack by and by.
    stack_probe::check(&mut sink, probe);
    trap_if_out_of_bounds(&mut sink, range);
    if range == LargeRange::Copy {
        sink.local_get(TO).local_get(FROM).i32_gt_u().local_set(BACKWARDS);
    }
    sink.loop_(BlockType::Empty).local_get(LENGTH).i32_const(PORTION.cast_signed()).i32_gt_u().if_(BlockType::Empty);
    // What is left is more than a portion.
    sink.local_get(LENGTH).i32_const(PORTION.cast_signed()).i32_sub().local_set(LENGTH);
    sink.local_get(BACKWARDS).if_(BlockType::Empty);
    for place in [TO, FROM] {
        sink.local_get(place).local_get(LENGTH).i32_add();
    }
    sink.i32_const(PORTION.cast_signed());
    work(&mut sink, range);
    sink.else_().local_get(TO).local_get(FROM).i32_const(PORTION.cast_signed());
    work(&mut sink, range);
    let places: &[u32] = if range == LargeRange::Fill { &[TO] } else { &[TO, FROM] };
    for &place in places {
        sink.local_get(place).i32_const(PORTION.cast_signed()).i32_add().local_set(place);
    }
    sink.end();
    globals.pause(&mut sink);
    sink.br(1).end().end();
    sink.local_get(TO).local_get(FROM).local_get(LENGTH);
    work(&mut sink, range);
    sink.end();
    function
}

/// Has the operation itself trap, on the whole of the range, if that is out of bounds.
fn trap_if_out_of_bounds(sink: &mut InstructionSink<'_>, range: LargeRange) {
    ends_after(sink, TO, memory_bytes);
    match range {
        LargeRange::Fill => {}
        LargeRange::Copy => {
            ends_after(sink, FROM, memory_bytes);
            sink.i32_or();
        }
        // If the segment has been dropped, the first portion is out of bounds already.
        LargeRange::Init { bytes, .. } => {
            ends_after(sink, FROM, |sink| {
                sink.i64_const(bytes.into());
            });
            sink.i32_or();
        }
    }
    sink.if_(BlockType::Empty).local_get(TO).local_get(FROM).local_get(LENGTH);
    work(sink, range);
    sink.end();
}

/// Whether the range that begins at `place` ends after what `end` puts on the stack.
fn ends_after(sink: &mut InstructionSink<'_>, place: u32, end: impl FnOnce(&mut InstructionSink<'_>)) {
    sink.local_get(place).i64_extend_i32_u().local_get(LENGTH).i64_extend_i32_u().i64_add();
    end(sink);
    sink.i64_gt_u();
}

fn memory_bytes(sink: &mut InstructionSink<'_>) {
    sink.memory_size(0).i64_extend_i32_u().i64_const(16).i64_shl();
}

/// The operation itself.
fn work(sink: &mut InstructionSink<'_>, range: LargeRange) {
    match range {
        LargeRange::Fill => sink.memory_fill(0),
        LargeRange::Copy => sink.memory_copy(0, 0),
        LargeRange::Init { segment, .. } => sink.memory_init(0, segment),
    };
}
