//! No function may stride over the page that guards its stack.
//!
//! A stack ends in a page of 4 KiB whose touch is a trap. Cranelift touches every page of a frame in turn. Singlepass makes
//! room on the stack for local variables, for what calls pass, and for what blocks leave, long before it writes there: with
//! enough of them it never touches that page, and writes to whatever lies behind it. So where it is the compiler, a module
//! is refused that asks for more than a page of such room at once.

use wasmparser::{BlockType, Operator};

use super::{Frames, Rewriter, Rewritten, refused};

/// How many local variables a function may have beside its parameters: those that the rewriting adds make it 500, of 8
/// bytes.
const LOCALS: usize = 498;

/// How many values a call may pass, there and back: those of a function that calls another one make 200 slots of 8 bytes, and
/// what the call leaves another 100.
const PASSED: usize = 100;

/// How many values the blocks that are open at once may be passed and leave, 100 slots more. Some loops are written as three
/// blocks.
const LEFT: usize = 100;

impl Rewriter<'_> {
    /// Refuses a type by which too many values are passed.
    pub(super) fn check_type(&self, ty: &wasmparser::FuncType) -> Rewritten<()> {
        self.check_stride("a type passes", ty.params().len() + ty.results().len(), PASSED)
    }

    /// Refuses a function with so many local variables of its own, or with too many blocks that leave values.
    pub(super) fn check_function(&self, locals: u32, operators: &[Operator<'_>]) -> Rewritten<()> {
        if self.bounds.frames == Frames::Arguments {
            return Ok(());
        }
        self.check_stride("a function has local variables for", locals as usize, LOCALS)?;
        let (mut open, mut left) = (Vec::new(), 0);
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
            self.check_stride("the blocks within one another leave", left, LEFT)?;
        }
        Ok(())
    }

    /// How many values a block is passed and leaves.
    fn values_of(&self, block: BlockType) -> usize {
        match block {
            BlockType::Empty => 0,
            BlockType::Type(_) => 1,
            BlockType::FuncType(ty) => self.plan.passed(ty),
        }
    }

    fn check_stride(&self, what: &str, values: usize, most: usize) -> Rewritten<()> {
        if self.bounds.frames == Frames::Arguments || values <= most {
            return Ok(());
        }
        Err(refused(format!("{what} {values} values: with this compiler {most} are allowed, with Cranelift more")))
    }
}
