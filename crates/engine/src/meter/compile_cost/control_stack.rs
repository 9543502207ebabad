//! The control stack of a function, the height of its value stack, and the live ranges of its values.

use std::collections::HashMap;

use wasmparser::{BlockType, ContType, FrameKind, FuncType, ModuleArity, Operator, RefType, SubType};

use super::Arity;

/// The cost of a loop parameter.
const PARAMETER: u64 = 10;

/// An open block.
#[derive(Debug)]
pub(super) struct ControlFrame {
    arity: Arity,
    /// The number of values on the stack below it.
    height: u64,
    /// The number of its loop, if it is a loop.
    loop_number: Option<usize>,
}

impl ControlFrame {
    pub(super) fn new(arity: Arity) -> ControlFrame {
        ControlFrame { arity, height: 0, loop_number: None }
    }
}

/// The state of a function up to the current operator.
#[derive(Debug, Default)]
pub(super) struct ControlStack {
    open: Vec<ControlFrame>,
    /// The number of values on the stack.
    height: u64,
    /// The number of open blocks in unreachable code, if this is unreachable code.
    unreachable_depth: Option<usize>,
    /// The number of basic blocks that have begun.
    blocks: u64,
    /// The sum of the stack heights at the beginnings of blocks.
    total_height: u64,
    loops: Loops,
    locals: HashMap<u32, Local>,
    /// The cost of the loop parameters.
    parameters: u64,
    /// The last block of each region. A region is an outermost loop, or code between outermost loops.
    regions: Vec<u64>,
}

/// The loops of a function, by number.
#[derive(Debug, Default)]
struct Loops {
    /// The open loops, innermost last.
    open: Vec<usize>,
    /// For each closed loop, one that encloses it, or `usize::MAX` if none does. `None` for open loops.
    enclosing: Vec<Option<usize>>,
    /// The nesting depth of each loop. An outermost loop has depth 1.
    depths: Vec<u64>,
}

/// The accesses to a local variable.
#[derive(Debug, Clone, Copy)]
struct Local {
    /// The block in which the live range begins.
    first: u64,
    /// The region of the last access.
    region: usize,
    /// The innermost loop around the last access.
    loop_number: Option<usize>,
}

/// The live ranges of a function's values, in total.
#[derive(Debug, Clone, Copy)]
pub(super) struct LiveRanges {
    /// The cost of the loop parameters.
    pub(super) parameters: u64,
    /// The number of blocks that values live through, summed over all values.
    pub(super) lived_through: u64,
    /// The number of blocks.
    pub(super) blocks: u64,
}

impl ControlStack {
    /// Returns the state at the beginning of a function with this number of results.
    pub(super) fn new(results: u32) -> ControlStack {
        let function = ControlFrame::new(Arity { parameters: 0, results });
        ControlStack { open: vec![function], regions: vec![0], ..ControlStack::default() }
    }

