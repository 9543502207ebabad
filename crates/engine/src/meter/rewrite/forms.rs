//! The forms in which a function may pay, what each costs to compile, and which one a module can afford.
//!
//! Payments that are quick to execute are much code: a loop becomes two, with the fuel in a local variable that lives in all
//! of the function, and a short one is written several times more. In ordinary modules that does not matter. In others, which
//! hold little but loops, one within the other or side by side, compiling would take many times as long as compiling the
//! module as it is. There a payment is one call of a function that pays.

use super::Frames;
use crate::meter::measure::{Arity, Cost, Signatures};
use crate::meter::plan::{ImportedFunction, Plan};

/// How a function pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::meter) enum Form {
    /// With code in place. Short loops are written several times.
    Unrolled,
    /// With code in place.
    Inline,
    /// With calls.
    Calls,
}

/// The forms, the fastest one first.
pub(super) const FORMS: [Form; 3] = [Form::Unrolled, Form::Inline, Form::Calls];

/// What every module may cost more than it would as it is: some tens of milliseconds.
const ALLOWANCE: u64 = 60_000;

/// What payments in place may make a module cost more.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
}

impl Budget {
    /// The budget of a module whose functions would cost so much as they are: four fifths of it, and an allowance.
    pub(super) fn new(costs: impl Iterator<Item = Cost>) -> Budget {
        let sum = costs.map(Cost::total).fold(0, u64::saturating_add);
        Budget { left: ALLOWANCE + sum / 5 * 4 }
    }

    /// Whether a function may cost so much instead of what it would as it is. If so, it is accounted for.
    pub(super) fn affords(&mut self, cost: Cost, original: Cost) -> bool {
        let left = self.left.checked_sub(cost.total().saturating_sub(original.total()));
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

/// What the functions of a rewritten module take and leave.
pub(super) fn signatures(plan: &Plan, frames: Frames) -> Signatures {
    let mut types = plan.signatures.types.clone();
    let helpers = [(1, 1), (0, 0), (3, 0), (1, 0), (frames.passed().len() as u32, 0), (2, 1), (3, 1)];
    types.extend(helpers.map(|(takes, leaves)| Arity { takes, leaves }));
    let [yields, nothing, range, pays, filled, price, pays_length] =
        std::array::from_fn(|helper| plan.types + helper as u32);
    let (imported, defined) = plan.signatures.functions.split_at(plan.imported_functions as usize);
    let mut functions: Vec<u32> = plan
        .imported()
        .map(|function| match function {
            ImportedFunction { priced: true, parameters: 1, .. } => yields,
            ImportedFunction { priced: true, .. } => price,
            ImportedFunction { ty, .. } => ty,
        })
        .collect();
    // `yield` and `tick`.
    functions.extend([yields, yields]);
    functions.extend(defined);
    functions.extend(plan.large_ranges.iter().map(|_| range));
    functions.extend([pays, filled]);
    functions.extend(imported);
    functions.extend([yields, pays, pays_length, nothing]);
    Signatures { types, functions }
}
