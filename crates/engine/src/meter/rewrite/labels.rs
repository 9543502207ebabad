//! Where the targets of branches move to when blocks are put around them.

/// The open blocks of a function, innermost last: how many labels there are after rewriting, up to and with each.
#[derive(Default)]
pub(super) struct Labels(Vec<u32>);

impl Labels {
    /// How many blocks are open, the function's own not counted.
    pub(super) fn depth(&self) -> u32 {
        self.0.len() as u32
    }

    /// How many labels the outermost blocks have, so many of them.
    fn up_to(&self, blocks: usize) -> u32 {
        blocks.checked_sub(1).and_then(|last| self.0.get(last)).copied().unwrap_or(0)
    }

    pub(super) fn open(&mut self, labels: u32) {
        self.0.push(self.up_to(self.0.len()) + labels);
    }

    /// Closes a block, and tells how many ends that takes. The function's own has one.
    pub(super) fn close(&mut self) -> u32 {
        match self.0.pop() {
            Some(all) => all - self.up_to(self.0.len()),
            None => 1,
        }
    }

    /// Where the target of a branch has moved to. Of a loop's labels the inner one is the loop as it was.
    pub(super) fn moved(&self, target: u32) -> u32 {
        let blocks = self.0.len();
        self.up_to(blocks) - self.up_to(blocks.saturating_sub(target as usize))
    }
}
