//! The forms in which a function charges fuel, and which of them a module can afford to compile.
//!
//! Charges that execute fast need much code: a loop becomes two, with the fuel in a local that lives throughout the
//! function, and a short loop is unrolled. That does not matter in ordinary modules. In modules that consist mostly of
//! loops, nested or in sequence, compilation would take many times as long as without metering. There a charge is a
//! call of a function.

use super::FrameModel;
use crate::meter::compile_cost::{Arity, Cost, Signatures};
use crate::meter::plan::{ImportedFunction, Plan};

/// How a function charges fuel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::meter) enum Form {
    /// With inline code and unrolled short loops.
    Unrolled,
    /// With inline code.
    Inline,
    /// With calls.
    Calls,
}

/// The forms, fastest first.
pub(super) const FORMS: [Form; 3] = [Form::Unrolled, Form::Inline, Form::Calls];

/// The compile cost that charges may add to every module: some tens of milliseconds.
const ALLOWANCE: u64 = 60_000;

/// The compile cost that inline charges may add to a module.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
}

impl Budget {
    /// Returns the budget of a module with these compile costs: four fifths of them, and an allowance.
    pub(super) fn new(costs: impl Iterator<Item = Cost>) -> Budget {
        let sum = costs.map(Cost::total).fold(0, u64::saturating_add);
        Budget { left: ALLOWANCE + sum / 5 * 4 }
    }

    /// Returns whether the budget covers the additional cost of a function, and if so, takes it.
    pub(super) fn affords(&mut self, cost: Cost, original: Cost) -> bool {
        let left = self.left.checked_sub(cost.total().saturating_sub(original.total()));
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

/// Returns the arities of a rewritten module's functions.
pub(super) fn signatures(plan: &Plan, frame_model: FrameModel) -> Signatures {
    let mut types = plan.signatures.types.clone();
    let helpers = [(1, 1), (0, 0), (3, 0), (1, 0), (frame_model.filler_parameters().len() as u32, 0), (2, 1), (3, 1)];
    types.extend(helpers.map(|(parameters, results)| Arity { parameters, results }));
    let [yield_type, empty, range, charge, filler, price, charge_range] =
        std::array::from_fn(|helper| plan.types + helper as u32);
    let (imported, defined) = plan.signatures.functions.split_at(plan.imported_functions as usize);
    let mut functions: Vec<u32> = plan
        .imported()
        .map(|function| match function {
            ImportedFunction { priced: true, parameters: 1, .. } => yield_type,
            ImportedFunction { priced: true, .. } => price,
            ImportedFunction { ty, .. } => ty,
        })
        .collect();
    // `yield` and `tick`.
    functions.extend([yield_type, yield_type]);
    functions.extend(defined);
    functions.extend(plan.large_ranges.iter().map(|_| range));
    functions.extend([charge, filler]);
    functions.extend(imported);
    functions.extend([yield_type, charge, charge_range, empty]);
    Signatures { types, functions }
}
