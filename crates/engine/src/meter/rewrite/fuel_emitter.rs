//! Writes the code that charges fuel in one function.
//!
//! A function with loops caches the fuel in a local, because a loop that accesses memory at each iteration is a third
//! slower. It loads the fuel from the global at its entry, and stores it before calls that may take fuel and before it
//! returns. Other functions use the global, and so do those that charge with calls.

use wasm_encoder::{BlockType, Function, Instruction, InstructionSink, MemArg, ValType};

use super::charge_forms::Form;
use super::stack_probe;
use crate::meter::plan::{BULK_CHUNK, Charges};

/// Writes the charges of one function.
pub(super) struct FuelEmitter<'a> {
    pub(super) charges: &'a Charges,
    /// The local that caches the fuel, or holds intermediate values.
    pub(super) fuel: u32,
    /// The local that holds the length of a range.
    pub(super) length: u32,
    pub(super) globals: FuelGlobals,
    pub(super) form: Form,
}

/// The indices of the fuel global and of the functions that work on it.
#[derive(Clone, Copy)]
pub(super) struct FuelGlobals {
    /// The global that holds the fuel.
    pub(super) global: u32,
    /// The function that yields.
    pub(super) yield_function: u32,
    /// The function that charges fuel.
    pub(super) charge_function: u32,
    /// The function that charges for a range.
    pub(super) charge_range_function: u32,
    /// The fuel that a guest gets for each yield.
    pub(super) quantum: i32,
}

impl FuelGlobals {
    /// Charges the price on the stack to the global, and yields if the fuel does not suffice.
    pub(super) fn charge_price(&self, sink: &mut InstructionSink<'_>, local: u32) {
        sink.local_set(local).global_get(self.global).local_get(local).i32_sub().local_tee(local);
        sink.global_set(self.global).local_get(local).i32_const(0).i32_lt_s().if_(BlockType::Empty);
        sink.local_get(local).call(self.yield_function).global_set(self.global).end();
    }

    /// Yields regardless of the fuel on the stack, and leaves the same amount.
    fn yield_and_keep(&self, sink: &mut InstructionSink<'_>) {
        // A yield adds a quantum although none was used up, so it is subtracted first.
        sink.i32_const(self.quantum).i32_sub().call(self.yield_function);
    }

    /// Yields, in a function that works on the global.
    pub(super) fn force_yield(&self, sink: &mut InstructionSink<'_>) {
        sink.global_get(self.global);
        self.yield_and_keep(sink);
        sink.global_set(self.global);
    }
}

/// Returns the function that wraps `yield`: it suspends the guest only if `tick` returns 0.
pub(super) fn yield_if_due(tick: u32, yield_function: u32, probe: u32) -> Function {
    const FUEL: u32 = 0;
    const MORE: u32 = 1;
    let mut function = Function::new([(1, ValType::I32)]);
    let mut sink = function.instructions();
    stack_probe::check(&mut sink, probe);
    sink.local_get(FUEL).call(tick).local_tee(MORE).i32_eqz();
    sink.if_(BlockType::Result(ValType::I32)).local_get(FUEL).call(yield_function).else_().local_get(MORE).end().end();
    function
}

