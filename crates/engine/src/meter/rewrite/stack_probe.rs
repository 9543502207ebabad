//! Headroom: before a guest's code enters code of the host, it makes sure that its stack has room for that.
//!
//! The host's functions, the meter's `yield` among them, and those that carry out operations such as `memory.grow`, begin
//! on the guest's stack before they go over to the host's own, or stay there for all of their work. A guest's code may
//! overflow its stack anywhere: it is ended, and nothing is left undone. An overflow in the host's code, with its locks
//! and its bookkeeping, could not be mended, and a guest chooses at what depth it calls. So it calls a *probe* first, a
//! function that needs more stack than any of the host's does, and overflows there.
//!
//! - Each imported function has another one in front of it that probes, and takes its place wherever the module refers to
//!   it: in calls, tables, references and exports.
//! - Operations that engines carry out by functions have a probe before them.
//!
//! What else runs on a guest's stack needs nothing. Entering a guest finds its stack empty, and the driver calls from there.
//! What comes back from the host's stack, be it an answer, a trap or the unwinding of a turn that is given up, comes back to
//! where there was room on the way there. Traps of the guest's own code are signals, which have a stack of their own, and
//! are raised from another one. Only where a processor of before 2008 (without SSE4.1) cannot round floating-point numbers
//! itself, Cranelift calls a function for that without a probe.

use wasm_encoder::{BlockType, Function, InstructionSink, ValType};

/// What a compiler makes a function's frame large for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(all(feature = "cranelift", feature = "singlepass")),
    allow(dead_code, reason = "each compiler has its own")
)]
pub(crate) enum Frames {
    /// Cranelift drops locals that are not used, but keeps room for the arguments that a function passes to others, and
    /// touches the pages of a large frame one by one.
    Arguments,
    /// Singlepass keeps its locals there, and clears them. It touches the pages of a large frame too, but begins a little
    /// more than a page below the frame's beginning, where it might miss the page that guards the stack.
    Locals,
}

/// How many arguments, of 16 bytes, make a frame of more than 8 KiB. The host's functions need about 2 KiB, most of it for
/// the picture of the stack that goes with a trap, and some more where the dynamic linker finds a function for the first
/// time. What goes beyond the last whole page of a frame is not touched, and the first 8 arguments are passed in registers.
///
/// The compiler takes some milliseconds for a type like that, and more than in proportion to its length. Several smaller
/// frames would cost as much again at each probe as one large one.
const ARGUMENTS: usize = 8 + 512 + 8;

/// How many locals, of 8 bytes, make a frame of hardly a page. Two of those are the same.
const LOCALS: u32 = 500;

impl Frames {
    /// The type of the function that a probe calls.
    pub(super) fn passed(self) -> impl ExactSizeIterator<Item = ValType> {
        std::iter::repeat_n(ValType::V128, if self == Frames::Arguments { ARGUMENTS } else { 0 })
    }

    /// The function that a probe calls. It does nothing.
    pub(super) fn filled(self) -> Function {
        let mut function = Function::new(self.locals());
        function.instructions().end();
        function
    }

    /// The function that needs so much of the stack, to no other end. It calls `filled`: for the sake of that one's locals,
    /// or, so that there is room for the arguments, if it is passed a number below zero. That it never is is more than a
    /// compiler knows.
    pub(super) fn probe(self, filled: u32) -> Function {
        let mut function = Function::new(self.locals());
        let mut sink = function.instructions();
        if self == Frames::Arguments {
            sink.local_get(0).i32_const(0).i32_lt_s().if_(BlockType::Empty);
            for _ in 0..ARGUMENTS {
                sink.v128_const(0);
            }
            sink.call(filled).end();
        } else {
            sink.call(filled);
        }
        sink.end();
        function
    }

    fn locals(self) -> Option<(u32, ValType)> {
        (self == Frames::Locals).then_some((LOCALS, ValType::I64))
    }
}

/// Makes sure that there is room.
pub(super) fn check(sink: &mut InstructionSink<'_>, probe: u32) {
    sink.i32_const(0).call(probe);
}

/// The function that takes the place of an imported one with so many parameters, up to what it does after the call. One that
/// is called for its price has a local for it after its parameters.
pub(super) fn in_front_of(imported: u32, parameters: u32, priced: bool, probe: u32) -> Function {
    let mut function = Function::new(priced.then_some((1, ValType::I32)));
    let mut sink = function.instructions();
    check(&mut sink, probe);
    for parameter in 0..parameters {
        sink.local_get(parameter);
    }
    sink.call(imported);
    function
}
