//! The payments of one function, as code.
//!
//! A function with loops keeps the fuel in a local, because a loop that touches memory for each turn is a third slower.
//! It takes the fuel from the global at its entry, gives it back before whatever may take fuel elsewhere, and before it
//! returns. Other functions work on the global.

use wasm_encoder::{BlockType, InstructionSink};

use crate::engine::meter::plan::Payments;

/// Writes the payments of one function.
pub(super) struct Cashier<'a> {
    pub(super) payments: &'a Payments,
    /// The local that holds the fuel, or lends itself to reckoning.
    pub(super) fuel: u32,
    /// The local that holds the length of a range.
    pub(super) length: u32,
    pub(super) global: u32,
    pub(super) yields: u32,
}

impl Cashier<'_> {
    /// Whether the function keeps the fuel in its local.
    pub(super) fn keeps_fuel(&self) -> bool {
        !self.payments.loops.is_empty()
    }

    /// Takes the fuel into the local.
    pub(super) fn take(&self, sink: &mut InstructionSink<'_>) {
        sink.global_get(self.global).local_set(self.fuel);
    }

    /// Gives the fuel back to the global.
    pub(super) fn give_back(&self, sink: &mut InstructionSink<'_>) {
        if self.keeps_fuel() {
            sink.local_get(self.fuel).global_set(self.global);
        }
    }

    /// Pays `units` from the local.
    pub(super) fn pay(&self, sink: &mut InstructionSink<'_>, units: u32) {
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
        sink.local_get(self.fuel).call(self.yields).local_set(self.fuel).end();
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

    pub(super) fn enter(&self, sink: &mut InstructionSink<'_>) {
        if self.keeps_fuel() {
            self.take(sink);
        }
        let Some(units) = self.payments.entry else { return };
        if self.keeps_fuel() {
            self.pay(sink, units);
        } else {
            self.take(sink);
            self.pay(sink, units);
            sink.local_get(self.fuel).global_set(self.global);
        }
    }

    /// Pays for an operation on a range whose length is on the stack.
    pub(super) fn pay_for_range(&self, sink: &mut InstructionSink<'_>, bits: u32) {
        sink.local_set(self.length);
        if !self.keeps_fuel() {
            self.take(sink);
        }
        sink.local_get(self.fuel).local_get(self.length).i32_const(bits.cast_signed()).i32_shr_u();
        self.settle(sink);
        if !self.keeps_fuel() {
            sink.local_get(self.fuel).global_set(self.global);
        }
        sink.local_get(self.length);
    }
}
