//! The open blocks of a function, what lies on its stack, and how far its values reach.

use std::collections::HashMap;

use wasmparser::{BlockType, ContType, FrameKind, FuncType, ModuleArity, Operator, RefType, SubType};

use super::Arity;

/// What a parameter of a loop costs.
const PARAMETER: u64 = 10;

/// An open block.
#[derive(Debug)]
pub(super) struct Frame {
    arity: Arity,
    /// How many values lie on the stack beneath it.
    height: u64,
    /// The number of its loop, if it is one.
    lp: Option<usize>,
}

impl Frame {
    pub(super) fn new(arity: Arity) -> Frame {
        Frame { arity, height: 0, lp: None }
    }
}

/// What is known of a function up to some place in it.
#[derive(Debug)]
pub(super) struct Frames {
    open: Vec<Frame>,
    /// How many values lie on the stack.
    height: u64,
    /// How many blocks are open in code that is never reached, if this is such code.
    unreached: Option<usize>,
    /// The basic blocks that have begun.
    blocks: u64,
    /// How many values lay on the stack where they began, all in all.
    heights: u64,
    loops: Loops,
    locals: HashMap<u32, Local>,
    /// What the parameters of the loops cost.
    parameters: u64,
    /// For each yield_points of code outside of all loops, and for each outermost loop, the block in which it ends.
    regions: Vec<u64>,
}

/// The loops of a function, by number.
#[derive(Debug, Default)]
struct Loops {
    /// The open ones, innermost last.
    open: Vec<usize>,
    /// For each loop that has been closed, one that was around it, or itself while it is open.
    around: Vec<Option<usize>>,
    /// How many loops each lies in, itself included.
    depths: Vec<u64>,
}

/// Where a local variable has been accessed.
#[derive(Debug, Clone, Copy)]
struct Local {
    /// The block in which its region begins.
    first: u64,
    /// The region of the last access.
    region: usize,
    /// The innermost loop around the last access.
    lp: Option<usize>,
}

/// How far the values of a function reach.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spans {
    /// What the parameters of its loops cost.
    pub(super) parameters: u64,
    /// Through how many blocks its values go, all in all.
    pub(super) lived_through: u64,
    /// How many blocks it has.
    pub(super) blocks: u64,
}

impl Frames {
    /// Those of a function with so many results.
    pub(super) fn new(results: u32) -> Frames {
        let function = Frame::new(Arity { takes: 0, leaves: results });
        let (height, unreached, blocks, heights, loops, locals, parameters) = Default::default();
        Frames { open: vec![function], height, unreached, blocks, heights, loops, locals, parameters, regions: vec![0] }
    }

