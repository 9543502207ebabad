//! The estimated cost of compiling functions and modules, and its limit.

use std::ops::AddAssign;

use super::Arity;

/// The superlinear cost that every function may have. It takes about a second.
const SUPERLINEAR_ALLOWANCE: u64 = 2_000_000;

/// The cost of compilation. Unit: the cost of a `local.get`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    /// The part that grows with the code.
    pub(crate) work: u64,
    /// The part that grows faster.
    pub(crate) superlinear: u64,
}

impl Cost {
    pub(crate) fn total(self) -> u64 {
        self.work.saturating_add(self.superlinear)
    }

    /// Returns whether a function costs far more than code of its size should.
    pub(in crate::meter) fn is_excessive(self) -> bool {
        self.superlinear > SUPERLINEAR_ALLOWANCE + self.work.saturating_mul(4)
    }
}

/// The cost of compiling a module.
#[derive(Debug, Default, Clone)]
pub(crate) struct ModuleCost {
    /// The total cost.
    pub(crate) all: Cost,
    /// The costs of the most expensive functions, in descending order.
    largest: Vec<u64>,
    /// The index of the most expensive function in the original module.
    pub(crate) largest_function: usize,
    /// The size of the code. Unit: bytes.
    pub(crate) bytes: usize,
}

/// The largest number of functions that are compiled at once.
pub(crate) const MAX_THREADS: usize = 4;

impl ModuleCost {
    pub(in crate::meter) fn add_function(&mut self, number: usize, cost: Cost, bytes: usize) {
        self.all += cost;
        self.bytes += bytes;
        let place = self.largest.partition_point(|larger| *larger >= cost.total());
        if place == 0 {
            self.largest_function = number;
        }
        self.largest.insert(place, cost.total());
        self.largest.truncate(MAX_THREADS);
    }

    /// Adds the trampoline by which the host calls functions of a type.
    pub(in crate::meter) fn add_type(&mut self, ty: Arity) {
        let passed = ty.total();
        self.all += Cost { work: 100 + passed, superlinear: 5 * passed + passed * passed / 120 };
    }

    /// Returns the cost of this number of the most expensive functions.
    pub(crate) fn largest(&self, functions: usize) -> u64 {
        self.largest.iter().take(functions).fold(0, |sum, cost| sum.saturating_add(*cost))
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, more: Cost) {
        self.work = self.work.saturating_add(more.work);
        self.superlinear = self.superlinear.saturating_add(more.superlinear);
    }
}