impl FuelEmitter<'_> {
    /// Returns whether the function caches the fuel in its local.
    pub(super) fn caches_fuel(&self) -> bool {
        self.is_inline() && self.charges.has_loops()
    }

    /// Returns whether charges are inline code instead of calls.
    pub(super) fn is_inline(&self) -> bool {
        self.form != Form::Calls
    }

    /// Loads the fuel into the local.
    pub(super) fn load_fuel(&self, sink: &mut InstructionSink<'_>) {
        sink.global_get(self.globals.global).local_set(self.fuel);
    }

    /// Stores the cached fuel to the global.
    pub(super) fn store_fuel(&self, sink: &mut InstructionSink<'_>) {
        if self.caches_fuel() {
            sink.local_get(self.fuel).global_set(self.globals.global);
        }
    }

    /// Drops all fuel, so that the next charge asks for more. Loops check before they charge, so it has to be below
    /// zero.
    pub(super) fn drop_fuel(&self, sink: &mut InstructionSink<'_>) {
        sink.i32_const(-1);
        if self.caches_fuel() {
            sink.local_set(self.fuel);
        } else {
            sink.global_set(self.globals.global);
        }
    }

    /// Charges `units` to the local, or with a call.
    pub(super) fn charge(&self, sink: &mut InstructionSink<'_>, units: u32) {
        if !self.is_inline() {
            sink.i32_const(units.cast_signed()).call(self.globals.charge_function);
            return;
        }
        sink.local_get(self.fuel).i32_const(units.cast_signed());
        self.subtract_and_yield(sink);
    }

    /// Subtracts the value on the stack from the fuel below it, and yields if the fuel does not suffice.
    fn subtract_and_yield(&self, sink: &mut InstructionSink<'_>) {
        sink.i32_sub().local_tee(self.fuel);
        self.yield_if_negative(sink);
    }

    /// Yields if the fuel on the stack is below zero.
    fn yield_if_negative(&self, sink: &mut InstructionSink<'_>) {
        sink.i32_const(0).i32_lt_s().if_(BlockType::Empty);
        sink.local_get(self.fuel).call(self.globals.yield_function).local_set(self.fuel).end();
    }

    /// Begins the two loops that replace a charged loop: the outer one yields, the inner one is the loop itself.
    pub(super) fn begin_charged_loop(&self, sink: &mut InstructionSink<'_>, ty: BlockType, units: u32) {
        sink.loop_(ty);
        sink.local_get(self.fuel);
        self.yield_if_negative(sink);
        sink.loop_(ty);
        // Checked before the charge, since an iteration may cost more than a whole quantum.
        sink.local_get(self.fuel).i32_const(0).i32_lt_s().br_if(1);
        sink.local_get(self.fuel).i32_const(units.cast_signed()).i32_sub().local_set(self.fuel);
    }

    /// Lets the compiler keep the memory's address in a register from here up to the next call.
    ///
    /// Cranelift assumes that a call changes everything, including the address of the memory. In code that may follow a
    /// call, such as a loop inside of one that yields, it loads that address in every block. An atomic access has the
    /// same effect as a call, so earlier loads no longer matter, and the load for the second access below is valid in
    /// all code that follows it. Address 0 has to exist.
    pub(super) fn load_memory_address(&self, sink: &mut InstructionSink<'_>) {
        let access = |align| MemArg { offset: 0, align, memory_index: 0 };
        sink.i32_const(0).i32_atomic_load(access(2)).drop();
        sink.i32_const(0).i32_load8_u(access(0)).drop();
    }

    /// Charges `units`, and branches to `otherwise` if the fuel falls below zero.
    pub(super) fn charge_or_branch(&self, sink: &mut InstructionSink<'_>, units: u32, otherwise: u32) {
        sink.local_get(self.fuel).i32_const(units.cast_signed()).i32_sub().local_tee(self.fuel);
        sink.i32_const(0).i32_lt_s().br_if(otherwise);
    }

    /// Charges `units` of straight-line code once more, and asks for more fuel unless more than a small quantum is
    /// left.
    ///
    /// Only a guest with a small memory ever has more than that. Any other guest always checks the clock here.
    pub(super) fn yield_point(&self, sink: &mut InstructionSink<'_>, units: u32) {
        let units = units.cast_signed();
        let quantum = self.globals.quantum;
        if self.caches_fuel() {
            sink.local_get(self.fuel).i32_const(units).i32_sub().local_tee(self.fuel);
            sink.i32_const(quantum).i32_lt_s().if_(BlockType::Empty);
            sink.local_get(self.fuel);
            self.globals.yield_and_keep(sink);
            sink.local_set(self.fuel).end();
        } else {
            sink.global_get(self.globals.global).i32_const(units).i32_sub().global_set(self.globals.global);
            sink.global_get(self.globals.global).i32_const(quantum).i32_lt_s().if_(BlockType::Empty);
            self.globals.force_yield(sink);
            sink.end();
        }
    }

    pub(super) fn begin_function(&self, sink: &mut InstructionSink<'_>) {
        if self.caches_fuel() {
            self.load_fuel(sink);
        }
        if let Some(units) = self.charges.entry {
            self.charge_entry(sink, units);
        }
    }

    /// Charges `units` to the local or to the global.
    pub(super) fn charge_entry(&self, sink: &mut InstructionSink<'_>, units: u32) {
        if self.caches_fuel() || !self.is_inline() {
            self.charge(sink, units);
        } else {
            self.load_fuel(sink);
            self.charge(sink, units);
            sink.local_get(self.fuel).global_set(self.globals.global);
        }
    }

    /// Charges for an operation on a range whose length is on the stack, and `units` more.
    pub(super) fn charge_range(&self, sink: &mut InstructionSink<'_>, bits: u32, units: u32) {
        if !self.is_inline() {
            sink.i32_const(bits.cast_signed()).i32_const(units.cast_signed()).call(self.globals.charge_range_function);
            return;
        }
        if units > 0 {
            self.charge_entry(sink, units);
        }
        sink.local_set(self.length);
        if !self.caches_fuel() {
            self.load_fuel(sink);
        }
        sink.local_get(self.fuel).local_get(self.length).i32_const(bits.cast_signed()).i32_shr_u();
        self.subtract_and_yield(sink);
        if !self.caches_fuel() {
            sink.local_get(self.fuel).global_set(self.globals.global);
        }
        sink.local_get(self.length);
    }

    /// Works on a range that has been charged: with the operation itself, or with the function that works in chunks if
    /// the range is large.
    pub(super) fn work_on_range(&self, function: &mut Function, ty: u32, chunked: u32, operation: &Instruction<'_>) {
        let mut sink = function.instructions();
        if !self.is_inline() {
            sink.call(chunked);
            return;
        }
        sink.local_get(self.length).i32_const(BULK_CHUNK.cast_signed()).i32_gt_u().if_(BlockType::FunctionType(ty));
        self.store_fuel(&mut sink);
        sink.call(chunked);
        if self.caches_fuel() {
            self.load_fuel(&mut sink);
        }
        sink.else_();
        function.instruction(operation).instructions().end();
    }
}
