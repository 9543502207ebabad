//! Functions that work on large ranges of memory in chunks, with yields between them.
//!
//! They behave like the operations that they replace: an out-of-bounds range traps before anything is written, and
//! overlapping ranges are copied correctly. The intermediate state is not observable, because the guest is in the
//! middle of its call.

use wasm_encoder::{BlockType, Function, InstructionSink, ValType};

use super::fuel_emitter::FuelGlobals;
use super::stack_probe;
use crate::meter::plan::{BULK_CHUNK, LargeRange};

/// The parameter with the start of the range.
const TO: u32 = 0;
/// The parameter with the source: an address, an offset in a data segment, or the byte to fill with.
const FROM: u32 = 1;
const LENGTH: u32 = 2;
/// The local that tells whether to work from the end to the start.
const BACKWARDS: u32 = 3;

/// Returns the function that replaces this operation. The range has been charged before.
pub(super) fn chunked_operation(range: LargeRange, globals: &FuelGlobals, probe: u32) -> Function {
    let mut function = Function::new([(1, ValType::I32)]);
    let mut sink = function.instructions();
    // One probe suffices, since nothing below uses more stack.
    stack_probe::check(&mut sink, probe);
    trap_if_out_of_bounds(&mut sink, range);
    if range == LargeRange::Copy {
        sink.local_get(TO).local_get(FROM).i32_gt_u().local_set(BACKWARDS);
    }
    sink.loop_(BlockType::Empty).local_get(LENGTH).i32_const(BULK_CHUNK.cast_signed()).i32_gt_u().if_(BlockType::Empty);
    // More than a chunk remains.
    sink.local_get(LENGTH).i32_const(BULK_CHUNK.cast_signed()).i32_sub().local_set(LENGTH);
    sink.local_get(BACKWARDS).if_(BlockType::Empty);
    for local in [TO, FROM] {
        sink.local_get(local).local_get(LENGTH).i32_add();
    }
    sink.i32_const(BULK_CHUNK.cast_signed());
    operate(&mut sink, range);
    sink.else_().local_get(TO).local_get(FROM).i32_const(BULK_CHUNK.cast_signed());
    operate(&mut sink, range);
    let locals: &[u32] = if range == LargeRange::Fill { &[TO] } else { &[TO, FROM] };
    for &local in locals {
        sink.local_get(local).i32_const(BULK_CHUNK.cast_signed()).i32_add().local_set(local);
    }
    sink.end();
    globals.force_yield(&mut sink);
    sink.br(1).end().end();
    sink.local_get(TO).local_get(FROM).local_get(LENGTH);
    operate(&mut sink, range);
    sink.end();
    function
}

/// Runs the operation on the whole range if that is out of bounds, so that it traps.
fn trap_if_out_of_bounds(sink: &mut InstructionSink<'_>, range: LargeRange) {
    ends_after(sink, TO, memory_bytes);
    match range {
        LargeRange::Fill => {}
        LargeRange::Copy => {
            ends_after(sink, FROM, memory_bytes);
            sink.i32_or();
        }
        // If the segment has been dropped, the first chunk is out of bounds.
        LargeRange::Init { bytes, .. } => {
            ends_after(sink, FROM, |sink| {
                sink.i64_const(bytes.into());
            });
            sink.i32_or();
        }
    }
    sink.if_(BlockType::Empty).local_get(TO).local_get(FROM).local_get(LENGTH);
    operate(sink, range);
    sink.end();
}

/// Computes whether the range that begins at `local` ends after the value that `end` pushes.
fn ends_after(sink: &mut InstructionSink<'_>, local: u32, end: impl FnOnce(&mut InstructionSink<'_>)) {
    sink.local_get(local).i64_extend_i32_u().local_get(LENGTH).i64_extend_i32_u().i64_add();
    end(sink);
    sink.i64_gt_u();
}

fn memory_bytes(sink: &mut InstructionSink<'_>) {
    sink.memory_size(0).i64_extend_i32_u().i64_const(16).i64_shl();
}

/// Writes the operation itself.
fn operate(sink: &mut InstructionSink<'_>, range: LargeRange) {
    match range {
        LargeRange::Fill => sink.memory_fill(0),
        LargeRange::Copy => sink.memory_copy(0, 0),
        LargeRange::Init { segment, .. } => sink.memory_init(0, segment),
    };
}
