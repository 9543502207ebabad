//! What compiling functions and modules costs, and what is too much.

use std::ops::AddAssign;

use super::Arity;

/// A function may cost so much beside what it costs in proportion to its code: about a second.
const STEEP: u64 = 2_000_000;

/// What compiling costs, in units of about what a `local.get` costs.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Cost {
    /// What grows with the code.
    pub(in crate::engine) work: u64,
    /// What grows faster.
    pub(in crate::engine) steep: u64,
}

impl Cost {
    pub(in crate::engine) fn total(self) -> u64 {
        self.work.saturating_add(self.steep)
    }

    /// Whether a function costs far more than code of its size should.
    pub(in crate::engine::meter) fn is_too_steep(self) -> bool {
        self.steep > STEEP + self.work.saturating_mul(4)
    }
}

/// What it costs to compile a module.
#[derive(Debug, Default, Clone)]
pub(in crate::engine) struct ModuleCost {
    /// All of it together.
    pub(in crate::engine) all: Cost,
    /// The most expensive functions, the most expensive one first.
    largest: Vec<u64>,
    /// Which function is the most expensive one, by its number in the original module.
    pub(in crate::engine) largest_function: usize,
    /// How many bytes of code there are.
    pub(in crate::engine) bytes: usize,
}

/// So many functions at most are compiled at once.
pub(in crate::engine) const THREADS: usize = 4;

impl ModuleCost {
    pub(in crate::engine::meter) fn add_function(&mut self, number: usize, cost: Cost, bytes: usize) {
        self.all += cost;
        self.bytes += bytes;
        let place = self.largest.partition_point(|larger| *larger >= cost.total());
        if place == 0 {
            self.largest_function = number;
        }
        self.largest.insert(place, cost.total());
        self.largest.truncate(THREADS);
    }

    /// Adds the code of a type, by which the host calls functions of it.
    pub(in crate::engine::meter) fn add_type(&mut self, ty: Arity) {
        let passed = ty.both();
        self.all += Cost { work: 100 + passed, steep: 5 * passed + passed * passed / 120 };
    }

    /// What the most expensive functions cost, so many of them.
    pub(in crate::engine) fn largest(&self, functions: usize) -> u64 {
        self.largest.iter().take(functions).fold(0, |sum, cost| sum.saturating_add(*cost))
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, more: Cost) {
        self.work = self.work.saturating_add(more.work);
        self.steep = self.steep.saturating_add(more.steep);
    }
}
