//! Estimates the cost of compiling a function from its code, in one pass (pure).
//!
//! Most of the cost grows with the code and is called *work*. Some of it grows faster, and a few kilobytes of hostile
//! code can take hours to compile. That part is called *superlinear*:
//!
//! - Cranelift visits the loops around an operation to find out of which loops it can be hoisted, and again for each of
//!   them. So an operation in a thousand nested loops costs a million steps.
//! - A loop has a parameter for each local variable that is used in it or in its inner loops, and each of them is
//!   compared with others.
//! - Values that live across many blocks are recorded in each of them, and a function of many blocks is quadratic in
//!   them.
//! - A branch or a call passes values one by one, and a few bytes of code may pass a thousand of them. That is work.
//!
//! The figures are estimates. They were found by compiling code of many shapes and sizes, and the tests check them.
//! Unit: the cost of a `local.get`.

mod control_stack;
mod cost;

use wasmparser::{BlockType, FunctionBody, Operator};

use self::control_stack::{ControlFrame, ControlStack};
pub(crate) use cost::{Cost, MAX_THREADS, ModuleCost};

/// The numbers of parameters and results.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Arity {
    pub(super) parameters: u32,
    pub(super) results: u32,
}

impl Arity {
    pub(super) fn total(self) -> u64 {
        u64::from(self.parameters) + u64::from(self.results)
    }
}

/// The arities of a module's functions.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    /// The arity of each type.
    pub(super) types: Vec<Arity>,
    /// The type of each function, imported functions first.
    pub(super) functions: Vec<u32>,
}

impl Signatures {
    fn of_type(&self, ty: u32) -> Arity {
        self.types.get(ty as usize).copied().unwrap_or_default()
    }

    fn of_function(&self, function: u32) -> Arity {
        self.functions.get(function as usize).map_or(Arity::default(), |&ty| self.of_type(ty))
    }

    fn of_block(&self, block: BlockType) -> Arity {
        match block {
            BlockType::Empty => Arity::default(),
            BlockType::Type(_) => Arity { parameters: 0, results: 1 },
            BlockType::FuncType(ty) => self.of_type(ty),
        }
    }
}

/// The cost of an empty function.
const FUNCTION: u64 = 20;

/// The cost of a branch and of the block after it.
const BRANCH: u64 = 16;

/// The number of local variables that cost one unit.
const LOCALS: u64 = 8;

/// The number of steps through loops that cost one unit.
const LOOP_STEPS: u64 = 300;

/// The number of blocks in which a value lives that cost one unit.
const BLOCKS: u64 = 32;

/// The number of pairs of blocks that cost one unit.
const PAIRS_OF_BLOCKS: u64 = 160;

/// Estimates the cost of a function of this type. `is_loop` returns whether the loop with a number has a back edge.
pub(super) fn estimate(
    signatures: &Signatures,
    ty: u32,
    body: &FunctionBody<'_>,
    is_loop: impl Fn(usize) -> bool,
) -> wasmparser::Result<Cost> {
    let own = signatures.of_type(ty);
    let mut declared = 0_u64;
    for local in body.get_locals_reader()? {
        declared += u64::from(local?.0);
    }
    let mut estimator =
        CostEstimator { signatures, stack: ControlStack::new(own.results), cost: Cost::default(), loops: 0 };
    estimator.cost.work = FUNCTION + 4 * own.total() + declared / LOCALS;
    for operator in body.get_operators_reader()? {
        estimator.add(&operator?, &is_loop);
    }
    let CostEstimator { stack, mut cost, .. } = estimator;
    let live_ranges = stack.live_ranges();
    let blocks =
        live_ranges.lived_through / BLOCKS + live_ranges.blocks.saturating_mul(live_ranges.blocks) / PAIRS_OF_BLOCKS;
    cost.superlinear = (cost.superlinear / LOOP_STEPS).saturating_add(live_ranges.parameters).saturating_add(blocks);
    Ok(cost)
}

struct CostEstimator<'a> {
    signatures: &'a Signatures,
    stack: ControlStack,
    /// The cost so far, with its superlinear part in steps through loops.
    cost: Cost,
    /// The number of loops that have begun.
    loops: usize,
}

