//! Which loop the code of a function lies in, and which loops anything goes back to.

/// The loops of a function, as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct Nesting {
    /// The loop that what is read lies in.
    pub(super) current: Option<usize>,
    /// For each open block, the loop around it, and the loop that it is.
    blocks: Vec<Open>,
    /// For each loop, the one around it.
    pub(super) around: Vec<Option<usize>>,
    /// For each loop, whether anything goes back to it.
    pub(super) gone_back_to: Vec<bool>,
    /// How many branches lead back to a loop.
    pub(super) ways_back: u64,
}

#[derive(Debug)]
struct Open {
    around: Option<usize>,
    lp: Option<usize>,
}

impl Nesting {
    pub(super) fn open(&mut self) {
        self.blocks.push(Open { around: self.current, lp: None });
    }

    pub(super) fn open_loop(&mut self) {
        let lp = self.around.len();
        self.blocks.push(Open { around: self.current, lp: Some(lp) });
        self.around.push(self.current);
        self.gone_back_to.push(false);
        self.current = Some(lp);
    }

    /// Closes a block. The end of the function itself closes none.
    pub(super) fn close(&mut self) {
        if let Some(block) = self.blocks.pop() {
            self.current = block.around;
        }
    }

    pub(super) fn branch(&mut self, depth: u32) {
        let target = self.blocks.len().checked_sub(1 + depth as usize).and_then(|index| self.blocks.get(index));
        if let Some(lp) = target.and_then(|block| block.lp) {
            self.gone_back_to[lp] = true;
            self.ways_back += 1;
        }
    }
}
