//! One function with its payments put in.

use wasm_encoder::reencode::Reencode;
use wasm_encoder::{BlockType, Function, ValType};
use wasmparser::Operator;

use super::forms::Form;
use super::fuel_emitter::FuelEmitter;
use super::labels::Labels;
use super::yield_points::YieldPoints;
use super::{Rewriter, Rewritten, stack_probe};
use crate::meter::operators::{accesses_memory, is_function_of_engine, works_on_range};
use crate::meter::plan::{Payments, Plan};

/// Puts the payments into one function.
pub(super) fn rewrite(
    rewriter: &mut Rewriter<'_>,
    form: Form,
    payments: &Payments,
    body: &wasmparser::FunctionBody<'_>,
) -> Rewritten<Function> {
    let mut locals = Vec::new();
    let mut count = payments.parameters;
    for declared in body.get_locals_reader()? {
        let (number, ty) = declared?;
        count += number;
        locals.push((number, rewriter.val_type(ty)?));
    }
    let operators: Vec<Operator<'_>> = body.get_operators_reader()?.into_iter().collect::<wasmparser::Result<_>>()?;
    rewriter.check_function(count - payments.parameters, &operators)?;
    let emitter = FuelEmitter { payments, fuel: count, length: count + 1, globals: rewriter.globals(), form };
    if emitter.pays_in_place() {
        locals.push((2, ValType::I32));
    }
    let mut writer = BodyWriter {
        emitter,
        loops: payments.loops.iter(),
        labels: Labels::default(),
        yield_points: YieldPoints::new(rewriter.bounds.quantum),
        function: Function::new(locals),
    };
    writer.emitter.enter(&mut writer.function.instructions());
    writer.write(rewriter, &operators)?;
    Ok(writer.function)
}

/// Writes the body of one function.
struct BodyWriter<'a> {
    emitter: FuelEmitter<'a>,
    /// What the loops that have not begun yet pay.
    loops: std::slice::Iter<'a, Option<u32>>,
    labels: Labels,
    yield_points: YieldPoints,
    function: Function,
}