impl CostEstimator<'_> {
    fn add(&mut self, operator: &Operator<'_>, is_loop: &impl Fn(usize) -> bool) {
        if self.stack.skips(operator) {
            return;
        }
        match operator {
            Operator::Block { blockty } => self.open(*blockty, 0, false),
            Operator::If { blockty } => {
                self.open(*blockty, 1, false);
                self.stack.begin_block();
                self.cost.work += BRANCH;
            }
            Operator::Loop { blockty } => {
                let looping = is_loop(self.loops);
                self.loops += 1;
                self.open(*blockty, 0, looping);
                self.cost.work += if looping { BRANCH } else { 1 };
            }
            Operator::Else => self.stack.begin_else(),
            Operator::End => {
                let passed = self.stack.end();
                self.cost.work += 3 + 2 * u64::from(passed);
            }
            other => self.add_simple(other),
        }
    }

    fn open(&mut self, block: BlockType, condition: u32, is_loop: bool) {
        let arity = self.signatures.of_block(block);
        self.cost.work += 1 + 2 * arity.total();
        self.stack.open(ControlFrame::new(arity), condition, is_loop);
    }

    fn add_simple(&mut self, operator: &Operator<'_>) {
        let arity = self.arity(operator);
        let parameters = u64::from(arity.parameters);
        let results = u64::from(arity.results);
        let depth = self.stack.loop_depth();
        self.cost.work += match operator {
            Operator::LocalGet { local_index }
            | Operator::LocalSet { local_index }
            | Operator::LocalTee { local_index } => {
                self.stack.access_local(*local_index);
                1
            }
            Operator::Br { .. } | Operator::BrIf { .. } | Operator::Return => BRANCH + 2 * (parameters + results),
            Operator::BrTable { targets } => BRANCH + (3 + 2 * parameters) * (u64::from(targets.len()) + 1),
            other => weight(other) + if is_call(other) { 4 * (parameters + results) } else { 0 },
        };
        // An operation is hoisted out of its loops one by one, and each time all of them are visited.
        let visits = if is_branch(operator) { 1 } else { depth / 2 + 1 };
        self.cost.superlinear += if is_cheap(operator) { 0 } else { depth * visits };
        self.stack.apply(arity);
        match operator {
            Operator::BrIf { .. } => self.stack.begin_block(),
            Operator::Br { .. }
            | Operator::BrTable { .. }
            | Operator::Return
            | Operator::Unreachable
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. } => self.stack.mark_unreachable(),
            _ => {}
        }
    }

    fn arity(&self, operator: &Operator<'_>) -> Arity {
        let with_operand = |arity: Arity| Arity { parameters: arity.parameters + 1, ..arity };
        match operator {
            Operator::Call { function_index } => self.signatures.of_function(*function_index),
            Operator::CallIndirect { type_index, .. } => with_operand(self.signatures.of_type(*type_index)),
            Operator::ReturnCall { function_index } => {
                Arity { results: 0, ..self.signatures.of_function(*function_index) }
            }
            Operator::ReturnCallIndirect { type_index, .. } => {
                Arity { results: 0, ..with_operand(self.signatures.of_type(*type_index)) }
            }
            Operator::Br { relative_depth } => {
                Arity { parameters: self.stack.branch_arity(*relative_depth), results: 0 }
            }
            Operator::BrIf { relative_depth } => {
                let passed = self.stack.branch_arity(*relative_depth);
                Arity { parameters: passed + 1, results: passed }
            }
            Operator::BrTable { targets } => {
                Arity { parameters: self.stack.branch_arity(targets.default()) + 1, results: 0 }
            }
            Operator::Return => Arity { parameters: self.stack.results(), results: 0 },
            other => control_stack::simple_arity(other),
        }
    }
}

fn is_cheap(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::LocalGet { .. }
            | Operator::LocalSet { .. }
            | Operator::LocalTee { .. }
            | Operator::I32Const { .. }
            | Operator::I64Const { .. }
            | Operator::F32Const { .. }
            | Operator::F64Const { .. }
            | Operator::Drop
            | Operator::Nop
    )
}

fn is_branch(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Br { .. }
            | Operator::BrIf { .. }
            | Operator::BrTable { .. }
            | Operator::Return
            | Operator::Unreachable
    ) || is_call(operator)
}

fn is_call(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Call { .. }
            | Operator::CallIndirect { .. }
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
    )
}

/// Returns the cost of an operator that neither branches nor accesses a local variable.
fn weight(operator: &Operator<'_>) -> u64 {
    match operator {
        other if is_cheap(other) => 1,
        other if is_call(other) => 24,
        other if super::operators::calls_engine_function(other) => 32,
        _ => 5,
    }
}

#[cfg(test)]
mod tests;
