//! The payments of one function, as code.
//!
//! A function with loops keeps the fuel in a local, because a loop that touches memory for each turn is a third slower.
//! It takes the fuel from the global at its entry, gives it back before whatever may take fuel elsewhere, and before it
//! returns. Other functions work on the global, and so do those that pay with calls.

use wasm_encoder::{BlockType, Function, Instruction, InstructionSink, MemArg, ValType};

use super::forms::Form;
use super::stack_probe;
use crate::meter::plan::{PORTION, Payments};

/// Writes the payments of one function.
pub(super) struct FuelEmitter<'a> {
    pub(super) payments: &'a Payments,
    /// The local that holds the fuel, or lends itself to reckoning.
    pub(super) fuel: u32,
    /// The local that holds the length of a range.
    pub(super) length: u32,
    pub(super) globals: FuelGlobals,
    pub(super) form: Form,
}

/// Where the fuel is.
#[derive(Clone, Copy)]
pub(super) struct FuelGlobals {
    /// The global that holds it.
    pub(super) global: u32,
    /// The function that yields.
    pub(super) yields: u32,
    /// The function that pays.
    pub(super) pays: u32,
    /// The function that pays for a length.
    pub(super) pays_length: u32,
    /// How much there is for each time that a guest yields.
    pub(super) quantum: i32,
}

impl FuelGlobals {
    /// Pays the price on the stack from the global, and yields if that is not enough.
    pub(super) fn pay_price(&self, sink: &mut InstructionSink<'_>, local: u32) {
        sink.local_set(local).global_get(self.global).local_get(local).i32_sub().local_tee(local);
        sink.global_set(self.global).local_get(local).i32_const(0).i32_lt_s().if_(BlockType::Empty);
        sink.local_get(local).call(self.yields).global_set(self.global).end();
    }

    /// Yields with the fuel on the stack, however much there is, and leaves as much.
    fn yield_and_keep(&self, sink: &mut InstructionSink<'_>) {
        // What is handed out for having yielded has not been used up, so it is taken back beforehand.
        sink.i32_const(self.quantum).i32_sub().call(self.yields);
    }

    /// Yields, in a function that works on the global.
    pub(super) fn pause(&self, sink: &mut InstructionSink<'_>) {
        sink.global_get(self.global);
        self.yield_and_keep(sink);
        sink.global_set(self.global);
    }
}

/// The function that takes the place of `yield`: the guest is suspended only if the host says so.
pub(super) fn yield_if_due(tick: u32, yields: u32, probe: u32) -> Function {
    const FUEL: u32 = 0;
    const MORE: u32 = 1;
    let mut function = Function::new([(1, ValType::I32)]);
    let mut sink = function.instructions();
    stack_probe::check(&mut sink, probe);
    sink.local_get(FUEL).call(tick).local_tee(MORE).i32_eqz();
    sink.if_(BlockType::Result(ValType::I32)).local_get(FUEL).call(yields).else_().local_get(MORE).end().end();
    function
}