impl BodyWriter<'_> {
    fn write(&mut self, rewriter: &mut Rewriter<'_>, operators: &[Operator<'_>]) -> Rewritten<()> {
        let mut rest = operators;
        while let [operator, after @ ..] = rest {
            rest = after;
            if self.yield_points.is_long_with(operator) {
                self.emitter.pause(&mut self.function.instructions(), self.yield_points.most());
            }
            let leaves = leaves_function(operator, self.labels.depth());
            let calls = calls_for_fuel(rewriter.plan, operator);
            if leaves || calls {
                self.emitter.give_back(&mut self.function.instructions());
            }
            if let Some(bits) = works_on_range(operator) {
                let units = rewriter.plan.cost_of_table(operator).unwrap_or_default();
                self.emitter.pay_for_range(&mut self.function.instructions(), bits, units);
            }
            let large_range = rewriter.plan.large_range(operator);
            // The function that pays for a length makes sure of room itself.
            let has_room = !self.emitter.pays_in_place() && works_on_range(operator).is_some();
            if is_function_of_engine(operator) && !has_room {
                stack_probe::check(&mut self.function.instructions(), rewriter.probe_function());
            }
            match operator {
                Operator::Loop { blockty } => rest = self.begin_loop(rewriter, *blockty, after)?,
                other => match large_range {
                    Some(number) => {
                        let (ty, portions) = (rewriter.range_type(), rewriter.range_function(number));
                        let operation = rewriter.instruction(other.clone())?;
                        self.emitter.work_on_range(&mut self.function, ty, portions, &operation);
                    }
                    None => self.write_one(rewriter, other)?,
                },
            }
            if calls && !leaves && self.emitter.keeps_fuel() {
                self.emitter.take(&mut self.function.instructions());
            }
        }
        Ok(())
    }

    fn write_one(&mut self, rewriter: &mut Rewriter<'_>, operator: &Operator<'_>) -> Rewritten<()> {
        let mut sink = self.function.instructions();
        match operator {
            Operator::Block { .. } | Operator::If { .. } => {
                self.labels.open(1);
                self.function.instruction(&rewriter.instruction(operator.clone())?);
            }
            Operator::End => {
                for _ in 0..self.labels.close() {
                    sink.end();
                }
            }
            Operator::Br { relative_depth } => {
                sink.br(self.labels.moved(*relative_depth));
            }
            Operator::BrIf { relative_depth } => {
                sink.br_if(self.labels.moved(*relative_depth));
            }
            Operator::BrTable { targets } => {
                let others = targets.targets().map(|target| target.map(|target| self.labels.moved(target)));
                let others: Vec<u32> = others.collect::<wasmparser::Result<_>>()?;
                sink.br_table(others, self.labels.moved(targets.default()));
            }
            Operator::MemoryGrow { .. } => {
                self.function.instruction(&rewriter.instruction(operator.clone())?);
                // The quantum in use was meant for the memory as it was.
                self.emitter.use_up(&mut self.function.instructions());
            }
            other => {
                self.function.instruction(&rewriter.instruction(other.clone())?);
            }
        }
        Ok(())
    }

    /// Begins a loop that pays at each turn, or, where its turns are short, at every few. Answers with what comes after
    /// the part that has been written.
    ///
    /// A call inside of a loop, even one that is hardly ever made, has the compiler keep the loop's values in memory. So
    /// the call stands in another loop around this one, which is gone round only when the fuel is used up. A loop with
    /// parameters stays as it is: the way back to its beginning would have to bring them. What nothing goes back to is a
    /// block.
    fn begin_loop<'o, 'b>(
        &mut self,
        rewriter: &mut Rewriter<'_>,
        block_type: wasmparser::BlockType,
        after: &'o [Operator<'b>],
    ) -> Rewritten<&'o [Operator<'b>]> {
        let ty = rewriter.block_type(block_type)?;
        let mut sink = self.function.instructions();
        let Some(units) = self.loops.next().copied().flatten() else {
            sink.block(ty);
            self.labels.open(1);
            return Ok(after);
        };
        let has_parameters = matches!(block_type, wasmparser::BlockType::FuncType(_));
        if has_parameters || !self.emitter.pays_in_place() {
            sink.loop_(ty);
            self.emitter.pay(&mut sink, units);
            self.labels.open(1);
            return Ok(after);
        }
        let turn = short_turn(after, units)
            .filter(|_| self.emitter.form == Form::Unrolled)
            .filter(|turn| rewriter.may_copy(turn.len() + TURN_FRAME, TURNS));
        let Some(turn) = turn else {
            self.emitter.begin_turns(&mut sink, ty, units);
            self.labels.open(2);
            return Ok(after);
        };
        self.write_turns(rewriter, ty, turn, units)?;
        Ok(&after[turn.len()..])
    }

    /// Writes a short loop twice, up to the end of its last turn:
    ///
    /// ```text
    /// block $left { block $dry { loop $turns { pay; block $next { turn; br $left } ... turn }; br $left }; loop that yields }
    /// ```
    ///
    /// The first loop pays for a few turns at once and never yields: with nothing called in it, the compiler keeps its
    /// values in registers. When the fuel is used up, the second one takes over for the turns that are left.
    fn write_turns(
        &mut self,
        rewriter: &mut Rewriter<'_>,
        ty: BlockType,
        turn: &[Operator<'_>],
        units: u32,
    ) -> Rewritten<()> {
        let mut sink = self.function.instructions();
        sink.block(ty).block(BlockType::Empty);
        let accesses = turn.iter().filter(|operator| accesses_memory(operator)).count();
        if rewriter.plan.has_memory && accesses >= MANY_ACCESSES {
            self.emitter.find_memory(&mut sink);
        }
        sink.loop_(ty);
        self.emitter.pay_or(&mut sink, units * TURNS, 1);
        for _ in 1..TURNS {
            self.function.instructions().block(BlockType::Empty);
            // To begin the next turn is to leave `$next`.
            self.write_turn(rewriter, turn, 4)?;
            self.function.instructions().br(3).end();
        }
        self.write_turn(rewriter, turn, 3)?;
        let mut sink = self.function.instructions();
        sink.end().br(1).end();
        self.emitter.begin_turns(&mut sink, ty, units);
        self.labels.open(3);
        self.write(rewriter, turn)
    }

    /// Writes one turn of a loop that has so many labels here.
    fn write_turn(&mut self, rewriter: &mut Rewriter<'_>, turn: &[Operator<'_>], labels: u32) -> Rewritten<()> {
        self.labels.open(labels);
        self.write(rewriter, turn)?;
        self.labels.close();
        Ok(())
    }
}

/// How many turns of a short loop are paid for at once.
const TURNS: u32 = 6;

/// With so many accesses to memory in a short turn, it pays to find the memory beforehand.
const MANY_ACCESSES: usize = 3;

/// How many operations there are around each turn of a short loop.
const TURN_FRAME: usize = 4;

/// No turn that costs more than this is short.
const SHORT: u32 = 64;

/// The turn of a loop that begins here, up to its end, if it is short and leads nowhere else: paying would cost as much as
/// the turn itself.
fn short_turn<'o, 'b>(operators: &'o [Operator<'b>], units: u32) -> Option<&'o [Operator<'b>]> {
    if units > SHORT {
        return None;
    }
    let mut depth = 0_u32;
    // Not everything costs something, but everything takes its place in each of the turns.
    for (number, operator) in operators.iter().enumerate().take(4 * SHORT as usize) {
        match operator {
            Operator::Loop { .. } | Operator::Call { .. } | Operator::CallIndirect { .. } => return None,
            operator if works_on_range(operator).is_some() => return None,
            Operator::Block { .. } | Operator::If { .. } => depth += 1,
            Operator::End if depth == 0 => return Some(&operators[..number]),
            Operator::End => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Whether the function may be left by this operation, at this depth of blocks.
fn leaves_function(operator: &Operator<'_>, depth: u32) -> bool {
    match operator {
        Operator::End => depth == 0,
        Operator::Return | Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } => true,
        Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => *relative_depth == depth,
        Operator::BrTable { targets } => {
            targets.default() == depth || targets.targets().flatten().any(|target| target == depth)
        }
        _ => false,
    }
}

/// Whether this operation calls what may take fuel.
fn calls_for_fuel(plan: &Plan, operator: &Operator<'_>) -> bool {
    match *operator {
        Operator::Call { function_index } | Operator::ReturnCall { function_index } => plan.takes_fuel(function_index),
        Operator::CallIndirect { .. } | Operator::ReturnCallIndirect { .. } => true,
        _ => false,
    }
}
