//! Refuses functions whose stack frames could skip the guard page of the stack.
//!
//! A stack ends in a guard page of 4 KiB, where any access traps. Cranelift touches every page of a frame in turn.
//! Singlepass reserves stack space for local variables, call arguments and block results long before it writes there:
//! with enough of them, it skips the guard page and writes to the memory behind it. So with Singlepass, a module that
//! needs more than a page of such space at once is refused.

use wasmparser::{BlockType, Operator};

use super::{FrameModel, ReencodeResult, Rewriter, refused};

/// The largest number of local variables in addition to parameters. The rewriting adds two, which makes 500 of 8 bytes.
const MAX_LOCALS: usize = 498;

/// The largest number of parameters and results of a call. Those of a function that calls another one take 200 slots of
/// 8 bytes, and the results of the call another 100.
const MAX_PASSED: usize = 100;

/// The largest number of parameters and results of nested blocks, another 100 slots. Some loops are written as three
/// blocks.
const MAX_BLOCK_VALUES: usize = 100;

impl Rewriter<'_> {
    /// Checks the parameters and results of a type.
    pub(super) fn check_type(&self, ty: &wasmparser::FuncType) -> ReencodeResult<()> {
        self.check_values("a type passes", ty.params().len() + ty.results().len(), MAX_PASSED)
    }

    /// Checks the local variables of a function and the results of its blocks.
    pub(super) fn check_function(&self, locals: u32, operators: &[Operator<'_>]) -> ReencodeResult<()> {
        if self.config.frame_model == FrameModel::Arguments {
            return Ok(());
        }
        self.check_values("a function has local variables for", locals as usize, MAX_LOCALS)?;
        let mut open = Vec::new();
        let mut left = 0;
        for operator in operators {
            let values = match operator {
                Operator::Block { blockty } | Operator::If { blockty } => self.values_of(*blockty),
                Operator::Loop { blockty } => 3 * self.values_of(*blockty),
                Operator::End => {
                    left -= open.pop().unwrap_or_default();
                    continue;
                }
                _ => continue,
            };
            open.push(values);
            left += values;
            self.check_values("the blocks within one another leave", left, MAX_BLOCK_VALUES)?;
        }
        Ok(())
    }

    /// Returns the number of parameters and results of a block.
    fn values_of(&self, block: BlockType) -> usize {
        match block {
            BlockType::Empty => 0,
            BlockType::Type(_) => 1,
            BlockType::FuncType(ty) => self.plan.passed(ty),
        }
    }

    fn check_values(&self, what: &str, values: usize, most: usize) -> ReencodeResult<()> {
        if self.config.frame_model == FrameModel::Arguments || values <= most {
            return Ok(());
        }
        Err(refused(format!("{what} {values} values: with this compiler {most} are allowed, with Cranelift more")))
    }
}