    /// Whether this operation is never reached, and so not compiled.
    pub(super) fn skips(&mut self, operator: &Operator<'_>) -> bool {
        let Some(depth) = &mut self.unreached else { return false };
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => *depth += 1,
            Operator::End if *depth > 0 => *depth -= 1,
            Operator::End | Operator::Else if *depth == 0 => {
                self.unreached = None;
                return false;
            }
            _ => {}
        }
        true
    }

    pub(super) fn open(&mut self, frame: Frame, condition: u32, is_loop: bool) {
        self.height = self.height.saturating_sub(u64::from(condition));
        let height = self.height.saturating_sub(frame.arity.takes.into());
        if is_loop && self.loops.open.is_empty() {
            self.begin_region();
        }
        let lp = is_loop.then(|| self.loops.begin());
        self.open.push(Frame { height, lp, ..frame });
        if is_loop {
            self.begin_block();
        }
    }

    pub(super) fn begin_else(&mut self) {
        if let Some(frame) = self.open.last() {
            self.height = frame.height + u64::from(frame.arity.takes);
        }
        self.begin_block();
    }

    /// Ends a block, and tells how many values it leaves.
    pub(super) fn end(&mut self) -> u32 {
        let Some(frame) = self.open.pop() else { return 0 };
        self.height = frame.height + u64::from(frame.arity.leaves);
        self.begin_block();
        if let Some(lp) = frame.lp {
            self.loops.end(lp);
            if self.loops.open.is_empty() {
                self.begin_region();
            }
        }
        frame.arity.leaves
    }

    pub(super) fn begin_block(&mut self) {
        self.blocks += 1;
        self.heights = self.heights.saturating_add(self.height);
        if let Some(region) = self.regions.last_mut() {
            *region = self.blocks;
        }
    }

    /// What follows is never reached.
    pub(super) fn leave(&mut self) {
        self.unreached = Some(0);
    }

    pub(super) fn pass(&mut self, arity: Arity) {
        self.height = self.height.saturating_sub(arity.takes.into()) + u64::from(arity.leaves);
    }

    /// How many values are passed to a label.
    pub(super) fn passed_to(&self, depth: u32) -> u32 {
        let frame = self.open.len().checked_sub(1 + depth as usize).and_then(|index| self.open.get(index));
        frame.map_or(0, |frame| if frame.lp.is_some() { frame.arity.takes } else { frame.arity.leaves })
    }

    /// How many results the function has.
    pub(super) fn results(&self) -> u32 {
        self.open.first().map_or(0, |function| function.arity.leaves)
    }

    pub(super) fn loop_depth(&self) -> u64 {
        self.loops.open.len() as u64
    }

    pub(super) fn access(&mut self, local: u32) {
        let (lp, depth) = (self.loops.open.last().copied(), self.loops.open.len() as u64);
        let region = self.regions.len() - 1;
        // A region begins where the one before it ends, or, where there are no loops around, with each block.
        let before = region.checked_sub(1).and_then(|before| self.regions.get(before)).copied().unwrap_or(0);
        let first = if lp.is_some() { before } else { self.blocks };
        let known = self.locals.entry(local).or_insert(Local { first, region, lp: None });
        let around = known.lp.and_then(|lp| self.loops.open_around(lp));
        let known_to = around.map_or(0, |lp| self.loops.depths[lp]);
        // Those of deeper loops are more expensive: each is compared with those of the loops around.
        let depths = (depth * (depth + 1) - known_to * (known_to + 1)) / 2;
        self.parameters = self.parameters.saturating_add(PARAMETER * (depth - known_to) + 2 * depths);
        (known.region, known.lp) = (region, lp);
    }

    pub(super) fn spans(&self) -> Spans {
        let reaches = |local: &Local| self.regions[local.region].saturating_sub(local.first);
        let lived_through = self.locals.values().map(reaches).fold(self.heights, u64::saturating_add);
        Spans { parameters: self.parameters, lived_through, blocks: self.blocks }
    }

    fn begin_region(&mut self) {
        self.regions.push(self.blocks);
    }
}

impl Loops {
    fn begin(&mut self) -> usize {
        let lp = self.around.len();
        self.open.push(lp);
        self.around.push(None);
        self.depths.push(self.open.len() as u64);
        lp
    }

    fn end(&mut self, lp: usize) {
        self.open.pop();
        self.around[lp] = Some(self.open.last().copied().unwrap_or(usize::MAX));
    }

    /// The innermost loop around this one that is open, or this one itself.
    fn open_around(&mut self, lp: usize) -> Option<usize> {
        let mut found = lp;
        while let Some(around) = self.around.get(found).copied().flatten() {
            found = around;
        }
        // What was gone through leads there directly the next time.
        let mut passed = lp;
        while let Some(around) = self.around.get(passed).copied().flatten() {
            self.around[passed] = Some(found);
            passed = around;
        }
        (found != usize::MAX).then_some(found)
    }
}

/// How many values an operation takes and leaves that is neither a branch nor a call.
pub(super) fn simple_arity(operator: &Operator<'_>) -> Arity {
    let (takes, leaves) = operator.operator_arity(&NoModule).unwrap_or_default();
    Arity { takes, leaves }
}

/// What operations are asked for that depend on no module.
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
