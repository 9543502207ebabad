//! Stack probes: before a guest's code enters the host's code, it checks that its stack has room for that.
//!
//! The host's functions, including the meter's `yield` and those that perform operations such as `memory.grow`, begin
//! on the guest's stack before they switch to the host's own, or stay on it. A guest's code may overflow its stack
//! anywhere: it is ended, and nothing is left inconsistent. An overflow in the host's code, with its locks and its
//! bookkeeping, could not be repaired, and a guest chooses the depth at which it calls. So it calls a *probe* first, a
//! function that needs more stack than any of the host's, and overflows there.
//!
//! - Each imported function gets a wrapper that probes, and replaces it wherever the module refers to it: in calls,
//!   tables, references and exports.
//! - Operations that the engine implements as functions are preceded by a probe.
//!
//! Other code on a guest's stack needs no probe. Entering a guest finds its stack empty, and the call loop calls from
//! there. An answer, a trap or the unwinding of an abandoned call returns from the host's stack to a depth at which
//! there was room on the way there. Traps of the guest's own code are signals, which have their own stack, and are
//! raised from another one. The only exception: on processors from before 2008 (without SSE4.1), Cranelift rounds
//! floating-point numbers by a function that it calls without a probe.

use wasm_encoder::{BlockType, Function, InstructionSink, ValType};

/// What determines the size of a function's stack frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(all(feature = "cranelift", feature = "singlepass")),
    allow(dead_code, reason = "each compiler has its own")
)]
pub(crate) enum FrameModel {
    /// Cranelift removes unused locals, but reserves space for the arguments that a function passes to others, and
    /// touches the pages of a large frame one by one.
    Arguments,
    /// Singlepass stores its locals in the frame and clears them. It touches the pages of a large frame too, but begins
    /// a little more than a page below the frame's beginning, where it can miss the guard page of the stack.
    Locals,
}

/// The number of arguments of 16 bytes that make a frame of more than 8 KiB. The host's functions need about 2 KiB,
/// most of it to capture the backtrace of a trap, and some more when the dynamic linker resolves a function for the
/// first time. The last partial page of a frame is not touched, and the first 8 arguments are passed in registers.
///
/// The compiler takes some milliseconds for such a type, superlinear in its length. Several smaller frames would cost
/// as much again at each probe as one large one.
const ARGUMENTS: usize = 8 + 512 + 8;

/// The number of locals of 8 bytes that make a frame of almost a page. The probe and the function that it calls have
/// such a frame each.
const LOCALS: u32 = 500;

impl FrameModel {
    /// Returns the parameters of the function that the probe calls.
    pub(super) fn filler_parameters(self) -> impl ExactSizeIterator<Item = ValType> {
        std::iter::repeat_n(ValType::V128, if self == FrameModel::Arguments { ARGUMENTS } else { 0 })
    }

    /// Returns the function that the probe calls. It does nothing.
    pub(super) fn filler(self) -> Function {
        let mut function = Function::new(self.locals());
        function.instructions().end();
        function
    }

    /// Returns the probe. It calls `filler`, either for the frame of its locals, or, to reserve space for the
    /// arguments, if it is passed a negative number. It never is, but the compiler does not know that.
    pub(super) fn probe(self, filler: u32) -> Function {
        let mut function = Function::new(self.locals());
        let mut sink = function.instructions();
        if self == FrameModel::Arguments {
            sink.local_get(0).i32_const(0).i32_lt_s().if_(BlockType::Empty);
            for _ in 0..ARGUMENTS {
                sink.v128_const(0);
            }
            sink.call(filler).end();
        } else {
            sink.call(filler);
        }
        sink.end();
        function
    }

    fn locals(self) -> Option<(u32, ValType)> {
        (self == FrameModel::Locals).then_some((LOCALS, ValType::I64))
    }
}

/// Calls the probe.
pub(super) fn check(sink: &mut InstructionSink<'_>, probe: u32) {
    sink.i32_const(0).call(probe);
}

/// Returns the beginning of the function that wraps an imported one, up to the call. A wrapper of a function that
/// returns its price has a local for the price after its parameters.
pub(super) fn import_wrapper(imported: u32, parameters: u32, priced: bool, probe: u32) -> Function {
    let mut function = Function::new(priced.then_some((1, ValType::I32)));
    let mut sink = function.instructions();
    check(&mut sink, probe);
    for parameter in 0..parameters {
        sink.local_get(parameter);
    }
    sink.call(imported);
    function
}
