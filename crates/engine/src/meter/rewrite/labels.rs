//! Remaps the targets of branches when blocks are added around them.

/// The open blocks of a function, innermost last: the number of labels after rewriting, up to and including each.
#[derive(Default)]
pub(super) struct Labels(Vec<u32>);

impl Labels {
    /// Returns how many blocks are open, without the function's own.
    pub(super) fn depth(&self) -> u32 {
        self.0.len() as u32
    }

    /// Returns how many labels this number of outermost blocks has.
    fn labels_within(&self, blocks: usize) -> u32 {
        blocks.checked_sub(1).and_then(|last| self.0.get(last)).copied().unwrap_or(0)
    }

    /// Opens a block that is written with this number of labels.
    pub(super) fn open(&mut self, labels: u32) {
        self.0.push(self.labels_within(self.0.len()) + labels);
    }

    /// Closes a block. Returns how many `end` operators that takes: one for the function's own.
    pub(super) fn close(&mut self) -> u32 {
        match self.0.pop() {
            Some(all) => all - self.labels_within(self.0.len()),
            None => 1,
        }
    }

    /// Returns the new target of a branch. The innermost label of a loop is the original loop.
    pub(super) fn remap(&self, target: u32) -> u32 {
        let blocks = self.0.len();
        self.labels_within(blocks) - self.labels_within(blocks.saturating_sub(target as usize))
    }
}
