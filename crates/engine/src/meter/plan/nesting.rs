//! The nesting of a function's loops, and which of them have a back edge.

/// The loops of a function up to the current operator.
#[derive(Debug, Default)]
pub(super) struct Nesting {
    /// The innermost loop around the current operator.
    pub(super) current: Option<usize>,
    /// The open blocks, innermost last.
    blocks: Vec<OpenBlock>,
    /// For each loop, the enclosing loop.
    pub(super) enclosing: Vec<Option<usize>>,
    /// For each loop, whether it has a back edge.
    pub(super) has_back_edge: Vec<bool>,
    /// The number of back edges.
    pub(super) back_edges: u64,
}

#[derive(Debug)]
struct OpenBlock {
    enclosing: Option<usize>,
    loop_number: Option<usize>,
}

impl Nesting {
    pub(super) fn open(&mut self) {
        self.blocks.push(OpenBlock { enclosing: self.current, loop_number: None });
    }

    pub(super) fn open_loop(&mut self) {
        let loop_number = self.enclosing.len();
        self.blocks.push(OpenBlock { enclosing: self.current, loop_number: Some(loop_number) });
        self.enclosing.push(self.current);
        self.has_back_edge.push(false);
        self.current = Some(loop_number);
    }

    /// Closes a block. Does nothing at the end of the function.
    pub(super) fn close(&mut self) {
        if let Some(block) = self.blocks.pop() {
            self.current = block.enclosing;
        }
    }

    pub(super) fn branch(&mut self, depth: u32) {
        let target = self.blocks.len().checked_sub(1 + depth as usize).and_then(|index| self.blocks.get(index));
        if let Some(loop_number) = target.and_then(|block| block.loop_number) {
            self.has_back_edge[loop_number] = true;
            self.back_edges += 1;
        }
    }
}
