//! What compiling a function costs, told from its code in one pass (pure).
//!
//! Most of it grows with the code, and is called *work*. Some of it grows faster, and a few kilobytes of hostile code can ask
//! for hours of it. That part is called *steep*:
//!
//! - Cranelift looks through the loops around an operation to find out out of which it may be moved, and once more for each
//!   of those. So an operation in a thousand loops costs a million steps.
//! - A loop has a parameter for each local variable that is used in it or in a loop inside of it, and each of those is
//!   compared with others.
//! - Values that live across many blocks are noted in each of them, and a function of many blocks is quadratic in them.
//! - A branch or a call passes values one by one, and may be a few bytes that pass a thousand of them. That is work.
//!
//! The figures are estimates, in units of about what a `local.get` costs. They were found by compiling code of many
//! shapes and sizes; the tests hold them to it.

mod cost;
mod frames;

use wasmparser::{BlockType, FunctionBody, Operator};

use self::frames::{Frame, Frames};
pub(crate) use cost::{Cost, ModuleCost, THREADS};

/// How many values something takes and leaves.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Arity {
    pub(super) takes: u32,
    pub(super) leaves: u32,
}

impl Arity {
    pub(super) fn both(self) -> u64 {
        u64::from(self.takes) + u64::from(self.leaves)
    }
}

/// What the functions of a module take and leave.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    /// Of each type.
    pub(super) types: Vec<Arity>,
    /// The type of each function, imported ones first.
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
            BlockType::Type(_) => Arity { takes: 0, leaves: 1 },
            BlockType::FuncType(ty) => self.of_type(ty),
        }
    }
}

/// What a function costs that does nothing.
const FUNCTION: u64 = 20;

/// What a branch costs, and the block that begins after it.
const BRANCH: u64 = 16;

/// So many local variables cost one unit.
const LOCALS: u64 = 8;

/// So many steps through loops cost one unit.
const LOOP_STEPS: u64 = 300;

/// A value that lives in so many blocks costs one unit.
const BLOCKS: u64 = 32;

/// So many pairs of blocks cost one unit.
const PAIRS_OF_BLOCKS: u64 = 160;

/// Measures a function of this type. `is_loop` tells of each of its loops, by its number, whether anything goes back to it.
pub(super) fn measure(
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
    let mut measuring = Measuring { signatures, frames: Frames::new(own.leaves), cost: Cost::default(), loops: 0 };
    measuring.cost.work = FUNCTION + 4 * own.both() + declared / LOCALS;
    for operator in body.get_operators_reader()? {
        measuring.take(&operator?, &is_loop);
    }
    let Measuring { frames, mut cost, .. } = measuring;
    let spans = frames.spans();
    let blocks = spans.lived_through / BLOCKS + spans.blocks.saturating_mul(spans.blocks) / PAIRS_OF_BLOCKS;
    cost.steep = (cost.steep / LOOP_STEPS).saturating_add(spans.parameters).saturating_add(blocks);
    Ok(cost)
}

struct Measuring<'a> {
    signatures: &'a Signatures,
    frames: Frames,
    /// What has been measured, with the steep part in steps through loops.
    cost: Cost,
    /// How many loops have begun.
    loops: usize,
}

impl Measuring<'_> {
    fn take(&mut self, operator: &Operator<'_>, is_loop: &impl Fn(usize) -> bool) {
        if self.frames.skips(operator) {
            return;
        }
        match operator {
            Operator::Block { blockty } => self.open(*blockty, 0, false),
            Operator::If { blockty } => {
                self.open(*blockty, 1, false);
                self.frames.begin_block();
                self.cost.work += BRANCH;
            }
            Operator::Loop { blockty } => {
                let looping = is_loop(self.loops);
                self.loops += 1;
                self.open(*blockty, 0, looping);
                self.cost.work += if looping { BRANCH } else { 1 };
            }
            Operator::Else => self.frames.begin_else(),
            Operator::End => {
                let passed = self.frames.end();
                self.cost.work += 3 + 2 * u64::from(passed);
            }
            other => self.take_simple(other),
        }
    }

    fn open(&mut self, block: BlockType, condition: u32, is_loop: bool) {
        let arity = self.signatures.of_block(block);
        self.cost.work += 1 + 2 * arity.both();
        self.frames.open(Frame::new(arity), condition, is_loop);
    }

    fn take_simple(&mut self, operator: &Operator<'_>) {
        let arity = self.arity(operator);
        let (takes, leaves) = (u64::from(arity.takes), u64::from(arity.leaves));
        let depth = self.frames.loop_depth();
        self.cost.work += match operator {
            Operator::LocalGet { local_index }
            | Operator::LocalSet { local_index }
            | Operator::LocalTee { local_index } => {
                self.frames.access(*local_index);
                1
            }
            Operator::Br { .. } | Operator::BrIf { .. } | Operator::Return => BRANCH + 2 * (takes + leaves),
            Operator::BrTable { targets } => BRANCH + (3 + 2 * takes) * (u64::from(targets.len()) + 1),
            other => weight(other) + if is_call(other) { 4 * (takes + leaves) } else { 0 },
        };
        // An operation moves out of the loops around it one by one, and each time all of them are looked through.
        let looked_at = if is_branch(operator) { 1 } else { depth / 2 + 1 };
        self.cost.steep += if is_cheap(operator) { 0 } else { depth * looked_at };
        self.frames.pass(arity);
        match operator {
            Operator::BrIf { .. } => self.frames.begin_block(),
            Operator::Br { .. }
            | Operator::BrTable { .. }
            | Operator::Return
            | Operator::Unreachable
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. } => self.frames.leave(),
            _ => {}
        }
    }

    fn arity(&self, operator: &Operator<'_>) -> Arity {
        let and_one = |arity: Arity| Arity { takes: arity.takes + 1, ..arity };
        match operator {
            Operator::Call { function_index } => self.signatures.of_function(*function_index),
            Operator::CallIndirect { type_index, .. } => and_one(self.signatures.of_type(*type_index)),
            Operator::ReturnCall { function_index } => {
                Arity { leaves: 0, ..self.signatures.of_function(*function_index) }
            }
            Operator::ReturnCallIndirect { type_index, .. } => {
                Arity { leaves: 0, ..and_one(self.signatures.of_type(*type_index)) }
            }
            Operator::Br { relative_depth } => Arity { takes: self.frames.passed_to(*relative_depth), leaves: 0 },
            Operator::BrIf { relative_depth } => {
                let passed = self.frames.passed_to(*relative_depth);
                Arity { takes: passed + 1, leaves: passed }
            }
            Operator::BrTable { targets } => Arity { takes: self.frames.passed_to(targets.default()) + 1, leaves: 0 },
            Operator::Return => Arity { takes: self.frames.results(), leaves: 0 },
            other => frames::simple_arity(other),
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

/// What an operation costs that neither branches nor accesses a local variable.
fn weight(operator: &Operator<'_>) -> u64 {
    match operator {
        other if is_cheap(other) => 1,
        other if is_call(other) => 24,
        other if super::operators::is_function_of_engine(other) => 32,
        _ => 5,
    }
}

#[cfg(test)]
mod tests;
