//! Finds where code without a loop has to yield.
//!
//! A function of megabytes is charged at once, at its entry. So that it does not hold its shard until its end, it
//! yields on its way: no path through it is longer than a limit without a yield point.

use wasmparser::Operator;

use crate::meter::plan::{ENTRY_CHARGE_THRESHOLD, cost};

/// The cost of the longest path from a yield to the current operator.
pub(super) struct YieldPoints {
    units: u32,
    longest_path: u32,
    /// The open blocks, innermost last.
    blocks: Vec<Block>,
}

#[derive(Default)]
struct Block {
    /// The cost of the longest path to its beginning.
    before: u32,
    /// The cost of the longest path to its end, except through the code directly before its end.
    others: u32,
    is_loop: bool,
}

impl YieldPoints {
    /// Returns the state at the entry of a function that may execute `quantum` units before it yields.
    pub(super) fn new(quantum: i32) -> YieldPoints {
        YieldPoints { units: 0, longest_path: (quantum.unsigned_abs() / 2).max(1), blocks: Vec::new() }
    }

    /// Returns the cost of the longest path without a yield point. Unit: fuel.
    pub(super) fn longest_path(&self) -> u32 {
        self.longest_path
    }

    /// Adds the next operator, and returns whether the function has to yield before it.
    pub(super) fn needs_yield_before(&mut self, operator: &Operator<'_>) -> bool {
        let units = units(operator);
        let long = units > 0 && self.units + units > self.longest_path;
        self.units = if long { units } else { self.units + units };
        self.follow(operator);
        long
    }

    fn follow(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { .. } => self.open(false),
            // Back edges need no yield point, since each iteration is charged.
            Operator::Loop { .. } => self.open(true),
            Operator::If { .. } => {
                self.open(false);
                // Without an `else`, this is a path to the end.
                self.branch(0);
            }
            Operator::Else => {
                self.branch(0);
                self.units = self.blocks.last().map_or(self.units, |block| block.before);
            }
            Operator::End => {
                let others = self.blocks.pop().map_or(0, |block| block.others);
                self.units = self.units.max(others);
            }
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => self.branch(*relative_depth),
            Operator::BrTable { targets } => {
                targets.targets().flatten().chain([targets.default()]).for_each(|target| self.branch(target));
            }
            _ => {}
        }
    }

    fn open(&mut self, is_loop: bool) {
        self.blocks.push(Block { before: self.units, others: 0, is_loop });
    }

    fn branch(&mut self, depth: u32) {
        let units = self.units;
        let blocks = self.blocks.len();
        let target = blocks.checked_sub(1 + depth as usize).and_then(|index| self.blocks.get_mut(index));
        if let Some(block) = target.filter(|block| !block.is_loop) {
            block.others = block.others.max(units);
        }
    }
}

/// Returns the largest cost of an operator, including uncharged callees.
fn units(operator: &Operator<'_>) -> u32 {
    match operator {
        Operator::Call { .. }
        | Operator::CallIndirect { .. }
        | Operator::ReturnCall { .. }
        | Operator::ReturnCallIndirect { .. } => cost(operator) + ENTRY_CHARGE_THRESHOLD,
        other => cost(other),
    }
}
