//! Rewrites one function with its charges.

use wasm_encoder::reencode::Reencode;
use wasm_encoder::{BlockType, Function, ValType};
use wasmparser::Operator;

use super::charge_forms::Form;
use super::fuel_emitter::FuelEmitter;
use super::labels::Labels;
use super::yield_points::YieldPoints;
use super::{ReencodeResult, Rewriter, stack_probe};
use crate::meter::operators::{accesses_memory, bulk_cost_shift, calls_engine_function};
use crate::meter::plan::{Charges, Plan};

/// Writes one function with its charges.
pub(super) fn rewrite(
    rewriter: &mut Rewriter<'_>,
    form: Form,
    charges: &Charges,
    body: &wasmparser::FunctionBody<'_>,
) -> ReencodeResult<Function> {
    let mut locals = Vec::new();
    let mut count = charges.parameters;
    for declared in body.get_locals_reader()? {
        let (number, ty) = declared?;
        count += number;
        locals.push((number, rewriter.val_type(ty)?));
    }
    let operators: Vec<Operator<'_>> = body.get_operators_reader()?.into_iter().collect::<wasmparser::Result<_>>()?;
    rewriter.check_function(count - charges.parameters, &operators)?;
    let emitter = FuelEmitter { charges, fuel: count, length: count + 1, globals: rewriter.globals(), form };
    if emitter.is_inline() {
        locals.push((2, ValType::I32));
    }
    let mut writer = BodyWriter {
        emitter,
        loops: charges.loops.iter(),
        labels: Labels::default(),
        yield_points: YieldPoints::new(rewriter.config.quantum),
        function: Function::new(locals),
    };
    writer.emitter.begin_function(&mut writer.function.instructions());
    writer.write(rewriter, &operators)?;
    Ok(writer.function)
}

/// Writes the body of one function.
struct BodyWriter<'a> {
    emitter: FuelEmitter<'a>,
    /// The charges of the loops that have not begun yet.
    loops: std::slice::Iter<'a, Option<u32>>,
    labels: Labels,
    yield_points: YieldPoints,
    function: Function,
}