    /// Returns whether this operator is unreachable and so not compiled.
    pub(super) fn skips(&mut self, operator: &Operator<'_>) -> bool {
        let Some(depth) = &mut self.unreachable_depth else { return false };
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => *depth += 1,
            Operator::End if *depth > 0 => *depth -= 1,
            Operator::End | Operator::Else if *depth == 0 => {
                self.unreachable_depth = None;
                return false;
            }
            _ => {}
        }
        true
    }

    pub(super) fn open(&mut self, frame: ControlFrame, condition: u32, is_loop: bool) {
        self.height = self.height.saturating_sub(u64::from(condition));
        let height = self.height.saturating_sub(frame.arity.parameters.into());
        if is_loop && self.loops.open.is_empty() {
            self.begin_region();
        }
        let loop_number = is_loop.then(|| self.loops.begin());
        self.open.push(ControlFrame { height, loop_number, ..frame });
        if is_loop {
            self.begin_block();
        }
    }

    pub(super) fn begin_else(&mut self) {
        if let Some(frame) = self.open.last() {
            self.height = frame.height + u64::from(frame.arity.parameters);
        }
        self.begin_block();
    }

    /// Ends a block. Returns the number of its results.
    pub(super) fn end(&mut self) -> u32 {
        let Some(frame) = self.open.pop() else { return 0 };
        self.height = frame.height + u64::from(frame.arity.results);
        self.begin_block();
        if let Some(loop_number) = frame.loop_number {
            self.loops.end(loop_number);
            if self.loops.open.is_empty() {
                self.begin_region();
            }
        }
        frame.arity.results
    }

    pub(super) fn begin_block(&mut self) {
        self.blocks += 1;
        self.total_height = self.total_height.saturating_add(self.height);
        if let Some(region) = self.regions.last_mut() {
            *region = self.blocks;
        }
    }

    /// Marks the following code as unreachable.
    pub(super) fn mark_unreachable(&mut self) {
        self.unreachable_depth = Some(0);
    }

    pub(super) fn apply(&mut self, arity: Arity) {
        self.height = self.height.saturating_sub(arity.parameters.into()) + u64::from(arity.results);
    }

    /// Returns how many values a branch to a label passes.
    pub(super) fn branch_arity(&self, depth: u32) -> u32 {
        let frame = self.open.len().checked_sub(1 + depth as usize).and_then(|index| self.open.get(index));
        frame.map_or(0, |frame| if frame.loop_number.is_some() { frame.arity.parameters } else { frame.arity.results })
    }

    /// Returns the number of the function's results.
    pub(super) fn results(&self) -> u32 {
        self.open.first().map_or(0, |function| function.arity.results)
    }

    pub(super) fn loop_depth(&self) -> u64 {
        self.loops.open.len() as u64
    }

    pub(super) fn access_local(&mut self, local: u32) {
        let loop_number = self.loops.open.last().copied();
        let depth = self.loops.open.len() as u64;
        let region = self.regions.len() - 1;
        // In a loop, the live range begins with the region of the outermost loop. Outside of loops, it begins with the
        // block.
        let before = region.checked_sub(1).and_then(|before| self.regions.get(before)).copied().unwrap_or(0);
        let first = if loop_number.is_some() { before } else { self.blocks };
        let known = self.locals.entry(local).or_insert(Local { first, region, loop_number: None });
        let around = known.loop_number.and_then(|loop_number| self.loops.innermost_open(loop_number));
        let known_depth = around.map_or(0, |loop_number| self.loops.depths[loop_number]);
        // Parameters of inner loops cost more: each is compared with those of the enclosing loops.
        let depths = (depth * (depth + 1) - known_depth * (known_depth + 1)) / 2;
        self.parameters = self.parameters.saturating_add(PARAMETER * (depth - known_depth) + 2 * depths);
        (known.region, known.loop_number) = (region, loop_number);
    }

    pub(super) fn live_ranges(&self) -> LiveRanges {
        let reaches = |local: &Local| self.regions[local.region].saturating_sub(local.first);
        let lived_through = self.locals.values().map(reaches).fold(self.total_height, u64::saturating_add);
        LiveRanges { parameters: self.parameters, lived_through, blocks: self.blocks }
    }

    fn begin_region(&mut self) {
        self.regions.push(self.blocks);
    }
}

impl Loops {
    fn begin(&mut self) -> usize {
        let loop_number = self.enclosing.len();
        self.open.push(loop_number);
        self.enclosing.push(None);
        self.depths.push(self.open.len() as u64);
        loop_number
    }

    fn end(&mut self, loop_number: usize) {
        self.open.pop();
        self.enclosing[loop_number] = Some(self.open.last().copied().unwrap_or(usize::MAX));
    }

    /// Returns this loop or the innermost enclosing one that is open.
    fn innermost_open(&mut self, loop_number: usize) -> Option<usize> {
        let mut found = loop_number;
        while let Some(around) = self.enclosing.get(found).copied().flatten() {
            found = around;
        }
        // Path compression: the loops on the way lead there directly from now on.
        let mut passed = loop_number;
        while let Some(around) = self.enclosing.get(passed).copied().flatten() {
            self.enclosing[passed] = Some(found);
            passed = around;
        }
        (found != usize::MAX).then_some(found)
    }
}

/// Returns the arity of an operator that is neither a branch nor a call.
pub(super) fn simple_arity(operator: &Operator<'_>) -> Arity {
    let (parameters, results) = operator.operator_arity(&NoModule).unwrap_or_default();
    Arity { parameters, results }
}

/// A module without content, for operators whose arity does not depend on the module.
struct NoModule;

impl ModuleArity for NoModule {
    fn sub_type_at(&self, _: u32) -> Option<&SubType> {
        None
    }

    fn tag_type_arity(&self, _: u32) -> Option<(u32, u32)> {
        None
    }

    fn type_index_of_function(&self, _: u32) -> Option<u32> {
        None
    }

    fn func_type_of_cont_type(&self, _: &ContType) -> Option<&FuncType> {
        None
    }

    fn sub_type_of_ref_type(&self, _: &RefType) -> Option<&SubType> {
        None
    }

    fn control_stack_height(&self) -> u32 {
        0
    }

    fn label_block(&self, _: u32) -> Option<(BlockType, FrameKind)> {
        None
    }
}
