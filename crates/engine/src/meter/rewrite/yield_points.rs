//! Where code without a loop has to yield.
//!
//! What executes has been paid for, but a function of megabytes is paid for at once, at its entry. So that it does not
//! hold its shard from there to its end, it yields on its way: on no path through it lies a longer *yield_points* without.

use wasmparser::Operator;

use crate::meter::plan::{LONG, cost};

/// The longest yield_points of code that leads here since the function last yielded.
pub(super) struct YieldPoints {
    units: u32,
    most: u32,
    /// The open blocks, innermost last.
    blocks: Vec<Block>,
}

#[derive(Default)]
struct Block {
    /// The longest yield_points at its beginning.
    before: u32,
    /// The longest yield_points of those that lead to its end by other ways than through the code right before it.
    others: u32,
    is_loop: bool,
}

impl YieldPoints {
    /// At the entry of a function that may execute `quantum` units before it yields.
    pub(super) fn new(quantum: i32) -> YieldPoints {
        YieldPoints { units: 0, most: (quantum.unsigned_abs() / 2).max(1), blocks: Vec::new() }
    }

    /// The longest path without a yield, in units.
    pub(super) fn most(&self) -> u32 {
        self.most
    }

    /// Takes in what comes next, and tells whether the function has to yield before it.
    pub(super) fn is_long_with(&mut self, operator: &Operator<'_>) -> bool {
        let units = units(operator);
        let long = units > 0 && self.units + units > self.most;
        self.units = if long { units } else { self.units + units };
        self.follow(operator);
        long
    }

    fn follow(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { .. } => self.open(false),
            // Nothing is to be done about the way back: what leads round pays, and yields when it cannot.
            Operator::Loop { .. } => self.open(true),
            Operator::If { .. } => {
                self.open(false);
                // Without an `else`, this is a way to the end.
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
        let (units, blocks) = (self.units, self.blocks.len());
        let target = blocks.checked_sub(1 + depth as usize).and_then(|index| self.blocks.get_mut(index));
        if let Some(block) = target.filter(|block| !block.is_loop) {
            block.others = block.others.max(units);
        }
    }
}

/// What an operation costs at most, with what it may call at the expense of its caller.
fn units(operator: &Operator<'_>) -> u32 {
    match operator {
        Operator::Call { .. }
        | Operator::CallIndirect { .. }
        | Operator::ReturnCall { .. }
        | Operator::ReturnCallIndirect { .. } => cost(operator) + LONG,
        other => cost(other),
    }
}