impl BodyWriter<'_> {
    fn write(&mut self, rewriter: &mut Rewriter<'_>, operators: &[Operator<'_>]) -> ReencodeResult<()> {
        let mut remaining = operators;
        while let [operator, after @ ..] = remaining {
            remaining = after;
            if self.yield_points.needs_yield_before(operator) {
                self.emitter.yield_point(&mut self.function.instructions(), self.yield_points.longest_path());
            }
            let leaves = leaves_function(operator, self.labels.depth());
            let calls = may_take_fuel(rewriter.plan, operator);
            if leaves || calls {
                self.emitter.store_fuel(&mut self.function.instructions());
            }
            if let Some(bits) = bulk_cost_shift(operator) {
                let units = rewriter.plan.cost_of_table(operator).unwrap_or_default();
                self.emitter.charge_range(&mut self.function.instructions(), bits, units);
            }
            let large_range = rewriter.plan.large_range(operator);
            // The function that charges for a range probes the stack itself.
            let has_room = !self.emitter.is_inline() && bulk_cost_shift(operator).is_some();
            if calls_engine_function(operator) && !has_room {
                stack_probe::check(&mut self.function.instructions(), rewriter.probe_function());
            }
            match operator {
                Operator::Loop { blockty } => remaining = self.begin_loop(rewriter, *blockty, after)?,
                other => match large_range {
                    Some(number) => {
                        let ty = rewriter.range_type();
                        let chunked = rewriter.range_function(number);
                        let operation = rewriter.instruction(other.clone())?;
                        self.emitter.work_on_range(&mut self.function, ty, chunked, &operation);
                    }
                    None => self.write_one(rewriter, other)?,
                },
            }
            if calls && !leaves && self.emitter.caches_fuel() {
                self.emitter.load_fuel(&mut self.function.instructions());
            }
        }
        Ok(())
    }

    fn write_one(&mut self, rewriter: &mut Rewriter<'_>, operator: &Operator<'_>) -> ReencodeResult<()> {
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
                sink.br(self.labels.remap(*relative_depth));
            }
            Operator::BrIf { relative_depth } => {
                sink.br_if(self.labels.remap(*relative_depth));
            }
            Operator::BrTable { targets } => {
                let others = targets.targets().map(|target| target.map(|target| self.labels.remap(target)));
                let others: Vec<u32> = others.collect::<wasmparser::Result<_>>()?;
                sink.br_table(others, self.labels.remap(targets.default()));
            }
            Operator::MemoryGrow { .. } => {
                self.function.instruction(&rewriter.instruction(operator.clone())?);
                // The current quantum depends on the size of the memory before it grew.
                self.emitter.drop_fuel(&mut self.function.instructions());
            }
            other => {
                self.function.instruction(&rewriter.instruction(other.clone())?);
            }
        }
        Ok(())
    }

    /// Begins a loop that charges at each iteration, or every few iterations if they are short. Returns the operators
    /// after those that have been written.
    ///
    /// A call inside of a loop, even a rare one, makes the compiler keep the loop's values in memory. So the call is
    /// placed in another loop around this one, which iterates only when the fuel is used up. A loop with parameters
    /// stays as it is, because the outer loop would have to pass them. A loop without a back edge becomes a block.
    fn begin_loop<'o, 'b>(
        &mut self,
        rewriter: &mut Rewriter<'_>,
        block_type: wasmparser::BlockType,
        after: &'o [Operator<'b>],
    ) -> ReencodeResult<&'o [Operator<'b>]> {
        let ty = rewriter.block_type(block_type)?;
        let mut sink = self.function.instructions();
        let Some(units) = self.loops.next().copied().flatten() else {
            sink.block(ty);
            self.labels.open(1);
            return Ok(after);
        };
        let has_parameters = matches!(block_type, wasmparser::BlockType::FuncType(_));
        if has_parameters || !self.emitter.is_inline() {
            sink.loop_(ty);
            self.emitter.charge(&mut sink, units);
            self.labels.open(1);
            return Ok(after);
        }
        let body = short_body(after, units)
            .filter(|_| self.emitter.form == Form::Unrolled)
            .filter(|body| rewriter.reserve_copies(body.len() + BODY_OVERHEAD, UNROLLED_BODIES));
        let Some(body) = body else {
            self.emitter.begin_charged_loop(&mut sink, ty, units);
            self.labels.open(2);
            return Ok(after);
        };
        self.write_unrolled_loop(rewriter, ty, body, units)?;
        Ok(&after[body.len()..])
    }

    /// Writes a short loop twice, up to its `end`:
    ///
    /// ```text
    /// block $exit {
    ///     block $dry {
    ///         loop $fast { charge; block $next { body; br $exit } ... body }
    ///         br $exit
    ///     }
    ///     loop that yields
    /// }
    /// ```
    ///
    /// The first loop charges for a few iterations at once and never yields: it contains no call, so the compiler keeps
    /// its values in registers. When the fuel is used up, the second loop runs the remaining iterations.
    fn write_unrolled_loop(
        &mut self,
        rewriter: &mut Rewriter<'_>,
        ty: BlockType,
        body: &[Operator<'_>],
        units: u32,
    ) -> ReencodeResult<()> {
        let mut sink = self.function.instructions();
        sink.block(ty).block(BlockType::Empty);
        let accesses = body.iter().filter(|operator| accesses_memory(operator)).count();
        if rewriter.plan.has_memory && accesses >= HOIST_ACCESSES {
            self.emitter.load_memory_address(&mut sink);
        }
        sink.loop_(ty);
        self.emitter.charge_or_branch(&mut sink, units * UNROLLED_BODIES, 1);
        for _ in 1..UNROLLED_BODIES {
            self.function.instructions().block(BlockType::Empty);
            // Continuing the loop leaves `$next`, which begins the next copy.
            self.write_iteration(rewriter, body, 4)?;
            self.function.instructions().br(3).end();
        }
        self.write_iteration(rewriter, body, 3)?;
        let mut sink = self.function.instructions();
        sink.end().br(1).end();
        self.emitter.begin_charged_loop(&mut sink, ty, units);
        self.labels.open(3);
        self.write(rewriter, body)
    }

    /// Writes one copy of a loop's body, in which the loop has this number of labels.
    fn write_iteration(
        &mut self,
        rewriter: &mut Rewriter<'_>,
        body: &[Operator<'_>],
        labels: u32,
    ) -> ReencodeResult<()> {
        self.labels.open(labels);
        self.write(rewriter, body)?;
        self.labels.close();
        Ok(())
    }
}

/// The number of iterations of a short loop that are charged at once.
const UNROLLED_BODIES: u32 = 6;

/// The number of memory accesses in a short loop from which loading the memory's address before the loop is faster.
const HOIST_ACCESSES: usize = 3;

/// The number of operators around each copy of a short loop's body.
const BODY_OVERHEAD: usize = 4;

/// The largest cost of the body of a short loop.
const MAX_SHORT_BODY: u32 = 64;

/// Returns the body of the loop that begins here if it is short and contains no loop, call or range operation. Charging
/// each iteration would cost as much as the body itself.
fn short_body<'o, 'b>(operators: &'o [Operator<'b>], units: u32) -> Option<&'o [Operator<'b>]> {
    if units > MAX_SHORT_BODY {
        return None;
    }
    let mut depth = 0_u32;
    // Operators without a cost enlarge each copy too, so their number is limited.
    for (number, operator) in operators.iter().enumerate().take(4 * MAX_SHORT_BODY as usize) {
        match operator {
            Operator::Loop { .. } | Operator::Call { .. } | Operator::CallIndirect { .. } => return None,
            operator if bulk_cost_shift(operator).is_some() => return None,
            Operator::Block { .. } | Operator::If { .. } => depth += 1,
            Operator::End if depth == 0 => return Some(&operators[..number]),
            Operator::End => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Returns whether this operator may leave the function, at this depth of blocks.
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

/// Returns whether this operator calls a function that may take fuel.
fn may_take_fuel(plan: &Plan, operator: &Operator<'_>) -> bool {
    match *operator {
        Operator::Call { function_index } | Operator::ReturnCall { function_index } => plan.takes_fuel(function_index),
        Operator::CallIndirect { .. } | Operator::ReturnCallIndirect { .. } => true,
        _ => false,
    }
}