impl FuelEmitter<'_> {
    /// Whether the function keeps the fuel in its local.
    pub(super) fn keeps_fuel(&self) -> bool {
        self.pays_in_place() && self.payments.has_loops()
    }

    /// Whether payments are code in place, and no calls.
    pub(super) fn pays_in_place(&self) -> bool {
        self.form != Form::Calls
    }

    /// Takes the fuel into the local.
    pub(super) fn take(&self, sink: &mut InstructionSink<'_>) {
        sink.global_get(self.globals.global).local_set(self.fuel);
    }

    /// Gives the fuel back to the global.
    pub(super) fn give_back(&self, sink: &mut InstructionSink<'_>) {
        if self.keeps_fuel() {
            sink.local_get(self.fuel).global_set(self.globals.global);
        }
    }

    /// Uses up the fuel: the next payment asks for more. Loops look before they pay, so none may be left.
    pub(super) fn use_up(&self, sink: &mut InstructionSink<'_>) {
        sink.i32_const(-1);
        if self.keeps_fuel() {
            sink.local_set(self.fuel);
        } else {
            sink.global_set(self.globals.global);
        }
    }

    /// Pays `units` from the local, or with a call.
    pub(super) fn pay(&self, sink: &mut InstructionSink<'_>, units: u32) {
        if !self.pays_in_place() {
            sink.i32_const(units.cast_signed()).call(self.globals.pays);
            return;
        }
        sink.local_get(self.fuel).i32_const(units.cast_signed());
        self.settle(sink);
    }

    /// Subtracts what is on the stack from the fuel beneath it, and yields if that is not enough.
    fn settle(&self, sink: &mut InstructionSink<'_>) {
        sink.i32_sub().local_tee(self.fuel);
        self.yield_if_negative(sink);
    }

    /// Yields if the fuel on the stack is below zero.
    fn yield_if_negative(&self, sink: &mut InstructionSink<'_>) {
        sink.i32_const(0).i32_lt_s().if_(BlockType::Empty);
        sink.local_get(self.fuel).call(self.globals.yields).local_set(self.fuel).end();
    }

    /// Begins the two loops of one that pays: the outer one yields, the inner one is the loop itself.
    pub(super) fn begin_turns(&self, sink: &mut InstructionSink<'_>, ty: BlockType, units: u32) {
        sink.loop_(ty);
        sink.local_get(self.fuel);
        self.yield_if_negative(sink);
        sink.loop_(ty);
        // Looked at before it is paid from: a turn may cost more than a whole quantum.
        sink.local_get(self.fuel).i32_const(0).i32_lt_s().br_if(1);
        sink.local_get(self.fuel).i32_const(units.cast_signed()).i32_sub().local_set(self.fuel);
    }

    /// Has the compiler know from here on where the memory is, up to the next call.
    ///
    /// Cranelift takes a call for a change of everything, the place of the memory included. In code that may come from a
    /// call, such as a loop around which another one yields, it looks that place up in every block. An atomic access is as
    /// much of a change as a call; so what is known before it does not matter, and what is looked up after it, for the
    /// second access, holds wherever it leads. Address 0 has to exist.
    pub(super) fn find_memory(&self, sink: &mut InstructionSink<'_>) {
        let access = |align| MemArg { offset: 0, align, memory_index: 0 };
        sink.i32_const(0).i32_atomic_load(access(2)).drop();
        sink.i32_const(0).i32_load8_u(access(0)).drop();
    }

    /// Pays `units`, or branches to `otherwise` if that leaves the fuel below zero.
    pub(super) fn pay_or(&self, sink: &mut InstructionSink<'_>, units: u32, otherwise: u32) {
        sink.local_get(self.fuel).i32_const(units.cast_signed()).i32_sub().local_tee(self.fuel);
        sink.i32_const(0).i32_lt_s().br_if(otherwise);
    }

    /// Pays once more for `units` of straight-line code, and asks for more fuel unless more than a small quantum is left.
    ///
    /// Only a guest with a small memory ever has more than that. For others this always looks at the clock.
    pub(super) fn pause(&self, sink: &mut InstructionSink<'_>, units: u32) {
        let (units, quantum) = (units.cast_signed(), self.globals.quantum);
        if self.keeps_fuel() {
            sink.local_get(self.fuel).i32_const(units).i32_sub().local_tee(self.fuel);
            sink.i32_const(quantum).i32_lt_s().if_(BlockType::Empty);
            sink.local_get(self.fuel);
            self.globals.yield_and_keep(sink);
            sink.local_set(self.fuel).end();
        } else {
            sink.global_get(self.globals.global).i32_const(units).i32_sub().global_set(self.globals.global);
            sink.global_get(self.globals.global).i32_const(quantum).i32_lt_s().if_(BlockType::Empty);
            self.globals.pause(sink);
            sink.end();
        }
    }

    pub(super) fn enter(&self, sink: &mut InstructionSink<'_>) {
        if self.keeps_fuel() {
            self.take(sink);
        }
        if let Some(units) = self.payments.entry {
            self.pay_anywhere(sink, units);
        }
    }

    /// Pays `units`, wherever the fuel is.
    pub(super) fn pay_anywhere(&self, sink: &mut InstructionSink<'_>, units: u32) {
        if self.keeps_fuel() || !self.pays_in_place() {
            self.pay(sink, units);
        } else {
            self.take(sink);
            self.pay(sink, units);
            sink.local_get(self.fuel).global_set(self.globals.global);
        }
    }

    /// Pays for an operation on a range whose length is on the stack, and `units` more.
    pub(super) fn pay_for_range(&self, sink: &mut InstructionSink<'_>, bits: u32, units: u32) {
        if !self.pays_in_place() {
            sink.i32_const(bits.cast_signed()).i32_const(units.cast_signed()).call(self.globals.pays_length);
            return;
        }
        if units > 0 {
            self.pay_anywhere(sink, units);
        }
        sink.local_set(self.length);
        if !self.keeps_fuel() {
            self.take(sink);
        }
        sink.local_get(self.fuel).local_get(self.length).i32_const(bits.cast_signed()).i32_shr_u();
        self.settle(sink);
        if !self.keeps_fuel() {
            sink.local_get(self.fuel).global_set(self.globals.global);
        }
        sink.local_get(self.length);
    }

    /// Works on a range that has been paid for: with the operation itself, or with the function that works in portions if
    /// the range is large.
    pub(super) fn work_on_range(&self, function: &mut Function, ty: u32, portions: u32, operation: &Instruction<'_>) {
        let mut sink = function.instructions();
        if !self.pays_in_place() {
            sink.call(portions);
            return;
        }
        sink.local_get(self.length).i32_const(PORTION.cast_signed()).i32_gt_u().if_(BlockType::FunctionType(ty));
        self.give_back(&mut sink);
        sink.call(portions);
        if self.keeps_fuel() {
            self.take(&mut sink);
        }
        sink.else_();
        function.instruction(operation).instructions().end();
    }
}
