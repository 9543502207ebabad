//! What compiling functions and modules costs, and what is too much.

use std::ops::AddAssign;

use super::Arity;

/// A function may cost so much beside what it costs in proportion to its code: about a second.
const STEEP: u64 = 2_000_000;

/// What compiling costs, in units of about what a `local.get` costs.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    /// What grows with the code.
    pub(crate) work: u64,
    /// What grows faster.
    pub(crate) steep: u64,
}

impl Cost {
    pub(crate) fn total(self) -> u64 {
        self.work.saturating_add(self.steep)
    }

    /// Whether a function costs far more than code of its size should.
    pub(in crate::meter) fn is_too_steep(self) -> bool {
        self.steep > STEEP + self.work.saturating_mul(4)
    }
}

/// What it costs to compile a module.
#[derive(Debug, Default, Clone)]
pub(crate) struct ModuleCost {
    /// All of it together.
    pub(crate) all: Cost,
    /// The most expensive functions, the most expensive one first.
    largest: Vec<u64>,
    /// Which function is the most expensive one, by its number in the original module.
    pub(crate) largest_function: usize,
    /// How many bytes of code there are.
    pub(crate) bytes: usize,
}

/// So many functions at most are compiled at once.
pub(crate) const THREADS: usize = 4;

impl ModuleCost {
    pub(in crate::meter) fn add_function(&mut self, number: usize, cost: Cost, bytes: usize) {
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
    pub(in crate::meter) fn add_type(&mut self, ty: Arity) {
        let passed = ty.both();
        self.all += Cost { work: 100 + passed, steep: 5 * passed + passed * passed / 120 };
    }

    /// What the most expensive functions cost, so many of them.
    pub(crate) fn largest(&self, functions: usize) -> u64 {
        self.largest.iter().take(functions).fold(0, |sum, cost| sum.saturating_add(*cost))
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, more: Cost) {
        self.work = self.work.saturating_add(more.work);
        self.steep = self.steep.saturating_add(more.steep);
    }
}
